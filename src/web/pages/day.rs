//! The page of a day: what happened to it, step by step.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, Response};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use std::sync::Arc;

use super::paging::{PageOffset, Paged};
use super::parts::one_loading;
use super::{PageRequest, Pages, PagesState};
use crate::cron;
use crate::daemon::DatasetSnapshot;
use crate::dataset::Dataset;
use crate::day::Day;
use crate::db::attempts::AttemptOutcome;
use crate::db::error::DbError;
use crate::db::pool::Conn;
use crate::db::rejects::{self, RejectedRow};
use crate::db::summary;
use crate::plan;
use crate::state::State as DayState;
use crate::status::{self, Attempt, DayStatus};
use crate::web::guard::see_other;
use crate::web::parameters::{Parameters, PathParameter};
use crate::web::problem::Problem;
use crate::web::view;
use crate::web::view::model::{Action, DayPage, RejectsPage, Step, StepOutcome, StepResult};
use crate::wording::{counted, quoted};

/// Rejected rows on one page.
const REJECTS: u32 = 100;

#[derive(Deserialize)]
pub(super) struct DayQuery {
    day: String,
}

/// Sends to the page of a day that was typed.
pub(super) async fn go_to(
    State(pages): PagesState,
    PathParameter(name): PathParameter<String>,
    Parameters(DayQuery { day }): Parameters<DayQuery>,
) -> Result<Response, Problem> {
    let shown = pages.site.dataset(&name)?;
    let day = of_text(&day)?;
    Ok(see_other(&pages.links.day(shown.job.dataset.name.as_str(), day)))
}

fn of_text(text: &str) -> Result<Day, Problem> {
    text.parse().map_err(|_| Problem::bad_request(format!("{} is not a day (YYYY-MM-DD)", quoted(text))))
}

#[derive(Deserialize)]
pub(super) struct RejectsQuery {
    /// Rejected rows before this line.
    before: Option<i64>,
    /// Rejected rows behind this line.
    after: Option<i64>,
}

struct DayData {
    day: DayStatus,
    next_tick: Option<DateTime<Utc>>,
    attempts: Vec<Attempt>,
    rejects: Paged<RejectedRow>,
    rejects_total: u64,
    neighbours: (Option<Day>, Option<Day>),
}

pub(super) async fn day(
    State(pages): PagesState,
    asking: PageRequest,
    PathParameter((name, day)): PathParameter<(String, String)>,
    Parameters(RejectsQuery { before, after }): Parameters<RejectsQuery>,
) -> Result<Html<String>, Problem> {
    let shown = pages.site.dataset(&name)?;
    let (job, day) = (Arc::clone(&shown.job), of_text(&day)?);
    let place = PageOffset::of(after, before);
    let read = pages.site.read(move |conn| read(conn, &job.dataset, day, place)).await?;
    let Some(read) = read else {
        let detail = format!("{name}: {day} is not wanted and has no attempts");
        return Err(Problem::new(StatusCode::NOT_FOUND, "no-such-day", detail));
    };
    let model = filled(&pages, &shown, read, asking.may_change());
    Ok(Html(view::day(&pages.frame(&asking), &model)))
}

fn read(conn: &mut Conn, dataset: &Dataset, day: Day, place: PageOffset) -> Result<Option<DayData>, DbError> {
    let wanted = cron::wanted(dataset, Utc::now());
    let Some(status) = status::of_day(conn, dataset, &wanted, day)? else { return Ok(None) };
    let rejects = Paged::read(place, REJECTS, |place, limit| match place {
        PageOffset::Start => rejects::page(conn, &dataset.name, day, None, limit),
        PageOffset::Behind(line) => rejects::page(conn, &dataset.name, day, Some(line), limit),
        PageOffset::Before(line) => rejects::page_before(conn, &dataset.name, day, line, limit),
    })?;
    let mut known = summary::days(conn, &dataset.name)?.all;
    known.extend(&wanted.days);
    let before = known.iter().copied().filter(|other| *other < day).max();
    let after = known.iter().copied().filter(|other| *other > day).min();
    Ok(Some(DayData {
        day: status,
        next_tick: wanted.next_tick,
        attempts: status::attempts(conn, &dataset.name, day)?,
        rejects,
        rejects_total: rejects::kept(conn, &dataset.name, day)?.unsigned_abs(),
        neighbours: (before, after),
    }))
}

fn filled(pages: &Pages, shown: &DatasetSnapshot, read: DayData, may_change: bool) -> DayPage {
    let DayData { day, next_tick, attempts, rejects, rejects_total, neighbours } = read;
    let dataset = &shown.job.dataset;
    let is_awaited = day.wanted && plan::is_awaited(day.state, day.loaded_at.is_some());
    let flights =
        pages.site.daemon().status().context.as_ref().map(|context| context.active_loads.now()).unwrap_or_default();
    let flight = flights.iter().find(|flight| flight.dataset == dataset.name && flight.day == day.day);
    let newest = attempts.first();
    DayPage {
        dataset: dataset.name.to_string(),
        table: dataset.target.table.to_string(),
        timezone: dataset.schedule.timezone,
        deadline: cron::deadline(dataset, day.day).filter(|_| is_awaited),
        next_tick: next_tick.filter(|_| day.wanted && day.state.is_none()),
        actions: if may_change { actions(day.state) } else { Vec::new() },
        loading: flight.map(|flight| one_loading(flight)),
        steps: newest.map(|attempt| steps(attempt, &day)).unwrap_or_default(),
        rejects: shown_rejects(rejects, rejects_total, day.rows_rejected),
        series_end: newest.and_then(|newest| series_end(newest, &day, dataset.policy.retry.max_attempts)),
        attempts,
        previous: neighbours.0,
        next: neighbours.1,
        day,
    }
}

/// What an operator may ask for of a day in that state.
fn actions(state: Option<DayState>) -> Vec<Action> {
    match state {
        None => vec![Action::Load, Action::Skip],
        Some(DayState::Running) => vec![Action::Cancel],
        Some(DayState::Loaded) => vec![Action::Reload, Action::Forget],
        Some(DayState::Waiting | DayState::Absent) => vec![Action::Load, Action::Skip, Action::Forget],
        Some(DayState::Failed | DayState::Refused) => vec![Action::Retry, Action::Skip, Action::Forget],
        Some(DayState::Skipped) => vec![Action::Load, Action::Forget],
    }
}

fn shown_rejects(rejects: Paged<RejectedRow>, total: u64, counted: Option<i64>) -> RejectsPage {
    let Paged { items, before, behind } = rejects;
    RejectsPage {
        total,
        // Where not all rows are kept, it is not known how many lines those span that are.
        lines: counted.map(i64::unsigned_abs).filter(|lines| (1..rejects::KEPT).contains(&total) && *lines > total),
        before: items.first().map(|row| row.line).filter(|_| before),
        behind: items.last().map(|row| row.line).filter(|_| behind),
        rows: items,
    }
}

/// The steps of an attempt, each where the one before ended.
fn steps(attempt: &Attempt, day: &DayStatus) -> Vec<StepResult> {
    let counted_rows = |rows: Option<i64>| rows.map(|rows| counted(rows.unsigned_abs(), "row")).unwrap_or_default();
    let loaded = attempt.outcome == Some(AttemptOutcome::Loaded);
    let bytes = day.source_bytes.filter(|_| loaded).map(|bytes| counted(bytes.unsigned_abs(), "byte"));
    let all = [
        (Step::Source, attempt.source_ms, bytes.unwrap_or_default()),
        (Step::Stage, attempt.stage_ms, counted_rows(attempt.rows_read)),
        (Step::Audit, attempt.audit_ms, counted_rows(attempt.rows_rejected).replace("row", "rejected line")),
        (Step::Publish, attempt.publish_ms, counted_rows(attempt.rows_loaded)),
    ];
    let mut at: Option<DateTime<Utc>> = Some(attempt.started_at);
    let mut over = false;
    let mut done = Vec::new();
    for (index, (step, ms, text)) in all.iter().enumerate() {
        let next = all.get(index + 1).and_then(|(_, ms, _)| *ms);
        let outcome = match (ms, over) {
            (_, true) | (None, false) if attempt.outcome.is_some() || over => StepOutcome::NotReached,
            (None, _) => {
                over = true;
                StepOutcome::Now
            }
            (Some(_), _) if loaded || next.is_some() => StepOutcome::Done,
            (Some(_), _) if attempt.outcome.is_none() => StepOutcome::Done,
            (Some(_), _) => {
                over = true;
                StepOutcome::Stopped
            }
        };
        let reached = outcome != StepOutcome::NotReached;
        done.push(StepResult {
            step: *step,
            outcome,
            began_at: at.filter(|_| reached),
            ms: ms.map(i64::unsigned_abs),
            text: if reached { text.clone() } else { String::new() },
        });
        at = at.zip(*ms).map(|(at, ms)| at + TimeDelta::milliseconds(ms));
    }
    done
}

/// How many attempts the series of the newest attempt may have, where the day is tried again until then.
fn series_end(newest: &Attempt, day: &DayStatus, most: u32) -> Option<u32> {
    let goes_on = matches!(day.state, Some(DayState::Failed | DayState::Running));
    // One that the database failed, or a person stopped, does not count.
    let counts = newest.attempt == day.attempts && newest.attempt.unsigned_abs() <= most;
    (goes_on && counts).then_some(most)
}
