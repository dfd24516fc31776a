//! The language of the server's messages, and the codes that stand for them: dayfill reads both to tell errors apart.

use diesel::PgConnection;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};

use crate::db::error::SQLSTATE;

#[derive(QueryableByName)]
struct SettingFlag {
    #[diesel(sql_type = Bool)]
    flag: bool,
}

/// What `lc_messages` begins with where messages are English.
const ENGLISH: &str = "^(c|posix|en|english)($|[._@])";

/// Has the server speak English in this session, where the role may choose: dayfill reads its messages.
pub(in crate::db) fn speak_english(conn: &mut PgConnection) {
    // Where it may not, errors are told apart by their SQLSTATE as far as it can be had; see `foreign_language`.
    drop(conn.batch_execute(&format!(
        "select set_config('lc_messages', 'C', false) where current_setting('lc_messages') !~* '{ENGLISH}'"
    )));
}

pub(super) fn speaks_english(conn: &mut PgConnection) -> QueryResult<bool> {
    let asked = format!("select current_setting('lc_messages') ~* '{ENGLISH}' as flag");
    diesel::sql_query(asked).get_result(conn).map(|it: SettingFlag| it.flag)
}

/// The language of the server's messages and the session's role, where that is not English.
pub(in crate::db) fn foreign_language(conn: &mut PgConnection) -> QueryResult<Option<(String, String)>> {
    let found: Vec<Language> = diesel::sql_query(format!(
        "select current_setting('lc_messages') as language, quote_ident(current_user) as role \
         where current_setting('lc_messages') !~* '{ENGLISH}'"
    ))
    .load(conn)?;
    Ok(found.into_iter().next().map(|found| (found.language, found.role)))
}

#[derive(QueryableByName)]
struct Language {
    #[diesel(sql_type = Text)]
    language: String,
    #[diesel(sql_type = Text)]
    role: String,
}

/// True when the session may run anonymous blocks, whose errors can tell their SQLSTATE.
pub(in crate::db) fn can_report_codes(conn: &mut PgConnection) -> QueryResult<bool> {
    let can: SettingFlag = diesel::sql_query(
        "select exists (select from pg_language where lanname = 'plpgsql' and has_language_privilege(oid, 'usage')) \
         as flag",
    )
    .get_result(conn)?;
    Ok(can.flag)
}

/// Runs a statement, and another after it, in a block that puts the SQLSTATE of an error before its message: diesel
/// does not hand it out, and messages may be in any language. The number of rows that the first one touched.
pub(in crate::db) fn run_coded(conn: &mut PgConnection, sql: &str, then: Option<&str>) -> QueryResult<i64> {
    // Text of the dataset stands in the statement: it cannot end a quotation that it cannot guess.
    let quote = format!("$q{}$", uuid::Uuid::new_v4().simple());
    let then = then.map(|then| format!("{then};")).unwrap_or_default();
    conn.batch_execute(&format!(
        "do {quote} declare touched bigint; state text; words text; detailed text; hinted text; col text; con text; \
         tab text; begin execute {inner}{sql}{inner}; get diagnostics touched = row_count; {then} \
         perform set_config('dayfill.touched', touched::text, true); \
         exception when query_canceled or assert_failure or others then get stacked diagnostics \
         state = returned_sqlstate, words = message_text, detailed = pg_exception_detail, \
         hinted = pg_exception_hint, col = column_name, con = constraint_name, tab = table_name; \
         raise exception using errcode = state, message = '{SQLSTATE}' || state || ': ' || words, \
         detail = coalesce(detailed, ''), hint = coalesce(hinted, ''), column = coalesce(col, ''), \
         constraint = coalesce(con, ''), table = coalesce(tab, ''); end {quote}",
        inner = quote.replace("$q", "$s"),
    ))?;
    let touched: Number =
        diesel::sql_query("select current_setting('dayfill.touched')::bigint as number").get_result(conn)?;
    Ok(touched.number)
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}
