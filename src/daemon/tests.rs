//! The loop's own work, in a daemon whose loop does not turn by itself.

use chrono::TimeDelta;

use super::*;
use crate::db::url::DatabaseUrl;

/// A daemon without datasets that was not started, and what it is told.
pub(super) async fn idle() -> (Daemon, Inbox) {
    let database = DatabaseUrl::Sqlite(":memory:".into());
    let configuration = DaemonConfig {
        file: String::new(),
        jobs: Vec::new(),
        broken: Vec::new(),
        connection: DatabaseSettings { database, lease: Duration::from_mins(1), max_parallel_loads: 1 },
        keep_attempts: TimeDelta::days(400),
        read_url: Arc::new(|| None),
        grace: Duration::ZERO,
        watched: Vec::new(),
        keys: Arc::default(),
        in_force: Box::new(|| {}),
    };
    let start = Start {
        configuration,
        read: Arc::new(|| Err(Vec::new())),
        catch_up: None,
        manager: ServiceManager::new(|_| None),
        subscribers: Subscribers::default(),
    };
    Daemon::new(start, Timer::start().await.unwrap())
}

#[tokio::test]
async fn a_clock_that_was_set_ends_the_pauses_of_all_troubles() {
    let (mut daemon, _inbox) = idle().await;
    // So that nothing begins.
    daemon.stopping = Some(Instant::now() + Duration::from_hours(1));
    let hour = (Duration::from_hours(1), Duration::from_hours(1));
    daemon.sweep_trouble.record("503", hour);
    daemon.turn();
    let is_paused = |trouble: &TrackedTrouble| trouble.current().unwrap().until() > Utc::now();
    assert!(is_paused(&daemon.sweep_trouble));
    daemon.clock = ClockWatch::new(Clocks { wall: Utc::now() + TimeDelta::days(30), ..Clocks::read() });
    daemon.turn();
    assert!(!is_paused(&daemon.sweep_trouble));
}

#[tokio::test]
async fn a_fault_in_a_thread_is_heard_of() {
    let (daemon, mut inbox) = idle().await;
    daemon.thread("sweep", || panic!("a test asked for a fault"));
    let heard = tokio::time::timeout(Duration::from_secs(30), inbox.events.recv()).await;
    let Ok(Some(Event::ThreadPanicked("sweep", error))) = heard else { panic!("it was not heard of") };
    assert_eq!(error, "a fault in dayfill: a test asked for a fault");
}

#[tokio::test]
async fn what_watchers_are_told_of_can_be_seen_already() {
    let (mut daemon, _inbox) = idle().await;
    let mut news = daemon.handle.subscribe();
    daemon.read(Err(vec!["unknown key".to_owned()]));
    assert!(news.try_recv().is_err(), "the board does not show it yet");
    daemon.show();
    assert!(matches!(news.try_recv(), Ok(PublishedEvent::ConfigurationRejected { .. })));
    assert_eq!(daemon.handle.status().refused.as_deref(), Some("unknown key"));
}
