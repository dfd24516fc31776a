//! Loads that users asked for: follows their days until each has an outcome. The activity log is written elsewhere.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::dataset::DatasetName;
use crate::day::Day;
use crate::events::{DayEvent, PublishedEvent, Subscriber};
use crate::load_outcome::LoadOutcome;
use crate::plan::{LoadMode, SkipReason};
use crate::state::State;
use crate::wording::ended;

/// So many are kept. One of which a day never comes to anything, because older days hold it back, is no reason to keep
/// more and more.
const MOST: usize = 1000;

/// Loads asked for by hand, under way, oldest first.
#[derive(Debug, Default)]
pub struct ManualLoads(Mutex<Vec<ManualLoad>>);

#[derive(Debug)]
struct ManualLoad {
    /// Its entry in the activity log.
    entry: i64,
    dataset: DatasetName,
    /// What came of each day, where something did.
    days: BTreeMap<Day, Option<&'static str>>,
    /// How its days are asked for by name: what becomes of them otherwise, or by a load that began before, does not end
    /// it. `None` is a catch-up, to which it is all one who loads a day.
    ask: Option<LoadMode>,
    since: Instant,
    /// The activity log says that it is accepted: it may say how it ended.
    written: bool,
}

/// How an order ended.
#[derive(Debug, PartialEq, Eq)]
pub struct EndedLoad {
    /// Its entry in the activity log.
    pub entry: i64,
    /// The dataset.
    pub dataset: DatasetName,
    /// What came of its days: `done: 59 days: 57 loaded, 1 refused, 1 waiting`.
    pub outcome: String,
}

impl ManualLoads {
    fn all(&self) -> MutexGuard<'_, Vec<ManualLoad>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the days of an order from here on; before the daemon is asked for them, so that nothing is missed.
    pub fn begin(&self, entry: i64, dataset: &DatasetName, days: impl IntoIterator<Item = Day>, ask: Option<LoadMode>) {
        let days: BTreeMap<Day, Option<&str>> = days.into_iter().map(|day| (day, None)).collect();
        let mut all = self.all();
        if days.is_empty() {
            return;
        }
        if all.len() >= MOST {
            all.remove(0);
        }
        all.push(ManualLoad { entry, dataset: dataset.clone(), days, ask, since: Instant::now(), written: false });
    }

    /// Notes that the activity log has the order: what it says of its end comes later.
    pub fn written(&self, entry: i64) {
        self.all().iter_mut().filter(|order| order.entry == entry).for_each(|order| order.written = true);
    }

    /// Follows an order no longer: it was turned down.
    pub fn forget(&self, entry: i64) {
        self.all().retain(|order| order.entry != entry);
    }

    /// Records how a day ended. One that was interrupted, that the source or the database failed, or that another load of
    /// this process has, is tried again.
    fn record(&self, event: &DayEvent) {
        let word = match &event.outcome {
            LoadOutcome::Loaded | LoadOutcome::Unchanged { .. } => State::Loaded.name(),
            LoadOutcome::Waiting { .. }
            | LoadOutcome::Absent { .. }
            | LoadOutcome::Failed { .. }
            | LoadOutcome::Blocked { .. }
            | LoadOutcome::Refused { .. }
            | LoadOutcome::Settled(_) => event.outcome.name(),
            LoadOutcome::Cancelled { .. } => "cancelled",
            LoadOutcome::Lost | LoadOutcome::Left(SkipReason::Busy) => "left to another process",
            LoadOutcome::Left(SkipReason::Done(State::Loaded)) => "already loaded",
            LoadOutcome::Interrupted
            | LoadOutcome::Unavailable(_)
            | LoadOutcome::DatabaseFailed { .. }
            | LoadOutcome::Left(SkipReason::Here) => return,
            LoadOutcome::Left(_) => "left alone",
        };
        let began = Instant::now().checked_sub(event.elapsed);
        let is_of =
            |order: &ManualLoad| order.ask == Some(event.mode) && began.is_some_and(|began| began >= order.since);
        let is_meant =
            |order: &&mut ManualLoad| order.dataset == event.dataset && (order.ask.is_none() || is_of(order));
        for order in self.all().iter_mut().filter(is_meant) {
            order.days.entry(event.day).and_modify(|ended| *ended = Some(word));
        }
    }

    /// True when some order has ended.
    pub fn may_have_ended(&self) -> bool {
        self.all().iter().any(ManualLoad::is_over)
    }

    /// Takes the orders of which every day came to something.
    pub fn take_ended(&self) -> Vec<EndedLoad> {
        self.all().extract_if(.., |order| order.is_over()).map(EndedLoad::of).collect()
    }
}

impl Subscriber for ManualLoads {
    fn receive(&self, event: &PublishedEvent) {
        if let PublishedEvent::Day(event) = event {
            self.record(event);
        }
    }
}

impl ManualLoad {
    fn is_over(&self) -> bool {
        self.written && self.days.values().all(Option::is_some)
    }
}

impl EndedLoad {
    fn of(order: ManualLoad) -> Self {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for result in order.days.values().flatten() {
            *counts.entry(result).or_default() += 1;
        }
        Self { entry: order.entry, dataset: order.dataset, outcome: ended(counts) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load_outcome::LoadError;

    fn event(day: &str, outcome: LoadOutcome, mode: LoadMode) -> DayEvent {
        DayEvent { mode, ..DayEvent::sample(day, outcome) }
    }

    #[test]
    fn an_order_ends_when_each_of_its_days_came_to_something() {
        let orders = ManualLoads::default();
        let (name, other): (DatasetName, DatasetName) = ("orders".parse().unwrap(), "returns".parse().unwrap());
        let days = ["2024-03-01", "2024-03-02", "2024-03-03"];
        let named = Some(LoadMode::Named);
        orders.begin(7, &name, days.map(|day| day.parse().unwrap()), named);
        let retry_in = Duration::ZERO;
        let waiting = LoadOutcome::Waiting { url: String::new(), why: String::new(), again: false, retry_in };
        let refused = LoadOutcome::Refused { error: LoadError::new("too many"), file: None };
        orders.record(&DayEvent { dataset: other, ..event(days[0], LoadOutcome::Loaded, LoadMode::Named) });
        orders.record(&event(days[0], LoadOutcome::Loaded, LoadMode::Named));
        orders.record(&event(days[1], refused, LoadMode::Named));
        orders.record(&event(days[2], LoadOutcome::Interrupted, LoadMode::Named));
        orders.written(7);
        assert_eq!(orders.take_ended(), []);
        orders.record(&event(days[2], waiting, LoadMode::Named));
        let outcome = "done: 3 days: 1 loaded, 1 refused, 1 waiting".to_owned();
        assert_eq!(orders.take_ended(), [EndedLoad { entry: 7, dataset: name.clone(), outcome }]);
        assert_eq!(orders.take_ended(), []);
        // What ended before the activity log has it waits for that.
        orders.begin(8, &name, [days[0].parse().unwrap()], None);
        orders.record(&event(days[0], LoadOutcome::Loaded, LoadMode::Tick));
        assert_eq!(orders.take_ended(), []);
        orders.written(8);
        assert_eq!(orders.take_ended().len(), 1);
        orders.begin(9, &name, [days[0].parse().unwrap()], None);
        orders.forget(9);
        assert!(orders.all().is_empty());
    }

    #[test]
    fn what_other_loads_of_this_process_do_ends_a_catch_up_and_no_order_for_named_days() {
        let orders = ManualLoads::default();
        let name: DatasetName = "orders".parse().unwrap();
        let (day, named, forced) = ("2024-03-01", Some(LoadMode::Named), Some(LoadMode::Forced));
        for (entry, ask) in [(1, named), (2, forced), (3, None)] {
            orders.begin(entry, &name, [day.parse().unwrap()], ask);
            orders.written(entry);
        }
        let ended = |outcome, mode| {
            orders.record(&event(day, outcome, mode));
            orders.take_ended().into_iter().map(|order| (order.entry, order.outcome)).collect::<Vec<_>>()
        };
        for mode in [LoadMode::Named, LoadMode::Forced, LoadMode::Due] {
            assert_eq!(ended(LoadOutcome::Left(SkipReason::Here), mode), [], "it waits");
        }
        assert_eq!(ended(LoadOutcome::Loaded, LoadMode::Due), [(3, "done: 1 day: 1 loaded".to_owned())]);
        let loaded = LoadOutcome::Left(SkipReason::Done(State::Loaded));
        assert_eq!(ended(loaded, LoadMode::Named), [(1, "done: 1 day: 1 already loaded".to_owned())]);
        let elapsed = Duration::from_mins(1);
        orders.record(&DayEvent { elapsed, ..event(day, LoadOutcome::Loaded, LoadMode::Forced) });
        assert_eq!(orders.take_ended(), [], "it began before that was asked for");
        assert_eq!(ended(LoadOutcome::Loaded, LoadMode::Forced), [(2, "done: 1 day: 1 loaded".to_owned())]);
    }
}
