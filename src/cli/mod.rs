//! The command line: arguments become one of the commands below, and what comes of it becomes an exit code.

mod app;
pub mod args;
mod audit;
mod cancel;
mod catch_up;
mod check;
mod days;
mod failure;
mod loads;
mod migrate;
mod password;
mod progress;
mod run;
mod run_etl;
mod status;
mod table;
mod warnings;
mod web;

use std::ffi::OsString;
use std::io::{self, Write};

use clap::{CommandFactory, Parser};

use crate::cli::app::App;
use crate::cli::args::{AlgoliaCommand, AlgoliaEtl, Cli, Command, Global};
use crate::cli::failure::Failure;
use crate::exit_code::ExitCode;
use crate::wording::printable_lines;

/// Runs `dayfill` with these arguments, the program's name first.
#[must_use]
pub fn dayfill(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let cli = Cli::parse_from(arguments);
    finish(run(&cli.global, cli.command))
}

/// Runs `algolia-etl` with these arguments, the program's name first.
#[must_use]
pub fn algolia_etl(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let cli = AlgoliaEtl::parse_from(arguments);
    let AlgoliaCommand::RunEtl(run_etl) = cli.command;
    finish(run(&cli.global, Command::RunEtl(run_etl)))
}

fn run(global: &Global, command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Run(args) => run::run(&App::open(global)?, global, &args),
        Command::CatchUp(args) => {
            let app = App::open(global)?;
            app.over(&args.dataset, || catch_up::catch_up(&app, &args))
        }
        Command::Load(args) => {
            let app = App::open(global)?;
            app.over(&args.dataset, || catch_up::load(&app, &args))
        }
        Command::RunEtl(args) => run_etl::run_etl(&App::open(global)?, &args),
        Command::Status(args) => {
            let app = App::open(global)?;
            app.over(&args.dataset, || status::status(&app, &args))
        }
        Command::Retry(args) => days::retry(&App::open(global)?, &args),
        Command::Pause(args) => days::pause(&App::open(global)?, &args),
        Command::Resume(args) => days::resume(&App::open(global)?, &args),
        Command::Skip(args) => days::skip(&App::open(global)?, &args),
        Command::Forget(args) => days::forget(&App::open(global)?, &args),
        Command::Cancel(args) => cancel::cancel(&App::open(global)?, &args),
        Command::Check(args) => check::check(&App::open(global)?, &args),
        Command::Migrate(args) => migrate::migrate(&App::open(global)?, &args),
        Command::Web(command) => web::web(&App::open(global)?, &command),
        Command::Completions { shell } => {
            let mut written = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "dayfill", &mut written);
            print(&String::from_utf8_lossy(&written))
        }
        Command::Man => {
            let mut written = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut written)?;
            print(&String::from_utf8_lossy(&written))
        }
    }
}

/// Writes to standard output. A reader that went away (`dayfill status | head`) is no failure.
fn print(text: &str) -> Result<ExitCode, Failure> {
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::Success),
    }
}

/// The text with its colours where standard output is a terminal that wants them, without elsewhere.
fn coloured(text: &str) -> String {
    match anstream::AutoStream::choice(&io::stdout()) {
        anstream::ColorChoice::Never => anstream::adapter::strip_str(text).to_string(),
        _ => text.to_owned(),
    }
}

fn finish(result: Result<ExitCode, Failure>) -> ExitCode {
    result.unwrap_or_else(|failure| {
        let said = printable_lines(&failure.to_string());
        // Standard error may be gone too; there is nobody left to tell then.
        let _ = writeln!(anstream::stderr(), "{}error:{} {said}", failure::RED.render(), failure::RED.render_reset());
        failure.code
    })
}
