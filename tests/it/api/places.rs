//! The places of those who work with the database: so many at a time, whoever still waits for them.

use std::sync::{Arc, RwLock, mpsc};
use std::time::Duration;

use dayfill::db::error::DbError;
use dayfill::db::pool::Conn;
use futures_util::FutureExt;

use crate::support::api::Api;
use crate::support::project::{Orders, Project};
use crate::support::{Database, on_both};

on_both! {
    work_that_nobody_waits_for_any_more_keeps_its_place
}

fn work_that_nobody_waits_for_any_more_keeps_its_place(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    let api = Api::start(&project, database);
    let site = api.site();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    for (changes, places) in [(false, 4), (true, 2)] {
        let gate = Arc::new(RwLock::new(()));
        let shut = gate.write().unwrap();
        let (send, begun) = mpsc::channel();
        // Asks, and goes away at once.
        let ask = || {
            let (gate, send) = (Arc::clone(&gate), send.clone());
            let work = move |_: &mut Conn| {
                send.send(()).unwrap();
                drop(gate.read());
                Ok::<_, DbError>(())
            };
            let done = if changes { site.write(work).now_or_never() } else { site.read(work).now_or_never() };
            assert!(done.is_none(), "the gate is shut: {done:?}");
        };
        for _ in 0..places {
            ask();
            begun.recv_timeout(Duration::from_secs(30)).unwrap();
        }
        ask();
        assert_eq!(Arc::strong_count(&gate), 1 + places, "one more waits for a place, and is gone with who asked");
        drop(shut);
        let free = async { if changes { site.write(nothing).await } else { site.read(nothing).await } };
        runtime.block_on(free).unwrap();
    }
}

#[expect(clippy::unnecessary_wraps, reason = "work can fail")]
fn nothing(_: &mut Conn) -> Result<(), DbError> {
    Ok(())
}
