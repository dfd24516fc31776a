//! The `dayfill` program. Under the name `algolia-etl` it has the original's command line.

use std::ffi::OsString;
use std::path::Path;

fn main() -> std::process::ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let is_originals = arguments.first().is_some_and(|name| Path::new(name).ends_with("algolia-etl"));
    let run = if is_originals { dayfill::cli::algolia_etl } else { dayfill::cli::dayfill };
    run(&arguments).into()
}
