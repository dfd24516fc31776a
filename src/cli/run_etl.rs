//! `run-etl`: the original's command, with the original's progress lines.

use crate::cli::app::{App, days_of};
use crate::cli::args::RunEtl;
use crate::cli::catch_up::concurrency;
use crate::cli::failure::Failure;
use crate::cli::loads::{self, DatasetDays, How};
use crate::cli::outside;
use crate::column::TableName;
use crate::dataset::Dataset;
use crate::day::{DayRange, listed};
use crate::db::attempts::Trigger;
use crate::exit_code::ExitCode;
use crate::load_day::{Outcome, Report};
use crate::plan::LoadMode;
use crate::wording::{printable, with_first};

/// The dataset that stands for the original's one task.
const ORIGINAL: &str = "shopify_config";

pub(super) fn run_etl(app: &App, args: &RunEtl) -> Result<ExitCode, Failure> {
    let (from, to) = (args.start_date, args.end_date);
    if to < from {
        return Err(Failure::new(ExitCode::Usage, format!("--end-date {to} is before --start-date {from}")));
    }
    let dataset = into_table(app, args)?;
    let days = days_of(&[DayRange { from, to }])?;
    {
        let (_, mut conn) = loads::ready(app, 1)?;
        outside::tell(&mut conn, &dataset, &days)?;
    }
    let how = How { ask: LoadMode::Forced, trigger: Trigger::RunEtl, concurrency: concurrency(app, Some(1)) };
    let loads = loads::run(app, vec![DatasetDays { dataset, days }], how, &mut |dataset, report| {
        // A reader that went away does not stop the load.
        let _ = super::print(&lines(dataset, report));
    })?;
    let (code, not_tried) = (loads.exit_code(false), loads.not_tried());
    if !not_tried.is_empty() {
        super::print(&format!("Not tried: {}\n", listed(&not_tried)))?;
    }
    if code == ExitCode::Success {
        super::print("ETL process completed for all dates\n")?;
    }
    Ok(code)
}

fn into_table(app: &App, args: &RunEtl) -> Result<Dataset, Failure> {
    let has_original = app.config.datasets.iter().any(|dataset| dataset.name.as_str() == ORIGINAL);
    let name = args.dataset.as_deref().or(has_original.then_some(ORIGINAL));
    let dataset = app.one_dataset(name)?;
    let Some(table) = &args.table_name else { return Ok(dataset) };
    let table: TableName =
        table.parse().map_err(|why| Failure::new(ExitCode::Usage, format!("--table-name {table:?} {why}")))?;
    app.copy(dataset, table)
}

fn lines(dataset: &Dataset, report: &Report) -> String {
    let day = report.day;
    let measured = &report.measured;
    let said = match &report.outcome {
        Outcome::Loaded => {
            let (read, loaded) = (measured.rows_read.unwrap_or_default(), measured.rows_loaded.unwrap_or_default());
            let table = &dataset.target.table;
            // The original's words, which say "rows" of a single one too.
            return format!(
                "Processing data for {day}\nExtracted {read} rows\nTransformed data: {loaded} rows\nLoaded {loaded} rows to \
                 {table}\n"
            );
        }
        Outcome::Waiting { why, .. } | Outcome::Absent { why, .. } => format!("No file for {day} yet: {why}"),
        Outcome::Refused { error, first } => {
            format!("Refused {day}: {}", report.with_what_stays(with_first(error, first.as_deref())))
        }
        Outcome::Failed { error, .. } => format!("Failed {day}: {}", report.with_what_stays(error)),
        Outcome::Unavailable(error) => format!("Failed {day}: {error}"),
        Outcome::Database(error) => format!("Failed {day}: {error}"),
        Outcome::Left(leave) => format!("Left {day}: {leave}"),
        Outcome::Unchanged => format!("Left {day}: its file is the one that was loaded"),
        Outcome::Settled(_) | Outcome::Lost => format!("Left {day}: another process took it over"),
        Outcome::Cancelled { by } => format!("Cancelled {day}: by {by}"),
        Outcome::Interrupted => format!("Interrupted before {day} was loaded"),
    };
    format!("Processing data for {day}\n{}\n", printable(&said, usize::MAX))
}
