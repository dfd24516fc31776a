//! The files that variables of a cloud's tools name, for errors that say which of them is missing.

use std::fmt;
use std::path::PathBuf;

/// What Amazon's tools take credentials from.
const AMAZONS: [&str; 4] = [
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
];
const GOOGLES: [&str; 3] = ["GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH"];
const AZURES: [&str; 1] = ["AZURE_FEDERATED_TOKEN_FILE"];

/// The files that variables name, with those variables.
#[derive(Debug, Clone, Default)]
pub(super) struct NamedFiles(Vec<(String, PathBuf)>);

impl NamedFiles {
    /// Those of an environment for Amazon.
    pub(super) fn of_amazon(environment: &[(String, String)]) -> Self {
        Self::of(environment, &AMAZONS)
    }

    /// Those for Google.
    pub(super) fn of_google(environment: &[(String, String)]) -> Self {
        Self::of(environment, &GOOGLES)
    }

    /// Those for Azure.
    pub(super) fn of_azure(environment: &[(String, String)]) -> Self {
        Self::of(environment, &AZURES)
    }

    fn of(environment: &[(String, String)], variables: &[&str]) -> Self {
        let is_named = |(name, value): &&(String, String)| {
            !value.is_empty() && variables.iter().any(|variable| name.eq_ignore_ascii_case(variable))
        };
        let named = environment.iter().filter(is_named);
        Self(named.map(|(name, value)| (name.clone(), PathBuf::from(value))).collect())
    }

    /// All of them, each after a semicolon.
    pub(super) fn all(&self) -> String {
        let named: Vec<_> = self.0.iter().map(|(name, file)| format!("; {name} names {}", file.display())).collect();
        named.concat()
    }
}

impl fmt::Display for NamedFiles {
    /// Which of them cannot be read, each after a semicolon; nothing where all can.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, file) in &self.0 {
            if let Err(error) = std::fs::File::open(file) {
                write!(f, "; {name} names {}: {error}", file.display())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_that_are_missing_are_named() {
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let there = pairs(&[("AWS_CONFIG_FILE", "/dev/null"), ("AWS_SECRET_ACCESS_KEY", "/x"), ("HOME", "/x")]);
        assert_eq!(NamedFiles::of_amazon(&there).to_string(), "");
        assert_eq!(NamedFiles::of_amazon(&there).all(), "; AWS_CONFIG_FILE names /dev/null");
        let missing = pairs(&[("AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent/token")]);
        let told = NamedFiles::of_amazon(&missing).to_string();
        assert!(told.starts_with("; AWS_WEB_IDENTITY_TOKEN_FILE names /nonexistent/token: No such file"), "{told}");
        assert_eq!(NamedFiles::of_azure(&missing).all(), "");
    }
}
