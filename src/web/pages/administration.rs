//! The pages beside the datasets: processes, configuration, who did what, and the login.

use axum::extract::{Query, State};
use axum::response::Html;
use chrono::{TimeDelta, Utc};
use serde::Deserialize;

use super::parts::instant;
use super::{Asking, PagesState};
use crate::day::{Day, DayRange};
use crate::db::audit_log;
use crate::db::days;
use crate::db::error::DbError;
use crate::db::pool::Conn;
use crate::plan::Owner;
use crate::state::State as DayState;
use crate::status::{self, WorkerStatus};
use crate::web::page;
use crate::web::page::model::{AuditEntry, AuditLog, Configuration, Daemon, Daemons, Key, Login, Refused};
use crate::web::problem::Problem;

/// Entries of the audit log on one page.
const ENTRIES: usize = 50;

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Going {
    next: String,
}

pub(super) async fn login(
    State(pages): PagesState,
    asking: Asking,
    Query(Going { next }): Query<Going>,
) -> Html<String> {
    let login = Login { name: String::new(), next, error: None };
    Html(page::login(&pages.frame(&asking), &login))
}

/// A day that is being loaded: by which worker, of which dataset.
type Running = (String, String, Day);

/// The processes, and the days that they are loading.
fn read_workers(conn: &mut Conn) -> Result<(Vec<WorkerStatus>, Vec<Running>), DbError> {
    let workers = status::workers(conn)?;
    let (open, _) = days::open(conn)?;
    let running =
        open.into_iter().filter(|open| open.known.state == DayState::Running && open.known.owner == Owner::Alive);
    let loads = running.filter_map(|open| Some((open.worker?, open.dataset, open.day))).collect();
    Ok((workers, loads))
}

pub(super) async fn daemons(State(pages): PagesState, asking: Asking) -> Result<Html<String>, Problem> {
    let (workers, loads) = pages.site.read(read_workers).await?;
    let shown = pages.site.board().shown();
    let own = shown.context.as_ref().map(|context| context.worker.id().to_owned());
    let lease = shown.context.as_ref().and_then(|context| TimeDelta::from_std(context.database.lease()).ok());
    let daemon = |worker: WorkerStatus| {
        let heartbeat_at = instant(&worker.heartbeat_at).unwrap_or_default();
        let of_it = loads.iter().filter(|(owner, ..)| *owner == worker.id);
        Daemon {
            this_one: own.as_ref() == Some(&worker.id),
            stalled: lease.is_some_and(|lease| Utc::now() - heartbeat_at > lease),
            loads: of_it.map(|(_, dataset, day)| (dataset.clone(), *day)).collect(),
            host: worker.host,
            pid: worker.pid,
            version: worker.version,
            started_at: instant(&worker.started_at).unwrap_or_default(),
            heartbeat_at,
            refused: worker.refused_config.iter().flat_map(|all| all.lines()).map(ToOwned::to_owned).collect(),
        }
    };
    let model = Daemons { daemons: workers.into_iter().map(daemon).collect() };
    Ok(Html(page::daemons(&pages.frame(&asking), &model)))
}

pub(super) async fn configuration(State(pages): PagesState, asking: Asking) -> Html<String> {
    let shown = pages.site.board().shown();
    let key = |(name, given): (&String, &crate::daemon::Given)| {
        // `datasets/orders.toml target.table` is a key of that file, which is its origin as well.
        let name = name.split_once(".toml ").map_or(name.as_str(), |(_, key)| key);
        Key { name: name.to_owned(), value: given.shown.clone(), origin: given.origin.clone() }
    };
    let refused = shown.refused.as_ref().map(|problems| Refused {
        at: shown.refused_at.unwrap_or_default(),
        problems: problems.lines().map(ToOwned::to_owned).collect(),
    });
    let model = Configuration {
        file: shown.file.clone(),
        since: shown.in_force_since,
        keys: shown.keys.iter().map(key).collect(),
        refused,
    };
    Html(page::configuration(&pages.frame(&asking), &model))
}

#[derive(Deserialize)]
pub(super) struct Paged {
    page: Option<usize>,
}

pub(super) async fn audit_log(
    State(pages): PagesState,
    asking: Asking,
    Query(Paged { page }): Query<Paged>,
) -> Result<Html<String>, Problem> {
    let page = page.unwrap_or(1).clamp(1, 1000);
    let limit = u32::try_from(page * ENTRIES + 1).unwrap_or(u32::MAX);
    let all = pages.site.read(move |conn| audit_log::page(conn, None, limit)).await?;
    let more = all.len() > page * ENTRIES;
    let entries = all.into_iter().skip((page - 1) * ENTRIES).take(ENTRIES).map(entry).collect();
    let model = AuditLog { entries, page, pages: page + usize::from(more) };
    Ok(Html(page::audit_log(&pages.frame(&asking), &model)))
}

fn entry(entry: audit_log::Entry) -> AuditEntry {
    let days = entry.from_day.zip(entry.to_day);
    AuditEntry {
        at: entry.at.and_utc(),
        who: entry.who,
        what: entry.action,
        dataset: entry.dataset,
        range: days.map(|(from, to)| DayRange { from: Day::new(from), to: Day::new(to) }),
        reason: entry.reason,
        done: ["done", "accepted"].iter().any(|word| entry.outcome.starts_with(word)),
        outcome: entry.outcome,
    }
}
