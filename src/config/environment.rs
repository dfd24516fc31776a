//! The environment's variables, captured once at the start. (Whether colours are wanted, and what libraries ask, is
//! read elsewhere.)

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// The prefix of the variables that stand for keys of the main file.
const PREFIX: &str = "DAYFILL__";

/// True of a variable that would stand for a key of a dataset, below `DAYFILL__DATASETS`, the folder of the dataset
/// files.
fn is_of_datasets(name: &str) -> bool {
    name.to_ascii_uppercase().starts_with("DAYFILL__DATASETS__")
}

/// A captured environment.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The variables of this process. Bytes that are no UTF-8 are replaced, so that such a variable is looked at and
    /// refused rather than passed over.
    #[must_use]
    pub fn capture() -> Self {
        let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
        Self(std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect())
    }

    /// An environment of these variables.
    #[must_use]
    pub fn from_pairs<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// The value of a variable; an empty one counts as not set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of a variable that names a folder or file.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<&Path> {
        self.get(name).map(Path::new)
    }

    /// All variables, for libraries that take their settings from them.
    #[must_use]
    pub fn pairs(&self) -> Vec<(String, String)> {
        self.0.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// The variables that stand for keys of the main file: `DAYFILL__DATABASE__URL` for `database.url`. Two underscores
    /// part the words, since keys hold single ones.
    pub(super) fn overrides(&self) -> config::Environment {
        let of_the_main_file = self.0.iter().filter(|(name, _)| !is_of_datasets(name));
        config::Environment::with_prefix("DAYFILL")
            .prefix_separator("__")
            .separator("__")
            .ignore_empty(true)
            .source(Some(of_the_main_file.map(|(name, value)| (name.clone(), value.clone())).collect()))
    }

    /// The variables that would stand for keys of datasets, if there were such.
    pub(super) fn of_datasets(&self) -> impl Iterator<Item = &str> {
        let names = self.0.iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name.as_str());
        names.filter(|name| is_of_datasets(name))
    }

    /// The name of the variable that stands for a dotted key, as it is written in this environment.
    pub(super) fn name_of(&self, key: &str) -> String {
        let name = format!("{PREFIX}{}", key.replace('.', "__").to_uppercase());
        self.0.keys().find(|known| known.eq_ignore_ascii_case(&name)).cloned().unwrap_or(name)
    }
}

impl fmt::Debug for Environment {
    /// Names only: values can be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_is_not_set_and_values_are_not_shown() {
        let environment = Environment::from_pairs([("A", ""), ("B", "secret"), ("dayfill__log__level", "info")]);
        assert_eq!((environment.get("A"), environment.get("B")), (None, Some("secret")));
        assert!(!format!("{environment:?}").contains("secret"));
        assert_eq!(environment.name_of("log.level"), "dayfill__log__level");
        assert_eq!(environment.name_of("database.url"), "DAYFILL__DATABASE__URL");
    }
}
