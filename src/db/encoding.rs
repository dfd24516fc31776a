//! Characters that a PostgreSQL database in another encoding than UTF-8 lacks: rows that hold one are rejected before
//! they are copied, and texts that dayfill stores have them escaped.

use std::collections::HashMap;
use std::fmt::Write as _;

use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::{Binary, Bool, Text};

use crate::db::error::{DbError, Doing};
use crate::db::pool::{Conn, on};

const ASKING: &str = "asking which characters the database's encoding has";

/// An encoding that does not have every character.
pub(super) struct Encoding {
    /// PostgreSQL's name of it.
    pub(super) name: String,
    known: HashMap<char, bool>,
}

#[derive(QueryableByName)]
struct EncodingName {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct EncodingAnswer {
    #[diesel(sql_type = Bool)]
    #[expect(dead_code, reason = "that there is an answer is the answer")]
    flag: bool,
}

impl Encoding {
    /// The database's, unless it has every character: UTF-8 does, and `SQL_ASCII` takes every byte as it comes.
    pub(super) fn of(conn: &mut Conn) -> Result<Option<Self>, DbError> {
        let Conn::Postgres(handle) = conn else { return Ok(None) };
        let found: EncodingName = diesel::sql_query("select getdatabaseencoding()::text as name")
            .get_result(handle.get())
            .doing("asking for the database's encoding")?;
        let has_all = matches!(found.name.as_str(), "UTF8" | "SQL_ASCII");
        Ok((!has_all).then(|| Self { name: found.name, known: HashMap::new() }))
    }

    /// The first character of a text that is not known to be there or not.
    pub(super) fn unknown(&self, text: &str) -> Option<char> {
        text.chars().find(|c| !c.is_ascii() && !self.known.contains_key(c))
    }

    /// The first character of a text that the encoding is known to lack.
    pub(super) fn lacking(&self, text: &str) -> Option<char> {
        text.chars().find(|c| self.known.get(c) == Some(&false))
    }

    /// Asks the database for all characters of a text that are not known yet.
    pub(super) fn ask(&mut self, conn: &mut Conn, text: &str) -> Result<(), DbError> {
        while let Some(c) = self.unknown(text) {
            let utf8 = c.encode_utf8(&mut [0; 4]).as_bytes().to_vec();
            let asked = conn.savepoint(|conn| {
                let ask = "select convert($1, 'UTF8', getdatabaseencoding()) is not null as flag";
                let ask = diesel::sql_query(ask).bind::<Binary, _>(&utf8);
                on!(conn, c => ask.get_result::<EncodingAnswer>(c)).doing(ASKING)
            });
            let has = match asked {
                Ok(_) => true,
                // In every language the message has the bytes of a character that has no equivalent.
                Err(DbError::Statement { source: Error::DatabaseError(_, said), .. })
                    if said.message().contains(&as_in_messages(&utf8)) =>
                {
                    false
                }
                Err(error) => return Err(error),
            };
            self.known.insert(c, has);
        }
        Ok(())
    }
}

/// Bytes as PostgreSQL writes them in messages about characters.
fn as_in_messages(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("0x{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// Texts on their way into dayfill's own tables. Asks for the encoding with the first text that is not plain ASCII.
#[derive(Default)]
pub(super) struct Texts {
    asked: bool,
    /// The database's, where it was asked for and does not have every character.
    encoding: Option<Encoding>,
}

impl Texts {
    /// The text as the database can store it: characters that it lacks are written `\u{20AC}`.
    pub(super) fn storable(&mut self, conn: &mut Conn, text: String) -> Result<String, DbError> {
        if text.is_ascii() || matches!(conn, Conn::Sqlite(_)) {
            return Ok(text);
        }
        if !self.asked {
            self.encoding = Encoding::of(conn)?;
            self.asked = true;
        }
        let Some(encoding) = &mut self.encoding else { return Ok(text) };
        encoding.ask(conn, &text)?;
        if encoding.lacking(&text).is_none() {
            return Ok(text);
        }
        Ok(text.chars().fold(String::new(), |mut stored, c| {
            if encoding.known.get(&c) == Some(&false) {
                let _ = write!(stored, "{}", c.escape_unicode());
            } else {
                stored.push(c);
            }
            stored
        }))
    }
}
