//! PostgreSQL databases in another encoding or language than dayfill's: a character that the encoding lacks costs a
//! row, never a day, and `check` says what to grant where messages cannot be read.

use crate::support::daemon::rows_of;
use crate::support::postgres::TestPostgres;
use crate::support::project::{Orders, Project, Ran, states};
use crate::support::slow_http::SlowHttp;
use crate::support::{Database, wait_until};

/// The columns of `orders`, and one of JSON.
const JSON: &str = "{ name = \"info\", type = \"json\", optional = true },";

fn rejects(database: &dyn Database) -> Vec<String> {
    database.lines("select line, column_name, value, reason from rejected_rows order by day, line")
}

#[test]
fn a_row_with_a_character_that_the_encoding_lacks_is_rejected() {
    for (encoding, lacks_euro) in [("LATIN1", true), ("WIN1252", false), ("EUC_JP", true)] {
        let database = TestPostgres::database_in(encoding);
        let project = Project::new(&database, &Orders { max_rejected: "3", columns: JSON, ..Orders::default() });
        let rows = [
            "a,1,plain,",
            "b,2,\u{20AC} 5,",
            "c,3,f\u{FC}r,",
            "d,4,\u{1F600},",
            "e,5,x,\"{\"\"a\"\": \"\"\\u00fc\"\"}\"",
            "f,6,x,\"{\"\"a\"\": \"\"\\ud83d\\ude00\"\"}\"",
        ];
        project.write("days/2024-03-01.csv", format!("id,amount,note,info\n{}\n", rows.join("\n")));
        project.succeed(&["load", "2024-03-01"]);
        let lacks = format!("which the database's encoding {encoding} does not have");
        let smiley = format!("holds '\\u{{1f600}}' (U+1F600), {lacks}");
        let mut expected =
            vec![format!("5|note|\\u{{1f600}}|{smiley}"), format!("7|info|{{\"a\": \"\\ud83d\\ude00\"}}|{smiley}")];
        if lacks_euro {
            expected.insert(0, format!("3|note|\\u{{20ac}} 5|holds '\\u{{20ac}}' (U+20AC), {lacks}"));
        }
        assert_eq!(rejects(&database), expected, "{encoding}");
        let ids = database.lines("select id from orders order by id").join(" ");
        assert_eq!(ids, if lacks_euro { "a c e" } else { "a b c e" }, "{encoding}");
        assert_eq!(database.line("select note from orders where id = 'c'"), "f\u{FC}r");
    }
}

#[test]
fn a_refused_day_whose_first_reject_holds_such_a_character_is_refused() {
    let database = TestPostgres::database_in("LATIN1");
    let project = Project::new(&database, &Orders { max_rejected: "0", ..Orders::default() });
    // Of no type that it could be, of one that it could, and in the header.
    project.write("days/2024-03-01.csv", "id,amount,note,\u{20AC}\na,\u{20AC} 5,x,\n");
    project.day("2024-03-02", "a,5,\u{1F600}\n");
    let ran = project.exit(4, &["load", "2024-03-01..2024-03-02"]);
    assert!(ran.stdout.contains("column amount: \"\u{20AC} 5\" is not a bigint"), "{}", ran.stdout);
    assert_eq!(states(&database), ["2024-03-01|refused", "2024-03-02|refused"]);
    assert!(rejects(&database)[0].starts_with("2|amount|\\u{20ac} 5|is not a bigint"), "{:?}", rejects(&database));
    let errors = database.lines("select error from processed_days order by day");
    assert!(errors[0].contains("\\u{20ac} 5") && errors[1].contains("\\u{1f600}"), "{errors:?}");
    project.succeed(&["skip", "2024-03-03", "--reason", "\u{20AC}"]);
    assert_eq!(database.line("select note from processed_days where state = 'skipped'"), "\\u{20ac}");
}

#[test]
fn messages_in_another_language_are_told_of_with_a_grant_that_helps() {
    let server = TestPostgres::dedicated();
    server.restart_in_german();
    let database = server.database();
    database.execute("create role etl login; grant all on schema public to etl");
    let as_etl = database.url().replace("user=postgres", "user=etl");
    let project = Project::new(&database, &Orders::default());
    let check = || Ran::of(project.command(&["check"]).env("DAYFILL__DATABASE__URL", &as_etl));
    let advice = "alter role etl set lc_messages = 'C';";
    let ran = check();
    assert!(ran.code == 0 && ran.stdout.contains(&format!("as a superuser: {advice}\n")), "{ran:#?}");
    let mut load = project.command(&["load", "2024-03-01"]);
    let ran = Ran::of(load.env("DAYFILL__DATABASE__URL", &as_etl));
    let said = "WARN  errors may be taken for others: lc_messages is de_DE.UTF-8";
    assert_eq!(ran.stderr.matches(said).count(), 1, "{ran:#?}");
    // A role that may choose chooses.
    assert!(!project.succeed(&["check"]).stdout.contains("lc_messages"));

    a_copy_that_is_cancelled_costs_no_attempt(&database, &as_etl);
    database.execute(advice);
    let ran = check();
    assert!(ran.code == 0 && !ran.stdout.contains("lc_messages"), "{ran:#?}");
}

fn a_copy_that_is_cancelled_costs_no_attempt(database: &dyn Database, as_etl: &str) {
    let source = SlowHttp::start();
    let project = Project::new(database, &Orders { source: source.source(), ..Orders::default() });
    source.day("2024-03-02", &rows_of(20_000, 1));
    source.hold_next("2024-03-02");
    let mut load = project.command(&["load", "2024-03-02"]);
    let load = load.env("DAYFILL__DATABASE__URL", as_etl).spawn().unwrap();
    source.wait_until_held("2024-03-02");
    let cancel = "select pg_cancel_backend(pid) from pg_stat_activity where usename = 'etl' and query like 'COPY%' \
                  and state = 'active'";
    wait_until("it is cancelled", || !database.lines(cancel).is_empty());
    source.release("2024-03-02");
    let ran = load.wait_with_output().unwrap();
    assert_eq!(ran.status.code(), Some(6), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(database.lines("select outcome from load_attempts"), ["database"]);
    assert_eq!(states(database), ["2024-03-01|waiting"], "the day is missing as before");
}
