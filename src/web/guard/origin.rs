//! Where a request that changes something was made: on a page of ours, or on another site's.

use axum::http::header::{ORIGIN, REFERER};
use axum::http::{HeaderMap, HeaderName};
use url::{Origin, Url};

use super::client::Client;
use crate::web::problem::Problem;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses a request that no page of ours has made. A browser says so by `Origin`; where that is missing by
/// `Sec-Fetch-Site`, and an old one by `Referer`. Who says nothing is no browser, and has a token or no business here.
pub(super) fn require_same_origin(client: &Client, headers: &HeaderMap) -> Result<(), Problem> {
    let ours = Url::parse(&format!("{}://{}/", client.scheme(), client.host.written())).map(|url| url.origin());
    let is_ours = |text: &str| Url::parse(text).is_ok_and(|url| matches!(&ours, Ok(ours) if same(ours, &url.origin())));
    let header = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let (made_on, fine) = match (header(&ORIGIN), header(&SEC_FETCH_SITE), header(&REFERER)) {
        (Some(origin), ..) => (format!("{origin:?}"), is_ours(origin)),
        (None, Some(site), _) => (format!("a {site} page"), site == "same-origin"),
        (None, None, Some(referer)) => ("another page".to_owned(), is_ours(referer)),
        (None, None, None) => ("an unknown page".to_owned(), false),
    };
    if fine {
        return Ok(());
    }
    let (scheme, host) = (client.scheme(), client.host.written());
    Err(Problem::forbidden(
        "origin",
        format!(
            "the request comes from {made_on}, not from {scheme}://{host}; programs need a token, and a proxy \
             has to be in web.trusted_proxies and forward host and scheme"
        ),
    ))
}

/// Opaque origins are nobody's, not even each other's.
fn same(ours: &Origin, other: &Origin) -> bool {
    ours.is_tuple() && ours == other
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::web::guard::host::Host;

    fn code(secure: bool, host: &str, headers: &[(HeaderName, &str)]) -> Result<(), &'static str> {
        let address = [127, 0, 0, 1].into();
        let client = Client { address, secure, host: Host::parse(host).unwrap(), via_unknown_proxy: false };
        let headers =
            headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect();
        require_same_origin(&client, &headers).map_err(|problem| problem.code)
    }

    #[test]
    fn scheme_host_and_port_have_to_be_ours() {
        for (secure, host, origin) in [
            (false, "localhost:8080", "http://localhost:8080"),
            (false, "localhost", "http://localhost:80"),
            (true, "Dayfill.example.com", "https://dayfill.example.com"),
            (true, "dayfill.example.com:443", "https://dayfill.example.com"),
            (true, "[::1]:8443", "https://[::1]:8443"),
        ] {
            assert_eq!(code(secure, host, &[(ORIGIN, origin)]), Ok(()), "{origin}");
        }
        for (secure, host, origin) in [
            (false, "localhost:8080", "http://localhost:8081"),
            (false, "localhost:8080", "https://localhost:8080"),
            (false, "localhost:8080", "http://127.0.0.1:8080"),
            (true, "dayfill.example.com", "https://evil.example"),
            (true, "dayfill.example.com", "https://dayfill.example.com.evil.example"),
            (true, "dayfill.example.com", "https://dayfill.example.com@evil.example"),
            (false, "localhost", "null"),
            (false, "localhost", "file://"),
            (false, "localhost", ""),
        ] {
            assert_eq!(code(secure, host, &[(ORIGIN, origin)]), Err("origin"), "{origin}");
        }
    }

    #[test]
    fn where_the_origin_is_missing_others_tell() {
        for (headers, expected) in [
            (&[(SEC_FETCH_SITE, "same-origin")][..], Ok(())),
            (&[(SEC_FETCH_SITE, "same-site")], Err("origin")),
            (&[(SEC_FETCH_SITE, "cross-site"), (REFERER, "http://localhost/days")], Err("origin")),
            (&[(SEC_FETCH_SITE, "none")], Err("origin")),
            (&[(REFERER, "http://localhost/days?x=1")], Ok(())),
            (&[(REFERER, "http://evil.example/http://localhost/")], Err("origin")),
            (&[(ORIGIN, "http://evil.example"), (SEC_FETCH_SITE, "same-origin")], Err("origin")),
            (&[], Err("origin")),
        ] {
            assert_eq!(code(false, "localhost", headers), expected, "{headers:?}");
        }
    }
}
