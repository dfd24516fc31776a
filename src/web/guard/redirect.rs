//! Where a response sends a browser: to the login and back.

use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Among an answer's extensions: where the login was to lead.
#[derive(Debug, Clone)]
pub(super) struct ReturnPath(pub(super) String);

pub(super) fn login_page(base: &str, next: &str) -> String {
    format!("{base}/login?next={}", utf8_percent_encode(next, NON_ALPHANUMERIC))
}

/// 303: look there, with a GET.
pub(in crate::web) fn see_other(place: &str) -> Response {
    let place = HeaderValue::try_from(place).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(LOCATION, place)]).into_response()
}

/// A path of ours, or the page's own: what a form or a link names may lead to another site.
pub(super) fn safe_return_path(next: &str, base_path: &str) -> String {
    // Two slashes begin the name of a host, and to browsers a backslash is one; blanks and the like they leave out.
    let plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let below = next.strip_prefix(base_path).is_some_and(|rest| rest.starts_with(['/', '?']) || rest.is_empty());
    if plain && below && next.starts_with('/') && !next.starts_with("//") {
        next.to_owned()
    } else if base_path.is_empty() {
        "/".to_owned()
    } else {
        base_path.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_paths_of_ours_only() {
        for (next, base, expected) in [
            ("/", "", "/"),
            ("/days?dataset=orders&from=2024-03-01#x", "", "/days?dataset=orders&from=2024-03-01#x"),
            ("/d/days", "/d", "/d/days"),
            ("/d", "/d", "/d"),
            ("/d?x=1", "/d", "/d?x=1"),
            ("", "", "/"),
            ("", "/d", "/d"),
            ("/other", "/d", "/d"),
            ("/days", "/d", "/d"),
            ("days", "", "/"),
            ("//evil.example", "", "/"),
            ("/\\evil.example", "", "/"),
            ("\\\\evil.example", "", "/"),
            ("/\t/evil.example", "", "/"),
            ("/\n/evil.example", "", "/"),
            (" /days", "", "/"),
            ("https://evil.example/", "", "/"),
            ("javascript:alert(1)", "", "/"),
            ("/d//evil.example", "/d", "/d//evil.example"),
            ("/é", "", "/"),
        ] {
            assert_eq!(safe_return_path(next, base), expected, "{next:?} below {base:?}");
        }
    }

    #[test]
    fn the_way_to_the_login_knows_the_way_back() {
        assert_eq!(login_page("/d", "/d/days?a=1&b=2"), "/d/login?next=%2Fd%2Fdays%3Fa%3D1%26b%3D2");
        assert_eq!(see_other("/x\ny").headers()[LOCATION], "/");
    }
}
