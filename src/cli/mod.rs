//! The command line: arguments become one of the commands below, and what comes of it becomes an exit code.

mod activity;
mod app;
pub mod args;
mod cancel;
mod catch_up;
mod check;
mod days;
mod failure;
mod loads;
mod migrate;
mod outside;
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
use crate::config::{self, Environment};
use crate::exit_code::ExitCode;
use crate::logging::{self, Reader};
use crate::wording::{MOST_BYTES, printable, printable_json, printable_lines, printable_styled};

/// Runs `dayfill` with these arguments, the program's name first.
#[must_use]
pub fn dayfill(arguments: &[OsString]) -> ExitCode {
    match parse::<Cli>(arguments) {
        Ok(Cli { global, command }) => finish(run(&global, command), &global),
        Err(code) => code,
    }
}

/// Runs `algolia-etl` with these arguments, the program's name first.
#[must_use]
pub fn algolia_etl(arguments: &[OsString]) -> ExitCode {
    match parse::<AlgoliaEtl>(arguments) {
        Ok(AlgoliaEtl { global, command: AlgoliaCommand::RunEtl(run_etl) }) => {
            finish(run(&global, Command::RunEtl(run_etl)), &global)
        }
        Err(code) => code,
    }
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
            write(&String::from_utf8_lossy(&written))
        }
        Command::Man => {
            let mut written = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut written)?;
            write(&String::from_utf8_lossy(&written))
        }
    }
}

/// Writes lines to standard output. What steers a terminal is escaped, whoever said it.
fn print(text: &str) -> Result<ExitCode, Failure> {
    write(&printable_lines(text))
}

/// Writes lines in colours where standard output is a terminal that wants them. What others said must be printable
/// already: a colour of theirs cannot be told from ours.
fn print_coloured(text: &str) -> Result<ExitCode, Failure> {
    match anstream::AutoStream::choice(&io::stdout()) {
        anstream::ColorChoice::Never => write(&anstream::adapter::strip_str(&printable_styled(text)).to_string()),
        _ => write(&printable_styled(text)),
    }
}

/// Writes a JSON text to standard output.
fn print_json(json: &str) -> Result<ExitCode, Failure> {
    write(&printable_json(json))
}

/// Writes to standard output as it is. A reader that went away (`dayfill status | head`) is no failure.
fn write(text: &str) -> Result<ExitCode, Failure> {
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::Success),
    }
}

/// Reads the arguments. Help and the version end the process; a wrong command line is reported, and ends with 2.
fn parse<P: Parser>(arguments: &[OsString]) -> Result<P, ExitCode> {
    P::try_parse_from(arguments).map_err(|error| {
        // An argument that is echoed ends no line and steers no terminal.
        let shown = arguments.iter().map(|argument| printable(&argument.to_string_lossy(), MOST_BYTES));
        let error = P::try_parse_from(shown).err().unwrap_or(error);
        let environment = Environment::capture();
        let format = config::log_format(None, &environment);
        let text = error.to_string();
        let last = logging::last_line(text.trim_start_matches("error: "), reader(&environment), format);
        match last.filter(|_| error.use_stderr()) {
            Some(line) => say(&line),
            None => error.exit(),
        }
        ExitCode::Usage
    })
}

/// Ends a command: says why it failed, and its exit code.
fn finish(result: Result<ExitCode, Failure>, global: &Global) -> ExitCode {
    result.unwrap_or_else(|failure| {
        let said = failure.to_string();
        let environment = Environment::capture();
        // Where the configuration is what failed, nothing was made of it yet.
        let format = logging::format_in_force().or(global.log_format);
        let format = format.unwrap_or_else(|| config::log_format(global.config.as_deref(), &environment));
        match logging::last_line(&said, reader(&environment), format) {
            Some(line) => say(&line),
            None => say(&format!("{}error:{} {said}", failure::RED.render(), failure::RED.render_reset())),
        }
        failure.code
    })
}

fn reader(environment: &Environment) -> Reader {
    Reader::of_stderr(environment.get("JOURNAL_STREAM"))
}

/// Writes a line to standard error. It may be gone; there is nobody left to tell then.
fn say(line: &str) {
    let _ = writeln!(anstream::stderr(), "{line}");
}
