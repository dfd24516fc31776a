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
            .map_err(|problems| problems.to_string().replace(&format!("{}/", self.0.path().display()), ""))
    }

    fn problems<const N: usize>(&self, variables: [(&str, &str); N]) -> String {
        self.load(variables).map(|config| config.settings).unwrap_err()
    }
}

fn shipped() -> Config {
    let main = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/dayfill.toml");
    load(Some(&main), &Environment::default()).unwrap_or_else(|problems| panic!("{problems}"))
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
