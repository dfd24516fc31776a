//! Why an attempt ended without publishing, as its log tells it.

use super::Problem;

/// Why an attempt ended without publishing, without the values of rows that errors may hold: the day's error has them.
pub(super) fn why(problem: &Problem) -> String {
    match problem {
        Problem::NotThere { why, .. } => format!("the file is not there: {why}"),
        Problem::Source(error) => format!("failed: {error}"),
        Problem::Refused { error, .. } => format!("refused: {error}"),
        Problem::Unchanged => "the file's content is the one that was loaded".to_owned(),
        Problem::Lost => "another process took the day over".to_owned(),
        Problem::Interrupted => "interrupted before publishing".to_owned(),
        Problem::Db(error) if error.is_the_databases_own() => format!("the database failed: {error}"),
        Problem::Db(_) => "the database refused what was written to it".to_owned(),
    }
}
