//! What a web server is to be told by whoever asks: user, password and headers, from the URL or from files of their own.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::dataset::SourceSpec;

/// Why a request cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestHeadersError {
    /// The file was there when the configuration was read.
    #[error("{} cannot be read: {error}", .file.display())]
    Unreadable { file: PathBuf, error: std::io::Error },
    /// The file's content is not what it should be; it is not shown.
    #[error("{} {why}", .file.display())]
    Wrong { file: PathBuf, why: String },
}

/// The headers of a request, and its URL without user and password. The files are read each time, so that a token that
/// was renewed counts at once.
pub(super) fn headers(url: &mut Url, spec: &SourceSpec) -> Result<HeaderMap, RequestHeadersError> {
    let mut headers = HeaderMap::new();
    // What is not said leaves the server free to encode the file as it likes.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some(header) = of_url(url) {
        headers.insert(AUTHORIZATION, header);
    }
    if let Some(file) = &spec.user_file {
        let wrong = |why| RequestHeadersError::Wrong { file: file.clone(), why };
        headers.insert(AUTHORIZATION, user(&read(file)?).map_err(wrong)?);
    }
    if let Some(file) = &spec.headers_file {
        let wrong = |why| RequestHeadersError::Wrong { file: file.clone(), why };
        for (name, value) in lines(&read(file)?).map_err(wrong)? {
            headers.insert(name, value);
        }
    }
    Ok(headers)
}

fn read(file: &Path) -> Result<String, RequestHeadersError> {
    fs::read_to_string(file).map_err(|error| RequestHeadersError::Unreadable { file: file.to_owned(), error })
}

/// The header of `user:password`, the content of `source.user_file`.
pub(super) fn user(text: &str) -> Result<HeaderValue, String> {
    let text = text.trim_end_matches(['\r', '\n']);
    if !text.contains(':') || text.contains(['\r', '\n']) {
        return Err("is not one line of user:password".to_owned());
    }
    basic(text.as_bytes()).ok_or_else(|| "is not one line of user:password".to_owned())
}

/// The headers of `source.headers_file`, one `Name: value` a line.
pub(super) fn lines(text: &str) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let mut headers = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let header = line.split_once(':').and_then(|(name, value)| {
            let mut value = HeaderValue::from_str(value.trim()).ok()?;
            value.set_sensitive(true);
            Some((name.trim().parse::<HeaderName>().ok()?, value))
        });
        let header = header.ok_or_else(|| format!("has no \"Name: value\" in line {}", number + 1))?;
        if OURS.contains(&header.0.as_str()) {
            return Err(format!("sets {} in line {}, which dayfill sets itself", header.0, number + 1));
        }
        headers.push(header);
    }
    if headers.is_empty() { Err("has no header".to_owned()) } else { Ok(headers) }
}

/// The headers by which parts of a file are asked for, and those that belong to the connection.
const OURS: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "range",
    "transfer-encoding",
];

/// Takes user and password out of a URL and makes the header of them.
fn of_url(url: &mut Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut plain: Vec<u8> = percent_decode_str(url.username()).collect();
    plain.push(b':');
    plain.extend(percent_decode_str(url.password().unwrap_or_default()));
    // Both are possible for every URL that has a host, as those of the web do.
    url.set_username("").and_then(|()| url.set_password(None)).ok()?;
    basic(&plain)
}

fn basic(plain: &[u8]) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(plain))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_user_is_one_line() {
        assert_eq!(user("me:p@:ss\n").unwrap(), "Basic bWU6cEA6c3M=");
        for wrong in ["", "me", "me:pass\nother:pass\n", "Bearer token"] {
            assert_eq!(user(wrong).unwrap_err(), "is not one line of user:password");
        }
    }

    #[test]
    fn a_file_of_headers_has_one_a_line() {
        let headers = lines("Authorization: Bearer a:b c\r\n\nX-Api-Key:  k \n").unwrap();
        let shown: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(shown, [("authorization", "Bearer a:b c"), ("x-api-key", "k")]);
        assert!(!format!("{headers:?}").contains("Bearer"));
        for (wrong, why) in [
            ("\n", "has no header"),
            ("hush", "has no \"Name: value\" in line 1"),
            ("A: b\nX Y: hush", "has no \"Name: value\" in line 2"),
            ("X: hu\u{1}sh", "has no \"Name: value\" in line 1"),
            ("Range: bytes=0-1", "sets range in line 1, which dayfill sets itself"),
        ] {
            assert_eq!(lines(wrong).unwrap_err(), why);
        }
    }
}
