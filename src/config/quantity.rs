//! Durations and sizes as configuration writes them: a whole number and a unit.

use std::time::Duration;

const SPANS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// No duration is longer: a hundred years of days, well within what databases and clocks can add.
const LONGEST: Duration = Duration::from_hours(36_500 * 24);

/// Reads `500ms`, `30s`, `15m`, `1h` or `3d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = SPANS.iter().find(|(name, _)| *name == unit.trim_start()).map(|(_, factor)| *factor);
    let millis = number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    millis
        .map(Duration::from_millis)
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| "is not a duration such as \"30s\" (a whole number and ms, s, m, h or d)".to_owned())
}

const SIZES: [(&str, u64); 9] = [
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Reads `64GiB` or `500 MB`, in bytes.
pub(super) fn size(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(split);
    let (_, factor) = SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim_start()))?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [("1B", 1), ("64GiB", 64 << 30), ("500 MB", 500_000_000), ("2gib", 2 << 30), ("0B", 0)] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for bad in ["", "GB", "1", "-1B", "1.5GB", "1 G", "20000000TiB", "1GB 2"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }

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
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "s", "30", "-1s", "1.5h", "1h30m", "30S", "1 w", "99999999999999999999s", "40000d", "+1s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
