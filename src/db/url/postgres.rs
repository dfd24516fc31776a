//! `postgres://` in all of libpq's forms, read into libpq's keywords and written as its `keyword='value'` text.
//!
//! Where libpq would take a raw `@`, `:`, `/` or `?` in a password for the end of it, the reading here takes the last
//! `@` before the host instead; what still has two readings is refused, since a wrong one would show pieces of a
//! password.

use std::fmt;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::UrlError;
use crate::column::Identifier;
use crate::wording::nearest;

/// The keywords of libpq 18 (`PQconninfoOptions` in its fe-connect.c).
const KEYWORDS: [&str; 50] = [
    "service",
    "user",
    "password",
    "passfile",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "port",
    "client_encoding",
    "options",
    "application_name",
    "fallback_application_name",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "sslmode",
    "sslnegotiation",
    "sslcompression",
    "sslcert",
    "sslkey",
    "sslcertmode",
    "sslpassword",
    "sslrootcert",
    "sslcrl",
    "sslcrldir",
    "sslsni",
    "requirepeer",
    "require_auth",
    "min_protocol_version",
    "max_protocol_version",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "gssencmode",
    "krbsrvname",
    "gsslib",
    "gssdelegation",
    "replication",
    "target_session_attrs",
    "load_balance_hosts",
    "scram_client_key",
    "scram_server_key",
    "oauth_issuer",
    "oauth_client_id",
    "oauth_client_secret",
    "oauth_scope",
    "sslkeylogfile",
];

/// The keywords whose values are never shown.
const SECRETS: [&str; 5] = ["password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret"];

/// The keywords that say which database it is; `options` may set the search path.
const PLACE: [&str; 6] = ["service", "host", "hostaddr", "port", "dbname", "options"];

/// Given to libpq unless the URL says otherwise: libpq has no time limit of its own, so that a dropped packet would
/// hang a load for minutes.
const DEFAULTS: [(&str, &str); 6] = [
    ("connect_timeout", "10"),
    ("application_name", "dayfill"),
    ("keepalives_idle", "30"),
    ("keepalives_interval", "10"),
    ("keepalives_count", "3"),
    ("tcp_user_timeout", "60000"),
];

/// What `Display` leaves as it is in a value.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The same for hosts and ports, which may be lists and IPv6 addresses.
const PLAIN_HOST: &AsciiSet = &PLAIN.remove(b',').remove(b':').remove(b'[').remove(b']');

/// A PostgreSQL server as a URL names it: libpq's keywords with their values, each keyword at most once.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PostgresUrl {
    words: Vec<(&'static str, String)>,
    /// The schema of dayfill's own tables; `None` leaves it to the search path.
    schema: Option<Identifier>,
}

impl PostgresUrl {
    /// Reads what follows the scheme and its slashes.
    pub(super) fn parse(rest: &str) -> Result<Self, UrlError> {
        let mut url = Self { words: Vec::new(), schema: None };
        let (head, query) = split_query(rest);
        let place = match head.rsplit_once('@') {
            Some((credentials, place)) => {
                url.set_credentials(credentials)?;
                place
            }
            None => head,
        };
        let (hosts, database) = place.split_once('/').unwrap_or((place, ""));
        url.set_hosts(hosts)?;
        url.set_decoded("dbname", database)?;
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            url.set_parameter(parameter)?;
        }
        url.check_ssl()?;
        Ok(url)
    }

    /// The schema of dayfill's own tables; `None` leaves it to the search path.
    #[must_use]
    pub fn schema(&self) -> Option<&Identifier> {
        self.schema.as_ref()
    }

    /// The same server with dayfill's own tables in that schema.
    #[must_use]
    pub fn with_schema(self, schema: Option<Identifier>) -> Self {
        Self { schema, ..self }
    }

    /// The value of one of libpq's keywords.
    #[must_use]
    pub fn get(&self, keyword: &str) -> Option<&str> {
        self.words.iter().find(|(known, _)| *known == keyword).map(|(_, value)| value.as_str())
    }

    /// The connection string for libpq, secrets and all. Not for any other eyes.
    #[must_use]
    pub fn conninfo(&self) -> String {
        self.conninfo_with_roots(|| openssl_probe::probe().cert_file)
    }

    fn conninfo_with_roots(&self, system_roots: impl FnOnce() -> Option<PathBuf>) -> String {
        let mut parameters: Vec<(&str, String)> = self.words.iter().map(|(key, value)| (*key, value.clone())).collect();
        if self.get("sslrootcert") == Some("system") {
            // libpq would ask OpenSSL, and a vendored OpenSSL looks where it was built. `system` implies that the
            // host's name is checked, which a file's path does not: say so. Without a file libpq's own search remains.
            if self.get("sslmode").is_none() {
                parameters.push(("sslmode", "verify-full".to_owned()));
            }
            let roots = system_roots().and_then(|path| path.into_os_string().into_string().ok());
            if let (Some(roots), Some(place)) = (roots, parameters.iter_mut().find(|(key, _)| *key == "sslrootcert")) {
                place.1 = roots;
            }
        }
        let defaults = DEFAULTS.iter().filter(|(key, _)| self.get(key).is_none());
        parameters.extend(defaults.map(|(key, value)| (*key, (*value).to_owned())));
        let words: Vec<String> = parameters.iter().map(|(key, value)| format!("{key}='{}'", quoted(value))).collect();
        words.join(" ")
    }

    /// The message with every secret replaced by `***`.
    #[must_use]
    pub fn mask(&self, message: &str) -> String {
        let mut secrets: Vec<&str> = self.secrets().collect();
        // Longest first: one secret may hold another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets
            .iter()
            .fold(message.to_owned(), |message, secret| message.replace(&quoted(secret), "***").replace(secret, "***"))
    }

    pub(super) fn same_place(&self, other: &Self) -> bool {
        PLACE.iter().all(|keyword| self.get(keyword) == other.get(keyword)) && self.schema == other.schema
    }

    pub(super) fn has_secret(&self) -> bool {
        self.secrets().next().is_some()
    }

    pub(super) fn trusts_any_server(&self, fallback: Option<&str>) -> bool {
        let verifies = |mode: &str| matches!(mode, "verify-full" | "verify-ca");
        let mode = self.get("sslmode").or(fallback).unwrap_or_default();
        let checked = verifies(mode) || (mode.is_empty() && self.get("sslrootcert") == Some("system"));
        let hosts = [self.get("host"), self.get("hostaddr")].into_iter().flatten().flat_map(|hosts| hosts.split(','));
        !checked && hosts.into_iter().any(|host| !is_this_machine(host))
    }

    fn secrets(&self) -> impl Iterator<Item = &str> {
        let secret = |(key, value): &&(&str, String)| SECRETS.contains(key) && !value.is_empty();
        self.words.iter().filter(secret).map(|(_, value)| value.as_str())
    }

    fn set(&mut self, keyword: &'static str, value: String) {
        self.words.retain(|(known, _)| *known != keyword);
        self.words.push((keyword, value));
    }

    /// Sets a part of the URL itself; as in libpq, an empty one counts as not given.
    fn set_decoded(&mut self, keyword: &'static str, encoded: &str) -> Result<(), UrlError> {
        if !encoded.is_empty() {
            self.set(keyword, decode(encoded, keyword)?);
        }
        Ok(())
    }

    fn set_credentials(&mut self, credentials: &str) -> Result<(), UrlError> {
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        // The @ may belong to the database's name or a parameter instead. The readings differ in what is secret.
        if user.contains(['/', '?', '@']) {
            return Err(UrlError::Ambiguous);
        }
        self.set_decoded("user", user)?;
        self.set_decoded("password", password)
    }

    fn set_hosts(&mut self, text: &str) -> Result<(), UrlError> {
        let (mut hosts, mut ports) = (Vec::new(), Vec::new());
        for part in text.split(',') {
            let (host, port) = match part.strip_prefix('[') {
                Some(inside) => {
                    let (address, after) = inside.split_once(']').ok_or(UrlError::Brackets)?;
                    if address.is_empty() || !(after.is_empty() || after.starts_with(':')) {
                        return Err(UrlError::Brackets);
                    }
                    (address, after.strip_prefix(':').unwrap_or(""))
                }
                None => part.split_once(':').unwrap_or((part, "")),
            };
            hosts.push(host);
            ports.push(port);
        }
        // As in libpq, both are lists of one length with empty places, and nothing where nothing is given.
        self.set_decoded("host", &hosts.join(","))?;
        if ports.iter().all(|port| port.is_empty()) {
            return Ok(());
        }
        let ports = decode(&ports.join(","), "port")?;
        check_ports(&ports)?;
        self.set("port", ports);
        Ok(())
    }

    fn set_parameter(&mut self, parameter: &str) -> Result<(), UrlError> {
        let (name, value) = parameter.split_once('=').ok_or(UrlError::NoValue)?;
        let (name, value) = (decode(name, "parameters")?, decode(value, "parameters")?);
        if name == "ssl" && value == "true" {
            // The word of JDBC, which libpq takes as well.
            self.set("sslmode", "require".to_owned());
            return Ok(());
        }
        let keyword = KEYWORDS.into_iter().find(|known| *known == name);
        let keyword = keyword.ok_or_else(|| UrlError::UnknownParameter(nearest(&name, KEYWORDS, |_| 2)))?;
        if keyword == "port" {
            check_ports(&value)?;
        }
        self.set(keyword, value);
        Ok(())
    }

    fn check_ssl(&self) -> Result<(), UrlError> {
        let system = self.get("sslrootcert") == Some("system");
        let weak = self.get("sslmode").is_some_and(|mode| mode != "verify-full");
        if system && weak { Err(UrlError::WeakSslMode) } else { Ok(()) }
    }
}

/// A socket's folder (a path, or with `@` in front an abstract one), nothing at all, or a loopback address.
fn is_this_machine(host: &str) -> bool {
    host.is_empty()
        || host.starts_with(['/', '@'])
        || host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Parts a URL from its parameters. A password may hold a raw `?`: the first `?` that known parameters follow, else the
/// first one after the last `@`.
fn split_query(rest: &str) -> (&str, &str) {
    let known = |query: &str| {
        query.split('&').all(|parameter| {
            parameter.split_once('=').is_some_and(|(name, _)| name == "ssl" || KEYWORDS.contains(&name))
        })
    };
    let marks = || rest.match_indices('?').map(|(at, _)| at);
    let after_host = rest.rfind('@').unwrap_or(0);
    match marks().find(|at| known(&rest[at + 1..])).or_else(|| marks().find(|at| *at >= after_host)) {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (rest, ""),
    }
}

fn check_ports(ports: &str) -> Result<(), UrlError> {
    let port = |text: &str| text.is_empty() || text.parse::<u16>().is_ok_and(|port| port > 0);
    if ports.split(',').all(port) { Ok(()) } else { Err(UrlError::Port) }
}

fn decode(text: &str, part: &'static str) -> Result<String, UrlError> {
    let bytes = text.as_bytes();
    let escaped = |at: usize| bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    if text.match_indices('%').any(|(at, _)| !escaped(at)) {
        return Err(UrlError::Percent(part));
    }
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| UrlError::NotText(part))?;
    if decoded.contains('\0') { Err(UrlError::NotText(part)) } else { Ok(decoded.into_owned()) }
}

/// A value between single quotes of a connection string.
fn quoted(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\'', "\\'")
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        let encoded = |keyword| utf8_percent_encode(self.get(keyword).unwrap_or(""), PLAIN);
        if self.get("user").is_some() || self.get("password").is_some() {
            let password = if self.get("password").is_some() { ":***" } else { "" };
            write!(f, "{}{password}@", encoded("user"))?;
        }
        f.write_str(&self.shown_hosts())?;
        if self.get("dbname").is_some() {
            write!(f, "/{}", encoded("dbname"))?;
        }
        let shown = ["user", "password", "host", "port", "dbname"];
        let rest = self.words.iter().filter(|(keyword, _)| !shown.contains(keyword));
        for (number, (keyword, value)) in rest.enumerate() {
            f.write_char(if number == 0 { '?' } else { '&' })?;
            if SECRETS.contains(keyword) {
                write!(f, "{keyword}=***")?;
            } else {
                write!(f, "{keyword}={}", utf8_percent_encode(value, PLAIN))?;
            }
        }
        Ok(())
    }
}

impl PostgresUrl {
    /// `host:port,[::1]:port`, as far as the lists go.
    fn shown_hosts(&self) -> String {
        let hosts: Vec<&str> = self.get("host").unwrap_or("").split(',').collect();
        let ports: Vec<&str> = self.get("port").unwrap_or("").split(',').collect();
        let mut shown = Vec::new();
        for number in 0..hosts.len().max(ports.len()) {
            let host = hosts.get(number).copied().unwrap_or("");
            let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
            let host = utf8_percent_encode(&host, PLAIN_HOST);
            // One port serves all hosts.
            let port = if ports.len() == 1 { Some(&ports[0]) } else { ports.get(number) };
            shown.push(match port {
                Some(port) if !port.is_empty() => format!("{host}:{port}"),
                _ => host.to_string(),
            });
        }
        shown.join(",")
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests;
