//! dayfill's own tables: what stands in a database under their names, and what a role may do with them. What dayfill
//! advises is run here, and must help.

use std::fs;

use diesel::connection::SimpleConnection;

use crate::support::postgres::{TestDatabase, TestPostgres};
use crate::support::project::{Orders, Project, Ran, rows};
use crate::support::{Database, on_both};
use crate::targets::{AsRole, advised, role};

on_both! {
    tables_of_others_are_told_of_and_left_alone
    a_database_of_a_newer_version_is_told_of
}

fn said(ran: &Ran) -> String {
    format!("{}{}", ran.stdout, ran.stderr)
}

/// Each command that would touch the database says it, and ends with the code of a wrong configuration.
fn is_said(project: &Project, words: &str) {
    for command in [&["check"][..], &["migrate"], &["migrate", "--dry-run"], &["catch-up"]] {
        let ran = project.exit(3, command);
        assert!(said(&ran).contains(words), "{command:?}: {ran:#?}");
    }
}

fn tables(database: &dyn Database) -> Vec<String> {
    database.lines(if database.url().starts_with("postgres") {
        "select table_schema || '.' || table_name from information_schema.tables \
         where table_schema not in ('pg_catalog', 'information_schema') order by 1"
    } else {
        "select name from sqlite_master where type = 'table' order by 1"
    })
}

fn tables_of_others_are_told_of_and_left_alone(database: &dyn Database) {
    for (setup, name) in [
        ("create table workers (number integer)", "workers"),
        ("create table activity_log (words text)", "activity_log"),
        ("create table activity_log (words text)", "activity_log"),
        (
            "create table __diesel_schema_migrations (version text primary key, run_on timestamp); \
             insert into __diesel_schema_migrations (version) values ('20240101000000')",
            "__diesel_schema_migrations",
        ),
    ] {
        database.execute(setup);
        let before = tables(database);
        let project = Project::new(database, &Orders::default());
        is_said(&project, &format!("under the names of its own tables, {name}: "));
        project.succeed(&["status"]);
        assert_eq!(tables(database), before, "nothing was done");
        database.execute(&format!("drop table {name}"));
    }
}

fn a_database_of_a_newer_version_is_told_of(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    project.succeed(&["migrate"]);
    database.execute("insert into __diesel_schema_migrations (version) values ('9999')");
    let ran = project.succeed(&["check"]);
    assert!(ran.stdout.contains("a newer dayfill migrated the database (migration 9999;"), "{ran:#?}");
    project.day("2024-03-01", "a,1,x\n");
    let ran = project.succeed(&["load", "2024-03-01"]);
    assert!(ran.stderr.contains("a newer dayfill migrated"), "{ran:#?}");
    // One that is gone is not made anew, with all it knew.
    database.execute("drop table rejected_rows");
    let ran = project.exit(3, &["check"]);
    assert!(ran.stdout.contains("there is no rejected_rows: restore"), "{ran:#?}");
}

#[test]
fn own_tables_have_a_schema_where_one_is_named() {
    let database = TestPostgres::database();
    // Everything that could be taken for ours is there already, and a trigger writes to it at the commit.
    database.execute(
        "create table workers (number integer); create table activity_log (words text); \
         create table __diesel_schema_migrations (version text, run_on timestamp); \
         insert into __diesel_schema_migrations values ('20240101000000'); \
         create table orders (id text not null, amount bigint, note text, has_note boolean, file_date date not null, \
         created_at timestamptz, primary key (file_date, id)); \
         create function note() returns trigger language plpgsql as \
         'begin insert into activity_log select count(*) from workers; return null; end'; \
         create constraint trigger noted after insert on orders deferrable initially deferred \
         for each row execute function note()",
    );
    let project = Project::new(&database, &Orders { filter: "not exists (select from workers)", ..Orders::default() });
    let schema = |name: &str| project.write("dayfill.toml", format!("[database]\nschema = \"{name}\"\n"));
    schema("dayfill");
    project.day("2024-03-01", "a,1,x\n");
    let ran = project.succeed(&["check"]);
    assert!(ran.stdout.contains("the first load applies 0001"), "{ran:#?}");
    project.succeed(&["load", "2024-03-01"]);
    project.succeed(&["load", "2024-03-01", "--force"]);
    project.succeed(&["check"]);
    assert_eq!(rows(&database), ["a|1|x|yes|2024-03-01"]);
    assert_eq!(database.line("select state, attempts from dayfill.processed_days"), "loaded|1");
    assert_eq!(database.lines("select words from public.activity_log"), ["0", "0"]);
    assert_eq!(database.line("select count(*) from public.workers"), "0");
    let ran = project.succeed(&["status"]);
    assert!(ran.stdout.contains("2024-03-01"), "{ran:#?}");
    // A table that is created goes where the role's search path says, as without the schema.
    project.orders(&Orders { table: "created", filter: "true", ..Orders::default() });
    project.succeed(&["load", "2024-03-01", "--force"]);
    assert_eq!(database.line("select count(*) from public.created"), "1");
    let own = tables(&database).into_iter().filter(|table| table.starts_with("dayfill.")).count();
    assert!(own >= 7, "{:?}", tables(&database));
    // Our own are no targets, by whatever way they are found.
    let path = "alter database DATABASE set search_path = dayfill, public";
    database.execute(&path.replace("DATABASE", &database.line("select current_database()")));
    for (table, words) in [("dayfill.workers", "is a table of dayfill's own"), ("activity_log", "it is dayfill's own")]
    {
        project.orders(&Orders { table, ..Orders::default() });
        let ran = project.exit(3, &["check"]);
        assert!(said(&ran).contains(words), "{ran:#?}");
    }
}

#[test]
fn days_recorded_in_another_schema_are_told_of_and_the_advice_moves_them() {
    for migrated in [false, true] {
        let database = TestPostgres::database();
        let project = Project::new(&database, &Orders::default());
        project.day("2024-03-01", "a,1,x\n");
        project.day("2024-03-02", "a,2,x\n");
        project.succeed(&["load", "2024-03-01..2024-03-02"]);
        project.write("dayfill.toml", "[database]\nschema = \"own\"\n");
        let words = "the schema public holds dayfill's tables too, with 2 recorded days that";
        if migrated {
            let ran = project.succeed(&["migrate"]);
            assert!(ran.stderr.contains(words), "{ran:#?}");
        }
        for command in [&["migrate", "--dry-run"][..], &["check"]] {
            let ran = project.succeed(command);
            assert!(said(&ran).contains(words), "{command:?}: {ran:#?}");
        }
        follow(&database, &project);
        assert!(!said(&project.succeed(&["check"])).contains("recorded day"));
        assert_eq!(database.lines("select state from own.processed_days"), ["loaded", "loaded"]);
        project.succeed(&["catch-up"]);
        assert_eq!(database.line("select count(*) from own.load_attempts where outcome = 'loaded'"), "2");
    }
}

#[test]
fn a_schema_with_days_of_its_own_is_never_advised_to_be_dropped() {
    let database = TestPostgres::database();
    let project = Project::new(&database, &Orders::default());
    project.day("2024-03-01", "a,1,x\n");
    project.day("2024-03-02", "a,2,x\n");
    project.succeed(&["load", "2024-03-01..2024-03-02"]);
    project.write("dayfill.toml", "[database]\nschema = \"own\"\n");
    let ran = project.succeed(&["load", "2024-03-01"]);
    assert!(ran.stderr.contains("with 2 recorded days"), "the start says it: {ran:#?}");
    let ran = project.succeed(&["check"]);
    assert!(ran.stdout.contains("with 1 recorded day that") && !ran.stdout.contains("drop table"), "{ran:#?}");
    assert!(ran.stdout.contains("set database.schema = \"public\""), "{ran:#?}");
    // It is a note: who holds that schema's tables holds nothing up.
    let mut holder = database.connect();
    holder.batch_execute("begin; lock table public.processed_days in access exclusive mode").unwrap();
    assert!(!project.succeed(&["check"]).stdout.contains("recorded day"));
    project.succeed(&["load", "2024-03-02"]);
    holder.batch_execute("rollback").unwrap();
    // Another dayfill beside this one has datasets of its own.
    database.execute("update public.processed_days set definition_hash = 'other'");
    assert!(!project.succeed(&["check"]).stdout.contains("recorded day"));
}

#[test]
fn a_schema_that_may_not_be_created_is_told_of() {
    let database = TestPostgres::database();
    let role = role(&database);
    let name = database.line("select current_database()");
    database.execute(&format!("revoke create on database {name} from {role}"));
    let loader = AsRole::new(&database, &role);
    let project = Project::new(&loader, &Orders::default());
    project.write("dayfill.toml", "[database]\nschema = \"own\"\n");
    is_said(&project, "may not create the schema own: create schema");
    follow(&database, &project);
    project.succeed(&["migrate"]);
}

#[test]
fn what_a_role_may_not_do_with_own_tables_is_said_and_the_advice_helps() {
    for (migrated, setup, words) in [
        (true, "revoke delete on workers from ROLE", "may not read and write dayfill's own tables"),
        (true, "revoke select on __diesel_schema_migrations from ROLE", "may not read __diesel_schema_migrations"),
        (
            false,
            "revoke create on schema public from ROLE, public",
            "may not create dayfill's own tables in the schema public",
        ),
        (false, "revoke temporary on database DATABASE from ROLE, public", "may not create temporary tables"),
        (false, "alter database DATABASE set default_transaction_read_only = on", "sessions are read-only"),
    ] {
        let database = TestPostgres::database();
        let role = role(&database);
        let name = database.line("select current_database()");
        let loader = AsRole::new(&database, &role);
        let project = Project::new(&loader, &Orders::default());
        if migrated {
            project.succeed(&["migrate"]);
            database.execute(&format!(
                "grant select on all tables in schema public to {role}; \
                 grant select, insert, update, delete on all tables in schema public to {role}; \
                 do $$ declare t text; begin for t in select tablename from pg_tables where schemaname = 'public' loop \
                 execute 'alter table ' || quote_ident(t) || ' owner to current_user'; end loop; end $$; \
                 grant select, insert, update, delete on all tables in schema public to {role}"
            ));
        }
        database.execute(&setup.replace("ROLE", &role).replace("DATABASE", &name));
        is_said(&project, words);
        follow(&database, &project);
        project.day("2024-03-01", "a,1,x\n");
        project.succeed(&["load", "2024-03-01"]);
    }
}

#[test]
fn who_may_not_read_own_tables_is_told_by_status_what_to_grant() {
    let database = TestPostgres::database();
    Project::new(&database, &Orders::default()).succeed(&["migrate"]);
    let role = role(&database);
    let project = Project::new(&AsRole::new(&database, &role), &Orders::default());
    let status = || project.exit(3, &["status"]).stderr;
    let said = status();
    assert!(said.contains(&format!("grant select on __diesel_schema_migrations to \"{role}\";")), "{said}");
    database.execute(&format!("grant select on __diesel_schema_migrations to {role}"));
    let said = status();
    assert!(said.contains("permission denied for table paused_datasets"), "{said}");
    assert!(said.contains("grant select, insert, update, delete on processed_days, "), "{said}");
    // Who only looks needs no more than to read.
    database.execute(&format!("grant select on all tables in schema public to {role}"));
    project.succeed(&["status"]);
}

#[test]
fn an_upgrade_wants_the_owner_of_the_tables() {
    let database = TestPostgres::database();
    let project = Project::new(&database, &Orders::default());
    project.succeed(&["migrate"]);
    database.execute(
        "drop table activity_log, paused_datasets, load_cancellations; delete from __diesel_schema_migrations where version > '0002'",
    );
    let role = role(&database);
    database.execute(&format!("grant select, insert, update, delete on all tables in schema public to {role}"));
    let loader = AsRole::new(&database, &role);
    let project = Project::new(&loader, &Orders::default());
    is_said(&project, "and their owner is postgres: run `dayfill migrate`");
}

#[test]
fn a_standby_is_told_of() {
    let server = TestPostgres::dedicated();
    let database = server.database();
    let project = Project::new(&database, &Orders::default());
    server.stop();
    fs::write(server.data().join("standby.signal"), "").unwrap();
    server.start();
    is_said(&project, "is a standby");
}

/// Runs the SQL that `check` advises until it finds no problem.
fn follow(database: &TestDatabase, project: &Project) {
    let ran = project.run(&["check"]);
    let advice: Vec<&str> = ran.stdout.lines().filter_map(advised).collect();
    assert!(!advice.is_empty(), "{ran:#?}");
    // Where sessions are read-only, that of the owner is, too.
    for sql in &advice {
        database.execute(&format!("set transaction_read_only = off; {sql}"));
    }
    project.succeed(&["check"]);
}
