//! A `SQLite` file of one test's own, in a folder that goes with it.

use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::deserialize::{FromSql, FromSqlRow};
use diesel::row::{Field, Row};
use diesel::sql_types::{Text, Untyped};
use diesel::sqlite::Sqlite;
use diesel::{Connection, RunQueryDsl, SqliteConnection};

use super::{Database, join};

/// A `SQLite` file of one test's own.
pub(crate) struct SqliteDatabase {
    url: String,
    path: PathBuf,
    folder: tempfile::TempDir,
}

impl SqliteDatabase {
    /// A file that is not there yet: the program under test makes it.
    pub(crate) fn new() -> Self {
        Self::named("dayfill.db")
    }

    /// The same with that name below its folder.
    pub(crate) fn named(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(name);
        Self { url: format!("sqlite:{}", path.display()), path, folder }
    }

    /// The folder around it, for the test's other files; nobody else's.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A connection that waits for others' locks.
    pub(crate) fn connect(&self) -> SqliteConnection {
        let path = self.path.to_str().expect("a path in UTF-8");
        let mut connection = SqliteConnection::establish(path).expect("the database opens");
        connection.batch_execute("pragma busy_timeout = 10000").expect("a time to wait for locks");
        connection
    }
}

impl Database for SqliteDatabase {
    fn url(&self) -> &str {
        &self.url
    }

    fn execute(&self, sql: &str) {
        self.connect().batch_execute(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
    }

    fn is_free(&self) -> bool {
        self.connect().batch_execute("pragma busy_timeout = 100; begin immediate; rollback").is_ok()
    }

    fn hold(&self) -> Box<dyn std::any::Any> {
        let mut conn = self.connect();
        conn.batch_execute("begin immediate").expect("the lock");
        Box::new(conn)
    }

    fn lines(&self, query: &str) -> Vec<String> {
        let lines = diesel::sql_query(query).load::<Line>(&mut self.connect());
        lines.unwrap_or_else(|error| panic!("{error}: {query}")).into_iter().map(|line| line.0).collect()
    }
}

/// A row of any columns: `SQLite` spells any value as text when asked to.
struct Line(String);

impl FromSqlRow<Untyped, Sqlite> for Line {
    fn build_from_row<'row>(row: &impl Row<'row, Sqlite>) -> diesel::deserialize::Result<Self> {
        let values = (0..row.field_count()).map(|index| {
            let field = row.get(index).ok_or("fewer fields than announced")?;
            field.value().map(<String as FromSql<Text, Sqlite>>::from_sql).transpose()
        });
        Ok(Self(join(values.collect::<diesel::deserialize::Result<Vec<_>>>()?)))
    }
}
