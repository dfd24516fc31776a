//! A new password of the database, while dayfill runs: it is read where the configuration has it, once a login fails.

use std::fs;

use rustix::process::Signal;

use crate::support::daemon::{Settings, attempts, from, rows_of, wait_for_day};
use crate::support::postgres::{DedicatedPostgres, TestDatabase, TestPostgres};
use crate::support::process::Process;
use crate::support::project::{FIRST, Orders, Project, nightly};
use crate::support::slow_http::SlowHttp;
use crate::support::{Database, wait_until};

const SECOND: &str = "2024-03-02";
const THIRD: &str = "2024-03-03";

/// A database on a server that asks `app`, and nobody else, for a password.
struct WithPassword {
    database: TestDatabase,
    _server: DedicatedPostgres,
}

impl WithPassword {
    fn start() -> Self {
        let server = TestPostgres::dedicated_on_tcp(&["password_encryption = 'scram-sha-256'"]);
        let database = server.database();
        database.execute("create role app superuser login password 'FIRST'");
        let access = "local all all trust\nhost all app 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n";
        fs::write(server.data().join("pg_hba.conf"), access).unwrap();
        database.execute("select pg_reload_conf()");
        Self { database, _server: server }
    }

    /// Its URL with that password.
    fn url(&self, password: &str) -> String {
        let mut url = url::Url::parse(self.database.url()).unwrap();
        url.set_username("app").unwrap();
        url.set_password(Some(password)).unwrap();
        url.into()
    }

    /// Changes the password and ends the role's sessions, but for those that copy rows.
    fn change_password(&self, password: &str) {
        self.database.execute(&format!("alter role app password '{password}'"));
        let old = "from pg_stat_activity where usename = 'app' and query not like 'COPY%' \
                   and backend_start < (select now())";
        self.database.execute(&format!("select pg_terminate_backend(pid, 10000) {old}"));
    }
}

/// A project that finds the database in a file beside its main file, or in the service manager's credential.
fn project(with: &WithPassword, settings: &Settings, orders: &Orders) -> Project {
    let project = Project::new(&with.database, orders);
    settings.write(&project);
    let main = fs::read_to_string(project.path("dayfill.toml")).unwrap();
    project.write("dayfill.toml", main.replace("[database]", "[database]\nurl_file = \"secret.url\""));
    project
}

fn start(project: &Project, arguments: &[&str], credentials: Option<&str>) -> Process {
    let mut command = project.command(arguments);
    command.env_remove("DAYFILL__DATABASE__URL");
    if let Some(folder) = credentials {
        command.env("CREDENTIALS_DIRECTORY", project.path(folder));
    }
    Process::of(&mut command)
}

#[test]
fn a_daemon_takes_a_new_password_from_the_file_without_a_restart() {
    let with = WithPassword::start();
    let orders = Orders { schedule: nightly(FIRST, THIRD), ..Orders::default() };
    let project = project(&with, &Settings::default(), &orders);
    project.write("secret.url", with.url("FIRST"));
    project.day(FIRST, "a,1,x\n");
    let mut daemon = start(&project, &["run"], None);
    daemon.wait_for("orders 2024-03-01: loaded");

    project.replace("secret.url", with.url("SECOND"));
    with.change_password("SECOND");
    project.day(SECOND, "a,2,x\n");
    daemon.wait_for("database.url has new credentials");
    daemon.wait_for("changed in what is not shown");
    wait_for_day(&with.database, "orders", SECOND, "loaded");

    // The server has another one before the file has.
    with.change_password("THIRD");
    daemon.wait_for("trying again until it is back, no attempt is counted");
    project.day(THIRD, "a,3,x\n");
    project.replace("secret.url", with.url("THIRD"));
    daemon.wait_for("the database is back");
    daemon.wait_for("orders 2024-03-03: loaded");
    daemon.signal(Signal::TERM);
    let ran = daemon.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    // The loss is logged once, in the words of whoever met it first: a new login, or a session that was ended.
    let lost = ["password authentication failed for user \"app\"", "terminating connection", "closed the connection"];
    assert!(lost.iter().any(|words| ran.stderr.contains(words)), "{}", ran.stderr);
    assert!(!ran.stderr.contains("the database is another now"), "{}", ran.stderr);
    for secret in ["FIRST", "SECOND", "THIRD"] {
        assert!(!ran.stderr.contains(secret), "{}", ran.stderr);
    }
    assert_eq!(attempts(&with.database), [FIRST, SECOND, THIRD].map(|day| format!("{day}|1|loaded")));
}

#[test]
fn a_long_command_takes_a_new_password_from_the_service_managers_credential() {
    let with = WithPassword::start();
    let server = SlowHttp::start();
    // A beat each second needs a connection.
    let project = project(&with, &Settings { lease: "3s", ..Settings::default() }, &from(&server, (FIRST, THIRD)));
    fs::create_dir(project.path("credentials")).unwrap();
    project.write("credentials/secret.url", with.url("FIRST"));
    for day in [FIRST, SECOND, THIRD] {
        server.day(day, &rows_of(20_000, 1));
    }
    server.hold_next(SECOND);
    let mut command = start(&project, &["catch-up"], Some("credentials"));
    server.wait_until_held(SECOND);
    wait_until("rows are copied", || {
        with.database.line("select count(*) from pg_stat_activity where query like 'COPY%' and state = 'active'") == "1"
    });
    project.replace("credentials/secret.url", with.url("SECOND"));
    with.change_password("SECOND");
    command.wait_for("database.url has new credentials");
    server.release(SECOND);
    let ran = command.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert_eq!(attempts(&with.database), [FIRST, SECOND, THIRD].map(|day| format!("{day}|1|loaded")));
}
