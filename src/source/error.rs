//! What can go wrong with a day's file, in words that say where and what to do. No message holds a secret.

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use object_store::client::{HttpError, HttpErrorKind};

use super::busy::Busy;
use super::s3::NoCredentials;
use crate::wording::counted;

/// A day's file could not be found out about, opened or read to its end.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Nobody waits for the answer any more.
    #[error("given up before an answer came")]
    BrokenOff,
    /// The URL cannot be understood.
    #[error("{url}: {why}")]
    BadUrl {
        /// The URL as configured, filled for the day.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file that was named itself, not through a day, does not exist.
    #[error("{url}: {why}")]
    NotThere {
        /// Where it was looked for.
        url: String,
        /// What was found instead.
        why: String,
    },
    /// A local file cannot be read.
    #[error("{url}: {source}{}", if source.kind() == io::ErrorKind::PermissionDenied {
        " (let the user that dayfill runs as read the file and enter its folders)" } else { "" })]
    Unreadable {
        /// The file.
        url: String,
        /// What the system says.
        source: io::Error,
    },
    /// The folder in which the files of all days are is not there: a mistake, or a volume that is not mounted.
    #[error("the folder {} does not exist; check source.url, or mount it", folder.display())]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// Something else than a file has the file's name.
    #[error("{url} is {what}, not a file")]
    NotAFile {
        /// The name.
        url: String,
        /// What it is.
        what: &'static str,
    },
    /// The server knows who asks, and says no.
    #[error("{url}: access denied ({why}); {grant}")]
    Forbidden {
        /// The file.
        url: String,
        /// The server's words.
        why: String,
        /// What to grant.
        grant: String,
    },
    /// The server does not know who asks, or does not believe it.
    #[error("{url}: the credentials were not accepted ({why}){}{advice}", if advice.is_empty() { "" } else { "; " })]
    Unauthenticated {
        /// The file.
        url: String,
        /// The server's words.
        why: String,
        /// The credentials have expired: new ones may be there soon.
        temporary: bool,
        /// What to do about it, where that is known.
        advice: String,
    },
    /// There are no credentials to ask with.
    #[error("{url}: {why}")]
    NoCredentials {
        /// The file.
        url: String,
        /// Where credentials were looked for.
        why: String,
        /// Who gives them out does not answer, or what they are given out for has expired.
        temporary: bool,
    },
    /// The bucket or container does not exist: a mistake, or one that is not there now.
    #[error("{url}: the bucket {bucket:?} does not exist; check source.url (and source.endpoint){hint}")]
    NoBucket {
        /// The file.
        url: String,
        /// The bucket.
        bucket: String,
        /// Who was asked, after a semicolon, where that is known.
        hint: String,
        /// The files of all days are in it, so that its absence says nothing of one day's file.
        of_all_days: bool,
    },
    /// The server could not be asked, or gave no usable answer.
    #[error("{url}: {why}")]
    Request {
        /// The file.
        url: String,
        /// What happened.
        why: String,
        /// It may pass by itself, as an outage does.
        temporary: bool,
        /// Until when the server asked to be left alone; it is not asked before.
        until: Option<DateTime<Utc>>,
    },
    /// The connection or the disk failed while the file was read, and retries did not help.
    #[error("{url}: reading failed after {}: {why}", so_far(*got, *announced))]
    Broken {
        /// The file.
        url: String,
        /// How much of it had come.
        got: u64,
        /// How much there was to come, where that is known.
        announced: Option<u64>,
        /// What happened.
        why: String,
        /// The server is gone; a body that is cut off again and again is no outage.
        temporary: bool,
        /// Until when the server asked to be left alone; it is not asked before.
        until: Option<DateTime<Utc>>,
    },
    /// The file ended before its announced size, or went on after it.
    #[error(
        "{url}: {} came instead of the announced {announced}; the file was cut off or changed",
        counted(*got, "byte")
    )]
    WrongSize {
        /// The file.
        url: String,
        /// How much came.
        got: u64,
        /// How much was announced.
        announced: u64,
    },
    /// The file was replaced while it was read: what was read is a mixture.
    #[error("{url}: the file was changed while it was read; it will do when its writer is done")]
    Changed {
        /// The file.
        url: String,
    },
    /// The compressed data are broken or cut off.
    #[error("{url}: broken or cut-off {format} data: {source}")]
    Compressed {
        /// The file.
        url: String,
        /// The compression.
        format: &'static str,
        /// What the decompressor says.
        source: io::Error,
    },
    /// The file is larger than it may be.
    #[error("{url}: holds more than {}, the limit; raise limits.max_bytes if it is right", counted(*max_bytes, "byte"))]
    TooLarge {
        /// The file.
        url: String,
        /// How many bytes of text it may hold.
        max_bytes: u64,
    },
    /// The file grows further than it may when it is decompressed.
    #[error(
        "{url}: grows to more than {max_ratio} times its stored size when it is decompressed, as files do that are made to \
         fill a disk; raise limits.max_ratio if it is right"
    )]
    Inflated {
        /// The file.
        url: String,
        /// How many times its stored size it may grow to.
        max_ratio: u64,
    },
    /// A zstd file wants more memory for its window than it may have.
    #[error(
        "{url}: its zstd window is larger than {}; set source.zstd_window_log above {log} if the memory is there (27 is \
         what `zstd --long` and `zstd --ultra -22` need), or compress it with a lower level",
        counted(1u64 << log, "byte")
    )]
    Window {
        /// The file.
        url: String,
        /// The largest window there may be, as the power of two of its bytes.
        log: u32,
    },
    /// A file whose reading failed was read on.
    #[error("{url}: reading failed before")]
    FailedBefore {
        /// The file.
        url: String,
    },
}

impl SourceError {
    /// True of trouble that passes by itself and says nothing of the file: nobody answers, a name that cannot be looked
    /// up, a time-out, 408, 429 and 5xx, a TLS handshake that broke off, expired credentials, a network share that is
    /// gone, the place of all files that is missing as a whole. A file that is cut off, a refusal and a certificate that
    /// is not trusted do not pass by themselves.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Request { temporary, .. }
            | Self::Unauthenticated { temporary, .. }
            | Self::NoCredentials { temporary, .. }
            | Self::Broken { temporary, .. } => *temporary,
            Self::Unreadable { source, .. } => is_outage(source.kind()),
            // The place as a whole cannot be seen, which says nothing of a day's file.
            Self::NoFolder { .. } => true,
            Self::NoBucket { of_all_days, .. } => *of_all_days,
            _ => false,
        }
    }

    /// Until when the server asked to be left alone, where it did; it is not asked before.
    #[must_use]
    pub fn until(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Request { until, .. } | Self::Broken { until, .. } => *until,
            _ => None,
        }
    }

    /// True where the file is not fit to be loaded as it is: another try would end in the same way.
    #[must_use]
    pub fn refuses(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::Inflated { .. } | Self::Window { .. })
    }

    /// The error as a [`Read`](io::Read) hands it out; [`io::Error::downcast`] brings it back.
    pub(super) fn into_io(self) -> io::Error {
        let kind = match &self {
            Self::WrongSize { .. } => io::ErrorKind::UnexpectedEof,
            Self::Compressed { .. } => io::ErrorKind::InvalidData,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, self)
    }

    /// The error that a read failed with; `url` names the file where the reader did not.
    pub(crate) fn from_io(error: io::Error, url: &str) -> Self {
        error.downcast().unwrap_or_else(|source| Self::Unreadable { url: url.to_owned(), source })
    }
}

/// How much of a file came.
fn so_far(got: u64, announced: Option<u64>) -> String {
    match announced {
        Some(announced) => format!("{got} of {}", counted(announced, "byte")),
        None => counted(got, "byte"),
    }
}

/// True of what a network share says when its server is not there.
fn is_outage(kind: io::ErrorKind) -> bool {
    use io::ErrorKind as Kind;
    let outages = [
        Kind::TimedOut,
        Kind::StaleNetworkFileHandle,
        Kind::HostUnreachable,
        Kind::NetworkUnreachable,
        Kind::NetworkDown,
        Kind::NotConnected,
        Kind::ConnectionReset,
        Kind::ConnectionAborted,
        Kind::ConnectionRefused,
    ];
    outages.contains(&kind)
}

/// True of an error of the store, or of what it comes from, that passes by itself.
fn passes_by_itself(layer: &(dyn StdError + 'static)) -> bool {
    // The store's own type is not public; its words begin with the status.
    let said = layer.to_string();
    let status = said.strip_prefix(STATUS).and_then(|rest| rest.get(..3)).and_then(|status| status.parse().ok());
    status.is_some_and(is_trouble)
        || layer.is::<Busy>()
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
pub(super) struct Answer {
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
    pub(super) login: Login,
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
pub(super) enum Login {
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

impl Answer {
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
            return Self { why, login: Login::Missing, temporary, untrusted, ..Self::default() };
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
        let until = layers.iter().find_map(|layer| layer.downcast_ref::<Busy>()).map(|busy| busy.until);
        let untrusted = why.ends_with(UNKNOWN_AUTHORITY);
        let unreached = layers.iter().any(|layer| is_unreached(*layer));
        let no_token = layers.iter().any(|layer| layer.to_string().starts_with("Error performing token request"));
        let login = if no_token { Login::NotGiven } else { Login::Had };
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
