//! What the process says to the one who started it.

use std::process;

/// The exit codes of every command. Usage errors are clap's own 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// Nothing failed and nothing was refused.
    Success,
    /// Some day failed, or the command could not do its work, for one because another process is loading a day that was
    /// named.
    Failed,
    /// The command line asks for something that there is not.
    Usage,
    /// The configuration is wrong. Where it is one dataset's, the others were loaded; else nothing was.
    Configuration,
    /// Some day was refused, none failed.
    Refused,
    /// With `--strict`: some day waits for its file.
    Waiting,
    /// The database cannot be reached.
    Database,
    /// Stopped by Ctrl-C or SIGTERM before all was done.
    Interrupted,
}

impl ExitCode {
    /// The number.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Configuration => 3,
            Self::Refused => 4,
            Self::Waiting => 5,
            Self::Database => 6,
            // As a shell reports SIGINT: 128 + 2.
            Self::Interrupted => 130,
        }
    }
}

impl From<ExitCode> for process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}
