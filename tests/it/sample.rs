//! The sample week, as the README loads it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::documentation::first_transcript;
use crate::goldens::masked;
use crate::support::Database;
use crate::support::project::Ran;
use crate::support::sqlite::SqliteDatabase;

/// A copy of `sample/` in a folder of its own; the database is made beside its configuration.
struct Sample(SqliteDatabase);

impl Sample {
    fn new() -> Self {
        let database = SqliteDatabase::named("sample/dayfill.db");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("sample"), &database.folder().join("sample"));
        Self(database)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Ran {
        let mut command = Command::new(program);
        // No variable says where the database is: the default is dayfill.db beside the configuration.
        command.env_clear().current_dir(self.0.folder()).args(["--config", "sample/dayfill.toml"]).args(arguments);
        Ran::of(command.stdin(Stdio::null()))
    }
}

fn copy(from: &Path, to: &PathBuf) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

const DAYFILL: &str = env!("CARGO_BIN_EXE_dayfill");
const ALGOLIA_ETL: &str = env!("CARGO_BIN_EXE_algolia-etl");

#[test]
fn the_first_command_loads_six_days_and_waits_for_one() {
    let sample = Sample::new();
    let ran = sample.run(DAYFILL, &["catch-up"]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    // Only the times differ from what the README shows.
    assert_eq!(masked(&ran.stdout), masked(&first_transcript()));
    // Made-up as they are, the rows have the quirks of the real ones, and none is rejected.
    assert_eq!(
        sample
            .0
            .line("select count(*), count(distinct file_date), min(application_id is not null) from algolia_output"),
        sample.0.line("select sum(rows_loaded), 6, 1 from processed_days where rows_rejected = 0")
    );
    let again = sample.run(DAYFILL, &["catch-up", "--strict"]);
    assert_eq!(again.code, 5, "{again:#?}");
    let status = sample.run(DAYFILL, &["status"]);
    assert!(status.stdout.starts_with("shopify_config into algolia_output: 6 loaded, 1 waiting;"), "{}", status.stdout);
    assert_eq!(sample.run(DAYFILL, &["check"]).code, 0);
}

#[test]
fn the_originals_program_prints_the_originals_lines() {
    let sample = Sample::new();
    let read = |day: &str| {
        let file = std::fs::File::open(sample.0.folder().join(format!("sample/{day}.csv"))).unwrap();
        let mut file = csv::Reader::from_reader(file);
        let rows: Vec<csv::StringRecord> = file.records().map(Result::unwrap).collect();
        let kept = rows.iter().filter(|row| !matches!(&row[2], "" | "N/A")).count();
        format!("Processing data for {day}\nExtracted {} rows\nTransformed data: {kept} rows\n", rows.len())
            + &format!("Loaded {kept} rows to ")
    };
    let (first, second) = (read("2019-04-01"), read("2019-04-02"));
    let arguments = ["run-etl", "--start-date", "2019-04-01", "--end-date", "2019-04-02"];
    for _ in 0..2 {
        let ran = sample.run(ALGOLIA_ETL, &arguments);
        assert_eq!(ran.code, 0, "{ran:#?}");
        let expected = format!("{first}algolia_output\n{second}algolia_output\nETL process completed for all dates\n");
        assert_eq!(ran.stdout, expected);
    }
    let ran = sample.run(ALGOLIA_ETL, &[&arguments[..], &["--table-name", "elsewhere"]].concat());
    assert!(ran.stdout.contains("rows to elsewhere\n") && !ran.stdout.contains("algolia_output"), "{}", ran.stdout);
    assert_eq!(
        sample.0.lines("select id, shop_domain from elsewhere order by id"),
        sample.0.lines("select id, shop_domain from algolia_output order by id")
    );
    // It has that one command and no other.
    assert_eq!(sample.run(ALGOLIA_ETL, &["catch-up"]).code, 2);
}

/// Whoever tries the sample and then loads days of their own from the same folder has two databases.
#[test]
fn two_configurations_do_not_share_the_default_database() {
    let sample = Sample::new();
    let folder = sample.0.folder();
    assert_eq!(sample.run(DAYFILL, &["catch-up"]).code, 0);
    std::fs::create_dir_all(folder.join("config")).unwrap();
    let own = |name: &str| std::fs::copy(folder.join("sample").join(name), folder.join("config").join(name)).unwrap();
    std::fs::create_dir(folder.join("config/datasets")).unwrap();
    for name in ["dayfill.toml", "datasets/shopify_config.toml", "2019-04-01.csv"] {
        own(name);
    }
    let mut command = Command::new(ALGOLIA_ETL);
    command.env_clear().current_dir(folder).stdin(Stdio::null());
    let ran = Ran::of(command.args(["run-etl", "--start-date", "2019-04-01", "--end-date", "2019-04-01"]));
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(folder.join("config/dayfill.db").exists() && !folder.join("dayfill.db").exists());
    assert_eq!(sample.0.line("select count(*) from load_attempts where trigger = 'run-etl'"), "0");
    // From another folder it is the same database.
    let mut command = Command::new(DAYFILL);
    command.env_clear().current_dir(folder.join("sample")).stdin(Stdio::null());
    let ran = Ran::of(command.args(["--config", "dayfill.toml", "status"]));
    assert!(ran.stdout.starts_with("shopify_config into algolia_output: 6 loaded, 1 waiting;"), "{ran:#?}");
}

#[test]
fn a_database_that_an_older_version_left_in_the_working_folder_is_told_of_and_never_used() {
    let sample = Sample::new();
    sample.run(DAYFILL, &["load", "2019-04-01"]);
    let folder = sample.0.folder();
    let (old, own) = (folder.join("dayfill.db"), folder.join("sample/dayfill.db"));
    std::fs::rename(&own, &old).unwrap();
    let before = std::fs::read(&old).unwrap();
    let advice = "stop dayfill and move it: mv dayfill.db sample/dayfill.db\n";
    let said = |ran: &Ran| ran.stderr.matches("dayfill.db in the working folder is not used").count();
    let ran = sample.run(DAYFILL, &["status"]);
    assert!(said(&ran) == 1 && ran.stderr.ends_with(advice) && ran.stdout.contains("missing"), "{ran:#?}");
    // The original's program beside the sample has a configuration of its own, and so a database of its own.
    let etl = ["run-etl", "--start-date", "2019-04-01", "--end-date", "2019-04-01"];
    let ran = sample.run(ALGOLIA_ETL, &etl);
    assert!(ran.code == 0 && said(&ran) == 1 && own.exists(), "{ran:#?}");
    assert_eq!(std::fs::read(&old).unwrap(), before);
    // Once it has its own, the other one may be anybody's.
    assert_eq!(said(&sample.run(ALGOLIA_ETL, &etl)), 0);

    // What the advice says runs, and the day is loaded there.
    std::fs::remove_file(&own).unwrap();
    std::fs::rename(&old, &own).unwrap();
    let ran = sample.run(DAYFILL, &["load", "2019-04-01"]);
    assert!(said(&ran) == 0 && ran.stdout.contains("already loaded"), "{ran:#?}");
    // No database, and one that a variable names in the working folder, are told of by nobody.
    std::fs::remove_file(&own).unwrap();
    std::fs::write(&old, "no database").unwrap();
    assert_eq!(said(&sample.run(DAYFILL, &["status"])), 0);
}
