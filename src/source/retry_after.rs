//! Servers that ask to be left alone for a while (`Retry-After`), and how that is obeyed.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use object_store::client::{HttpRequest, HttpResponse};
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use tokio::time::Instant;

/// A request waits for so long. One to a server that wants to be left alone for longer fails at once.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// No server is left alone for longer, whatever it asks for: what it says may be a mistake.
const LONGEST_PAUSE: Duration = Duration::from_hours(24);

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
    let said = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !said.is_empty() && said.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number may have are a long time, too.
        return Some(Duration::from_secs(said.parse().unwrap_or(u64::MAX)));
    }
    let now = time(response.headers(), &DATE).unwrap_or_else(Utc::now);
    (time(response.headers(), &RETRY_AFTER)? - now).to_std().ok()
}

/// A server asked to be left alone, and is.
#[derive(Debug, Clone)]
pub(super) struct ServerBusy {
    status: StatusCode,
    /// Until when no request is sent to it, by this machine's clock.
    pub(super) until: DateTime<Utc>,
    /// It asked for longer than any server is left alone.
    cut: bool,
}

impl ServerBusy {
    fn new(status: StatusCode, asked: Duration, now: DateTime<Utc>) -> Self {
        Self { status, until: now + asked.min(LONGEST_PAUSE), cut: asked > LONGEST_PAUSE }
    }
}

impl fmt::Display for ServerBusy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (status, until) = (self.status, self.until.to_rfc3339_opts(SecondsFormat::Secs, true));
        if self.cut {
            write!(
                f,
                "{status}; the server asks for a pause of more than a day (Retry-After), dayfill pauses until {until}"
            )
        } else {
            write!(f, "{status}; the server asks for no further request until {until} (Retry-After)")
        }
    }
}

impl std::error::Error for ServerBusy {}

/// A server's pause.
#[derive(Debug, Clone)]
struct ServerPause {
    /// Its end, by a clock that nobody sets.
    until: Instant,
    busy: ServerBusy,
}

/// Until when each server is left alone. The next request waits, whoever makes it, and not the answer: the last of a
/// series of retries fails at once.
#[derive(Debug, Clone, Default)]
pub(super) struct ServerPauses(Arc<Mutex<HashMap<String, ServerPause>>>);

/// Those of this process: one server may have the files of several datasets.
static PAUSES: LazyLock<ServerPauses> = LazyLock::new(ServerPauses::default);

impl ServerPauses {
    /// Those of this process.
    pub(super) fn of_process() -> Self {
        PAUSES.clone()
    }

    /// Notes what an answer asks for. Of two pauses the one that ends later holds.
    ///
    /// # Errors
    /// The server is left alone for longer than a request waits.
    pub(super) fn note(&self, request: &HttpRequest, response: &HttpResponse) -> Result<(), ServerBusy> {
        let Some(asked) = pause(response) else { return Ok(()) };
        let now = Instant::now();
        let new = ServerPause {
            until: now + asked.min(LONGEST_PAUSE),
            busy: ServerBusy::new(response.status(), asked, Utc::now()),
        };
        let mut pauses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pauses.retain(|_, pause| pause.until > now);
        let kept = pauses.entry(server(request)).or_insert_with(|| new.clone());
        if kept.until < new.until {
            *kept = new;
        }
        kept.check(now, Utc::now())
    }

    /// Waits until the server of a request may be asked.
    ///
    /// # Errors
    /// That is longer than a request waits.
    pub(super) async fn wait(&self, request: &HttpRequest) -> Result<(), ServerBusy> {
        let server = server(request);
        let find = || self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&server).cloned();
        // Another answer may ask for more meanwhile.
        while let Some(pause) = find().filter(|pause| pause.until > Instant::now()) {
            pause.check(Instant::now(), Utc::now())?;
            tokio::time::sleep_until(pause.until).await;
        }
        Ok(())
    }
}

impl ServerPause {
    /// Fails where what is left of it is longer than a request waits; `wall` is the time of day by now.
    fn check(&self, now: Instant, wall: DateTime<Utc>) -> Result<(), ServerBusy> {
        let left = self.until.saturating_duration_since(now);
        if left <= LONGEST_WAIT {
            return Ok(());
        }
        // What was noted by a clock that has been set since is no time to wait for.
        let until = wall + left;
        let was_set = (until - self.busy.until).abs() > TimeDelta::seconds(2);
        Err(ServerBusy { until: if was_set { until } else { self.busy.until }, ..self.busy.clone() })
    }
}

/// The server that a request goes to.
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

    fn asks_for(seconds: &str) -> HttpResponse {
        answer(503, &[(RETRY_AFTER, seconds)])
    }

    #[test]
    fn a_busy_server_says_how_long_it_wants_to_be_left_alone() {
        let date = "Tue, 02 Apr 2019 02:00:00 GMT";
        for (status, retry_after, seconds) in [
            (429, "10", Some(10)),
            (503, " 0 ", Some(0)),
            (503, "1000000000000", Some(1_000_000_000_000)),
            (503, "99999999999999999999999999", Some(u64::MAX)),
            (503, "Tue, 02 Apr 2019 02:01:30 GMT", Some(90)),
            (503, "Tue, 02 Apr 2019 01:00:00 GMT", None),
            (503, "-5", None),
            (503, "", None),
            (503, "soon", None),
            (500, "10", None),
        ] {
            let found = pause(&answer(status, &[(RETRY_AFTER, retry_after), (DATE, date)]));
            assert_eq!(found, seconds.map(Duration::from_secs), "{status} {retry_after}");
        }
    }

    #[test]
    fn who_is_turned_away_is_told_until_when_and_never_for_longer_than_a_day() {
        let now = "2019-04-02T02:00:00.7Z".parse().unwrap();
        for (seconds, said) in [
            (
                3600,
                "429 Too Many Requests; the server asks for no further request until 2019-04-02T03:00:00Z (Retry-After)",
            ),
            (
                86_401,
                "429 Too Many Requests; the server asks for a pause of more than a day (Retry-After), dayfill \
                      pauses until 2019-04-03T02:00:00Z",
            ),
            (
                u64::MAX,
                "429 Too Many Requests; the server asks for a pause of more than a day (Retry-After), dayfill \
                        pauses until 2019-04-03T02:00:00Z",
            ),
        ] {
            let busy = ServerBusy::new(StatusCode::TOO_MANY_REQUESTS, Duration::from_secs(seconds), now);
            assert_eq!(busy.to_string(), said);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_request_to_that_server_waits_for_as_long_as_it_asked() {
        let (pauses, began) = (ServerPauses::default(), Instant::now());
        let (busy, other) = (request("https://h:1/a?x=y"), request("https://h:2/a"));
        pauses.note(&busy, &answer(429, &[(RETRY_AFTER, "10")])).unwrap();
        pauses.note(&other, &answer(200, &[(RETRY_AFTER, "10")])).unwrap();
        pauses.wait(&other).await.unwrap();
        assert_eq!(began.elapsed().as_secs(), 0);
        pauses.clone().wait(&request("https://h:1/b")).await.unwrap();
        assert_eq!(began.elapsed().as_secs(), 10);
        pauses.wait(&busy).await.unwrap();
        assert_eq!(began.elapsed().as_secs(), 10, "it was left alone for as long as it asked");
    }

    #[tokio::test(start_paused = true)]
    async fn no_request_goes_to_a_server_that_asks_for_longer_than_one_waits() {
        let (pauses, began) = (ServerPauses::default(), Instant::now());
        let (busy, other) = (request("https://h:1/a"), request("https://h:2/a"));
        pauses.note(&busy, &asks_for("3600")).unwrap_err();
        // What another answer asks for makes it no shorter.
        pauses.note(&busy, &asks_for("5")).unwrap_err();
        for elapsed in [0, 1000, 3539] {
            tokio::time::sleep_until(began + Duration::from_secs(elapsed)).await;
            assert!(pauses.wait(&busy).await.is_err(), "after {elapsed} s");
            pauses.wait(&other).await.unwrap();
        }
        assert_eq!(began.elapsed().as_secs(), 3539, "nobody waited");
        // The rest is no longer than a request waits.
        tokio::time::sleep_until(began + Duration::from_mins(59)).await;
        pauses.wait(&busy).await.unwrap();
        assert_eq!(began.elapsed().as_secs(), 3600);
        pauses.note(&busy, &asks_for("1000000000000")).unwrap_err();
        tokio::time::sleep_until(began + Duration::from_hours(25)).await;
        pauses.wait(&busy).await.unwrap();
        assert_eq!(began.elapsed().as_secs(), 25 * 3600, "a day is enough");
    }

    #[test]
    fn the_end_of_a_pause_follows_a_clock_that_is_set() {
        let (now, wall) = (Instant::now(), "2019-04-02T02:00:00Z".parse::<DateTime<Utc>>().unwrap());
        let pause = |asked: u64| {
            let asked = Duration::from_secs(asked);
            ServerPause { until: now + asked, busy: ServerBusy::new(StatusCode::SERVICE_UNAVAILABLE, asked, wall) }
        };
        let until = |elapsed: u64, wall: &str| {
            let checked = pause(3600).check(now + Duration::from_secs(elapsed), wall.parse().unwrap());
            checked.unwrap_err().until.to_string()
        };
        assert_eq!(until(0, "2019-04-02T02:00:00Z"), "2019-04-02 03:00:00 UTC");
        assert_eq!(until(600, "2019-04-02T02:10:01Z"), "2019-04-02 03:00:00 UTC");
        // It was a month ahead before.
        assert_eq!(until(600, "2019-03-02T02:10:00Z"), "2019-03-02 03:00:00 UTC");
        assert!(pause(60).check(now, wall).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_waits_hears_of_a_pause_that_ends_later() {
        let (pauses, began) = (ServerPauses::default(), Instant::now());
        let busy = request("https://h:1/a");
        pauses.note(&busy, &asks_for("10")).unwrap();
        let (waited, ()) = tokio::join!(pauses.wait(&busy), async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            pauses.note(&busy, &asks_for("30")).unwrap();
        });
        waited.unwrap();
        assert_eq!(began.elapsed().as_secs(), 35);
    }
}
