//! The database's URL, read here and nowhere else: the messages of libpq and of URL crates hold pieces of what they
//! could not read, and those can be pieces of a password. No error of this module holds any part of a URL but its
//! scheme.

use std::fmt;
use std::path::{Path, PathBuf, absolute};

mod postgres;

pub use postgres::PostgresUrl;

/// Where the target tables and the state tables are. `Display` and `Debug` show every secret as `***`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum DatabaseUrl {
    /// `sqlite:PATH`: a file.
    Sqlite(PathBuf),
    /// `postgres://...`: a server, or several.
    Postgres(PostgresUrl),
}

/// Why a text is not the URL of a database. Safe to print: holds nothing of the URL but its scheme.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// No scheme in front.
    #[error("has no scheme: write sqlite:PATH or postgres://...")]
    NoScheme,
    /// A scheme of something else.
    #[error("has the scheme {0:?}: only sqlite and postgres (or postgresql) are known")]
    UnknownScheme(String),
    /// `sqlite:` and nothing after it.
    #[error("names no file: write sqlite:PATH")]
    NoPath,
    /// `sqlite::memory:`.
    #[error("is a database in memory, which would forget the days that are loaded: write sqlite:PATH")]
    InMemory,
    /// Something that SQLite or its drivers would read in ways of their own.
    #[error("has a path that {0}: write sqlite:PATH, the path as it is")]
    SqlitePath(&'static str),
    /// A `%` that starts no encoded byte.
    #[error("has a % in its {0} that is not followed by two hexadecimal digits: write it as %25")]
    Percent(&'static str),
    /// Encoded bytes that are no text.
    #[error("has bytes in its {0} that are not UTF-8, or a NUL")]
    NotText(&'static str),
    /// User, password, host and database cannot be told apart.
    #[error(
        "cannot be told apart into user, password, host and database: write @ : / ? in a user or password \
         as %40 %3A %2F %3F"
    )]
    Ambiguous,
    /// `[` without `]`, or text between `]` and the port.
    #[error("has an IPv6 address that is not written as [address]")]
    Brackets,
    /// A port out of range or no number; perhaps a password that lacks its `@host`.
    #[error("has a port that is not a number from 1 to 65535")]
    Port,
    /// A parameter without `=`.
    #[error("has a parameter without a value: write name=value, and & between them")]
    NoValue,
    /// A parameter libpq does not know; holds the nearest one it does.
    #[error(
        "has a parameter that libpq does not know{}",
        .0.map_or(String::new(), |name| format!("; did you mean {name}?"))
    )]
    UnknownParameter(Option<&'static str>),
    /// `sslrootcert=system` with an `sslmode` that does not check the host's name.
    #[error("has sslrootcert=system with a weak sslmode: use sslmode=verify-full")]
    WeakSslMode,
}

impl DatabaseUrl {
    /// Reads a URL. A relative path of `sqlite:` lies in that folder where there is one, else in the working folder.
    pub fn parse(text: &str, folder: Option<&Path>) -> Result<Self, UrlError> {
        let text = text.trim();
        let (scheme, rest) = text.split_once(':').ok_or(UrlError::NoScheme)?;
        match (scheme, rest.strip_prefix("//")) {
            ("sqlite", _) => sqlite_path(rest, folder).map(Self::Sqlite),
            ("postgres" | "postgresql" | "postgresql+psycopg2" | "postgres+psycopg2", Some(rest)) => {
                PostgresUrl::parse(rest).map(Self::Postgres)
            }
            // Without the slashes it may be anything, a user and a password even.
            (_, None) => Err(UrlError::NoScheme),
            (scheme, Some(_)) => {
                Err(if is_scheme(scheme) { UrlError::UnknownScheme(scheme.to_owned()) } else { UrlError::NoScheme })
            }
        }
    }

    /// The same with a file's whole path: where it is, or is looked for.
    #[must_use]
    pub fn whole(&self) -> Self {
        match self {
            Self::Sqlite(path) => Self::Sqlite(absolute(path).unwrap_or_else(|_| path.clone())),
            Self::Postgres(_) => self.clone(),
        }
    }

    /// True where a password is sent to a server on another machine whose name nobody checks: without `sslmode=verify-full`
    /// or `verify-ca` libpq speaks to whoever answers. `fallback` is the `sslmode` that holds where the URL has none
    /// (libpq's variable `PGSSLMODE`).
    #[must_use]
    pub fn trusts_any_server(&self, fallback: Option<&str>) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(url) => url.trusts_any_server(fallback),
        }
    }

    /// True where both are the same database, whoever logs in to it and with which secrets and limits: the same file; the
    /// same hosts, ports, database, schema and options of the session.
    #[must_use]
    pub fn same_place(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sqlite(one), Self::Sqlite(other)) => one == other,
            (Self::Postgres(one), Self::Postgres(other)) => one.same_place(other),
            (Self::Sqlite(_), Self::Postgres(_)) | (Self::Postgres(_), Self::Sqlite(_)) => false,
        }
    }

    /// What the driver is given to connect, secrets and all. Not for any other eyes.
    pub(super) fn for_driver(&self) -> String {
        match self {
            Self::Sqlite(path) => path.to_string_lossy().into_owned(),
            Self::Postgres(url) => url.conninfo(),
        }
    }

    /// True where it holds a password or another secret.
    #[must_use]
    pub fn has_secret(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(url) => url.has_secret(),
        }
    }

    /// The message with every secret of this URL replaced by `***`; for messages of libpq and of the server.
    #[must_use]
    pub fn mask(&self, message: &str) -> String {
        match self {
            Self::Sqlite(_) => message.to_owned(),
            Self::Postgres(url) => url.mask(message),
        }
    }
}

fn is_scheme(text: &str) -> bool {
    text.len() <= 20
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

fn sqlite_path(rest: &str, folder: Option<&Path>) -> Result<PathBuf, UrlError> {
    let path = match rest.strip_prefix("//") {
        None => rest,
        Some(path) if path.is_empty() || path.starts_with('/') => path,
        Some(_) => return Err(UrlError::SqlitePath("follows two slashes, where a URL has a host")),
    };
    match path {
        "" => return Err(UrlError::NoPath),
        ":memory:" | "/:memory:" => return Err(UrlError::InMemory),
        _ if path.ends_with('/') => return Err(UrlError::SqlitePath("ends in a slash")),
        _ if path.starts_with("file:") => return Err(UrlError::SqlitePath("starts with file:")),
        _ if path.contains('?') => return Err(UrlError::SqlitePath("holds a ?, and parameters are not known here")),
        _ if path.contains('\0') => return Err(UrlError::NotText("path")),
        _ => {}
    }
    Ok(folder.unwrap_or(Path::new("")).join(path))
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => write!(f, "{url}"),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_urls() {
        for (url, state, path) in [
            ("sqlite:dayfill.db", None, "dayfill.db"),
            ("sqlite:dayfill.db", Some("/var/lib/dayfill"), "/var/lib/dayfill/dayfill.db"),
            ("sqlite:dayfill.db", Some("shop/etl:2"), "shop/etl:2/dayfill.db"),
            ("sqlite:/tmp/x.db", Some("/var/lib/dayfill"), "/tmp/x.db"),
            ("sqlite:///tmp/x.db", None, "/tmp/x.db"),
            (" sqlite:a b.db\n", None, "a b.db"),
        ] {
            let parsed = DatabaseUrl::parse(url, state.map(Path::new));
            assert_eq!(parsed, Ok(DatabaseUrl::Sqlite(path.into())), "{url}");
        }
        assert_eq!(DatabaseUrl::parse("sqlite:a.db", None).unwrap().to_string(), "sqlite:a.db");
    }

    #[test]
    fn another_login_is_no_other_database() {
        let one = "postgres://u:p@db:5432/d?sslmode=require";
        for (other, same) in [
            ("postgres://u:q@db:5432/d?sslmode=require", true),
            ("postgres://v:q@db:5432/d?connect_timeout=3", true),
            ("postgres://db:5432/d?user=u&password=q", true),
            ("postgres://u:p@db2:5432/d", false),
            ("postgres://u:p@db:5433/d", false),
            ("postgres://u:p@db:5432/e", false),
            ("postgres://u:p@db:5432/d?hostaddr=10.0.0.7", false),
            ("postgres://u:p@db:5432/d?options=-csearch_path%3Dshop", false),
            ("sqlite:d", false),
        ] {
            let parsed = |url| DatabaseUrl::parse(url, None).unwrap();
            assert_eq!(parsed(one).same_place(&parsed(other)), same, "{other}");
            assert_eq!(parsed(other).same_place(&parsed(one)), same, "{other}");
        }
        let DatabaseUrl::Postgres(server) = DatabaseUrl::parse(one, None).unwrap() else { panic!() };
        assert!(!server.clone().with_schema("shop".parse().ok()).same_place(&server));
    }

    #[test]
    fn a_server_elsewhere_is_to_be_verified() {
        for (url, fallback, expected) in [
            ("postgres://u:p@db.example.com/d", None, true),
            ("postgres://u:p@db.example.com/d?sslmode=require", Some("verify-full"), true),
            ("postgres://u:p@db.example.com/d", Some("verify-full"), false),
            ("postgres://u:p@db.example.com/d?sslmode=verify-ca", None, false),
            ("postgres://u:p@db.example.com/d?sslrootcert=system", None, false),
            ("postgres://u:p@localhost,db.example.com/d", None, true),
            ("postgres://u:p@localhost,127.0.0.1,[::1]/d", None, false),
            ("postgres:///d?host=/run/postgresql", None, false),
            ("postgres:///d?hostaddr=10.0.0.7", None, true),
            ("sqlite:x.db", None, false),
        ] {
            let parsed = DatabaseUrl::parse(url, None).unwrap();
            assert_eq!(parsed.trusts_any_server(fallback), expected, "{url} {fallback:?}");
            assert_eq!(parsed.has_secret(), url.contains(":p@"), "{url}");
        }
    }

    #[test]
    fn what_is_no_url_of_a_database() {
        use UrlError as E;
        for (url, error) in [
            ("", E::NoScheme),
            ("dayfill.db", E::NoScheme),
            ("user:secret@host/db", E::NoScheme),
            ("us er://secret@host/db", E::NoScheme),
            ("postgres:user:secret@host", E::NoScheme),
            ("mysql://user:secret@host/db", E::UnknownScheme("mysql".to_owned())),
            ("sqlite:", E::NoPath),
            ("sqlite://", E::NoPath),
            ("sqlite::memory:", E::InMemory),
            ("sqlite:///:memory:", E::InMemory),
            ("sqlite:folder/", E::SqlitePath("ends in a slash")),
            ("sqlite:file:x.db", E::SqlitePath("starts with file:")),
            ("sqlite:x.db?mode=ro", E::SqlitePath("holds a ?, and parameters are not known here")),
            ("sqlite://x.db", E::SqlitePath("follows two slashes, where a URL has a host")),
        ] {
            assert_eq!(DatabaseUrl::parse(url, None), Err(error.clone()), "{url}");
            assert!(!error.to_string().contains("secret"));
        }
    }
}
