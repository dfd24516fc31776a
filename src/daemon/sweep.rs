//! The pulse: between ticks, a look at the days that are open in the state table, whoever left them there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::active_dataset::ActiveDataset;
use super::task::TaskError;
use crate::cron;
use crate::dataset::{Dataset, DatasetName};
use crate::day::Day;
use crate::db::days::{self, OpenDayRow};
use crate::db::error::DbError;
use crate::db::paused::{self, Pause};
use crate::future_days;
use crate::load_day::{Context, FlushedOutcomes};
use crate::plan::{self, Decision, LoadMode};
use crate::state::State;

/// The daemon's datasets.
type ActiveDatasets = BTreeMap<DatasetName, Arc<ActiveDataset>>;

/// When the open days are looked at.
#[derive(Debug)]
pub(super) struct Sweeper {
    last: DateTime<Utc>,
    next: DateTime<Utc>,
    out: bool,
    /// Asked for while a look was under way.
    again: bool,
}

impl Sweeper {
    pub(super) fn new(now: DateTime<Utc>) -> Self {
        Self { last: DateTime::UNIX_EPOCH, next: now, out: false, again: false }
    }

    /// Looks as soon as can be, though not more often than each second.
    pub(super) fn soon(&mut self, now: DateTime<Utc>) {
        // Where the clock was set back, the last look seems to be yet to come.
        self.last = self.last.min(now);
        self.next = self.next.min(now.max(self.last + TimeDelta::seconds(1)));
        self.again = self.out;
    }

    pub(super) fn is_due(&self, now: DateTime<Utc>) -> bool {
        !self.out && self.next <= now
    }

    /// True while a look is under way.
    pub(super) fn is_out(&self) -> bool {
        self.out
    }

    /// When the next look is due, if none is under way.
    pub(super) fn next(&self) -> Option<DateTime<Utc>> {
        (!self.out).then_some(self.next)
    }

    pub(super) fn begun(&mut self, now: DateTime<Utc>) {
        self.last = now;
        self.out = true;
    }

    /// Aims at the next look: when the next day is due, and in time to take a dead worker's days within a lease.
    pub(super) fn ended(&mut self, now: DateTime<Utc>, lease: Duration, next_in: Option<Duration>) {
        let third = (lease / 3).clamp(Duration::from_millis(300), Duration::from_secs(30));
        self.out = false;
        let pause = next_in.map_or(third, |next| next.min(third));
        self.next = now + pause;
        if std::mem::take(&mut self.again) {
            self.soon(now);
        }
    }
}

/// The open days, and the database's clock when they were read.
pub(super) struct Open {
    days: Vec<OpenDayRow>,
    now: DateTime<Utc>,
    /// The datasets that are paused.
    pub(super) paused: Vec<Pause>,
    /// The datasets of which days of the future were forgotten.
    pub(super) forgot: Vec<DatasetName>,
}

/// What a look came to.
pub(super) struct SweepResult {
    /// The open days.
    pub(super) open: Result<Open, TaskError>,
    /// How attempts ended that the database was not there to be told of.
    pub(super) told: FlushedOutcomes,
}

/// Tells the database what it was not there to be told, and reads the open days, whatever came of the telling. It is
/// the first to find out that the database is gone, since it does not wait for the pool, which tries for long. `older`
/// are what loads that began before a reload still work with. Days of the future by `now` are forgotten.
pub(super) fn sweep(
    context: &Context,
    older: &[Arc<Context>],
    members: &ActiveDatasets,
    now: DateTime<Utc>,
) -> SweepResult {
    let mut told = FlushedOutcomes::default();
    for context in older.iter().map(Arc::as_ref).chain([context]).filter(|context| context.has_pending()) {
        match context.database.conn_at_once() {
            Ok(mut conn) => {
                let FlushedOutcomes { datasets, all, error } = context.flush_pending(&mut conn, None);
                told.datasets.extend(datasets);
                told.all.extend(all);
                told.error = told.error.or(error);
            }
            Err(error) => told.error = Some(error),
        }
    }
    SweepResult { open: open(context, members, now).map_err(TaskError::from), told }
}

fn open(context: &Context, members: &ActiveDatasets, now: DateTime<Utc>) -> Result<Open, DbError> {
    let mut conn = context.database.conn_at_once()?;
    let (days, database_now) = days::open(&mut conn)?;
    let paused = paused::list(&mut conn)?;
    let mut open = Open { days, now: *database_now, paused, forgot: Vec::new() };
    for (name, (dataset, today)) in open.of_the_future(members, now) {
        match future_days::forget(&mut conn, dataset, today) {
            Ok(true) => open.forgot.push(name),
            Ok(false) => {}
            // What else the look found counts all the same, and the next one tries again.
            Err(error) => log::debug!("{name}: forgetting days of the future: {error}"),
        }
    }
    Ok(open)
}

/// The days that are due, by dataset, and how long until the next one is.
pub(super) struct Due {
    pub(super) days: BTreeMap<DatasetName, Vec<Day>>,
    pub(super) next_in: Option<Duration>,
}

impl Open {
    /// The datasets of which days of the future wait, each with the date of today.
    fn of_the_future<'a>(
        &self,
        members: &'a ActiveDatasets,
        now: DateTime<Utc>,
    ) -> BTreeMap<DatasetName, (&'a Dataset, Day)> {
        let mut found = BTreeMap::new();
        for open in self.days.iter().filter(|open| open.known.state == State::Waiting) {
            let Some(member) = open.dataset.parse().ok().and_then(|name: DatasetName| members.get(&name)) else {
                continue;
            };
            let dataset = &member.job.dataset;
            let today = future_days::today(dataset, now, self.now);
            if open.day > today {
                found.insert(dataset.name.clone(), (dataset, today));
            }
        }
        found
    }

    /// Which of the open days are due. Days that no schedule wants are a person's alone.
    pub(super) fn due(&self, members: &ActiveDatasets) -> Due {
        let mut days: BTreeMap<DatasetName, Vec<Day>> = BTreeMap::new();
        let mut next_in: Option<TimeDelta> = None;
        for open in &self.days {
            let Some(member) = open.dataset.parse().ok().and_then(|name: DatasetName| members.get(&name)) else {
                continue;
            };
            let dataset = &member.job.dataset;
            let last_tick = cron::last_tick(&dataset.schedule, Utc::now());
            if !plan::is_wanted(&dataset.schedule, last_tick, open.day) {
                continue;
            }
            match plan::decide(Some(&open.known), LoadMode::Due, self.now, &dataset.policy) {
                Decision::Load(_) | Decision::Settle(_) => {
                    days.entry(dataset.name.clone()).or_default().push(open.day);
                }
                Decision::Skip(_) => {
                    let left =
                        open.known.next_look.map(|next| next - self.now).filter(|left| *left > TimeDelta::zero());
                    next_in = next_in.into_iter().chain(left).min();
                }
            }
        }
        Due { days, next_in: next_in.and_then(|left| left.to_std().ok()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_mins(1);

    fn at(time: &str) -> DateTime<Utc> {
        format!("2019-04-02T{time}Z").parse().unwrap()
    }

    /// A pulse whose last look began and ended at that time.
    fn looked(now: &str) -> Sweeper {
        let mut pulse = Sweeper::new(at(now));
        pulse.begun(at(now));
        pulse.ended(at(now), LEASE, None);
        pulse
    }

    #[test]
    fn it_looks_within_a_third_of_a_lease_and_when_the_next_day_is_due() {
        let mut pulse = looked("12:00:00");
        assert_eq!(pulse.next(), Some(at("12:00:20")));
        pulse.begun(at("12:00:20"));
        pulse.ended(at("12:00:20"), LEASE, Some(Duration::from_secs(5)));
        assert_eq!(pulse.next(), Some(at("12:00:25")));
    }

    #[test]
    fn it_looks_soon_when_asked_to_but_not_twice_within_a_second() {
        let mut pulse = looked("12:00:00");
        pulse.soon(at("12:00:00"));
        assert!(!pulse.is_due(at("12:00:00")));
        assert!(pulse.is_due(at("12:00:01")));
        pulse.soon(at("12:00:10"));
        assert_eq!(pulse.next(), Some(at("12:00:01")), "the sooner of the two");
    }

    #[test]
    fn what_is_asked_for_while_it_looks_is_looked_for_next() {
        let mut pulse = looked("12:00:00");
        pulse.begun(at("12:00:20"));
        pulse.soon(at("12:00:21"));
        assert_eq!(pulse.next(), None, "it is out");
        pulse.ended(at("12:00:22"), LEASE, None);
        assert_eq!(pulse.next(), Some(at("12:00:22")));
    }

    #[test]
    fn a_clock_set_back_does_not_make_it_wait_for_the_old_time() {
        let mut pulse = looked("12:00:00");
        pulse.soon(at("03:00:00"));
        assert!(pulse.next().is_some_and(|next| next <= at("03:00:01")), "{pulse:?}");
    }
}
