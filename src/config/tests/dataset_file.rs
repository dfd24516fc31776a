//! A dataset's file: what it may say.

use std::time::Duration;

use super::{Folder, GOOD, shipped};
use crate::column::{ColumnType, Identifier};
use crate::dataset::MaxRejected;

#[test]
fn the_shipped_dataset_has_the_files_columns() {
    let datasets = shipped().datasets;
    let dataset = &datasets[0];
    assert_eq!((datasets.len(), dataset.name.as_str()), (1, "shopify_config"));
    assert_eq!(dataset.rows.columns.len(), 22);
    assert_eq!(dataset.rows.columns[11].kind, ColumnType::Bigint);
    assert_eq!(dataset.csv.null, ["", "N/A"]);
    assert_eq!(dataset.schedule.lag_days, 1);
    assert_eq!(dataset.schedule.start.to_string(), "2019-04-01");
    assert_eq!(dataset.limits.max_rejected, MaxRejected::Percent(1.0));
    let key: Vec<&str> = dataset.target.primary_key().into_iter().map(Identifier::as_str).collect();
    assert_eq!(key, ["file_date", "id"]);
}

#[test]
fn plain_paths_are_relative_to_the_main_file() {
    let folder = Folder::new("").write("datasets/a.toml", &GOOD.replace("s3://bucket/", "data/"));
    let config = folder.load([]).unwrap();
    let expected = folder.0.path().join("data/{day}.csv");
    assert_eq!(config.datasets[0].source.url.to_string(), expected.to_str().unwrap());
}

#[test]
fn a_dataset_with_everything() {
    let text = r#"
[source]
url = "s3://bucket/{day:%Y/%m/%d}.csv.gz"
region = "eu-west-1"
endpoint = "http://127.0.0.1:9000"
allow_http = true
path_style = true
[schedule]
cron = "@daily"
timezone = "Europe/Paris"
start = "2019-04-01"
days = "mon-fri"
[csv]
delimiter = "\\t"
quote = "'"
last_line_end = "optional"
[target]
table = "t"
mode = "upsert"
key = ["id"]
day_column = "day"
loaded_at = "at"
[rows]
where = { postgres = "a", sqlite = "b" }
columns = [
  { name = "id", type = "bigint", from = "Id of it", required = true },
  { name = "n", type = "double", optional = true, default = 1.5 },
  { name = "b", type = "boolean", default = true },
]
derive = [{ name = "d", type = "boolean", sql = "n > 1" }]
[limits]
max_rejected = 12
"#;
    let config = Folder::new("").write("datasets/b.toml", text).write("datasets/a.toml", GOOD).load([]).unwrap();
    let [first, dataset] = &config.datasets[..] else { panic!("{config:?}") };
    assert_eq!(first.name.as_str(), "a");
    assert_eq!((dataset.csv.delimiter, dataset.csv.quote, dataset.csv.last_line_end_required), (b'\t', b'\'', false));
    assert_eq!(dataset.csv.null, [""]);
    assert_eq!(dataset.rows.filter.as_ref().map(|sql| (sql.postgres.as_str(), sql.sqlite.as_str())), Some(("a", "b")));
    assert_eq!(dataset.rows.columns[0].header, "Id of it");
    assert_eq!(dataset.rows.columns[1].default.as_deref(), Some("1.5"));
    assert_eq!(dataset.rows.columns[2].default.as_deref(), Some("true"));
    assert_eq!(dataset.limits.max_rejected, MaxRejected::Count(12));
}

#[test]
fn a_local_source_may_settle_and_a_public_bucket_be_read_unsigned() {
    let local = GOOD.replace("s3://bucket/{day}.csv\"", "days/{day}.csv\"\nsettle = \"30s\"");
    let public = GOOD.replace("s3://bucket/{day}.csv\"", "gs://bucket/{day}.csv\"\nanonymous = true");
    let public = public.replace("table = \"t\"", "table = \"other\"");
    let config = Folder::new("").write("datasets/a.toml", &local).write("datasets/b.toml", &public).load([]).unwrap();
    assert_eq!(config.datasets[0].source.settle, Duration::from_secs(30));
    assert!(config.datasets[1].source.anonymous);
}

#[test]
fn a_web_source_takes_user_and_headers_from_files() {
    let web = |keys: &str| GOOD.replace("s3://bucket/{day}.csv\"", &format!("https://h/{{day}}.csv\"\n{keys}"));
    let good = web("user_file = \"user\"\nheaders_file = \"headers\"");
    let folder = Folder::new("")
        .write("user", "me:hush\n")
        .write("credentials/headers", "X-Api-Key: hush\n")
        .write("datasets/a.toml", &good);
    let credentials = folder.0.path().join("credentials");
    let config = folder.load([("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap())]).unwrap();
    let source = &config.datasets[0].source;
    assert_eq!(source.headers_file, Some(credentials.join("headers")));
    assert!(source.user_file.as_ref().unwrap().ends_with("user"));
    for (keys, problem) in [
        ("user_file = \"me:hush\"", "source.user_file = ***: is not the name of a file"),
        ("headers_file = \"Bearer hush\"", "source.headers_file = ***: is not the name of a file"),
        ("user_file = \"nowhere\"", "source.user_file = \"nowhere\": is not there (looked for "),
        ("user_file = \"wrong\"", "source.user_file = \"wrong\": is not one line of user:password"),
        ("headers_file = \"wrong\"", "source.headers_file = \"wrong\": has no \"Name: value\" in line 1"),
    ] {
        let folder =
            Folder::new("").write("user", "me:hush\n").write("wrong", "hush\n").write("datasets/a.toml", &web(keys));
        let problems = folder.problems([]);
        assert!(problems.contains(problem) && !problems.contains("hush"), "{keys}: {problems}");
    }
}

#[test]
fn a_web_source_is_told_once_who_to_log_in_as() {
    let both = "source.headers_file = \"token\": has a header Authorization, and ";
    for (url, keys, problem) in [
        (
            "https://me:hush@h/{day}.csv",
            "user_file = \"user\"",
            "source.user_file = \"user\": says who to log in as, and so does url",
        ),
        ("https://me:hush@h/{day}.csv", "headers_file = \"token\"", &format!("{both}url makes another one")),
        (
            "https://h/{day}.csv",
            "user_file = \"user\"\nheaders_file = \"token\"",
            &format!("{both}user_file makes another one"),
        ),
        ("https://h/{day}.csv", "headers_file = \"token\"", ""),
        ("https://me:hush@h/{day}.csv", "headers_file = \"key\"", ""),
        ("https://h/a@b/{day}.csv", "user_file = \"user\"\nheaders_file = \"key\"", ""),
    ] {
        let source = GOOD.replace("s3://bucket/{day}.csv\"", &format!("{url}\"\n{keys}"));
        let folder = Folder::new("")
            .write("user", "me:hush\n")
            .write("token", "authorization: Bearer hush\n")
            .write("key", "X-Api-Key: hush\n")
            .write("datasets/a.toml", &source);
        if problem.is_empty() {
            assert!(folder.load([]).unwrap().broken.is_empty(), "{url} {keys}");
        } else {
            let problems = folder.problems([]);
            assert!(problems.contains(problem) && !problems.contains("hush"), "{url} {keys}: {problems}");
        }
    }
}
