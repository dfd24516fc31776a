//! The `algolia-etl` program: the original's command line, on dayfill.

fn main() -> std::process::ExitCode {
    dayfill::cli::algolia_etl(std::env::args_os()).into()
}
