//! Durations as configuration writes them: a whole number and a unit.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// No duration is longer: a hundred years of days, well within what databases and clocks can add.
const LONGEST: Duration = Duration::from_hours(36_500 * 24);

/// Reads `500ms`, `30s`, `15m`, `1h` or `3d`.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = UNITS.iter().find(|(name, _)| *name == unit.trim_start()).map(|(_, factor)| *factor);
    let millis = number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    millis
        .map(Duration::from_millis)
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| "is not a duration such as \"30s\" (a whole number and ms, s, m, h or d)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in [
            ("0s", 0),
            ("500ms", 500),
            ("30s", 30_000),
            ("15m", 900_000),
            ("1h", 3_600_000),
            ("3d", 259_200_000),
            ("1 h", 3_600_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "s", "30", "-1s", "1.5h", "1h30m", "30S", "1 w", "99999999999999999999s", "40000d", "+1s"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
