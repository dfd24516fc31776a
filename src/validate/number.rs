//! Numbers, as narrow as the strictest reader of them: PostgreSQL's input functions from version 12 on.

use std::fmt::{Display, Write as _};
use std::str::FromStr;

use super::value_error::ValueError;

/// The most digits of a `numeric` before and after its point; PostgreSQL's own limits are 131,072 and 16,383. We keep
/// off the edge, where no real number lies.
const MAX_WHOLE_DIGITS: i64 = 131_000;
const MAX_SCALE: i64 = 16_000;

/// A whole number that `T` can hold.
pub(super) fn whole<T: FromStr + Display>(text: &str, out: &mut String) -> Result<(), ValueError> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ValueError::NotOne);
    }
    let value: T = text.parse().map_err(|_| ValueError::OutOfRange)?;
    if text == "0" || (!text.starts_with('+') && !digits.starts_with('0')) {
        out.push_str(text);
    } else {
        let _ = write!(out, "{value}");
    }
    Ok(())
}

/// An IEEE 754 double.
pub(super) fn double(text: &str, out: &mut String) -> Result<(), ValueError> {
    // Without other letters the standard library takes exactly the decimal and scientific spellings.
    if !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) {
        out.push_str(special(text).ok_or(ValueError::NotOne)?);
        return Ok(());
    }
    let value: f64 = text.parse().map_err(|_| ValueError::NotOne)?;
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
    let vanished = value == 0.0 && mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    if value.is_infinite() || vanished {
        return Err(ValueError::OutOfRange);
    }
    out.push_str(text.strip_prefix('+').unwrap_or(text));
    Ok(())
}

/// The doubles that are no numbers, in one spelling each.
fn special(text: &str) -> Option<&'static str> {
    if text.eq_ignore_ascii_case("nan") {
        return Some("NaN");
    }
    let (name, spelled) = match text.strip_prefix('-') {
        Some(rest) => (rest, "-Infinity"),
        None => (text.strip_prefix('+').unwrap_or(text), "Infinity"),
    };
    (name.eq_ignore_ascii_case("infinity") || name.eq_ignore_ascii_case("inf")).then_some(spelled)
}

/// A decimal number of any precision.
pub(super) fn numeric(text: &str, out: &mut String) -> Result<(), ValueError> {
    if text.eq_ignore_ascii_case("nan") {
        out.push_str("NaN");
        return Ok(());
    }
    fits_numeric(text)?;
    out.push_str(text.strip_prefix('+').unwrap_or(text));
    Ok(())
}

/// Says whether a decimal number is one that PostgreSQL's `numeric` holds.
pub(super) fn fits_numeric(text: &str) -> Result<(), ValueError> {
    let number = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (number, None),
    };
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (before.is_empty() && after.is_empty()) || !all_digits(before) || !all_digits(after) {
        return Err(ValueError::NotOne);
    }
    let exponent = match exponent {
        Some(exponent) => {
            let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
            if digits.is_empty() || !all_digits(digits) {
                return Err(ValueError::NotOne);
            }
            exponent.parse::<i32>().map(i64::from).map_err(|_| ValueError::OutOfRange)?
        }
        None => 0,
    };
    let before = length(before.trim_start_matches('0'));
    let fraction = after.trim_start_matches('0');
    let digits_before = match (before, fraction) {
        // Zero needs no digits, but PostgreSQL does not read its exponent without bounds either.
        (0, "") => exponent,
        (0, _) => exponent - (length(after) - length(fraction)),
        _ => exponent + before,
    };
    if digits_before > MAX_WHOLE_DIGITS || length(after) - exponent > MAX_SCALE {
        return Err(ValueError::OutOfRange);
    }
    Ok(())
}

fn length(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}
