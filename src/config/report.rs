//! Where the problems of one file are gathered while it is read.

use std::cell::RefCell;
use std::path::Path;

use config::{Value, ValueKind};

use super::environment::Environment;
use super::problem::ConfigProblem;

/// What the config crate says a value of the environment comes from.
const ENVIRONMENT: &str = "the environment";

/// The problems of one file, and of the variables that stand for its keys.
pub(super) struct ConfigReport<'a> {
    file: &'a Path,
    environment: &'a Environment,
    problems: RefCell<Vec<ConfigProblem>>,
}

impl<'a> ConfigReport<'a> {
    pub(super) fn new(file: &'a Path, environment: &'a Environment) -> Self {
        Self { file, environment, problems: RefCell::default() }
    }

    /// The folder of the service manager's credentials.
    pub(super) fn credentials(&self) -> Option<&'a Path> {
        self.environment.path("CREDENTIALS_DIRECTORY")
    }

    /// Where a key was set: a variable's name, or the file.
    pub(super) fn origin(&self, key: &str, value: Option<&Value>) -> String {
        match value {
            Some(value) if from_environment(value) => self.environment.name_of(key),
            _ => self.file.display().to_string(),
        }
    }

    /// A problem of the file as a whole.
    pub(super) fn file(&self, message: impl Into<String>) {
        self.push(self.file.display().to_string(), "", None, message.into());
    }

    /// A problem of a key; `value` is what was read, and tells the file from the environment.
    pub(super) fn key(&self, key: &str, value: Option<&Value>, message: impl Into<String>) {
        self.push(self.origin(key, value), key, value.map(|value| shown(key, &value.kind)), message.into());
    }

    /// A problem of a key of the file, with its value as it should be shown.
    pub(super) fn key_as(&self, key: &str, value: &str, message: impl Into<String>) {
        self.push(self.file.display().to_string(), key, Some(value.to_owned()), message.into());
    }

    /// A problem of a key that is not known, and of each variable that stands for one below it.
    pub(super) fn unknown(&self, key: &str, value: &Value, message: &str) {
        let mut variables = Vec::new();
        let in_file = leaves(key, value, &mut variables);
        if in_file {
            self.push(self.file.display().to_string(), key, None, message.to_owned());
        }
        variables.sort();
        for leaf in variables {
            self.push(self.environment.name_of(&leaf), key, None, message.to_owned());
        }
    }

    /// A problem of a value that comes from elsewhere than the file.
    pub(super) fn elsewhere(&self, origin: &str, key: &str, value: Option<&str>, message: impl Into<String>) {
        self.push(origin.to_owned(), key, value.map(str::to_owned), message.into());
    }

    fn push(&self, origin: String, key: &str, value: Option<String>, message: String) {
        self.problems.borrow_mut().push(ConfigProblem { origin, key: key.to_owned(), value, message });
    }

    pub(super) fn into_problems(self) -> Vec<ConfigProblem> {
        self.problems.into_inner()
    }
}

pub(super) fn from_environment(value: &Value) -> bool {
    value.origin() == Some(ENVIRONMENT)
}

/// Gathers the keys that the environment gave; true when the file gave something, or there is nothing at all.
fn leaves(key: &str, value: &Value, variables: &mut Vec<String>) -> bool {
    match &value.kind {
        ValueKind::Table(table) if !table.is_empty() => {
            table.iter().fold(false, |found, (name, value)| leaves(&format!("{key}.{name}"), value, variables) || found)
        }
        _ if from_environment(value) => {
            variables.push(key.to_owned());
            false
        }
        _ => true,
    }
}

/// A value as a problem shows it: short, on one line, and without what may be a secret.
pub(super) fn shown(key: &str, value: &ValueKind) -> String {
    match value {
        _ if key == "database" || key == "database.url" => "***".to_owned(),
        ValueKind::String(text) if key == "database.url_file" && text.contains("://") => "***".to_owned(),
        // The secret itself, where the name of its file should be.
        ValueKind::String(text)
            if ["source.user_file", "source.headers_file"].contains(&key) && text.contains([':', ' ']) =>
        {
            "***".to_owned()
        }
        ValueKind::String(text) => shown_text(text),
        ValueKind::Table(_) => "{...}".to_owned(),
        ValueKind::Array(values) => {
            let all = values.iter().map(|value| shown(key, &value.kind)).collect::<Vec<_>>().join(", ");
            if all.len() <= 80 { format!("[{all}]") } else { "[...]".to_owned() }
        }
        other => other.to_string(),
    }
}

/// A text in quotes, cut at 80 characters. A URL loses its user and password, and the values of its query.
pub(super) fn shown_text(text: &str) -> String {
    let mut text = text.to_owned();
    if let Some(start) = text.find("://").map(|at| at + 3) {
        if let Some(at) = text.rfind('@').filter(|at| *at > start) {
            text.replace_range(start..at, "***");
        }
        if let Some(query) = text[start..].find('?').map(|at| at + start) {
            text.replace_range(query.., "?***");
        }
    }
    let quoted = format!("{text:?}");
    if quoted.chars().count() > 82 {
        let cut: String = quoted.chars().take(78).collect();
        return format!("{cut}...\"");
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        for (text, expected) in [
            ("plain", "\"plain\""),
            ("https://u:p@ss@host/{day}?sig=x", "\"https://***@host/{day}?***\""),
            ("a@b", "\"a@b\""),
            ("two\nlines", "\"two\\nlines\""),
        ] {
            assert_eq!(shown_text(text), expected);
        }
        assert_eq!(shown_text(&"x".repeat(100)).len(), 82);
        assert_eq!(shown("database.url", &ValueKind::I64(1)), "***");
        let text = |text: &str| ValueKind::String(text.to_owned());
        assert_eq!(shown("source.user_file", &text("me:hush")), "***");
        assert_eq!(shown("source.headers_file", &text("Bearer hush")), "***");
        assert_eq!(shown("source.headers_file", &text("orders.headers")), "\"orders.headers\"");
    }
}
