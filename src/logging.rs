//! Log lines: to standard error, as text or as JSON, past the progress bar where there is one. Level and format can be
//! changed while the process runs; `env_logger` fixes both when it is built, so a thin logger around it asks first.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use env_logger::fmt::Formatter;
use env_logger::{Builder, Logger, Target, WriteStyle};
use indicatif::MultiProgress;
use log::kv::{Error as KvError, Key, Value, VisitSource, VisitValue};
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::wording::printable_lines;

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

/// The level of our own lines, as a number that `LevelFilter` knows.
static LEVEL: AtomicUsize = AtomicUsize::new(0);
/// Lines are JSON.
static JSON: AtomicBool = AtomicBool::new(false);

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
    set(level, format);
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
    match (reader, JSON.load(Ordering::Relaxed)) {
        (Reader::Anybody, true) => writeln!(out, "{}", json(record)),
        (Reader::Anybody, false) => {
            let style = out.default_level_style(record.level());
            let time = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ");
            let message = printable_lines(&record.args().to_string());
            writeln!(out, "{time} {style}{:<5}{style:#} {message}", record.level())
        }
        (Reader::Journal, true) => writeln!(out, "{}{}", priority(record.level()), json(record)),
        (Reader::Journal, false) => {
            let message = printable_lines(&record.args().to_string());
            out.write_all(entries(record.level(), &message).as_bytes())
        }
    }
}

/// A message for journald, which makes an entry of each line.
fn entries(level: Level, message: &str) -> String {
    message.lines().flat_map(|line| [priority(level), line, "\n"]).collect()
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
            (None, None) => value.to_string().into(),
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
    fields.0.insert("message".to_owned(), record.args().to_string().into());
    // Collecting into a map cannot fail.
    let _ = record.key_values().visit(&mut fields);
    serde_json::Value::Object(fields.0).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn each_line_for_the_journal_has_its_priority() {
        assert_eq!(entries(Level::Error, "one"), "<3>one\n");
        assert_eq!(entries(Level::Warn, "one\ntwo\r\n\nfour\n"), "<4>one\n<4>two\n<4>\n<4>four\n");
        assert_eq!(entries(Level::Trace, "one"), entries(Level::Debug, "one"));
    }

    #[test]
    fn standard_error_is_the_journal_only_if_it_is_the_same_file() {
        for stream in [None, Some(""), Some("0:0"), Some("8:x"), Some("nothing")] {
            assert_eq!(Reader::of_stderr(stream), Reader::Anybody, "{stream:?}");
        }
    }
}
