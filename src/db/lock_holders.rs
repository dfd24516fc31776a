//! The PostgreSQL sessions that hold a lock for which another waits, in words.

use std::fmt;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Text};

use crate::wording::printable;

/// How many of the sessions that hold a lock are named.
const NAMED: i64 = 3;

/// How much of a name that a session gave itself is shown, bytes.
const NAME: usize = 100;

/// A session that holds what another waits for.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub(super) struct Holder {
    /// Its process id in the server.
    #[diesel(sql_type = Integer)]
    pub(super) pid: i32,
    /// The name it gave itself, or what kind of process of the server's it is.
    #[diesel(sql_type = Text)]
    pub(super) application: String,
    /// Its role.
    #[diesel(sql_type = Text)]
    pub(super) role: String,
    /// What it does: `active`, `idle in transaction`, ...; empty where we may not see it.
    #[diesel(sql_type = Text)]
    pub(super) state: String,
    /// How long its transaction has been open, seconds; how long it has been there, where we may not see that.
    #[diesel(sql_type = BigInt)]
    pub(super) seconds: i64,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, application, role, state, seconds } = self;
        write!(f, "process {pid} (")?;
        for text in [application, role].into_iter().filter(|text| !text.is_empty()) {
            write!(f, "{}, ", printable(text, NAME))?;
        }
        if state.is_empty() { write!(f, "for {seconds} s)") } else { write!(f, "{state}, {seconds} s)") }
    }
}

/// The sessions in words; what stands for them where none is known by now.
#[must_use]
pub(super) fn named(holders: &[Holder]) -> String {
    if holders.is_empty() {
        return "another session".to_owned();
    }
    holders.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The columns of [`Holder`], for a session `a` of `pg_stat_activity`.
pub(super) const HOLDER: &str = "a.pid, coalesce(nullif(a.application_name, ''), nullif(a.backend_type, 'client backend'), '') \
     as application, coalesce(a.usename::text, '') as role, coalesce(a.state, '') as state, \
     coalesce(extract(epoch from clock_timestamp() - coalesce(a.xact_start, a.backend_start)), 0)::bigint as seconds";

/// Who else holds a lock on one of these tables, or of their partitions, in one of these modes; those of the longest
/// transactions first.
pub(super) fn holders(conn: &mut PgConnection, tables: &[String], modes: &[&str]) -> QueryResult<Vec<Holder>> {
    diesel::sql_query(format!(
        "with recursive t(oid) as (\
           select to_regclass(name)::oid from unnest($1) as name \
           union select i.inhrelid from pg_inherits i join t on t.oid = i.inhparent) \
         select {HOLDER} from pg_stat_activity a where a.pid <> pg_backend_pid() and a.pid in (\
           select l.pid from pg_locks l where l.granted and l.locktype = 'relation' and l.mode = any($2) \
           and l.database = (select oid from pg_database where datname = current_database()) \
           and l.relation in (select oid from t)) \
         order by seconds desc, pid limit {NAMED}"
    ))
    .bind::<Array<Text>, _>(tables)
    .bind::<Array<Text>, _>(modes)
    .load(conn)
}

/// The modes of locks that keep others from writing to a table, and those that keep others from altering it.
pub(super) const AGAINST_WRITING: &[&str] =
    &["ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"];
pub(super) const AGAINST_ALTERING: &[&str] = &[
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_a_lock_in_words() {
        let holder = |application: &str, state: &str| Holder {
            pid: 4711,
            application: application.to_owned(),
            role: "anna".to_owned(),
            state: state.to_owned(),
            seconds: 75,
        };
        for (holder, text) in [
            (holder("psql", "idle in transaction"), "process 4711 (psql, anna, idle in transaction, 75 s)"),
            (holder("", "active"), "process 4711 (anna, active, 75 s)"),
            (holder("a\nb", ""), "process 4711 (a\\nb, anna, for 75 s)"),
        ] {
            assert_eq!(holder.to_string(), text);
        }
        assert_eq!(named(&[]), "another session");
    }
}
