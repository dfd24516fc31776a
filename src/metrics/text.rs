//! Metrics as text, in the two forms that Prometheus reads. A client library would bring one of them: the Prometheus
//! organisation's own writes `OpenMetrics` only, and others the older form only. Of what they differ in, names of
//! counters, units and the end, little is needed here.

use std::fmt::{Display, Write as _};

/// A form of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Prometheus's text format 0.0.4, which everybody reads.
    Prometheus,
    /// `OpenMetrics` 1.0.0, which Prometheus asks for first.
    OpenMetrics,
}

const OPEN_METRICS: &str = "application/openmetrics-text";

impl Form {
    /// The form that a request's `Accept` header likes best; Prometheus's own where it does not say.
    #[must_use]
    pub fn accepted(accept: Option<&str>) -> Self {
        let (mut open, mut plain) = (0, 0);
        for range in accept.unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1000, thousandths);
            match name.as_str() {
                OPEN_METRICS => open = quality.max(open),
                "text/plain" | "text/*" | "*/*" => plain = quality.max(plain),
                _ => {}
            }
        }
        if open > 0 && open >= plain { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// What goes into the `Content-Type` header.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// A quality of an `Accept` header, which is from 0 to 1, in thousandths; 0 for what is none.
fn thousandths(quality: &str) -> u32 {
    let (whole, rest) = quality.trim().split_once('.').unwrap_or((quality.trim(), ""));
    let digits = |text: &str| text.parse::<u32>().ok();
    match (digits(whole), digits(&format!("{rest:0<3.3}"))) {
        (Some(whole), Some(rest)) => (whole * 1000 + rest).min(1000),
        _ => 0,
    }
}

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
    fn name(self, form: Form) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Histogram => "histogram",
            Self::Info if form == Form::OpenMetrics => "info",
            Self::Gauge | Self::Info => "gauge",
        }
    }
}

/// Metrics being written.
pub(super) struct Text {
    form: Form,
    text: String,
}

impl Text {
    pub(super) fn new(form: Form) -> Self {
        Self { form, text: String::new() }
    }

    /// Begins a metric, whose samples follow. The name is the one that is asked for in queries. The help is one line
    /// without quotes or backslashes.
    pub(super) fn metric(&mut self, kind: Kind, name: &'static str, help: &str) -> Samples<'_> {
        let head = match (self.form, kind) {
            (Form::OpenMetrics, Kind::Counter) => name.trim_end_matches("_total"),
            (Form::OpenMetrics, Kind::Info) => name.trim_end_matches("_info"),
            _ => name,
        };
        let _ = writeln!(self.text, "# HELP {head} {help}");
        let _ = writeln!(self.text, "# TYPE {head} {}", kind.name(self.form));
        let unit = ["seconds", "bytes"].into_iter().find(|unit| head.ends_with(&format!("_{unit}")));
        if let (Form::OpenMetrics, Some(unit)) = (self.form, unit) {
            let _ = writeln!(self.text, "# UNIT {head} {unit}");
        }
        Samples { text: &mut self.text, name }
    }

    /// The whole text.
    pub(super) fn end(mut self) -> String {
        if self.form == Form::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
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
    fn a_request_gets_the_form_it_likes_best() {
        use Form::{OpenMetrics, Prometheus};
        for (accept, form) in [
            (None, Prometheus),
            (Some(""), Prometheus),
            (Some("*/*"), Prometheus),
            (Some("text/html,application/xhtml+xml,*/*;q=0.8"), Prometheus),
            (Some("application/openmetrics-text"), OpenMetrics),
            (Some("Application/OpenMetrics-Text; version=1.0.0"), OpenMetrics),
            (Some("application/openmetrics-text;q=0"), Prometheus),
            (Some("application/openmetrics-text;q=nonsense"), Prometheus),
            (Some("text/plain;q=0.5,application/openmetrics-text;q=0.4"), Prometheus),
            (Some("text/plain; q=0.4, application/openmetrics-text; q=0.45"), OpenMetrics),
            (Some("text/plain;q=1.0,application/openmetrics-text;q=1.000"), OpenMetrics),
            // What Prometheus 2 and 3 send.
            (
                Some(
                    "application/openmetrics-text;version=1.0.0,\
                     application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                ),
                OpenMetrics,
            ),
            (
                Some(
                    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                     text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,*/*;q=0.2",
                ),
                OpenMetrics,
            ),
        ] {
            assert_eq!(Form::accepted(accept), form, "{accept:?}");
        }
    }

    #[test]
    fn milliseconds_are_written_as_seconds() {
        for (milliseconds, seconds) in
            [(0, "0.000"), (7, "0.007"), (61_250, "61.250"), (-1, "-0.001"), (-2500, "-2.500")]
        {
            assert_eq!(Seconds(milliseconds).to_string(), seconds);
        }
    }

    #[test]
    fn names_and_units_are_as_each_form_wants_them() {
        let write = |form| {
            let mut text = Text::new(form);
            text.metric(Kind::Counter, "some_read_bytes_total", "Bytes.")
                .sample(&[("dataset", "a"), ("state", "b")], 7);
            text.metric(Kind::Info, "some_build_info", "Build.").sample(&[], 1);
            text.end()
        };
        assert_eq!(
            write(Form::Prometheus),
            "# HELP some_read_bytes_total Bytes.\n# TYPE some_read_bytes_total counter\n\
             some_read_bytes_total{dataset=\"a\",state=\"b\"} 7\n\
             # HELP some_build_info Build.\n# TYPE some_build_info gauge\nsome_build_info 1\n"
        );
        assert_eq!(
            write(Form::OpenMetrics),
            "# HELP some_read_bytes Bytes.\n# TYPE some_read_bytes counter\n# UNIT some_read_bytes bytes\n\
             some_read_bytes_total{dataset=\"a\",state=\"b\"} 7\n\
             # HELP some_build Build.\n# TYPE some_build info\nsome_build_info 1\n# EOF\n"
        );
    }
}
