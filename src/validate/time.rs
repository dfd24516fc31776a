//! Dates and times of day: one spelling that no setting of the database reads differently.

use std::fmt::Write as _;

use chrono::{Datelike as _, NaiveDate, NaiveDateTime, TimeDelta};

use super::value_error::ValueError;

/// A calendar date.
pub(super) fn date(text: &str, out: &mut String) -> Result<(), ValueError> {
    parse_date(text).ok_or(ValueError::NotOne)?;
    out.push_str(text);
    Ok(())
}

/// A date and a time of day.
pub(super) fn timestamp(text: &str, out: &mut String) -> Result<(), ValueError> {
    let (moment, zone) = Moment::parse(text).ok_or(ValueError::NotOne)?;
    match (zone, parse_zone(zone)) {
        ("", _) => moment.write(0, out),
        // PostgreSQL would ignore the zone, and the value be off by hours.
        (_, Some(_)) => {
            Err(ValueError::Because("has a time zone, which a timestamp cannot keep; use timestamptz".to_owned()))
        }
        (_, None) => Err(ValueError::NotOne),
    }
}

/// An instant, in UTC unless it says otherwise.
pub(super) fn timestamptz(text: &str, out: &mut String) -> Result<(), ValueError> {
    let (moment, zone) = Moment::parse(text).ok_or(ValueError::NotOne)?;
    moment.write(parse_zone(zone).ok_or(ValueError::NotOne)?, out)?;
    out.push_str("+00");
    Ok(())
}

/// `YYYY-MM-DD` of the years 0001 to 9999.
fn parse_date(text: &str) -> Option<NaiveDate> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let year = digits(text.get(..4)?)?;
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, digits(text.get(5..7)?)?, digits(text.get(8..)?)?)?;
    (year > 0).then_some(date)
}

/// Nothing but a few digits.
fn digits(text: &str) -> Option<u32> {
    text.bytes().try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0')))
}

/// A parsed date and time of day, with the text it came from, most of which can be written as it is.
struct Moment<'a> {
    date_text: &'a str,
    /// Hours and minutes.
    clock_text: &'a str,
    /// Seconds, or `00` if there were none.
    second_text: &'a str,
    date: NaiveDate,
    seconds_of_day: u32,
    /// May be a whole second: what is written is rounded.
    micros: u32,
}

impl<'a> Moment<'a> {
    /// Takes the date and time off the front of the text; gives the rest, which should be a zone or nothing.
    fn parse(text: &'a str) -> Option<(Self, &'a str)> {
        let (date_text, rest) = text.split_at_checked(10)?;
        let date = parse_date(date_text)?;
        let rest = rest.strip_prefix([' ', 'T'])?;
        let (clock_text, mut rest) = rest.split_at_checked(5)?;
        let (hour, minute) = clock_text.split_once(':').filter(|(hour, _)| hour.len() == 2)?;
        let (mut second_text, mut micros) = ("00", 0);
        if let Some(seconds) = rest.strip_prefix(':') {
            (second_text, rest) = seconds.split_at_checked(2)?;
            if let Some(fraction) = rest.strip_prefix('.') {
                let end = fraction.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(fraction.len());
                let (fraction, after) = fraction.split_at_checked(end)?;
                micros = parse_fraction(fraction)?;
                rest = after;
            }
        }
        let (hour, minute, second) = (digits(hour)?, digits(minute)?, digits(second_text)?);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let seconds_of_day = (hour * 60 + minute) * 60 + second;
        Some((Self { date_text, clock_text, second_text, date, seconds_of_day, micros }, rest))
    }

    /// Writes the moment, moved back by the offset (in seconds), without zeros at the end of the fraction: equal
    /// moments are equal texts, and texts sort as moments do.
    fn write(&self, offset: i32, out: &mut String) -> Result<(), ValueError> {
        if offset == 0 && self.micros < 1_000_000 {
            for piece in [self.date_text, " ", self.clock_text, ":", self.second_text] {
                out.push_str(piece);
            }
        } else {
            let shift = i64::from(self.seconds_of_day) - i64::from(offset) + i64::from(self.micros / 1_000_000);
            let moment = NaiveDateTime::from(self.date).checked_add_signed(TimeDelta::seconds(shift));
            let moment = moment.filter(|moment| (1..=9999).contains(&moment.year())).ok_or(ValueError::OutOfRange)?;
            let _ = write!(out, "{}", moment.format("%Y-%m-%d %H:%M:%S"));
        }
        if !self.micros.is_multiple_of(1_000_000) {
            let _ = write!(out, ".{:06}", self.micros);
            out.truncate(out.trim_end_matches('0').len());
        }
        Ok(())
    }
}

/// One to nine digits after the point, as microseconds, rounded exactly as PostgreSQL rounds: as a double, half to
/// even.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the number is from 0 to 1,000,000")]
fn parse_fraction(text: &str) -> Option<u32> {
    if !(1..=9).contains(&text.len()) {
        return None;
    }
    let scale = [1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9][text.len() - 1];
    Some((f64::from(digits(text)?) / scale * 1e6).round_ties_even() as u32)
}

/// How many seconds a zone is ahead of UTC; no zone is UTC. PostgreSQL takes less than 16 hours.
fn parse_zone(text: &str) -> Option<i32> {
    let text = text.strip_prefix(' ').unwrap_or(text);
    if text.is_empty() || text.eq_ignore_ascii_case("z") || text.eq_ignore_ascii_case("utc") {
        return Some(0);
    }
    let offset = text.strip_prefix(['+', '-'])?;
    let (hour, minute) = match offset.len() {
        2 => (offset, "00"),
        4 => offset.split_at_checked(2)?,
        5 => offset.split_once(':').filter(|(hour, _)| hour.len() == 2)?,
        _ => return None,
    };
    let (hour, minute) = (i32::try_from(digits(hour)?).ok()?, i32::try_from(digits(minute)?).ok()?);
    let seconds = (hour * 60 + minute) * 60;
    (hour <= 15 && minute <= 59).then_some(if text.starts_with('-') { -seconds } else { seconds })
}
