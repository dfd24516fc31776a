//! Values: which texts a type accepts, and what is written for them.
//!
//! What is written goes to PostgreSQL's COPY and to SQLite alike, and is the same for values that are the same.

use crate::column::ColumnType;

use super::{json, number, time};

/// What is wrong with a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is nothing of the kind.
    NotOne,
    /// It is of the kind, but too big, too small or too precise.
    OutOfRange,
    /// Something that needs its own words.
    Because(String),
}

/// Appends the text as a value of that type, normalised, or says why it is none: a reason without the value, such as
/// `is not a bigint`. Nothing is appended then.
///
/// ASCII blanks around a value do not count, except in text. What each type accepts:
///
/// - `text`: anything without a NUL byte, as it is.
/// - `boolean`: true/false, t/f, yes/no, y/n, 1/0, in any case; written `1` or `0`.
/// - `integer`, `bigint`: decimal digits with an optional sign; written without `+` and leading zeros.
/// - `double`: decimal digits, point and exponent, `NaN`, `Infinity` and `inf`, in any case; what a double can only hold
///   as infinity or zero is out of range.
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
    checked.map_err(|fault| {
        out.truncate(start);
        reason(fault, kind, text)
    })
}

#[cold]
fn reason(fault: Fault, kind: ColumnType, text: &str) -> String {
    match fault {
        // No type takes a NUL, and that it is there is hard to see.
        _ if text.contains('\0') => "holds a NUL byte".to_owned(),
        Fault::NotOne => format!("is not {}", kind.with_article()),
        Fault::OutOfRange => format!("is out of range for {}", kind.with_article()),
        Fault::Because(reason) => reason,
    }
}

fn plain_text(text: &str, out: &mut String) -> Result<(), Fault> {
    if memchr::memchr(0, text.as_bytes()).is_some() {
        return Err(Fault::NotOne);
    }
    out.push_str(text);
    Ok(())
}

fn boolean(text: &str, out: &mut String) -> Result<(), Fault> {
    let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(&["true", "t", "yes", "y", "1"]) {
        out.push('1');
    } else if is(&["false", "f", "no", "n", "0"]) {
        out.push('0');
    } else {
        return Err(Fault::NotOne);
    }
    Ok(())
}

fn uuid(text: &str, out: &mut String) -> Result<(), Fault> {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    let text = text.strip_prefix('{').map_or(Some(text), |rest| rest.strip_suffix('}')).ok_or(Fault::NotOne)?;
    let hyphens = match text.len() {
        36 => 1,
        32 => 0,
        _ => return Err(Fault::NotOne),
    };
    let (start, mut at) = (out.len(), 0);
    for (number, digits) in GROUPS.into_iter().enumerate() {
        if number > 0 {
            if hyphens == 1 && text.as_bytes()[at] != b'-' {
                return Err(Fault::NotOne);
            }
            at += hyphens;
            out.push('-');
        }
        let group = text.get(at..at + digits).ok_or(Fault::NotOne)?;
        if !group.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Fault::NotOne);
        }
        out.push_str(group);
        at += digits;
    }
    out[start..].make_ascii_lowercase();
    Ok(())
}
