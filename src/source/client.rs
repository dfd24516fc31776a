//! The HTTP client behind every store: which redirects it follows, how long a busy server is left alone, and what of a
//! server's words may be shown.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use object_store::{ClientConfigKey, ClientOptions};
use reqwest::header::{
    CONTENT_LENGTH, DATE, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, LOCATION, RANGE, RETRY_AFTER, TRANSFER_ENCODING, USER_AGENT,
};
use reqwest::{Method, StatusCode, Version};
use url::Url;

use super::{Patience, mask};
use crate::dataset::Redirects;

/// As many redirects are followed, one after the other.
const MOST_REDIRECTS: usize = 10;
/// So much of an answer that is no file is read: pages for people say no more further down.
const MOST_OF_AN_ERROR: usize = 16 * 1024;
/// The size that stands for one that the server does not tell, between this client and its stores, which want a number.
pub(super) const UNKNOWN_SIZE: u64 = u64::MAX;

/// The client of one source. Clones share their connections.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    client: reqwest::Client,
    rules: Arc<Rules>,
    allow_http: bool,
}

/// What one source allows.
#[derive(Debug, Clone, Default)]
struct Rules {
    redirects: Redirects,
    /// What each request of a web source says beside what the store says; user and token are among it.
    headers: HeaderMap,
    /// A body whose length is not told is taken where its end is marked.
    any_length: bool,
}

impl Connector {
    /// A client that waits so long. `allow_http` lets it speak without TLS; these authorities are trusted beside the
    /// system's.
    pub(super) fn new(
        patience: Patience,
        allow_http: bool,
        redirects: Redirects,
        authorities: Vec<reqwest::Certificate>,
    ) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("dayfill/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(patience.connect)
            .read_timeout(patience.idle)
            .https_only(!allow_http)
            .tls_certs_merge(authorities)
            // Redirects are followed here, by this module's rules; none of them tells where it comes from.
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .build()?;
        Ok(Self { client, rules: Arc::new(Rules { redirects, ..Rules::default() }), allow_http })
    }

    /// The same connections for files of a web server, asked for with these headers.
    pub(super) fn for_web(&self, headers: HeaderMap) -> Self {
        let rules = Rules { redirects: self.rules.redirects, headers, any_length: true };
        Self { client: self.client.clone(), rules: Arc::new(rules), allow_http: self.allow_http }
    }
}

impl HttpConnector for Connector {
    /// A client that is to speak plain HTTP where files are not is for the machine's own metadata, which has options of
    /// its own.
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let allow_http = options.get_config_value(&ClientConfigKey::AllowHttp);
        if allow_http.is_some_and(|allowed| allowed == "true") && !self.allow_http {
            return ReqwestConnector::default().connect(options);
        }
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Connector {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        for (name, value) in &self.rules.headers {
            request.headers_mut().insert(name, value.clone());
        }
        let secrets = mask::secrets(request.uri().query().unwrap_or_default(), request.headers());
        let mut followed = 0;
        let mut response = loop {
            let response = self.client.call(request.clone()).await?;
            match self.rules.redirected(&request, &response).map_err(|error| refused(&error))? {
                Some(_) if followed == MOST_REDIRECTS => return Err(refused(&Unfollowed::TooMany)),
                Some(next) => request = next,
                None => break response,
            }
            followed += 1;
        };
        if let Some(date) = time(response.headers(), &DATE) {
            response.extensions_mut().insert(ServerTime(date));
        }
        if response.status().is_success() {
            if self.rules.any_length && request.method() == Method::GET && is_marked(&response) {
                response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(UNKNOWN_SIZE));
            }
            return Ok(response);
        }
        if let Some(pause) = pause(&response) {
            if pause > LONGEST_PAUSE {
                return Err(refused(&Busy { status: response.status(), pause }));
            }
            tokio::time::sleep(pause).await;
        }
        let (parts, body) = response.into_parts();
        // What is left out of the words of S3 repeats the request in ways that would have all of them masked.
        let words = mask::masked(&super::error::essence(first_of(body.bytes_stream()).await), &secrets);
        Ok(HttpResponse::from_parts(parts, words.into()))
    }
}

/// An error that no retry changes.
fn refused<E: std::error::Error + Clone + Send + Sync + 'static>(error: &E) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, error.clone())
}

/// The server's clock when it answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct ServerTime(pub(super) DateTime<Utc>);

fn time(headers: &HeaderMap, name: &HeaderName) -> Option<DateTime<Utc>> {
    let text = headers.get(name)?.to_str().ok()?;
    DateTime::parse_from_rfc2822(text).ok().map(|time| time.with_timezone(&Utc))
}

/// True of a body without a length whose end shows all the same: the last chunk of HTTP/1.1 (RFC 9112, section 7.1),
/// the last frame of HTTP/2. Without either, a body that is cut off looks whole.
fn is_marked(response: &HttpResponse) -> bool {
    let mut codings = response.headers().get_all(TRANSFER_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let chunked = codings.next_back().is_some_and(|coding| coding.trim_end().to_ascii_lowercase().ends_with("chunked"));
    !response.headers().contains_key(CONTENT_LENGTH) && (chunked || response.version() == Version::HTTP_2)
}

/// A server that wants to be left alone for longer is not waited for; the day is tried again later.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

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

/// The beginning of a body, as text. One that breaks off says what it said until then.
async fn first_of(mut body: futures_util::stream::BoxStream<'static, Result<bytes::Bytes, HttpError>>) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < MOST_OF_AN_ERROR
        && let Some(Ok(piece)) = body.next().await
    {
        bytes.extend_from_slice(&piece[..piece.len().min(MOST_OF_AN_ERROR - bytes.len())]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Rules {
    /// The request that an answer sends on to, if it does.
    fn redirected(&self, request: &HttpRequest, response: &HttpResponse) -> Result<Option<HttpRequest>, Unfollowed> {
        let reads = [Method::GET, Method::HEAD].contains(request.method());
        let location = response.headers().get(LOCATION);
        let (301..=303 | 307 | 308, Some(location), true) = (response.status().as_u16(), location, reads) else {
            return Ok(None);
        };
        let from = Url::parse(&request.uri().to_string()).map_err(|_| Unfollowed::Nowhere)?;
        let to = location.to_str().ok().and_then(|to| from.join(to).ok()).ok_or(Unfollowed::Nowhere)?;
        let host = || to.host_str().unwrap_or_default().to_owned();
        match (from.scheme(), to.scheme()) {
            ("https", "http") => return Err(Unfollowed::Downgrade(host())),
            (_, "http" | "https") => {}
            _ => return Err(Unfollowed::Nowhere),
        }
        let same_host = from.host() == to.host();
        if !same_host && self.redirects == Redirects::SameHost {
            return Err(Unfollowed::OtherHost(host()));
        }
        let upgraded = (from.port(), to.port()) == (None, None);
        let same_server = same_host && (upgraded || from.port_or_known_default() == to.port_or_known_default());
        let mut next = request.clone();
        *next.uri_mut() = to.as_str().parse().map_err(|_| Unfollowed::Nowhere)?;
        if !same_server {
            // Whatever else stands there may be a secret, and none of it is meant for this server.
            *next.headers_mut() =
                HARMLESS.iter().filter_map(|name| Some((name.clone(), request.headers().get(name)?.clone()))).collect();
        }
        Ok(Some(next))
    }
}

/// The headers that every server may see.
const HARMLESS: [HeaderName; 7] =
    [RANGE, IF_RANGE, IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, USER_AGENT];

/// A redirect that is not followed. Of where it leads only the host is told: its query may be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Unfollowed {
    #[error(
        "the server sends on to another host, {0}, which is not followed: write that host's URL as source.url, or set \
         source.redirects = \"any\" if it may send on to every host"
    )]
    OtherHost(String),
    #[error("the server sends on from https to http ({0}), which is never followed: it would be read unprotected")]
    Downgrade(String),
    #[error("the server sends on to something that is no http or https URL")]
    Nowhere,
    #[error("the server sends on and on: {MOST_REDIRECTS} redirects were followed")]
    TooMany,
}

#[cfg(test)]
mod tests {
    use reqwest::header::AUTHORIZATION;

    use super::*;

    fn request(url: &str) -> HttpRequest {
        let mut request = HttpRequest::new(object_store::client::HttpRequestBody::empty());
        *request.uri_mut() = url.parse().unwrap();
        for name in [AUTHORIZATION, RANGE, HeaderName::from_static("x-api-key")] {
            request.headers_mut().insert(name, HeaderValue::from_static("hush"));
        }
        request
    }

    fn answer(status: u16, headers: &[(HeaderName, &str)]) -> HttpResponse {
        let mut response = HttpResponse::new(String::new().into());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in headers {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        response
    }

    #[test]
    fn redirects_go_where_they_may_and_take_no_secret_to_another_server() {
        let other = |host: &str| Err(Unfollowed::OtherHost(host.to_owned()));
        let down = || Err(Unfollowed::Downgrade("h".to_owned()));
        // From, to; where it leads with "same-host" and with "any"; whether secrets go along.
        for (from, to, same_host, any, secrets) in [
            ("https://h/a?s=1", "/b?c=d", Ok("https://h/b?c=d"), Ok("https://h/b?c=d"), true),
            ("https://h/a", "b", Ok("https://h/b"), Ok("https://h/b"), true),
            ("http://h/a", "https://h/a", Ok("https://h/a"), Ok("https://h/a"), true),
            ("http://h/a", "http://h:81/a", Ok("http://h:81/a"), Ok("http://h:81/a"), false),
            ("http://h:81/a", "https://h/a", Ok("https://h/a"), Ok("https://h/a"), false),
            ("https://h/a", "https://g/b", other("g"), Ok("https://g/b"), false),
            ("https://h/a", "//g/b", other("g"), Ok("https://g/b"), false),
            ("https://h/a", "https://h.g/b", other("h.g"), Ok("https://h.g/b"), false),
            ("https://h/a", "http://h/a", down(), down(), false),
            ("https://h/a", "file:///etc/passwd", Err(Unfollowed::Nowhere), Err(Unfollowed::Nowhere), false),
            ("https://h/a", "https://[", Err(Unfollowed::Nowhere), Err(Unfollowed::Nowhere), false),
        ] {
            for (redirects, expected) in [(Redirects::SameHost, same_host), (Redirects::Any, any)] {
                let rules = Rules { redirects, ..Rules::default() };
                let next = rules.redirected(&request(from), &answer(302, &[(LOCATION, to)]));
                let next = next.map(Option::unwrap);
                let uri = next.as_ref().map(|next| next.uri().to_string()).map_err(Clone::clone);
                assert_eq!(uri, expected.map(str::to_owned), "{from} {to}");
                if let Ok(next) = next {
                    assert_eq!(next.headers().contains_key(AUTHORIZATION), secrets, "{from} {to}");
                    assert_eq!(next.headers().contains_key("x-api-key"), secrets, "{from} {to}");
                    assert!(next.headers().contains_key(RANGE));
                }
            }
        }
        for status in [200, 300, 304, 404] {
            let response = answer(status, &[(LOCATION, "https://g/")]);
            assert!(Rules::default().redirected(&request("https://h/"), &response).unwrap().is_none(), "{status}");
        }
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
}
