//! A dataset in short, for an overview of many: counted without reading the rows of all its days.

use std::collections::{BTreeMap, BTreeSet};

use super::WantedDays;
use crate::dataset::Dataset;
use crate::day::{self, Day};
use crate::db::error::DbError;
use crate::db::pool::Conn;
use crate::db::summary::{self, NotLoaded, RecordedDays};
use crate::json;
use crate::state::State;

/// How many of the newest wanted days a summary has.
const RECENT: usize = 30;

/// How many of the days that need a person it has.
const MOST_ATTENTION: usize = 20;

/// A dataset in short.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many days are in each state; `missing` counts wanted days without a row. A state without days is not in it.
    pub counts: BTreeMap<&'static str, u64>,
    /// How many loaded days have rejected rows. They are among the loaded ones.
    pub with_rejects: u64,
    /// How many failed days have no attempts left. They are among the failed ones.
    pub failed_for_good: u64,
    /// How many wanted days are past their deadline and neither in the target nor left out.
    pub late: u64,
    /// How many loaded days have a newer file in their source.
    pub newer_files: u64,
    /// What is wrong with the source as a whole, as far as its days tell.
    pub no_files: Option<NoFiles>,
    /// The newest day whose rows are in the target.
    pub last_loaded: Option<Day>,
    /// Days from that one to the newest wanted one; `None` where one of the two is not there.
    pub lag: Option<u64>,
    /// Days from the oldest wanted one that is still to be loaded (missing, running, waiting, absent, or failed with
    /// attempts left) to the newest wanted one, both included; 0 when none is.
    pub days_behind: u64,
    /// The newest wanted days, oldest first.
    pub recent: Vec<RecentDay>,
    /// Days that need a person, newest first: failed with no attempts left, refused, absent, late, or with a newer file.
    /// At most some dozens.
    pub attention: Vec<Attention>,
    /// The same, all of them, a line for each kind.
    pub kinds: Vec<AttentionKind>,
    /// How many there are in all.
    pub attention_total: u64,
}

/// One of the newest wanted days.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct RecentDay {
    /// The day.
    #[schema(value_type = String, format = Date)]
    pub day: Day,
    /// Its state, or `missing`.
    #[serde(serialize_with = "json::state")]
    #[schema(value_type = String)]
    pub state: Option<State>,
    /// Past its deadline.
    pub late: bool,
    /// Rows that were loaded.
    pub rows_loaded: Option<i64>,
    /// Rows that could not be taken, each counted as the lines of the file that it spans.
    pub rows_rejected: Option<i64>,
    /// What went wrong, or what was found in place of the file.
    pub error: Option<String>,
}

/// A dataset whose files do not come at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoFiles {
    /// No file was ever found.
    Never,
    /// So many of the newest wanted days all wait for their files, or were given up.
    Newest(u64),
}

/// Days of a dataset that need a person for the same reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttentionKind {
    /// Their state where that is the reason; `loaded` of days with a newer file; `None` of late ones.
    pub state: Option<State>,
    /// How many there are.
    pub days: u64,
    /// The newest one.
    pub newest: Day,
    /// The oldest one.
    pub oldest: Day,
    /// All of them in short, as [`day::listed`] writes them.
    pub listed: String,
    /// What went wrong with the newest one, or what was found in place of its file.
    pub error: Option<String>,
}

/// A day that needs a person.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Attention {
    /// The day.
    #[schema(value_type = String, format = Date)]
    pub day: Day,
    /// Its state, or `missing`. A loaded one has a newer file; one that is not failed, refused or absent either is late.
    #[serde(serialize_with = "json::state")]
    #[schema(value_type = String)]
    pub state: Option<State>,
    /// Past its deadline.
    pub late: bool,
    /// What went wrong, or what was found in place of the file.
    pub error: Option<String>,
}

/// Reads a dataset's summary.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn summary(conn: &mut Conn, dataset: &Dataset, wanted: &WantedDays) -> Result<Summary, DbError> {
    let days = summary::days(conn, &dataset.name)?;
    let mut summary = Summary::of(&days, wanted, dataset.policy.retry.max_attempts);
    let recent = summary.recent.iter().map(|day| day.day);
    let shown: BTreeSet<Day> = recent
        .chain(summary.attention.iter().map(|day| day.day))
        .chain(summary.kinds.iter().map(|kind| kind.newest))
        .collect();
    let shown: Vec<Day> = shown.into_iter().collect();
    for detail in summary::details(conn, &dataset.name, &shown)? {
        let day = detail.day;
        for attention in summary.attention.iter_mut().filter(|attention| attention.day == day) {
            attention.error.clone_from(&detail.error);
        }
        for kind in summary.kinds.iter_mut().filter(|kind| kind.newest == day) {
            kind.error.clone_from(&detail.error);
        }
        for recent in summary.recent.iter_mut().filter(|recent| recent.day == day) {
            recent.state = Some(detail.state);
            recent.rows_loaded = detail.rows_loaded;
            recent.rows_rejected = detail.rows_rejected;
            recent.error.clone_from(&detail.error);
        }
    }
    Ok(summary)
}

/// What is known of a day in short.
struct DayBrief<'a> {
    day: Day,
    wanted: bool,
    late: bool,
    state: Option<State>,
    newer_file: bool,
    row: Option<&'a NotLoaded>,
}

impl DayBrief<'_> {
    fn in_target(&self) -> bool {
        self.state == Some(State::Loaded) || self.row.is_some_and(|row| row.loaded_at.is_some())
    }

    fn has_attempts(&self, max_attempts: u32) -> bool {
        self.row.is_none_or(|row| row.attempts.unsigned_abs() < max_attempts)
    }

    /// True when the schedule still has it to load.
    fn is_to_load(&self, max_attempts: u32) -> bool {
        self.wanted
            && match self.state {
                None | Some(State::Waiting | State::Absent) => true,
                Some(State::Running) => !self.in_target(),
                Some(State::Failed) => self.has_attempts(max_attempts),
                Some(State::Loaded | State::Refused | State::Skipped) => false,
            }
    }

    fn failed_for_good(&self, max_attempts: u32) -> bool {
        self.state == Some(State::Failed) && !self.has_attempts(max_attempts)
    }

    /// True when only a person moves it, or should be detail of it.
    fn needs_person(&self, max_attempts: u32) -> bool {
        self.late || self.newer_file || self.state == Some(State::Refused) || self.is_given_up(max_attempts)
    }

    /// True when it is not tried any more, or only looked for.
    fn is_given_up(&self, max_attempts: u32) -> bool {
        (self.wanted && self.state == Some(State::Absent)) || self.failed_for_good(max_attempts)
    }

    /// The state that is the reason why it needs a person; `None` where that is its deadline.
    fn reason(&self) -> Option<State> {
        let newer_file = self.newer_file.then_some(State::Loaded);
        let state = self.state.filter(|state| matches!(state, State::Refused | State::Failed | State::Absent));
        state.or(newer_file)
    }

    /// True when its file was looked for and not found.
    fn has_no_file(&self) -> bool {
        matches!(self.state, Some(State::Waiting | State::Absent))
    }
}

/// Every day that is wanted or has a row, oldest first. There are thousands, and as many datasets: they are gone
/// through side by side, and not looked up.
fn briefs<'a>(days: &'a RecordedDays, wanted: &WantedDays) -> Vec<DayBrief<'a>> {
    let not_loaded = days.not_loaded.iter().map(|row| row.day);
    let mut all: Vec<Day> = days.all.iter().chain(&wanted.days).copied().chain(not_loaded).collect();
    // Three runs that are in order each, which a sort that keeps runs only merges.
    all.sort();
    all.dedup();
    let (mut rows, mut wants) = (days.all.iter().peekable(), wanted.days.iter().peekable());
    let mut open = days.not_loaded.iter().peekable();
    let mut newer = days.newer_files.iter().peekable();
    let brief = |day: Day| {
        let loaded = rows.next_if(|row| **row == day).map(|_| State::Loaded);
        let row = open.next_if(|row| row.day == day);
        let state = row.map(|row| row.state).or(loaded);
        let wanted = wants.next_if(|wanted| **wanted == day).is_some();
        let newer_file = newer.next_if(|newer| **newer == day).is_some();
        DayBrief { day, wanted, late: false, state, newer_file, row }
    };
    let mut briefs: Vec<DayBrief<'_>> = all.into_iter().map(brief).collect();
    for brief in &mut briefs {
        brief.late = wanted.is_late(brief.day, brief.state, brief.in_target());
    }
    briefs
}

impl Summary {
    /// What can be detail of the days without reading their rows.
    fn of(days: &RecordedDays, wanted: &WantedDays, max_attempts: u32) -> Self {
        let briefs = briefs(days, wanted);
        let mut summary =
            Self { with_rejects: days.with_rejects.len().try_into().unwrap_or(u64::MAX), ..Self::default() };
        for brief in &briefs {
            *summary.counts.entry(State::name_or_missing(brief.state)).or_default() += 1;
            summary.late += u64::from(brief.late);
            summary.newer_files += u64::from(brief.newer_file);
            summary.failed_for_good += u64::from(brief.failed_for_good(max_attempts));
            summary.attention_total += u64::from(brief.needs_person(max_attempts));
        }
        summary.last_loaded = briefs.iter().rev().find(|brief| brief.in_target()).map(|brief| brief.day);
        let (newest, oldest) = (wanted.newest(), briefs.iter().find(|brief| brief.is_to_load(max_attempts)));
        summary.lag = newest.zip(summary.last_loaded).map(|(newest, loaded)| between(loaded, newest));
        summary.days_behind = newest.zip(oldest).map_or(0, |(newest, oldest)| between(oldest.day, newest) + 1);
        summary.no_files = no_files(&briefs);
        let needy = || briefs.iter().rev().filter(|brief| brief.needs_person(max_attempts));
        summary.kinds = kinds(needy());
        summary.attention = needy()
            .take(MOST_ATTENTION)
            .map(|brief| Attention { day: brief.day, state: brief.state, late: brief.late, error: None })
            .collect();
        let recent = briefs.iter().rev().filter(|brief| brief.wanted).take(RECENT);
        let recent = recent.map(|brief| RecentDay {
            day: brief.day,
            state: brief.state,
            late: brief.late,
            rows_loaded: None,
            rows_rejected: None,
            error: None,
        });
        summary.recent = recent.collect();
        summary.recent.reverse();
        summary
    }
}

/// So many of the newest wanted days wait before that is detail of the dataset as a whole.
const MOST_WAITING: usize = 3;

/// Whether a dataset's files do not come at all, as far as its days tell.
fn no_files(briefs: &[DayBrief<'_>]) -> Option<NoFiles> {
    let wanted = || briefs.iter().rev().filter(|brief| brief.wanted);
    let newest = wanted().take_while(|brief| brief.has_no_file()).count();
    let never = newest > 0 && briefs.iter().all(|brief| brief.has_no_file() || brief.state.is_none());
    let days = u64::try_from(newest).unwrap_or(u64::MAX);
    if never { Some(NoFiles::Never) } else { (newest >= MOST_WAITING).then_some(NoFiles::Newest(days)) }
}

/// Days that need a person, newest first, by the reason.
fn kinds<'a>(needy: impl Iterator<Item = &'a DayBrief<'a>>) -> Vec<AttentionKind> {
    let mut kinds: Vec<(Option<State>, Vec<Day>)> = Vec::new();
    for brief in needy {
        let (state, day) = (brief.reason(), brief.day);
        match kinds.iter_mut().find(|(known, _)| *known == state) {
            Some((_, days)) => days.push(day),
            None => kinds.push((state, vec![day])),
        }
    }
    let of_days = |(state, mut days): (Option<State>, Vec<Day>)| {
        days.reverse();
        let (oldest, newest) = (*days.first()?, *days.last()?);
        let number = u64::try_from(days.len()).unwrap_or(u64::MAX);
        Some(AttentionKind { state, days: number, newest, oldest, listed: day::listed(&days), error: None })
    };
    kinds.into_iter().filter_map(of_days).collect()
}

/// Days from one to a later one; 0 when it is not later.
fn between(from: Day, to: Day) -> u64 {
    u64::try_from((to.date() - from.date()).num_days()).unwrap_or(0)
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::db::columns::Timestamp;

    const ATTEMPTS: u32 = 3;

    fn day(number: u32) -> Day {
        format!("2024-03-{number:02}").parse().unwrap()
    }

    fn row(number: u32, state: State, attempts: i32, in_target: bool) -> NotLoaded {
        let loaded_at = in_target.then(Timestamp::default);
        NotLoaded { day: day(number), state, attempts, loaded_at }
    }

    /// Of wanted days 1 to `newest`, those with a row, and the ones among them that are not loaded.
    fn summary(newest: u32, late_to: Option<u32>, all: &[u32], not_loaded: Vec<NotLoaded>) -> Summary {
        let wanted = WantedDays { days: (1..=newest).map(day).collect(), next_tick: None, late_to: late_to.map(day) };
        let days = RecordedDays {
            all: all.iter().map(|number| day(*number)).collect(),
            not_loaded,
            ..RecordedDays::default()
        };
        Summary::of(&days, &wanted, ATTEMPTS)
    }

    #[test]
    fn days_are_counted_and_holes_are_missing() {
        let rows = vec![row(3, State::Waiting, 0, false), row(9, State::Skipped, 0, false)];
        let summary = summary(5, None, &[1, 3, 4, 9], rows);
        assert_eq!(summary.counts, BTreeMap::from([("loaded", 2), ("missing", 2), ("skipped", 1), ("waiting", 1)]));
        assert_eq!((summary.last_loaded, summary.lag, summary.days_behind), (Some(day(4)), Some(1), 4));
        let states: Vec<_> = summary.recent.iter().map(|day| day.state).collect();
        let (loaded, waiting) = (Some(State::Loaded), Some(State::Waiting));
        assert_eq!(states, [loaded, None, waiting, loaded, None], "9 is not wanted");
        assert_eq!(summary.attention_total, 0);
    }

    #[test]
    fn what_is_still_to_be_loaded_makes_a_dataset_behind() {
        for (state, attempts, in_target, behind) in [
            (State::Running, 1, false, 4),
            (State::Running, 1, true, 0),
            (State::Waiting, 0, false, 4),
            (State::Failed, 2, false, 4),
            (State::Failed, 3, false, 0),
            (State::Refused, 1, false, 0),
            (State::Absent, 0, false, 4),
            (State::Skipped, 0, false, 0),
        ] {
            let summary = summary(5, None, &[1, 2, 3, 4, 5], vec![row(2, state, attempts, in_target)]);
            assert_eq!(summary.days_behind, behind, "{state} {attempts}");
        }
        assert_eq!(summary(0, None, &[], vec![]), Summary::default());
        let none = summary(3, None, &[], vec![]);
        assert_eq!((none.lag, none.days_behind, none.last_loaded), (None, 3, None));
    }

    #[test]
    fn what_needs_a_person_is_named_newest_first() {
        let rows = vec![
            row(1, State::Refused, 1, false),
            row(2, State::Failed, 3, false),
            row(3, State::Failed, 1, false),
            row(4, State::Waiting, 0, false),
            row(6, State::Running, 1, true),
        ];
        let summary = summary(7, Some(5), &[1, 2, 3, 4, 6], rows);
        let named: Vec<_> = summary.attention.iter().map(|it| (it.day, it.state, it.late)).collect();
        let expected = [
            (day(5), None, true),
            (day(4), Some(State::Waiting), true),
            (day(3), Some(State::Failed), true),
            (day(2), Some(State::Failed), true),
            (day(1), Some(State::Refused), true),
        ];
        assert_eq!(named, expected);
        assert_eq!((summary.attention_total, summary.late, summary.failed_for_good), (5, 5, 1));
        assert_eq!(summary.last_loaded, Some(day(6)), "a day that is loaded again is in the target");
    }

    #[test]
    fn a_dataset_without_any_file_and_one_whose_newest_files_do_not_come_are_told_as_a_whole() {
        let waits = |number| row(number, State::Waiting, 0, false);
        let absent = |number| row(number, State::Absent, 0, false);
        for (newest, all, not_loaded, expected) in [
            // Nothing was looked for yet.
            (3, &[][..], vec![], None),
            // Nothing was ever found, whether all was looked for or not.
            (1, &[1], vec![waits(1)], Some(NoFiles::Never)),
            (3, &[2, 3], vec![absent(2), waits(3)], Some(NoFiles::Never)),
            // Something was found once; too few wait, or enough of the newest.
            (4, &[1, 3, 4], vec![waits(3), waits(4)], None),
            (4, &[1, 2, 3, 4], vec![absent(2), absent(3), waits(4)], Some(NoFiles::Newest(3))),
            (5, &[1, 2, 3, 4, 5], vec![waits(2), waits(3), waits(4), row(5, State::Refused, 1, false)], None),
            // A day that was left out, or not looked for yet, parts them.
            (4, &[1, 2, 3, 4], vec![waits(2), row(3, State::Skipped, 0, false), waits(4)], None),
            (5, &[1, 2, 3, 5], vec![waits(2), waits(3), waits(5)], None),
        ] {
            assert_eq!(summary(newest, None, all, not_loaded).no_files, expected, "{newest} {all:?}");
        }
    }

    #[test]
    fn days_that_need_a_person_are_one_kind_for_each_reason() {
        let wanted = WantedDays { days: (1..=8).map(day).collect(), next_tick: None, late_to: Some(day(8)) };
        let not_loaded = vec![
            row(3, State::Absent, 0, false),
            row(4, State::Refused, 1, false),
            row(6, State::Absent, 0, false),
            row(7, State::Absent, 0, false),
            row(8, State::Waiting, 0, false),
        ];
        let (all, newer_files) = ((1..=8).map(day).collect(), vec![day(1), day(2)]);
        let days = RecordedDays { all, not_loaded, newer_files, ..RecordedDays::default() };
        let summary = Summary::of(&days, &wanted, ATTEMPTS);
        let kinds: Vec<_> = summary.kinds.iter().map(|it| (it.state, it.days, it.listed.as_str(), it.newest)).collect();
        let expected = [
            (None, 1, "2024-03-08", day(8)),
            // A day that was late before it was given up is late still.
            (Some(State::Absent), 3, "2024-03-03, 2024-03-06..2024-03-07", day(7)),
            (Some(State::Refused), 1, "2024-03-04", day(4)),
            (Some(State::Loaded), 2, "2024-03-01..2024-03-02", day(2)),
        ];
        assert_eq!(kinds, expected);
        assert_eq!((summary.late, summary.newer_files, summary.lag, summary.attention_total), (5, 2, Some(3), 7));
    }

    #[test]
    fn a_day_that_was_given_up_needs_a_person_where_there_is_no_deadline_too() {
        let of = |newest| summary(newest, None, &[1, 2], vec![row(2, State::Absent, 0, false)]);
        let kinds: Vec<_> = of(2).kinds.iter().map(|it| (it.state, it.days, it.newest)).collect();
        assert_eq!((kinds, of(2).attention_total), (vec![(Some(State::Absent), 1, day(2))], 1));
        assert_eq!((of(1).kinds, of(1).attention_total), (vec![], 0), "nobody wants it");
    }

    #[test]
    fn a_summary_stays_short() {
        let wanted = WantedDays { days: (0..4000).map(|n| day(1).minus(3999 - n)).collect(), ..WantedDays::default() };
        let refused = |day: &Day| NotLoaded { day: *day, ..row(1, State::Refused, 1, false) };
        let days = RecordedDays {
            all: wanted.days.clone(),
            not_loaded: wanted.days.iter().map(refused).collect(),
            ..RecordedDays::default()
        };
        let summary = Summary::of(&days, &wanted, ATTEMPTS);
        assert_eq!((summary.recent.len(), summary.attention.len()), (RECENT, MOST_ATTENTION));
        assert_eq!((summary.attention_total, summary.attention[0].day), (4000, day(1)));
    }
}
