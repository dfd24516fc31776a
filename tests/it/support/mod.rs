//! What the tests stand on: databases, servers, projects and processes of their own.
#![expect(clippy::expect_used, reason = "what goes wrong here fails the test that asked for it")]

pub(crate) mod api;
pub(crate) mod daemon;
pub(crate) mod daily;
pub(crate) mod http;
pub(crate) mod page;
pub(crate) mod pgbouncer;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod project;
pub(crate) mod s3;
pub(crate) mod slow_http;
pub(crate) mod sqlite;
pub(crate) mod strict_csv;
pub(crate) mod tls;
pub(crate) mod trouble;

use std::time::{Duration, Instant};

/// Makes of each function a test on either database.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod postgres {
            $(#[test] fn $name() { super::$name(&$crate::support::postgres::TestPostgres::database()); })*
        }
        mod sqlite {
            $(#[test] fn $name() { super::$name(&$crate::support::sqlite::SqliteDatabase::new()); })*
        }
    };
}
pub(crate) use on_both;

/// A database of one test's own, to look into from outside of the program under test. The tests that hold for both
/// databases take one of these.
pub(crate) trait Database {
    /// What a user would write as `database.url`.
    fn url(&self) -> &str;

    /// Runs statements.
    fn execute(&self, sql: &str);

    /// The rows of a query, each as its values joined by `|`, as the database spells them; a null is `null`.
    fn lines(&self, query: &str) -> Vec<String>;

    /// True when somebody could write to it now.
    fn is_free(&self) -> bool {
        true
    }

    /// Keeps everybody from writing the state tables until it is dropped; they can still be read.
    fn hold(&self) -> Box<dyn std::any::Any>;

    /// The one line of a query with one row.
    fn line(&self, query: &str) -> String {
        let mut lines = self.lines(query);
        assert_eq!(lines.len(), 1, "not one row: {query}: {lines:?}");
        lines.remove(0)
    }
}

/// Joins a row's values to a line.
fn join(values: impl IntoIterator<Item = Option<String>>) -> String {
    values.into_iter().map(|value| value.unwrap_or_else(|| "null".to_owned())).collect::<Vec<_>>().join("|")
}

/// Waits for something that another process does and tells nobody of. Fails the test after half a minute.
pub(crate) fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !happened() {
        assert!(Instant::now() < end, "{what}: not within 30 s");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A text as zstd with a window of two to the power of that many bytes.
pub(crate) fn with_window(log: u32, mut text: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).expect("an encoder");
    encoder.window_log(log).expect("such a window");
    // Without a known size the frame names its window.
    std::io::copy(&mut text, &mut encoder).expect("it is in memory");
    encoder.finish().expect("it is in memory")
}
