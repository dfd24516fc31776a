//! What the page is told, in plain values: the shell reads it from files.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;

/// Where the page listens, by which names it is known, and who may come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSettings {
    /// Where it listens; nowhere, and there is no page, if `None`.
    pub listen: Option<SocketAddr>,
    /// The path under which it is reached: empty, or with a `/` in front and none behind.
    pub base_path: String,
    /// Names of hosts, in lower case, under which it is reached beside `localhost` and its addresses.
    pub hosts: Vec<String>,
    /// Proxies whose word about client, scheme and host counts.
    pub trusted_proxies: Vec<IpNet>,
    /// The users file. Without one, whoever is on this machine may do everything, and nobody else anything.
    pub auth: Option<PathBuf>,
    /// The files for TLS; without them it speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Where health and metrics are told, if not where the page is.
    pub metrics: Option<SocketAddr>,
}

/// The files of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those between it and its authority, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
}

impl Default for WebSettings {
    fn default() -> Self {
        Self {
            listen: Some((Ipv4Addr::LOCALHOST, 8080).into()),
            base_path: String::new(),
            hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            auth: None,
            tls: None,
            metrics: None,
        }
    }
}

/// True for an address that only this machine reaches.
#[must_use]
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses() {
        for address in ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"] {
            assert!(is_loopback(address.parse().unwrap()), "{address}");
        }
        for address in ["0.0.0.0", "::", "192.168.0.1", "::2", "::ffff:10.0.0.1", "fe80::1"] {
            assert!(!is_loopback(address.parse().unwrap()), "{address}");
        }
    }
}
