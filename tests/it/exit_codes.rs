//! Each exit code, reached once, and what a user sees of the smaller commands.

use crate::support::Database;
use crate::support::project::{Orders, Project, Ran, nightly};
use crate::support::sqlite::SqliteDatabase;

/// A project with a day that loads, one that waits, one that is refused and one that fails, in that order.
fn project(database: &dyn Database) -> Project {
    let project = Project::new(database, &Orders { max_rejected: "0", ..Orders::default() });
    project.day("2024-03-01", "a,1,x\n");
    project.day("2024-03-03", "a,abc,x\n");
    std::fs::create_dir(project.path("days/2024-03-04.csv")).unwrap();
    project
}

#[test]
fn every_exit_code_says_what_it_promises() {
    let database = SqliteDatabase::new();
    let project = project(&database);
    for (code, arguments) in [
        (0, &["load", "2024-03-01"][..]),
        (0, &["load", "2024-03-01..2024-03-02"]),
        (5, &["load", "2024-03-01..2024-03-02", "--strict"]),
        (4, &["load", "2024-03-01..2024-03-03"]),
        (4, &["load", "2024-03-01..2024-03-03", "--strict"]),
        (1, &["load", "2024-03-01..2024-03-04"]),
        (1, &["load", "2024-03-01..2024-03-04", "--strict"]),
        (1, &["catch-up", "--strict"]),
        // All is done but what waits: a refused day is a person's to decide.
        (0, &["catch-up", "--to", "2024-03-03"]),
        (5, &["catch-up", "--to", "2024-03-03", "--strict"]),
        (0, &["status"]),
        (2, &["load"]),
        (2, &["catch-up", "--from", "2024-03-02", "--to", "2024-03-01"]),
        (2, &["load", "1024-03-01..9999-12-31"]),
        (2, &["retry", "2000-01-01..2024-12-31"]),
        (2, &["skip", "2000-01-01..2024-12-31"]),
        (2, &["forget", "2000-01-01..2024-12-31"]),
        (2, &["run-etl", "--start-date", "2000-01-01", "--end-date", "2024-12-31"]),
    ] {
        project.exit(code, arguments);
    }
    project.write("dayfill.toml", "[claim]\nlese = \"60s\"\n");
    project.exit(3, &["status"]);
    project.write("dayfill.toml", "");
    for arguments in
        [&["status"][..], &["catch-up"], &["check"], &["load", "2024-03-01"], &["migrate"], &["skip", "2024-03-01"]]
    {
        let mut command = project.command(arguments);
        let ran = Ran::of(command.env("DAYFILL__DATABASE__URL", "postgres://127.0.0.1:1/nowhere"));
        assert_eq!(ran.code, 6, "{arguments:?}: {ran:?}");
    }
}

#[test]
fn a_catch_up_of_no_day_says_why_none_is_wanted() {
    let database = SqliteDatabase::new();
    let project = project(&database);
    let bounded = ["catch-up", "--from", "2024-03-10"];
    let why = "orders: its wanted days are 2024-03-01..2024-03-07, none within --from and --to\n";
    for arguments in [&bounded[..], &["catch-up", "--from", "2024-03-10", "--dry-run"]] {
        let ran = project.succeed(arguments);
        assert_eq!(ran.stdout, format!("nothing to do for 0 wanted days\n{why}"));
    }
    for (schedule, why) in [
        ("cron = \"0 2 * * *\"\nstart = 2999-01-01".to_owned(), "schedule.start = 2999-01-01 is in the future"),
        (
            format!("{}\ndays = \"sat\"", nightly("2024-03-04", "2024-03-05")),
            "no day from schedule.start = 2024-03-04 to 2024-03-05 is one of schedule.days",
        ),
        (
            "cron = \"0 2 * * *\"\nstart = 2024-03-01\nlag_days = 3650".to_owned(),
            "no tick has asked for a day since schedule.start = 2024-03-01 with schedule.lag_days = 3650; the next tick",
        ),
    ] {
        project.orders(&Orders { schedule, ..Orders::default() });
        let ran = project.succeed(&["catch-up"]);
        assert!(ran.stdout.starts_with(&format!("nothing to do for 0 wanted days\norders: {why}")), "{ran:#?}");
    }
}

#[test]
fn the_originals_command_tells_of_days_outside_the_schedule_too() {
    let database = SqliteDatabase::new();
    let project = project(&database);
    let ran = project.run(&["run-etl", "--start-date", "2024-02-29", "--end-date", "2024-03-01"]);
    let said = "orders: outside its schedule: 1 of 2 days before start (2024-03-01)";
    assert!(ran.stderr.contains(said), "{ran:#?}");
}

#[test]
fn a_check_says_when_no_wanted_day_has_a_file() {
    let database = SqliteDatabase::new();
    let project = project(&database);
    let check = |first: &str, source: &str| {
        let schedule = nightly(first, "2024-03-31");
        project.orders(&Orders { source: source.to_owned(), schedule, ..Orders::default() });
        project.exit(0, &["check"]).stdout
    };
    let elsewhere = "url = \"days/of-{day}.csv\"";
    let none = "warning  orders: none of its 3 wanted days has a file; check source.url and schedule.start\n";
    assert!(check("2024-03-29", elsewhere).ends_with(none));
    let many = "warning  orders: 10 of its 31 wanted days were looked at, and none has a file; check ";
    let said = check("2024-03-01", elsewhere);
    assert!(said.contains(many), "{said}");
    // Nobody looks at years of days: the newest ones and the first are enough.
    project.day("of-2024-03-15", "a,1,x\n");
    let said = check("2024-03-01", elsewhere);
    assert!(said.contains(many), "{said}");
    // The first day's is found, and one day that is waited for is no news.
    project.day("2024-03-01", "a,1,x\n");
    for (first, source) in [("2024-03-01", "url = \"days/{day}.csv\""), ("2024-03-31", elsewhere)] {
        let said = check(first, source);
        assert!(!said.contains("warning"), "{said}");
    }
}

#[test]
fn a_check_tells_a_folder_that_is_not_there_from_a_file_that_did_not_come_yet() {
    let database = SqliteDatabase::new();
    let project = project(&database);
    std::fs::write(project.path("file"), "").unwrap();
    let folder = |name: &str| project.path(name).display().to_string();
    let check = |code, url: &str| {
        project.orders(&Orders { source: format!("url = \"{url}\""), ..Orders::default() });
        project.exit(code, &["check"]).stdout
    };
    for url in ["days/{day}.csv", "days/{day:%Y}/{day:%m}/orders.csv", &format!("file://{}/{{day}}", folder("days"))] {
        let said = check(0, url);
        assert!(!said.contains("problem"), "{url}: {said}");
    }
    for (url, missing) in [
        ("days/of/{day}.csv", folder("days/of")),
        ("elsewhere/{day:%Y}/{day}.csv", folder("elsewhere")),
        ("file/{day}.csv", folder("file")),
        (&format!("file://{}/{{day}}", folder("a%20b")), folder("a b")),
    ] {
        let said = check(1, url);
        let line = format!("problem  orders: the folder {missing} does not exist; check source.url, or mount it\n");
        assert!(said.ends_with(&line), "{url}: {said}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named_by_its_whole_path() {
    let database = SqliteDatabase::new();
    let project = project(&database);
    let whole = |name: &str| project.path(name).display().to_string();
    let said = |code, arguments: &[&str], main: &str| {
        let mut command = project.command_with(std::path::Path::new(main), arguments);
        let ran = Ran::of(command.env("DAYFILL__DATABASE__URL", "sqlite:here.db"));
        assert_eq!(ran.code, code, "{arguments:?}: {ran:#?}");
        ran.stdout + &ran.stderr
    };
    for arguments in [&["check"][..], &["status"], &["migrate", "--dry-run"]] {
        let said = said(0, arguments, "dayfill.toml");
        assert!(said.contains(&whole("here.db")), "{arguments:?}: {said}");
    }
    let main = said(3, &["status"], "etc/dayfill.toml");
    assert!(main.contains(&format!("{}: is not a file that is there", whole("etc/dayfill.toml"))), "{main}");
    for (text, looked_for) in [("datasets = \"nowhere\"\n", "nowhere"), ("datasets = \"days\"\n", "days")] {
        project.write("dayfill.toml", text);
        let said = said(3, &["status"], "dayfill.toml");
        assert!(said.contains(&format!(": {}\n", whole(looked_for))), "{said}");
    }
    project.write("dayfill.toml", "[database]\nurl_file = \"url\"\n");
    let mut command = project.command_with(std::path::Path::new("dayfill.toml"), &["status"]);
    let ran = Ran::of(command.env_remove("DAYFILL__DATABASE__URL"));
    assert!(ran.stderr.contains(&format!("is not there (looked for {})", whole("url"))), "{}", ran.stderr);
}

#[test]
fn quiet_is_quieter_and_verbose_says_more() {
    let database = SqliteDatabase::new();
    let project = project(&database);
    project.write("days/2024-03-05.csv", "id,amount,note,what_is_this\na,1,x,y\n");
    project.succeed(&["migrate"]);
    let levels = |flags: &[&str]| {
        let ran = project.exit(1, &[&["load", "--force", "2024-03-01..2024-03-05"], flags].concat());
        assert!(ran.stdout.contains("2 loaded, 1 failed, 1 refused"), "what was asked for is told all the same");
        let mut levels: Vec<_> = ran.stderr.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
        levels.sort_unstable();
        levels.dedup();
        levels.join(" ")
    };
    for (flags, expected) in [
        (&[][..], "ERROR INFO WARN"),
        (&["-q"], "ERROR WARN"),
        (&["-qq"], "ERROR"),
        (&["--quiet", "--quiet", "--quiet"], ""),
    ] {
        assert_eq!(levels(flags), expected, "{flags:?}");
    }
    assert!(levels(&["-v"]).contains("INFO"));
    // What is left alone is told to those who ask for more.
    let left = |flags: &[&str]| {
        let ran = project.succeed(&[&["catch-up", "--to", "2024-03-01"], flags].concat());
        ran.stderr.lines().any(|line| line.contains(" TRACE orders 2024-03-01: already loaded"))
    };
    assert!(left(&["-vv"]) && !left(&["-v"]));
    assert!(project.succeed(&["load", "2024-03-01"]).stderr.lines().count() <= 1);
    let json = project.exit(1, &["load", "--force", "2024-03-01..2024-03-05", "--log-format", "json"]);
    for line in json.stderr.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
    }
}

#[test]
fn completions_and_the_manual_name_the_commands() {
    let database = SqliteDatabase::new();
    let project = project(&database);
    for shell in ["bash", "zsh", "fish"] {
        let ran = project.succeed(&["completions", shell]);
        for word in ["dayfill", "run-etl", "catch-up", "table-name"] {
            assert!(ran.stdout.contains(word), "{shell}: {word}");
        }
    }
    let manual = project.succeed(&["man"]).stdout;
    assert!(manual.contains(".SH NAME\ndayfill \\- Loads one file per day"), "{manual}");
    for command in ["catch\\-up", "run\\-etl", "status"] {
        assert!(manual.contains(command), "{command}");
    }
}

#[test]
fn a_sqlite_file_that_cannot_be_opened_is_named_with_the_reason_and_what_to_do() {
    let database = SqliteDatabase::new();
    let project = project(&database);
    project.write("text.db", "these are the days of our lives, and no database at all");
    std::fs::create_dir(project.path("folder.db")).unwrap();
    for (url, words) in [
        ("sqlite:no/such/folder/x.db", "the folder no/such/folder does not exist: create it"),
        ("sqlite:text.db/x.db", "text.db is no folder: name another file in database.url"),
        ("sqlite:folder.db", "folder.db: it is a folder: name a file in database.url"),
        ("sqlite:text.db", "text.db: file is not a database: name another file in database.url"),
    ] {
        let ran = |arguments: &[&str]| Ran::of(project.command(arguments).env("DAYFILL__DATABASE__URL", url));
        let loading = ran(&["catch-up"]);
        assert_eq!(loading.code, 6, "{loading:?}");
        assert!(loading.stderr.contains(words), "{loading:?}");
        let checked = ran(&["check"]);
        assert_eq!(checked.code, 6, "{checked:?}");
        let problems: Vec<&str> = checked.stdout.lines().filter(|line| line.starts_with("problem")).collect();
        let [problem] = problems.as_slice() else { panic!("{checked:?}") };
        assert!(problem.contains(words.trim_start_matches("folder.db: ")), "{checked:?}");
        // What else there is to look at was looked at.
        assert!(checked.stdout.contains("2024-03-07.csv answers: no such file"), "{checked:?}");
    }
    let looked = Ran::of(project.command(&["status"]).env("DAYFILL__DATABASE__URL", "sqlite:text.db"));
    assert_eq!(looked.code, 6, "{looked:?}");
    assert!(looked.stderr.contains("text.db: file is not a database: name another file"), "{looked:?}");
}
