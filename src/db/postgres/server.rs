//! PostgreSQL's dialect, its clock, and the locks of workers and migrations.

use diesel::PgConnection;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{self, BigInt, Bool, Text};

use crate::column::ColumnType;
use crate::db::columns::Timestamp;
use crate::db::statements::Dialect;

/// How PostgreSQL says what both databases can.
pub(in crate::db) const DIALECT: Dialect = Dialect {
    temp: "pg_temp",
    kind: |kind| match kind {
        ColumnType::Double => "double precision",
        ColumnType::Json => "jsonb",
        other => other.name(),
    },
    // `jsonb` would lose the order of keys, and doubled ones, which a target of `json` or `text` can hold.
    stage_kind: |kind| if kind == ColumnType::Json { "json" } else { (DIALECT.kind)(kind) },
    line_kind: "bigint",
    sql: |sql| &sql.postgres,
    cast: |sql, kind| format!("(\n{sql}\n)::{}", (DIALECT.stage_kind)(kind)),
    day: |day| format!("date '{day}'"),
    now: "now()",
    fence: "offset 0",
};

/// The advisory lock under which tables are created and altered: "dayfill" in ASCII.
const DDL_LOCK: i64 = 0x64_61_79_66_69_6c_6c;

#[derive(QueryableByName)]
struct ServerFlag {
    #[diesel(sql_type = Bool)]
    flag: bool,
}

#[derive(QueryableByName)]
struct SchemaName {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct Instant {
    #[diesel(sql_type = sql_types::Timestamp)]
    instant: Timestamp,
}

pub(in crate::db) fn now(conn: &mut PgConnection) -> QueryResult<Timestamp> {
    let now: Instant = diesel::sql_query("select clock_timestamp() as instant").get_result(conn)?;
    Ok(now.instant)
}

/// Reads `pg_class`, although `to_regclass` alone would do: alone it answers from the session's cache, which inside a
/// transaction does not hear of a table that another session has created meanwhile until a relation is locked (tried).
pub(in crate::db) fn has_table(conn: &mut PgConnection, name: &str) -> QueryResult<bool> {
    let found: ServerFlag =
        diesel::sql_query("select exists (select from pg_class where oid = to_regclass($1)) as flag")
            .bind::<Text, _>(name)
            .get_result(conn)?;
    Ok(found.flag)
}

/// Creates the schema of the state tables where one is named and not there; who may not create one need not.
pub(in crate::db) fn create_state_schema(conn: &mut PgConnection) -> QueryResult<()> {
    let missing: Vec<SchemaName> = diesel::sql_query(
        "select quote_ident(named) as name from (select current_setting('dayfill.schema', true) as named) as setting \
         where named <> '' and not exists (select from pg_namespace where nspname = named)",
    )
    .load(conn)?;
    missing.iter().try_for_each(|schema| conn.batch_execute(&format!("create schema {}", schema.name)))
}

pub(in crate::db) fn lock_for_ddl(conn: &mut PgConnection) -> QueryResult<()> {
    diesel::sql_query("select pg_advisory_xact_lock($1)").bind::<BigInt, _>(DDL_LOCK).execute(conn).map(drop)
}

/// The key of a worker's advisory lock: the first 64 bits of its random id.
pub(in crate::db) fn worker_key(id: &str) -> i64 {
    let bits = uuid::Uuid::parse_str(id).map_or(0, |id| id.as_u64_pair().0);
    i64::from_ne_bytes(bits.to_ne_bytes())
}

/// Looks the lock up rather than tries to take it, so that two who ask at once do not take each other for the worker.
/// `pg_locks` shows the two halves of a 64-bit key as `classid` and `objid`, with `objsubid` 1.
pub(in crate::db) fn worker_holds_lock(conn: &mut PgConnection, id: &str) -> QueryResult<bool> {
    let held: ServerFlag = diesel::sql_query(
        "select exists (select from pg_locks where locktype = 'advisory' and granted and objsubid = 1 \
         and database = (select oid from pg_database where datname = current_database()) \
         and classid::bigint = (($1 >> 32) & 4294967295) and objid::bigint = ($1 & 4294967295)) as flag",
    )
    .bind::<BigInt, _>(worker_key(id))
    .get_result(conn)?;
    Ok(held.flag)
}

/// True when the server was started after the worker's last sign of life. Then nobody's lock outlived the start, and
/// that a worker holds none says nothing about it.
pub(in crate::db) fn restarted_since_heartbeat(conn: &mut PgConnection, id: &str) -> QueryResult<bool> {
    let restarted: ServerFlag = diesel::sql_query(
        "select exists (select from workers where id = $1 and heartbeat_at < pg_postmaster_start_time()) as flag",
    )
    .bind::<Text, _>(id)
    .get_result(conn)?;
    Ok(restarted.flag)
}
