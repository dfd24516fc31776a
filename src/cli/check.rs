//! `check`: whether everything is in place, or what would become of a file's rows. It changes nothing.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::Read;
use std::path::Path;

use tokio::runtime::Runtime;

use crate::audit::{Counts, audit};
use crate::cli::app::{App, wanted};
use crate::cli::args::Check;
use crate::cli::failure::Failure;
use crate::cli::warnings;
use crate::dataset::Dataset;
use crate::day::Day;
use crate::db::error::DbError;
use crate::db::pool::{Conn, Database};
use crate::db::pooler;
use crate::db::setup::{self, SetupReport};
use crate::db::sqlite_file;
use crate::db::target::{self, Readiness};
use crate::db::url::DatabaseUrl;
use crate::exit_code::ExitCode;
use crate::read_rows::{ReadError, RecordOutcome, Refusal, RowReader};
use crate::source::{self, FileStatus, Source, SourceError};
use crate::validate::Reject;
use crate::web;
use crate::wording::{MOST_NAMES, counted, named, printable, with_first};

/// How many rejected rows of a sample are printed.
const SHOWN: usize = 10;

/// The worst that was found so far.
struct Findings(ExitCode);

/// A line of what was found; one line, whatever it tells of.
fn line(kind: &str, what: &str) -> Result<(), Failure> {
    super::print(&format!("{kind:<7}  {}\n", printable(what, usize::MAX))).map(drop)
}

fn warning(what: &str) -> Result<(), Failure> {
    line("warning", what)
}

fn fine(what: &str) -> Result<(), Failure> {
    line("ok", what)
}

impl Findings {
    fn wrong(&mut self, code: ExitCode, what: &str) -> Result<(), Failure> {
        if self.0 == ExitCode::Success {
            self.0 = code;
        }
        // The reasons why a table does not fit have lines of their own.
        super::print(&format!("problem  {what}\n")).map(drop)
    }
}

pub(super) fn check(app: &App, args: &Check) -> Result<ExitCode, Failure> {
    if let Some(file) = &args.sample {
        if args.dataset.len() > 1 {
            return Err(Failure::new(ExitCode::Usage, "--sample goes with one --dataset"));
        }
        let dataset = app.one_dataset(args.dataset.first().map(String::as_str))?;
        return sample(&dataset, file);
    }
    let datasets = app.datasets(&args.dataset)?;
    let mut findings = Findings(ExitCode::Success);
    let (file, number) = (app.config.file.display(), app.config.datasets.len());
    fine(&format!("configuration {file}, {}", counted(number, "dataset")))?;
    for problem in app.config.broken.iter().flat_map(|broken| &broken.problems.0) {
        findings.wrong(ExitCode::Configuration, &problem.to_string())?;
    }
    for what in warnings::of(app) {
        warning(&what)?;
    }
    if let Err(error) = web::look(&app.config.settings.web) {
        findings.wrong(ExitCode::Configuration, &error.to_string())?;
    }
    if let Some(mut conn) = database(app, &mut findings)? {
        for dataset in &datasets {
            sql(&mut conn, dataset, &mut findings)?;
        }
    }
    let runtime = Runtime::new()?;
    for dataset in &datasets {
        reach(app, dataset, runtime.handle(), &mut findings)?;
    }
    Ok(findings.0)
}

/// A connection to see what the datasets need; none where that cannot be told.
fn database(app: &App, findings: &mut Findings) -> Result<Option<Conn>, Failure> {
    let database = app.database(1);
    let url = database.url().to_string();
    let mut writable = true;
    if let DatabaseUrl::Sqlite(path) = database.url() {
        if let Some(why) = sqlite_file::unwritable(path) {
            findings.wrong(ExitCode::Database, &format!("database {}: {why}", database.url().whole()))?;
            writable = false;
        }
        if !path.exists() {
            if writable {
                fine(&format!("database {}: the first load creates it", database.url().whole()))?;
            }
            let nowhere = Database::new(DatabaseUrl::Sqlite(":memory:".into()), database.lease(), 1);
            return Ok(Some(nowhere.connect()?));
        }
    }
    match examine(&database) {
        Ok((mut conn, examined)) => {
            let tables = if examined.pending.is_empty() {
                "state tables up to date".to_owned()
            } else {
                format!("the first load applies {}", examined.pending.join(", "))
            };
            let hindered = !examined.problems.is_empty();
            if !hindered && writable {
                fine(&format!("database {url}: {tables}"))?;
            }
            for problem in examined.problems {
                findings.wrong(ExitCode::Configuration, &format!("database {url}: {problem}"))?;
            }
            for note in examined.notes {
                warning(&format!("database {url}: {note}"))?;
            }
            if let Some(advice) = conn.language_advice()? {
                warning(&format!("database {url}: {advice}"))?;
            }
            // What the datasets need cannot be told before.
            Ok((!hindered).then_some(conn))
        }
        Err(error) => {
            let failure = Failure::from(error);
            // Said already where it follows from what keeps the file from being written.
            if writable || failure.code != ExitCode::Database {
                findings.wrong(failure.code, &format!("database {url}: {failure}"))?;
            }
            Ok(None)
        }
    }
}

/// A connection for looking only, and what it finds of dayfill's own tables.
fn examine(database: &Database) -> Result<(Conn, SetupReport), DbError> {
    let mut conn = database.connect_to_look()?;
    let mut examined = setup::inspect(&mut conn)?;
    if let Err(error) = pooler::require_sessions(&mut conn, &mut database.connect_to_look()?) {
        examined.problems.push(error.to_string());
    }
    Ok((conn, examined))
}

fn sql(conn: &mut Conn, dataset: &Dataset, findings: &mut Findings) -> Result<(), Failure> {
    let (name, table) = (&dataset.name, &dataset.target.table);
    match target::examine(conn, dataset) {
        Ok(Readiness::Ready) => {
            fine(&format!("{name}: SQL, and table {table}"))?;
            for note in target::reload_notes(conn, dataset)? {
                warning(&format!("{name}: {note}"))?;
            }
            if let Some(lost) = target::lost_rows(conn, dataset)? {
                warning(&format!("{name}: {lost}"))?;
            }
            partition(conn, dataset, findings)
        }
        Ok(Readiness::Needs(statements)) => {
            fine(&format!("{name}: SQL; the first load runs: {}", statements.join("; ")))?;
            if let Some(lost) = target::lost_days(conn, dataset, &statements)? {
                warning(&format!("{name}: {lost}"))?;
            }
            Ok(())
        }
        Err(error) => {
            let failure = Failure::from(error);
            findings.wrong(failure.code, &format!("{name}: {failure}"))
        }
    }
}

/// So many of the newest wanted days need a partition where the target is partitioned by the day.
const NEWEST: usize = 7;

fn partition(conn: &mut Conn, dataset: &Dataset, findings: &mut Findings) -> Result<(), Failure> {
    let days = wanted(dataset, None, None);
    let newest = days.get(days.len().saturating_sub(NEWEST)..).unwrap_or_default();
    let Some((day, create)) = target::missing_partition(conn, dataset, newest)? else { return Ok(()) };
    let (name, table) = (&dataset.name, &dataset.target.table);
    findings.wrong(ExitCode::Configuration, &format!("{name}: table {table} has no partition for {day}: {create}"))
}

/// Looks for the newest wanted day's file: that it is not there yet is fine, that nobody answers is not, nor that the
/// folder of all days is missing.
fn reach(
    app: &App,
    dataset: &Dataset,
    runtime: &tokio::runtime::Handle,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let name = &dataset.name;
    let days = wanted(dataset, None, None);
    let day = days.last().copied().unwrap_or(dataset.schedule.start);
    let looked = Source::new(&dataset.source, &app.environment.pairs()).and_then(|source| source.stat(day, runtime));
    match looked {
        Ok(FileStatus::File(info)) => fine(&format!("{name}: {} ({})", info.url, info.size())),
        Ok(FileStatus::NotThere { url, why }) => {
            fine(&format!("{name}: {url} answers: {why}"))?;
            any_file(app, dataset, &days, runtime)
        }
        Err(error) => {
            let error = printable(&error.to_string(), usize::MAX);
            findings.wrong(ExitCode::Failed, &format!("{name}: {error}"))
        }
    }
}

/// How many wanted days are looked at, the newest among them, before it is said that none has a file.
const LOOKS: usize = 10;

/// Says it where the newest wanted day is not the only one without a file: then the URL is more likely wrong than the
/// file late. The newest days and the first are looked at.
fn any_file(app: &App, dataset: &Dataset, days: &[Day], runtime: &tokio::runtime::Handle) -> Result<(), Failure> {
    let Some((_, older)) = days.split_last().filter(|(_, older)| !older.is_empty()) else { return Ok(()) };
    let name = &dataset.name;
    let newest = older.iter().skip(1).rev().take(LOOKS - 2);
    for day in newest.chain(older.first()) {
        match Source::new(&dataset.source, &app.environment.pairs()).and_then(|source| source.stat(*day, runtime)) {
            Ok(FileStatus::NotThere { .. }) => {}
            // The newest day was answered for, so what is wrong with this one is its own: something is there.
            Ok(FileStatus::File(_)) | Err(_) => return Ok(()),
        }
    }
    let of = match days.len() {
        number if number > LOOKS => format!("{LOOKS} of its {number} wanted days were looked at, and none"),
        number => format!("none of its {number} wanted days"),
    };
    warning(&format!("{name}: {of} has a file; check source.url and schedule.start"))
}

/// What was found in a sample.
#[derive(Default)]
struct Sample {
    counts: Counts,
    rejects: Vec<Reject>,
    by_reason: BTreeMap<(Option<String>, String), u64>,
}

fn sample(dataset: &Dataset, file: &Path) -> Result<ExitCode, Failure> {
    let refused = |why: String| {
        let what = format!("{}: {} would be refused: {why}", dataset.name, file.display());
        super::print(&format!("{}\n", printable(&what, usize::MAX)))?;
        Ok(ExitCode::Refused)
    };
    let sample = match read_sample(dataset, file)? {
        Ok(sample) => sample,
        Err(why) => return refused(why),
    };
    let Counts { read, rejected, .. } = sample.counts;
    let rows = counted(read, "row");
    super::print(&format!(
        "{}: {rows}, {} accepted, {} rejected\n",
        dataset.name,
        read - rejected,
        sample.counts.rejected_text()
    ))?;
    for ((column, reason), number) in &sample.by_reason {
        let column = column.as_deref().map_or_else(String::new, |column| format!("column {column} "));
        let what = printable(&format!("{column}{reason}"), usize::MAX);
        super::print(&format!("  {}: {what}\n", counted(*number, "time")))?;
    }
    for reject in &sample.rejects {
        super::print(&format!("  {}\n", printable(&reject.to_string(), usize::MAX)))?;
    }
    match audit(sample.counts, &dataset.limits) {
        Ok(_) => Ok(ExitCode::Success),
        Err(why) => refused(why.to_string()),
    }
}

/// Reads a file as a load would; the inner error says why the day would be refused.
fn read_sample(dataset: &Dataset, file: &Path) -> Result<Result<Sample, String>, Failure> {
    let failed = |error: SourceError| Failure::new(ExitCode::Failed, error.to_string());
    let opened = source::open_file(file, dataset.source.zstd_window_log).map_err(failed)?;
    let mut opened = opened.within(dataset.limits);
    let mut sample = Sample::default();
    let mut take = |taken: RecordOutcome<'_>| -> Result<(), Infallible> {
        match taken {
            RecordOutcome::Header([]) => {}
            RecordOutcome::Header(unknown) => {
                log::warn!("columns that the dataset does not name: {}", named(unknown, MOST_NAMES));
            }
            RecordOutcome::Accepted { .. } => sample.counts.read += 1,
            RecordOutcome::Rejected { lines, reject } => sample.reject(lines, reject),
        }
        Ok(())
    };
    let mut reader = RowReader::new(dataset);
    let mut buffer = vec![0; 64 * 1024];
    let parsed = loop {
        let length = match opened.read(&mut buffer).map_err(|error| SourceError::from_io(error, &opened.info().url)) {
            Ok(length) => length,
            Err(error) if error.refuses() => return Ok(Err(error.to_string())),
            Err(error) => return Err(failed(error)),
        };
        let step = if length == 0 { reader.finish(&mut take) } else { reader.push(&buffer[..length], &mut take) };
        if length == 0 || step.is_err() {
            break step;
        }
    };
    Ok(match parsed {
        Err(ReadError::Refused(Refusal { error, line })) => Err(with_first(&error, line.as_deref())),
        Err(ReadError::Taker(never)) => match never {},
        Ok(()) => {
            for doubt in reader.doubts() {
                log::warn!("rows may be misread: {doubt}");
            }
            Ok(sample)
        }
    })
}

impl Sample {
    fn reject(&mut self, lines: u64, reject: Reject) {
        self.counts.read += lines;
        self.counts.reject(lines);
        *self.by_reason.entry((reject.column.clone(), reject.reason.clone())).or_default() += 1;
        if self.rejects.len() < SHOWN {
            self.rejects.push(reject);
        }
    }
}
