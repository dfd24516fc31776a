//! Log lines: to standard error, as text or as JSON, past the progress bar where there is one. Level and format can be
//! changed while the process runs; `env_logger` fixes both when it is built, so a thin logger around it asks first.
//!
//! A line is one line whatever it tells of: [`printable`] is applied here, once, to all that is written.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use env_logger::fmt::Formatter;
use env_logger::{Builder, Logger, Target, WriteStyle};
use indicatif::MultiProgress;
use log::kv::{Error as KvError, Key, Value, VisitSource, VisitValue};
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::wording::{one_line, printable};

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Who reads standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// A person, a file, a pipe.
    Anybody,
    /// journald, which keeps the time itself and takes a line's priority from a prefix (sd-daemon(3)).
    Journal,
}

impl Reader {
    /// The reader of this process's standard error; `journal_stream` is the variable `JOURNAL_STREAM`, which names the
    /// device and inode of journald's end (systemd.exec(5)). It is inherited, so standard error may be another by now.
    #[must_use]
    pub fn of_stderr(journal_stream: Option<&str>) -> Self {
        let same = |stream: &str| {
            let stderr = std::fs::File::from(io::stderr().as_fd().try_clone_to_owned().ok()?).metadata().ok()?;
            Some(stream == format!("{}:{}", stderr.dev(), stderr.ino()))
        };
        if journal_stream.and_then(same) == Some(true) { Self::Journal } else { Self::Anybody }
    }
}

/// The longest message, in bytes: journald parts lines at 48 KiB.
const LONGEST: usize = 16 << 10;

/// The level of our own lines, as a number that `LevelFilter` knows.
static LEVEL: AtomicUsize = AtomicUsize::new(0);
/// Lines are JSON.
static JSON: AtomicBool = AtomicBool::new(false);
/// Logging has begun.
static STARTED: AtomicBool = AtomicBool::new(false);

/// Starts logging. Lines of other crates are shown from `warn` on, or from the level asked for if that is `debug` or
/// finer.
pub fn start(level: LevelFilter, format: LogFormat, reader: Reader, bars: &MultiProgress) {
    let colour = reader == Reader::Anybody && io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = Builder::new()
        .filter_level(LevelFilter::Trace)
        .write_style(if colour { WriteStyle::Always } else { WriteStyle::Never })
        .target(Target::Pipe(Box::new(PastBars(bars.clone()))))
        .format(move |out, record| write_line(out, record, reader))
        .build();
    // A logger that is set already belongs to a test in the same process.
    let _ = log::set_boxed_logger(Box::new(Switched(lines)));
    // What is said of a panic is a log line like any other. Who catches it says what becomes of the work.
    std::panic::set_hook(Box::new(|panic| log::error!("a fault in dayfill: {panic}")));
    set(level, format);
    STARTED.store(true, Ordering::Relaxed);
}

/// The format in force; `None` before logging has begun.
#[must_use]
pub fn format_in_force() -> Option<LogFormat> {
    let format = if JSON.load(Ordering::Relaxed) { LogFormat::Json } else { LogFormat::Text };
    STARTED.load(Ordering::Relaxed).then_some(format)
}

/// Changes level and format from the next line on.
pub fn set(level: LevelFilter, format: LogFormat) {
    LEVEL.store(level as usize, Ordering::Relaxed);
    JSON.store(format == LogFormat::Json, Ordering::Relaxed);
    // What is finer is not even made.
    log::set_max_level(level);
}

/// `env_logger` behind the level of the moment.
struct Switched(Logger);

impl Log for Switched {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() as usize <= shown(LEVEL.load(Ordering::Relaxed), metadata.target())
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.log(record);
        }
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// The finest level that is shown of lines with that target.
fn shown(level: usize, target: &str) -> usize {
    let own = target.split("::").next() == Some("dayfill");
    if own || level >= Level::Debug as usize { level } else { level.min(Level::Warn as usize) }
}

fn write_line(out: &mut Formatter, record: &Record<'_>, reader: Reader) -> io::Result<()> {
    let format = if JSON.load(Ordering::Relaxed) { LogFormat::Json } else { LogFormat::Text };
    match (reader, format) {
        (Reader::Anybody, LogFormat::Text) => {
            let style = out.default_level_style(record.level());
            let time = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ");
            writeln!(out, "{time} {style}{:<5}{style:#} {}", record.level(), message(record))
        }
        (reader, format) => writeln!(out, "{}", plain_line(record, reader, format)),
    }
}

/// A line without colour and, as text, without its time, which journald keeps.
fn plain_line(record: &Record<'_>, reader: Reader, format: LogFormat) -> String {
    let priority = if reader == Reader::Journal { priority(record.level()) } else { "" };
    match format {
        LogFormat::Text => format!("{priority}{}", message(record)),
        LogFormat::Json => format!("{priority}{}", json(record)),
    }
}

/// Why the program ends, as its last line for a reader or a format that takes lines: one line, whatever the level that is
/// logged. `None` where standard error is read by people, who may be shown it as it is.
#[must_use]
pub fn last_line(error: &str, reader: Reader, format: LogFormat) -> Option<String> {
    if (reader, format) == (Reader::Anybody, LogFormat::Text) {
        return None;
    }
    let prefix = if format == LogFormat::Text { "error: " } else { "" };
    Some(plain_line(
        &Record::builder().level(Level::Error).args(format_args!("{prefix}{error}")).build(),
        reader,
        format,
    ))
}

/// A text as one line that steers nothing. Some errors of ours have several lines.
fn plain_text(text: &str) -> String {
    printable(&one_line(text), LONGEST)
}

/// What a record says, on one line.
fn message(record: &Record<'_>) -> String {
    plain_text(&record.args().to_string())
}

/// The prefix from which journald takes the priority.
fn priority(level: Level) -> &'static str {
    match level {
        Level::Error => "<3>",
        Level::Warn => "<4>",
        Level::Info => "<6>",
        Level::Debug | Level::Trace => "<7>",
    }
}

/// Standard error, with the progress bars out of the way for the time of a line.
struct PastBars(MultiProgress);

impl Write for PastBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// The fields of a line that is a JSON object.
struct Fields(serde_json::Map<String, serde_json::Value>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), KvError> {
        value.visit(Field { fields: self, key: key.as_str() })
    }
}

/// One of them, to be given its value.
struct Field<'a> {
    fields: &'a mut Fields,
    key: &'a str,
}

impl VisitValue<'_> for Field<'_> {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), KvError> {
        let value = match (value.to_u64(), value.to_i64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            (None, None) => plain_text(&value.to_string()).into(),
        };
        self.fields.0.insert(self.key.to_owned(), value);
        Ok(())
    }

    /// What does not apply to a line is left out of it.
    fn visit_null(&mut self) -> Result<(), KvError> {
        Ok(())
    }
}

/// A record as a JSON object: time, level, message, and the key-values of the line.
fn json(record: &Record<'_>) -> String {
    let mut fields = Fields(serde_json::Map::new());
    let time = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    fields.0.insert("time".to_owned(), time.into());
    fields.0.insert("level".to_owned(), record.level().as_str().to_lowercase().into());
    fields.0.insert("message".to_owned(), message(record).into());
    // Collecting into a map cannot fail.
    let _ = record.key_values().visit(&mut fields);
    serde_json::Value::Object(fields.0).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wording::is_harmful;

    #[test]
    fn level_and_format_change_from_one_line_to_the_next() {
        let logger = Switched(Builder::new().build());
        let enabled = |level, target| logger.enabled(&Metadata::builder().level(level).target(target).build());
        for (level, own, others) in [
            (LevelFilter::Off, None, None),
            (LevelFilter::Error, Some(Level::Error), Some(Level::Error)),
            (LevelFilter::Warn, Some(Level::Warn), Some(Level::Warn)),
            (LevelFilter::Info, Some(Level::Info), Some(Level::Warn)),
            (LevelFilter::Debug, Some(Level::Debug), Some(Level::Debug)),
            (LevelFilter::Trace, Some(Level::Trace), Some(Level::Trace)),
        ] {
            set(level, LogFormat::Json);
            assert!(JSON.load(Ordering::Relaxed));
            for asked in Level::iter() {
                let (own, others) = (own.is_some_and(|own| asked <= own), others.is_some_and(|others| asked <= others));
                assert_eq!(enabled(asked, "dayfill"), own, "{level} {asked}");
                assert_eq!(enabled(asked, "dayfill::db::worker"), own, "{level} {asked}");
                assert_eq!(enabled(asked, "dayfillet"), others, "{level} {asked}");
                assert_eq!(enabled(asked, "hyper::proto"), others, "{level} {asked}");
            }
        }
        set(LevelFilter::Off, LogFormat::Text);
        assert!(!JSON.load(Ordering::Relaxed));
    }

    #[test]
    fn a_line_of_json_has_the_fields_that_apply() {
        let kvs: [(&str, Value<'_>); 5] = [
            ("dataset", "orders".into()),
            ("rows", 2i64.into()),
            ("elapsed_ms", 7u128.into()),
            ("attempt", Value::from_any(&None::<u32>)),
            ("below", (-1i64).into()),
        ];
        let record = Record::builder().args(format_args!("said")).level(Level::Warn).key_values(&kvs).build();
        let mut fields: serde_json::Value = serde_json::from_str(&json(&record)).unwrap();
        assert!(fields.as_object_mut().unwrap().remove("time").unwrap().as_str().unwrap().ends_with('Z'));
        let expected = serde_json::json!({
            "level": "warn", "message": "said", "dataset": "orders", "rows": 2, "elapsed_ms": 7, "below": -1
        });
        assert_eq!(fields, expected);
    }

    /// Ends a line, steers a terminal, turns the direction of a text.
    const HOSTILE: &str = "a\n<3>b\r\u{1b}[2J\u{9b}\u{202e}\u{2028}c";
    const ESCAPED: &str = "a; <3>b\\r\\u{1b}[2J\\u{9b}\\u{202e}\\u{2028}c";

    #[test]
    fn a_line_is_one_line_whatever_it_tells_of() {
        let kvs: [(&str, Value<'_>); 1] = [("day", HOSTILE.into())];
        let line = |level, reader, format| {
            plain_line(
                &Record::builder().level(level).args(format_args!("{HOSTILE}")).key_values(&kvs).build(),
                reader,
                format,
            )
        };
        assert_eq!(line(Level::Warn, Reader::Journal, LogFormat::Text), format!("<4>{ESCAPED}"));
        assert_eq!(line(Level::Error, Reader::Anybody, LogFormat::Text), ESCAPED);
        assert_eq!(
            line(Level::Trace, Reader::Journal, LogFormat::Text),
            line(Level::Debug, Reader::Journal, LogFormat::Text)
        );
        for (reader, priority) in [(Reader::Journal, "<6>"), (Reader::Anybody, "")] {
            let line = line(Level::Info, reader, LogFormat::Json);
            assert!(!line.chars().any(is_harmful), "{line}");
            let fields: serde_json::Value = serde_json::from_str(line.strip_prefix(priority).unwrap()).unwrap();
            assert_eq!((&fields["message"], &fields["day"]), (&ESCAPED.into(), &ESCAPED.into()));
        }
        let long = "x".repeat(2 * LONGEST);
        let line =
            plain_line(&Record::builder().args(format_args!("{long}")).build(), Reader::Anybody, LogFormat::Text);
        assert_eq!(line.len(), LONGEST);
    }

    #[test]
    fn the_last_error_is_one_line_for_the_journal_and_as_json() {
        let error = "the configuration is wrong:\na: is wrong\nb:\n\n  tip: \u{1b}[2J\n";
        assert_eq!(last_line(error, Reader::Anybody, LogFormat::Text), None);
        let said = "the configuration is wrong: a: is wrong; b: tip: \\u{1b}[2J";
        assert_eq!(last_line(error, Reader::Journal, LogFormat::Text), Some(format!("<3>error: {said}")));
        for (reader, priority) in [(Reader::Journal, "<3>"), (Reader::Anybody, "")] {
            let line = last_line(error, reader, LogFormat::Json).unwrap();
            let fields: serde_json::Value = serde_json::from_str(line.strip_prefix(priority).unwrap()).unwrap();
            assert_eq!((&fields["level"], &fields["message"]), (&"error".into(), &said.into()));
        }
    }

    #[test]
    fn standard_error_is_the_journal_only_if_it_is_the_same_file() {
        for stream in [None, Some(""), Some("0:0"), Some("8:x"), Some("nothing")] {
            assert_eq!(Reader::of_stderr(stream), Reader::Anybody, "{stream:?}");
        }
    }
}
