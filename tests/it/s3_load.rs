//! Whole loads from a bucket: the program against an S3 service that checks signatures.

use std::process::Command;

use crate::support::project::{Orders, Project, Ran, rows, states};
use crate::support::s3::{ACCESS_KEY, Fault, S3Server, SECRET_KEY};
use crate::support::sqlite::SqliteDatabase;
use crate::support::{Database, daily};

const DAYS: [&str; 3] = ["2024-03-01", "2024-03-02", "2024-03-03"];

fn orders(server: &S3Server, more: &str) -> Orders {
    let endpoint = server.endpoint();
    let source = format!(
        "url = \"s3://bucket/{{day}}.csv\"\nendpoint = \"{endpoint}\"\nallow_http = true\npath_style = true\n\
         region = \"us-east-1\"\n{more}"
    );
    Orders { source, ..Orders::default() }
}

fn signed(project: &Project, secret: &str, arguments: &[&str]) -> Ran {
    let mut command: Command = project.command(arguments);
    command
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", secret)
        .env("AWS_EC2_METADATA_DISABLED", "true");
    Ran::of(&mut command)
}

#[test]
fn a_week_comes_from_a_bucket_with_signed_requests() {
    let (server, database) = (S3Server::start(), SqliteDatabase::new());
    let project = Project::new(&database, &orders(&server, ""));
    for day in ["2024-03-01", "2024-03-02"] {
        server.put("bucket", &format!("{day}.csv"), "id,amount,note\na,1,x\n");
    }
    server.fail_next(Fault::Status(500, "InternalError"));
    let ran = signed(&project, SECRET_KEY, &["catch-up", "--to", "2024-03-03"]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert_eq!(states(&database), ["2024-03-01|loaded", "2024-03-02|loaded", "2024-03-03|waiting"]);
    assert_eq!(rows(&database).len(), 2);
    let etag = database.line("select source_etag is not null, source_url from processed_days where day = '2024-03-01'");
    assert_eq!(etag, "1|s3://bucket/2024-03-01.csv");
}

#[test]
fn a_wrong_key_fails_the_day_and_says_so_without_the_key() {
    let (server, database) = (S3Server::start(), SqliteDatabase::new());
    let project = Project::new(&database, &orders(&server, "forbidden = \"waiting\""));
    server.put("bucket", "2024-03-01.csv", "id,amount,note\na,1,x\n");
    let ran = signed(&project, "another+secret", &["load", "2024-03-01"]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.stdout.contains("SignatureDoesNotMatch"), "{}", ran.stdout);
    assert!(!format!("{ran:?}").contains("another+secret"));
    assert_eq!(states(&database), ["2024-03-01|failed"]);
}

#[test]
fn forbidden_says_what_to_grant_or_waits_as_the_dataset_says() {
    let (server, database) = (S3Server::start_public(), SqliteDatabase::new());
    let project = Project::new(&database, &orders(&server, "anonymous = true"));
    server.fail_always(Some(Fault::Status(403, "AccessDenied")));
    let ran = project.exit(1, &["load", "2024-03-01"]);
    assert!(ran.stdout.contains("s3:GetObject") && ran.stdout.contains("s3:ListBucket"), "{}", ran.stdout);
    project.orders(&orders(&server, "anonymous = true\nforbidden = \"waiting\""));
    server.fail_always(Some(Fault::Says(403, "AccessDenied", "Access Denied")));
    project.succeed(&["load", "2024-03-02"]);
    assert_eq!(states(&database), ["2024-03-01|failed", "2024-03-02|waiting"]);
}

#[test]
fn a_body_that_is_cut_off_is_no_smaller_day() {
    let (server, database) = (S3Server::start_public(), SqliteDatabase::new());
    let project = Project::new(&database, &orders(&server, "anonymous = true"));
    let rows: Vec<String> = (0..2000).map(|row| format!("{row},1,x\n")).collect();
    server.put("bucket", "2024-03-01.csv", format!("id,amount,note\n{}", rows.concat()));
    // Once: the rest is asked for and the day is whole.
    server.fail_next(Fault::CutOff(5000));
    project.succeed(&["load", "2024-03-01"]);
    assert_eq!(database.line("select count(*) from orders"), "2000");
    // Each time, and nothing more comes: the day fails, and nothing of what came is loaded.
    server.put("bucket", "2024-03-02.csv", format!("id,amount,note\n{}", rows.concat()));
    server.fail_always(Some(Fault::CutOff(0)));
    let ran = project.exit(1, &["load", "2024-03-02"]);
    assert!(ran.stdout.contains("reading failed after 0 of"), "{}", ran.stdout);
    assert_eq!(states(&database), ["2024-03-01|loaded", "2024-03-02|failed"]);
    assert_eq!(database.line("select count(*) from orders"), "2000");
}

#[test]
fn a_bucket_that_is_missing_as_a_whole_gives_no_day_up_and_spends_nothing() {
    let (server, database) = (S3Server::start_public(), SqliteDatabase::new());
    let sections = "[waiting]\npoll = \"1s\"\n[retry]\nfirst_delay = \"1s\"\nmax_delay = \"1s\"\n";
    let orders = Orders { sections, ..orders(&server, "anonymous = true") };
    let project = daily::project(&database, &Orders { schedule: daily::ticking(DAYS[2]).schedule, ..orders }, "");
    daily::add_clock(&project);
    server.put("bucket", &format!("{}.csv", DAYS[0]), "id,amount,note\na,1,x\n");
    let mut daemon = daily::daemon(&project);
    daily::wait_for_state(&database, DAYS[2], "waiting");
    server.remove_bucket("bucket");
    daemon.wait_for("orders: source unavailable: s3://bucket/2024-03-0");
    // They have waited for long enough to be given up, if their place could be seen.
    database.execute("update processed_days set waiting_since = '2024-03-05 00:00:00' where dataset = 'orders'");
    daily::let_time_pass(&database);
    assert_eq!(states(&database), ["2024-03-01|loaded", "2024-03-02|waiting", "2024-03-03|waiting"]);
    for day in DAYS {
        server.put("bucket", &format!("{day}.csv"), "id,amount,note\na,1,x\n");
    }
    daily::wait_for_state(&database, DAYS[2], "loaded");
    daemon.wait_for("orders: goes on after");
    let log = daily::stop(daemon);
    assert_eq!(daily::standing(&database, DAYS[1]), "loaded|1", "no attempt was spent");
    assert_eq!(log.matches("source unavailable").count(), 1, "said once: {log}");
    assert!(log.contains("the bucket \"bucket\" does not exist; check source.url"), "{log}");
}
