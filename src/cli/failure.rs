//! Why a command could not do its work, with the exit code that says so.

use std::fmt;

use anstyle::{AnsiColor, Style};

use crate::config::Problems;
use crate::db::error::DbError;
use crate::db::target::TargetError;
use crate::exit_code::ExitCode;

/// The colour of what went wrong.
pub(super) const RED: Style = AnsiColor::Red.on_default().bold();

/// Why a command could not do its work.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: ExitCode,
    message: String,
}

impl Failure {
    pub(super) fn new(code: ExitCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::new(ExitCode::Configuration, format!("the configuration is wrong:\n{problems}"))
    }
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        let code = match &error {
            DbError::Setup(_) => ExitCode::Configuration,
            error if error.is_unreachable() => ExitCode::Database,
            _ => ExitCode::Failed,
        };
        Self::new(code, error.to_string())
    }
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Self {
        match error {
            TargetError::Db(error) => error.into(),
            wrong => Self::new(ExitCode::Configuration, wrong.to_string()),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(ExitCode::Failed, error.to_string())
    }
}
