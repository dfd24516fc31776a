//! Which errors of a database are its own trouble, the setup's or a row's: by SQLSTATE, or by the message's words.

use diesel::result::DatabaseErrorKind;

pub(super) const COPYING: &str = "copying rows to the stage";
pub(super) const STAGING: &str = "staging a row";
pub(super) const DELETING: &str = "taking the day's old rows out of the target";
pub(super) const WRITING: &str = "writing rows to the target";
pub(super) const CONSTRAINTS: &str = "checking the target's deferred constraints";
pub(super) const COUNTING: &str = "counting staged rows";
pub(super) const COMPUTING: &str = "computing rows.where and rows.derive";
pub(super) const DOUBLES: &str = "looking for doubled keys";

/// What is done with a day's rows: an error of these may be a row's fault, and its message may hold a row's values.
/// All other statements are about dayfill's own tables, where no row of a file can be wrong.
pub(super) const OF_ROWS: [&str; 8] = [COPYING, STAGING, DELETING, WRITING, CONSTRAINTS, COUNTING, COMPUTING, DOUBLES];

/// SQLite's words where another holds the lock.
pub(super) const FILE_HELD: &str = "database is locked";

/// Words of PostgreSQL's and SQLite's messages for troubles that are not the data's fault, for where no SQLSTATE is
/// known: diesel does not hand it out.
pub(super) const NOT_THE_DATAS_FAULT: &[&str] = &[
    "No space left on device",
    "could not extend file",
    "out of memory",
    "out of shared memory",
    "terminating connection",
    "the database system is",
    "canceling statement due to",
    "deadlock detected",
    "remaining connection slots",
    "too many clients",
    "cannot execute",
    "database or disk is full",
    "disk I/O error",
    "could not write",
    "temp_file_limit",
    "could not read block",
    "could not open file",
    "attempt to write a readonly database",
    FILE_HELD,
    "server closed the connection",
    "SSL connection has been closed",
    "connection to server",
    "no connection to the server",
    "Broken pipe",
    "Connection reset",
];

/// Classes of SQLSTATE, and whole codes, for the same (PostgreSQL's manual, appendix A): connections, rollbacks by
/// conflict, resources, intervention by operators, the system, a lock that is not available, corrupted data.
pub(super) const STATES_OF_THE_DATABASE: [&str; 8] = ["08", "40", "53", "57", "58", "55P03", "25006", "XX00"];

/// Classes that no row of a file can cause: features, transactions, authorization, names, syntax, prerequisites.
pub(super) const STATES_OF_THE_SETUP: [&str; 11] = ["0A", "25", "26", "28", "3D", "3F", "42", "55", "72", "F0", "HV"];

/// The code of a right that is lacking, and of a row that a policy of row-level security does not take.
pub(super) const DENIED: &str = "42501";

/// What a statement that reports its SQLSTATE puts before its message.
pub(super) const SQLSTATE: &str = "SQLSTATE ";

/// The SQLSTATE, where it is known, and the message.
pub(super) fn parts(message: &str) -> (Option<&str>, &str) {
    let coded = message.strip_prefix(SQLSTATE).and_then(|rest| rest.split_once(": "));
    coded.map_or((None, message), |(code, message)| (Some(code), message))
}

pub(super) fn is_one_of(code: &str, classes: &[&str]) -> bool {
    classes.iter().any(|class| code.starts_with(class))
}

/// True when the database itself is in trouble.
pub(super) fn is_own(kind: DatabaseErrorKind, message: &str) -> bool {
    let by_kind = matches!(
        kind,
        DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::UnableToSendCommand
            | DatabaseErrorKind::SerializationFailure
            | DatabaseErrorKind::ReadOnlyTransaction
    );
    by_kind
        || match parts(message) {
            // An internal error may come of a row, as an extension's that does not understand a value.
            (Some("XX000"), _) => false,
            (Some(code), _) => is_one_of(code, &STATES_OF_THE_DATABASE),
            (None, message) => NOT_THE_DATAS_FAULT.iter().any(|words| message.contains(words)),
        }
}
