//! Days in several states.

use chrono::TimeDelta;

use super::{PROBLEM, Texts, at, day, in_paris, loading};
use crate::state::State;
use crate::web::view::model::{
    Action, Attempt, CellState, DayPage, File, LogLine, Reject, Rejects, RowCounts, Step, StepDone, StepOutcome,
};

fn steps(t: &Texts, stopped: Option<Step>, words: [&str; 4]) -> Vec<StepDone> {
    let mut over = false;
    let mut began = at("2026-11-14T01:00:00.104Z");
    let mut done = Vec::new();
    for ((step, text), ms) in Step::ALL.into_iter().zip(words).zip([6_u64, 9, 3, 14]) {
        let outcome = match (over, stopped == Some(step)) {
            (true, _) => StepOutcome::NotReached,
            (false, true) => StepOutcome::Stopped,
            (false, false) => StepOutcome::Done,
        };
        over |= stopped == Some(step);
        let came = outcome != StepOutcome::NotReached;
        done.push(StepDone {
            step,
            outcome,
            began_at: came.then_some(began),
            ms: came.then_some(ms),
            text: t.text(text),
        });
        began += TimeDelta::milliseconds(ms.cast_signed());
    }
    done
}

fn attempt(t: &Texts, number: u32, in_series: u32, outcome: Option<&str>, error: Option<&str>) -> Attempt {
    let started_at = at("2026-11-14T01:00:00.102Z") + TimeDelta::minutes(number.into());
    let line = |ms: i64, level: &str, text: &str| LogLine {
        at: started_at + TimeDelta::milliseconds(ms),
        level: t.text(level),
        message: t.text(text),
    };
    let mut lines = vec![
        line(0, "info", "shopify_config 2026-11-13: attempt begun"),
        line(7, "debug", "s3://alg-data-public/2026-11-13.csv: 245913 bytes"),
    ];
    lines.extend(error.map(|error| line(32, "error", error)));
    Attempt {
        number: number.into(),
        in_series,
        most: outcome.is_none().then_some(5),
        trigger: t.text("tick"),
        worker: t.text("etl-1 pid 4711"),
        started_at,
        finished_at: outcome.map(|_| started_at + TimeDelta::milliseconds(41)),
        outcome: outcome.map(|outcome| t.text(outcome)),
        error: error.map(|error| t.text(error)),
        lines,
    }
}

pub(in crate::web::view::tests) fn refused(t: &Texts) -> DayPage {
    let reject = |line, column: Option<&str>, value: Option<&str>, reason: &str| Reject {
        line,
        column: column.map(|column| t.text(column)),
        value: value.map(|value| t.text(value)),
        reason: t.text(reason),
    };
    DayPage {
        dataset: t.text("shopify_config"),
        table: t.text("algolia_output"),
        day: day("2026-11-13"),
        state: CellState::Stored(State::Refused),
        wanted: true,
        late: true,
        deadline: Some(in_paris("2026-11-14T06:30:00Z")),
        older_definition: false,
        newer_file: false,
        error: Some(t.text(PROBLEM)),
        note: None,
        next_look: None,
        next_tick: None,
        actions: vec![Action::Retry, Action::Load, Action::Skip, Action::Forget],
        loading: None,
        steps: steps(t, Some(Step::Audit), ["245,913 bytes", "1,208 rows", "too many rejected rows", ""]),
        rows: Some(RowCounts { read: 1_208, filtered: 0, rejected: 90, loaded: 0, kept_out: 0 }),
        file: File {
            url: Some(t.text("s3://alg-data-public/2026-11-13.csv")),
            etag: Some(t.text("\"98e1b3-660f80c3b9108-344be\"")),
            bytes: Some(245_913),
            modified: Some(at("2026-11-14T00:51:07Z")),
            hash: Some(t.text("c9982e47cb6290e8bad3510053c28b01834b7a42b5b5341e492e806288af11de")),
            loaded_at: None,
        },
        rejects: Rejects {
            rows: vec![
                reject(318, Some("nbr_metafields"), Some("abc"), "is not a bigint"),
                reject(702, Some("export_date"), Some("2026-02-30"), "is not a date"),
                reject(1_044, None, None, "has 23 fields, the header has 24"),
                reject(
                    1_101,
                    Some("id, shop"),
                    Some("a very long value that goes on and on: 0123456789012345678901234567890123456789"),
                    "stands twice: the key of line 17",
                ),
            ],
            total: 190,
            lines: None,
            before: None,
            behind: Some(1_101),
        },
        attempts: vec![
            attempt(t, 7, 1, Some("refused"), Some(PROBLEM)),
            attempt(t, 6, 2, Some("database"), Some("server closed the connection unexpectedly")),
        ],
        previous: Some(day("2026-11-12")),
        next: Some(day("2026-11-14")),
    }
}

pub(in crate::web::view::tests) fn loaded(t: &Texts) -> DayPage {
    DayPage {
        day: day("2026-11-12"),
        state: CellState::WithRejects,
        late: false,
        deadline: None,
        older_definition: true,
        newer_file: true,
        error: None,
        note: Some(t.text("loaded by hand after the move")),
        actions: vec![Action::Reload, Action::Forget],
        steps: steps(t, None, ["245,913 bytes", "1,208 rows", "4 of 4 limits kept", "1,144 rows"]),
        rows: Some(RowCounts { read: 1_208, filtered: 60, rejected: 4, loaded: 1_144, kept_out: 0 }),
        attempts: vec![attempt(t, 1, 1, Some("loaded"), None)],
        next: Some(day("2026-11-13")),
        previous: Some(day("2026-11-11")),
        file: File { loaded_at: Some(at("2026-11-13T01:00:00Z")), ..refused(&Texts::plain()).file },
        dataset: t.text("shopify_config"),
        ..refused(&Texts::plain())
    }
}

pub(in crate::web::view::tests) fn running(t: &Texts) -> DayPage {
    let mut steps = steps(t, Some(Step::Stage), ["99,700,000 bytes", "", "", ""]);
    steps[1].outcome = StepOutcome::Now;
    steps[1].ms = None;
    DayPage {
        dataset: t.text("orders"),
        day: day("2026-11-20"),
        state: CellState::Stored(State::Running),
        late: false,
        deadline: None,
        error: None,
        actions: Vec::new(),
        loading: Some(loading(true)),
        steps,
        rows: None,
        rejects: Rejects { rows: Vec::new(), total: 0, lines: None, before: None, behind: None },
        attempts: vec![attempt(t, 3, 3, None, None)],
        next: None,
        ..refused(&Texts::plain())
    }
}

pub(in crate::web::view::tests) fn missing(t: &Texts) -> DayPage {
    DayPage {
        dataset: t.text("orders"),
        state: CellState::Missing,
        late: false,
        deadline: Some(in_paris("2026-11-21T06:30:00Z")),
        next_tick: Some(in_paris("2026-11-21T01:00:00Z")),
        wanted: true,
        error: None,
        actions: vec![Action::Load, Action::Skip],
        steps: Vec::new(),
        rows: None,
        file: File::default(),
        rejects: Rejects { rows: Vec::new(), total: 0, lines: None, before: None, behind: None },
        attempts: Vec::new(),
        ..refused(&Texts::plain())
    }
}
