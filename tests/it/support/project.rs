//! A user's project: a folder with a main file, one dataset and its days, and the program run on it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::Database;

/// The first wanted day of the dataset `orders`; its last is six days later.
pub(crate) const FIRST: &str = "2024-03-01";

/// A folder with a configuration, and the program that reads it.
pub(crate) struct Project {
    folder: tempfile::TempDir,
    url: String,
}

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The dataset `orders`: `id,amount,note`, rows with a negative amount filtered out, `has_note` derived.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    /// The keys of `[schedule]`.
    pub(crate) schedule: String,
    pub(crate) mode: &'static str,
    pub(crate) max_rejected: &'static str,
    pub(crate) source: String,
    /// More columns, each with a comma behind it.
    pub(crate) columns: &'static str,
    pub(crate) filter: &'static str,
    pub(crate) derive: &'static str,
    pub(crate) table: &'static str,
    pub(crate) csv: &'static str,
    /// Further sections.
    pub(crate) sections: &'static str,
}

/// The keys of a schedule with these ticks, a first wanted day and a last.
pub(crate) fn scheduled(cron: &str, first: &str, last: &str) -> String {
    format!("cron = \"{cron}\"\nstart = {first}\nend = {last}")
}

/// The same with a tick each night.
pub(crate) fn nightly(first: &str, last: &str) -> String {
    scheduled("0 2 * * *", first, last)
}

impl Default for Orders {
    fn default() -> Self {
        Self {
            schedule: nightly(FIRST, "2024-03-07"),
            mode: "replace_day",
            max_rejected: "10%",
            source: "url = \"days/{day}.csv\"".to_owned(),
            columns: "",
            filter: "amount is null or amount >= 0",
            derive: "note is not null",
            table: "orders",
            csv: "",
            sections: "",
        }
    }
}

impl Orders {
    fn toml(&self) -> String {
        let Self { schedule, mode, max_rejected, source, columns, filter, derive, table, csv, sections } = self;
        format!(
            r#"[source]
{source}
[schedule]
{schedule}
[csv]
null = ["", "N/A"]
{csv}
[target]
table = "{table}"
mode = "{mode}"
key = ["id"]
loaded_at = "created_at"
[rows]
where = "{filter}"
columns = [
  {{ name = "id", type = "text", required = true }},
  {{ name = "amount", type = "bigint" }},
  {{ name = "note", type = "text" }},
  {columns}
]
derive = [{{ name = "has_note", type = "boolean", sql = "{derive}" }}]
[limits]
max_rejected = "{max_rejected}"
{sections}
"#
        )
    }
}

impl Project {
    /// A project on that database, with the dataset and no days.
    pub(crate) fn new(database: &dyn Database, orders: &Orders) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir_all(folder.path().join("datasets")).expect("a folder");
        std::fs::create_dir_all(folder.path().join("days")).expect("a folder");
        let project = Self { folder, url: database.url().to_owned() };
        project.write("dayfill.toml", "[claim]\nlease = \"60s\"\n");
        project.orders(orders);
        project
    }

    /// Writes the dataset anew.
    pub(crate) fn orders(&self, orders: &Orders) {
        self.dataset("orders", orders);
    }

    /// Writes a dataset of that name, in all else like `orders`.
    pub(crate) fn dataset(&self, name: &str, like: &Orders) {
        self.write(&format!("datasets/{name}.toml"), like.toml());
    }

    /// A file of the project.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of the project.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).expect("the file is written");
    }

    /// Writes a file of the project that nobody sees half written: another file takes its name.
    pub(crate) fn replace(&self, name: &str, text: impl AsRef<[u8]>) {
        let new = format!("{name}.new");
        self.write(&new, text);
        std::fs::rename(self.path(&new), self.path(name)).expect("the file takes its name");
    }

    /// Writes the file of a day, under the header `id,amount,note`.
    pub(crate) fn day(&self, day: &str, rows: &str) {
        self.write(&format!("days/{day}.csv"), format!("id,amount,note\n{rows}"));
    }

    /// The program with these arguments, ready to start.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_with(&self.path("dayfill.toml"), arguments)
    }

    /// The same, with the main file named as it is here; the working folder is the project's.
    pub(crate) fn command_with(&self, config: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dayfill"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("DAYFILL__DATABASE__URL", &self.url)
            // Several daemons run at once, and a test that wants the page says where.
            .env("DAYFILL__WEB__LISTEN", "none")
            .current_dir(self.folder.path())
            .arg("--config")
            .arg(config)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&mut self.command(arguments))
    }

    /// Runs the program, which must succeed.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> Ran {
        self.exit(0, arguments)
    }

    /// Runs the program, which must end with that exit code.
    pub(crate) fn exit(&self, code: i32, arguments: &[&str]) -> Ran {
        let ran = self.run(arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {ran:#?}");
        ran
    }

    /// Starts the program and lets it run; whoever starts it waits for it.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().expect("the program starts")
    }
}

impl Ran {
    /// Runs a command to its end.
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().expect("the program runs");
        Self {
            code: output.status.code().expect("the program was not killed"),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

/// The states of all days of the dataset `orders`, oldest first.
pub(crate) fn states(database: &dyn Database) -> Vec<String> {
    database.lines("select cast(day as text) as d, state from processed_days where dataset = 'orders' order by day")
}

/// The rows of the target `orders`, without the time of their load.
pub(crate) fn rows(database: &dyn Database) -> Vec<String> {
    let has_note = "case when has_note then 'yes' else 'no' end as has_note";
    let columns = format!("id, cast(amount as text) as amount, note, {has_note}, cast(file_date as text) as file_date");
    database.lines(&format!("select {columns} from orders order by file_date, id"))
}
