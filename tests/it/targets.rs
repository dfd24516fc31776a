//! Tables that are there already: what of them dayfill can load into, and what it says about the others. What it
//! advises is run here, and must help.

use diesel::connection::SimpleConnection as _;

use crate::support::postgres::{TestDatabase, TestPostgres};
use crate::support::project::{Orders, Project, rows, states};
use crate::support::sqlite::SqliteDatabase;
use crate::support::{Database, on_both, wait_until};

on_both! {
    no_csv_can_write_dayfills_own_tables
    keys_are_compared_as_the_target_compares_them
    a_dataset_that_cannot_be_loaded_keeps_no_other_from_it
    what_a_reload_does_to_others_is_said_before
    a_trigger_that_forbids_deletes_doubles_no_day_and_costs_no_attempt
    a_target_that_is_gone_is_told_of_with_the_days_it_held
}

fn no_csv_can_write_dayfills_own_tables(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    project.day("2024-03-01", "a,1,x\n");
    let own = if database.url().starts_with("postgres") {
        "select table_name from information_schema.tables where table_schema = 'public'"
    } else {
        "select name from sqlite_master where type = 'table'"
    };
    project.succeed(&["migrate"]);
    let tables = database.lines(own);
    assert!(tables.contains(&"activity_log".to_owned()) && tables.len() >= 7, "{tables:?}");
    for table in tables {
        let ran = project.run(&["load", "2024-03-01", "--dataset", &format!("orders@{table}")]);
        assert_eq!(ran.code, 2, "{table}: {ran:#?}");
        let why = if table.starts_with("sqlite_") { "a name that SQLite keeps" } else { "a table of dayfill's own" };
        assert!(ran.stderr.contains(why), "{table}: {ran:#?}");
        project.orders(&Orders { table: Box::leak(table.to_uppercase().into_boxed_str()), ..Orders::default() });
        let ran = project.exit(3, &["catch-up"]);
        assert!(ran.stderr.contains(why), "{table}: {ran:#?}");
        project.orders(&Orders::default());
    }
}

fn keys_are_compared_as_the_target_compares_them(database: &dyn Database) {
    let postgres = database.url().starts_with("postgres");
    let id = if postgres { "citext" } else { "text collate nocase" };
    if postgres {
        database.execute("create extension citext");
    }
    for (mode, key) in [("replace_day", "file_date, id"), ("upsert", "id")] {
        database.execute(&format!(
            "create table {mode} (id {id} not null, amount bigint, note text, has_note boolean, file_date date not null, \
             created_at {}, primary key ({key}))",
            if postgres { "timestamptz" } else { "text" }
        ));
        let project = Project::new(database, &Orders { mode, table: mode, max_rejected: "1", ..Orders::default() });
        project.day("2024-03-01", "Ann,1,\nbob,2,\nANN,3,\n");
        project.succeed(&["load", "2024-03-01", "--force"]);
        assert_eq!(database.lines(&format!("select id, amount from {mode} order by amount")), ["Ann|1", "bob|2"]);
        assert_eq!(
            database.lines("select line, value, reason from rejected_rows"),
            ["4|ANN|is the key of line 2 already"],
            "{mode}"
        );
    }
}

fn a_dataset_that_cannot_be_loaded_keeps_no_other_from_it(database: &dyn Database) {
    database.execute("create table wrong (number integer)");
    for other in [
        Orders { table: "wrong", ..Orders::default() },
        Orders { filter: "nothing > 1", table: "new", ..Orders::default() },
    ] {
        let project = Project::new(database, &Orders::default());
        project.dataset("a", &other);
        project.dataset("z", &Orders { table: "z", ..Orders::default() });
        project.day("2024-03-01", "a,1,x\n");
        let ran = project.exit(3, &["load", "2024-03-01", "--force"]);
        assert!(ran.stderr.contains("dataset a is left out until this is fixed"), "{ran:#?}");
        assert!(ran.stdout.ends_with("2 loaded\n"), "{ran:#?}");
        assert_eq!(
            database.lines("select dataset, state from processed_days order by dataset"),
            ["orders|loaded", "z|loaded"]
        );
        let ran = project.exit(3, &["load", "2024-03-01", "--dataset", "a"]);
        assert!(ran.stderr.contains("error: a: "), "{ran:#?}");
        // A day that fails says more than a dataset that was left out.
        project.write("days/2024-03-02.csv", "nothing\n");
        project.exit(4, &["load", "2024-03-02"]);
        database.execute("delete from processed_days where state = 'refused'");
    }
}

fn what_a_reload_does_to_others_is_said_before(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    project.day("2024-03-01", "a,1,x\n");
    project.succeed(&["load", "2024-03-01"]);
    let ran = project.succeed(&["check"]);
    assert!(!ran.stdout.contains("a reload of a day"), "{ran:#?}");
    let item = |name: &str, action: &str| {
        format!(
            "create table {name} (id text, day date, foreign key (day, id) references orders (file_date, id) {action});"
        )
    };
    database.execute(&format!(
        "alter table orders add column shop text; {} {} {}",
        item("cascaded", "on delete cascade"),
        item("cleared", "on delete set null"),
        item("holding", "")
    ));
    database.execute(if database.url().starts_with("postgres") {
        "create function note() returns trigger language plpgsql as 'begin return old; end'; \
         create trigger noted before delete on orders for each row execute function note()"
    } else {
        "create trigger noted before delete on orders begin select 1; end"
    });
    let ran = project.succeed(&["check"]);
    for note in [
        "what others wrote into shop is lost",
        "deletes the rows that refer to its rows in cascaded",
        "clears the references to its rows in cleared",
        "fails while rows refer to its rows in holding",
        "runs the triggers noted;",
    ] {
        let said = |line: &str| line.starts_with("warning  orders: a reload of a day ") && line.contains(note);
        assert!(ran.stdout.lines().any(said), "{note}: {}", ran.stdout);
    }
    // Nothing is deleted in the other modes.
    database.execute(
        "create table others (id text primary key, amount bigint, note text, has_note boolean, \
        file_date date, created_at timestamp, shop text)",
    );
    project.orders(&Orders { mode: "insert_new", table: "others", ..Orders::default() });
    assert!(!project.run(&["check"]).stdout.contains("a reload of a day"));
}

fn a_trigger_that_forbids_deletes_doubles_no_day_and_costs_no_attempt(database: &dyn Database) {
    let postgres = database.url().starts_with("postgres");
    let project = Project::new(database, &Orders::default());
    project.day("2024-03-01", "a,1,x\nb,2,x\n");
    project.succeed(&["load", "2024-03-01"]);
    let before = rows(database);
    for (name, setup, said) in [
        (
            "keeps",
            if postgres {
                "create function keep() returns trigger language plpgsql as 'begin return null; end'; \
                 create trigger keeps before delete on orders for each row execute function keep()"
            } else {
                "create trigger keeps before delete on orders begin select raise(ignore); end"
            },
            "2 rows of the day stayed in table orders",
        ),
        (
            "forbids",
            if postgres {
                "create function forbid() returns trigger language plpgsql as \
                 $$ begin raise exception 'append only, not %', old.id; end $$; \
                 create trigger forbids after delete on orders for each row execute function forbid()"
            } else {
                "create trigger forbids before delete on orders begin select raise(abort, 'append only'); end"
            },
            "taking the day's old rows out of the target: the database does not allow it, and mode replace_day needs it",
        ),
    ] {
        database.execute(setup);
        // Without a row of the file that is among the old ones, no key would be there twice.
        project.day("2024-03-01", "c,3,x\n");
        let ran = project.exit(1, &["load", "2024-03-01", "--force"]);
        assert!(format!("{}{}", ran.stdout, ran.stderr).contains(said), "{ran:#?}");
        assert!(!ran.stderr.contains("append only"), "no value is logged: {ran:#?}");
        assert_eq!(rows(database), before, "{name}");
        assert_eq!(database.line("select state, attempts from processed_days"), "loaded|1", "{name}");
        let ran = project.succeed(&["check"]);
        let warned = format!("warning  orders: the trigger {name} seems to forbid that rows of orders are deleted");
        let line = ran.stdout.lines().find(|line| line.starts_with(&warned));
        database.execute(advised(line.unwrap_or_else(|| panic!("{ran:#?}"))).unwrap());
        project.succeed(&["load", "2024-03-01", "--force"]);
        assert_eq!(rows(database), ["c|3|x|yes|2024-03-01"], "{name}");
        project.day("2024-03-01", "a,1,x\nb,2,x\n");
        project.succeed(&["load", "2024-03-01", "--force"]);
    }
}

fn a_target_that_is_gone_is_told_of_with_the_days_it_held(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    for day in ["2024-03-01", "2024-03-02"] {
        project.day(day, "a,1,x\n");
    }
    let ran = project.succeed(&["load", "2024-03-01..2024-03-02"]);
    assert!(!ran.stderr.contains("WARN"), "{ran:#?}");
    database.execute("drop table orders");
    let said = "2 days recorded as loaded had rows in table orders, which was not there any more: to load them again run \
                \"dayfill load --force 2024-03-01..2024-03-02 --dataset orders\"";
    let ran = project.succeed(&["check"]);
    assert!(ran.stdout.contains(&format!("warning  orders: {said}")), "{ran:#?}");
    let ran = project.run(&["catch-up"]);
    assert!(ran.stderr.contains(&format!("WARN  orders: its table was created anew: {said}")), "{ran:#?}");
    project.succeed(&["load", "--force", "2024-03-01..2024-03-02", "--dataset", "orders"]);
    assert_eq!(rows(database).len(), 2);
}

/// The table `orders` as dayfill would create it, with the day's type and the key to choose.
fn orders_table(database: &dyn Database, day: &str, key: &str) {
    database.execute(&format!(
        "create table orders (id text not null, amount bigint, note text, has_note boolean, file_date {day} not null, \
         created_at timestamptz, {key})"
    ));
}

#[test]
fn a_doubled_key_is_found_where_the_constraint_waits_for_the_commit() {
    let database = TestPostgres::database();
    orders_table(&database, "date", "primary key (file_date, id) deferrable initially deferred");
    let project = Project::new(&database, &Orders { max_rejected: "1", ..Orders::default() });
    project.day("2024-03-01", "a,1,\na,2,\n");
    for _ in 0..2 {
        project.succeed(&["load", "2024-03-01", "--force"]);
        assert_eq!(database.line("select id, amount from orders"), "a|1");
        assert_eq!(database.line("select line, reason from rejected_rows"), "3|is the key of line 2 already");
    }
}

#[test]
fn json_keeps_its_text_where_the_target_can() {
    let database = TestPostgres::database();
    for kind in ["json", "text", "jsonb"] {
        let table = &*format!("orders_{kind}");
        database.execute(&format!(
            "create table {table} (id text, amount bigint, note text, payload {kind}, has_note boolean, \
             file_date date, created_at timestamptz, primary key (file_date, id))"
        ));
        let columns = r#"{ name = "payload", type = "json" },"#;
        let derive = "payload @> '{\\\"a\\\": 2}'";
        let orders = Orders { columns, derive, table: Box::leak(table.into()), ..Orders::default() };
        let project = Project::new(&database, &orders);
        project
            .write("days/2024-03-01.csv", "id,amount,note,payload\nx,1,,\"{\"\"b\"\":1,\"\"a\"\":1, \"\"a\"\":2}\"\n");
        project.succeed(&["load", "2024-03-01", "--force"]);
        let kept = if kind == "jsonb" { r#"{"a": 2, "b": 1}"# } else { r#"{"b":1,"a":1, "a":2}"# };
        let line = database.line(&format!("select payload::text as payload, has_note::text as h from {table}"));
        assert_eq!(line, format!("{kept}|true"), "{kind}");
    }
}

#[test]
fn a_day_column_of_another_type_is_refused_and_the_advice_helps() {
    for (kind, day) in
        [("timestamp", "2024-03-01 00:00:00"), ("timestamptz", "2024-03-01 00:00:00+00"), ("text", "2024-03-01")]
    {
        let database = TestPostgres::database();
        // Sessions of others have another time zone than dayfill's, which are in UTC.
        let zone = "alter database DATABASE set timezone = 'Pacific/Kiritimati'";
        database.execute(&zone.replace("DATABASE", &database.line("select current_database()")));
        orders_table(&database, kind, "primary key (file_date, id)");
        database.execute(&format!("insert into orders (id, file_date) values ('old', '{day}')"));
        let project = Project::new(&database, &Orders::default());
        project.day("2024-03-01", "a,1,\n");
        for command in ["check", "catch-up"] {
            let ran = project.exit(3, &[command]);
            let said = format!("{}{}", ran.stdout, ran.stderr);
            assert!(said.contains("column file_date is") && said.contains("the day needs date"), "{kind}: {said}");
        }
        follow_the_advice(&database, &project);
        project.succeed(&["load", "2024-03-01"]);
        assert_eq!(rows(&database), ["a|1|null|no|2024-03-01"], "{kind}: the day's old rows are replaced");
    }
}

#[test]
fn a_day_column_in_another_form_is_refused_on_sqlite() {
    let database = SqliteDatabase::new();
    database.execute(
        "create table orders (id text not null, amount integer, note text, has_note boolean, \
         file_date timestamp not null, created_at text, primary key (file_date, id)); \
         insert into orders (id, file_date) values ('old', '2024-03-01 00:00:00')",
    );
    let project = Project::new(&database, &Orders::default());
    project.day("2024-03-01", "a,1,\n");
    let ran = project.exit(3, &["catch-up"]);
    assert!(ran.stderr.contains("2024-03-01 00:00:00"), "{ran:#?}");
    follow_the_advice(&database, &project);
    project.succeed(&["load", "2024-03-01"]);
    assert_eq!(rows(&database), ["a|1|null|no|2024-03-01"]);
}

#[test]
fn row_level_security_hides_no_rows_from_a_reload() {
    let database = TestPostgres::database();
    orders_table(&database, "date", "primary key (file_date, id)");
    let role = role(&database);
    database.execute(&format!(
        "alter table orders owner to {role}; alter table orders enable row level security, force row level security; \
         create policy part on orders using (amount > 5) with check (true)"
    ));
    let loader = AsRole::new(&database, &role);
    let project = Project::new(&loader, &Orders::default());
    project.day("2024-03-01", "a,1,\n");
    for command in ["check", "catch-up"] {
        let ran = project.exit(3, &[command]);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("row-level security"), "{said}");
    }
    follow_the_advice(&database, &project);
    project.succeed(&["catch-up"]);
    assert_eq!(states(&database)[0], "2024-03-01|loaded");
    // A policy that comes when the table was looked at already is an error, and no day that stands there twice.
    let mut other = database.connect();
    other.batch_execute("begin; lock table load_attempts in exclusive mode").unwrap();
    let load = project.start(&["load", "2024-03-01", "--force"]);
    let waits = "select count(*) from pg_locks l join pg_stat_activity a using (pid) \
                 where not l.granted and a.datname = current_database()";
    wait_until("the load waits to begin its attempt", || database.line(waits) == "1");
    other.batch_execute("alter table orders force row level security; commit").unwrap();
    let ran = load.wait_with_output().unwrap();
    assert_ne!(ran.status.code(), Some(0), "{ran:?}");
    let error = database.line("select error from load_attempts where error is not null");
    assert!(error.contains("row-level security policy for table \"orders\""), "{error}");
    assert_eq!(database.line("select count(*) from orders"), "1");
    // And so it is before a load that begins then.
    let ran = project.exit(3, &["load", "2024-03-01", "--force"]);
    assert!(ran.stderr.contains("may hide rows"), "{ran:#?}");
}

const COLUMNS: &str = "amount bigint, note text, has_note boolean, created_at timestamptz";

#[test]
fn what_is_wrong_with_a_table_is_said_and_the_advice_helps() {
    let (key, day) = ("primary key (file_date, id)", "file_date date not null");
    for (mode, setup, said) in [
        (
            "replace_day",
            format!("create table orders (id bigint generated by default as identity, {COLUMNS}, {day}, {key})"),
            "column id is bigint",
        ),
        (
            "replace_day",
            format!("create table orders (\"ID\" text, {COLUMNS}, {day}, primary key (\"ID\", file_date))"),
            "the table has the column ID, the dataset id",
        ),
        (
            "replace_day",
            format!("create table \"Orders\" (id text, {COLUMNS}, {day}, {key})"),
            "there is a table Orders",
        ),
        (
            "replace_day",
            format!(
                "create table orders (number bigserial primary key, id text, {COLUMNS}, {day}); \
                 create table items (number bigint references orders)"
            ),
            "it is (number): alter table \"orders\" add unique",
        ),
        (
            "replace_day",
            format!(
                "create table orders (id text primary key, {COLUMNS}, {day}); create table items (id text references orders)"
            ),
            "this also drops the foreign keys of items",
        ),
        (
            "upsert",
            format!("create table orders (id text primary key deferrable, {COLUMNS}, {day})"),
            "it is deferrable",
        ),
        ("replace_day", format!("create table orders (id text, {COLUMNS})"), "there is none"),
        (
            "replace_day",
            format!("create table orders (id text, shop text, {COLUMNS}, {day}, primary key (id, shop))"),
            "column shop is not null",
        ),
        (
            "replace_day",
            format!(
                "create table orders (id text, amount bigint generated always as (1) stored, note text, \
                 has_note boolean, created_at timestamptz, {day}, {key})"
            ),
            "the table computes the column amount itself",
        ),
        (
            "replace_day",
            format!(
                "create table orders (id text, amount bigint generated always as identity, note text, \
                 has_note boolean, created_at timestamptz, {day}, {key})"
            ),
            "the table numbers the column amount itself",
        ),
        (
            "replace_day",
            format!(
                "create table orders (id integer default 1, amount numeric(5, 2) default 2, note integer[] default '{{}}', \
                 has_note integer default 1, created_at date default now(), {day}, {key})"
            ),
            "column note is integer[]",
        ),
        (
            "replace_day",
            format!(
                "create table orders (id text, {COLUMNS}, {day}, {key}); \
                 create rule keep as on delete to orders do instead nothing"
            ),
            "its rule keep",
        ),
        (
            "replace_day",
            format!("create unlogged table orders (id text, {COLUMNS}, {day}, {key})"),
            "it is unlogged: a crash of the server empties it",
        ),
        (
            "replace_day",
            format!(
                "create domain amounts as numeric(9, 2); create table orders (id text, amount amounts, note text, \
                 has_note boolean, created_at timestamptz, {day}, {key})"
            ),
            "column amount is amounts, the dataset has bigint",
        ),
    ] {
        let database = TestPostgres::database();
        database.execute(&setup);
        let project = Project::new(&database, &Orders { mode, ..Orders::default() });
        let checked = project.exit(3, &["check"]).stdout;
        assert!(checked.contains(said), "{said}: {checked}");
        follow_the_advice(&database, &project);
        project.day("2024-03-01", "a,1,x\n");
        project.succeed(&["load", "2024-03-01"]);
        project.succeed(&["load", "2024-03-01", "--force"]);
        assert_eq!(rows(&database), ["a|1|x|yes|2024-03-01"], "{said}");
    }
}

#[test]
fn views_that_keep_a_column_from_being_changed_are_named() {
    let database = TestPostgres::database();
    database.execute(&format!(
        "create table orders (id integer, {COLUMNS}, file_date date, primary key (file_date, id)); \
         create view seen as select id from orders; create materialized view kept as select id, note from orders"
    ));
    let project = Project::new(&database, &Orders::default());
    let ran = project.exit(3, &["check"]);
    let said = "column id is integer, the dataset has text (drop first what uses it and create it again afterwards: kept, \
                seen): alter table";
    assert!(ran.stdout.contains(said), "{ran:#?}");
    database.execute("drop view seen; drop materialized view kept");
    follow_the_advice(&database, &project);
}

#[test]
fn a_domain_takes_what_the_type_behind_it_takes_but_for_the_rows_that_it_refuses() {
    for mode in ["replace_day", "upsert"] {
        let database = TestPostgres::database();
        let key = if mode == "upsert" { "id" } else { "id, file_date" };
        database.execute(&format!(
            "create domain word as text check (value ~ '^[a-z]+$'); create domain amounts as bigint not null; \
             create table orders (id word, amount amounts, note text, has_note boolean, created_at timestamptz, \
             file_date date not null, primary key ({key}))"
        ));
        let project = Project::new(&database, &Orders { mode, max_rejected: "3", ..Orders::default() });
        project.day("2024-03-01", "a,1,x\n9,2,x\nb,,x\nc,3,x\nc,4,x\n");
        project.succeed(&["load", "2024-03-01"]);
        assert_eq!(database.lines("select id, amount from orders order by id"), ["a|1", "c|3"], "{mode}");
        assert_eq!(database.lines("select line from rejected_rows order by line"), ["3", "4", "6"], "{mode}");
    }
}

#[test]
fn json_is_wanted_where_the_table_has_an_array() {
    let database = TestPostgres::database();
    database.execute(&format!(
        "create table orders (id text, {COLUMNS}, tags integer[], file_date date not null, primary key (file_date, id)); \
         insert into orders (id, tags, file_date) values ('old', '{{1,2}}', '2024-02-01')"
    ));
    let columns = r#"{ name = "tags", type = "json" },"#;
    let project = Project::new(&database, &Orders { columns, ..Orders::default() });
    follow_the_advice(&database, &project);
    assert_eq!(database.line("select tags::text from orders"), "[1, 2]");
}

#[test]
fn a_day_without_a_partition_is_found_and_the_advice_helps() {
    let partitioned = |by: &str, more: &str| {
        format!(
            "create table orders (id text, {COLUMNS}, file_date date, primary key (file_date, id)) partition by {by} \
             (file_date); {more}"
        )
    };
    for (setup, first, created) in [
        (partitioned("range", ""), "2024-03-01", "partition of \"orders\" for values from ('2024-03-01')"),
        (
            partitioned(
                "range",
                "create table orders_20240304 (id text); \
                 create table of_days partition of orders for values from ('2024-02-10') to ('2024-03-04')",
            ),
            "2024-03-04",
            "\"orders_20240304_2\" partition of \"orders\" for values from ('2024-03-04') to ('2024-03-05')",
        ),
        (
            partitioned("range", "create table old partition of orders for values from (minvalue) to ('2024-02-01')"),
            "2024-03-01",
            "\"orders_202403\" partition of \"orders\" for values from ('2024-03-01') to ('2024-04-01')",
        ),
        (
            partitioned("list", "create table one partition of orders for values in ('2024-03-01', '2024-03-03')"),
            "2024-03-02",
            "for values in ('2024-03-02')",
        ),
    ] {
        let database = TestPostgres::database();
        database.execute(&setup);
        let project = Project::new(&database, &Orders::default());
        let ran = project.exit(3, &["check"]);
        let said = format!("problem  orders: table orders has no partition for {first}: create table");
        assert!(ran.stdout.contains(&said) && ran.stdout.contains(created), "{created}: {ran:#?}");
        project.day(first, "a,1,x\n");
        let ran = project.exit(1, &["load", first]);
        assert!(ran.stdout.contains(created), "{ran:#?}");
        assert_eq!(database.line("select outcome from load_attempts"), "database");
        // It is not tried at once again, holds up no other day, and has all its attempts.
        let row = "select state, attempts, error like '%no partition for%', next_attempt_at > now() at time zone 'utc' \
                   + interval '50 minutes' from processed_days";
        assert_eq!(database.line(row), "failed|0|true|true");
        // The newest week has seven days.
        for _ in 0..7 {
            let ran = project.run(&["check"]);
            ran.stdout.lines().filter_map(advised).for_each(|sql| database.execute(sql));
        }
        project.succeed(&["check"]);
        project.succeed(&["load", first]);
        assert_eq!(rows(&database), [format!("a|1|x|yes|{first}")]);
    }
    for more in ["create table others partition of orders default", "alter table orders rename to elsewhere"] {
        let database = TestPostgres::database();
        database.execute(&partitioned("list", more));
        Project::new(&database, &Orders::default()).succeed(&["check"]);
    }
}

#[test]
fn a_table_partitioned_by_the_day_takes_no_upsert_and_the_advice_helps() {
    let database = TestPostgres::database();
    database.execute(&format!(
        "create table orders (id text, {COLUMNS}, file_date date, primary key (file_date, id)) partition by range \
         (file_date); create table all_days partition of orders default"
    ));
    let project = Project::new(&database, &Orders { mode: "upsert", ..Orders::default() });
    let ran = project.exit(3, &["check"]);
    let said = "must be (id) for mode upsert, but it is partitioned by file_date, which every unique key of it has to hold: \
                set mode = \"replace_day\"";
    assert!(ran.stdout.contains(said), "{ran:#?}");
    project.orders(&Orders::default());
    project.succeed(&["check"]);
    project.day("2024-03-01", "a,1,x\n");
    project.succeed(&["load", "2024-03-01"]);
}

#[test]
fn what_is_no_table_is_named() {
    for (setup, said) in [
        ("create table behind (id text); create view orders as select * from behind", "it is a view"),
        ("create materialized view orders as select 1 as id", "it is a materialized view"),
        (
            "create extension file_fdw; create server files foreign data wrapper file_fdw; \
             create foreign table orders (id text) server files options (filename '/dev/null')",
            "it is a foreign table",
        ),
        ("create table t (id text); create index orders on t (id)", "it is an index"),
        ("create sequence orders", "it is a sequence"),
    ] {
        let database = TestPostgres::database();
        database.execute(setup);
        let project = Project::new(&database, &Orders::default());
        project.day("2024-03-01", "a,1,x\n");
        for command in ["check", "catch-up"] {
            let ran = project.exit(3, &[command]);
            let text = format!("{}{}", ran.stdout, ran.stderr);
            assert!(text.contains(said) && text.contains("target.table"), "{said}: {text}");
        }
    }
    let database = SqliteDatabase::new();
    database.execute("create table behind (id text); create view orders as select * from behind");
    let project = Project::new(&database, &Orders::default());
    let ran = project.exit(3, &["check"]);
    assert!(ran.stdout.contains("it is a view"), "{ran:#?}");
    let project = Project::new(&database, &Orders { table: "pg_catalog.pg_class", ..Orders::default() });
    let ran = project.exit(3, &["check"]);
    assert!(ran.stderr.contains("keeps for itself") || ran.stdout.contains("keeps for itself"), "{ran:#?}");
}

#[test]
fn a_right_that_is_lacking_is_found_before_the_first_day() {
    let table =
        format!("create table orders (id text, {COLUMNS}, file_date date not null, primary key (file_date, id))");
    for (mode, target, setup, said) in [
        ("replace_day", "orders", "grant select, insert on orders to ROLE", "no right to delete"),
        ("replace_day", "orders", "grant insert, delete on orders to ROLE", "no right to select"),
        (
            "upsert",
            "orders",
            "alter table orders drop constraint orders_pkey, add primary key (id); grant select, insert on orders to ROLE",
            "no right to update",
        ),
        (
            "insert_new",
            "orders",
            "alter table orders drop constraint orders_pkey, add primary key (id); grant select on orders to ROLE",
            "no right to insert",
        ),
        (
            "replace_day",
            "orders",
            "alter table orders drop column note; grant select, insert, delete on orders to ROLE",
            "it lacks note, and only its owner",
        ),
        ("replace_day", "elsewhere.orders", "select 1", "the schema elsewhere does not exist"),
        ("replace_day", "private.orders", "create schema private", "may not create tables in the schema private"),
        (
            "replace_day",
            "private.orders",
            "create schema private; alter table orders set schema private",
            "may not use the schema private",
        ),
    ] {
        let database = TestPostgres::database();
        database.execute(&table);
        let role = role(&database);
        let loader = AsRole::new(&database, &role);
        let project = Project::new(&loader, &Orders { mode, table: target, ..Orders::default() });
        project.succeed(&["migrate"]);
        database.execute(&setup.replace("ROLE", &role));
        let ran = project.exit(3, &["check"]);
        assert!(ran.stdout.contains(said), "{said}: {}", ran.stdout);
        for _ in 0..3 {
            let ran = project.run(&["check"]);
            for sql in ran.stdout.lines().filter_map(advised) {
                database.execute(sql);
            }
        }
        project.day("2024-03-01", "a,1,x\n");
        project.succeed(&["load", "2024-03-01"]);
        project.succeed(&["load", "2024-03-01", "--force"]);
        assert_eq!(database.line("select state from processed_days"), "loaded", "{said}");
    }
}

/// A role that may use the database and its schema, dropped with the cluster.
pub(crate) fn role(database: &TestDatabase) -> String {
    let role = format!("loader_{}", uuid::Uuid::new_v4().simple());
    let name = database.line("select current_database()");
    database.execute(&format!(
        "create role {role}; grant create, temporary on database {name} to {role}; grant usage, create on schema public to {role}"
    ));
    role
}

/// A database as a role that is no superuser sees it.
pub(crate) struct AsRole<'a> {
    database: &'a TestDatabase,
    url: String,
}

impl<'a> AsRole<'a> {
    pub(crate) fn new(database: &'a TestDatabase, role: &str) -> Self {
        let url = database.url();
        let and = if url.contains('?') { '&' } else { '?' };
        Self { database, url: format!("{url}{and}options=-crole%3D{role}") }
    }
}

impl Database for AsRole<'_> {
    fn url(&self) -> &str {
        &self.url
    }

    fn execute(&self, sql: &str) {
        self.database.execute(sql);
    }

    fn lines(&self, query: &str) -> Vec<String> {
        self.database.lines(query)
    }

    fn hold(&self) -> Box<dyn std::any::Any> {
        self.database.hold()
    }
}

/// Runs the SQL that `check` advises, as the database's owner, until `check` finds no fault with the dataset.
fn follow_the_advice(database: &dyn Database, project: &Project) {
    let ran = project.run(&["check"]);
    let advice: Vec<&str> = ran.stdout.lines().filter_map(advised).collect();
    assert!(!advice.is_empty(), "no advice: {ran:#?}");
    for sql in advice {
        database.execute(sql);
    }
    let ran = project.run(&["check"]);
    assert!(!ran.stdout.contains("cannot take the rows"), "{ran:#?}");
}

/// The statement at the end of a line of `check`'s.
pub(crate) fn advised(line: &str) -> Option<&str> {
    let begins = ["alter ", "create ", "grant ", "drop ", "update "].iter().filter_map(|word| {
        [": ", ", or "]
            .iter()
            .filter_map(|before| line.find(&format!("{before}{word}")).map(|at| at + before.len()))
            .min()
    });
    let sql = &line[begins.min()?..];
    sql.ends_with(';').then_some(sql)
}
