//! The URL of a dataset's files: its scheme, and plain paths made absolute.

use std::path::Path;

use super::nearest::did_you_mean;
use crate::url_template::UrlTemplate;

const SCHEMES: [&str; 6] = ["s3", "gs", "az", "http", "https", "file"];

/// The scheme, or none for a plain path.
pub(super) fn scheme(url: &str) -> Option<&str> {
    url.split_once("://").map(|(scheme, _)| scheme)
}

/// The template of a URL or path. A plain relative path lies in `folder`, which is absolute.
pub(super) fn template(url: &str, folder: &Path) -> Result<UrlTemplate, String> {
    let template = UrlTemplate::parse(url)?;
    match url.split_once("://") {
        None if url.starts_with('/') => Ok(template),
        None => Ok(template.within(folder.to_str().ok_or("is relative to a folder whose name is not UTF-8")?)),
        Some((scheme, _)) if !SCHEMES.contains(&scheme) => {
            let all = SCHEMES.join(", ");
            Err(format!("has the scheme {scheme:?}, which is not one of {all}{}", did_you_mean(scheme, SCHEMES)))
        }
        Some(("file", path)) if !path.starts_with('/') => {
            Err("is not absolute: write file:///folder/..., or a plain path".to_owned())
        }
        Some((_, rest)) if rest.starts_with('/') && scheme(url) != Some("file") => {
            Err("names no bucket or host".to_owned())
        }
        Some(_) => Ok(template),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_paths() {
        for (url, found) in [
            ("s3://bucket/{day}.csv", Ok("s3://bucket/{day}.csv")),
            ("file:///data/{day}.csv", Ok("file:///data/{day}.csv")),
            ("/data/{day}.csv", Ok("/data/{day}.csv")),
            ("{day}.csv", Ok("/etc/dayfill/{day}.csv")),
            ("../{day}.csv", Ok("/etc/dayfill/../{day}.csv")),
            ("file://data/{day}.csv", Err("is not absolute: write file:///folder/..., or a plain path")),
            ("s3:///{day}.csv", Err("names no bucket or host")),
            (
                "s3a://b/{day}.csv",
                Err("has the scheme \"s3a\", which is not one of s3, gs, az, http, https, file; did you mean \"s3\"?"),
            ),
            ("s3://b/day.csv", Err("has no {day}: every day would be the same file")),
        ] {
            let read = template(url, Path::new("/etc/dayfill")).map(|template| template.to_string());
            assert_eq!(read.as_deref().map_err(String::as_str), found, "{url}");
        }
    }
}
