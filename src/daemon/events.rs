//! What the daemon's loop hears of.

use std::time::Instant;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::UnboundedSender;

use super::agenda::Work;
use super::board::Asked;
use super::lane::{Came, Hindrance};
use super::link::Connected;
use super::pulse::Pulsed;
use super::reload::NewConfiguration;
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
        connected: Result<Connected, String>,
    },
    /// The open days were looked at.
    Pulsed {
        /// Which settings of the database it was done by.
        generation: u32,
        /// What the look came to.
        pulsed: Box<Pulsed>,
    },
    /// Work on a dataset ended.
    Worked {
        /// Which settings of the database it was done by.
        generation: u32,
        /// The dataset.
        name: DatasetName,
        /// The work.
        work: Work,
        /// When it began.
        began: Instant,
        /// What it came to.
        came: Result<Came, Hindrance>,
    },
    /// Attempts that were kept for long enough were cleared, so many.
    Cleared(Result<usize, DbError>),
    /// Somebody asked for something on the page.
    Asked(Asked),
    /// The configuration was read; or what is wrong with it.
    Read(Box<Result<NewConfiguration, Vec<String>>>),
    /// A thread did not end as threads should.
    Broke(&'static str, String),
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
