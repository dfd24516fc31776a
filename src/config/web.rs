//! The sections `web` and `metrics`: where the page listens, and who may come in.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use config::{Value, ValueKind};
use ipnet::IpNet;

use super::report::from_environment;
use super::section::{TomlSection, some_text, text, texts};
use crate::web::{TlsFiles, WebSettings, is_loopback};

/// How a key says that there is no such thing.
const NONE: &str = "none";

/// Reads both sections. Relative paths lie in `folder`.
pub(super) fn read(main: &mut TomlSection, folder: &Path) -> WebSettings {
    let default = WebSettings::default();
    let mut web = main.section("web");
    let mut metrics = main.section("metrics");
    let listen = web.read_or("listen", default.listen, address);
    let auth = web.read_or("auth", None, path(folder));
    let tls = tls(&mut web, folder);
    let settings = WebSettings {
        listen: listen.unwrap_or(default.listen),
        base_path: web.read("base_path", base_path).unwrap_or(default.base_path),
        hosts: web.read("hosts", list(host)).unwrap_or(default.hosts),
        trusted_proxies: web.read("trusted_proxies", list(network)).unwrap_or(default.trusted_proxies),
        auth: auth.clone().flatten(),
        tls,
        metrics: metrics.read_or("listen", None, address).flatten(),
    };
    // A wrong `auth` is one problem, not two.
    let open = settings.listen.filter(|listen| auth == Some(None) && !is_loopback(listen.ip()));
    if open.is_some() {
        web.wrong(
            "listen",
            "is not a loopback address, which needs web.auth: without users only this machine may open the web UI",
        );
    }
    if settings.metrics.is_some()
        && settings.metrics == settings.listen
        && settings.listen.is_some_and(|at| at.port() > 0)
    {
        metrics.wrong("listen", "is the same address as web.listen; omit it to serve metrics there");
    }
    web.finish();
    metrics.finish();
    settings
}

/// Certificate and key, both or none.
fn tls(web: &mut TomlSection, folder: &Path) -> Option<TlsFiles> {
    let certificate = web.read_or("tls_certificate", None, path(folder));
    let key = web.read_or("tls_key", None, path(folder));
    match (certificate?, key?) {
        (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
        (None, None) => None,
        (Some(_), None) => {
            web.wrong("tls_certificate", "is without tls_key: name both or none");
            None
        }
        (None, Some(_)) => {
            web.wrong("tls_key", "is without tls_certificate: name both or none");
            None
        }
    }
}

/// An address with a port, or none.
fn address(value: &Value) -> Result<Option<SocketAddr>, String> {
    match text(value)? {
        none if none == NONE => Ok(None),
        text => text.parse().map(Some).map_err(|_| {
            "is not an address with a port such as \"127.0.0.1:8080\" or \"[::1]:8080\", nor \"none\"".to_owned()
        }),
    }
}

/// A file, or none.
fn path(folder: &Path) -> impl FnOnce(&Value) -> Result<Option<PathBuf>, String> {
    let folder = folder.to_owned();
    move |value| some_text(value).map(|name| (name != NONE).then(|| folder.join(name)))
}

fn base_path(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    if text.is_empty() {
        return Ok(text);
    }
    let Some(rest) = text.strip_prefix('/') else {
        return Err("does not begin with a slash: write \"/dayfill\", or \"\" for none".to_owned());
    };
    if rest.ends_with('/') || rest.is_empty() {
        return Err("ends with a slash: write \"/dayfill\", or \"\" for none".to_owned());
    }
    let plain = |part: &str| {
        let letters = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
        letters && !matches!(part, "" | "." | "..")
    };
    if rest.split('/').all(plain) {
        Ok(text)
    } else {
        Err("is not a plain path (letters, digits, -, ., _ and ~ between single slashes)".to_owned())
    }
}

/// A list of texts that a reader takes one by one; in a variable of the environment they stand with commas between.
fn list<T>(read: fn(&str) -> Result<T, String>) -> impl FnOnce(&Value) -> Result<Vec<T>, String> {
    move |value| {
        let all = match &value.kind {
            ValueKind::String(text) if from_environment(value) => {
                text.split(',').map(|part| part.trim().to_owned()).collect()
            }
            _ => texts(value)?,
        };
        all.iter().map(|text| read(text).map_err(|message| format!("holds {text:?}, which {message}"))).collect()
    }
}

/// The name of a host, in lower case; an address may stand for one.
fn host(text: &str) -> Result<String, String> {
    let name = text.trim_end_matches('.').to_ascii_lowercase();
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    let label = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if name.split('.').all(label) {
        Ok(name)
    } else {
        Err("is not the name of a host such as \"dayfill.example.com\" (without scheme, port and path)".to_owned())
    }
}

/// An address, or a range of them.
fn network(text: &str) -> Result<IpNet, String> {
    let one = text.parse::<IpAddr>().map(IpNet::from);
    one.or_else(|_| text.parse::<IpNet>().map(|net| net.trunc()))
        .map_err(|_| "is not an address such as \"10.0.0.1\", nor a range such as \"10.0.0.0/8\"".to_owned())
}
