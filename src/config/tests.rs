//! Whole configurations in temporary folders: the shipped one, overrides, and every problem at once.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::column::{ColumnType, Identifier};
use crate::dataset::MaxRejected;
use crate::db::url::DatabaseUrl;

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
fn the_shipped_main_file_is_the_defaults() {
    assert_eq!(shipped().settings, Settings::default());
    let empty = Folder::new("").write("datasets/a.toml", GOOD).load([]).unwrap();
    assert_eq!(empty.settings, Settings::default());
}

#[test]
fn the_shipped_main_file_names_every_key() {
    let main = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/dayfill.toml");
    let text = fs::read_to_string(main).unwrap();
    // An unknown key makes each section name the ones it knows.
    let sections = [
        "",
        "[database]",
        "[claim]",
        "[catch_up]",
        "[retry]",
        "[waiting]",
        "[shutdown]",
        "[reload]",
        "[web]",
        "[metrics]",
        "[log]",
    ];
    let top_level = ["datasets", "max_parallel_loads"];
    for section in sections {
        let problems = Folder::new(&format!("{section}\nxxxxxxxxxxxx = 1")).write("datasets/a.toml", GOOD).problems([]);
        let known = problems.split_once("known here: ").unwrap().1;
        for key in known.split(", ") {
            let (line, commented, head) = (format!("\n{key} = "), format!("\n# {key} = "), format!("\n[{key}]\n"));
            assert!([line, commented, head].iter().any(|form| text.contains(form)), "{section} {key}");
            assert!(
                !section.is_empty() || top_level.contains(&key) || sections.contains(&format!("[{key}]").as_str()),
                "{key}"
            );
        }
    }
}

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
fn the_environment_overrides_the_file() {
    let folder = Folder::new("[log]\nlevel = \"warn\"\n[claim]\nlease = \"5s\"").write("datasets/a.toml", GOOD);
    let settings = folder
        .load([
            ("DAYFILL__LOG__LEVEL", "debug"),
            ("DAYFILL__CATCH_UP__CONCURRENCY", "4"),
            ("DAYFILL__RETRY__FIRST_DELAY", "30s"),
            ("DAYFILL__WAITING__POLL", ""),
            ("DAYFILL_CONFIG", "not looked at"),
            ("DAYFILL_OTHER", "not ours"),
        ])
        .unwrap()
        .settings;
    assert_eq!(settings.log.level, log::LevelFilter::Debug);
    assert_eq!(settings.policy.catch_up.concurrency, 4);
    assert_eq!(settings.policy.retry.first_delay, Duration::from_secs(30));
    assert_eq!(settings.claim.lease, Duration::from_secs(5));
    assert_eq!(settings.policy.waiting, Settings::default().policy.waiting);
}

#[test]
fn the_page_is_told_where_it_is_and_who_may_come_in() {
    let main = r#"
[web]
listen = "[::]:8443"
base_path = "/tools/day-fill"
hosts = ["Dayfill.Example.com.", "10.1.2.3", "[2001:db8::1]"]
trusted_proxies = ["10.0.0.7", "192.168.3.9/16", "fd00::/8"]
auth = "secrets/users.toml"
tls_certificate = "/etc/tls/page.crt"
tls_key = "page.key"
[metrics]
listen = "0.0.0.0:9100"
"#;
    let folder = Folder::new(main).write("datasets/a.toml", GOOD);
    let web = folder.load([]).unwrap().settings.web;
    let here = folder.0.path();
    assert_eq!((web.listen, web.metrics), ("[::]:8443".parse().ok(), "0.0.0.0:9100".parse().ok()));
    assert_eq!(web.base_path, "/tools/day-fill");
    assert_eq!(web.hosts, ["dayfill.example.com", "10.1.2.3", "2001:db8::1"]);
    let proxies: Vec<String> = web.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(proxies, ["10.0.0.7/32", "192.168.0.0/16", "fd00::/8"]);
    assert_eq!(web.auth, Some(here.join("secrets/users.toml")));
    let tls = web.tls.unwrap();
    assert_eq!((tls.certificate, tls.key), ("/etc/tls/page.crt".into(), here.join("page.key")));
    // Lists of the environment have commas.
    let variables = [("DAYFILL__WEB__HOSTS", "a.example, b.example"), ("DAYFILL__WEB__LISTEN", "none")];
    let web = folder.load(variables).unwrap().settings.web;
    assert_eq!((web.hosts.join(" ").as_str(), web.listen), ("a.example b.example", None));
}

#[test]
fn a_page_for_others_wants_users_and_the_rest_has_to_fit() {
    let open = "is not a loopback address, which wants web.auth: without users the page is for this machine";
    let address = "is not an address with a port such as \"127.0.0.1:8080\" or \"[::1]:8080\", nor \"none\"";
    for (main, expected) in [
        ("web.listen = \"127.0.0.2:80\"", String::new()),
        ("web.listen = \"[::1]:80\"", String::new()),
        ("web.listen = \"none\"\nmetrics.listen = \"0.0.0.0:80\"", String::new()),
        ("web.listen = \"0.0.0.0:80\"\nweb.auth = \"users.toml\"", String::new()),
        ("web.listen = \"0.0.0.0:80\"", format!("web.listen = \"0.0.0.0:80\": {open}")),
        ("web.listen = \"[::]:80\"\nweb.auth = \"none\"", format!("web.listen = \"[::]:80\": {open}")),
        ("web.listen = \"0.0.0.0:80\"\nweb.auth = 1", "web.auth = 1: is not a text: write it in quotes".to_owned()),
        ("web.listen = \"off\"", format!("web.listen = \"off\": {address}")),
        ("web.listen = \"localhost:80\"", format!("web.listen = \"localhost:80\": {address}")),
        ("metrics.listen = \"9100\"", format!("metrics.listen = \"9100\": {address}")),
        (
            "metrics.listen = \"127.0.0.1:8080\"",
            "metrics.listen = \"127.0.0.1:8080\": is where the page listens: leave it out, and both are told there"
                .to_owned(),
        ),
        (
            "web.base_path = \"dayfill\"",
            "web.base_path = \"dayfill\": does not begin with a slash: write \"/dayfill\", or \"\" for none".to_owned(),
        ),
        (
            "web.base_path = \"/dayfill/\"",
            "web.base_path = \"/dayfill/\": ends with a slash: write \"/dayfill\", or \"\" for none".to_owned(),
        ),
        (
            "web.tls_key = \"page.key\"",
            "web.tls_key = \"page.key\": is without tls_certificate: name both or none".to_owned(),
        ),
        (
            "web.tls_certificate = \"page.crt\"",
            "web.tls_certificate = \"page.crt\": is without tls_key: name both or none".to_owned(),
        ),
        (
            "web.trusted_proxies = [\"10.0.0.0/33\"]",
            "web.trusted_proxies = [\"10.0.0.0/33\"]: holds \"10.0.0.0/33\", which is not an address such as \
             \"10.0.0.1\", nor a range such as \"10.0.0.0/8\""
                .to_owned(),
        ),
        ("web.lisen = 1", "web.lisen: unknown key; did you mean \"listen\"?".to_owned()),
    ] {
        let problems = Folder::new(main).write("datasets/a.toml", GOOD).load([]).err().unwrap_or_default();
        assert_eq!(problems.trim_start_matches("dayfill.toml: "), expected, "{main}");
    }
    for path in ["/", "//", "/a//b", "/a/../b", "/.", "/a b", "/a;b", "/a?b", "/é", "/a%2fb"] {
        let main = format!("web.base_path = \"{path}\"");
        assert!(Folder::new(&main).write("datasets/a.toml", GOOD).load([]).is_err(), "{path}");
    }
    for host in ["", "a:80", "https://a", "a/b", "a b", ".a", "*"] {
        let main = format!("web.hosts = [\"{host}\"]");
        let problem = Folder::new(&main).write("datasets/a.toml", GOOD).problems([]);
        assert!(problem.contains(&format!("holds {host:?}, which is not the name of a host")), "{problem}");
    }
}

#[test]
fn a_datasets_own_policy_comes_before_the_main_files() {
    let main = "[waiting]\npoll = \"5m\"\ndeadline = \"07:30\"\n[catch_up]\nmax_days_per_tick = 3\n";
    let own = format!("{GOOD}\n[waiting]\npoll = \"1m\"\n[catch_up]\nmax_days_per_tick = \"all\"\n");
    let config = Folder::new(main)
        .write("datasets/a.toml", GOOD)
        .write("datasets/b.toml", &own.replace("table = \"t\"", "table = \"u\""))
        .load([])
        .unwrap();
    let [a, b] = config.datasets.as_slice() else { panic!("two datasets") };
    assert_eq!((a.policy.waiting.poll, b.policy.waiting.poll), (Duration::from_mins(5), Duration::from_mins(1)));
    assert_eq!(b.policy.waiting.deadline, chrono::NaiveTime::from_hms_opt(7, 30, 0));
    assert_eq!((a.policy.catch_up.max_days_per_tick, b.policy.catch_up.max_days_per_tick), (Some(3), None));
    assert!(a.policy.catch_up.on_start && !a.policy.catch_up.stop_on_failure);
}

#[test]
fn problems_of_the_environment_name_the_variable() {
    let folder = Folder::new("").write("datasets/a.toml", GOOD);
    let problems = folder.problems([
        ("DAYFILL__CATCH_UP__CONCURRENCY", "many"),
        ("DAYFILL__LOG__LEVL", "info"),
        ("DAYFILL__LGO__LEVEL", "info"),
        ("DAYFILL__LOG", "info"),
        ("DAYFILL__DATABASE__URL", "postgres://u:hunter22"),
    ]);
    let mut lines: Vec<&str> = problems.lines().collect();
    lines.sort_unstable();
    let lines: Vec<&str> = lines.into_iter().filter(|line| !line.starts_with("DAYFILL__LOG")).collect();
    assert_eq!(
        lines,
        [
            "DAYFILL__CATCH_UP__CONCURRENCY: catch_up.concurrency = \"many\": is not a whole number from 1 to 64",
            "DAYFILL__DATABASE__URL: database.url = ***: has a port that is not a number from 1 to 65535",
            "DAYFILL__LGO__LEVEL: lgo: unknown key; did you mean \"log\"?",
        ]
    );
    let problems = folder.problems([("DAYFILL__LOG__LEVL", "info")]);
    assert_eq!(problems, "DAYFILL__LOG__LEVL: log.levl: unknown key; did you mean \"level\"?");
    let unset = "no key of a dataset can be set by a variable: set it in the dataset's file; DAYFILL__DATASETS, with \
                 nothing behind it, is the folder of these files";
    let problems = folder.problems([
        ("DAYFILL__DATASETS", "datasets"),
        ("DAYFILL__DATASETS__A__SCHEDULE__CRON", "@daily"),
        ("dayfill__datasets__b", "hunter22"),
        ("DAYFILL__DATASETS__C", ""),
    ]);
    assert_eq!(
        problems,
        format!("DAYFILL__DATASETS__A__SCHEDULE__CRON: {unset}\ndayfill__datasets__b: {unset}"),
        "beside the folder or not, and never the value"
    );
    let problems = folder.problems([("DAYFILL__DATASETS", "elsewhere")]);
    assert!(
        problems.starts_with("DAYFILL__DATASETS: datasets = \"elsewhere\": cannot be read as a folder"),
        "{problems}"
    );
}

#[test]
fn the_url_comes_from_the_first_place_that_has_one() {
    let main = "[database]\nurl = \"sqlite:main.db\"\nurl_file = \"url\"";
    let folder = Folder::new(main).write("url", "sqlite:file.db\n").write("datasets/a.toml", GOOD);
    let url = |folder: &Folder, variables: [(&str, &str); 3]| folder.load(variables).unwrap().settings.database.url;
    let sqlite = |path: &str| DatabaseUrl::Sqlite(path.into());
    let (ours, theirs, state) = ("DAYFILL__DATABASE__URL", "ALGOLIA_DB_URI", "STATE_DIRECTORY");
    assert_eq!(url(&folder, [(ours, "sqlite:1.db"), (theirs, "sqlite:2.db"), (state, "")]), sqlite("1.db"));
    assert_eq!(url(&folder, [(ours, ""), (theirs, "sqlite:2.db"), (state, "/s")]), sqlite("/s/2.db"));
    assert_eq!(url(&folder, [(ours, ""), (theirs, ""), (state, "/s:/t")]), sqlite("/s/file.db"));
    let folder = Folder::new("[database]\nurl = \"sqlite:main.db\"").write("datasets/a.toml", GOOD);
    assert_eq!(url(&folder, [(ours, ""), (theirs, ""), (state, "/s")]), sqlite("/s/main.db"));
    let folder = Folder::new("").write("datasets/a.toml", GOOD);
    assert_eq!(url(&folder, [(ours, ""), (theirs, ""), (state, "/s")]), sqlite("/s/dayfill.db"));
    let shown = folder.load([(theirs, "postgresql+psycopg2://u:secret@h/d")]).unwrap().settings;
    assert_eq!(shown.database.url.to_string(), "postgres://u:***@h/d");
    assert!(!format!("{shown:?}").contains("secret"));
}

#[test]
fn every_key_tells_where_it_was_set() {
    let folder = Folder::new("[claim]\nlease = \"5s\"\n[retry]\nmax_attempts = 2").write("datasets/a.toml", GOOD);
    let variables = [("DAYFILL__CLAIM__LEASE", "6s"), ("dayfill__waiting__poll", "1m"), ("DAYFILL__LOG__LEVEL", "")];
    let keys = folder.load(variables).unwrap().keys;
    let told = |key: &str| {
        let given = keys.get(key).unwrap_or_else(|| panic!("{key}: {keys:?}"));
        (given.shown.clone(), given.origin.replace(&format!("{}/", folder.0.path().display()), ""))
    };
    for (key, shown, origin) in [
        ("claim.lease", "\"6s\"", "DAYFILL__CLAIM__LEASE"),
        ("waiting.poll", "\"1m\"", "dayfill__waiting__poll"),
        ("retry.max_attempts", "2", "dayfill.toml"),
        ("log.level", "\"info\"", "default"),
        ("database.url", "sqlite:dayfill.db", "default"),
        ("datasets/a.toml target.table", "\"t\"", "datasets/a.toml"),
    ] {
        assert_eq!(told(key), (shown.to_owned(), origin.to_owned()), "{key}");
    }
    let of_main = keys.keys().filter(|key| !key.contains(".toml ")).count();
    let shipped = shipped().keys;
    assert_eq!(of_main, shipped.keys().filter(|key| !key.contains(".toml ")).count(), "what is left out is there, too");
    assert!(shipped.values().all(|given| given.origin != "default"));
}

#[test]
fn the_databases_url_tells_where_it_was_set() {
    let main = "[database]\nurl = \"postgres://u:secret@h/d\"";
    let in_file = Folder::new(main).write("datasets/a.toml", GOOD);
    let elsewhere =
        Folder::new(&format!("{main}\nurl_file = \"url\"")).write("url", "sqlite:a.db").write("datasets/a.toml", GOOD);
    let (ours, theirs) = ("DAYFILL__DATABASE__URL", "ALGOLIA_DB_URI");
    for (folder, variables, shown, origin) in [
        (&in_file, [(ours, ""), (theirs, "")], "postgres://u:***@h/d", "dayfill.toml"),
        (&in_file, [(ours, ""), (theirs, "sqlite:b.db")], "sqlite:b.db", theirs),
        (&elsewhere, [(ours, ""), (theirs, "")], "sqlite:a.db", "url"),
        (&elsewhere, [(ours, "sqlite:c.db"), (theirs, "sqlite:b.db")], "sqlite:c.db", ours),
    ] {
        let keys = folder.load(variables).unwrap().keys;
        let url = &keys["database.url"];
        let told = url.origin.replace(&format!("{}/", folder.0.path().display()), "");
        assert_eq!((url.shown.as_str(), told.as_str()), (shown, origin));
    }
}

#[test]
fn a_url_file_may_be_a_credential() {
    let folder = Folder::new("[database]\nurl_file = \"url\"").write("datasets/a.toml", GOOD);
    assert!(
        folder.problems([]).starts_with("dayfill.toml: database.url_file = \"url\": is not there (looked for url)")
    );
    let folder = folder.write("credentials/url", "sqlite:/c.db\r\n");
    let credentials = folder.0.path().join("credentials");
    let found = folder.load([("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap())]).unwrap();
    assert_eq!(found.settings.database.url, DatabaseUrl::Sqlite("/c.db".into()));
    let mixed_up = Folder::new("[database]\nurl_file = \"postgres://u:hunter22\"").write("datasets/a.toml", GOOD);
    let expected = "dayfill.toml: database.url_file = ***: is a URL: write it as url, or into the file that this names";
    assert_eq!(mixed_up.problems([]), expected);
    let folder = folder.write("url", "postgres://u:hunter22");
    assert_eq!(folder.problems([]), "url: database.url = ***: has a port that is not a number from 1 to 65535");
}

#[test]
fn a_named_file_must_be_there() {
    let missing = Path::new("/nowhere/dayfill.toml");
    let environment = Environment::from_pairs([("DAYFILL_CONFIG", "/nowhere/else.toml")]);
    let said = |flag| load(flag, &environment).unwrap_err().to_string();
    assert_eq!(said(Some(missing)), "/nowhere/dayfill.toml: is not a file that is there (named by --config)");
    assert_eq!(said(None), "/nowhere/else.toml: is not a file that is there (named by DAYFILL_CONFIG)");
}

#[test]
fn a_syntax_error_names_file_and_line_and_shows_nothing() {
    let folder = Folder::new("[database]\nurl = \"postgres://u:hunter22@h\n").write("datasets/a.toml", "a = = 1");
    let problems = folder.problems([]);
    let lines: Vec<&str> = problems.lines().collect();
    assert!(lines[0].starts_with("dayfill.toml: line 2, column "), "{problems}");
    assert!(lines[0].contains("is not TOML (") && !problems.contains("hunter22"), "{problems}");
    assert!(lines[1].starts_with("datasets/a.toml: line 1, column 5: is not TOML ("), "{problems}");
    assert_eq!(lines.len(), 2);
}

#[test]
fn no_datasets_and_hidden_ones() {
    let folder = Folder::new("");
    assert!(
        folder.problems([]).starts_with("dayfill.toml: datasets = \"datasets\": cannot be read as a folder (No such")
    );
    let folder = folder.write("datasets/.a.toml", "x").write("datasets/a.txt", "x");
    assert_eq!(folder.problems([]), "dayfill.toml: datasets = \"datasets\": holds no dataset file (*.toml): datasets");
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
fn each_thing_that_contradicts_another() {
    for (from, to, expected) in [
        ("key = [\"id\"]", "key = []", "target.key = []: is empty: name the columns that tell a day's rows apart"),
        (
            "key = [\"id\"]",
            "key = [\"ids\"]",
            "target.key[0] = \"ids\": is not a column of the file; did you mean \"id\"?",
        ),
        (
            "key = [\"id\"]",
            "key = [\"file_date\", \"id\"]",
            "target.key[0] = \"file_date\": is the day, which the primary key holds anyway: leave it out",
        ),
        ("\"t\"", "\"s.t\"", "target.table = \"s.t\": has a schema, which SQLite does not know"),
        ("[schedule]", "path_style = true\n[schedule]", ""),
        (
            "[schedule]",
            "settle = \"30s\"\n[schedule]",
            "source.settle = \"30s\": means nothing here: only file sources have it",
        ),
        ("[schedule]", "allow_http = 1\n[schedule]", "source.allow_http = 1: is not true or false"),
        (
            "[schedule]",
            "endpoint = \"http://localhost\"\n[schedule]",
            "source.endpoint = \"http://localhost\": is plain http: set allow_http = true if that is meant",
        ),
        ("2019-04-01", "2019-04-31x", "line"),
        ("2019-04-01", "20190401", "schedule.start = 20190401: is not a text: write it in quotes"),
        ("2019-04-01", "\"1 April\"", "schedule.start = \"1 April\": is not a day (YYYY-MM-DD)"),
        (
            "\"0 2 * * *\"",
            "\"0 0 31 2 *\"",
            "schedule.cron = \"0 0 31 2 *\": is not a cron expression that ever ticks: there is no such date",
        ),
        (
            "\"0 2 * * *\"",
            "\"@dayly\"",
            "schedule.cron = \"@dayly\": is not a cron expression: the nicknames are @yearly, @monthly, @weekly, @daily, @hourly; did you mean \"@daily\"?",
        ),
        (
            "\"0 2 * * *\"",
            "\"0 25 * * *\"",
            "schedule.cron = \"0 25 * * *\": is not a cron expression: its hour is \"25\"; it takes 0 to 23, *, ranges (1-5), lists (1,3) and steps (*/2)",
        ),
        ("\"0 2 * * *\"", "2", "schedule.cron = 2: is not a text: write it in quotes"),
        ("[rows]", "[csv]\nquote = \",\"\n[rows]", "csv.quote = \",\": is the same character as delimiter"),
        (
            "[rows]",
            "[csv]\ndelimiter = \"é\"\n[rows]",
            "csv.delimiter = \"é\": is not a single ASCII character (or \"\\t\")",
        ),
        ("\"n\"", "\"n\", default = [1]", "rows.columns[1].default = [1]: is not a text, number or boolean"),
        ("[rows]", "[rows]\nwhere = \"\"", "rows.where = \"\": is empty"),
        (
            "[rows]",
            "[rows]\nwhere = 1",
            "rows.where = 1: is not SQL: write one text, or { postgres = \"...\", sqlite = \"...\" }",
        ),
        (
            "\"n\"",
            "\"file_date\"",
            "target.day_column: is file_date by default, also a column of the file: read that one under another name \
             ({ name = \"file_date_in_file\", from = \"file_date\", ... }), or name another day_column",
        ),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let folder = Folder::new("").write("datasets/a.toml", &GOOD.replacen(from, to, 1));
        let problems = folder.load([]).err().unwrap_or_default();
        let problem = problems.trim_start_matches("datasets/a.toml: ");
        if expected == "line" {
            assert!(problem.starts_with("line 6, column "), "{problem}");
        } else {
            assert_eq!(problem, expected, "{to}");
        }
    }
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
    let expected = include_str!("tests/all_problems.txt");
    let problems = folder.problems([]);
    assert_eq!(problems.trim(), expected.trim(), "\n{problems}\n");
    assert!(!problems.contains("hunter22"));
}
