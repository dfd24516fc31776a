//! The command line as clap reads it. Parsing does nothing; each command is a file of its own.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::day::{Day, DayRange};
use crate::logging::LogFormat;
use crate::wording::{MOST_BYTES, printable};

/// Loads one file per day into PostgreSQL or SQLite, exactly once, and fills in the days that are missing.
#[derive(Debug, Parser)]
#[command(name = "dayfill", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The original's program: `run-etl` alone.
#[derive(Debug, Parser)]
#[command(name = "algolia-etl", version, max_term_width = 100, about = "The original's command line, on dayfill")]
pub struct AlgoliaEtl {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: AlgoliaCommand,
}

/// What holds for every command.
#[derive(Debug, Args)]
pub struct Global {
    /// The configuration file
    ///
    /// Without it: `$DAYFILL_CONFIG`, then `./config/dayfill.toml`, then `/etc/dayfill/dayfill.toml`.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// Log more: -v for debug, -vv for trace
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Global options")]
    pub verbose: u8,
    /// Log less: -q for warnings and errors only, -qq for errors, -qqq for nothing
    #[arg(
        short,
        long,
        global = true,
        action = ArgAction::Count,
        conflicts_with = "verbose",
        help_heading = "Global options"
    )]
    pub quiet: u8,
    /// How log lines are written, on standard error
    #[arg(long, global = true, value_enum, value_name = "FORMAT", help_heading = "Global options")]
    pub log_format: Option<LogFormat>,
}

/// All commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run as a daemon: load each day when it is due, and what is missing before it
    ///
    /// Wakes at the ticks of each dataset's schedule and loads every wanted day that is not done, oldest first, today
    /// last; tries failed days again and looks for late files on their own clocks. SIGHUP reads the configuration
    /// again, SIGTERM and Ctrl-C end it once loads in flight are done.
    Run(RunArgs),
    /// Load every wanted day that is not done, oldest first, today last
    ///
    /// Wanted are the days from the dataset's start to its last tick before now, minus its lag. Done are days that are
    /// loaded, skipped or refused, days given up long ago, and failed days whose attempts are used up. A day that fails
    /// does not stop the others, unless `catch_up.stop_on_failure` is set.
    CatchUp(CatchUpArgs),
    /// Load the days named, now, whatever their state
    ///
    /// A loaded day is loaded again only with --force; if that does not succeed, it stays as it was.
    Load(LoadArgs),
    /// Load a range of days with the original's options and output
    ///
    /// Days already loaded are loaded again, as the original would. Days loaded into another table than the dataset's
    /// own are kept apart in the state table, as dataset NAME@TABLE.
    RunEtl(RunEtl),
    /// Show what is not loaded, and the last 14 days
    ///
    /// Consecutive days of which the same is to be said share a line. With --from or --to it shows every day of that
    /// range, with --all every day there is, each on its own line. --json has every day always.
    Status(Status),
    /// Give days that failed, were refused or are absent a new series of attempts, and load them now
    ///
    /// Other days of a range are left alone: loaded and skipped ones, those that wait for their file, and those that the
    /// schedule does not want. `load` takes any day.
    Retry(RetryArgs),
    /// Leave days out: they are not loaded until they are named
    Skip(Skip),
    /// Make days missing again, so that the next catch-up loads them
    ///
    /// The target's rows stay until the day is loaded again.
    Forget(DaysArgs),
    /// Cancel loads under way, in whichever process they run
    ///
    /// Nothing is published, no attempt is counted, and the days keep the states they had. A load whose commit was sent is
    /// not cancelled.
    Cancel(Skip),
    /// Have daemons begin no day of a dataset by themselves, until it is resumed
    ///
    /// What is being loaded goes on. Commands and the page load days that are named all the same.
    Pause(PauseArgs),
    /// End the pause of a dataset: daemons catch up with what was left
    Resume(Resume),
    /// Check configuration, database, SQL and sources; with a file, what would become of its rows
    Check(Check),
    /// Create or update the state tables
    Migrate(Migrate),
    /// Say who may come to the daemon's page: users with passwords, and tokens for programs
    ///
    /// They are in the file that `web.auth` names, which the daemon reads again when it changes.
    #[command(subcommand)]
    Web(Web),
    /// Write shell completions to standard output
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Write the manual page to standard output
    Man,
}

/// The commands of `algolia-etl`.
#[derive(Debug, Subcommand)]
pub enum AlgoliaCommand {
    /// Load a range of days
    RunEtl(RunEtl),
}

/// `run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Catch up at the start, whatever `catch_up.on_start` says
    #[arg(long, conflicts_with = "no_catch_up")]
    pub catch_up: bool,
    /// Wait for the next tick, whatever `catch_up.on_start` says
    #[arg(long)]
    pub no_catch_up: bool,
}

/// `catch-up`
#[derive(Debug, Args)]
pub struct CatchUpArgs {
    /// Only this dataset; may be given several times
    #[arg(long, value_name = "NAME")]
    pub dataset: Vec<String>,
    /// No day before this one
    #[arg(long, value_name = "DAY")]
    pub from: Option<Day>,
    /// No day after this one
    #[arg(long, value_name = "DAY")]
    pub to: Option<Day>,
    /// Print what would be loaded and why, and touch nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How many days at a time [default: `catch_up.concurrency`]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub concurrency: Option<u32>,
    /// Exit with 5 when some day waits for its file
    #[arg(long)]
    pub strict: bool,
}

/// `load`
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// A day (2019-04-01) or a range of days (2019-04-01..2019-04-07)
    #[arg(required = true, value_name = "DAY|FROM..TO")]
    pub days: Vec<DayRange>,
    /// Only this dataset; may be given several times; NAME@TABLE for days loaded into another table
    #[arg(long, value_name = "NAME")]
    pub dataset: Vec<String>,
    /// Load days that are loaded already, too
    #[arg(long)]
    pub force: bool,
    /// At a terminal: do not ask about days outside the schedule
    #[arg(long)]
    pub yes: bool,
    /// Exit with 5 when some day waits for its file
    #[arg(long)]
    pub strict: bool,
}

/// `run-etl`
#[derive(Debug, Args)]
pub struct RunEtl {
    /// The first day
    #[arg(long, value_name = "DAY")]
    pub start_date: Day,
    /// The last day
    #[arg(long, value_name = "DAY")]
    pub end_date: Day,
    /// The table to load into [default: the dataset's own]
    #[arg(long, value_name = "TABLE")]
    pub table_name: Option<String>,
    /// The dataset [default: `shopify_config`, or the only one there is]
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,
}

/// `status`
#[derive(Debug, Args)]
pub struct Status {
    /// Every day on a line of its own
    #[arg(long)]
    pub all: bool,
    /// Only this dataset; may be given several times; NAME@TABLE for days loaded into another table
    #[arg(long, value_name = "NAME")]
    pub dataset: Vec<String>,
    /// No day before this one
    #[arg(long, value_name = "DAY")]
    pub from: Option<Day>,
    /// No day after this one
    #[arg(long, value_name = "DAY")]
    pub to: Option<Day>,
    /// As JSON, with the fields that docs/status-json.md promises
    #[arg(long)]
    pub json: bool,
}

/// `retry`
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line, each of its own")]
pub struct RetryArgs {
    /// Days or ranges of days [default: all, where --failed, --refused or --absent says which]
    #[arg(required_unless_present_any = ["failed", "refused", "absent"], value_name = "DAY|FROM..TO")]
    pub days: Vec<DayRange>,
    /// The dataset; needed when there are several
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,
    /// Days of every dataset
    #[arg(long, conflicts_with = "dataset")]
    pub all_datasets: bool,
    /// Failed days; without --failed, --refused and --absent a retry takes all three
    #[arg(long)]
    pub failed: bool,
    /// Refused days
    #[arg(long)]
    pub refused: bool,
    /// Absent days
    #[arg(long)]
    pub absent: bool,
    /// Print which days would be tried, and touch nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `pause`
#[derive(Debug, Args)]
pub struct PauseArgs {
    /// The dataset; needed when there are several
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,
    /// Why, for those who look later
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub reason: Option<String>,
}

/// `resume`
#[derive(Debug, Args)]
pub struct Resume {
    /// The dataset; needed when there are several
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,
}

/// `skip` and `forget`
#[derive(Debug, Args)]
pub struct DaysArgs {
    /// Days or ranges of days
    #[arg(required = true, value_name = "DAY|FROM..TO")]
    pub days: Vec<DayRange>,
    /// The dataset; needed when there are several
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,
}

/// `skip` and `cancel`
#[derive(Debug, Args)]
pub struct Skip {
    /// Which days.
    #[command(flatten)]
    pub days: DaysArgs,
    /// Why, for those who look later
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub reason: Option<String>,
}

/// `check`
#[derive(Debug, Args)]
pub struct Check {
    /// Parse and validate this file, print counts and the first rejected rows; load nothing
    #[arg(long, value_name = "FILE")]
    pub sample: Option<PathBuf>,
    /// Only this dataset; may be given several times
    #[arg(long, value_name = "NAME")]
    pub dataset: Vec<String>,
}

/// `migrate`
#[derive(Debug, Args)]
pub struct Migrate {
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `web`
#[derive(Debug, Subcommand)]
pub enum Web {
    /// Add a user, or give one a new password and role
    ///
    /// The password is asked for twice, or read from standard input where that is no terminal. A new password ends the
    /// user's sessions.
    AddUser(AddUser),
    /// Remove a user and end their sessions
    RemoveUser(Named),
    /// Make a token for a program and print it, once
    AddToken(AddToken),
    /// Remove a token
    RemoveToken(Named),
    /// List the users and tokens
    Users,
}

/// `web add-user`
#[derive(Debug, Args)]
pub struct AddUser {
    /// The user's name
    pub name: String,
    /// What they may do
    #[arg(long, value_enum)]
    pub role: RoleName,
    /// Make the password and print it, once, instead of asking for one
    #[arg(long)]
    pub generate: bool,
    /// Do nothing where there are users already
    #[arg(long)]
    pub first: bool,
}

/// What a user may do.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum RoleName {
    /// Look at everything
    Reader,
    /// Look at everything and change it
    Operator,
}

/// `web add-token`
#[derive(Debug, Args)]
pub struct AddToken {
    /// The token's name
    pub name: String,
    /// What it is good for
    #[arg(long, value_enum)]
    pub scope: ScopeName,
}

/// What a token is good for.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ScopeName {
    /// To look at everything
    Read,
    /// To look at everything and change it
    Write,
}

/// A reason as it is kept and shown: whatever was pasted.
#[expect(clippy::unnecessary_wraps, reason = "clap asks for a result")]
fn reason(text: &str) -> Result<String, String> {
    Ok(printable(text, MOST_BYTES))
}

/// `web remove-user` and `web remove-token`
#[derive(Debug, Args)]
pub struct Named {
    /// The name
    pub name: String,
}
