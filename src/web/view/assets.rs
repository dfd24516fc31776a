//! The files that the pages refer to. Their paths hold a hash of their content, so that they may be cached for ever.

use std::io::Read as _;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::bufread::GzEncoder;
use sha2::{Digest, Sha256};

use crate::wording::hex;

/// A file that the pages refer to.
#[derive(Debug)]
pub struct Asset {
    /// Its path below the base path: `/assets/style.0123456789ab.css`.
    pub path: String,
    /// Its content type.
    pub content_type: &'static str,
    /// Its content.
    pub bytes: &'static [u8],
    /// The same, compressed.
    pub gzip: Vec<u8>,
}

static ASSETS: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    [
        asset("style", "css", "text/css; charset=utf-8", include_str!("assets/style.css")),
        asset("app", "js", "text/javascript; charset=utf-8", include_str!("assets/app.js")),
        asset("icon", "svg", "image/svg+xml", include_str!("assets/icon.svg")),
    ]
});

/// All assets: the router serves each under its path.
#[must_use]
pub fn assets() -> &'static [Asset] {
    &*ASSETS
}

pub(super) fn style() -> &'static str {
    &ASSETS[0].path
}

pub(super) fn script() -> &'static str {
    &ASSETS[1].path
}

pub(super) fn icon() -> &'static str {
    &ASSETS[2].path
}

fn asset(name: &str, ending: &str, content_type: &'static str, content: &'static str) -> Asset {
    let hash = hex(&Sha256::digest(content)[..6]);
    Asset {
        path: format!("/assets/{name}.{hash}.{ending}"),
        content_type,
        bytes: content.as_bytes(),
        gzip: gzip(content),
    }
}

fn gzip(content: &str) -> Vec<u8> {
    let mut gzip = Vec::new();
    // Reading from memory does not fail.
    let _ = GzEncoder::new(content.as_bytes(), Compression::best()).read_to_end(&mut gzip);
    gzip
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_content_has_another_path() {
        let path = |content| asset("style", "css", "text/css", content).path;
        assert_eq!(path("a{}"), path("a{}"));
        assert_ne!(path("a{}"), path("b{}"));
        assert!(
            path("a{}").starts_with("/assets/style.") && path("a{}").len() == "/assets/style.0123456789ab.css".len()
        );
    }

    #[test]
    fn the_compressed_content_is_the_content() {
        for asset in assets() {
            let mut read = Vec::new();
            flate2::read::GzDecoder::new(asset.gzip.as_slice()).read_to_end(&mut read).unwrap();
            assert_eq!(read, asset.bytes, "{}", asset.path);
        }
    }

    #[test]
    fn the_script_is_small() {
        let script = assets().iter().find(|asset| asset.path == script()).unwrap();
        assert!(script.gzip.len() < 4_500, "{} bytes", script.gzip.len());
    }
}
