//! The page of a dataset: its facts, its calendar, its charts, and the days that are not loaded.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::response::Html;
use chrono::Utc;

use super::parts::{counts, loading};
use super::{PageRequest, Pages, PagesState};
use crate::cron;
use crate::daemon::DatasetSnapshot;
use crate::dataset::Dataset;
use crate::day::{Day, DayRange};
use crate::db::error::DbError;
use crate::db::paused::{self, Pause};
use crate::db::pool::Conn;
use crate::db::summary as days_of;
use crate::plan::SkipReason;
use crate::source;
use crate::state::State as DayState;
use crate::status::{self, DayStatus, Selection, Summary, WantedDays};
use crate::web::parameters::PathParameter;
use crate::web::problem::Problem;
use crate::web::view;
use crate::web::view::model::{Action, Cell, CellState, DatasetPage, DayMeasure, RowCounts, UnloadedDay};

/// How many days the charts show.
const HISTORY: usize = 90;

/// How many of the days that are not loaded are listed.
const LISTED: usize = 200;

/// A loaded day, as a cell shows it.
const LOADED: CellState = CellState::Stored(DayState::Loaded);

/// What is read of a dataset.
struct DatasetData {
    wanted: WantedDays,
    summary: Summary,
    /// From the database: what the daemon's loop shows is a moment behind whoever paused it just now.
    paused: Option<Pause>,
    cells: Vec<Cell>,
    history: Vec<DayStatus>,
    open: Vec<DayStatus>,
    open_total: usize,
}

pub(super) async fn dataset(
    State(pages): PagesState,
    asking: PageRequest,
    PathParameter(name): PathParameter<String>,
) -> Result<Html<String>, Problem> {
    let shown = pages.site.dataset(&name)?;
    let job = std::sync::Arc::clone(&shown.job);
    let read = pages.site.read(move |conn| read(conn, &job.dataset)).await?;
    let page = filled(&pages, &shown, read, asking.may_change());
    Ok(Html(view::dataset(&pages.frame(&asking), &page)))
}

/// Reads what the page shows. Of ten years of days only those are read whole that the charts and the list show.
fn read(conn: &mut Conn, dataset: &Dataset) -> Result<DatasetData, DbError> {
    let wanted = cron::wanted(dataset, Utc::now());
    let summary = status::summary(conn, dataset, &wanted)?;
    let paused = paused::of(conn, &dataset.name)?;
    let read = days_of::days(conn, &dataset.name)?;
    let mut states: BTreeMap<Day, Option<DayState>> = wanted.days.iter().map(|day| (*day, None)).collect();
    states.extend(read.all.iter().map(|day| (*day, Some(DayState::Loaded))));
    states.extend(read.not_loaded.iter().map(|row| (row.day, Some(row.state))));
    let with_rejects: BTreeSet<Day> = read.with_rejects.into_iter().collect();
    let newest = states.keys().next_back().copied();
    let history = match newest {
        None => Vec::new(),
        Some(newest) => {
            let range = DayRange { from: newest.minus(u32::try_from(HISTORY).unwrap_or(90) - 1), to: newest };
            status::days(Some(conn), dataset, &wanted, range)?
        }
    };
    let not_loaded: Vec<Day> =
        states.iter().rev().filter(|(_, state)| **state != Some(DayState::Loaded)).map(|(day, _)| *day).collect();
    let open_total = not_loaded.len();
    let open = match not_loaded.get(LISTED.min(open_total).saturating_sub(1)) {
        None => Vec::new(),
        Some(oldest) => {
            let all =
                [None].into_iter().chain(DayState::ALL.map(Some)).filter(|state| *state != Some(DayState::Loaded));
            let range = DayRange { from: *oldest, to: Day::MAX };
            let selection = Selection { range, states: all.collect(), after: None, limit: LISTED };
            status::page(conn, dataset, &wanted, &selection)?.days
        }
    };
    let told: BTreeMap<Day, &DayStatus> = history.iter().chain(&open).map(|day| (day.day, day)).collect();
    let mut cells: Vec<Cell> =
        states.iter().map(|(day, state)| cell(*day, *state, told.get(day).copied(), &wanted)).collect();
    let is_marked = |cell: &&mut Cell| cell.state == LOADED && with_rejects.contains(&cell.day);
    cells.iter_mut().filter(is_marked).for_each(|cell| cell.state = CellState::WithRejects);
    Ok(DatasetData { wanted, summary, paused, cells, history, open, open_total })
}

fn cell(day: Day, state: Option<DayState>, told: Option<&DayStatus>, wanted: &WantedDays) -> Cell {
    Cell {
        day,
        state: state.into(),
        rows: told.and_then(|day| day.rows_loaded).map(i64::unsigned_abs),
        rejected: told.and_then(|day| day.rows_rejected).map(i64::unsigned_abs),
        detail: told.and_then(|day| day.note.clone().or_else(|| day.error.clone())),
        late: told.map_or_else(|| wanted.is_late(day, state, state == Some(DayState::Loaded)), |day| day.late),
    }
}

fn filled(pages: &Pages, shown: &DatasetSnapshot, read: DatasetData, may_change: bool) -> DatasetPage {
    let DatasetData { wanted, summary, paused, cells, history, mut open, open_total } = read;
    let dataset = &shown.job.dataset;
    let flights = pages.site.daemon().status().context.as_ref().map(|context| context.active_loads.now());
    open.reverse();
    DatasetPage {
        name: dataset.name.to_string(),
        source: source::shown(&dataset.source),
        table: dataset.target.table.to_string(),
        cron: dataset.schedule.cron.clone(),
        timezone: dataset.schedule.timezone,
        start: dataset.schedule.start,
        end: dataset.schedule.end,
        lag_days: dataset.schedule.lag_days,
        next_tick: wanted.next_tick.map(|at| at.with_timezone(&dataset.schedule.timezone)),
        pause: paused.clone(),
        trouble: shown.held_up().map(ToOwned::to_owned),
        late: summary.late,
        with_rejects: summary.with_rejects,
        counts: counts(&summary),
        last_loaded: summary.last_loaded,
        actions: if may_change { actions(paused.is_some()) } else { Vec::new() },
        loading: loading(&flights.unwrap_or_default(), &dataset.name),
        cells,
        history: history.iter().map(measure).collect(),
        open: open.iter().map(|day| open_day(dataset, day)).collect(),
        open_total,
    }
}

/// What an operator may ask for.
fn actions(paused: bool) -> Vec<Action> {
    let of_pause = if paused { [Action::Resume].as_slice() } else { &[Action::CatchUp, Action::Pause] };
    let of_days = [Action::Load, Action::Reload, Action::Retry, Action::Skip, Action::Forget, Action::Cancel];
    of_pause.iter().copied().chain(of_days).collect()
}

fn measure(day: &DayStatus) -> DayMeasure {
    DayMeasure {
        day: day.day,
        state: CellState::of(day.state, day.rows_rejected),
        rows: RowCounts::of(day),
        duration_ms: day.duration_ms.map(i64::unsigned_abs),
    }
}

fn open_day(dataset: &Dataset, day: &DayStatus) -> UnloadedDay {
    let zone = &dataset.schedule.timezone;
    let held = day.held_back_by.map(|by| SkipReason::HeldBack(by).to_string());
    // What a person said is why the day is as it is, and stays where the text is cut.
    let said = [day.note.clone(), day.error.clone(), held];
    UnloadedDay {
        day: day.day,
        state: day.state.into(),
        late: day.late,
        deadline: cron::deadline(dataset, day.day).map(|at| at.with_timezone(zone)),
        attempts: day.attempts.unsigned_abs(),
        reason: said.into_iter().flatten().collect::<Vec<_>>().join("; "),
        next_look: day.next_attempt_at.map(|at| at.with_timezone(zone)),
    }
}
