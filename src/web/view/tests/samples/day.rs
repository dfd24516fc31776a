//! Days in several states.

use chrono::TimeDelta;

use super::{PROBLEM, Texts, at, day, loading, zone};
use crate::db::attempts::AttemptOutcome;
use crate::db::rejects::RejectedRow;
use crate::state::State;
use crate::status::{Attempt, DayStatus, LogLine};
use crate::web::view::model::{Action, DayPage, RejectsPage, Step, StepOutcome, StepResult};

fn steps(t: &Texts, stopped: Option<Step>, words: [&str; 4]) -> Vec<StepResult> {
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
        done.push(StepResult {
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

fn attempt(t: &Texts, number: u32, attempt: i32, outcome: Option<AttemptOutcome>, error: Option<&str>) -> Attempt {
    let started_at = at("2026-11-14T01:00:00.102Z") + TimeDelta::minutes(number.into());
    let line = |ms, text: &str| LogLine { ms, text: t.text(text) };
    let mut log = vec![
        line(0, "shopify_config 2026-11-13: attempt begun"),
        line(7, "s3://alg-data-public/2026-11-13.csv: 245913 bytes"),
    ];
    log.extend(error.map(|error| line(32, error)));
    Attempt {
        claim: String::new(),
        number: number.into(),
        attempt,
        trigger: t.text("tick"),
        worker: "5b6c".to_owned(),
        host: Some(t.text("etl-1")),
        pid: Some(4711),
        started_at,
        finished_at: outcome.map(|_| (started_at + TimeDelta::milliseconds(41)).into()),
        outcome,
        source_ms: None,
        stage_ms: None,
        audit_ms: None,
        publish_ms: None,
        rows_read: None,
        rows_filtered: None,
        rows_rejected: None,
        rows_loaded: None,
        error: error.map(|error| t.text(error)),
        log,
    }
}

fn refused_day(t: &Texts) -> DayStatus {
    DayStatus {
        state: Some(State::Refused),
        late: true,
        error: Some(t.text(PROBLEM)),
        rows_read: Some(1_208),
        rows_rejected: Some(90),
        source_url: Some(t.text("s3://alg-data-public/2026-11-13.csv")),
        source_etag: Some(t.text("\"98e1b3-660f80c3b9108-344be\"")),
        source_bytes: Some(245_913),
        source_modified: Some(at("2026-11-14T00:51:07Z")),
        source_hash: Some(t.text("c9982e47cb6290e8bad3510053c28b01834b7a42b5b5341e492e806288af11de")),
        ..DayStatus::missing(day("2026-11-13"))
    }
}

pub(in crate::web::view::tests) fn refused(t: &Texts) -> DayPage {
    let reject = |line, column: Option<&str>, value: Option<&str>, reason: &str| RejectedRow {
        line,
        column_name: column.map(|column| t.text(column)),
        value: value.map(|value| t.text(value)),
        reason: t.text(reason),
    };
    DayPage {
        dataset: t.text("shopify_config"),
        table: t.text("algolia_output"),
        day: refused_day(t),
        timezone: zone("Europe/Paris"),
        deadline: Some(at("2026-11-14T06:30:00Z")),
        next_tick: None,
        actions: vec![Action::Retry, Action::Load, Action::Skip, Action::Forget],
        loading: None,
        steps: steps(t, Some(Step::Audit), ["245,913 bytes", "1,208 rows", "too many rejected rows", ""]),
        rejects: RejectsPage {
            rows: vec![
                reject(318, Some("nbr_metafields"), Some("abc"), "is not a bigint"),
                reject(702, Some("export_date"), Some("2026-02-30"), "is not a date"),
                reject(1_044, None, None, "has 23 fields, the header has 24"),
                reject(
                    1_101,
                    Some("id, shop"),
                    Some("a very long value that goes on and on: 0123456789012345678901234567890123456789"),
                    "is used twice: the key of line 17",
                ),
            ],
            total: 190,
            lines: None,
            before: None,
            behind: Some(1_101),
        },
        attempts: vec![
            attempt(t, 7, 1, Some(AttemptOutcome::Refused), Some(PROBLEM)),
            attempt(t, 6, 2, Some(AttemptOutcome::Database), Some("server closed the connection unexpectedly")),
        ],
        series_end: None,
        previous: Some(day("2026-11-12")),
        next: Some(day("2026-11-14")),
    }
}

pub(in crate::web::view::tests) fn loaded(t: &Texts) -> DayPage {
    DayPage {
        day: DayStatus {
            day: day("2026-11-12"),
            state: Some(State::Loaded),
            late: false,
            older_definition: true,
            newer_file: true,
            error: None,
            note: Some(t.text("loaded by hand after the move")),
            rows_filtered: Some(60),
            rows_rejected: Some(4),
            rows_loaded: Some(1_144),
            loaded_at: Some(at("2026-11-13T01:00:00Z")),
            ..refused_day(&Texts::plain())
        },
        deadline: None,
        actions: vec![Action::Reload, Action::Forget],
        steps: steps(t, None, ["245,913 bytes", "1,208 rows", "4 of 4 limits kept", "1,144 rows"]),
        attempts: vec![attempt(t, 1, 1, Some(AttemptOutcome::Loaded), None)],
        next: Some(day("2026-11-13")),
        previous: Some(day("2026-11-11")),
        dataset: t.text("shopify_config"),
        ..refused(&Texts::plain())
    }
}

pub(in crate::web::view::tests) fn running(t: &Texts) -> DayPage {
    let mut steps = steps(t, Some(Step::Stage), ["99,700,000 bytes", "", "", ""]);
    steps[1].outcome = StepOutcome::Now;
    steps[1].ms = None;
    let day = DayStatus {
        day: day("2026-11-20"),
        state: Some(State::Running),
        late: false,
        error: None,
        rows_read: None,
        rows_rejected: None,
        ..refused_day(&Texts::plain())
    };
    DayPage {
        dataset: t.text("orders"),
        day,
        deadline: None,
        actions: Vec::new(),
        loading: Some(loading(true)),
        steps,
        rejects: RejectsPage { rows: Vec::new(), total: 0, lines: None, before: None, behind: None },
        attempts: vec![attempt(t, 3, 3, None, None)],
        series_end: Some(5),
        next: None,
        ..refused(&Texts::plain())
    }
}

pub(in crate::web::view::tests) fn missing(t: &Texts) -> DayPage {
    DayPage {
        dataset: t.text("orders"),
        day: DayStatus::missing(day("2026-11-13")),
        deadline: Some(at("2026-11-21T06:30:00Z")),
        next_tick: Some(at("2026-11-21T01:00:00Z")),
        actions: vec![Action::Load, Action::Skip],
        steps: Vec::new(),
        rejects: RejectsPage { rows: Vec::new(), total: 0, lines: None, before: None, behind: None },
        attempts: Vec::new(),
        ..refused(&Texts::plain())
    }
}
