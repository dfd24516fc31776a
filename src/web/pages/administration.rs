//! The pages beside the datasets: processes, configuration, who did what, and the login.

use axum::Extension;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::paging::{PageOffset, Paged};
use super::{PageRequest, PagesState};
use crate::day::Day;
use crate::db::activity_log;
use crate::db::days;
use crate::db::error::DbError;
use crate::db::pool::Conn;
use crate::plan::Owner;
use crate::state::State as DayState;
use crate::status::{self, ActivityEntry, RegisteredWorker};
use crate::web::auth::users_unavailable;
use crate::web::guard::UsersUnavailable;
use crate::web::parameters::Parameters;
use crate::web::problem::Problem;
use crate::web::view;
use crate::web::view::model::{
    ActivityLogPage, ConfigurationKey, ConfigurationPage, DaemonRow, DaemonsPage, LoginPage, RejectedConfiguration,
};

/// Entries of the activity log on one page.
const ENTRIES: u32 = 50;

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct LoginQuery {
    next: String,
}

pub(super) async fn login(
    State(pages): PagesState,
    asking: PageRequest,
    nobody: Option<Extension<UsersUnavailable>>,
    Parameters(LoginQuery { next }): Parameters<LoginQuery>,
) -> Response {
    let problem = nobody.map(|_| users_unavailable());
    let error = problem.as_ref().map(|problem| problem.detail.clone());
    let html = Html(view::login(&pages.frame(&asking), &LoginPage { name: String::new(), next, error }));
    match problem {
        Some(problem) => problem.respond(html),
        None => html.into_response(),
    }
}

/// A day that is being loaded: by which worker, of which dataset.
type RunningDay = (String, String, Day);

/// What is read of the processes.
struct WorkerActivity {
    all: Vec<RegisteredWorker>,
    /// The days that they are loading.
    loads: Vec<RunningDay>,
    /// The time by the clock that their signs of life were written by.
    now: DateTime<Utc>,
}

fn read_workers(conn: &mut Conn) -> Result<WorkerActivity, DbError> {
    let all = status::workers(conn)?;
    let now = *conn.now()?;
    let (open, _) = days::open(conn)?;
    let running =
        open.into_iter().filter(|open| open.known.state == DayState::Running && open.known.owner == Owner::Alive);
    let loads = running.filter_map(|open| Some((open.worker?, open.dataset, open.day))).collect();
    Ok(WorkerActivity { all, loads, now })
}

pub(super) async fn daemons(State(pages): PagesState, asking: PageRequest) -> Result<Html<String>, Problem> {
    let WorkerActivity { all, loads, now } = pages.site.read(read_workers).await?;
    let shown = pages.site.daemon().status();
    let own = shown.context.as_ref().map(|context| context.worker.id().to_owned());
    let lease = shown.context.as_ref().and_then(|context| TimeDelta::from_std(context.database.lease()).ok());
    let daemon = |worker: RegisteredWorker| {
        let silence = now - worker.heartbeat_at;
        let of_it = loads.iter().filter(|(owner, ..)| *owner == worker.id);
        DaemonRow {
            this_one: own.as_ref() == Some(&worker.id),
            stalled: lease.is_some_and(|lease| silence > lease),
            loads: of_it.map(|(_, dataset, day)| (dataset.clone(), *day)).collect(),
            silence,
            worker,
        }
    };
    let model = DaemonsPage { daemons: all.into_iter().map(daemon).collect() };
    Ok(Html(view::daemons(&pages.frame(&asking), &model)))
}

pub(super) async fn configuration(State(pages): PagesState, asking: PageRequest) -> Html<String> {
    let shown = pages.site.daemon().status();
    let key = |(name, given): (&String, &crate::daemon::ConfigValue)| {
        // `datasets/orders.toml target.table` is a key of that file, which is its origin as well.
        let name = name.split_once(".toml ").map_or(name.as_str(), |(_, key)| key);
        ConfigurationKey { name: name.to_owned(), value: given.shown.clone(), origin: given.origin.clone() }
    };
    let refused = shown.refused.as_ref().map(|problems| RejectedConfiguration {
        at: shown.refused_at.unwrap_or_default(),
        problems: problems.lines().map(ToOwned::to_owned).collect(),
    });
    let model = ConfigurationPage {
        file: shown.file.clone(),
        since: shown.in_force_since,
        keys: shown.keys.iter().map(key).collect(),
        refused,
        broken: shown.broken.clone(),
    };
    Html(view::configuration(&pages.frame(&asking), &model))
}

#[derive(Deserialize)]
pub(super) struct ActivityLogQuery {
    /// Entries before this one.
    before: Option<i64>,
    /// Entries after this one.
    after: Option<i64>,
}

pub(super) async fn activity_log(
    State(pages): PagesState,
    asking: PageRequest,
    Parameters(ActivityLogQuery { before, after }): Parameters<ActivityLogQuery>,
) -> Result<Html<String>, Problem> {
    // The newest entry is the first of the list.
    let place = PageOffset::of(before, after);
    let Paged { items, before: newer, behind: older } = pages.site.read(move |conn| read_log(conn, place)).await?;
    let model = ActivityLogPage {
        newer: items.first().map(|entry| entry.id).filter(|_| newer),
        older: items.last().map(|entry| entry.id).filter(|_| older),
        entries: items,
    };
    Ok(Html(view::activity_log(&pages.frame(&asking), &model)))
}

fn read_log(conn: &mut Conn, place: PageOffset) -> Result<Paged<ActivityEntry>, DbError> {
    Paged::read(place, ENTRIES, |place, limit| match place {
        PageOffset::Start => activity_log::page(conn, None, limit),
        PageOffset::Behind(entry) => activity_log::page(conn, Some(entry), limit),
        PageOffset::Before(entry) => activity_log::page_after(conn, entry, limit),
    })
}
