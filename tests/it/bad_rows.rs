//! Rows that the database does not take: each is rejected with its line and the database's words, the others are loaded.

use std::fmt::Write as _;

use diesel::connection::SimpleConnection;

use crate::support::daemon::rows_of;
use crate::support::postgres::TestPostgres;
use crate::support::project::{Orders, Project, Ran, states};
use crate::support::{Database, on_both, wait_until};

on_both! {
    a_row_that_breaks_a_constraint_is_rejected_and_the_others_are_loaded
    a_reference_that_is_checked_at_the_commit_is_rejected
    rows_that_refer_to_rows_behind_them_are_loaded
    bad_rows_of_every_mode_are_found_exactly
    past_the_limit_the_day_is_refused_and_the_target_is_as_it_was
    a_row_on_which_an_expression_fails_is_rejected
    a_trigger_that_keeps_rows_out_is_told
    a_target_that_takes_no_row_at_all_fails_the_day
}

/// Makes the target of `orders` with more beside its columns.
fn target(database: &dyn Database, amount: &str, more: &str) {
    database.execute(&format!(
        "create table orders (id text not null, amount bigint {amount}, note text, has_note boolean, \
         file_date date not null, created_at {}, primary key (file_date, id) {more})",
        if is_postgres(database) { "timestamptz" } else { "text" }
    ));
}

fn is_postgres(database: &dyn Database) -> bool {
    database.url().starts_with("postgres")
}

fn ids(database: &dyn Database) -> String {
    database.lines("select id from orders order by file_date, id").join(" ")
}

fn rejects(database: &dyn Database) -> Vec<String> {
    database.lines("select line, column_name, value, reason from rejected_rows order by day, line")
}

fn assert_no_value_is_logged(ran: &Ran) {
    assert!(!ran.stderr.contains("secret"), "{}", ran.stderr);
}

fn a_row_that_breaks_a_constraint_is_rejected_and_the_others_are_loaded(database: &dyn Database) {
    let check = "constraint amount_is_small check (amount < 100)";
    database.execute("create table notes (note text primary key); insert into notes values ('x'), ('y'), ('z')");
    target(database, check, ", constraint note_is_known foreign key (note) references notes");
    database.execute("create unique index one_amount on orders (amount)");
    let project = Project::new(database, &Orders { max_rejected: "3", ..Orders::default() });
    project.day("2024-03-01", "a,1,x\nb,200,y\nc,2,secret\nd,3,z\ne,3,x\nf,4,\n");
    let ran = project.succeed(&["-v", "load", "2024-03-01"]);
    assert_no_value_is_logged(&ran);
    assert_eq!(ids(database), "a d f");
    let refused = "is rejected by the database: ";
    let expected = if is_postgres(database) {
        [
            format!("3|amount|200|{refused}new row for relation \"orders\" violates check constraint"),
            format!("4|note|secret|{refused}insert or update on table \"orders\" violates foreign key constraint"),
            format!("6|amount|3|{refused}duplicate key value violates unique constraint \"one_amount\"; detail: Key"),
        ]
    } else {
        [
            format!("3|null|null|{refused}CHECK constraint failed: amount_is_small"),
            format!("4|null|null|{refused}FOREIGN KEY constraint failed"),
            format!("6|amount|3|{refused}UNIQUE constraint failed: orders.amount"),
        ]
    };
    let found = rejects(database);
    assert_eq!(found.len(), 3, "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(&expected), "{found}");
    }
    let counts = "select rows_read, rows_filtered, rows_rejected, rows_loaded from processed_days";
    assert_eq!(database.line(counts), "6|0|3|3");
    assert_eq!(database.line("select attempts, state from processed_days"), "1|loaded");
    let log = database.line("select log from load_attempts");
    assert!(log.contains("looking for the rows at fault") && !log.contains("secret"), "{log}");
}

fn a_reference_that_is_checked_at_the_commit_is_rejected(database: &dyn Database) {
    database.execute("create table notes (note text primary key); insert into notes values ('x')");
    target(database, "", ", foreign key (note) references notes deferrable initially deferred");
    let project = Project::new(database, &Orders { max_rejected: "1", ..Orders::default() });
    project.day("2024-03-01", "a,1,x\nb,2,secret\nc,3,\nd,4,x\n");
    let ran = project.succeed(&["load", "2024-03-01"]);
    assert_no_value_is_logged(&ran);
    assert_eq!(ids(database), "a c d");
    let found = rejects(database);
    assert!(found.len() == 1 && found[0].starts_with("3|"), "{found:#?}");
}

#[test]
fn a_row_that_others_refer_to_until_the_commit_stays_where_another_one_is_rejected() {
    let database = TestPostgres::database();
    target(&database, "constraint amount_is_small check (amount < 100)", "");
    database.execute(
        "create table lines (day date, id text, \
         constraint line_of_order foreign key (day, id) references orders deferrable initially deferred)",
    );
    let project = Project::new(&database, &Orders { max_rejected: "1", ..Orders::default() });
    project.day("2024-03-01", "a,1,x\nb,2,y\n");
    project.succeed(&["load", "2024-03-01"]);
    database.execute("insert into lines values ('2024-03-01', 'a')");
    project.day("2024-03-01", "a,3,x\nb,200,y\n");
    project.succeed(&["load", "--force", "2024-03-01"]);
    assert_eq!(ids(&database), "a");
    // Without it the day cannot be loaded, which is known before the commit is sent.
    project.day("2024-03-01", "b,200,y\nc,3,z\n");
    let ran = project.exit(1, &["load", "--force", "2024-03-01"]);
    assert!(ran.stdout.contains("checking the target's deferred constraints: "), "{}", ran.stdout);
    assert!(ran.stdout.contains("line_of_order"), "{}", ran.stdout);
    assert_eq!((ids(&database).as_str(), states(&database)), ("a", vec!["2024-03-01|loaded".to_owned()]));
}

fn rows_that_refer_to_rows_behind_them_are_loaded(database: &dyn Database) {
    let day = "constraint amount_is_small check (amount < 100)";
    target(database, day, ", unique (id), constraint parent foreign key (note) references orders (id)");
    let project = Project::new(database, &Orders { max_rejected: "2", ..Orders::default() });
    // The chain a, b, c, d refers forwards; x refers to the bad row, y to nobody.
    project.day("2024-03-01", "a,1,b\nb,2,c\nc,3,d\nx,4,z\ny,5,\nd,6,\nz,100,\n");
    project.succeed(&["load", "2024-03-01"]);
    assert_eq!(ids(database), "a b c d y");
    let lines = database.lines("select line from rejected_rows order by line");
    assert_eq!(lines, ["5", "8"]);
}

/// Random numbers that are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

fn bad_rows_of_every_mode_are_found_exactly(database: &dyn Database) {
    let mut random = Random(7);
    for mode in ["replace_day", "insert_new", "upsert"] {
        let key = if mode == "replace_day" { "file_date, id" } else { "id" };
        let created = if is_postgres(database) { "timestamptz" } else { "text" };
        database.execute(&format!(
            "create table {mode} (id text not null, amount bigint check (amount % 10 <> 9), note text, \
             has_note boolean, file_date date not null, created_at {created}, primary key ({key}));
             create unique index {mode}_note on {mode} (note)"
        ));
        let project = Project::new(database, &Orders { mode, table: mode, max_rejected: "100%", ..Orders::default() });
        let (mut text, mut notes) = (String::new(), std::collections::BTreeSet::new());
        let (mut taken, mut rejected) = (Vec::new(), Vec::new());
        for row in 0..300 {
            // Few are bad: most notes are of one row only.
            let (amount, note) = (random.below(7) + u64::from(random.below(40) == 0) * 9, random.below(3_000));
            let _ = writeln!(text, "k{row:03},{amount},{note}");
            let fits = amount % 10 != 9 && notes.insert(note);
            if fits { taken.push(format!("k{row:03}")) } else { rejected.push((row + 2).to_string()) }
        }
        assert!(rejected.len() > 5, "{}", rejected.len());
        project.day("2024-03-01", &text);
        project.succeed(&["load", "2024-03-01", "--force"]);
        assert_eq!(database.lines("select line from rejected_rows order by line"), rejected, "{mode}");
        assert_eq!(database.lines(&format!("select id from {mode} order by id")), taken, "{mode}");
    }
}

fn past_the_limit_the_day_is_refused_and_the_target_is_as_it_was(database: &dyn Database) {
    target(database, "check (amount < 100)", "");
    let project = Project::new(database, &Orders { max_rejected: "2", ..Orders::default() });
    project.day("2024-03-01", "a,1,\n");
    project.succeed(&["load", "2024-03-01"]);
    let rows: Vec<_> = (0..64).map(|row| format!("k{row},{},secret\n", 100 * (row % 2))).collect();
    project.day("2024-03-02", &rows.concat());
    let ran = project.exit(4, &["load", "2024-03-02"]);
    assert_no_value_is_logged(&ran);
    let refused = "3 of 64 rows rejected (4.7%), the limit is 2; the first: line 3";
    assert!(ran.stdout.contains(refused) && ran.stdout.contains("is rejected by the database: "), "{}", ran.stdout);
    assert_eq!(states(database), ["2024-03-01|loaded", "2024-03-02|refused"]);
    assert_eq!(database.lines("select line from rejected_rows order by line"), ["3", "5", "7"]);
    assert_eq!(ids(database), "a");

    // A reload that is refused leaves the day as it was.
    project.day("2024-03-01", &rows.concat());
    project.exit(4, &["load", "2024-03-01", "--force"]);
    assert_eq!(ids(database), "a");
}

fn a_row_on_which_an_expression_fails_is_rejected(database: &dyn Database) {
    let (filter, derive) = if is_postgres(database) {
        ("100/amount > 1", "cast(note as integer) > 0")
    } else {
        // Nothing overflows or divides there, but JSON that is none.
        ("json_extract(case when amount = 0 then '{' else '1' end, '$') > 0", "json_extract(note, '$') > 0")
    };
    for mode in ["replace_day", "upsert"] {
        let project = Project::new(
            database,
            &Orders { mode, table: mode, filter, derive, max_rejected: "2", ..Orders::default() },
        );
        project.day("2024-03-01", "a,1,1\nb,0,2\nc,3,secret\nd,4,4\ne,80,5\n");
        let ran = project.succeed(&["load", "2024-03-01", "--force"]);
        assert_no_value_is_logged(&ran);
        let found = rejects(database);
        assert_eq!(found.len(), 2, "{found:#?}");
        let words = if is_postgres(database) { "division by zero" } else { "malformed JSON" };
        assert_eq!(found[0], format!("3|null|null|rows.where fails on the row: {words}"));
        assert!(found[1].starts_with("4|has_note|null|cannot be computed: "), "{found:#?}");
        let loaded = database.lines(&format!("select id from {mode} order by id")).join(" ");
        let filtered = if is_postgres(database) { ("a d", "1|2") } else { ("a d e", "0|3") };
        let counts = database.line("select rows_filtered, rows_loaded from processed_days");
        assert_eq!((loaded.as_str(), counts.as_str()), filtered, "{mode}");
    }
}

fn a_trigger_that_keeps_rows_out_is_told(database: &dyn Database) {
    target(database, "", "");
    if is_postgres(database) {
        database.execute(
            "create function keep_out() returns trigger language plpgsql as $$ begin \
             if new.amount = 2 then return null; end if; return new; end $$; \
             create trigger keep_out before insert on orders for each row execute function keep_out()",
        );
    } else {
        database.execute(
            "create trigger keep_out before insert on orders when new.amount = 2 begin select raise(ignore); end",
        );
    }
    let project = Project::new(database, &Orders::default());
    project.day("2024-03-01", "a,1,x\nb,2,x\nc,2,\nd,-1,\ne,3,\n");
    let ran = project.succeed(&["load", "2024-03-01"]);
    let counts = "select rows_read, rows_filtered, rows_rejected, rows_loaded from processed_days";
    assert_eq!(database.line(counts), "5|1|0|2");
    let said = "2 of 4 rows inserted: a trigger or a rule of the target kept out the others";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    assert!(database.line("select log from load_attempts").contains(said));

    // In the other modes, rows that were there already count as loaded, and those that a trigger keeps out do not.
    for mode in ["insert_new", "upsert"] {
        if mode == "insert_new" {
            database.execute("delete from orders");
            if is_postgres(database) {
                database.execute("alter table orders drop constraint orders_pkey, add primary key (id)");
            } else {
                database.execute("drop table orders");
                database.execute(
                    "create table orders (id text primary key not null, amount bigint, note text, has_note boolean, \
                     file_date date not null, created_at text); \
                     create trigger keep_out before insert on orders when new.amount = 2 begin select raise(ignore); end",
                );
            }
        }
        project.orders(&Orders { mode, ..Orders::default() });
        project.day("2024-03-02", "a,1,x\n");
        project.day("2024-03-01", "a,1,x\nb,2,x\nc,2,\nd,-1,\ne,3,\n");
        let ran = project.succeed(&["load", "2024-03-02", "--force"]);
        assert!(!ran.stderr.contains("kept out"), "{}", ran.stderr);
        let ran = project.succeed(&["load", "2024-03-01", "--force"]);
        assert!(ran.stderr.contains(said), "{mode}: {}", ran.stderr);
        let counts = database.line(&format!("{counts} where day = '2024-03-01'"));
        assert_eq!(counts, "5|1|0|2", "{mode}");
    }

    // An update that is kept out leaves the old row.
    database.execute(if is_postgres(database) {
        "create function keep_old() returns trigger language plpgsql as $$ begin return null; end $$; \
         create trigger keep_old before update on orders for each row execute function keep_old()"
    } else {
        "create trigger keep_old before update on orders begin select raise(ignore); end"
    });
    project.day("2024-03-03", "a,7,x\nz,1,y\n");
    let ran = project.succeed(&["load", "2024-03-03"]);
    let said = "1 of 2 rows inserted: a trigger or a rule of the target kept out the others";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    assert_eq!(database.line("select amount from orders where id = 'a'"), "1");
}

#[test]
fn a_trigger_that_sends_rows_elsewhere_loses_none_in_silence() {
    let database = TestPostgres::database();
    target(&database, "", "");
    database.execute(
        "create table orders_march () inherits (orders); \
         create function send_on() returns trigger language plpgsql as $$ begin \
         insert into orders_march values (new.*); return null; end $$; \
         create trigger send_on before insert on orders for each row execute function send_on()",
    );
    let project = Project::new(&database, &Orders::default());
    project.day("2024-03-01", "a,1,x\nb,2,x\n");
    for _ in 0..2 {
        let ran = project.succeed(&["load", "2024-03-01", "--force"]);
        assert!(!ran.stderr.contains("kept out"), "{}", ran.stderr);
        let counts = "select rows_filtered, rows_rejected, rows_loaded from processed_days";
        assert_eq!(database.line(counts), "0|0|2");
        assert_eq!(ids(&database), "a b");
    }
    // Rows with another day would stay there beside those of a reload.
    database.execute(
        "create or replace function send_on() returns trigger language plpgsql as $$ begin \
         new.file_date := date '2024-04-01'; return new; end $$",
    );
    let said = "2 rows did not keep the day in table orders";
    let ran = project.exit(1, &["load", "2024-03-01", "--force"]);
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    database.execute(
        "drop trigger send_on on orders; \
         create function move_on() returns trigger language plpgsql as $$ begin \
         update orders set file_date = date '2024-04-01' where id = new.id; return null; end $$; \
         create trigger move_on after insert on orders for each row execute function move_on()",
    );
    let ran = project.exit(1, &["load", "2024-03-01", "--force"]);
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    assert_eq!(database.lines("select distinct file_date from orders"), ["2024-03-01"]);
    assert_eq!(database.line("select state, attempts from processed_days"), "loaded|1");
}

fn a_target_that_takes_no_row_at_all_fails_the_day(database: &dyn Database) {
    target(database, "", "");
    if is_postgres(database) {
        database.execute(
            "create function never() returns trigger language plpgsql as $$ begin \
             raise exception 'append with tool x, not %', current_query() using hint = 'LoadMode ops.'; end $$; \
             create trigger never before insert on orders for each statement execute function never()",
        );
    } else {
        // Without statement triggers each row is refused, and the limit is passed.
        database.execute("create trigger never before insert on orders begin select raise(abort, 'never'); end");
    }
    let project = Project::new(database, &Orders::default());
    project.day("2024-03-01", "a,1,x\nb,2,x\n");
    if is_postgres(database) {
        let ran = project.exit(1, &["load", "2024-03-01"]);
        assert!(ran.stderr.contains("the database rejected the rows (SQLSTATE P0001)"), "{}", ran.stderr);
        assert_eq!(database.line("select count(*) from rejected_rows"), "0");
        let error = database.line("select error from load_attempts");
        assert!(error.contains("append with tool x") && error.ends_with("; hint: LoadMode ops."), "{error}");
        assert!(project.succeed(&["status"]).stdout.contains("; hint: LoadMode ops."));
        assert_eq!(database.line("select attempts, state from processed_days"), "1|failed");
    } else {
        project.exit(4, &["load", "2024-03-01"]);
        assert_eq!(rejects(database), ["2|null|null|is rejected by the database: never"]);
    }
}

#[test]
fn a_value_longer_than_its_type_is_named_with_its_column() {
    let database = TestPostgres::database();
    target(&database, "", "");
    database.execute("alter table orders alter note type varchar(3)");
    let project = Project::new(&database, &Orders { max_rejected: "1", ..Orders::default() });
    project.day("2024-03-01", "a,1,xyz\nb,2,secret\nc,3,\n");
    let ran = project.succeed(&["load", "2024-03-01"]);
    assert_no_value_is_logged(&ran);
    assert_eq!(
        rejects(&database),
        ["3|note|secret|is rejected by the database: value too long for type character varying(3)"]
    );
    assert_eq!(ids(&database), "a c");
}

#[test]
fn what_is_not_the_rows_fault_costs_no_attempt_in_any_language() {
    for (code, words) in [
        ("40P01", "Verklemmung (Deadlock) entdeckt"),
        ("57014", "storniere Anfrage wegen Benutzeraufforderung"),
        ("53100", "konnte Datei nicht erweitern: Auf dem Gerät ist kein Speicherplatz mehr verfügbar"),
        ("55P03", "konnte Sperre für Relation nicht setzen"),
    ] {
        let database = TestPostgres::database();
        target(&database, "", "");
        database.execute(&format!(
            "create function fail() returns trigger language plpgsql as $$ begin \
             raise exception using errcode = '{code}', message = '{words}'; end $$; \
             create trigger fail before insert on orders for each row execute function fail()"
        ));
        let project = Project::new(&database, &Orders::default());
        project.day("2024-03-01", "a,1,x\nb,2,x\n");
        let ran = project.exit(6, &["load", "2024-03-01"]);
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
        assert_eq!(database.lines("select state from processed_days"), Vec::<String>::new(), "{code}");
        assert_eq!(database.line("select outcome from load_attempts"), "database", "{code}");
    }
}

#[test]
fn a_day_without_a_partition_waits_for_it() {
    let database = TestPostgres::database();
    database.execute(
        "create table orders (id text not null, amount bigint, note text, has_note boolean, \
         file_date date not null, created_at timestamptz, primary key (file_date, id)) partition by range (file_date); \
         create table orders_1 partition of orders for values from ('2024-03-01') to ('2024-03-02')",
    );
    let project = Project::new(&database, &Orders::default());
    for day in ["2024-03-01", "2024-03-02"] {
        project.day(day, "a,1,x\nb,2,x\n");
    }
    let ran = project.run(&["load", "2024-03-01..2024-03-02"]);
    assert!(ran.stderr.contains("table orders has no partition for 2024-03-02"), "{ran:#?}");
    assert_eq!(states(&database), ["2024-03-01|loaded", "2024-03-02|failed"]);
    database.execute("create table orders_2 partition of orders for values from ('2024-03-02') to ('2024-03-03')");
    project.succeed(&["load", "2024-03-02"]);
    assert_eq!(states(&database), ["2024-03-01|loaded", "2024-03-02|loaded"]);
}

#[test]
fn a_limit_on_temporary_files_is_named_and_costs_no_attempt() {
    let database = TestPostgres::database();
    let name = database.line("select current_database()");
    let limit =
        format!("alter database {name} set temp_file_limit = '512kB'; alter database {name} set work_mem = '64kB'");
    database.execute(&limit);
    let project = Project::new(&database, &Orders::default());
    project.day("2024-03-01", &rows_of(40_000, 1));
    let ran = project.exit(6, &["load", "2024-03-01"]);
    let said = "it is a limit of the PostgreSQL server for the role: raise it (alter role ... set temp_file_limit)";
    assert!(ran.stderr.contains(said), "{ran:#?}");
    assert_eq!(database.line("select outcome from load_attempts"), "database");
    database.execute(&format!("alter role current_user in database {name} set temp_file_limit = -1"));
    project.succeed(&["load", "2024-03-01"]);
}

#[test]
fn a_deadlock_with_another_session_costs_no_attempt() {
    let database = TestPostgres::database();
    target(&database, "", "");
    // Each row written takes the lock of its amount, in the order of the rows.
    database.execute(
        "create table locks (n bigint primary key); insert into locks values (1), (2); \
         create function take() returns trigger language plpgsql as $$ begin \
         perform n from locks where n = new.amount for update; return new; end $$; \
         create trigger take before insert on orders for each row execute function take()",
    );
    let project = Project::new(&database, &Orders::default());
    project.day("2024-03-01", "a,1,x\nb,2,x\n");
    let mut other = database.connect();
    // The load is the one that the server ends: the other waits for a deadlock for longer.
    let locks = "set deadlock_timeout = '1h'; begin; select n from locks where n = 2 for update";
    other.batch_execute(locks).unwrap();
    let load = project.start(&["load", "2024-03-01"]);
    let waits = "select count(*) from pg_locks l join pg_stat_activity a using (pid) \
                 where not l.granted and a.datname = current_database()";
    wait_until("the load waits for the second row", || database.line(waits) == "1");
    let other = std::thread::spawn(move || other.batch_execute("select n from locks where n = 1 for update; commit"));
    let ran = load.wait_with_output().unwrap();
    other.join().unwrap().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.code() == Some(6) && said.contains("deadlock detected"), "{said}");
    assert_eq!(database.lines("select outcome from load_attempts"), ["database"]);
    project.succeed(&["load", "2024-03-01"]);
    assert_eq!(states(&database), ["2024-03-01|loaded"]);
}
