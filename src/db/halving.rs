//! Finds the lines whose rows cannot be taken, by trying ranges of lines and halving those that fail.

/// The lines from one to another, both among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lines {
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Lines {
    /// No line of any file.
    pub(super) const NONE: Self = Self { from: -1, to: -1 };

    /// The first and the second half; `None` for a single line.
    fn halves(self) -> Option<(Self, Self)> {
        let middle = self.from + (self.to - self.from) / 2;
        (self.from < self.to).then_some((Self { to: middle, ..self }, Self { from: middle + 1, ..self }))
    }
}

/// What is tried with ranges of lines.
pub(super) trait Trial {
    /// Why a range cannot be taken.
    type Fault;
    /// Why nothing more can be tried.
    type Error;

    /// Takes a range whole, or leaves everything as it was and says why it cannot be taken.
    fn take(&mut self, lines: Lines) -> Result<Option<Self::Fault>, Self::Error>;

    /// Rejects a single line that cannot be taken. An error ends the search.
    fn reject(&mut self, line: i64, fault: Self::Fault) -> Result<(), Self::Error>;
}

/// Takes each line that can be taken after those before it, and rejects the others, in the order of the lines. With
/// `b` bad lines of `n` it tries at most `1 + 2 b log2(n)` ranges (rounded up), and keeps as many in mind as `n` can be
/// halved.
pub(super) fn take_or_reject<T: Trial>(trial: &mut T, whole: Lines) -> Result<(), T::Error> {
    let mut left = vec![whole];
    while let Some(lines) = left.pop() {
        let Some(fault) = trial.take(lines)? else { continue };
        match lines.halves() {
            Some((first, second)) => left.extend([second, first]),
            None => trial.reject(lines.from, fault)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    /// A table with a unique column: each line brings a value, or none at all that could be taken.
    struct Table {
        rows: BTreeMap<i64, Option<u8>>,
        taken: Vec<i64>,
        values: BTreeSet<u8>,
        rejected: Vec<i64>,
        most: usize,
        tried: usize,
    }

    impl Table {
        fn of(rows: BTreeMap<i64, Option<u8>>, most: usize) -> Self {
            Self { rows, taken: Vec::new(), values: BTreeSet::new(), rejected: Vec::new(), most, tried: 0 }
        }
    }

    impl Trial for Table {
        type Fault = ();
        type Error = ();

        fn take(&mut self, lines: Lines) -> Result<Option<()>, ()> {
            self.tried += 1;
            let mut values = self.values.clone();
            let range = self.rows.range(lines.from..=lines.to);
            if !range.clone().all(|(_, value)| value.is_some_and(|value| values.insert(value))) {
                return Ok(Some(()));
            }
            self.taken.extend(range.map(|(line, _)| *line));
            self.values = values;
            Ok(None)
        }

        fn reject(&mut self, line: i64, (): ()) -> Result<(), ()> {
            self.rejected.push(line);
            if self.rejected.len() > self.most { Err(()) } else { Ok(()) }
        }
    }

    /// What comes of a file that is taken row by row: plain, and far too slow.
    fn row_by_row(rows: &BTreeMap<i64, Option<u8>>) -> (Vec<i64>, Vec<i64>) {
        let mut values = BTreeSet::new();
        rows.iter().map(|(line, value)| (*line, value)).fold((Vec::new(), Vec::new()), |mut found, (line, value)| {
            let fits = value.is_some_and(|value| values.insert(value));
            if fits { &mut found.0 } else { &mut found.1 }.push(line);
            found
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn exactly_the_lines_are_rejected_that_row_by_row_would_be(
            rows in prop::collection::btree_map(2..400i64, prop::option::weighted(0.97, any::<u8>()), 0..200),
            most in 0..20usize,
        ) {
            let (taken, rejected) = row_by_row(&rows);
            let mut table = Table::of(rows.clone(), usize::MAX);
            prop_assert_eq!(take_or_reject(&mut table, Lines { from: 2, to: 400 }), Ok(()));
            prop_assert_eq!((&table.taken, &table.rejected), (&taken, &rejected));
            prop_assert!(table.tried <= 1 + 2 * 9 * rejected.len());

            // Past the limit the search ends at once, with the first of them found.
            let mut table = Table::of(rows, most);
            let ended = take_or_reject(&mut table, Lines { from: 2, to: 400 });
            prop_assert_eq!(ended.is_err(), rejected.len() > most);
            prop_assert_eq!(&table.rejected[..], &rejected[..rejected.len().min(most + 1)]);
        }
    }
}
