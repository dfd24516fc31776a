//! The last look at what goes out: no page and no JSON holds a character that steers a terminal or turns the direction
//! of a text, wherever it came from. Between these stand our own texts, which have none.

use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::Response;

use crate::wording::is_harmful;

/// A page, in which such characters are shown as what they are: `\u{202e}`.
pub(super) fn html(page: String) -> String {
    if !page.contains(is_harmful) {
        return page;
    }
    let mut shown = String::with_capacity(page.len() + 64);
    for char in page.chars() {
        if is_harmful(char) {
            shown.extend(char.escape_debug());
        } else {
            shown.push(char);
        }
    }
    shown
}

/// JSON, in which such characters stand as JSON's own escapes: whoever reads it finds the same text. It is on one line.
pub(super) fn json(text: String) -> String {
    if !text.contains(is_harmful) {
        return text;
    }
    let mut shown = String::with_capacity(text.len() + 64);
    for char in text.chars() {
        if is_harmful(char) {
            let mut units = [0; 2];
            shown.extend(char.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            shown.push(char);
        }
    }
    shown
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
            ("\u{1b}[31m\n", "\\u{1b}[31m\\n", "\\u001b[31m\\u000a"),
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
