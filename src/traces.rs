//! Traces, with the feature `otel`: each attempt, and the steps it went through, told to an OpenTelemetry collector by
//! OTLP over HTTP. An attempt is told of when it has ended, from what its report measured.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Span, SpanContext, Status, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, SpanData, SpanExporter};

use crate::events::{DayEvent, PublishedEvent, Subscriber};
use crate::load_day::Step;
use crate::source;

/// Tells a collector of attempts, from a thread of its own. What it was not told yet is told when this is dropped,
/// which may take some seconds.
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// The collector cannot be told anything: the URL, or one of the environment's variables, means nothing. Without the
/// URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoTraces(String);

impl Traces {
    /// To the collector at that URL, path and all, under a service's name. Headers, timeout and compression are what
    /// the environment's `OTEL_EXPORTER_OTLP_...` say.
    ///
    /// # Errors
    /// [`NoTraces`].
    pub fn to(url: &str, service: &str) -> Result<Self, NoTraces> {
        source::use_ring_for_tls();
        let exporter = opentelemetry_otlp::SpanExporter::builder().with_http().with_endpoint(url).build();
        let exporter = exporter.map_err(|error| NoTraces(error.to_string().replace(url, "***")))?;
        Ok(Self::by(Heard { exporter, failing: AtomicBool::new(false) }, service))
    }

    fn by(exporter: impl SpanExporter + 'static, service: &str) -> Self {
        let resource = Resource::builder().with_service_name(service.to_owned()).build();
        let provider = SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build();
        Self { tracer: provider.tracer("dayfill"), provider }
    }

    /// Sends the span of an attempt that ended now. A day without an attempt has none.
    fn send(&self, event: &DayEvent) {
        let (Some(outcome), Some(attempt)) = (event.attempt_outcome(), event.attempt) else { return };
        let ended = SystemTime::now();
        let mut attributes = vec![
            KeyValue::new("dataset", event.dataset.to_string()),
            KeyValue::new("day", event.day.to_string()),
            KeyValue::new("attempt", i64::from(attempt)),
            KeyValue::new("outcome", outcome),
        ];
        attributes.extend(event.rows_loaded().map(|rows| KeyValue::new("rows", rows)));
        let span = self.tracer.span_builder("attempt").with_attributes(attributes);
        let mut span = span.with_start_time(ended - event.elapsed).start_with_context(&self.tracer, &Context::new());
        self.steps(span.span_context(), event, ended);
        if event.outcome.error().is_some() {
            // The error itself may hold a value of the file.
            span.set_status(Status::error(outcome));
        }
        span.end_with_timestamp(ended);
    }

    /// The steps, end to end, the last one up to the attempt's end: before them is the claim, between them next to
    /// nothing.
    fn steps(&self, attempt: &SpanContext, event: &DayEvent, ended: SystemTime) {
        let measured = &event.measured;
        let parent = Context::new().with_remote_span_context(attempt.clone());
        let mut end = ended;
        for (step, milliseconds) in [
            (Step::Publish, measured.publish_ms),
            (Step::Audit, measured.audit_ms),
            (Step::Stage, measured.stage_ms),
            (Step::Source, measured.source_ms),
        ] {
            let Some(took) = milliseconds.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis) else {
                continue;
            };
            let span = self.tracer.span_builder(step.name()).with_start_time(end - took);
            span.start_with_context(&self.tracer, &parent).end_with_timestamp(end);
            end -= took;
        }
    }
}

impl Subscriber for Traces {
    fn receive(&self, event: &PublishedEvent) {
        if let PublishedEvent::Day(event) = event {
            self.send(event);
        }
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.provider.shutdown() {
            log::debug!("traces: {error}");
        }
    }
}

/// An exporter that is heard of when it fails, once until it works again.
#[derive(Debug)]
struct Heard<E> {
    exporter: E,
    failing: AtomicBool,
}

impl<E: SpanExporter> SpanExporter for Heard<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exported = self.exporter.export(batch).await;
        let before = self.failing.swap(exported.is_err(), Ordering::Relaxed);
        match &exported {
            Err(_) if before => {}
            Err(error) => log::warn!("traces are lost, the collector cannot be told of them: {error}"),
            Ok(()) if before => log::info!("the collector is told of traces again"),
            Ok(()) => {}
        }
        exported
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.exporter.shutdown()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::db::attempts::Measured;
    use crate::load_outcome::{LoadError, LoadOutcome};

    fn event(outcome: LoadOutcome) -> DayEvent {
        let measured = Measured {
            source_ms: Some(100),
            stage_ms: Some(2000),
            audit_ms: Some(0),
            publish_ms: Some(700),
            rows_loaded: Some(42),
            ..Measured::default()
        };
        let (attempt, elapsed) = (Some(2), Duration::from_secs(3));
        DayEvent { attempt, measured, elapsed, ..DayEvent::sample("2019-04-01", outcome) }
    }

    /// Keeps what it is told.
    #[derive(Debug, Clone, Default)]
    struct Kept(Arc<Mutex<Vec<SpanData>>>);

    impl SpanExporter for Kept {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap().extend(batch);
            Ok(())
        }
    }

    /// The spans of an event, the attempt's last, and what is said of it.
    fn spans(event: &DayEvent) -> Vec<SpanData> {
        let kept = Kept::default();
        let traces = Traces::by(kept.clone(), "dayfill");
        traces.send(event);
        drop(traces);
        kept.0.lock().unwrap().clone()
    }

    fn attributes(span: &SpanData) -> String {
        let said = span.attributes.iter().map(|said| format!("{}={}", said.key, said.value));
        said.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn an_attempt_is_a_span_with_its_steps_below_it() {
        let spans = spans(&event(LoadOutcome::Loaded));
        let attempt = spans.last().unwrap();
        assert_eq!(attributes(attempt), "dataset=orders day=2019-04-01 attempt=2 outcome=loaded rows=42");
        assert_eq!(
            (attempt.status.clone(), attempt.end_time - Duration::from_secs(3)),
            (Status::Unset, attempt.start_time)
        );
        let steps: Vec<_> = spans.iter().rev().skip(1).collect();
        let took = |span: &SpanData| span.end_time.duration_since(span.start_time).unwrap().as_millis();
        let said: Vec<_> = steps.iter().map(|step| (step.name.as_ref(), took(step))).collect();
        assert_eq!(said, [("source", 100), ("stage", 2000), ("audit", 0), ("publish", 700)]);
        assert!(steps.iter().all(|step| step.parent_span_id == attempt.span_context.span_id()), "{steps:?}");
        assert!(steps.iter().all(|step| step.span_context.trace_id() == attempt.span_context.trace_id()), "{steps:?}");
        assert_eq!(steps.last().map(|publish| publish.end_time), Some(attempt.end_time));
    }

    #[test]
    fn an_error_is_told_of_by_its_kind_and_no_attempt_by_nothing() {
        let refused = event(LoadOutcome::Refused { error: LoadError::new("secret"), file: None });
        let spans_of_it = spans(&refused);
        assert_eq!(spans_of_it.last().unwrap().status, Status::error("refused"));
        assert!(!format!("{spans_of_it:?}").contains("secret"));
        assert!(!attributes(spans_of_it.last().unwrap()).contains("rows"), "they were not loaded");
        assert!(spans(&DayEvent { attempt: None, ..refused }).is_empty());
    }

    #[test]
    fn a_url_that_means_nothing_is_not_repeated() {
        let wrong = Traces::to("http://user:secret@no host/v1/traces", "dayfill").err().unwrap().to_string();
        assert!(wrong.contains("***") && !wrong.contains("secret"), "{wrong}");
    }

    #[test]
    fn a_collector_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let collector = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let lines = reader.by_ref().lines().map(|line| line.unwrap().to_ascii_lowercase());
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
            (head.join("\n"), String::from_utf8_lossy(&body).into_owned())
        });
        let traces = Traces::to(&url, "the-service").unwrap();
        traces.receive(&PublishedEvent::Day(event(LoadOutcome::Loaded)));
        drop(traces);
        let (head, body) = collector.join().unwrap();
        assert!(head.starts_with("post /v1/traces "), "{head}");
        assert!(head.contains("content-type: application/x-protobuf"), "{head}");
        for word in ["the-service", "orders", "2019-04-01", "publish"] {
            assert!(body.contains(word), "{word}: {body}");
        }
    }
}
