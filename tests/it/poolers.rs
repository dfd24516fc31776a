//! `PgBouncer` between dayfill and `PostgreSQL`: in session mode all works, also in sessions that others used before;
//! in transaction mode nothing is loaded, and `check` says what to change.

use diesel::connection::SimpleConnection;

use crate::support::Database;
use crate::support::pgbouncer::{PgBouncer, SESSIONS};
use crate::support::postgres::TestPostgres;
use crate::support::project::{Orders, Project, Ran, rows};

/// The program, by way of the pooler.
fn through(bouncer: &PgBouncer, project: &Project, arguments: &[&str]) -> Ran {
    Ran::of(project.command(arguments).env("DAYFILL__DATABASE__URL", bouncer.url()))
}

#[test]
fn sessions_of_a_pooler_are_used_after_others_left_traces_in_them() {
    let database = TestPostgres::database();
    let bouncer = PgBouncer::before(&database, "session");
    // Each session of the pool has had a temporary table, so that its buffers cannot be changed.
    let others: Vec<_> = (0..SESSIONS)
        .map(|_| {
            let mut other = bouncer.connect();
            other.batch_execute("create temp table t (n integer); insert into t values (1)").unwrap();
            other
        })
        .collect();
    drop(others);
    let refused = bouncer.connect().batch_execute("set temp_buffers = '32MB'").unwrap_err().to_string();
    assert!(refused.contains("temp_buffers"), "{refused}");
    let project = Project::new(&database, &Orders { max_rejected: "50%", ..Orders::default() });
    for day in ["2024-03-01", "2024-03-02"] {
        project.day(day, "a,1,x\na,2,x\nb,-1,\n");
    }
    for arguments in [&["check"][..], &["load", "2024-03-01..2024-03-02"], &["load", "2024-03-01", "--force"]] {
        let ran = through(&bouncer, &project, arguments);
        assert!(ran.code == 0 && !ran.stderr.contains("WARN  database"), "{arguments:?}: {ran:#?}");
    }
    assert_eq!(rows(&database), ["a|1|x|yes|2024-03-01", "a|1|x|yes|2024-03-02"]);
    // Sessions that dayfill gave back hold none of its locks and settings.
    let left = "select count(*) from pg_locks l join pg_stat_activity a using (pid) \
                where l.locktype = 'advisory' and a.datname = current_database()";
    crate::support::wait_until("the pooler resets its sessions", || database.line(left) == "0");
}

#[test]
fn a_pooler_that_shares_sessions_is_recognised_and_nothing_is_loaded() {
    let database = TestPostgres::database();
    for mode in ["transaction", "statement"] {
        let bouncer = PgBouncer::before(&database, mode);
        let project = Project::new(&database, &Orders::default());
        project.day("2024-03-01", "a,1,x\n");
        for command in [&["check"][..], &["load", "2024-03-01"], &["catch-up"]] {
            let ran = through(&bouncer, &project, command);
            let said = format!("{}{}", ran.stdout, ran.stderr);
            assert!(ran.code == 3 && said.contains("set pool_mode = session"), "{mode}, {command:?}: {ran:#?}");
        }
        assert_eq!(database.line("select count(*) from pg_class where relname in ('orders', 'processed_days')"), "0");
    }
}
