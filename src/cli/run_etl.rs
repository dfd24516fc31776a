//! `run-etl`: the original's command, with the original's progress lines.

use std::sync::Arc;

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
use crate::events::{DayEvent, PublishedEvent, Subscriber};
use crate::exit_code::ExitCode;
use crate::load_outcome::LoadOutcome;
use crate::plan::LoadMode;
use crate::wording::printable;

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
    let printer = Arc::new(ProgressLines { table: dataset.target.table.clone() });
    let loads = loads::run(app, vec![DatasetDays { dataset, days }], how, Some(printer))?;
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

/// Prints the original's lines of each day.
struct ProgressLines {
    table: TableName,
}

impl Subscriber for ProgressLines {
    fn receive(&self, event: &PublishedEvent) {
        if let PublishedEvent::Day(event) = event {
            // A reader that went away does not stop the load.
            let _ = super::print(&lines(&self.table, event));
        }
    }
}

fn lines(table: &TableName, event: &DayEvent) -> String {
    let (day, measured) = (event.day, &event.measured);
    let said = match &event.outcome {
        LoadOutcome::Loaded => {
            let (read, loaded) = (measured.rows_read.unwrap_or_default(), measured.rows_loaded.unwrap_or_default());
            // The original's words, which say "rows" of a single one too.
            return format!(
                "Processing data for {day}\nExtracted {read} rows\nTransformed data: {loaded} rows\nLoaded {loaded} rows to \
                 {table}\n"
            );
        }
        LoadOutcome::Waiting { why, .. } | LoadOutcome::Absent { why, .. } => format!("No file for {day} yet: {why}"),
        LoadOutcome::Refused { error, .. } => format!("Refused {day}: {}", event.with_what_stays(&error.in_full)),
        LoadOutcome::Failed { error, .. } | LoadOutcome::Blocked { error, .. } => {
            format!("Failed {day}: {}", event.with_what_stays(&error.message))
        }
        LoadOutcome::Unavailable(unavailable) => format!("Failed {day}: {unavailable}"),
        LoadOutcome::DatabaseFailed { error, .. } => format!("Failed {day}: {error}"),
        LoadOutcome::Left(leave) => format!("Left {day}: {leave}"),
        LoadOutcome::Unchanged { .. } => format!("Left {day}: its file is the one that was loaded"),
        LoadOutcome::Settled(_) | LoadOutcome::Lost => format!("Left {day}: another process took it over"),
        LoadOutcome::Cancelled { by, .. } => format!("Cancelled {day}: by {by}"),
        LoadOutcome::Interrupted => format!("Interrupted before {day} was loaded"),
    };
    format!("Processing data for {day}\n{}\n", printable(&said, usize::MAX))
}
