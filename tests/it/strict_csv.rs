//! The parser against Python's `csv` with `strict=True`: any file gives exactly its fields, or is rejected or refused.

use std::path::Path;

use proptest::prelude::*;

use crate::support::strict_csv::{Record, agrees, strict};

/// A small file and what Python reads from it; `tests/data/csv/make.py` writes them.
#[derive(serde::Deserialize)]
struct Expectation {
    file: String,
    records: Vec<(u64, u64, Option<Vec<String>>)>,
}

fn expectations() -> Vec<(String, Vec<Record>)> {
    let bytes = |fields: Vec<String>| fields.into_iter().map(String::into_bytes).collect();
    let record = |(line, lines, fields): (u64, u64, Option<Vec<String>>)| (line, lines, fields.map(bytes));
    let text = include_str!("../data/csv/expectations.jsonl");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .map(|Expectation { file, records }| (file, records.into_iter().map(record).collect()))
        .collect()
}

#[test]
fn any_file_gives_the_fields_that_python_reads_or_is_rejected() {
    let (mut whole, mut records) = (0, 0);
    for (file, expected) in expectations() {
        // A mark is no part of the text.
        for file in [file.clone(), format!("\u{feff}{file}")] {
            if let Some(accepted) = agrees(file.as_bytes(), b',', &expected) {
                (whole, records) = (whole + 1, records + accepted);
            }
        }
    }
    assert!(whole > 700 && records > 2_000, "most files are read: {whole} of them, {records} records");
}

#[test]
fn the_reference_reads_what_python_reads() {
    for (file, expected) in expectations() {
        assert_eq!(strict(file.as_bytes(), b','), expected, "{file:?}");
    }
}

/// What the fuzzer found worth keeping, and what it begins with.
#[test]
fn the_fuzzers_corpus_is_read_as_the_reference_reads_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/parse");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() > 20, "{} files", files.len());
    for file in files {
        let bytes = std::fs::read(file).unwrap();
        agrees(&bytes, b',', &strict(&bytes, b','));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn any_file_gives_the_fields_of_the_reference_or_is_rejected(
        tokens in prop::collection::vec(
            prop::sample::select(vec!["x", ";", "\"", "\"\"", "\n", "\r\n", "\r", "\\", " ", "x;x\n", "\"x;\n\";"]),
            0..40,
        ),
        header in prop::sample::select(vec!["a;b\n", "a;b\r\n", "a;b\r", "\"a\"\n", ""]),
    ) {
        let file = format!("{header}{}", tokens.concat());
        agrees(file.as_bytes(), b';', &strict(file.as_bytes(), b';'));
    }
}
