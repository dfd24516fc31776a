//! The `dayfill` program.

fn main() -> std::process::ExitCode {
    dayfill::cli::dayfill(std::env::args_os()).into()
}
