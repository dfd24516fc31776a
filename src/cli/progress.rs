//! The progress bar of a load: days, rows, bytes, rate and the time left. Only on a terminal.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, MultiProgress, ProgressBar, ProgressStyle};

use crate::load_day::Progress;
use crate::wording::plural;

/// How often the numbers are drawn anew.
const REDRAW: Duration = Duration::from_millis(200);

/// A bar that draws itself until it is dropped.
pub(super) struct Bar {
    drawn: ProgressBar,
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Bar {
    /// A bar over the days to load; `None` where standard error is no terminal.
    pub(super) fn start(bars: &MultiProgress, progress: Arc<Progress>) -> Option<Self> {
        if !io::stderr().is_terminal() {
            return None;
        }
        let style = ProgressStyle::with_template("{bar:24} days {pos}/{len}  {msg}  {eta} left").ok()?;
        let bar = bars.add(ProgressBar::new(0).with_style(style));
        let (end, ended) = mpsc::channel();
        let drawn = bar.clone();
        let began = Instant::now();
        let thread = std::thread::spawn(move || {
            while ended.recv_timeout(REDRAW) == Err(RecvTimeoutError::Timeout) {
                drawn.set_length(progress.days.load(Ordering::Relaxed));
                drawn.set_message(numbers(&progress, began.elapsed()));
            }
        });
        Some(Self { drawn: bar, end: Some(end), thread: Some(thread) })
    }

    /// One more day has ended.
    pub(super) fn day_ended(&self) {
        self.drawn.inc(1);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
        self.drawn.finish_and_clear();
    }
}

fn numbers(progress: &Progress, elapsed: Duration) -> String {
    let rows = progress.rows.load(Ordering::Relaxed);
    let bytes = progress.bytes.load(Ordering::Relaxed);
    let rate = u128::from(rows) * 1_000 / elapsed.as_millis().max(1);
    let rate = HumanCount(u64::try_from(rate).unwrap_or(u64::MAX));
    let known = progress.bytes_known.load(Ordering::Relaxed);
    let noun = plural(rows, "row");
    format!("{} {noun}, {rate} rows/s, {} of {}", HumanCount(rows), HumanBytes(bytes), HumanBytes(known))
}
