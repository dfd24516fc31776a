//! Who is at the other end of a request, past the proxies that may be believed.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use ipnet::IpNet;

use super::host::Host;
use crate::web::problem::Problem;
use crate::web::settings::{WebSettings, is_loopback};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The two ends of a connection; [`serve`](crate::web::serve::serve) puts it among the extensions of every request.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// The other end: the client, or a proxy.
    pub remote: SocketAddr,
    /// This end.
    pub local: SocketAddr,
    /// Whether they speak TLS.
    pub tls: bool,
}

/// Who asks, by address; among the extensions of every request that is let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The client's address.
    pub address: IpAddr,
    /// Whether it speaks TLS, to us or to a proxy that says so.
    pub secure: bool,
    /// The host it asks for, as it wrote it.
    pub(super) host: Host,
    /// It came through a proxy, and whoever is behind that is not known.
    pub(super) via_unknown_proxy: bool,
}

impl Client {
    /// Finds out who asks, and refuses those who do not ask for us: a page of another site may have had its own name
    /// point here (DNS rebinding).
    pub(super) fn of(peer: &Peer, uri: &Uri, headers: &HeaderMap, settings: &WebSettings) -> Result<Self, Problem> {
        let remote = peer.remote.ip().to_canonical();
        let trusted = is_trusted(remote, &settings.trusted_proxies);
        let forwarded = |name: &HeaderName| trusted.then(|| last(headers, name)).flatten();
        let mut host = accepted(requested_host(uri, headers)?, peer, settings)?;
        // Both names have to be ours: a page that was led here could send the second header itself.
        if let Some(name) = forwarded(&FORWARDED_HOST) {
            let name = Host::parse(name).ok_or_else(|| Problem::bad_request("X-Forwarded-Host is not a host"))?;
            host = accepted(name, peer, settings)?;
        }
        let secure = forwarded(&FORWARDED_PROTO).map_or(peer.tls, |scheme| scheme.eq_ignore_ascii_case("https"));
        let (address, known) =
            if trusted { behind(remote, headers, &settings.trusted_proxies) } else { (remote, false) };
        let via_unknown_proxy = !known && headers.keys().any(is_of_a_proxy);
        Ok(Self { address, secure, host, via_unknown_proxy })
    }

    /// True for a client that is on this machine, as far as can be told.
    pub(super) fn is_local(&self) -> bool {
        is_loopback(self.address) && !self.via_unknown_proxy
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }
}

fn is_trusted(address: IpAddr, proxies: &[IpNet]) -> bool {
    proxies.iter().any(|net| net.contains(&address))
}

/// True for a header that only proxies have a reason to send.
fn is_of_a_proxy(name: &HeaderName) -> bool {
    *name == header::FORWARDED || name == "x-real-ip" || name.as_str().starts_with("x-forwarded-")
}

/// The last value of a list in a header: what the nearest proxy says.
fn last<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let line = headers.get_all(name).into_iter().next_back()?.to_str().ok()?;
    line.rsplit(',').next().map(str::trim).filter(|value| !value.is_empty())
}

/// The nearest address behind the proxies, and whether it is the client's: whoever stands in front of it in the list is
/// that one's own word.
fn behind(proxy: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> (IpAddr, bool) {
    let lines = headers.get_all(FORWARDED_FOR).into_iter().rev();
    let (mut client, mut known) = (proxy, false);
    for entry in lines.flat_map(|line| line.to_str().unwrap_or("?").rsplit(',')) {
        let Some(address) = address(entry.trim()) else { return (client, false) };
        (client, known) = (address.to_canonical(), true);
        if !is_trusted(client, proxies) {
            break;
        }
    }
    (client, known)
}

/// An address as proxies write it: with a port or without, IPv6 in brackets or not.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// The one host that a request asks for.
fn requested_host(uri: &Uri, headers: &HeaderMap) -> Result<Host, Problem> {
    let wrong = || Problem::bad_request("a request needs exactly one Host header");
    let mut hosts = headers.get_all(header::HOST).into_iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(wrong()) };
    let host = host.to_str().ok().and_then(Host::parse).ok_or_else(wrong)?;
    match uri.authority().map(|authority| Host::parse(authority.as_str())) {
        Some(named) if named.as_ref() != Some(&host) => Err(wrong()),
        _ => Ok(host),
    }
}

fn accepted(host: Host, peer: &Peer, settings: &WebSettings) -> Result<Host, Problem> {
    // A client that reached this address asked for it; no name server is in that.
    let by_address = |address: IpAddr| is_loopback(address) || address == peer.local.ip().to_canonical();
    let ours = host.name() == "localhost"
        || host.name().parse().is_ok_and(by_address)
        || settings.hosts.iter().any(|name| name == host.name());
    if ours {
        return Ok(host);
    }
    let detail = format!("the web UI does not answer to the name {:?}; to allow it, add it to web.hosts", host.name());
    Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "host", detail))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn settings() -> WebSettings {
        WebSettings {
            listen: Some("0.0.0.0:8080".parse().unwrap()),
            hosts: vec!["dayfill.example.com".to_owned()],
            trusted_proxies: ["10.0.0.0/8", "127.0.0.1/32", "fd00::/8"].map(|net| net.parse().unwrap()).to_vec(),
            ..WebSettings::default()
        }
    }

    fn of(remote: &str, headers: &[(&'static str, &str)]) -> Result<Client, Problem> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let remote = SocketAddr::new(remote.parse().unwrap(), 40_000);
        let peer = Peer { remote, local: "192.168.7.7:8080".parse().unwrap(), tls: false };
        Client::of(&peer, &Uri::from_static("/"), &map, &settings())
    }

    #[test]
    fn only_names_of_ours_are_answered_to() {
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1",
            "127.1.2.3:1",
            "[::1]:8080",
            "192.168.7.7",
            "192.168.7.7:8080",
            "dayfill.example.com",
            "Dayfill.Example.Com.:443",
        ] {
            assert!(of("203.0.113.9", &[("host", host)]).is_ok(), "{host}");
        }
        for (host, status) in [
            ("evil.example", 421),
            ("localhost.evil.example", 421),
            ("192.168.7.8", 421),
            ("127.0.0.1.nip.io", 421),
            ("example.com", 421),
            ("0x7f000001", 421),
            ("user@localhost", 400),
            ("", 400),
            ("a b", 400),
            ("localhost/x", 400),
            ("0.0.0.0:8080", 421),
        ] {
            assert_eq!(of("127.0.0.1", &[("host", host)]).unwrap_err().status, status, "{host}");
        }
        assert_eq!(of("127.0.0.1", &[]).unwrap_err().status, 400);
        assert_eq!(of("127.0.0.1", &[("host", "localhost"), ("host", "localhost")]).unwrap_err().status, 400);
        // A page that was led here by its name is at home there, and may send what headers it likes.
        let led = of("127.0.0.1", &[("host", "evil.example"), ("x-forwarded-host", "localhost")]);
        assert_eq!(led.unwrap_err().status, 421);
        let other = of("127.0.0.1", &[("host", "localhost"), ("x-forwarded-host", "evil.example")]);
        assert_eq!(other.unwrap_err().status, 421);
    }

    #[test]
    fn a_request_line_with_a_host_of_its_own_agrees_with_the_header() {
        let uri = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("localhost"));
            requested_host(&Uri::from_static(text), &headers).is_ok()
        };
        assert!(uri("/") && uri("http://localhost/x") && !uri("http://evil.example/x") && !uri("http://localhost:1/"));
    }

    #[test]
    fn the_client_is_the_nearest_address_that_is_no_proxy_of_ours() {
        let lines = |remote: &str, lines: &[&str]| {
            let mut headers = vec![("host", "localhost")];
            headers.extend(lines.iter().map(|line| ("x-forwarded-for", *line)));
            of(remote, &headers).unwrap().address.to_string()
        };
        for (remote, said, expected) in [
            ("203.0.113.9", &["1.2.3.4"][..], "203.0.113.9"),
            ("10.1.1.1", &[], "10.1.1.1"),
            ("10.1.1.1", &["1.2.3.4"], "1.2.3.4"),
            ("::ffff:10.1.1.1", &["1.2.3.4"], "1.2.3.4"),
            ("10.1.1.1", &["6.6.6.6, 1.2.3.4"], "1.2.3.4"),
            ("10.1.1.1", &["6.6.6.6, 1.2.3.4, 10.2.2.2"], "1.2.3.4"),
            ("10.1.1.1", &["6.6.6.6", "1.2.3.4,10.2.2.2"], "1.2.3.4"),
            ("10.1.1.1", &["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
            ("10.1.1.1", &["1.2.3.4:5678"], "1.2.3.4"),
            ("10.1.1.1", &["[2001:db8::1]:5678"], "2001:db8::1"),
            ("fd00::1", &["2001:db8::1"], "2001:db8::1"),
            ("10.1.1.1", &["1.2.3.4, unknown"], "10.1.1.1"),
            ("10.1.1.1", &["unknown, 1.2.3.4"], "1.2.3.4"),
            ("10.1.1.1", &[""], "10.1.1.1"),
        ] {
            assert_eq!(lines(remote, said), expected, "{remote} {said:?}");
        }
    }

    #[test]
    fn scheme_and_host_are_believed_of_proxies_of_ours_only() {
        let said =
            [("host", "localhost:8080"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "dayfill.example.com")];
        let (near, far) = (of("10.1.1.1", &said).unwrap(), of("203.0.113.9", &said).unwrap());
        assert_eq!((near.secure, near.host.name()), (true, "dayfill.example.com"));
        assert_eq!((far.secure, far.host.name()), (false, "localhost"));
    }

    #[test]
    fn local_is_who_is_here_and_did_not_come_through_somebody() {
        let is_local = |remote: &str, more: &[(&'static str, &str)]| {
            of(remote, &[&[("host", "localhost")], more].concat()).unwrap().is_local()
        };
        assert!(is_local("127.0.0.1", &[]) && is_local("::1", &[]) && is_local("::ffff:127.0.0.1", &[]));
        assert!(is_local("127.0.0.1", &[("x-forwarded-for", "127.0.0.1")]));
        assert!(!is_local("203.0.113.9", &[]) && !is_local("203.0.113.9", &[("x-forwarded-for", "127.0.0.1")]));
        assert!(!is_local("127.0.0.1", &[("x-forwarded-for", "1.2.3.4")]));
        // A proxy on this machine that nobody has named.
        for header in ["x-forwarded-for", "forwarded"] {
            assert!(!is_local("127.0.0.2", &[(header, "127.0.0.1")]), "{header}");
        }
    }
}
