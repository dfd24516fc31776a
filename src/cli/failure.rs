//! Why a command could not do its work, with the exit code that says so.

use std::fmt;

use anstyle::{AnsiColor, Style};

use crate::config::Problems;
use crate::db::error::DbError;
use crate::db::target::TargetError;
use crate::exit_code::ExitCode;
use crate::wording::printable;

/// The colour of what went wrong.
pub(super) const RED: Style = AnsiColor::Red.on_default().bold();

/// Why a command could not do its work.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: ExitCode,
    lines: Vec<String>,
}

impl Failure {
    /// What is said on one line, whoever's words are in it.
    pub(super) fn new(code: ExitCode, message: impl AsRef<str>) -> Self {
        Self::of_lines(code, [message])
    }

    /// What is said on several lines.
    pub(super) fn of_lines(code: ExitCode, lines: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        Self { code, lines: lines.into_iter().map(|line| printable(line.as_ref(), usize::MAX)).collect() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.join("\n"))
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        let problems = problems.0.iter().map(ToString::to_string);
        Self::of_lines(ExitCode::Configuration, ["the configuration is wrong:".to_owned()].into_iter().chain(problems))
    }
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        let code = match &error {
            // Of which there may be several.
            DbError::Setup(problems) => return Self::of_lines(ExitCode::Configuration, problems.lines()),
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
            wrong => Self::of_lines(ExitCode::Configuration, wrong.to_string().lines()),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(ExitCode::Failed, error.to_string())
    }
}
