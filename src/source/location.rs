//! A URL or path of one day's file, understood.

use std::path::{Path, PathBuf};

use url::Url;

use super::SourceError;

/// Where a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Location {
    /// A local file, and its name as configured.
    File(PathBuf, String),
    /// An object in a bucket or container.
    Object {
        /// Whose bucket.
        cloud: Cloud,
        /// The bucket or container.
        bucket: String,
        /// The key, letter for letter: a `%`, `?` or `#` in it is itself.
        key: String,
    },
    /// A resource of a web server, with its query and perhaps a user.
    Web(Url),
}

/// Whose bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cloud {
    /// `s3://`
    S3,
    /// `gs://`
    Google,
    /// `az://`
    Azure,
}

impl Cloud {
    fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Google => "gs",
            Self::Azure => "az",
        }
    }
}

impl Location {
    /// Understands a URL or a path.
    pub(super) fn parse(text: &str) -> Result<Self, SourceError> {
        let bad = |why: &str| SourceError::BadUrl { url: text.to_owned(), why: why.to_owned() };
        let Some((scheme, rest)) = text.split_once("://") else {
            let path = Path::new(text);
            return if path.is_absolute() {
                Ok(Self::File(path.to_owned(), text.to_owned()))
            } else {
                Err(bad("is neither an absolute path nor a URL"))
            };
        };
        let cloud = match scheme {
            "s3" => Cloud::S3,
            "gs" => Cloud::Google,
            "az" => Cloud::Azure,
            "file" => {
                let path = Url::parse(text).ok().and_then(|url| url.to_file_path().ok());
                return Ok(Self::File(
                    path.ok_or_else(|| bad("is not a local file: write file:///folder/file"))?,
                    text.to_owned(),
                ));
            }
            "http" | "https" => {
                // A URL that cannot be read may hold a password anywhere, so nothing after the scheme is shown.
                return Url::parse(text).map(Self::Web).map_err(|error| SourceError::BadUrl {
                    url: format!("{scheme}://..."),
                    why: format!("is not a URL: {error}"),
                });
            }
            // An unknown scheme may be anything, such as a database with its password.
            _ => {
                return Err(SourceError::BadUrl {
                    url: format!("{scheme}://..."),
                    why: "is none of s3://, gs://, az://, http://, https://, file:// or an absolute path".to_owned(),
                });
            }
        };
        match rest.split_once('/') {
            Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => {
                Ok(Self::Object { cloud, bucket: bucket.to_owned(), key: key.to_owned() })
            }
            _ => Err(bad("names no bucket and file: write it like s3://bucket/{day}.csv")),
        }
    }

    /// The location fit to be shown: user, password and the values of a query are masked.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::File(_, text) => text.clone(),
            Self::Object { cloud, bucket, key } => format!("{}://{bucket}/{key}", cloud.scheme()),
            Self::Web(url) => {
                let mut shown = url[..url::Position::BeforeUsername].to_owned();
                if url.username() != "" || url.password().is_some() {
                    shown.push_str("***@");
                }
                shown.push_str(&url[url::Position::BeforeHost..url::Position::AfterPath]);
                for (i, pair) in url.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).enumerate()
                {
                    shown.push(if i == 0 { '?' } else { '&' });
                    shown.push_str(
                        &pair.split_once('=').map_or_else(|| "***".to_owned(), |(name, _)| format!("{name}=***")),
                    );
                }
                shown
            }
        }
    }

    /// The bucket, container or host.
    pub(super) fn bucket(&self) -> &str {
        match self {
            Self::File(..) => "",
            Self::Object { bucket, .. } => bucket,
            Self::Web(url) => url.host_str().unwrap_or_default(),
        }
    }
}

/// A template of such URLs fit to be shown.
pub(super) fn template_shown(template: &str) -> String {
    match Location::parse(template) {
        // Reading it as a URL wrote its gaps in another way.
        Ok(location @ Location::Web(_)) => location.shown().replace("%7B", "{").replace("%7D", "}"),
        Ok(location) => location.shown(),
        // What cannot be read may hold a password anywhere.
        Err(_) => format!("{}://...", template.split("://").next().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_shown_with_their_gaps_and_without_secrets() {
        for (template, shown) in [
            ("/data/{day}.csv", "/data/{day}.csv"),
            ("s3://b/{day:%Y/%m/%d}.csv", "s3://b/{day:%Y/%m/%d}.csv"),
            ("https://me:pw@h/{day:%Y}/x.csv?day={day}&sig=abc", "https://***@h/{day:%Y}/x.csv?day=***&sig=***"),
            ("https://me:pw@[broken/{day}", "https://..."),
        ] {
            assert_eq!(template_shown(template), shown);
        }
    }

    #[test]
    fn keys_and_paths_are_taken_letter_for_letter() {
        for (text, bucket, key) in [
            ("s3://b/2019-04-01.csv", "b", "2019-04-01.csv"),
            ("s3://b/a b%20+ü#?.csv", "b", "a b%20+ü#?.csv"),
            ("gs://my.bucket/x/y", "my.bucket", "x/y"),
            ("az://container/x", "container", "x"),
        ] {
            let Location::Object { bucket: b, key: k, .. } = Location::parse(text).unwrap() else { panic!("{text}") };
            assert_eq!((b.as_str(), k.as_str()), (bucket, key));
            assert_eq!(Location::parse(text).unwrap().shown(), text);
        }
        for (text, path) in [("/a b%20.csv", "/a b%20.csv"), ("file:///a%20b/ü", "/a b/ü"), ("file:///a b", "/a b")] {
            assert_eq!(Location::parse(text).unwrap(), Location::File(path.into(), text.to_owned()));
        }
    }

    #[test]
    fn what_is_no_location_is_refused() {
        for text in ["x.csv", "", "s3://b", "s3://b/", "s3:///k", "ftp://h/x", "file://data/x", "http://", "c:\\x"] {
            assert!(Location::parse(text).is_err(), "{text}");
        }
        let error = Location::parse("https://me:hunter2@[broken/x").unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn secrets_of_a_web_address_are_masked() {
        for (text, shown) in [
            ("http://h/x.csv", "http://h/x.csv"),
            ("https://me:pw@h:8443/x.csv?day=1&sig=abc&raw#f", "https://***@h:8443/x.csv?day=***&sig=***&***"),
        ] {
            assert_eq!(Location::parse(text).unwrap().shown(), shown);
        }
    }
}
