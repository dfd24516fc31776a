//! Whole configurations in temporary folders, a file of tests per file that reads; and here, every problem at once.

mod checks;
mod database;
mod dataset_file;
mod environment;
mod keys;
mod locate;
mod policy;
mod settings;
mod toml;
mod web;

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;

/// A dataset with nothing wrong.
const GOOD: &str = r#"
[source]
url = "s3://bucket/{day}.csv"
[schedule]
cron = "0 2 * * *"
start = 2019-04-01
[target]
table = "t"
key = ["id"]
[rows]
columns = [{ name = "id", type = "uuid" }, { name = "n", type = "bigint" }]
"#;

struct Folder(TempDir);

impl Folder {
    fn new(main: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("dayfill.toml", main)
    }

    fn write(self, name: &str, text: &str) -> Self {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn load<const N: usize>(&self, variables: [(&str, &str); N]) -> Result<Config, String> {
        load(Some(&self.0.path().join("dayfill.toml")), &Environment::from_pairs(variables))
            .map_err(|problems| self.shown(&problems))
    }

    /// Without the folder's own path.
    fn shown(&self, problems: &Problems) -> String {
        problems.to_string().replace(&format!("{}/", self.0.path().display()), "")
    }

    /// What is wrong with some file.
    fn problems<const N: usize>(&self, variables: [(&str, &str); N]) -> String {
        let config = match self.load(variables) {
            Err(problems) => return problems,
            Ok(config) => config,
        };
        assert!(!config.broken.is_empty(), "nothing is wrong");
        self.shown(&Problems(config.broken.into_iter().flat_map(|broken| broken.problems.0).collect()))
    }
}

fn shipped() -> Config {
    let main = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/dayfill.toml");
    load(Some(&main), &Environment::default()).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn a_wrong_dataset_file_keeps_out_only_its_own_dataset() {
    let folder = Folder::new("")
        .write("datasets/good.toml", GOOD)
        .write("datasets/typo.toml", &format!("{GOOD}tabel = 3"))
        .write("datasets/bad name.toml", GOOD);
    let config = folder.load([]).unwrap();
    assert_eq!(config.datasets.iter().map(|dataset| dataset.name.as_str()).collect::<Vec<_>>(), ["good"]);
    let broken: Vec<_> = config.broken.iter().map(|broken| (broken.name.as_str(), broken.problems.0.len())).collect();
    assert_eq!(broken, [("bad name", 1), ("typo", 2)]);
    assert!(config.keys.keys().any(|key| key.starts_with("datasets/good.toml ")));
    assert!(!config.keys.keys().any(|key| key.contains("typo")), "{:?}", config.keys.keys());
}

/// Which of the two is wrong cannot be told, and either would delete the rows of the other.
#[test]
fn two_datasets_that_replace_the_same_days_are_both_kept_out() {
    let folder = Folder::new("").write("datasets/a.toml", GOOD).write("datasets/b.toml", GOOD);
    let config = folder.load([]).unwrap();
    assert!(config.datasets.is_empty());
    let names: Vec<_> = config.broken.iter().map(|broken| broken.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    let expected = "datasets/a.toml: target.table = \"t\": is also where b replaces days by file_date: each would delete \
                    the other's rows\n\
                    datasets/b.toml: target.table = \"t\": is also where a replaces days by file_date: each would delete \
                    the other's rows";
    assert_eq!(folder.problems([]), expected);
}

#[test]
fn all_problems_of_all_files_at_once() {
    let main = r#"
datasets = "datasets"
catchup = 3
[database]
url = "postgres://me:hunter22@host:port/db"
ulr = "postgres://me:hunter22@host/db"
[claim]
lease = "10ms"
[retry]
max_attempts = "5"
first_delay = "2h"
[log]
level = "warning"
format = 3
"#;
    let first = r#"
[source]
url = "s4://user:hunter22@bucket/{day}.csv"
anonymus = true
settle = 30
[schedule]
cron = "0 2 * *"
timezone = "Europe/Pari"
start = 2019-04-07
end = "2019-04-01"
days = "mon-fry"
lag_days = -1
[csv]
delimiter = ";;"
quote = ","
null = "N/A"
[target]
table = "a.b.c"
mode = "replace"
key = ["id", "9"]
[rows]
where = { postgres = "x" }
columns = [
  { name = "id", type = "uid" },
  { name = "a b", type = "text", form = "A B" },
  { type = "text" },
]
derive = [{ name = "d", type = "boolean" }]
[limits]
max_rejected = "1 percent"
"#;
    let second = r#"
[source]
url = "{day}.csv"
region = "eu-west-1"
[schedule]
cron = "@daily"
start = 2019-04-01
[target]
table = "t"
key = ["id", "id", "file_date", "nn", "x"]
loaded_at = "X"
[rows]
columns = [
  { name = "id", type = "uuid" },
  { name = "ID", type = "uuid", from = "other" },
  { name = "dayfill_line", type = "bigint" },
  { name = "n", type = "bigint", from = "id" },
  { name = "file_date", type = "date", required = true, optional = true },
]
derive = [{ name = "x", type = "text", sql = "n" }]
"#;
    let folder = Folder::new(main)
        .write("datasets/1.toml", first)
        .write("datasets/2.toml", second)
        .write("datasets/3.toml", GOOD)
        .write("datasets/4.toml", GOOD)
        .write("datasets/5.toml", "")
        .write("datasets/bad name.toml", GOOD);
    let expected = include_str!("all_problems.txt");
    let problems = folder.problems([]);
    assert_eq!(problems.trim(), expected.trim(), "\n{problems}\n");
    assert!(!problems.contains("hunter22"));
}
