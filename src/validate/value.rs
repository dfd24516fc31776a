//! Values: which texts a type accepts, and what is written for them.
//!
//! What is written goes to PostgreSQL's COPY and to SQLite alike, and is the same for values that are the same.

use crate::column::ColumnType;

use super::value_error::ValueError;
use super::{json, number, time};

/// Appends the text as a value of that type, normalised, or says why it is none: a reason without the value, such as
/// `is not a bigint`. Nothing is appended then.
///
/// ASCII blanks around a value do not count, except in text. What each type accepts:
///
/// - `text`: anything without a NUL byte, as it is.
/// - `boolean`: true/false, t/f, yes/no, y/n, 1/0, in any case; written `1` or `0`.
/// - `integer`, `bigint`: decimal digits with an optional sign; written without `+` and leading zeros.
/// - `double`: decimal digits, point and exponent, `NaN`, `Infinity` and `inf`, in any case; what a double can only
///   hold as infinity or zero is out of range.
/// - `numeric`: decimal digits, point and exponent, `NaN`; up to 131,000 digits before the point and 16,000 after it.
///   (Infinity is younger than PostgreSQL 14.)
/// - `date`: `YYYY-MM-DD`, the years 0001 to 9999.
/// - `timestamp`: `YYYY-MM-DD HH:MM`, `T` in place of the space, seconds with up to 9 digits after the point if wanted;
///   rounded to microseconds as PostgreSQL rounds. A zone is refused: PostgreSQL would ignore it.
/// - `timestamptz`: the same, with `Z`, `UTC`, `±HH`, `±HHMM` or `±HH:MM` at the end (UTC without); written in UTC.
/// - `uuid`: 32 hexadecimal digits, bare or hyphenated, perhaps in braces; written in lower case with hyphens.
/// - `json`: what `jsonb` holds: RFC 8259, at most 128 levels deep, without `\u0000`, lone surrogates, or numbers that
///   are out of range for `numeric`; as it is.
pub fn check_value(kind: ColumnType, text: &str, out: &mut String) -> Result<(), String> {
    let start = out.len();
    let trimmed = text.trim_ascii();
    let checked = match kind {
        ColumnType::Text => plain_text(text, out),
        ColumnType::Boolean => boolean(trimmed, out),
        ColumnType::Integer => number::whole::<i32>(trimmed, out),
        ColumnType::Bigint => number::whole::<i64>(trimmed, out),
        ColumnType::Double => number::double(trimmed, out),
        ColumnType::Numeric => number::numeric(trimmed, out),
        ColumnType::Date => time::date(trimmed, out),
        ColumnType::Timestamp => time::timestamp(trimmed, out),
        ColumnType::Timestamptz => time::timestamptz(trimmed, out),
        ColumnType::Uuid => uuid(trimmed, out),
        ColumnType::Json => json::json(trimmed, out),
    };
    checked.map_err(|error| {
        out.truncate(start);
        error.reason(kind, text)
    })
}

fn plain_text(text: &str, out: &mut String) -> Result<(), ValueError> {
    if memchr::memchr(0, text.as_bytes()).is_some() {
        return Err(ValueError::NotOne);
    }
    out.push_str(text);
    Ok(())
}

fn boolean(text: &str, out: &mut String) -> Result<(), ValueError> {
    // The usual spellings first: most columns of most files are booleans.
    let value = match text.as_bytes() {
        b"true" | b"True" | b"TRUE" | b"t" | b"1" => true,
        b"false" | b"False" | b"FALSE" | b"f" | b"0" => false,
        _ => {
            let is = |word: &&str| text.eq_ignore_ascii_case(word);
            let yes = ["true", "t", "yes", "y"].iter().any(is);
            if !yes && !["false", "f", "no", "n"].iter().any(is) {
                return Err(ValueError::NotOne);
            }
            yes
        }
    };
    out.push(if value { '1' } else { '0' });
    Ok(())
}

fn uuid(text: &str, out: &mut String) -> Result<(), ValueError> {
    /// Where the groups of digits start and end in the hyphenated form.
    const GROUPS: [(usize, usize); 5] = [(0, 8), (9, 13), (14, 18), (19, 23), (24, 36)];
    let text = text.strip_prefix('{').map_or(Some(text), |rest| rest.strip_suffix('}')).ok_or(ValueError::NotOne)?;
    let hyphens = match text.len() {
        36 => 1,
        32 => 0,
        _ => return Err(ValueError::NotOne),
    };
    // All digits side by side can be checked at once; byte by byte this was a quarter of a row's time.
    let mut digits = [0; 32];
    for (group, (start, end)) in GROUPS.into_iter().enumerate() {
        let (start, end, before) = (start - group, end - group, group * hyphens);
        digits[start..end].copy_from_slice(&text.as_bytes()[start + before..end + before]);
    }
    let hyphenated = hyphens == 0 || GROUPS[1..].iter().all(|(start, _)| text.as_bytes()[start - 1] == b'-');
    if !hyphenated || !digits.iter().fold(true, |all, byte| all & byte.is_ascii_hexdigit()) {
        return Err(ValueError::NotOne);
    }
    let begin = out.len();
    if hyphens == 1 {
        out.push_str(text);
    } else {
        for (group, (start, end)) in GROUPS.into_iter().enumerate() {
            out.push_str(if group == 0 { "" } else { "-" });
            out.push_str(&text[start - group..end - group]);
        }
    }
    out[begin..].make_ascii_lowercase();
    Ok(())
}
