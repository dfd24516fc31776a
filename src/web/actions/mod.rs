//! What a person or a program can ask for: what it would do, and doing it. The forms of the pages and the API both come
//! here. Everything blocks but [`submit`].
//!
//! What is done is written down before it is done (`db::activity_log`), and nobody can do what was not.

mod effect;
mod order;
mod outcome;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;

pub use self::effect::{Effect, PlannedState, UnchangedReason};
pub use self::order::{ActionOrder, InvalidOrder};
pub use self::outcome::went_well;
use super::Site;
pub use super::action::Action;
use super::problem::Problem;
use crate::cron;
use crate::daemon::{DaemonCommand, DaemonHandle};
use crate::dataset::{Dataset, DatasetName};
use crate::day::{Day, DayRange};
use crate::db::activity_log::{self, Deed};
use crate::db::cancellation;
use crate::db::day_action::{self, DayAction, DayActionError};
use crate::db::days;
use crate::db::error::DbError;
use crate::db::paused;
use crate::db::pool::Conn;
use crate::events::PublishedEvent;
use crate::load_day::Job;
use crate::plan::{LoadMode, Outside, ToRetry};
use crate::reconcile;
use crate::state::State;

/// How many days that move are each published. Of more, the dataset as a whole is.
const MOST_NEWS: usize = 100;

/// What was asked for was not done.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// A dataset that is paused begins nothing by itself, and so does not catch up.
    #[error("{0} is paused: resume it first, or name the days")]
    Paused(String),
    /// The daemon would forget it.
    #[error("the daemon is shutting down")]
    Ending,
    /// The schedule does not reach some of the days, and nobody confirmed that they are meant.
    #[error("{0}: confirm these days (`allow_outside`) or name others; nothing was done")]
    Outside(Outside),
    /// There is nothing that can be done with any of the days that were named.
    #[error("{}", describe_left(.0))]
    NoDay(Vec<Effect>),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// The days that were left alone, by reason.
fn describe_left(effects: &[Effect]) -> String {
    let reasons: BTreeSet<&str> = effects.iter().map(|effect| effect.because.as_str()).collect();
    let describe = |reason: &str| {
        let left: Vec<Day> = effects.iter().filter(|it| it.because == reason).map(|it| it.day).collect();
        format!("{}: {reason}", crate::day::listed(&left))
    };
    let text = reasons.into_iter().map(describe).collect::<Vec<_>>().join("; ");
    if any(effects, UnchangedReason::Done) {
        format!("{text}; `{}` loads such days again", Action::Reload.name())
    } else {
        text
    }
}

/// True when some day was left alone for that reason.
fn any(effects: &[Effect], left: UnchangedReason) -> bool {
    effects.iter().any(|effect| effect.left == Some(left))
}

impl From<ActionError> for Problem {
    fn from(refused: ActionError) -> Self {
        let detail = refused.to_string();
        let code = match refused {
            ActionError::Db(error) => return error.into(),
            ActionError::Ending => return Problem::unavailable("ending", detail),
            ActionError::Paused(_) => "paused",
            ActionError::Outside(_) => "outside-schedule",
            ActionError::NoDay(effects) if any(&effects, UnchangedReason::Illegal) => "illegal-move",
            ActionError::NoDay(effects) if any(&effects, UnchangedReason::Busy) => "busy",
            ActionError::NoDay(effects) if any(&effects, UnchangedReason::Later) => "not-to-retry",
            ActionError::NoDay(_) => "loaded",
        };
        Self::new(StatusCode::CONFLICT, code, detail)
    }
}

/// What an order would do to each day that it concerns, oldest first. It changes nothing.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn preview(
    daemon: &DaemonHandle,
    conn: &mut Conn,
    dataset: &Dataset,
    order: &ActionOrder,
) -> Result<Vec<Effect>, DbError> {
    match (order.action, order.days) {
        (Action::CatchUp, _) => catch_up(conn, dataset),
        (Action::Load, Some(days)) => Ok(waiting(daemon, dataset, load(conn, dataset, days, LoadMode::Named)?)),
        (Action::Retry, Some(days)) => Ok(waiting(daemon, dataset, retry(conn, dataset, days)?)),
        (Action::Reload, Some(days)) => Ok(waiting(daemon, dataset, load(conn, dataset, days, LoadMode::Forced)?)),
        (Action::Skip | Action::Forget, Some(days)) => {
            let (known, _) = days::known(conn, &dataset.name, days)?;
            Ok(days.days().map(|day| Effect::of_move(day, known.get(&day), order.action)).collect())
        }
        (Action::Cancel, Some(days)) => {
            let (known, _) = days::known(conn, &dataset.name, days)?;
            Ok(days.days().map(|day| Effect::of_cancel(day, known.get(&day))).collect())
        }
        _ => Ok(Vec::new()),
    }
}

/// The effects with those that wait for days which this process is loading.
fn waiting(daemon: &DaemonHandle, dataset: &Dataset, mut effects: Vec<Effect>) -> Vec<Effect> {
    if any(&effects, UnchangedReason::Busy) {
        let loading = daemon.loading(&dataset.name);
        let is_here =
            |effect: &&mut Effect| effect.left == Some(UnchangedReason::Busy) && loading.contains(&effect.day);
        effects.iter_mut().filter(is_here).for_each(Effect::wait);
    }
    effects
}

/// How many days an order touches, and how many of them the schedule does not reach.
#[must_use]
pub fn outside(dataset: &Dataset, effects: &[Effect]) -> Outside {
    let touched = effects.iter().filter(|effect| effect.is_done()).map(|effect| (effect.day, effect.state));
    Outside::count(&dataset.schedule, chrono::Utc::now(), touched)
}

/// How long a request to cancel loads of this process waits for the activity log: the loads are cancelled before that.
const ENTRY_WITHIN: Duration = Duration::from_secs(5);

/// Gives an order: has it carried out, once loads of this process that it cancels are cancelled. These need no database,
/// so that they are reached also while another program holds a SQLite file.
///
/// # Errors
/// A [`Problem`]: [`ActionError`], or the database is not there.
pub async fn submit(site: &Arc<Site>, job: Arc<Job>, who: String, order: ActionOrder) -> Result<ActionResult, Problem> {
    let own = cancel_own(site.daemon(), &job.dataset.name, &who, &order);
    let (writer, reached) = (Arc::clone(site), own.clone());
    let write = async move {
        let daemon = Arc::clone(writer.daemon());
        writer.write(move |conn| carry_out(&daemon, conn, &job.dataset, &who, &order, &reached)).await
    };
    if own.is_empty() {
        return write.await;
    }
    let days = crate::day::listed(&own.iter().map(|effect| effect.day).collect::<Vec<_>>());
    let written = tokio::spawn(async move {
        let written = write.await;
        if let Err(problem) = &written {
            log::warn!("the activity log has no entry for the cancelled loads ({days}): {}", problem.detail);
        }
        written
    });
    match tokio::time::timeout(ENTRY_WITHIN, written).await {
        Ok(Ok(Ok(carried_out))) => Ok(carried_out),
        // What was cancelled is, whatever becomes of its entry.
        _ => Ok(ActionResult { entry: None, effects: own }),
    }
}

/// Cancels the loads of this process that an order is about; what that does to their days.
fn cancel_own(daemon: &DaemonHandle, name: &DatasetName, who: &str, order: &ActionOrder) -> Vec<Effect> {
    let (Action::Cancel, Some(days), Some(context)) = (order.action, order.days, &daemon.status().context) else {
        return Vec::new();
    };
    let reached = context.active_loads.cancel(name, days, &cancellation::by(who, order.reason.as_deref()));
    reached.iter().map(|flight| Effect::of_own_cancelled(flight)).collect()
}

/// An order that was carried out, or accepted.
#[derive(Debug)]
pub struct ActionResult {
    /// Its entry in the activity log, which tells how it ends; `None` where it is not written yet.
    pub entry: Option<i64>,
    /// What it did, or begins to do, to each day.
    pub effects: Vec<Effect>,
}

/// Does what is asked for, as far as it can be done at once; days that are to be loaded are left to the daemon. What it
/// did, or begins to do, to each day. `own` are days whose loads are cancelled already.
///
/// # Errors
/// [`ActionError`]; nothing was done then, unless the database failed half-way through many days.
fn carry_out(
    daemon: &DaemonHandle,
    conn: &mut Conn,
    dataset: &Dataset,
    who: &str,
    order: &ActionOrder,
    own: &[Effect],
) -> Result<ActionResult, ActionError> {
    let deed = Deed {
        who,
        action: order.action.name(),
        dataset: Some(&dataset.name),
        days: order.days,
        reason: order.reason.as_deref(),
    };
    let entry = activity_log::begin(conn, deed)?;
    let done = match (order.action, order.days) {
        (Action::Cancel, Some(_)) => cancel(daemon, conn, dataset, who, order, own),
        _ => act(daemon, conn, dataset, who, order, entry),
    };
    let outcome = match &done {
        Ok(effects) => outcome::outcome(order.action, effects),
        Err(refused) => refused.to_string(),
    };
    if let Err(error) = activity_log::end(conn, entry, &outcome) {
        // What was done is done, and the entry tells by whom.
        log::warn!(
            "{}: the activity log does not have the outcome of {} by {who}: {error}",
            dataset.name,
            order.action.name()
        );
    }
    if done.is_ok() {
        // Days that came to something meanwhile ended before the log had the order.
        daemon.manual_loads().written(entry);
        daemon.record_ended_loads(conn);
    } else {
        daemon.manual_loads().forget(entry);
    }
    let (name, action) = (&dataset.name, order.action.name());
    let days = order.days.map_or_else(String::new, |days| format!(" {days}"));
    log::info!("{name}{days}: {action} by {who}: {outcome}");
    done.map(|effects| ActionResult { entry: Some(entry), effects })
}

/// Asks other processes to cancel their loads of the order's days; `own` are those of this process, which are cancelled.
fn cancel(
    daemon: &DaemonHandle,
    conn: &mut Conn,
    dataset: &Dataset,
    who: &str,
    order: &ActionOrder,
    own: &[Effect],
) -> Result<Vec<Effect>, ActionError> {
    let mut effects = preview(daemon, conn, dataset, order)?;
    for effect in &mut effects {
        if let Some(cancelled) = own.iter().find(|own| own.day == effect.day) {
            effect.clone_from(cancelled);
        } else if effect.is_done() {
            let asked = cancellation::ask(conn, &dataset.name, effect.day, who, order.reason.as_deref())?;
            effect.asked_to_cancel(&asked);
        }
    }
    if effects.iter().any(Effect::is_done) { Ok(effects) } else { Err(ActionError::NoDay(effects)) }
}

fn act(
    daemon: &DaemonHandle,
    conn: &mut Conn,
    dataset: &Dataset,
    who: &str,
    order: &ActionOrder,
    entry: i64,
) -> Result<Vec<Effect>, ActionError> {
    let name = &dataset.name;
    if daemon.status().stopping && order.action.loads() {
        return Err(ActionError::Ending);
    }
    let effects = match (order.action, order.days) {
        (Action::CatchUp, _) => {
            if paused::of(conn, name)?.is_some() {
                return Err(ActionError::Paused(name.to_string()));
            }
            let effects = preview(daemon, conn, dataset, order)?;
            let days = effects.iter().filter(|effect| effect.is_done()).map(|effect| effect.day);
            daemon.manual_loads().begin(entry, name, days, None);
            send_to_daemon(daemon, DaemonCommand::CatchUp(name.clone()))?;
            effects
        }
        (Action::Load | Action::Reload | Action::Retry, _) => {
            let mut effects = preview(daemon, conn, dataset, order)?;
            let outside = outside(dataset, &effects);
            if !outside.is_empty() && !order.allow_outside {
                return Err(ActionError::Outside(outside));
            }
            if order.action == Action::Retry {
                begin_series(conn, dataset, &mut effects)?;
                effects = waiting(daemon, dataset, effects);
            }
            let days: Vec<Day> = effects.iter().filter(|effect| effect.is_done()).map(|effect| effect.day).collect();
            let ask = match order.action {
                Action::Reload => LoadMode::Forced,
                Action::Retry => LoadMode::Retry(ToRetry::ALL),
                _ => LoadMode::Named,
            };
            if !days.is_empty() {
                daemon.manual_loads().begin(entry, name, days.iter().copied(), Some(ask));
                send_to_daemon(daemon, DaemonCommand::Load { dataset: name.clone(), days, ask })?;
            }
            effects
        }
        (Action::Skip | Action::Forget, Some(days)) => {
            let (effects, broke) = skip_or_forget(conn, dataset, days, order);
            publish_moved(daemon, dataset, order.action, &effects);
            broke.map_or(Ok(effects), Err)?
        }
        (Action::Skip | Action::Forget, None) | (Action::Cancel, _) => Vec::new(),
        (Action::Pause, _) => {
            paused::pause(conn, name, who, order.reason.as_deref())?;
            daemon.send(DaemonCommand::Changed(name.clone()));
            Vec::new()
        }
        (Action::Resume, _) => {
            paused::resume(conn, name)?;
            daemon.send(DaemonCommand::Changed(name.clone()));
            Vec::new()
        }
    };
    // A catch-up names none: one that finds nothing to do has done it.
    let in_vain = order.action.takes_days() && !effects.iter().any(Effect::is_done);
    if in_vain { Err(ActionError::NoDay(effects)) } else { Ok(effects) }
}

/// Has the daemon do what it must be asked for.
fn send_to_daemon(daemon: &DaemonHandle, asked: DaemonCommand) -> Result<(), ActionError> {
    if daemon.send(asked) { Ok(()) } else { Err(ActionError::Ending) }
}

/// What a look at all wanted days, due or not, comes to. Of days that are long done there is nothing to tell.
fn catch_up(conn: &mut Conn, dataset: &Dataset) -> Result<Vec<Effect>, DbError> {
    let wanted = cron::wanted(dataset, chrono::Utc::now()).days;
    let (Some(from), Some(to)) = (wanted.first().copied(), wanted.last().copied()) else { return Ok(Vec::new()) };
    let (known, _) = days::known(conn, &dataset.name, DayRange { from, to })?;
    let decided = reconcile::decide(conn, dataset, &wanted, LoadMode::NotDone, None)?;
    let effects = decided
        .into_iter()
        .map(|(day, decision)| Effect::of_decision(day, known.get(&day).map(|known| known.state), decision));
    Ok(effects.filter(|effect| effect.left != Some(UnchangedReason::Done)).collect())
}

fn load(conn: &mut Conn, dataset: &Dataset, range: DayRange, ask: LoadMode) -> Result<Vec<Effect>, DbError> {
    let days: Vec<Day> = range.days().collect();
    let (known, _) = days::known(conn, &dataset.name, range)?;
    let decided = reconcile::decide(conn, dataset, &days, ask, None)?;
    Ok(decided
        .into_iter()
        .map(|(day, decision)| Effect::of_decision(day, known.get(&day).map(|known| known.state), decision))
        .collect())
}

/// A retry takes days that failed, were refused or are absent, and that the schedule wants; of a range never the others.
fn retry(conn: &mut Conn, dataset: &Dataset, range: DayRange) -> Result<Vec<Effect>, DbError> {
    let wanted: BTreeSet<Day> = cron::wanted(dataset, chrono::Utc::now()).days.into_iter().collect();
    let mut effects = load(conn, dataset, range, LoadMode::Retry(ToRetry::ALL))?;
    let is_for_load = |effect: &&mut Effect| effect.is_done() || effect.left == Some(UnchangedReason::Later);
    for effect in effects.iter_mut().filter(is_for_load) {
        if !wanted.contains(&effect.day) {
            effect.leave_unwanted();
        }
    }
    Ok(effects)
}

/// Lets days that are to be loaded begin a new series of attempts.
fn begin_series(conn: &mut Conn, dataset: &Dataset, effects: &mut [Effect]) -> Result<(), DbError> {
    for effect in effects.iter_mut().filter(|effect| effect.is_done()) {
        match day_action::apply(conn, &dataset.name, effect.day, DayAction::NewSeries) {
            Ok(_) => {}
            Err(DayActionError::Db(error)) => return Err(error),
            Err(error) => effect.leave(&error),
        }
    }
    Ok(())
}

/// Skips or forgets days, one after the other. A day that cannot be does not stop the others; a database that fails
/// does.
fn skip_or_forget(
    conn: &mut Conn,
    dataset: &Dataset,
    range: DayRange,
    order: &ActionOrder,
) -> (Vec<Effect>, Option<ActionError>) {
    let action = match order.action {
        Action::Skip => DayAction::Skip(order.reason.as_deref()),
        _ => DayAction::Forget,
    };
    let mut effects = Vec::new();
    for day in range.days() {
        match day_action::apply(conn, &dataset.name, day, action) {
            Ok(before) => effects.push(Effect::moved(day, before, order.action)),
            Err(DayActionError::Db(error)) => return (effects, Some(error.into())),
            Err(error) => {
                let state =
                    if let DayActionError::Illegal(illegal) = &error { illegal.state } else { Some(State::Running) };
                let mut effect = Effect::moved(day, state, order.action);
                effect.leave(&error);
                effects.push(effect);
            }
        }
    }
    (effects, None)
}

/// Tells of days that moved.
fn publish_moved(daemon: &DaemonHandle, dataset: &Dataset, action: Action, effects: &[Effect]) {
    let moved = || effects.iter().filter(|effect| effect.is_done());
    // A day that was forgotten has no state to tell of.
    if action == Action::Skip && moved().count() <= MOST_NEWS {
        for effect in moved() {
            let (dataset, day) = (dataset.name.clone(), effect.day);
            daemon.publish(&PublishedEvent::DaySkipped { dataset, day });
        }
    }
    if moved().next().is_some() {
        daemon.send(DaemonCommand::Changed(dataset.name.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_daemon_no_longer_hears_is_refused() {
        let asked = DaemonCommand::CatchUp("orders".parse().unwrap());
        assert!(matches!(send_to_daemon(&DaemonHandle::disconnected(), asked), Err(ActionError::Ending)));
    }
}
