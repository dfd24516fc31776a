//! The waker: it rings at one instant, the earliest that anybody waits for.
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

/// Why the waker cannot be relied on.
#[derive(Debug, thiserror::Error)]
pub enum WakerError {
    /// The crate's loop did not start.
    #[error("the scheduler did not start ({0})")]
    Start(#[source] JobSchedulerError),
    /// No job could be armed, or the last one not be taken back.
    #[error("the scheduler could not be armed ({0})")]
    Arm(#[source] JobSchedulerError),
}

/// Rings at one instant. Its loop ends with the runtime it was started on.
pub struct Waker {
    scheduler: JobScheduler,
    armed: Option<Armed>,
    /// The job that rang last.
    bell: watch::Sender<Option<Uuid>>,
}

#[derive(Debug, Clone, Copy)]
struct Armed {
    at: DateTime<Utc>,
    job: Uuid,
}

impl Waker {
    /// A waker that is not armed.
    ///
    /// # Errors
    /// [`WakerError::Start`]
    pub async fn start() -> Result<Self, WakerError> {
        let scheduler = JobScheduler::new().await.map_err(WakerError::Start)?;
        scheduler.start().await.map_err(WakerError::Start)?;
        Ok(Self { scheduler, armed: None, bell: watch::Sender::new(None) })
    }

    /// Arms the waker for that instant, in place of the one it is armed for. An instant in the past rings at once.
    ///
    /// # Errors
    /// [`WakerError::Arm`]
    pub async fn arm(&mut self, at: DateTime<Utc>) -> Result<(), WakerError> {
        if self.armed.is_some_and(|armed| armed.at == at) {
            return Ok(());
        }
        if let Some(last) = self.armed.take() {
            self.scheduler.remove(&last.job).await.map_err(WakerError::Arm)?;
        }
        let bell = self.bell.clone();
        let ring = move |job, _| {
            bell.send_replace(Some(job));
        };
        let job = Job::new_one_shot(whole_seconds(Utc::now(), at), ring).map_err(WakerError::Arm)?;
        let job = self.scheduler.add(job).await.map_err(WakerError::Arm)?;
        self.armed = Some(Armed { at, job });
        Ok(())
    }

    /// Waits until the wall clock has reached the armed instant; the waker is not armed any more then. For ever, while
    /// it is not armed. Dropping the wait loses no ring.
    pub async fn rung(&mut self) {
        let Some(armed) = self.armed else { return std::future::pending().await };
        let mut bell = self.bell.subscribe();
        let ring = bell.wait_for(|job| *job == Some(armed.job));
        tokio::select! {
            _ = ring => {}
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
        let mut waker = Waker::start().await.unwrap();
        for past in [TimeDelta::seconds(1), TimeDelta::days(400)] {
            waker.arm(Utc::now() - past).await.unwrap();
            tokio::time::timeout(PATIENCE, waker.rung()).await.unwrap();
            assert!(waker.armed.is_none());
        }
    }

    #[tokio::test]
    async fn it_does_not_ring_early() {
        let mut waker = Waker::start().await.unwrap();
        let at = Utc::now() + TimeDelta::milliseconds(700);
        waker.arm(at).await.unwrap();
        tokio::time::timeout(PATIENCE, waker.rung()).await.unwrap();
        assert!(Utc::now() >= at);
    }

    #[tokio::test]
    async fn another_instant_takes_the_place_of_the_armed_one() {
        let mut waker = Waker::start().await.unwrap();
        let far = Utc::now() + TimeDelta::days(1);
        waker.arm(far).await.unwrap();
        let first = waker.armed.unwrap().job;
        waker.arm(far).await.unwrap();
        assert_eq!(waker.armed.unwrap().job, first);
        waker.arm(Utc::now()).await.unwrap();
        tokio::time::timeout(PATIENCE, waker.rung()).await.unwrap();
        // An instant that rang can be armed anew: the clock may have been set back.
        waker.arm(far).await.unwrap();
        assert_ne!(waker.armed.unwrap().job, first);
        let left = waker.scheduler.context().metadata_storage.write().await.get(first).await.unwrap();
        assert!(left.is_none(), "the replaced job is gone");
    }

    #[tokio::test]
    async fn a_replaced_instant_does_not_ring_for_the_next() {
        let mut waker = Waker::start().await.unwrap();
        waker.arm(Utc::now()).await.unwrap();
        let first = waker.armed.unwrap().job;
        let mut bell = waker.bell.subscribe();
        tokio::time::timeout(PATIENCE, bell.wait_for(|job| *job == Some(first))).await.unwrap().unwrap();
        waker.arm(Utc::now() + TimeDelta::days(1)).await.unwrap();
        let ring = waker.rung();
        tokio::pin!(ring);
        assert!(futures_util::poll!(ring).is_pending());
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
