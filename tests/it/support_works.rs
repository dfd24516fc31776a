//! The tests' own support: databases come and go as promised, and leave nothing behind.

use std::io::{BufRead, BufReader, stdin};
use std::path::Path;
use std::process::{Command, Stdio};

use diesel::{Connection, PgConnection};
use rustix::process::Signal;

use crate::support::postgres::{DedicatedPostgres, TestPostgres};
use crate::support::sqlite::SqliteDatabase;
use crate::support::{Database, wait_until};

const ROWS: &str = "select 1 as number, 'a b' as text, null as missing union all select 2, '', '3' order by 1";

#[test]
fn both_databases_answer_in_the_same_way() {
    let (postgres, sqlite) = (TestPostgres::database(), SqliteDatabase::new());
    let databases: [&dyn Database; 2] = [&postgres, &sqlite];
    for database in databases {
        assert_eq!(database.lines(ROWS), ["1|a b|null", "2||3"], "{}", database.url());
        database.execute("create table t (a int); insert into t values (1), (2)");
        assert_eq!(database.line("select count(*), max(a) from t"), "2|2");
    }
    assert!(sqlite.folder().join("dayfill.db").exists());
}

#[test]
fn each_test_has_a_database_of_its_own_that_goes_with_it() {
    let (one, other) = (TestPostgres::database(), TestPostgres::database());
    one.execute("create table t ()");
    other.execute("create table t ()");
    assert_ne!(one.url(), other.url());

    let gone = other.url().to_owned();
    drop(other);
    assert!(PgConnection::establish(&gone).is_err());
    assert_eq!(one.line("select current_setting('is_superuser')"), "on");
}

#[test]
fn a_dedicated_cluster_can_be_stopped_and_started() {
    let cluster = TestPostgres::dedicated();
    let database = cluster.database();
    database.execute("create table t (a int); insert into t values (1)");

    cluster.stop();
    assert!(PgConnection::establish(database.url()).is_err());
    cluster.start();
    assert_eq!(database.line("select a from t"), "1");

    let before = cluster.pid();
    cluster.restart();
    assert_ne!(cluster.pid(), before);
    assert_eq!(database.line("select a from t"), "1");
}

#[test]
fn a_dedicated_cluster_on_tcp_takes_settings() {
    let cluster = TestPostgres::dedicated_on_tcp(&["work_mem = '7MB'"]);
    let database = cluster.database();
    assert!(database.url().starts_with("postgres://postgres@127.0.0.1:"), "{}", database.url());
    assert_eq!(database.line("select current_setting('work_mem')"), "7MB");
}

/// Even one that was stopped in the middle of its work.
#[test]
fn a_dedicated_cluster_leaves_nothing_behind() {
    let cluster = TestPostgres::dedicated();
    let (data, pid) = (cluster.data(), cluster.pid());
    DedicatedPostgres::signal(pid, Signal::STOP);
    drop(cluster);
    assert!(!data.exists());
    assert!(!runs(pid));
}

/// A test that is killed cleans up nothing itself. Here this test is run once more, to be killed.
#[test]
fn a_dedicated_cluster_ends_when_its_test_is_killed() {
    const ROLE: &str = "DAYFILL_TEST_TO_BE_KILLED";
    if std::env::var_os(ROLE).is_some() {
        let cluster = TestPostgres::dedicated();
        println!("\ncluster {} {}", cluster.pid(), cluster.data().display());
        stdin().read_line(&mut String::new()).unwrap();
        return;
    }

    let mut test = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "support_works::a_dedicated_cluster_ends_when_its_test_is_killed", "--nocapture"])
        .env(ROLE, "")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(test.stdout.take().unwrap()).lines().map(Result::unwrap);
    let cluster = said.find_map(|line| Some(line.strip_prefix("cluster ")?.to_owned())).unwrap();
    let (pid, data) = cluster.split_once(' ').unwrap();
    let (pid, data) = (pid.parse().unwrap(), Path::new(data));
    assert!(runs(pid) && data.exists());

    test.kill().unwrap();
    test.wait().unwrap();
    wait_until("the server ends", || !runs(pid));
    wait_until("its data are removed", || !data.parent().unwrap().exists());
}

/// Whether there is such a process, other than as a zombie that nobody has asked after yet.
fn runs(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !status.is_empty() && !status.contains(") Z ")
}
