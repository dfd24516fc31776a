//! Log lines: to standard error, as text or as JSON, past the progress bar where there is one.

use std::io::{self, IsTerminal, Write};

use env_logger::{Builder, Target, WriteStyle};
use indicatif::MultiProgress;
use log::kv::{Error as KvError, Key, Value, VisitSource};
use log::{LevelFilter, Record};

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging. Lines of other crates are shown from `warn` on, or from the level asked for if that is `debug` or
/// finer.
pub fn start(level: LevelFilter, format: LogFormat, bars: &MultiProgress) {
    let others = if level >= LevelFilter::Debug { level } else { level.min(LevelFilter::Warn) };
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut builder = Builder::new();
    builder
        .filter_level(others)
        .filter_module("dayfill", level)
        .write_style(if colour { WriteStyle::Always } else { WriteStyle::Never })
        .target(Target::Pipe(Box::new(PastBars(bars.clone()))));
    match format {
        LogFormat::Json => builder.format(|out, record| writeln!(out, "{}", json(record))),
        LogFormat::Text => builder.format(|out, record| {
            let style = out.default_level_style(record.level());
            let time = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ");
            writeln!(out, "{time} {style}{:<5}{style:#} {}", record.level(), record.args())
        }),
    };
    // A logger that is set already belongs to a test in the same process.
    let _ = builder.try_init();
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

/// A record as a JSON object: time, level, message, and the key-values of the line.
fn json(record: &Record<'_>) -> String {
    struct Fields(serde_json::Map<String, serde_json::Value>);
    impl<'kvs> VisitSource<'kvs> for Fields {
        fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), KvError> {
            let value = match (value.to_u64(), value.to_i64()) {
                (Some(number), _) => number.into(),
                (None, Some(number)) => number.into(),
                (None, None) => value.to_string().into(),
            };
            self.0.insert(key.to_string(), value);
            Ok(())
        }
    }
    let mut fields = Fields(serde_json::Map::new());
    let time = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    fields.0.insert("time".to_owned(), time.into());
    fields.0.insert("level".to_owned(), record.level().as_str().to_lowercase().into());
    fields.0.insert("message".to_owned(), record.args().to_string().into());
    // Collecting into a map cannot fail.
    let _ = record.key_values().visit(&mut fields);
    serde_json::Value::Object(fields.0).to_string()
}
