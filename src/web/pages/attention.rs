//! What needs attention, a line for each trouble: of a dataset's days one for each kind, and of many datasets that meet
//! the same one for all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::cron;
use crate::daemon::DaemonStatus;
use crate::dataset::{Dataset, DatasetName};
use crate::state::State;
use crate::status::{AttentionKind, NoFiles, Summary};
use crate::web::summaries::CachedSummary;
use crate::web::view::model::{AttentionItem, AttentionReason};
use crate::wording::{MOST_NAMES, counted, named};

/// How long a source may be unavailable before somebody should look: shorter outages pass by themselves.
const SOURCE_PATIENCE: TimeDelta = TimeDelta::hours(1);

/// So many datasets that meet the same share a line.
const MANY: usize = 3;

/// A line, and what of it other datasets may have in common.
#[derive(Debug, Clone)]
pub(super) struct AttentionLine {
    attention: AttentionItem,
    /// The dataset, also where its page cannot be shown.
    name: String,
    /// What is wrong, without its days.
    what: String,
    /// How many days it is about, if it is about days.
    days: u64,
}

impl AttentionLine {
    /// What is wrong in the words that datasets can have in common: without their names, places, days and numbers.
    fn essence(&self) -> String {
        let is_common = |word: &&str| {
            !word.contains('/')
                && !word.contains(|c: char| c.is_ascii_digit())
                && word.trim_matches(|c: char| !c.is_alphanumeric()) != self.name
        };
        self.what.split_whitespace().filter(is_common).collect::<Vec<_>>().join(" ")
    }
}

/// Everything that needs attention, the most urgent first.
pub(super) fn lines(
    shown: &DaemonStatus,
    summaries: &BTreeMap<DatasetName, Arc<CachedSummary>>,
    now: DateTime<Utc>,
) -> Vec<AttentionLine> {
    let line = |why, name: &str, dataset: Option<String>, what: String| AttentionLine {
        attention: AttentionItem { why, dataset, day: None, text: what.clone(), since: None },
        name: name.to_owned(),
        what,
        days: 0,
    };
    let mut all = Vec::new();
    all.extend(shown.unreachable.iter().map(|(_, error)| line(AttentionReason::Database, "", None, error.clone())));
    all.extend(
        shown.refused.iter().map(|refused| line(AttentionReason::Configuration, "", None, refused.replace('\n', "; "))),
    );
    let broken = shown.broken.iter();
    all.extend(
        broken.map(|broken| line(AttentionReason::BrokenDataset, &broken.name, None, broken.problems.join("; "))),
    );
    for (name, dataset) in shown.datasets.iter() {
        let of_dataset = |why, what: &String| line(why, name.as_str(), Some(name.to_string()), what.clone());
        all.extend(dataset.trouble.iter().map(|trouble| of_dataset(AttentionReason::Target, trouble)));
        let lasts = |since: DateTime<Utc>| now - since >= SOURCE_PATIENCE;
        let lasting = dataset.source_trouble.iter().filter(|(since, _)| lasts(*since));
        all.extend(lasting.map(|(_, error)| of_dataset(AttentionReason::Source, error)));
    }
    for (name, kept) in summaries {
        if let Some(dataset) = shown.datasets.get(name) {
            all.extend(of_days(&dataset.job.dataset, &kept.summary));
        }
    }
    all
}

/// What needs attention among a dataset's days: a line for each kind, however many days are of it.
fn of_days(dataset: &Dataset, summary: &Summary) -> Vec<AttentionLine> {
    let name = &dataset.name;
    let line = |why, day, (days, what, text): (u64, String, String)| AttentionLine {
        attention: AttentionItem { why, dataset: Some(name.to_string()), day, text, since: None },
        name: name.to_string(),
        what,
        days,
    };
    let no_files = summary.no_files.map(|no_files| {
        let newest = summary.recent.last().and_then(|day| day.error.clone()).unwrap_or_default();
        let (days, what) = match no_files {
            NoFiles::Never => (0, "no file found yet".to_owned()),
            NoFiles::Newest(days) => (days, format!("the newest {} have no file", counted(days, "day"))),
        };
        let text = format!("{what}: {newest}");
        let what = if no_files == NoFiles::Never { text.clone() } else { format!("the newest have no file: {newest}") };
        line(AttentionReason::NoFiles, None, (days, what, text))
    });
    // That these days are late or absent is said by that line.
    let is_said = |kind: &&AttentionKind| no_files.is_some() && matches!(kind.state, None | Some(State::Absent));
    let of_kind = |kind: &AttentionKind| {
        let why = match kind.state {
            Some(State::Loaded) => AttentionReason::NewerFile,
            Some(state) => AttentionReason::Day(state),
            None => AttentionReason::Late,
        };
        let what = match (&kind.error, why) {
            (_, AttentionReason::NewerFile) => "the source has a newer file than the loaded one".to_owned(),
            (Some(error), _) => error.clone(),
            (None, AttentionReason::Late) => "not loaded".to_owned(),
            (None, _) => why.word().0.to_owned(),
        };
        let AttentionKind { days, newest, oldest, ref listed, .. } = *kind;
        let (day, text) = match days {
            1 => (Some(newest), what.clone()),
            // The others may have other reasons.
            _ if kind.error.is_some() && why != AttentionReason::NewerFile => {
                (None, format!("{days} days, {listed}; the newest: {what}"))
            }
            _ => (None, format!("{days} days, {listed}: {what}")),
        };
        let mut line = line(why, day, (days, what, text));
        let since = (why == AttentionReason::Late).then(|| cron::deadline(dataset, oldest)).flatten();
        line.attention.since = since.map(|at| at.with_timezone(&dataset.schedule.timezone));
        line
    };
    let kinds: Vec<AttentionLine> = summary.kinds.iter().filter(|kind| !is_said(kind)).map(of_kind).collect();
    no_files.clone().into_iter().chain(kinds).collect()
}

/// The lines, those of many datasets that meet the same as one, where the first of them was.
pub(super) fn together(lines: Vec<AttentionLine>) -> Vec<AttentionItem> {
    let mut groups: Vec<(String, Vec<AttentionLine>)> = Vec::new();
    for line in lines {
        let essence = line.essence();
        let is_same = |(same, group): &&mut (String, Vec<AttentionLine>)| {
            *same == essence && group.iter().any(|first| first.attention.why == line.attention.why)
        };
        match groups.iter_mut().find(is_same) {
            Some((_, group)) => group.push(line),
            None => groups.push((essence, vec![line])),
        }
    }
    let of_group = |(_, group): (String, Vec<AttentionLine>)| match group.as_slice() {
        [first, .., _] if group.len() >= MANY => vec![of_many(first, &group)],
        _ => group.into_iter().map(|line| line.attention).collect(),
    };
    groups.into_iter().flat_map(of_group).collect()
}

/// One line for many datasets.
fn of_many(first: &AttentionLine, group: &[AttentionLine]) -> AttentionItem {
    let (datasets, names) = (counted(group.len(), "dataset"), named(group.iter().map(|line| &line.name), MOST_NAMES));
    let how_many = match group.iter().map(|line| line.days).sum::<u64>() {
        0 => datasets,
        days => format!("{datasets}, {}", counted(days, "day")),
    };
    // What datasets have in common is told in the words of the first, which may name its file.
    let what = if group.iter().all(|line| line.what == first.what) {
        format!(": {}", first.what)
    } else {
        format!("; {}: {}", first.name, first.what)
    };
    let text = format!("{how_many} ({names}){what}");
    AttentionItem { why: first.attention.why, dataset: None, day: None, text, since: None }
}

/// The lines of one kind, each by itself, and the datasets that they are about.
pub(super) fn of_one_kind(lines: Vec<AttentionLine>, why: AttentionReason) -> (Vec<AttentionItem>, BTreeSet<String>) {
    let of_kind: Vec<AttentionLine> = lines.into_iter().filter(|line| line.attention.why == why).collect();
    let names = of_kind.iter().map(|line| line.name.clone()).collect();
    (of_kind.into_iter().map(|line| line.attention).collect(), names)
}

#[cfg(test)]
mod tests;
