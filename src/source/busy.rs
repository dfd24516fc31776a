//! Servers that ask to be left alone for a while (`Retry-After`), and how that is obeyed.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use object_store::client::{HttpRequest, HttpResponse};
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use tokio::time::Instant;

/// A server that wants to be left alone for longer is not waited for; the day is tried again later.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// A time that a header says.
pub(super) fn time(headers: &HeaderMap, name: &HeaderName) -> Option<DateTime<Utc>> {
    let text = headers.get(name)?.to_str().ok()?;
    DateTime::parse_from_rfc2822(text).ok().map(|time| time.with_timezone(&Utc))
}

/// How long a busy server asks to be left alone (RFC 9110, section 10.2.3): in seconds, or until when.
fn pause(response: &HttpResponse) -> Option<Duration> {
    if ![StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&response.status()) {
        return None;
    }
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs);
    let now = time(response.headers(), &DATE).unwrap_or_else(Utc::now);
    seconds.or_else(|| (time(response.headers(), &RETRY_AFTER)? - now).to_std().ok())
}

/// A server asked to be left alone for long.
#[derive(Debug, Clone)]
pub(super) struct Busy {
    status: StatusCode,
    pause: Duration,
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; the server asks to be left alone for {} s", self.status, self.pause.as_secs())
    }
}

impl std::error::Error for Busy {}

/// Until when each server of a source is left alone. The next request waits, whoever makes it, and not the answer: the
/// last of a series of retries fails at once.
#[derive(Debug, Clone, Default)]
pub(super) struct Pauses(Arc<Mutex<HashMap<String, Instant>>>);

impl Pauses {
    /// Notes what an answer asks for.
    ///
    /// # Errors
    /// The server asks for more than anybody waits.
    pub(super) fn note(&self, request: &HttpRequest, response: &HttpResponse) -> Result<(), Busy> {
        let Some(pause) = pause(response) else { return Ok(()) };
        if pause > LONGEST_PAUSE {
            return Err(Busy { status: response.status(), pause });
        }
        let until = Instant::now() + pause;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(server(request), until);
        Ok(())
    }

    /// Waits until the server of a request may be asked.
    pub(super) async fn wait(&self, request: &HttpRequest) {
        let until = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&server(request)).copied();
        if let Some(until) = until {
            tokio::time::sleep_until(until).await;
        }
    }
}

fn server(request: &HttpRequest) -> String {
    request.uri().authority().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn answer(status: u16, headers: &[(HeaderName, &str)]) -> HttpResponse {
        let mut response = HttpResponse::new(String::new().into());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in headers {
            response.headers_mut().insert(name, value.parse::<HeaderValue>().unwrap());
        }
        response
    }

    fn request(url: &str) -> HttpRequest {
        let mut request = HttpRequest::new(object_store::client::HttpRequestBody::empty());
        *request.uri_mut() = url.parse().unwrap();
        request
    }

    #[test]
    fn a_busy_server_says_how_long_it_wants_to_be_left_alone() {
        let date = "Tue, 02 Apr 2019 02:00:00 GMT";
        for (status, retry_after, seconds) in [
            (429, "10", Some(10)),
            (503, " 0 ", Some(0)),
            (503, "Tue, 02 Apr 2019 02:01:30 GMT", Some(90)),
            (503, "Tue, 02 Apr 2019 01:00:00 GMT", None),
            (503, "soon", None),
            (500, "10", None),
        ] {
            let found = pause(&answer(status, &[(RETRY_AFTER, retry_after), (DATE, date)]));
            assert_eq!(found, seconds.map(Duration::from_secs), "{status} {retry_after}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_request_to_that_server_waits_for_as_long_as_it_asked() {
        let (pauses, began) = (Pauses::default(), Instant::now());
        let (busy, other) = (request("https://h:1/a?x=y"), request("https://h:2/a"));
        pauses.note(&busy, &answer(429, &[(RETRY_AFTER, "10")])).unwrap();
        pauses.note(&other, &answer(200, &[(RETRY_AFTER, "10")])).unwrap();
        pauses.wait(&other).await;
        assert_eq!(began.elapsed().as_secs(), 0);
        pauses.clone().wait(&request("https://h:1/b")).await;
        assert_eq!(began.elapsed().as_secs(), 10);
        pauses.wait(&busy).await;
        assert_eq!(began.elapsed().as_secs(), 10, "it was left alone for as long as it asked");
        let long = pauses.note(&busy, &answer(503, &[(RETRY_AFTER, "61")])).unwrap_err();
        assert_eq!(long.to_string(), "503 Service Unavailable; the server asks to be left alone for 61 s");
        pauses.wait(&busy).await;
        assert_eq!(began.elapsed().as_secs(), 10);
    }
}
