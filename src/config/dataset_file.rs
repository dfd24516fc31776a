//! A dataset's file: `[source]`, `[schedule]`, `[csv]`, `[target]` and `[limits]`; `rows` and the policy have files of
//! their own.

use std::path::Path;
use std::time::Duration;

use config::{Map, Value, ValueKind};

use super::checks;
use super::database;
use super::policy;
use super::problem::did_you_mean;
use super::report::ConfigReport;
use super::rows;
use super::section::{TomlSection, boolean, bytes, choice, duration, integer, parsed, some_text, text, texts};
use super::source_url;
use crate::column::Identifier;
use crate::cron;
use crate::dataset::{
    CsvFormat, Dataset, DatasetName, Forbidden, Limits, Mode, Redirects, Schedule, SourceSpec, Target, Weekdays,
};
use crate::day::Day;
use crate::policy::{OnChange, Policy};
use crate::source;
use crate::zone::Zone;

/// The column of the day unless the dataset names another.
const DAY_COLUMN: &str = "file_date";

/// How many days back the files of loaded days are looked at again unless the dataset says.
const RECHECK_DAYS: u32 = 7;

/// Reads a dataset. `folder` is the main file's, made absolute: plain paths are relative to it; `policy` is the main
/// file's. `None` when something is wrong; the report says what.
pub(super) fn read(
    path: &Path,
    table: Map<String, Value>,
    folder: &Path,
    policy: &Policy,
    report: &ConfigReport,
) -> Option<Dataset> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name =
        stem.parse::<DatasetName>().map_err(|message| report.file(format!("its name, {stem:?}, {message}"))).ok();
    let mut file = TomlSection::root(report, table);
    let source = source(file.section("source"), folder, report);
    let schedule = schedule(file.section("schedule"));
    let csv = csv(file.section("csv"));
    let mut target_section = file.section("target");
    let target = target(&mut target_section);
    let mut rows_section = file.section("rows");
    let rows = rows::read(&mut rows_section);
    checks::names(&target_section, target.as_ref(), &rows);
    target_section.finish();
    rows_section.finish();
    let limits = limits(file.section("limits"));
    let policy = policy::read(&mut file, policy);
    file.finish();
    let (rows, _) = rows;
    Some(Dataset {
        name: name?,
        source: source?,
        schedule: schedule?,
        csv: csv?,
        target: target?,
        rows,
        limits,
        policy,
    })
}

/// The keys that mean something for some kinds of source only.
const ONLY_FOR: [(&str, &[&str]); 9] = [
    ("anonymous", &["s3", "gs", "az"]),
    ("region", &["s3"]),
    ("endpoint", &["s3"]),
    ("allow_http", &["s3"]),
    ("path_style", &["s3"]),
    ("timeout", &["s3", "gs", "az", "http", "https"]),
    ("redirects", &["gs", "az", "http", "https"]),
    ("user_file", &["http", "https"]),
    ("headers_file", &["http", "https"]),
];

fn source(mut section: TomlSection, folder: &Path, report: &ConfigReport) -> Option<SourceSpec> {
    let written = section.required("url", some_text);
    let url = written
        .as_deref()
        .and_then(|text| source_url::template(text, folder).map_err(|message| section.wrong("url", message)).ok());
    if let Some(scheme) = written.as_deref().map(source_url::scheme) {
        let scheme = scheme.unwrap_or("file");
        for (name, schemes) in ONLY_FOR {
            // What an unknown scheme would take is not known either; the scheme is reported.
            let known = ["s3", "gs", "az", "http", "https", "file"].contains(&scheme);
            if known && section.has(name) && !schemes.contains(&scheme) {
                section.wrong(name, format!("has no effect here: only {} sources have it", schemes.join(", ")));
            }
        }
    }
    let anonymous = section.read("anonymous", boolean).unwrap_or(false);
    let region = section.read("region", some_text);
    let endpoint = section.read("endpoint", some_text);
    let allow_http = section.read("allow_http", boolean).unwrap_or(false);
    if let Some(endpoint) = &endpoint {
        match url::Url::parse(endpoint).as_ref().map(url::Url::scheme) {
            Ok("https") => {}
            Ok("http") if allow_http => {}
            Ok("http") => section.wrong("endpoint", "is plain http: set allow_http = true if that is meant"),
            _ => section.wrong("endpoint", "is not a URL of http or https"),
        }
    }
    let path_style = section.read("path_style", boolean).unwrap_or(false);
    let settle = section.read("settle", duration("0s", "30d")).unwrap_or(Duration::ZERO);
    let timeout = section.read("timeout", duration("1s", "1d")).unwrap_or(SourceSpec::TIMEOUT);
    let redirects = [("same-host", Redirects::SameHost), ("any", Redirects::Any)];
    let redirects = section.read("redirects", choice(&redirects)).unwrap_or_default();
    let secret = |check: fn(&str) -> Result<(), String>| {
        move |value: &Value| {
            let name = some_text(value)?;
            if name.contains([':', ' ']) {
                return Err(
                    "is not the name of a file: write the secret into a file, and that file's name here".to_owned()
                );
            }
            let (path, text) = database::read_file(&name, folder, report.credentials())?;
            check(&text).map(|()| path)
        }
    };
    let user_file = section.read("user_file", secret(source::check_user));
    let headers_file = section.read("headers_file", secret(source::check_headers));
    let in_url = written.as_deref().is_some_and(source_url::has_user);
    one_login(&section, in_url, user_file.is_some(), headers_file.as_deref());
    let meanings = [("failed", Forbidden::Failed), ("waiting", Forbidden::Waiting)];
    let zstd_window_log = section.read("zstd_window_log", integer(10, 31)).unwrap_or(SourceSpec::ZSTD_WINDOW_LOG);
    let forbidden = section.read("forbidden", choice(&meanings)).unwrap_or(Forbidden::Failed);
    let recheck_days = section.read("recheck_days", integer(0, 3650)).unwrap_or(RECHECK_DAYS);
    let on_change = [("warn", OnChange::Warn), ("reload", OnChange::Reload), ("ignore", OnChange::Ignore)];
    let on_change = section.read("on_change", choice(&on_change)).unwrap_or(OnChange::Warn);
    section.finish();
    Some(SourceSpec {
        url: url?,
        anonymous,
        region,
        endpoint,
        allow_http,
        path_style,
        settle,
        zstd_window_log,
        timeout,
        redirects,
        user_file,
        headers_file,
        forbidden,
        recheck_days,
        on_change,
    })
}

/// Reports it where a request would have two headers of one name: who is to be logged in as is said once.
fn one_login(section: &TomlSection, in_url: bool, in_user_file: bool, headers_file: Option<&Path>) {
    if in_url && in_user_file {
        section.wrong("user_file", "says who to log in as, and so does url: take user and password out of url");
    }
    let headers = headers_file.and_then(|file| std::fs::read_to_string(file).ok());
    if (in_url || in_user_file) && headers.is_some_and(|headers| source::logs_in(&headers)) {
        let other = if in_user_file { "user_file" } else { "url" };
        let advice = if in_user_file { "leave user_file out" } else { "take user and password out of url" };
        let message =
            format!("has a header Authorization, and {other} makes another one: {advice}, or take the header out");
        section.wrong("headers_file", message);
    }
}

fn schedule(mut section: TomlSection) -> Option<Schedule> {
    let cron = section.required("cron", |value| {
        let cron = text(value)?;
        let meant = did_you_mean(&cron, cron::NICKNAMES.into_iter().filter(|_| cron.starts_with('@')));
        cron::parse(&cron).map(|_| cron).map_err(|message| message + &meant)
    });
    let timezone = section.read("timezone", timezone).unwrap_or(Zone::UTC);
    let start = section.required("start", day);
    let end = section.read("end", day);
    if let (Some(start), Some(end)) = (start, end)
        && end < start
    {
        section.wrong("end", format!("is before start, {start}"));
    }
    let lag_days = section.read("lag_days", integer(0, 3650)).unwrap_or(0);
    let days = section.read("days", parsed::<Weekdays>).unwrap_or(Weekdays::ALL);
    section.finish();
    Some(Schedule { cron: cron?, timezone, start: start?, end, lag_days, days })
}

fn day(value: &Value) -> Result<Day, String> {
    text(value)?.parse().map_err(|_| "is not a day (YYYY-MM-DD)".to_owned())
}

fn timezone(value: &Value) -> Result<Zone, String> {
    let name = text(value)?;
    name.parse().map_err(|error| {
        let names: Vec<String> = Zone::names().collect();
        match did_you_mean(&name, names.iter().map(String::as_str).filter(|zone| may_be_meant(zone, &name))) {
            hint if hint.is_empty() => format!("{error}: give a name of the tz database such as \"Europe/Berlin\""),
            hint => format!("{error}{hint}"),
        }
    })
}

/// An abbreviation is near to others that mean another time (`CEST`, `EST`), as is an offset (`UTC+2`, `Etc/GMT+2`,
/// which is west of Greenwich): only the zones of places are guessed, and what differs in case alone.
fn may_be_meant(zone: &str, written: &str) -> bool {
    let is_of_a_place = zone.contains(|letter: char| letter.is_ascii_lowercase()) && !zone.starts_with("Etc/");
    is_of_a_place || zone.eq_ignore_ascii_case(written)
}

fn csv(mut section: TomlSection) -> Option<CsvFormat> {
    let delimiter = section.read_or("delimiter", b',', byte);
    let quote = section.read_or("quote", b'"', byte);
    if delimiter.is_some() && delimiter == quote {
        section.wrong("quote", "is the same character as delimiter");
    }
    let null = section.read("null", texts).unwrap_or_else(|| vec![String::new()]);
    let ends = [("required", true), ("optional", false)];
    let last_line_end_required = section.read("last_line_end", choice(&ends)).unwrap_or(true);
    section.finish();
    Some(CsvFormat { delimiter: delimiter?, quote: quote?, null, last_line_end_required })
}

fn byte(value: &Value) -> Result<u8, String> {
    match text(value)?.as_bytes() {
        br"\t" => Ok(b'\t'),
        [byte] if *byte == b'\t' || (b' '..=b'~').contains(byte) => Ok(*byte),
        _ => Err("is not a single ASCII character (or \"\\t\")".to_owned()),
    }
}

fn target(section: &mut TomlSection) -> Option<Target> {
    let table = section.required("table", parsed);
    let mode = section.read("mode", choice(&Mode::ALL)).unwrap_or(Mode::ReplaceDay);
    let key = section.required("key", |value| {
        let names = texts(value)?;
        if names.is_empty() {
            return Err("is empty: name the columns that tell a day's rows apart".to_owned());
        }
        names.iter().map(|name| name.parse().map_err(|message| format!("holds {name:?}, which {message}"))).collect()
    });
    let default = DAY_COLUMN.parse::<Identifier>().ok();
    let day_column = section.read_or("day_column", default, |value| parsed(value).map(Some)).flatten();
    let loaded_at = section.read("loaded_at", parsed);
    Some(Target { table: table?, mode, key: key?, day_column: day_column?, loaded_at })
}

fn limits(mut section: TomlSection) -> Limits {
    let max_rejected = section.read("max_rejected", |value| match &value.kind {
        ValueKind::String(text) => text.parse(),
        ValueKind::I64(count) => count.to_string().parse(),
        _ => "".parse(),
    });
    let Limits { max_rejected: none, max_bytes, max_ratio, max_duration: _ } = Limits::default();
    let max_bytes = section.read("max_bytes", bytes).unwrap_or(max_bytes);
    let max_ratio = section.read("max_ratio", integer(1, 1_000_000)).unwrap_or(max_ratio);
    let max_duration = section.read("max_duration", duration("1s", "365d"));
    section.finish();
    Limits { max_rejected: max_rejected.unwrap_or(none), max_bytes, max_ratio, max_duration }
}
