//! The last look at what goes out: no page and no JSON holds a character that steers a terminal or turns the direction
//! of a text, wherever it came from. Between these stand our own texts, which have none.

use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::Response;

use crate::wording::{is_harmful, printable_json, printable_lines};

/// A page, in which such characters are shown as what they are: `\u{202e}`. Lines stay: in HTML they are white space.
pub(super) fn html(page: String) -> String {
    if page.contains(is_harmful) { printable_lines(&page) } else { page }
}

/// JSON on one line, in which such characters stand as JSON's own escapes: whoever reads it finds the same text.
pub(super) fn json(text: String) -> String {
    if text.contains(is_harmful) { printable_json(&text) } else { text }
}

/// An answer whose JSON is such.
pub(super) async fn answer(answer: Response) -> Response {
    let is_json = answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if !is_json {
        return answer;
    }
    let (mut parts, body) = answer.into_parts();
    // It was made in memory, and is there at once and whole.
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    match String::from_utf8(bytes.into()) {
        Ok(text) => {
            parts.headers.remove(CONTENT_LENGTH);
            Response::from_parts(parts, Body::from(json(text)))
        }
        Err(other) => Response::from_parts(parts, Body::from(other.into_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_is_escaped_and_all_else_stays() {
        for (text, in_html, in_json) in [
            ("Ann é 日本 → \"x\"", "Ann é 日本 → \"x\"", "Ann é 日本 → \"x\""),
            ("\u{202e}txt", "\\u{202e}txt", "\\u202etxt"),
            ("a\u{7f}\u{9b}b\u{2028}", "a\\u{7f}\\u{9b}b\\u{2028}", "a\\u007f\\u009bb\\u2028"),
            ("tag \u{e0041}", "tag \\u{e0041}", "tag \\udb40\\udc41"),
            ("\u{1b}[31m", "\\u{1b}[31m", "\\u001b[31m"),
        ] {
            assert_eq!((html(text.to_owned()), json(text.to_owned())), (in_html.to_owned(), in_json.to_owned()));
        }
    }

    #[test]
    fn json_says_the_same_as_before() {
        let text = "\u{202e}a\u{7f}\n\u{1b}\u{e0041}\"";
        let shown = json(serde_json::to_string(text).unwrap());
        assert!(!shown.contains(is_harmful), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
    }
}
