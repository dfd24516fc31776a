//! What can go wrong with the database, and whose fault it is.

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error as Diesel};

use crate::day::Day;
pub(super) use crate::db::error_class::{
    COMPUTING, CONSTRAINTS, COPYING, COUNTING, DELETING, DOUBLES, FILE_HELD, SQLSTATE, STAGING, WRITING,
};
use crate::db::error_class::{DENIED, OF_ROWS, STATES_OF_THE_SETUP, is_one_of, is_own, parts};
use crate::db::error_text::{ended_by, which_room, who_ended, without_values, words};
use crate::wording::printable;

/// A database error. Messages never hold a secret: those of libpq are masked where connections are made. Nor do they
/// hold values of rows, so that they may be logged; [`DbError::in_full`] is for where values may be shown.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// No connection could be made.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// A statement failed.
    #[error("{doing}: {}{}{}", without_values(doing, source), which_room(doing, source), who_ended(source))]
    Statement {
        /// What the statement was for.
        doing: &'static str,
        /// What the database said.
        source: Diesel,
    },
    /// A statement failed with a message in a language that dayfill does not read, and without a code.
    #[error("{doing}: the server's message is in another language than English: \"dayfill check\" says what to grant")]
    Unreadable {
        /// What the statement was for.
        doing: &'static str,
        /// What the database said.
        source: Diesel,
    },
    /// The target is partitioned by the day and has no partition for it.
    #[error("table {table} has no partition for {day}; dayfill loads the day once there is one{advice}")]
    NoPartition {
        /// The day.
        day: Day,
        /// The target.
        table: String,
        /// The statement that creates it, after a colon; empty where it is not known.
        advice: String,
    },
    /// Rows that were to be deleted are still there; the new ones would stand beside them.
    #[error(
        "{rows} of the day stayed in table {table} when dayfill deleted them, which mode replace_day needs: a trigger \
         keeps them; \"dayfill check\" names it"
    )]
    RowsStay {
        /// The target.
        table: String,
        /// How many, in words.
        rows: String,
    },
    /// Rows that were written have another day in the target; a reload of the day would not replace them.
    #[error(
        "{rows} did not keep the day in table {table}, by which mode replace_day finds them at a reload: a trigger \
         changes the day column; take that out of the trigger, or name another column in target.day_column"
    )]
    RowsMoved {
        /// The target.
        table: String,
        /// How many, in words.
        rows: String,
    },
    /// A table that was to be looked at or altered is locked by others.
    #[error("{tables} locked by {by}; waited {seconds} s")]
    Locked {
        /// The tables that it may be.
        tables: String,
        /// The sessions that hold locks on them, in words.
        by: String,
        /// How long they were waited for.
        seconds: u64,
    },
    /// Rows could not be handed to a COPY under way.
    #[error("copying rows to the stage: {0}{ended}", ended = ended_by(None, &.0.to_string()))]
    Copy(std::io::Error),
    /// The database is not as dayfill needs it, which only a person can change; each line says what and how.
    #[error("{0}")]
    Setup(String),
    /// Migrations could not be read or applied.
    #[error("migrating the state tables: {0}")]
    Migration(String),
    /// The worker's lock file beside the SQLite file could not be used.
    #[error("the worker's lock file {path}: {source}")]
    LockFile {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file that keeps rejected rows for the time of a load could not be used.
    #[error(
        "keeping rejected rows aside in {folder}: {0}; free space there, or name another folder in TMPDIR",
        folder = tempfile::env::temp_dir().display()
    )]
    Spool(std::io::Error),
}

/// How many bytes of the database's words are kept: DETAIL may show a whole row.
const MAX_WORDS: usize = 2_000;

impl DbError {
    /// True when there is no connection to the database any more, so that other days need not be tried.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Copy(_) => true,
            Self::Statement { source: Diesel::DatabaseError(kind, information), .. } => {
                matches!(kind, DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand)
                    || ["connection", "the database system is"]
                        .iter()
                        .any(|words| information.message().contains(words))
            }
            Self::Statement { source, .. } => matches!(source, Diesel::BrokenTransactionManager),
            Self::Unreadable { .. }
            | Self::Locked { .. }
            | Self::NoPartition { .. }
            | Self::RowsStay { .. }
            | Self::RowsMoved { .. }
            | Self::Setup(_)
            | Self::Migration(_)
            | Self::LockFile { .. }
            | Self::Spool(_) => false,
        }
    }

    /// True when a lock was waited for until the time for that ran out.
    #[must_use]
    pub(super) fn waited_too_long(&self) -> bool {
        let says_so = |text: &str| text.contains(&format!("{SQLSTATE}55P03")) || text.contains("due to lock timeout");
        match self {
            Self::Statement { source: Diesel::DatabaseError(_, information), .. } => says_so(information.message()),
            Self::Migration(text) => says_so(text),
            _ => false,
        }
    }

    /// True when the database itself is in trouble (down, full, overloaded, in conflict), so that the day's attempt is
    /// given back; false when the same rows would fail again.
    #[must_use]
    pub fn is_the_databases_own(&self) -> bool {
        match self {
            // A temporary file that cannot be written says nothing about the rows either, and what only a person
            // can change.
            Self::Unreachable(_)
            | Self::Copy(_)
            | Self::Spool(_)
            | Self::Unreadable { .. }
            | Self::Locked { .. }
            | Self::NoPartition { .. }
            | Self::RowsStay { .. }
            | Self::RowsMoved { .. }
            | Self::Setup(_) => true,
            Self::Statement { source: Diesel::DatabaseError(kind, information), .. } => {
                is_own(*kind, information.message())
            }
            Self::Statement { source, .. } => {
                matches!(source, Diesel::BrokenTransactionManager | Diesel::RollbackErrorOnCommit { .. })
            }
            Self::Migration(_) | Self::LockFile { .. } => false,
        }
    }

    /// True where another program held the write lock of the SQLite file for as long as it was waited for.
    #[must_use]
    pub fn is_of_a_held_file(&self) -> bool {
        matches!(self, Self::Statement { source, .. } if source.to_string().contains(FILE_HELD))
    }

    /// True for what stays as it is until a person changes the database.
    #[must_use]
    pub fn stands_until_changed(&self) -> bool {
        match self {
            Self::NoPartition { .. } | Self::RowsStay { .. } | Self::RowsMoved { .. } | Self::Setup(_) => true,
            // No row of the file is at fault where the day's old rows cannot be deleted, nor where a name is not known.
            Self::Statement { doing, .. } => {
                let is_of_setup = |code| code != DENIED && is_one_of(code, &STATES_OF_THE_SETUP);
                (*doing == DELETING || self.code().is_some_and(is_of_setup)) && !self.is_the_databases_own()
            }
            _ => false,
        }
    }

    /// True for such a thing that can only be one day's: others may well be loaded.
    #[must_use]
    pub fn stands_for_a_day(&self) -> bool {
        matches!(self, Self::NoPartition { .. } | Self::RowsStay { .. } | Self::RowsMoved { .. })
    }

    /// True when a load that ends with it counts against the day's attempts: the database is well, and the statement was
    /// about the file's rows.
    #[must_use]
    pub fn costs_an_attempt(&self) -> bool {
        matches!(self, Self::Statement { doing, .. } if OF_ROWS.contains(doing))
            && !self.stands_until_changed()
            && !self.is_the_databases_own()
    }

    /// True when a row may be at fault, so that it is worth looking for it.
    pub(super) fn may_be_a_rows(&self) -> bool {
        self.costs_an_attempt() && self.information().is_some()
    }

    /// Of a statement that wrote no row: no row is at fault, and a right that is lacking is just that.
    pub(super) fn without_rows(self) -> Self {
        match &self {
            Self::Statement { doing, .. } if self.code() == Some(DENIED) => {
                Self::Setup(format!("{doing}: {}", self.words()))
            }
            _ => self,
        }
    }

    fn code(&self) -> Option<&str> {
        parts(self.information()?.message()).0
    }

    /// The error with everything that the database said, values of rows among it: for the attempt, the page and
    /// `status`, never for a log.
    #[must_use]
    pub fn in_full(&self) -> String {
        match self {
            Self::Statement { doing, source } | Self::Unreadable { doing, source } => {
                let (room, ended) = (which_room(doing, source), who_ended(source));
                format!("{doing}: {}{room}{ended}", printable(&words(source), MAX_WORDS))
            }
            other => other.to_string(),
        }
    }

    /// What the database said of the statement, in full.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Statement { source, .. } | Self::Unreadable { source, .. } => words(source),
            other => other.to_string(),
        }
    }

    /// What the database says beside its message.
    pub(super) fn information(&self) -> Option<&dyn DatabaseErrorInformation> {
        match self {
            Self::Statement { source: Diesel::DatabaseError(_, information), .. } => Some(information.as_ref()),
            _ => None,
        }
    }

    /// True for a row that no partition takes because there is none for the day, the table being partitioned by that
    /// column alone. The violated constraint is nobody's: it has no name.
    pub(super) fn is_of_a_missing_partition(&self, day_column: &str) -> bool {
        let kind = DatabaseErrorKind::CheckViolation;
        let Self::Statement { source: Diesel::DatabaseError(it, information), .. } = self else { return false };
        let named = information.constraint_name().is_some_and(|name| !name.is_empty());
        let by_day = |detail: &str| detail.contains(&format!("({day_column}) = ("));
        *it == kind && !named && information.details().is_some_and(by_day)
    }

    /// True for a foreign key that is not met.
    pub(super) fn is_of_a_foreign_key(&self) -> bool {
        let kind = DatabaseErrorKind::ForeignKeyViolation;
        matches!(self, Self::Statement { source: Diesel::DatabaseError(it, _), .. } if *it == kind)
    }
}

/// Puts what was being done beside diesel's error.
pub(super) trait Doing<T> {
    /// Names what was being done, in the words of [`DbError::Statement`].
    fn doing(self, doing: &'static str) -> Result<T, DbError>;
}

impl<T> Doing<T> for Result<T, Diesel> {
    fn doing(self, doing: &'static str) -> Result<T, DbError> {
        self.map_err(|source| DbError::Statement { doing, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(doing: &'static str, kind: DatabaseErrorKind, message: &str) -> DbError {
        DbError::Statement { doing, source: Diesel::DatabaseError(kind, Box::new(message.to_owned())) }
    }

    #[test]
    fn a_code_tells_whose_fault_it_is_in_any_language() {
        let (own, row, setup) = ((true, false, false), (false, true, true), (false, false, false));
        for (message, expected) in [
            ("SQLSTATE 40P01: Verklemmung (Deadlock) entdeckt", own),
            ("SQLSTATE 57014: storniere Anfrage wegen Benutzeraufforderung", own),
            ("SQLSTATE 53100: konnte Datei nicht erweitern: Auf dem Gerät ist kein Speicherplatz mehr", own),
            ("SQLSTATE 55P03: konnte Sperre nicht setzen", own),
            ("SQLSTATE XX001: ungültige Seite in Block 3", own),
            ("SQLSTATE 22001: Wert zu lang für Typ character varying(3)", row),
            ("SQLSTATE 23505: doppelter Schlüsselwert", row),
            ("SQLSTATE P0001: the disk of Ann is full: No space left on device", row),
            ("SQLSTATE XX000: parse error - invalid geometry", row),
            ("SQLSTATE 42501: neue Zeile verletzt Policy für Sicherheit auf Zeilenebene", row),
            ("SQLSTATE 42P01: Relation »x« existiert nicht", setup),
            ("canceling statement due to user request", own),
            ("deadlock detected", own),
            ("value too long for type character varying(3)", row),
        ] {
            let error = error(WRITING, DatabaseErrorKind::Unknown, message);
            let found = (error.is_the_databases_own(), error.may_be_a_rows(), error.costs_an_attempt());
            assert_eq!(found, expected, "{message}");
        }
        assert!(!error("committing", DatabaseErrorKind::Unknown, "irgendwas").costs_an_attempt());
    }

    #[test]
    fn a_full_disk_and_a_limit_are_named_where_the_database_does_not() {
        let sqlite = "database or disk is full";
        let limit = "SQLSTATE 53400: temporary file size exceeds \"temp_file_limit\" (1024kB)";
        for (doing, message, words) in [
            (STAGING, sqlite, "the stage is a temporary file: free space in the folder that TMPDIR names"),
            (WRITING, sqlite, "where the SQLite file is, and in the folder that TMPDIR names"),
            (WRITING, limit, "set temp_file_limit"),
        ] {
            let error = error(doing, DatabaseErrorKind::Unknown, message);
            assert!(error.to_string().contains(words), "{error}");
            assert!(!error.costs_an_attempt(), "{error}");
        }
        let other = error(WRITING, DatabaseErrorKind::Unknown, "SQLSTATE 53100: No space left on device");
        assert!(!other.to_string().contains("TMPDIR"), "{other}");
    }

    /// An error with all that PostgreSQL tells of one.
    struct Told;

    impl DatabaseErrorInformation for Told {
        fn message(&self) -> &'static str {
            "SQLSTATE P0001: no"
        }

        fn details(&self) -> Option<&str> {
            Some("because of\nAnn")
        }

        fn hint(&self) -> Option<&str> {
            Some("Ask ops.")
        }

        fn table_name(&self) -> Option<&str> {
            Some("orders")
        }

        fn column_name(&self) -> Option<&str> {
            Some("note")
        }

        fn constraint_name(&self) -> Option<&str> {
            Some("rule_7")
        }

        fn statement_position(&self) -> Option<i32> {
            None
        }
    }

    #[test]
    fn all_that_the_database_tells_is_kept_and_what_names_no_value_is_logged() {
        let source = Diesel::DatabaseError(DatabaseErrorKind::Unknown, Box::new(Told));
        let error = DbError::Statement { doing: WRITING, source };
        let kept = "no; detail: because of; Ann; hint: Ask ops.; constraint rule_7; column note";
        assert_eq!(error.in_full(), format!("{WRITING}: {kept}"));
        let logged = error.to_string();
        assert!(logged.contains("rejected the rows, constraint rule_7, column note (SQLSTATE P0001)"), "{logged}");
        assert!(!logged.contains("Ann") && !logged.contains("ops"), "{logged}");
    }

    #[test]
    fn a_statement_that_others_ended_says_who() {
        for (message, words) in [
            (
                "canceling statement due to user request",
                "another session cancelled dayfill's statement (pg_cancel_backend)",
            ),
            ("canceling statement due to statement timeout", "dayfill sets no statement_timeout"),
            ("FATAL:  terminating connection due to administrator command", "another session ended dayfill's session"),
            ("SQLSTATE 57P01: beende Verbindung aufgrund von Anweisung des Administrators", "(pg_terminate_backend)"),
            ("SQLSTATE 57014: storniere Anfrage wegen Benutzeraufforderung", "was cancelled (SQLSTATE 57014)"),
            ("terminating connection due to idle-in-transaction timeout", "sent nothing for claim.lease"),
        ] {
            let error = error(WRITING, DatabaseErrorKind::Unknown, message);
            assert!(error.to_string().contains(words) && error.in_full().contains(words), "{error}");
            assert!(!error.costs_an_attempt(), "{error}");
        }
        let copy = DbError::Copy(std::io::Error::other("canceling statement due to user request"));
        assert!(copy.to_string().ends_with("(pg_cancel_backend)"), "{copy}");
    }

    #[test]
    fn what_may_be_logged_holds_no_value() {
        let unknown = DatabaseErrorKind::Unknown;
        let shown = "; \"dayfill status\" and the day's page show the database's message";
        for (doing, kind, message, logged) in [
            (WRITING, unknown, "invalid input syntax for type integer: \"secret\"", "the database rejected the rows"),
            (WRITING, unknown, "SQLSTATE P0001: secret is late", "the database rejected the rows (SQLSTATE P0001)"),
            (
                COPYING,
                DatabaseErrorKind::UniqueViolation,
                "SQLSTATE 23505: secret",
                "a row violates a unique constraint (SQLSTATE 23505)",
            ),
        ] {
            let error = error(doing, kind, message);
            assert_eq!(error.to_string(), format!("{doing}: {logged}{shown}"));
            assert!(error.in_full().contains("secret") && !error.in_full().contains("SQLSTATE"), "{error:?}");
        }
        for (doing, kind, message) in [
            (WRITING, DatabaseErrorKind::UniqueViolation, "UNIQUE constraint failed: orders.id"),
            (WRITING, unknown, "deadlock detected"),
            ("committing", unknown, "anything"),
        ] {
            assert_eq!(error(doing, kind, message).to_string(), format!("{doing}: {message}"));
        }
        // A trigger that makes statements of rows' values has them in messages of any code.
        let made = error(WRITING, unknown, "SQLSTATE 42P01: relation \"secret\" does not exist");
        assert!(!made.to_string().contains("secret") && made.in_full().contains("secret"), "{made}");
    }
}
