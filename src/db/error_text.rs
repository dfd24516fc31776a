//! The text of a database error: in full, or without values of rows.

use std::fmt::Write as _;

use diesel::result::{DatabaseErrorKind, Error as Diesel};

use crate::db::error_class::{DELETING, OF_ROWS, STAGING, is_own, parts};
use crate::wording::one_line;

/// The message, and DETAIL and HINT where the database gives them.
pub(super) fn words(source: &Diesel) -> String {
    let Diesel::DatabaseError(_, information) = source else { return one_line(&source.to_string()) };
    let mut words = one_line(parts(information.message()).1);
    for (name, text) in [("detail", information.details()), ("hint", information.hint())] {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            let _ = write!(words, "; {name}: {}", one_line(text));
        }
    }
    for (name, text) in [("constraint", information.constraint_name()), ("column", information.column_name())] {
        if let Some(text) = text.filter(|text| !text.is_empty() && !words.contains(text)) {
            let _ = write!(words, "; {name} {text}");
        }
    }
    words
}

/// The message, unless it may hold values of rows; then what is known of the error without them.
pub(super) fn without_values(doing: &str, source: &Diesel) -> String {
    let Diesel::DatabaseError(kind, information) = source else { return one_line(&source.to_string()) };
    let (code, message) = parts(information.message());
    // SQLite's are its own words and names of the schema; a trigger's text is of no kind.
    let of_sqlite = information.table_name().is_none() && message.contains(" constraint failed");
    if !OF_ROWS.contains(&doing) || is_own(*kind, information.message()) || of_sqlite {
        return one_line(message);
    }
    let what = match kind {
        _ if doing == DELETING => "the database does not allow it, and mode replace_day needs it",
        DatabaseErrorKind::UniqueViolation => "a row violates a unique constraint",
        DatabaseErrorKind::ForeignKeyViolation => "a row violates a foreign key",
        DatabaseErrorKind::NotNullViolation => "a row violates a not-null constraint",
        DatabaseErrorKind::CheckViolation => "a row violates a check constraint",
        DatabaseErrorKind::RestrictViolation | DatabaseErrorKind::ExclusionViolation => "a row violates a constraint",
        _ => "the database rejected the rows",
    };
    let mut text = what.to_owned();
    for (name, value) in [("constraint", information.constraint_name()), ("column", information.column_name())] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let _ = write!(text, ", {name} {value}");
        }
    }
    if let Some(code) = code {
        let _ = write!(text, " (SQLSTATE {code})");
    }
    if doing == DELETING
        && let Some(table) = information.table_name().filter(|table| !table.is_empty())
    {
        let _ = write!(text, ", table {table}");
    }
    text + "; \"dayfill status\" and the day's page show the database's message"
}

/// Which room is full, where the database's words do not tell it.
pub(super) fn which_room(doing: &str, source: &Diesel) -> &'static str {
    let Diesel::DatabaseError(_, information) = source else { return "" };
    let message = information.message();
    // SQLite says the same of its file and of its temporary ones (https://www.sqlite.org/tempfiles.html, section 5).
    if message.contains("database or disk is full") && doing == STAGING {
        "; the stage is a temporary file: free space in the folder that TMPDIR names, else in /var/tmp"
    } else if message.contains("database or disk is full") {
        "; free space where the SQLite file is, and in the folder that TMPDIR names, else in /var/tmp"
    } else if message.contains("temp_file_limit") {
        "; it is a limit of the PostgreSQL server for the role: raise it (alter role ... set temp_file_limit), or raise \
         work_mem"
    } else {
        ""
    }
}

/// Who ended the statement or its session, where neither its rows nor dayfill did.
pub(super) fn who_ended(source: &Diesel) -> &'static str {
    let Diesel::DatabaseError(_, information) = source else { return "" };
    let (code, message) = parts(information.message());
    ended_by(code, message)
}

/// The same, by the words of PostgreSQL's postgres.c, or by the code where they are of another language. What dayfill
/// cancels itself is never told as an error.
pub(super) fn ended_by(code: Option<&str>, message: &str) -> &'static str {
    let says = |words: &str| message.contains(words);
    if says("canceling statement due to statement timeout") {
        "; dayfill sets no statement_timeout: a pooler, a function or a trigger of the target does"
    } else if says("canceling statement due to user request") {
        "; another session cancelled dayfill's statement (pg_cancel_backend)"
    } else if says("terminating connection due to idle-in-transaction timeout") {
        "; dayfill sent nothing for claim.lease, as when its process stands still"
    } else if says("terminating connection due to administrator command") || code == Some("57P01") {
        "; another session ended dayfill's session (pg_terminate_backend), or the server stopped"
    } else if code == Some("57014") {
        "; dayfill's statement was cancelled (SQLSTATE 57014)"
    } else {
        ""
    }
}
