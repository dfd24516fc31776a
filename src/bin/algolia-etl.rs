//! The `algolia-etl` program: starts the `dayfill` beside it, or else the one in `PATH`, under its own name, by which
//! that knows the original's command line.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let beside = std::env::current_exe().map(|own| own.with_file_name("dayfill"));
    let dayfill = beside.ok().filter(|dayfill| dayfill.exists()).unwrap_or_else(|| PathBuf::from("dayfill"));
    let error = Command::new(&dayfill).arg0("algolia-etl").args(std::env::args_os().skip(1)).exec();
    eprintln!("error: algolia-etl starts {}, which failed: {error}", shown(&dayfill));
    ExitCode::FAILURE
}

fn shown(dayfill: &Path) -> String {
    format!("{:?}", dayfill.display().to_string())
}
