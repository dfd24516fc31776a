//! The URL of a dataset's files: its scheme, and plain paths made absolute.

use std::path::Path;

use super::problem::did_you_mean;
use crate::url_template::UrlTemplate;

const SCHEMES: [&str; 6] = ["s3", "gs", "az", "http", "https", "file"];

/// The scheme, or none for a plain path.
pub(super) fn scheme(url: &str) -> Option<&str> {
    url.split_once("://").map(|(scheme, _)| scheme)
}

/// True where the URL says who to log in as.
pub(super) fn has_user(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else { return false };
    rest.split(['/', '?', '#']).next().is_some_and(|host| host.contains('@'))
}

/// The template of a URL or path. A plain relative path lies in `folder`, which is absolute.
pub(super) fn template(url: &str, folder: &Path) -> Result<UrlTemplate, String> {
    let template = UrlTemplate::parse(url)?;
    if let Some(sign) = pattern(url) {
        return Err(format!(
            "has a {sign:?}, and patterns are not understood: name one file per day. A file whose name has a {sign:?} in \
             it can be written as a URL of file:// or http://, with {} for it",
            format_args!("%{:02X}", u32::from(sign))
        ));
    }
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

/// The sign of a pattern such as `orders_{day}_*.csv`: nothing would ever be found under it. What stands in a query or
/// around an IPv6 address is none.
fn pattern(url: &str) -> Option<char> {
    let is_web = matches!(scheme(url), Some("http" | "https"));
    let Some((_, rest)) = url.split_once("://").filter(|_| is_web) else {
        return url.chars().find(|c| "*?[".contains(*c));
    };
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    // `part-?.csv`: a query begins with a name.
    let names_nothing = query.starts_with(['.', '-', '_', '?', '*']);
    path.chars().find(|c| "*[".contains(*c)).or_else(|| names_nothing.then_some('?'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_stands_before_the_host() {
        for (url, has) in [
            ("https://me:pass@h/{day}.csv", true),
            ("https://me@h?day={day}", true),
            ("https://h/a@b/{day}.csv", false),
            ("https://h/{day}.csv?to=a@b", false),
            ("https://h?to=a@b&day={day}", false),
            ("days/a@b/{day}.csv", false),
        ] {
            assert_eq!(has_user(url), has, "{url}");
        }
    }

    #[test]
    fn patterns_are_refused() {
        for (url, sign) in [
            ("s3://b/orders_{day:%Y%m%d}_*.csv", Some('*')),
            ("gs://b/part-?/{day}.csv", Some('?')),
            ("az://c/[ab]/{day}.csv", Some('[')),
            ("{day}/part-?.csv", Some('?')),
            ("/data/{day}/[ab].csv", Some('[')),
            ("file:///data/{day}*.csv", Some('*')),
            ("https://h/{day}/*.csv?x=1", Some('*')),
            ("https://h/{day}/part-?.csv", Some('?')),
            ("https://h/{day}/part-??.csv", Some('?')),
            ("https://h/{day}/[ab].csv", Some('[')),
            ("http://[::1]:80/{day}.csv", None),
            ("https://h/x.csv?day={day}&columns=*&a[]=1", None),
            ("https://h/x.csv?{day}", None),
            ("https://h?day={day}", None),
            ("file:///data/%5Ba%5D/{day}.csv", None),
            ("s3://b/100%/{day}#].csv", None),
        ] {
            assert_eq!(pattern(url), sign, "{url}");
            assert_eq!(template(url, Path::new("/etc")).is_err(), sign.is_some(), "{url}");
        }
        let error = template("s3://b/{day}_*.csv", Path::new("/etc")).unwrap_err();
        assert!(error.starts_with("has a '*', and patterns are not understood") && error.contains("%2A"), "{error}");
    }

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
