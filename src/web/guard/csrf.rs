//! CSRF tokens: what shows that a form was made here, for whoever sends it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use url::form_urlencoded;
use uuid::Uuid;

use crate::web::auth::{Auth, Cookie, How, Jar, Who};

/// The header that holds a token, for scripts.
const HEADER: HeaderName = HeaderName::from_static("x-csrf-token");
/// The field of a form that holds one.
const FIELD: &str = "csrf";

/// The CSRF token of whoever asks; among the extensions of every request that is let through. A page puts
/// [`token`](Self::token) into its forms, as the field `csrf`, and where its scripts find it for the header
/// `X-CSRF-Token`.
#[derive(Clone)]
pub struct Csrf {
    /// What it is bound to: a session, or a browser without one.
    id: String,
    token: String,
    /// The browser does not know the id yet.
    is_new: bool,
    taken: Arc<AtomicBool>,
}

impl Csrf {
    /// The token of a session, or of the browser. A browser that is not known yet gets an id.
    pub(super) fn of(who: Option<&Who>, auth: &Auth, jar: Jar, headers: &HeaderMap) -> Self {
        let (id, is_new) = match who.map(|who| &who.how) {
            Some(How::Session(id)) => (id.clone(), false),
            _ => match jar.values(Cookie::Visit, headers).find_map(|value| Uuid::try_parse(value).ok()) {
                Some(known) => (known.simple().to_string(), false),
                None => (Uuid::new_v4().simple().to_string(), true),
            },
        };
        Self { token: auth.csrf(&id), id, is_new, taken: Arc::default() }
    }

    /// The token. Asking for it has the browser get the cookie that it is bound to, if it has none.
    #[must_use]
    pub fn token(&self) -> &str {
        self.taken.store(true, Ordering::Relaxed);
        &self.token
    }

    /// The cookie that goes with a token which a page took.
    pub(super) fn cookie(&self, jar: Jar) -> Option<HeaderValue> {
        let wanted = self.is_new && self.taken.load(Ordering::Relaxed);
        wanted.then(|| jar.set(Cookie::Visit, &self.id, None)).flatten()
    }

    /// True when header or form hold the token.
    pub(super) fn is_in(&self, auth: &Auth, headers: &HeaderMap, body: &[u8]) -> bool {
        let is_right = |token: &str| !self.is_new && auth.is_csrf(&self.id, token);
        if let Some(token) = headers.get(HEADER) {
            return token.to_str().is_ok_and(is_right);
        }
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let is_form = kind.split(';').next().is_some_and(|kind| kind.trim() == "application/x-www-form-urlencoded");
        let field = || form_urlencoded::parse(body).find(|(name, _)| name == FIELD).map(|(_, value)| value);
        is_form && field().is_some_and(|token| is_right(&token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::auth::Role;

    const JAR: Jar = Jar { secure: false, base_path: "" };

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn session(id: &str) -> Who {
        Who { name: "ada".to_owned(), role: Role::Operator, how: How::Session(id.to_owned()) }
    }

    #[test]
    fn a_token_is_good_for_its_own_session_or_browser_only() {
        let (auth, none) = (Auth::open(None).unwrap(), HeaderMap::new());
        let known = headers(&[("cookie", "dayfill_visit=67e5504410b1426f9247bb680e5fe0c8")]);
        let other = headers(&[("cookie", "dayfill_visit=00000000000000000000000000000001")]);
        let all = [
            Csrf::of(Some(&session("one")), &auth, JAR, &none),
            Csrf::of(Some(&session("two")), &auth, JAR, &known),
            Csrf::of(None, &auth, JAR, &known),
            Csrf::of(None, &auth, JAR, &other),
        ];
        for (number, csrf) in all.iter().enumerate() {
            assert!(csrf.cookie(JAR).is_none(), "the browser knows it");
            for (of, given) in all.iter().enumerate() {
                let header = headers(&[("x-csrf-token", given.token())]);
                assert_eq!(csrf.is_in(&auth, &header, b""), number == of, "{of} for {number}");
            }
        }
    }

    #[test]
    fn a_browser_gets_its_cookie_with_the_first_token_it_takes() {
        let (auth, none) = (Auth::open(None).unwrap(), HeaderMap::new());
        let csrf = Csrf::of(None, &auth, JAR, &none);
        assert!(csrf.cookie(JAR).is_none(), "nobody took it");
        let header = headers(&[("x-csrf-token", csrf.token())]);
        assert!(!csrf.is_in(&auth, &header, b""), "without its cookie it is bound to nothing");
        let cookie = csrf.cookie(JAR).unwrap();
        let (cookie, attributes) = cookie.to_str().unwrap().split_once("; ").unwrap();
        assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax");
        let back = headers(&[("cookie", cookie)]);
        assert!(Csrf::of(None, &auth, JAR, &back).is_in(&auth, &header, b""));
        let odd = Csrf::of(None, &auth, JAR, &headers(&[("cookie", "dayfill_visit=x; dayfill_visit=")]));
        assert!(odd.is_new);
    }

    #[test]
    fn the_token_is_a_field_of_the_form_or_a_header() {
        let auth = Auth::open(None).unwrap();
        let csrf = Csrf::of(Some(&session("one")), &auth, JAR, &HeaderMap::new());
        let token = csrf.token().to_owned();
        let (form, json) = ("application/x-www-form-urlencoded", "application/json");
        for (kind, header, body, expected) in [
            (form, None, format!("a=1&csrf={token}"), true),
            ("application/x-www-form-urlencoded; charset=UTF-8", None, format!("csrf={token}"), true),
            (json, Some(token.as_str()), "{}".to_owned(), true),
            (form, None, "a=1".to_owned(), false),
            (form, None, "csrf=".to_owned(), false),
            (form, None, format!("csrf=x&csrf={token}"), false),
            (form, Some("x"), format!("csrf={token}"), false),
            ("text/plain", None, format!("csrf={token}"), false),
            (json, None, format!("csrf={token}"), false),
        ] {
            let mut map = headers(&[("content-type", kind)]);
            header.map(|token| map.insert(HEADER, HeaderValue::from_str(token).unwrap()));
            assert_eq!(csrf.is_in(&auth, &map, body.as_bytes()), expected, "{kind} {header:?} {body}");
        }
    }
}
