//! What a server answered to a request that failed: why, and whether that passes by itself. No message holds a secret.

use std::error::Error as StdError;
use std::io;

use chrono::{DateTime, Utc};
use object_store::client::{HttpError, HttpErrorKind};

use super::retry_after::ServerBusy;
use super::s3::credentials::NoCredentials;

/// True of an error of the store, or of what it comes from, that passes by itself.
fn passes_by_itself(layer: &(dyn StdError + 'static)) -> bool {
    // The store's own type is not public; its words begin with the status.
    let said = layer.to_string();
    let status = said.strip_prefix(STATUS).and_then(|rest| rest.get(..3)).and_then(|status| status.parse().ok());
    status.is_some_and(is_trouble)
        || layer.is::<ServerBusy>()
        || layer.downcast_ref::<HttpError>().is_some_and(is_no_answer)
        || layer.downcast_ref::<reqwest::Error>().is_some_and(is_no_connection)
}

/// True where no connection came about, and so not by what TLS says either.
fn is_unreached(layer: &(dyn StdError + 'static)) -> bool {
    let of_http = layer.downcast_ref::<HttpError>();
    of_http.is_some_and(|error| error.kind() == HttpErrorKind::Connect && is_no_answer(error))
        || layer.downcast_ref::<reqwest::Error>().is_some_and(is_no_connection)
}

/// Nobody was there. The store asks for a bucket's region without types of its own.
fn is_no_connection(error: &reqwest::Error) -> bool {
    let mut layer = error.source();
    while let Some(inner) = layer {
        if is_of_tls(inner) {
            return false;
        }
        layer = inner.source();
    }
    error.is_connect()
}

/// Statuses of servers in trouble: a time-out, too many requests, and 5xx but for what the server will never do.
fn is_trouble(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502..=504 | 506..=599)
}

/// No answer came. One that was refused by us, such as a certificate that is not trusted, will be refused again.
fn is_no_answer(error: &HttpError) -> bool {
    let no_answer =
        [HttpErrorKind::Connect, HttpErrorKind::Request, HttpErrorKind::Timeout, HttpErrorKind::Interrupted];
    let mut layer = error.source();
    while let Some(inner) = layer {
        if is_of_tls(inner) || is_cut_off(inner) {
            return false;
        }
        layer = inner.source();
    }
    no_answer.contains(&error.kind())
}

/// True of a body that broke off, which is no silence of the server.
fn is_cut_off(layer: &(dyn StdError + 'static)) -> bool {
    let of_body = |error: &reqwest::Error| (error.is_body() || error.is_decode()) && !error.is_timeout();
    layer.downcast_ref::<reqwest::Error>().is_some_and(of_body)
}

/// True of what TLS itself says, as opposed to a connection that broke under it. It comes wrapped in I/O errors, which
/// do not tell it as their source.
fn is_of_tls(layer: &(dyn StdError + 'static)) -> bool {
    layer.is::<rustls::Error>()
        || layer.downcast_ref::<io::Error>().and_then(io::Error::get_ref).is_some_and(|inner| is_of_tls(inner))
}

/// What a server answered, taken apart.
#[derive(Debug, Default)]
pub(super) struct ServerAnswer {
    /// The error code of the XML body that S3, Google and Azure send with an error.
    pub(super) code: Option<String>,
    /// The message of that body, as it came; empty where there is none.
    pub(super) message: String,
    /// More about it, as Google sends it.
    pub(super) details: String,
    /// The region that S3 names in it.
    pub(super) region: Option<String>,
    /// The whole in a few words.
    pub(super) why: String,
    /// Whether there was something to ask with.
    pub(super) login: CredentialState,
    /// It may pass by itself.
    pub(super) temporary: bool,
    /// Until when the server is left alone, as it asked.
    pub(super) until: Option<DateTime<Utc>>,
    /// No connection came about.
    pub(super) unreached: bool,
    /// The server's certificate is of an authority that is not trusted.
    pub(super) untrusted: bool,
}

/// Whether there was something to ask a store with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum CredentialState {
    /// There was, or none was needed.
    #[default]
    Had,
    /// No credentials were found or could be used, so nothing was asked.
    Missing,
    /// Google's or Azure's token was not given out, so nothing was asked.
    NotGiven,
}

/// Codes of credentials that have expired.
const EXPIRED: [&str; 3] = ["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"];

/// How the store begins to tell of an answer that is no success.
const STATUS: &str = "Server returned non-2xx status code: ";

/// Longer answers are cut: some servers send a page.
const LONGEST_ANSWER: usize = 300;

/// Says what to do about a certificate of one's own authority, or of one's own.
fn with_advice_on_trust(why: String) -> String {
    if why.contains("UnknownIssuer") {
        format!("{why}; {UNKNOWN_AUTHORITY}")
    } else if why.contains("CaUsedAsEndEntity") {
        format!("{why}; {AUTHORITY_ITSELF}")
    } else {
        why
    }
}

const AUTHORITY_ITSELF: &str = "the server shows the certificate of an authority (CA:TRUE) as its own, which no setting \
     makes valid: give it one that is made for a server (with openssl req -x509, -addext \
     basicConstraints=critical,CA:FALSE)";

const UNKNOWN_AUTHORITY: &str = "the server's certificate is signed by an authority that this machine does not trust: \
     install the authority's certificate, or name a PEM file of all authorities to trust in SSL_CERT_FILE";

impl ServerAnswer {
    /// Takes an error of the store apart. The outer layers hold the URL with its query and its user, so only the inner
    /// ones are shown; of an XML body only code and message, since S3 sends the access key back in it.
    pub(super) fn of(error: &(dyn StdError + 'static)) -> Self {
        let (mut layers, mut layer) = (vec![error], error);
        while let Some(inner) = layer.source() {
            layers.push(inner);
            layer = inner;
        }
        if let Some(missing) = layers.iter().find_map(|e| e.downcast_ref::<NoCredentials>()) {
            let temporary = missing.is_temporary();
            let why = with_advice_on_trust(missing.to_string());
            let untrusted = why.ends_with(UNKNOWN_AUTHORITY);
            return Self { why, login: CredentialState::Missing, temporary, untrusted, ..Self::default() };
        }
        let outer = layers.iter().rposition(|e| e.to_string().contains("Error performing ")).unwrap_or(0) + 1;
        let mut why = String::new();
        for text in layers[outer.min(layers.len() - 1)..].iter().map(ToString::to_string) {
            if !why.contains(&text) {
                why.push_str(if why.is_empty() { "" } else { ": " });
                why.push_str(&text);
            }
        }
        let part = |name| element(&why, name).map(str::to_owned);
        let (code, region) = (part("Code"), part("Region"));
        let (message, details) = (part("Message").unwrap_or_default(), part("Details").unwrap_or_default());
        if let Some(code) = &code {
            why = format!("{code}: {}", if message.is_empty() { "no message" } else { &message });
            if !details.is_empty() {
                why = format!("{why} ({details})");
            }
        } else if let Some(page) = why.find('<') {
            // A page for people says no more than the status before it.
            why.truncate(page);
        }
        let why = why.strip_prefix(STATUS).unwrap_or(&why);
        let why = why.trim_end_matches(|c: char| c == ':' || c.is_whitespace());
        let why = match why.char_indices().nth(LONGEST_ANSWER) {
            Some((end, _)) => format!("{}...", &why[..end]),
            None => why.to_owned(),
        };
        let temporary = layers.iter().any(|layer| passes_by_itself(*layer))
            || code.as_deref().is_some_and(|code| EXPIRED.contains(&code));
        let why = why.replace(['\n', '\r'], " ");
        let why = with_advice_on_trust(why);
        let until = layers.iter().find_map(|layer| layer.downcast_ref::<ServerBusy>()).map(|busy| busy.until);
        let untrusted = why.ends_with(UNKNOWN_AUTHORITY);
        let unreached = layers.iter().any(|layer| is_unreached(*layer));
        let no_token = layers.iter().any(|layer| layer.to_string().starts_with("Error performing token request"));
        let login = if no_token { CredentialState::NotGiven } else { CredentialState::Had };
        Self { code, message, details, region, why, login, temporary, until, unreached, untrusted }
    }

    /// The error code; empty where there is none.
    pub(super) fn code(&self) -> &str {
        self.code.as_deref().unwrap_or_default()
    }
}

/// Of the XML body of an error only the elements that are made use of, any other body as it is; all as `masked` shows
/// it. What else stands in such a body repeats the request in ways that would have all of it masked.
pub(super) fn essence(body: &str, masked: impl Fn(&str) -> String) -> String {
    if element(body, "Code").is_none() {
        return masked(body);
    }
    let elements = ["Code", "Message", "Details", "Region"]
        .map(|name| element(body, name).map_or_else(String::new, |text| format!("<{name}>{}</{name}>", masked(text))));
    format!("<Error>{}</Error>", elements.concat())
}

fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
}
