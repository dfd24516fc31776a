//! The nearest of the words that would have been right.

/// The word nearest to the one given, if it is near enough to be what was meant.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let far = |known: &str| strsim::normalized_damerau_levenshtein(&lower, &known.to_lowercase());
    known
        .into_iter()
        .map(|known| (far(known), known))
        .filter(|(near, _)| *near >= 0.5)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, known)| known)
}

/// `; did you mean "x"?`, or nothing.
pub(super) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map(|word| format!("; did you mean {word:?}?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_and_far() {
        let known = ["cron", "timezone", "lag_days"];
        for (word, found) in
            [("crom", Some("cron")), ("time_zone", Some("timezone")), ("CRON", Some("cron")), ("x", None)]
        {
            assert_eq!(nearest(word, known), found, "{word}");
        }
    }
}
