//! What the environment says of the way to a server, for the errors of connections: by which proxy requests go, and
//! which authorities are trusted.

use std::fmt::Write as _;
use std::path::PathBuf;

use url::Url;

use super::server_answer::ServerAnswer;

/// The variables of proxies, in the order in which the HTTP clients ask for them, with the scheme that each is for.
const PROXIES: [(&str, Option<&str>); 6] = [
    ("HTTPS_PROXY", Some("https")),
    ("https_proxy", Some("https")),
    ("HTTP_PROXY", Some("http")),
    ("http_proxy", Some("http")),
    ("ALL_PROXY", None),
    ("all_proxy", None),
];

/// The settings of a process for all its connections.
#[derive(Debug)]
pub(super) struct NetworkSettings {
    /// Variables with their values, which may hold passwords.
    proxies: Vec<(&'static str, Option<&'static str>, String)>,
    authorities: Option<PathBuf>,
}

impl NetworkSettings {
    /// Those of an environment.
    pub(super) fn of(environment: &[(String, String)]) -> Self {
        let value = |variable: &str| {
            let found = environment.iter().find(|(name, value)| name == variable && !value.is_empty());
            found.map(|(_, value)| value.clone())
        };
        let proxies = PROXIES.into_iter().filter_map(|(name, scheme)| Some((name, scheme, value(name)?))).collect();
        Self { proxies, authorities: value("SSL_CERT_FILE").map(PathBuf::from) }
    }

    /// What to know beside an error of a request of that scheme; it begins with a semicolon where there is something.
    pub(super) fn hint(&self, scheme: &str, answer: &ServerAnswer) -> String {
        let mut hint = String::new();
        if answer.untrusted
            && let Some(file) = &self.authorities
        {
            let why = match std::fs::read_to_string(file) {
                Err(error) => error.to_string(),
                Ok(text) if !text.contains("-----BEGIN CERTIFICATE-----") => "holds no certificate in PEM".to_owned(),
                Ok(_) => return hint,
            };
            // Writing into a String does not fail.
            let _ = write!(hint, "; SSL_CERT_FILE names {}: {why}", file.display());
        }
        let is_for = |proxy: &&(_, Option<&str>, _)| proxy.1.is_none_or(|of| of == scheme);
        if answer.unreached
            && let Some((name, _, value)) = self.proxies.iter().find(is_for)
        {
            // Nothing before the host: that may be a password.
            let host = Url::parse(value).ok().filter(Url::has_host);
            let host = host.map(|url| url[url::Position::BeforeHost..url::Position::AfterPort].to_owned());
            let proxy = host.unwrap_or_else(|| "that it names".to_owned());
            let _ = write!(hint, "; {name} is set: requests go by the proxy {proxy}, except to hosts in NO_PROXY");
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(environment: &[(&str, &str)], scheme: &str, answer: &ServerAnswer) -> String {
        let pairs: Vec<_> = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        NetworkSettings::of(&pairs).hint(scheme, answer)
    }

    #[test]
    fn the_proxy_is_named_that_a_request_goes_by() {
        let (unreached, reached) =
            (ServerAnswer { unreached: true, ..ServerAnswer::default() }, ServerAnswer::default());
        let all = [("HTTPS_PROXY", "http://me:hush@proxy:3128"), ("http_proxy", "http://plain"), ("ALL_PROXY", "x")];
        let named = |name: &str, proxy: &str| {
            format!("; {name} is set: requests go by the proxy {proxy}, except to hosts in NO_PROXY")
        };
        assert_eq!(hint(&all, "https", &unreached), named("HTTPS_PROXY", "proxy:3128"));
        assert_eq!(hint(&all, "http", &unreached), named("http_proxy", "plain"));
        assert_eq!(hint(&all[2..], "http", &unreached), named("ALL_PROXY", "that it names"));
        assert_eq!(hint(&all[..1], "http", &unreached), "");
        assert_eq!(hint(&all, "https", &reached), "");
    }

    #[test]
    fn a_file_of_authorities_that_cannot_be_used_is_named() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("ca.pem");
        let untrusted = ServerAnswer { untrusted: true, ..ServerAnswer::default() };
        let said = |answer: &ServerAnswer| hint(&[("SSL_CERT_FILE", file.to_str().unwrap())], "https", answer);
        assert!(said(&untrusted).contains("ca.pem: No such file"), "{}", said(&untrusted));
        std::fs::write(&file, "hello").unwrap();
        assert!(said(&untrusted).ends_with("ca.pem: holds no certificate in PEM"), "{}", said(&untrusted));
        assert_eq!(said(&ServerAnswer::default()), "");
        std::fs::write(&file, "-----BEGIN CERTIFICATE-----\n").unwrap();
        assert_eq!(said(&untrusted), "");
    }
}
