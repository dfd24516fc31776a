//! The timer: it rings at one instant, the earliest that anybody waits for.
//!
//! tokio-cron-scheduler keeps the watch and decides nothing. It looks at the wall clock every 500 ms, so a ring is late
//! by as much. Its own cron jobs are not used: they take a zone's offset at creation for good, may overlap, and go
//! through a channel that can lose an activation. So one one-shot job is armed at a time, whoever is woken looks what
//! is due, and the clock is looked at here as well, once a minute, in case a ring was lost.

use std::time::Duration;

use chrono::{DateTime, Timelike, Utc};
use tokio::sync::watch;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use uuid::Uuid;

/// How long a lost ring can go unnoticed.
const SECOND_LOOK: Duration = Duration::from_mins(1);

/// Why the timer cannot be relied on.
#[derive(Debug, thiserror::Error)]
pub enum TimerError {
    /// The crate's loop did not start.
    #[error("the scheduler did not start ({0})")]
    Start(#[source] JobSchedulerError),
    /// No job could be armed, or the last one not be taken back.
    #[error("the scheduler could not be armed ({0})")]
    Arm(#[source] JobSchedulerError),
}

/// Rings at one instant. Its loop ends with the runtime it was started on.
pub struct Timer {
    scheduler: JobScheduler,
    armed: Option<Armed>,
    /// The job that rang last.
    fired: watch::Sender<Option<Uuid>>,
}

#[derive(Debug, Clone, Copy)]
struct Armed {
    at: DateTime<Utc>,
    job: Uuid,
}

impl Timer {
    /// A timer that is not armed.
    ///
    /// # Errors
    /// [`TimerError::Start`]
    pub async fn start() -> Result<Self, TimerError> {
        let scheduler = JobScheduler::new().await.map_err(TimerError::Start)?;
        scheduler.start().await.map_err(TimerError::Start)?;
        Ok(Self { scheduler, armed: None, fired: watch::Sender::new(None) })
    }

    /// Arms the timer for that instant, in place of the one it is armed for. An instant in the past rings at once.
    ///
    /// # Errors
    /// [`TimerError::Arm`]
    pub async fn arm(&mut self, at: DateTime<Utc>) -> Result<(), TimerError> {
        if self.armed.is_some_and(|armed| armed.at == at) {
            return Ok(());
        }
        if let Some(last) = self.armed.take() {
            self.scheduler.remove(&last.job).await.map_err(TimerError::Arm)?;
        }
        let fired = self.fired.clone();
        let fire = move |job, _| {
            fired.send_replace(Some(job));
        };
        let job = Job::new_one_shot(whole_seconds(Utc::now(), at), fire).map_err(TimerError::Arm)?;
        let job = self.scheduler.add(job).await.map_err(TimerError::Arm)?;
        self.armed = Some(Armed { at, job });
        Ok(())
    }

    /// Waits until the wall clock has reached the armed instant; the timer is not armed any more then. For ever, while
    /// it is not armed. Dropping the wait loses no ring.
    pub async fn wait(&mut self) {
        let Some(armed) = self.armed else { return std::future::pending().await };
        let mut fired = self.fired.subscribe();
        let fire = fired.wait_for(|job| *job == Some(armed.job));
        tokio::select! {
            _ = fire => {}
            () = passed(armed.at) => {
                log::debug!("the ring of {} was lost", armed.at);
                // A fired job is cleared by the crate. What could not be removed is not there.
                drop(self.scheduler.remove(&armed.job).await);
            }
        }
        self.armed = None;
    }
}

/// Looks at the wall clock from time to time until the instant is well past.
async fn passed(at: DateTime<Utc>) {
    loop {
        tokio::time::sleep(SECOND_LOOK).await;
        if Utc::now() >= at {
            return;
        }
    }
}

/// The seconds to give the crate, which adds them to the whole seconds of its own now: up from the begin of this second
/// to the first whole second not before `at`, so that it never rings early and whoever is woken does not look in vain.
fn whole_seconds(now: DateTime<Utc>, at: DateTime<Utc>) -> Duration {
    if at <= now {
        return Duration::ZERO;
    }
    let up = i64::from(at.nanosecond() > 0);
    let seconds = at.timestamp().saturating_add(up).saturating_sub(now.timestamp());
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    /// Only so that a failing test ends.
    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn an_instant_in_the_past_rings_and_the_next_one_too() {
        let mut timer = Timer::start().await.unwrap();
        for past in [TimeDelta::seconds(1), TimeDelta::days(400)] {
            timer.arm(Utc::now() - past).await.unwrap();
            tokio::time::timeout(PATIENCE, timer.wait()).await.unwrap();
            assert!(timer.armed.is_none());
        }
    }

    #[tokio::test]
    async fn it_does_not_ring_early() {
        let mut timer = Timer::start().await.unwrap();
        let at = Utc::now() + TimeDelta::milliseconds(700);
        timer.arm(at).await.unwrap();
        tokio::time::timeout(PATIENCE, timer.wait()).await.unwrap();
        assert!(Utc::now() >= at);
    }

    #[tokio::test]
    async fn another_instant_takes_the_place_of_the_armed_one() {
        let mut timer = Timer::start().await.unwrap();
        let far = Utc::now() + TimeDelta::days(1);
        timer.arm(far).await.unwrap();
        let first = timer.armed.unwrap().job;
        timer.arm(far).await.unwrap();
        assert_eq!(timer.armed.unwrap().job, first);
        timer.arm(Utc::now()).await.unwrap();
        tokio::time::timeout(PATIENCE, timer.wait()).await.unwrap();
        // An instant that rang can be armed anew: the clock may have been set back.
        timer.arm(far).await.unwrap();
        assert_ne!(timer.armed.unwrap().job, first);
        let left = timer.scheduler.context().metadata_storage.write().await.get(first).await.unwrap();
        assert!(left.is_none(), "the replaced job is gone");
    }

    #[tokio::test]
    async fn a_replaced_instant_does_not_ring_for_the_next() {
        let mut timer = Timer::start().await.unwrap();
        timer.arm(Utc::now()).await.unwrap();
        let first = timer.armed.unwrap().job;
        let mut fired = timer.fired.subscribe();
        tokio::time::timeout(PATIENCE, fired.wait_for(|job| *job == Some(first))).await.unwrap().unwrap();
        timer.arm(Utc::now() + TimeDelta::days(1)).await.unwrap();
        let fire = timer.wait();
        tokio::pin!(fire);
        assert!(futures_util::poll!(fire).is_pending());
    }

    #[test]
    fn seconds_are_rounded_so_that_no_ring_is_early() {
        for (now, at, seconds) in [
            ("2025-01-01T00:00:10Z", "2025-01-01T00:00:12Z", 2),
            ("2025-01-01T00:00:10.900Z", "2025-01-01T00:00:12Z", 2),
            ("2025-01-01T00:00:10.900Z", "2025-01-01T00:00:12.001Z", 3),
            ("2025-01-01T00:00:10.100Z", "2025-01-01T00:00:10.200Z", 1),
            ("2025-01-01T00:00:10.900Z", "2025-01-01T00:00:10.900Z", 0),
            ("2025-01-01T00:00:10.900Z", "2025-01-01T00:00:10.800Z", 0),
            ("2025-01-01T00:00:10Z", "2024-01-01T00:00:10Z", 0),
        ] {
            let found = whole_seconds(now.parse().unwrap(), at.parse().unwrap());
            assert_eq!(found, Duration::from_secs(seconds), "{now} {at}");
        }
    }
}
