//! Ctrl-C and SIGTERM: before anything has begun, the first ends the process at once; then the first asks loads in flight
//! to end before they publish, and the second ends the process.
//! Either way no day is left half: what was not committed never was.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};

use crate::load_day::Stop;

/// Asks for the stop at the first signal; at the second the process ends with exit code 130, and at the first already
/// where nothing has `begun`, since whatever it waits for then holds nothing of a day.
///
/// # Errors
/// The system's error when the signals cannot be listened for.
pub fn on_signal(runtime: &Handle, stop: Stop, begun: Arc<AtomicBool>) -> std::io::Result<()> {
    let _inside = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    runtime.spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if stop.is_abandoned() || !begun.load(Ordering::Acquire) {
                std::process::exit(130);
            }
            // First done, then said: after the words no day is published any more.
            stop.abandon();
            log::warn!("shutting down: no further day is published; signal again to end at once");
        }
    });
    Ok(())
}
