//! Any file gives exactly the fields that Python's `csv` with `strict=True` reads, or is rejected or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/it/support/strict_csv.rs"]
mod strict_csv;

fuzz_target!(|file: &[u8]| {
    // dayfill takes the mark off, and refuses UTF-16 by its own.
    let marks: [&[u8]; 3] = [b"\xEF\xBB\xBF", b"\xFF\xFE", b"\xFE\xFF"];
    if !marks.iter().any(|mark| file.starts_with(mark)) {
        strict_csv::agrees(file, b',', &strict_csv::strict(file, b','));
    }
});
