//! The HTTP client behind every store: which redirects it follows, and what of a server's words may be shown.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use object_store::{ClientConfigKey, ClientOptions};
use reqwest::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, DATE, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LAST_MODIFIED, LOCATION, RANGE, TRANSFER_ENCODING, USER_AGENT,
};
use reqwest::{Method, StatusCode, Version};
use url::Url;

use super::retry_after::{ServerPauses, time};
use super::{ClientTimeouts, mask};
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
    pauses: ServerPauses,
    allow_http: bool,
}

/// What one source allows.
#[derive(Debug, Clone, Default)]
struct Rules {
    redirects: Redirects,
    /// What each request of a web source says beside what the store says; user and token are among it.
    headers: HeaderMap,
    /// A web server: a body whose length is not told is taken where its end is marked, and a time of the last change
    /// that cannot be read is none.
    is_web: bool,
    /// What signs a request signs its host, too.
    signed_for_host: bool,
}

impl Connector {
    /// A client that waits so long. `allow_http` lets it speak without TLS; these authorities are trusted beside the
    /// system's.
    pub(super) fn new(
        timeouts: ClientTimeouts,
        allow_http: bool,
        redirects: Redirects,
        authorities: Vec<reqwest::Certificate>,
    ) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("dayfill/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timeouts.connect)
            .read_timeout(timeouts.idle)
            .https_only(!allow_http)
            .tls_certs_merge(authorities)
            // Redirects are followed here, by this module's rules; none of them tells where it comes from.
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .build()?;
        let rules = Arc::new(Rules { redirects, ..Rules::default() });
        Ok(Self { client, rules, pauses: ServerPauses::of_process(), allow_http })
    }

    /// The same connections for files of a web server, asked for with these headers.
    pub(super) fn for_web(&self, headers: HeaderMap) -> Self {
        let rules = Rules { redirects: self.rules.redirects, headers, is_web: true, signed_for_host: false };
        Self { rules: Arc::new(rules), ..self.clone() }
    }

    /// The same for S3, whose signatures hold for one host and region: a redirect to another host is an error that says
    /// what to set, or, where it names a region, an answer.
    pub(super) fn for_s3(self) -> Self {
        let rules = Rules { redirects: self.rules.redirects, signed_for_host: true, ..Rules::default() };
        Self { rules: Arc::new(rules), ..self }
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
        let mut asked = Vec::new();
        let mut response = loop {
            self.pauses.wait(&request).await.map_err(|busy| refused(&busy))?;
            let response = self.client.call(request.clone()).await?;
            match self.rules.redirected(&request, &response).map_err(|error| refused(&error))? {
                Some(_) if asked.len() == MOST_REDIRECTS => return Err(refused(&Unfollowed::TooMany)),
                Some(next) => asked.push(std::mem::replace(&mut request, next)),
                None => break response,
            }
        };
        if let Some(date) = time(response.headers(), &DATE) {
            response.extensions_mut().insert(ServerTime(date));
        }
        if response.status().is_success() {
            check_whole(&request, &response).map_err(|error| refused(&error))?;
            if self.rules.is_web && request.method() == Method::GET && is_marked(&response) {
                response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(UNKNOWN_SIZE));
            }
            if self.rules.is_web && time(response.headers(), &LAST_MODIFIED).is_none() {
                response.headers_mut().remove(LAST_MODIFIED);
            }
            return Ok(response);
        }
        self.pauses.note(&request, &response).map_err(|busy| refused(&busy))?;
        let (parts, body) = response.into_parts();
        let words = first_of(body.bytes_stream()).await;
        asked.push(request);
        let secrets = mask::secrets(&asked);
        let words = super::server_answer::essence(&words, |words| mask::masked(words, &secrets));
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

/// An answer that is no file as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum NotAsAsked {
    #[error("the server sends a part of the file (206) where all of it was asked for")]
    Part,
    #[error("the server encodes the file as {0:?} (Content-Encoding), which was not asked for; gzip and zstd are read")]
    Encoded(String),
}

/// Holds a success against what was asked for.
fn check_whole(request: &HttpRequest, response: &HttpResponse) -> Result<(), NotAsAsked> {
    if response.status() == StatusCode::PARTIAL_CONTENT && !request.headers().contains_key(RANGE) {
        return Err(NotAsAsked::Part);
    }
    let codings = response.headers().get_all(CONTENT_ENCODING).iter();
    let mut codings = codings.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let unread =
        codings.find(|coding| !READ.iter().any(|read| coding.trim_ascii().eq_ignore_ascii_case(read.as_bytes())));
    unread.map_or(Ok(()), |coding| Err(NotAsAsked::Encoded(String::from_utf8_lossy(coding.trim_ascii()).into_owned())))
}

/// The encodings that are recognised, or none; a client that uploads to S3 in signed pieces leaves the last one there.
const READ: [&str; 6] = ["", "identity", "gzip", "x-gzip", "zstd", "aws-chunked"];

/// True of a body without a length whose end shows all the same: the last chunk of HTTP/1.1 (RFC 9112, section 7.1),
/// the last frame of HTTP/2. Without either, a body that is cut off looks whole.
fn is_marked(response: &HttpResponse) -> bool {
    let mut codings = response.headers().get_all(TRANSFER_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let chunked = codings.next_back().is_some_and(|coding| coding.trim_end().to_ascii_lowercase().ends_with("chunked"));
    !response.headers().contains_key(CONTENT_LENGTH) && (chunked || response.version() == Version::HTTP_2)
}

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
        let status = response.status();
        let location = match (status.as_u16(), location) {
            (301..=303 | 307 | 308, Some(location)) if reads => location,
            // S3 tells the region of a bucket without a place.
            (300..=303 | 305..=399, None) if !self.signed_for_host => return Err(Unfollowed::NoPlace(status)),
            _ => return Ok(None),
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
        if !same_host && self.signed_for_host {
            let names_region = response.headers().contains_key(REGION);
            return if names_region { Ok(None) } else { Err(Unfollowed::OtherService(host())) };
        }
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

/// Where S3 names the region of a bucket.
pub(super) const REGION: HeaderName = HeaderName::from_static("x-amz-bucket-region");

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
    #[error(
        "the service sends on to another host, {0}, which is not followed: set source.region to the bucket's region, or \
         source.endpoint to the service's own URL"
    )]
    OtherService(String),
    #[error("the server sends on from https to http ({0}), which is never followed: it would be read unprotected")]
    Downgrade(String),
    #[error("the server answers {0}, and does not say where the file is (Location)")]
    NoPlace(StatusCode),
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
        for status in [301, 302, 300] {
            let unplaced = Rules::default().redirected(&request("https://h/"), &answer(status, &[]));
            assert_eq!(unplaced.unwrap_err(), Unfollowed::NoPlace(StatusCode::from_u16(status).unwrap()));
            let s3 = Rules { signed_for_host: true, ..Rules::default() };
            assert!(s3.redirected(&request("https://h/"), &answer(status, &[])).unwrap().is_none());
        }
        for status in [200, 300, 304, 404] {
            let response = answer(status, &[(LOCATION, "https://g/")]);
            assert!(Rules::default().redirected(&request("https://h/"), &response).unwrap().is_none(), "{status}");
        }
    }

    #[test]
    fn a_part_and_an_encoding_that_nobody_asked_for_are_no_file() {
        let part = |range: bool| {
            let mut asked = request("https://h/a");
            if !range {
                asked.headers_mut().remove(RANGE);
            }
            check_whole(&asked, &answer(206, &[]))
        };
        assert_eq!((part(false), part(true)), (Err(NotAsAsked::Part), Ok(())));
        for (coding, read) in [
            ("gzip", true),
            ("GZIP", true),
            ("", true),
            ("aws-chunked", true),
            ("aws-chunked, zstd", true),
            ("br", false),
            ("gzip, deflate", false),
        ] {
            let checked = check_whole(&request("https://h/a"), &answer(200, &[(CONTENT_ENCODING, coding)]));
            assert_eq!(checked.is_ok(), read, "{coding} {checked:?}");
        }
    }
}
