//! Which files are read.

use std::path::Path;

use super::Folder;
use crate::config::{Environment, load};

#[test]
fn a_named_file_must_be_there() {
    let missing = Path::new("/nowhere/dayfill.toml");
    let environment = Environment::from_pairs([("DAYFILL_CONFIG", "/nowhere/else.toml")]);
    let said = |flag| load(flag, &environment).unwrap_err().to_string();
    assert_eq!(said(Some(missing)), "/nowhere/dayfill.toml: is not a file that is there (named by --config)");
    assert_eq!(said(None), "/nowhere/else.toml: is not a file that is there (named by DAYFILL_CONFIG)");
}

#[test]
fn no_datasets_and_hidden_ones() {
    let folder = Folder::new("");
    assert!(
        folder.problems([]).starts_with("dayfill.toml: datasets = \"datasets\": cannot be read as a folder (No such")
    );
    let folder = folder.write("datasets/.a.toml", "x").write("datasets/a.txt", "x");
    assert_eq!(folder.problems([]), "dayfill.toml: datasets = \"datasets\": holds no dataset file (*.toml): datasets");
}
