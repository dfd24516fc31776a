//! The cookie of a session.

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};

/// Where and how cookies are set.
#[derive(Debug, Clone, Copy)]
pub(in crate::web) struct CookieJar<'a> {
    /// Whether the browser speaks TLS, to us or to a proxy.
    pub(in crate::web) secure: bool,
    pub(in crate::web) base_path: &'a str,
}

impl CookieJar<'_> {
    /// The cookie's name. Browsers take one with such a prefix only over TLS and only from the host itself, so that no
    /// neighbouring host can plant one; below a path that prefix is not to be had.
    fn name(self) -> &'static str {
        match (self.secure, self.base_path) {
            (true, "") => "__Host-dayfill_session",
            (true, _) => "__Secure-dayfill_session",
            (false, _) => "dayfill_session",
        }
    }

    /// The values that a browser sent; more than one when somebody planted another.
    pub(in crate::web) fn values(self, headers: &HeaderMap) -> impl Iterator<Item = &str> {
        let name = self.name();
        let lines = headers.get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(move |(key, _)| *key == name).map(|(_, value)| value)
    }

    /// The header that sets the cookie, for so many seconds or until the browser ends; 0 takes it away.
    ///
    /// `SameSite=Lax` and not `Strict`: a link in an alert should open the page and not the login, and a GET changes
    /// nothing here. A change has to come from this origin.
    pub(in crate::web) fn set(self, value: &str, seconds: Option<i64>) -> Option<HeaderValue> {
        let (name, path) = (self.name(), if self.base_path.is_empty() { "/" } else { self.base_path });
        let age = seconds.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
        let secure = if self.secure { "; Secure" } else { "" };
        HeaderValue::try_from(format!("{name}={value}; Path={path}{age}; HttpOnly; SameSite=Lax{secure}")).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_follow_from_where_the_page_is() {
        let set = |secure, base_path, seconds| CookieJar { secure, base_path }.set("v", seconds).unwrap();
        for (secure, base_path, seconds, expected) in [
            (false, "", Some(60), "dayfill_session=v; Path=/; Max-Age=60; HttpOnly; SameSite=Lax"),
            (false, "/d", None, "dayfill_session=v; Path=/d; HttpOnly; SameSite=Lax"),
            (true, "", None, "__Host-dayfill_session=v; Path=/; HttpOnly; SameSite=Lax; Secure"),
            (true, "/d", Some(0), "__Secure-dayfill_session=v; Path=/d; Max-Age=0; HttpOnly; SameSite=Lax; Secure"),
        ] {
            assert_eq!(set(secure, base_path, seconds), expected);
        }
        assert!(CookieJar { secure: false, base_path: "" }.set("a\nb", None).is_none());
    }

    #[test]
    fn values_are_found_in_all_lines_and_by_the_whole_name() {
        let mut headers = HeaderMap::new();
        for line in ["a=1; dayfill_session=one ;dayfill_session=two", "dayfill_sessions=x; dayfill_session=x=y", "odd"]
        {
            headers.append(COOKIE, HeaderValue::from_static(line));
        }
        let values = |secure| CookieJar { secure, base_path: "" }.values(&headers).collect::<Vec<_>>();
        assert_eq!(values(false), ["one", "two", "x=y"]);
        assert_eq!(values(true), [""; 0], "one without the prefix may have been planted");
    }
}
