//! What the daemon's loop hears of.

use std::time::Instant;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::UnboundedSender;

use super::config_reader::NewConfiguration;
use super::database_session::OpenedDatabase;
use super::dataset_task::DatasetTask;
use super::sweep::SweepResult;
use super::task::{TaskError, TaskResult};
use crate::dataset::DatasetName;
use crate::db::error::DbError;

/// What the daemon's loop hears of.
pub(super) enum Event {
    /// A signal came.
    Signal(Signal),
    /// A file of the configuration may be another.
    FilesChanged,
    /// The database was connected to, or not.
    Connected {
        /// Which settings of the database it was done by.
        generation: u32,
        /// The connection, and what is paused.
        connected: Result<OpenedDatabase, String>,
    },
    /// The open days were looked at.
    SweepEnded {
        /// Which settings of the database it was done by.
        generation: u32,
        /// What the look came to.
        result: Box<SweepResult>,
    },
    /// Work on a dataset ended.
    TaskEnded {
        /// Which settings of the database it was done by.
        generation: u32,
        /// The dataset.
        name: DatasetName,
        /// The work.
        task: DatasetTask,
        /// When it began.
        began: Instant,
        /// What it came to.
        result: Result<TaskResult, TaskError>,
    },
    /// Attempts that were kept for long enough were cleared, so many.
    AttemptsCleared(Result<usize, DbError>),
    /// The configuration was read; or what is wrong with it.
    ConfigurationRead(Box<Result<NewConfiguration, Vec<String>>>),
    /// A thread did not end as threads should.
    ThreadPanicked(&'static str, String),
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGTERM and Ctrl-C.
    Stop,
    /// SIGHUP.
    Reload,
}

/// Has signals heard of.
///
/// # Errors
/// The system's error when the signals cannot be listened for.
pub(super) fn forward_signals(send: &UnboundedSender<Event>) -> std::io::Result<()> {
    let kinds = [
        (SignalKind::interrupt(), Signal::Stop),
        (SignalKind::terminate(), Signal::Stop),
        (SignalKind::hangup(), Signal::Reload),
    ];
    for (kind, asked) in kinds {
        let mut signals = signal(kind)?;
        let send = send.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                drop(send.send(Event::Signal(asked)));
            }
        });
    }
    Ok(())
}
