//! What is wrong with a configuration: one problem, and all of them.

use std::fmt;

use crate::wording::{MOST_BYTES, nearest, printable};

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The file, or the name of the environment's variable.
    pub origin: String,
    /// The key with its sections, such as `rows.columns[3].type`; empty where the problem is the file's.
    pub key: String,
    /// The value as it is written, fit to be printed; none where there is none, or where the key is the problem.
    pub value: Option<String>,
    /// What is wrong, to be read after the value: `is not ...`.
    pub message: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, key, value, message } = self;
        let problem = match value {
            _ if key.is_empty() => format!("{origin}: {message}"),
            None => format!("{origin}: {key}: {message}"),
            Some(value) => format!("{origin}: {key} = {value}: {message}"),
        };
        // A line each, whatever the names of files and keys hold.
        f.write_str(&printable(&problem, 2 * MOST_BYTES))
    }
}

/// Everything that is wrong with a configuration, file by file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<ConfigProblem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.0.iter().enumerate() {
            let line = if number == 0 { "" } else { "\n" };
            write!(f, "{line}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// `; did you mean "x"?` with the nearest of the known words, or nothing.
pub(super) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known, |longer| longer / 2).map(|word| format!("; did you mean {word:?}?")).unwrap_or_default()
}
