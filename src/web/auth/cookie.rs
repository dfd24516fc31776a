//! Cookies: two of them, one for a session, one for a browser that has none.

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};

/// Which cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::web) enum Cookie {
    /// Holds a session.
    Session,
    /// Holds a random id, for CSRF tokens outside of sessions.
    Visit,
}

/// Where and how cookies are set.
#[derive(Debug, Clone, Copy)]
pub(in crate::web) struct Jar<'a> {
    /// Whether the browser speaks TLS, to us or to a proxy.
    pub(in crate::web) secure: bool,
    pub(in crate::web) base_path: &'a str,
}

impl Jar<'_> {
    /// The cookie's name. Browsers take one with such a prefix only over TLS and only from the host itself, so that no
    /// neighbouring host can plant one; below a path that prefix is not to be had.
    fn name(self, cookie: Cookie) -> &'static str {
        match (cookie, self.secure, self.base_path) {
            (Cookie::Session, true, "") => "__Host-dayfill_session",
            (Cookie::Session, true, _) => "__Secure-dayfill_session",
            (Cookie::Session, false, _) => "dayfill_session",
            (Cookie::Visit, true, "") => "__Host-dayfill_visit",
            (Cookie::Visit, true, _) => "__Secure-dayfill_visit",
            (Cookie::Visit, false, _) => "dayfill_visit",
        }
    }

    /// The values that a browser sent; more than one when somebody planted another.
    pub(in crate::web) fn values(self, cookie: Cookie, headers: &HeaderMap) -> impl Iterator<Item = &str> {
        let name = self.name(cookie);
        let lines = headers.get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(move |(key, _)| *key == name).map(|(_, value)| value)
    }

    /// The header that sets the cookie, for so many seconds or until the browser ends; 0 takes it away.
    ///
    /// `SameSite=Lax` and not `Strict`: a link in an alert should open the page and not the login, and a GET changes
    /// nothing here. What changes something is held against its origin and a token of its own.
    pub(in crate::web) fn set(self, cookie: Cookie, value: &str, seconds: Option<i64>) -> Option<HeaderValue> {
        let (name, path) = (self.name(cookie), if self.base_path.is_empty() { "/" } else { self.base_path });
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
        let set = |secure, base_path, cookie, seconds| Jar { secure, base_path }.set(cookie, "v", seconds).unwrap();
        for (secure, base_path, cookie, seconds, expected) in [
            (false, "", Cookie::Session, Some(60), "dayfill_session=v; Path=/; Max-Age=60; HttpOnly; SameSite=Lax"),
            (false, "/d", Cookie::Visit, None, "dayfill_visit=v; Path=/d; HttpOnly; SameSite=Lax"),
            (true, "", Cookie::Visit, None, "__Host-dayfill_visit=v; Path=/; HttpOnly; SameSite=Lax; Secure"),
            (
                true,
                "/d",
                Cookie::Session,
                Some(0),
                "__Secure-dayfill_session=v; Path=/d; Max-Age=0; HttpOnly; SameSite=Lax; Secure",
            ),
        ] {
            assert_eq!(set(secure, base_path, cookie, seconds), expected);
        }
        assert!(Jar { secure: false, base_path: "" }.set(Cookie::Visit, "a\nb", None).is_none());
    }

    #[test]
    fn values_are_found_in_all_lines_and_by_the_whole_name() {
        let mut headers = HeaderMap::new();
        for line in ["a=1; dayfill_session=one ;dayfill_session=two", "dayfill_sessions=x; dayfill_session=x=y", "odd"]
        {
            headers.append(COOKIE, HeaderValue::from_static(line));
        }
        let values = |secure| Jar { secure, base_path: "" }.values(Cookie::Session, &headers).collect::<Vec<_>>();
        assert_eq!(values(false), ["one", "two", "x=y"]);
        assert_eq!(values(true), [""; 0], "one without the prefix may have been planted");
    }
}
