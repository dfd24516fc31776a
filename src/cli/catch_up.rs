//! `catch-up` and `load`.

use crate::cli::app::{App, days_of, wanted};
use crate::cli::args::{CatchUp, Load};
use crate::cli::failure::Failure;
use crate::cli::loads::{self, How, Loads, Order};
use crate::cli::table::Table;
use crate::db::attempts::Trigger;
use crate::exit_code::ExitCode;
use crate::plan::{Ask, Decision, Reason};
use crate::reconcile;

pub(super) fn catch_up(app: &App, args: &CatchUp) -> Result<ExitCode, Failure> {
    let datasets = app.datasets(&args.dataset)?;
    if args.dry_run {
        return dry_run(app, args);
    }
    let orders: Vec<Order> = datasets
        .into_iter()
        .map(|dataset| Order { days: wanted(dataset, args.from, args.to), dataset: dataset.clone() })
        .collect();
    let days: usize = orders.iter().map(|order| order.days.len()).sum();
    let how = How { ask: Ask::NotDone, trigger: Trigger::CatchUp, concurrency: concurrency(app, args.concurrency) };
    let loads = loads::run(app, orders, how, &mut |_, _| {})?;
    if loads.is_empty() {
        super::print(&format!("nothing to do: all {days} wanted days are done (`dayfill status` shows them)\n"))?;
        return Ok(loads.exit_code(args.strict));
    }
    conclude(&loads, args.strict)
}

pub(super) fn load(app: &App, args: &Load) -> Result<ExitCode, Failure> {
    let days = days_of(&args.days);
    let orders = app
        .datasets(&args.dataset)?
        .into_iter()
        .map(|dataset| Order { dataset: dataset.clone(), days: days.clone() })
        .collect();
    let ask = if args.force { Ask::Forced } else { Ask::Named };
    let how = How { ask, trigger: Trigger::Load, concurrency: concurrency(app, None) };
    conclude(&loads::run(app, orders, how, &mut |_, _| {})?, args.strict)
}

pub(super) fn concurrency(app: &App, asked: Option<u32>) -> u32 {
    asked.unwrap_or(app.config.settings.catch_up.concurrency)
}

/// Prints the table of days and the summary.
pub(super) fn conclude(loads: &Loads, strict: bool) -> Result<ExitCode, Failure> {
    super::print(&super::coloured(&format!("{}\n{}\n", loads.table(), loads.summary())))?;
    Ok(loads.exit_code(strict))
}

fn dry_run(app: &App, args: &CatchUp) -> Result<ExitCode, Failure> {
    let mut conn = app.look()?;
    let mut table = Table::new(&["DATASET", "DAY", "WOULD BE", "BECAUSE"]);
    for dataset in app.datasets(&args.dataset)? {
        let days = wanted(dataset, args.from, args.to);
        let decided = match &mut conn {
            Some(conn) => {
                let most = app.config.settings.retry.max_attempts;
                reconcile::decide(conn, &dataset.name, &days, Ask::NotDone, most)?
            }
            None => days.into_iter().map(|day| (day, Decision::Load(Reason::Missing))).collect(),
        };
        for (day, decision) in decided {
            let (would, because) = match decision {
                Decision::Load(reason) => ("loaded".to_owned(), reason.to_string()),
                Decision::Settle(state) => (state.to_string(), "its process died or stalled".to_owned()),
                Decision::Leave(_) => continue,
            };
            table.row(vec![dataset.name.to_string(), day.to_string(), would, because]);
        }
    }
    let text = if table.is_empty() { "nothing to do\n".to_owned() } else { table.render() };
    super::print(&super::coloured(&text))
}
