//! The name of a host, as requests write it.

use std::net::IpAddr;

use axum::http::uri::Authority;

/// A host with or without a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    written: String,
    name: String,
}

impl Host {
    /// Reads `name`, `name:port`, `1.2.3.4:port` or `[::1]:port`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        // It may hold a user, which a header Host has not.
        let authority: Authority = text.parse().ok().filter(|_| !text.contains('@'))?;
        let name = authority.host();
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        let name = match bare.parse::<IpAddr>() {
            Ok(address) => address.to_canonical().to_string(),
            Err(_) => name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase(),
        };
        (!name.is_empty()).then(|| Self { written: text.to_owned(), name })
    }

    /// The name alone, in lower case; an address in its shortest form and without brackets.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// With its port, as it was written.
    pub(super) fn written(&self) -> &str {
        &self.written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses() {
        for (text, name) in [
            ("localhost", Some("localhost")),
            ("Example.COM:8080", Some("example.com")),
            ("example.com.", Some("example.com")),
            ("127.0.0.1:80", Some("127.0.0.1")),
            ("[::1]", Some("::1")),
            ("[0:0:0:0:0:0:0:1]:80", Some("::1")),
            ("[::ffff:127.0.0.1]:80", Some("127.0.0.1")),
            ("", None),
            (".", None),
            (":80", None),
            ("user@localhost", None),
            ("local host", None),
            ("localhost/path", None),
            ("localhost?x", None),
        ] {
            assert_eq!(Host::parse(text).as_ref().map(Host::name), name, "{text}");
        }
        assert_eq!(Host::parse("A:1").unwrap().written(), "A:1");
    }
}
