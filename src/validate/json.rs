//! JSON that PostgreSQL's `jsonb` holds. Its syntax is left to `serde_json`; what `jsonb` refuses beyond that is looked
//! for here, in the text itself: `serde_json` skips over lone surrogates, and reads numbers as doubles.

use serde::de::IgnoredAny;

use super::number::fits_numeric;
use super::value_error::ValueError;

/// How deep arrays and objects may lie in each other: the customary limit, far from where PostgreSQL's parser stops.
const MAX_DEPTH: usize = 128;

/// A JSON value, written as it is.
pub(super) fn json(text: &str, out: &mut String) -> Result<(), ValueError> {
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| because(&format!("is not valid json: {error}")))?;
    fits_jsonb(text)?;
    out.push_str(text);
    Ok(())
}

fn because(reason: &str) -> ValueError {
    ValueError::Because(reason.to_owned())
}

/// Looks through a text that is known to be JSON.
fn fits_jsonb(text: &str) -> Result<(), ValueError> {
    let mut rest = text;
    let mut depth = 0_usize;
    while let Some(first) = rest.bytes().next() {
        rest = match first {
            b'"' => after_string(&rest[1..])?,
            b'-' | b'0'..=b'9' => {
                let end = rest.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'));
                let (number, after) = rest.split_at(end.unwrap_or(rest.len()));
                fits_numeric(number).map_err(|_| because("holds a number that is out of range for jsonb"))?;
                after
            }
            // Outside of strings, JSON is ASCII.
            _ => {
                depth = match first {
                    b'[' | b'{' => depth + 1,
                    b']' | b'}' => depth.saturating_sub(1),
                    _ => depth,
                };
                if depth > MAX_DEPTH {
                    return Err(because("is json nested deeper than 128 levels"));
                }
                &rest[1..]
            }
        };
    }
    Ok(())
}

/// What follows the string whose opening quote was just passed.
fn after_string(text: &str) -> Result<&str, ValueError> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', &bytes[at..]).ok_or(ValueError::NotOne)?;
        if bytes[at] == b'"' {
            return Ok(&text[at + 1..]);
        }
        match (escaped(text, at), escaped(text, at + 6)) {
            (Some(0), _) => return Err(because("holds \\u0000, which jsonb cannot")),
            (Some(0xD800..0xDC00), Some(0xDC00..0xE000)) => at += 12,
            (Some(0xD800..0xE000), _) => return Err(because("holds half a surrogate pair, which jsonb cannot")),
            (Some(_), _) => at += 6,
            (None, _) => at += 2,
        }
    }
}

/// The code of a `\uXXXX` at that place, if there is one.
fn escaped(text: &str, at: usize) -> Option<u32> {
    let hex = text.get(at..at + 6)?.strip_prefix("\\u")?;
    u32::from_str_radix(hex, 16).ok()
}
