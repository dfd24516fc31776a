//! A password never leaves the program but to the server, and which of several URLs counts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::postgres::{TestDatabase, TestPostgres};
use crate::support::project::{Orders, Project, Ran};
use crate::support::sqlite::SqliteDatabase;
use crate::support::{Database, wait_until};

/// What passwords here are made of.
const PIECES: [&str; 2] = ["s3cr3t", "pa55"];

fn assert_no_secret(text: &str, of: &str) {
    for piece in PIECES {
        assert!(!text.contains(piece), "{of} shows {piece}:\n{text}");
    }
}

/// Runs the program, whose words hold no secret.
fn run(project: &Project, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    let mut command = project.command(arguments);
    let ran = Ran::of(command.env_remove("DAYFILL__DATABASE__URL").envs(variables.iter().copied()));
    assert_no_secret(&format!("{}{}", ran.stdout, ran.stderr), &format!("{arguments:?} with {variables:?}"));
    ran
}

/// A project that says nothing of its database.
fn project() -> (SqliteDatabase, Project) {
    let database = SqliteDatabase::new();
    let project = Project::new(&database, &Orders::default());
    project.day("2024-03-01", "a,1,x\n");
    (database, project)
}

#[test]
fn no_url_is_echoed_however_it_is_written() {
    let (_database, project) = project();
    for url in [
        "postgres://app:s3cr3t@pa55@127.0.0.1:1/db",
        "postgres://app:s3cr3t:pa55@127.0.0.1:1/db",
        "postgres://app:s3cr3t/pa55@127.0.0.1:1/db",
        "postgres://app:s3cr3t?pa55@127.0.0.1:1/db",
        "postgres://app:s3cr3t?pa55=1@127.0.0.1:1/db?pa55=2",
        "postgres://app:s3cr3t#pa55@127.0.0.1:1/db",
        "postgres://app:s3cr3t%zzpa55@127.0.0.1:1/db",
        "postgres://app:s3cr3t%00pa55@127.0.0.1:1/db",
        "postgres://app:s3cr3t pa55@127.0.0.1:1/db",
        "postgres://app:s3cr3t'host='pa55@127.0.0.1:1/db",
        "postgres://app:s3cr3t\\pa55@127.0.0.1:1/db",
        "postgres://app:s3cr3t@127.0.0.1:pa55/db",
        "postgres://app:s3cr3t",
        "postgres://app:s3cr3t/pa55",
        "postgres://app:s3cr3t@[::1/db",
        "postgres://s3cr3t/pa55:x@127.0.0.1:1/db",
        "postgres://app@127.0.0.1:1/db?password=s3cr3t&sslpassword=pa55",
        "postgres://app@127.0.0.1:1/db?password=s3cr3t&pasword=pa55",
        "postgres://app@127.0.0.1:1/db?s3cr3t",
        "postgres://app@127.0.0.1:1/db?s3cr3t=pa55",
        "postgresql+psycopg2://app:s3cr3t@127.0.0.1:1/db",
        "postgres:app:s3cr3t@127.0.0.1/db",
        "postgres:/app:s3cr3t@127.0.0.1/db",
        "app:s3cr3t@127.0.0.1/db",
        "mysql://app:s3cr3t@127.0.0.1/db",
        "s3cr3t",
    ] {
        // In a TOML text, quotes and backslashes would have to be escaped.
        let in_file = format!("[database]\nurl = '''{url}'''\n");
        for (file, variables) in [
            ("", vec![("DAYFILL__DATABASE__URL", url)]),
            ("", vec![("ALGOLIA_DB_URI", url)]),
            (in_file.as_str(), vec![]),
            ("[database]\nurl_file = \"secret\"\n", vec![]),
        ] {
            project.write("dayfill.toml", file);
            project.write("secret", format!("{url}\n"));
            let ran = run(&project, &["status", "--json"], &variables);
            assert!(matches!(ran.code, 3 | 6), "{url}: {ran:?}");
        }
        for arguments in [&["check"][..], &["catch-up", "-vv"], &["load", "2024-03-01", "--log-format", "json"]] {
            let ran = run(&project, arguments, &[("DAYFILL__DATABASE__URL", url)]);
            assert!(matches!(ran.code, 3 | 6), "{url}: {ran:?}");
        }
    }
}

#[test]
fn a_configuration_that_is_wrong_around_a_secret_does_not_show_it() {
    let (_database, project) = project();
    for file in [
        "[database]\nurl = \"postgres://app:s3cr3t@127.0.0.1/db\n",
        "[database]\nurl = postgres://app:s3cr3t@127.0.0.1/db\n",
        "[database]\nurl = [\"postgres://app:s3cr3t@127.0.0.1/db\"]\n",
        "[database]\nurl = { password = \"s3cr3t\" }\n",
        "[database]\npassword = \"s3cr3t\"\n",
        "[database]\nurl_file = \"postgres://app:s3cr3t@127.0.0.1/db\"\n",
        "database = \"postgres://app:s3cr3t@127.0.0.1/db\"\n",
        "url = \"postgres://app:s3cr3t@127.0.0.1/db\"\n",
        "[log]\nlevel = \"postgres://app:s3cr3t@127.0.0.1/db\"\n",
    ] {
        project.write("dayfill.toml", file);
        assert_eq!(run(&project, &["check"], &[]).code, 3, "{file}");
    }
    project.write("dayfill.toml", "");
    for variables in [[("DAYFILL__DATABASE__PASSWORD", "s3cr3t")], [("DAYFILL__DATABASE", "s3cr3t")]] {
        assert_eq!(run(&project, &["check"], &variables).code, 3);
    }
}

/// The database's URL as user `app` with that password.
fn url_of_app(database: &TestDatabase, password: &str) -> String {
    let mut url = url::Url::parse(database.url()).unwrap();
    url.set_username("app").unwrap();
    let password = percent_encoding::utf8_percent_encode(password, percent_encoding::NON_ALPHANUMERIC).to_string();
    url.set_password(Some(&password)).unwrap();
    url.into()
}

#[test]
fn a_password_goes_to_the_server_and_nowhere_else() {
    const PASSWORD: &str = "s3cr3t@pa55:/?#%'\\ é";
    let server = TestPostgres::dedicated_on_tcp(&["password_encryption = 'scram-sha-256'"]);
    let database = server.database();
    let role = format!("create role app superuser login password '{}'", PASSWORD.replace('\'', "''"));
    database.execute(&role);
    let access = "local all all trust\nhost all app 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n";
    fs::write(server.data().join("pg_hba.conf"), access).unwrap();
    server.restart();

    let project = Project::new(&database, &Orders::default());
    project.day("2024-03-01", "a,1,x\n");
    let right = url_of_app(&database, PASSWORD);
    let psycopg = right.replace("postgres://", "postgresql+psycopg2://");
    project.write("secret", &right);
    fs::create_dir(project.path("credentials")).unwrap();
    project.write("credentials/credential", format!("{psycopg}\n"));
    let credentials = project.path("credentials");
    let ways = [
        ("", vec![("DAYFILL__DATABASE__URL", right.as_str())]),
        ("", vec![("ALGOLIA_DB_URI", psycopg.as_str())]),
        ("[database]\nurl_file = \"secret\"\n", vec![]),
        ("[database]\nurl_file = \"credential\"\n", vec![("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap())]),
    ];
    for (file, variables) in &ways {
        project.write("dayfill.toml", file);
        for arguments in
            [&["check"][..], &["catch-up", "-vv", "--log-format", "json"], &["status"], &["status", "--json"]]
        {
            let ran = run(&project, arguments, variables);
            assert_eq!(ran.code, 0, "{ran:?}");
            let shown = ran.stdout.contains("postgres://app:***@127.0.0.1:");
            assert_eq!(shown, arguments[0] == "check" || arguments.contains(&"--json"), "{ran:?}");
        }
    }

    for wrong in ["s3cr3t", "pa55@", "s3cr3t@pa55:/?#%'\\ e"] {
        let wrong = url_of_app(&database, wrong);
        for arguments in [
            &["check"][..],
            &["catch-up", "-vv"],
            &["load", "2024-03-01", "--log-format", "json"],
            &["status", "--json"],
        ] {
            let ran = run(&project, arguments, &[("DAYFILL__DATABASE__URL", &wrong)]);
            assert_eq!(ran.code, 6, "{ran:?}");
            // JSON escapes the quotes.
            let said = (ran.stdout + &ran.stderr).replace('\\', "");
            assert!(said.contains("password authentication failed for user \"app\""), "{said}");
        }
    }

    // While it runs, neither its command line nor the server's list of sessions holds the password.
    database.execute("create table gate (n int)");
    let mut holder = database.connect();
    diesel::connection::SimpleConnection::batch_execute(&mut holder, "begin; lock table processed_days").unwrap();
    let mut command = project.command(&["load", "2024-03-01", "--force"]);
    let child = command.env("DAYFILL__DATABASE__URL", &right).spawn().unwrap();
    let waits = "select count(*) from pg_stat_activity where usename = 'app' and wait_event_type = 'Lock'";
    wait_until("the load waits for the table", || database.line(waits) == "1");
    let process = |name: &str| fs::read(format!("/proc/{}/{name}", child.id())).unwrap();
    assert_no_secret(&String::from_utf8_lossy(&process("cmdline")), "ps");
    assert_no_secret(&String::from_utf8_lossy(&process("comm")), "ps");
    assert_no_secret(
        &database.lines("select application_name, query from pg_stat_activity where usename = 'app'").join("\n"),
        "pg_stat_activity",
    );
    drop(holder);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for table in ["processed_days", "load_attempts", "workers"] {
        assert_no_secret(&database.lines(&format!("select * from {table}")).join("\n"), table);
    }
}

#[test]
fn the_first_of_several_urls_counts() {
    let (_database, project) = project();
    let folder = project.path("").canonicalize().unwrap();
    project.write("database.url", "sqlite:of_url_file.db\n");
    let (url, url_file) = ("url = \"sqlite:of_url.db\"\n", "url_file = \"database.url\"\n");
    let first = ("DAYFILL__DATABASE__URL", "sqlite:of_variable.db");
    let second = ("ALGOLIA_DB_URI", "sqlite:of_original.db");
    let both = format!("{url}{url_file}");
    for (file, variables, expected) in [
        (both.as_str(), vec![first, second], "of_variable.db"),
        (&both, vec![second], "of_original.db"),
        (&both, vec![(first.0, ""), second], "of_original.db"),
        (&both, vec![], "of_url_file.db"),
        (&both, vec![(first.0, ""), (second.0, "")], "of_url_file.db"),
        (url, vec![], "of_url.db"),
        ("", vec![], "dayfill.db"),
    ] {
        project.write("dayfill.toml", format!("[database]\n{file}"));
        let shown = |more: &[(&str, &str)]| {
            let ran = run(&project, &["status", "--json"], &[&variables[..], more].concat());
            assert_eq!(ran.code, 0, "{ran:?}");
            let status: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
            status["database"].as_str().unwrap().to_owned()
        };
        // What a file says is beside the main file; what a variable says is in the working folder.
        let in_a_variable = variables.iter().any(|(_, value)| !value.is_empty());
        let place = if in_a_variable { expected.into() } else { project.path(expected) };
        assert_eq!(shown(&[]), format!("sqlite:{}", place.display()));
        // A service manager's folder for state is where a relative path begins.
        let state = format!("{}:/nowhere", folder.join("days").display());
        let there = folder.join("days").join(expected);
        assert_eq!(shown(&[("STATE_DIRECTORY", &state)]), format!("sqlite:{}", there.display()));
        let ran = run(&project, &["load", "2024-03-01"], &[&variables[..], &[("STATE_DIRECTORY", &state)]].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(there.exists(), "{expected}");
        fs::remove_file(there).unwrap();
        assert!(!folder.join(expected).exists(), "who only looks makes no file");
    }
    project.write("dayfill.toml", "[database]\nurl_file = \"none\"\n");
    assert_eq!(run(&project, &["status"], &[]).code, 3);
    assert_eq!(run(&project, &["status"], &[second]).code, 0, "the file is not needed then");
}

/// The lines of a check that warn.
fn warnings(ran: &Ran) -> Vec<&str> {
    ran.stdout.lines().filter_map(|line| line.strip_prefix("warning  ")).collect()
}

fn allow(project: &Project, file: &str, mode: u32) {
    fs::set_permissions(project.path(file), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn check_warns_of_secrets_in_files_that_others_may_read() {
    let (database, project) = project();
    let _ = database;
    project.write("dayfill.toml", "[database]\nurl = \"postgres://app:s3cr3t@127.0.0.1:1/db\"\n");
    project
        .orders(&Orders { source: "url = \"https://me:pa55@127.0.0.1:1/{day}.csv\"".to_owned(), ..Orders::default() });
    for file in ["dayfill.toml", "datasets/orders.toml"] {
        allow(&project, file, 0o644);
    }
    let ran = run(&project, &["check"], &[]);
    let said = warnings(&ran);
    assert_eq!(said.len(), 2, "{ran:#?}");
    assert!(said[0].contains("dayfill.toml: database.url holds a secret") && said[0].contains("chmod o-r"), "{said:?}");
    assert!(said[1].contains("datasets/orders.toml: source.url holds a secret"), "{said:?}");

    // What it advises runs, and is enough.
    for file in ["dayfill.toml", "datasets/orders.toml"] {
        allow(&project, file, 0o640);
    }
    assert_eq!(warnings(&run(&project, &["check"], &[])), [""; 0]);

    // A file of its own, too.
    project.write("dayfill.toml", "[database]\nurl_file = \"database.url\"\n");
    project.write("database.url", "postgres://app:s3cr3t@127.0.0.1:1/db\n");
    allow(&project, "database.url", 0o644);
    let ran = run(&project, &["check"], &[]);
    assert!(warnings(&ran)[0].contains("database.url: database.url holds a secret"), "{ran:#?}");
    allow(&project, "database.url", 0o640);

    // Those of sources as well.
    let keys = "url = \"https://127.0.0.1:1/{day}.csv\"\nuser_file = \"user\"\nheaders_file = \"headers\"";
    project.write("user", "me:pa55\n");
    project.write("headers", "X-Api-Key: s3cr3t\n");
    project.orders(&Orders { source: keys.to_owned(), ..Orders::default() });
    // Nobody needs to wait for that server: a check of another dataset looks at all files as well.
    project.dataset("local", &Orders { table: "local", ..Orders::default() });
    for (user, headers, said) in [
        (0o644, 0o640, &["user: source.user_file holds a secret"][..]),
        (0o640, 0o604, &["headers: source.headers_file holds a secret"]),
        (0o600, 0o640, &[]),
    ] {
        allow(&project, "user", user);
        allow(&project, "headers", headers);
        let ran = run(&project, &["check", "--dataset", "local"], &[]);
        let warned = warnings(&ran);
        assert_eq!(warned.len(), said.len(), "{ran:#?}");
        assert!(warned.iter().zip(said).all(|(warning, said)| warning.contains(said)), "{warned:?}");
    }
}

#[test]
fn check_warns_of_a_server_elsewhere_that_is_not_verified() {
    let (_database, project) = project();
    project.write("dayfill.toml", "");
    let url = "postgres://app:s3cr3t@db.invalid/shop";
    let ran = run(&project, &["check"], &[("DAYFILL__DATABASE__URL", url)]);
    let [warning] = warnings(&ran)[..] else { panic!("{ran:#?}") };
    assert!(warning.contains("the server's certificate is not checked"), "{warning}");
    let verified = format!("{url}?sslmode=verify-full&sslrootcert=system");
    assert_eq!(warnings(&run(&project, &["check"], &[("DAYFILL__DATABASE__URL", &verified)])), [""; 0]);
}

#[test]
fn a_pipe_among_the_dataset_files_is_told_of_and_never_opened() {
    let (database, project) = project();
    let variables = [("DAYFILL__DATABASE__URL", database.url())];
    project.write("dayfill.toml", "");
    let pipe = project.path("datasets/pipe.toml");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let ran = run(&project, &["check"], &variables);
    assert_eq!(ran.code, 0, "{ran:#?}");
    let [warning] = warnings(&ran)[..] else { panic!("{ran:#?}") };
    assert!(warning.contains("pipe.toml: is no file (a pipe, a device or a socket) and is never opened"), "{warning}");
    let ran = run(&project, &["catch-up"], &variables);
    assert_eq!(ran.code, 0, "{ran:#?}");
}

#[test]
fn a_new_database_file_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/new.db", folder.path().display());
    let (_database, project) = project();
    let ran = run(&project, &["catch-up"], &[("DAYFILL__DATABASE__URL", &url)]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let files: Vec<_> = files.iter().filter(|path| path.is_file()).collect();
    assert!(!files.is_empty());
    for file in files {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
}
