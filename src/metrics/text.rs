//! Metrics as text, in Prometheus's text format. A client library would keep every series itself; most of what is told
//! here is read when somebody asks and kept nowhere.

use std::fmt::{Display, Write as _};

/// What goes into the `Content-Type` header: Prometheus's text format 0.0.4, which every version of it reads.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What kind of metric it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number that only grows, until the process ends. Its name ends in `_total`.
    Counter,
    /// A number as of now.
    Gauge,
    /// How often something took how long. Its name ends in `_seconds`.
    Histogram,
    /// 1, for the sake of its labels. Its name ends in `_info`.
    Info,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Histogram => "histogram",
            Self::Gauge | Self::Info => "gauge",
        }
    }
}

/// Metrics being written.
#[derive(Default)]
pub(super) struct Text(String);

impl Text {
    /// Begins a metric, whose samples follow. The name is the one that is asked for in queries. The help is one line
    /// without quotes or backslashes.
    pub(super) fn metric(&mut self, kind: Kind, name: &'static str, help: &str) -> Samples<'_> {
        let _ = writeln!(self.0, "# HELP {name} {help}");
        let _ = writeln!(self.0, "# TYPE {name} {}", kind.name());
        Samples { text: &mut self.0, name }
    }

    /// The whole text.
    pub(super) fn end(self) -> String {
        self.0
    }
}

/// The samples of one metric.
pub(super) struct Samples<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Samples<'_> {
    /// Writes a sample. The labels' values are names: nothing in them has to be escaped.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.part("", labels, value);
    }

    /// Writes a part of a sample that has several, by the ending of its name.
    pub(super) fn part(&mut self, ending: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect::<Vec<_>>().join(",");
        let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
        let _ = writeln!(self.text, "{}{ending}{labels} {value}", self.name);
    }
}

/// Milliseconds, written as seconds.
pub(super) struct Seconds(pub(super) i64);

impl Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let milliseconds = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:03}", milliseconds / 1000, milliseconds % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_written_as_seconds() {
        for (milliseconds, seconds) in
            [(0, "0.000"), (7, "0.007"), (61_250, "61.250"), (-1, "-0.001"), (-2500, "-2.500")]
        {
            assert_eq!(Seconds(milliseconds).to_string(), seconds);
        }
    }

    #[test]
    fn a_metric_has_help_and_type_before_its_samples() {
        let mut text = Text::default();
        text.metric(Kind::Counter, "some_read_bytes_total", "Bytes.").sample(&[("dataset", "a"), ("state", "b")], 7);
        text.metric(Kind::Info, "some_build_info", "Build.").sample(&[], 1);
        assert_eq!(
            text.end(),
            "# HELP some_read_bytes_total Bytes.\n# TYPE some_read_bytes_total counter\n\
             some_read_bytes_total{dataset=\"a\",state=\"b\"} 7\n\
             # HELP some_build_info Build.\n# TYPE some_build_info gauge\nsome_build_info 1\n"
        );
    }
}
