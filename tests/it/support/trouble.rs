//! Trouble that databases have.

use super::{Database, wait_until};

/// Has what is done to a table, such as `insert`, fail as on a full disk.
pub(crate) fn fill_the_disk(database: &dyn Database, done: &str, table: &str) {
    database.execute(&if database.url().starts_with("postgres") {
        format!(
            "create function full_disk() returns trigger language plpgsql as $$ begin raise exception using \
             errcode = '53100', message = 'could not extend file \"base/16384/16385\": No space left on device', \
             hint = 'Check free disk space.'; end $$; \
             create trigger full_disk before {done} on {table} for each row execute function full_disk()"
        )
    } else {
        format!(
            "create trigger full_disk before {done} on {table} begin \
             select raise(abort, 'database or disk is full'); end"
        )
    });
}

/// The table's disk is full no more.
pub(crate) fn make_room(database: &dyn Database, table: &str) {
    let of = if database.url().starts_with("postgres") { format!(" on {table}") } else { String::new() };
    database.execute(&format!("drop trigger full_disk{of}"));
}

/// Waits until the server has noticed that processes are dead: their sessions are gone.
pub(crate) fn wait_for_sessions_to_end(database: &dyn Database) {
    if database.url().starts_with("postgres") {
        wait_until("the sessions of dead processes end", || {
            database.line(
                "select count(*) from pg_stat_activity where datname = current_database() \
                 and backend_type = 'client backend' and pid <> pg_backend_pid()",
            ) == "0"
        });
    }
}
