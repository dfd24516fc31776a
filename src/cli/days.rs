//! `retry`, `skip` and `forget`: what a person decides about days.

use crate::cli::app::{App, days_of};
use crate::cli::args::{Days, Skip};
use crate::cli::catch_up::{conclude, concurrency};
use crate::cli::failure::Failure;
use crate::cli::loads::{self, DatasetDays, How};
use crate::db::attempts::Trigger;
use crate::db::day_action::{DayAction, DayActionError, apply};
use crate::exit_code::ExitCode;
use crate::plan::Ask;
use crate::state::State;

pub(super) fn retry(app: &App, args: &Days) -> Result<ExitCode, Failure> {
    let begun_anew = act(app, args, DayAction::NewSeries, None)?;
    let days = DatasetDays { dataset: app.one_dataset(args.dataset.as_deref())?, days: days_of(&args.days) };
    let how = How { ask: Ask::Named, trigger: Trigger::Retry, concurrency: concurrency(app, None) };
    let loaded = conclude(&loads::run(app, vec![days], how, &mut |_, _| {})?, false)?;
    Ok(if loaded == ExitCode::Success { begun_anew } else { loaded })
}

pub(super) fn skip(app: &App, args: &Skip) -> Result<ExitCode, Failure> {
    act(app, &args.days, DayAction::Skip(args.reason.as_deref()), Some("skipped"))
}

pub(super) fn forget(app: &App, args: &Days) -> Result<ExitCode, Failure> {
    act(app, args, DayAction::Forget, Some("forgotten"))
}

/// Carries out an action on each day, and says so where there is a word for it. A day that cannot take it does not stop
/// the others.
fn act(app: &App, args: &Days, action: DayAction<'_>, done: Option<&str>) -> Result<ExitCode, Failure> {
    let dataset = app.one_dataset(args.dataset.as_deref())?;
    let (_, mut conn) = loads::ready(app, std::iter::empty(), 1)?;
    let mut code = ExitCode::Success;
    for day in days_of(&args.days) {
        let name = &dataset.name;
        let line = match apply(&mut conn, name, day, action) {
            Ok(before) => {
                let before = before.map_or("missing", State::name);
                done.map(|done| format!("{name} {day}: {done} (it was {before})\n"))
            }
            Err(DayActionError::Db(error)) => return Err(error.into()),
            Err(error) => {
                code = ExitCode::Failed;
                Some(format!("{name} {day}: {error}\n"))
            }
        };
        super::print(&line.unwrap_or_default())?;
    }
    Ok(code)
}
