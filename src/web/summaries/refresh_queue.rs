//! Which summary is to be read next. Pure: it is told the time, and what was heard.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::dataset::DatasetName;

/// How old a summary gets in the background, as long as the datasets are few.
const ROUND: Duration = Duration::from_secs(10);

/// The least time between two that are read in the background, so that many datasets do not keep the database busy.
const PACE: Duration = Duration::from_millis(100);

/// The least time between two readings of one dataset: of a catch-up of years, each day is news.
const GAP: Duration = Duration::from_millis(500);

/// After a reading beside work it rests for so many times as long as that took: the first readings of a thousand
/// datasets must not hold up their first looks.
const RESTS: u32 = 3;

/// The longest such rest: a reading that hung is not to hold up the others for longer than it did.
const LONGEST_BREATH: Duration = Duration::from_secs(1);

/// How long nothing is read after the database was not there.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// Which summary is to be read next. `J` is what a dataset is made of: another one of it is another dataset.
pub(super) struct RefreshQueue<J> {
    datasets: BTreeMap<DatasetName, QueuedSummary<J>>,
    /// Those that something happened to.
    requested: BTreeSet<DatasetName>,
    /// When one was read last in the background.
    round: Option<Instant>,
    not_before: Option<Instant>,
}

struct QueuedSummary<J> {
    job: Arc<J>,
    /// When it was read last, or could not be read.
    read: Option<Instant>,
    /// It could not be read the last time.
    failed: bool,
}

impl<J> Default for RefreshQueue<J> {
    fn default() -> Self {
        Self { datasets: BTreeMap::new(), requested: BTreeSet::new(), round: None, not_before: None }
    }
}

/// How a summary was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadTiming {
    pub(super) took: Duration,
    /// Something was looked at or loaded meanwhile.
    pub(super) beside_work: bool,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NextRead {
    /// Read this one.
    Read(DatasetName),
    /// Nothing, for so long.
    Rest(Duration),
}

impl<J> RefreshQueue<J> {
    /// These are the datasets, and no others. One that is new, or another, is to be read.
    pub(super) fn set_datasets<'a>(&mut self, datasets: impl Iterator<Item = (&'a DatasetName, &'a Arc<J>)>)
    where
        J: 'a,
    {
        let mut before = std::mem::take(&mut self.datasets);
        for (name, job) in datasets {
            let old = before.remove(name).filter(|old| Arc::ptr_eq(&old.job, job));
            let entry = old.unwrap_or_else(|| QueuedSummary { job: Arc::clone(job), read: None, failed: false });
            self.datasets.insert(name.clone(), entry);
        }
        self.requested.retain(|name| self.datasets.contains_key(name));
    }

    /// Something happened to it.
    pub(super) fn request(&mut self, name: &DatasetName) {
        if self.datasets.contains_key(name) {
            self.requested.insert(name.clone());
        }
    }

    /// Something may have happened to any.
    pub(super) fn request_all(&mut self) {
        self.requested.extend(self.datasets.keys().cloned());
    }

    pub(super) fn next(&mut self, now: Instant) -> NextRead {
        let Some((at, name, in_turn)) = self.soonest(now) else { return NextRead::Rest(ROUND) };
        let (at, name) = (self.not_before.map_or(at, |not_before| at.max(not_before)), name.clone());
        if at > now {
            return NextRead::Rest(at - now);
        }
        if in_turn {
            self.round = Some(now);
        }
        NextRead::Read(name)
    }

    /// Which is to be read next and when, and whether that is because its turn comes.
    fn soonest(&self, now: Instant) -> Option<(Instant, &DatasetName, bool)> {
        if let Some((name, _)) = self.datasets.iter().find(|(_, entry)| entry.read.is_none()) {
            return Some((now, name, false));
        }
        let read = |name: &DatasetName| self.datasets.get(name).and_then(|entry| entry.read);
        let requested = self.requested.iter().filter_map(|name| Some((read(name)? + GAP, name, false))).min();
        if requested.is_some_and(|(at, ..)| at <= now) {
            return requested;
        }
        let (oldest, name) = self.datasets.iter().filter_map(|(name, entry)| Some((entry.read?, name))).min()?;
        let number = u32::try_from(self.datasets.len()).unwrap_or(u32::MAX).max(1);
        let pace = (ROUND / number).max(PACE);
        let turn = (self.round.map_or(oldest, |round| round.max(oldest)) + pace, name, true);
        requested.into_iter().chain([turn]).min()
    }

    /// It was read.
    pub(super) fn was_read(&mut self, name: &DatasetName, now: Instant, reading: ReadTiming) {
        self.record(name, now, reading, false);
    }

    /// It could not be read, and is tried again when the others have had their turn. True when it was not so before.
    pub(super) fn failed(&mut self, name: &DatasetName, now: Instant, reading: ReadTiming) -> bool {
        !self.record(name, now, reading, true)
    }

    /// Notes how it went; true when it had failed the last time.
    fn record(&mut self, name: &DatasetName, now: Instant, reading: ReadTiming, failed: bool) -> bool {
        let rest = (reading.took * RESTS).min(LONGEST_BREATH);
        self.not_before = reading.beside_work.then(|| now + rest);
        self.requested.remove(name);
        self.datasets.get_mut(name).is_some_and(|entry| {
            entry.read = Some(now);
            std::mem::replace(&mut entry.failed, failed)
        })
    }

    /// The database was not there, whichever is asked for.
    pub(super) fn rest(&mut self, now: Instant) {
        self.not_before = Some(now + AFTER_ERROR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: ReadTiming = ReadTiming { took: Duration::ZERO, beside_work: false };

    fn beside_work(took: Duration) -> ReadTiming {
        ReadTiming { took, beside_work: true }
    }

    fn names(number: usize) -> Vec<(DatasetName, Arc<()>)> {
        (0..number).map(|n| (format!("d{n:03}").parse().unwrap(), Arc::default())).collect()
    }

    fn set_datasets(due: &mut RefreshQueue<()>, names: &[(DatasetName, Arc<()>)]) {
        due.set_datasets(names.iter().map(|(name, job)| (name, job)));
    }

    /// Lets time go by in steps of 50 ms; what was read, and after how many milliseconds.
    fn pass(due: &mut RefreshQueue<()>, from: Instant, ms: u64) -> Vec<(String, u64)> {
        let mut read = Vec::new();
        for after in (0..=ms).step_by(50) {
            let now = from + Duration::from_millis(after);
            while let NextRead::Read(name) = due.next(now) {
                due.was_read(&name, now, AT_ONCE);
                read.push((name.to_string(), after));
            }
        }
        read
    }

    #[test]
    fn all_are_read_at_once_at_first_and_then_in_turn() {
        let (mut due, names, now) = (RefreshQueue::default(), names(4), Instant::now());
        set_datasets(&mut due, &names);
        assert_eq!(pass(&mut due, now, 0).len(), 4);
        let later = pass(&mut due, now + Duration::from_millis(50), 9_950);
        let times: Vec<u64> = later.iter().map(|(_, at)| at + 50).collect();
        assert_eq!(times, [2_500, 5_000, 7_500, 10_000]);
        let read: BTreeSet<&String> = later.iter().map(|(name, _)| name).collect();
        assert_eq!(read.len(), 4, "each once: {later:?}");
    }

    #[test]
    fn many_do_not_keep_the_database_busy() {
        let (mut due, names, now) = (RefreshQueue::default(), names(300), Instant::now());
        set_datasets(&mut due, &names);
        assert_eq!(pass(&mut due, now, 0).len(), 300);
        let later = pass(&mut due, now + Duration::from_millis(50), 29_950);
        let read: BTreeSet<&String> = later.iter().map(|(name, _)| name).collect();
        assert_eq!((later.len(), read.len()), (300, 300), "each once in 300 times 100 ms");
    }

    #[test]
    fn beside_work_it_rests_for_longer_than_it_reads() {
        let (mut due, names, now) = (RefreshQueue::default(), names(3), Instant::now());
        set_datasets(&mut due, &names);
        assert_eq!(due.next(now), NextRead::Read(names[0].0.clone()));
        let read = now + Duration::from_millis(10);
        due.was_read(&names[0].0, read, beside_work(Duration::from_millis(10)));
        let rest = Duration::from_millis(30);
        assert_eq!(due.next(read), NextRead::Rest(rest));
        assert_eq!(due.next(read + rest), NextRead::Read(names[1].0.clone()));
        let hung = now + Duration::from_mins(1);
        due.was_read(&names[1].0, hung, beside_work(Duration::from_secs(59)));
        assert_eq!(due.next(hung), NextRead::Rest(LONGEST_BREATH));
        let alone = ReadTiming { took: Duration::from_secs(59), beside_work: false };
        due.was_read(&names[1].0, hung, alone);
        assert_eq!(due.next(hung), NextRead::Read(names[2].0.clone()), "nobody is held up");
    }

    #[test]
    fn nobody_is_woken_when_a_rest_is_over_and_nothing_is_due() {
        let (mut due, names, now) = (RefreshQueue::default(), names(1), Instant::now());
        set_datasets(&mut due, &names);
        due.was_read(&names[0].0, now, beside_work(Duration::from_millis(10)));
        assert_eq!(due.next(now), NextRead::Rest(ROUND));
    }

    #[test]
    fn what_something_happened_to_is_read_at_once_but_not_all_the_time() {
        let (mut due, names, now) = (RefreshQueue::default(), names(2), Instant::now());
        set_datasets(&mut due, &names);
        pass(&mut due, now, 0);
        let news = now + Duration::from_secs(1);
        due.request(&names[1].0);
        assert_eq!(pass(&mut due, news, 100), [("d001".to_owned(), 0)]);
        due.request(&names[1].0);
        assert_eq!(pass(&mut due, news + Duration::from_millis(150), 900), [("d001".to_owned(), 350)]);
        assert!(matches!(due.next(news), NextRead::Rest(rest) if rest <= Duration::from_secs(5)));
    }

    #[test]
    fn one_that_came_or_changed_is_read_and_one_that_went_is_not() {
        let (mut due, mut names, now) = (RefreshQueue::default(), names(2), Instant::now());
        set_datasets(&mut due, &names);
        pass(&mut due, now, 0);
        due.request(&names[0].0);
        names.remove(0);
        names[0].1 = Arc::default();
        set_datasets(&mut due, &names);
        assert_eq!(pass(&mut due, now, 1_000), [("d001".to_owned(), 0)]);
    }

    #[test]
    fn one_that_cannot_be_read_comes_behind_the_others_and_is_news_once() {
        let (mut due, names, now) = (RefreshQueue::default(), names(2), Instant::now());
        let [(bad, _), (good, _)] = names.as_slice() else { panic!("two") };
        set_datasets(&mut due, &names);
        assert_eq!(due.next(now), NextRead::Read(bad.clone()));
        assert!(due.failed(bad, now, AT_ONCE));
        assert_eq!(due.next(now), NextRead::Read(good.clone()));
        due.was_read(good, now, AT_ONCE);
        let mut at = now;
        for _ in 0..3 {
            for name in [bad, good] {
                let next = loop {
                    match due.next(at) {
                        NextRead::Read(name) => break name,
                        NextRead::Rest(rest) => at += rest,
                    }
                };
                assert_eq!(next, *name);
                if name == good {
                    due.was_read(good, at, AT_ONCE);
                } else {
                    assert!(!due.failed(bad, at, AT_ONCE), "it was said");
                }
            }
        }
        due.was_read(bad, at, AT_ONCE);
        assert!(due.failed(bad, at, AT_ONCE), "it had been read again");
    }

    #[test]
    fn while_the_database_is_not_there_is_a_rest() {
        let (mut due, names, now) = (RefreshQueue::default(), names(1), Instant::now());
        set_datasets(&mut due, &names);
        due.rest(now);
        assert_eq!(due.next(now), NextRead::Rest(AFTER_ERROR));
        assert_eq!(due.next(now + AFTER_ERROR), NextRead::Read(names[0].0.clone()));
        assert_eq!(RefreshQueue::<()>::default().next(now), NextRead::Rest(ROUND));
    }
}
