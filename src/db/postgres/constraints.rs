//! What the target's constraints and types say of a row that broke one.

use diesel::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};

use crate::column::TableName;

#[derive(QueryableByName)]
struct ConstraintFlag {
    #[diesel(sql_type = Bool)]
    flag: bool,
}

#[derive(QueryableByName)]
struct ConstrainedColumn {
    #[diesel(sql_type = Text)]
    name: String,
}

/// The statement that holds the table's own deferred constraints against its rows; `None` when it has none. Those of
/// other tables that refer to it stay deferred.
pub(in crate::db) fn check_deferred(conn: &mut PgConnection, table: &TableName) -> QueryResult<Option<String>> {
    let names: Vec<ConstrainedColumn> = diesel::sql_query(
        "select distinct format('%I.%I', n.nspname, k.conname) as name \
         from pg_constraint k join pg_namespace n on n.oid = k.connamespace \
         where k.conrelid = to_regclass($1) and k.condeferrable",
    )
    .bind::<Text, _>(table.quoted())
    .load(conn)?;
    let names: Vec<String> = names.into_iter().map(|found| found.name).collect();
    Ok((!names.is_empty()).then(|| format!("set constraints {} immediate", names.join(", "))))
}

/// True when rows of the table refer to rows of the table.
pub(in crate::db) fn refers_to_itself(conn: &mut PgConnection, table: &TableName) -> QueryResult<bool> {
    let found: ConstraintFlag = diesel::sql_query(
        "select exists (select from pg_constraint where contype = 'f' and conrelid = to_regclass($1) \
         and confrelid = conrelid) as flag",
    )
    .bind::<Text, _>(table.quoted())
    .get_result(conn)?;
    Ok(found.flag)
}

/// True when a trigger of somebody's runs at an `insert`, `delete` or `update` of the table, or of one of its partitions
/// or children, so that rows may not stand afterwards as they were written. Bits of `tgtype` say of what it is one: 4, 8
/// and 16.
pub(in crate::db) fn has_trigger(conn: &mut PgConnection, table: &TableName, verb: &str) -> QueryResult<bool> {
    let found: ConstraintFlag = diesel::sql_query(
        "with recursive tables as (select to_regclass($1)::oid as oid union \
             select i.inhrelid from pg_inherits i join tables on i.inhparent = tables.oid) \
         select exists (select from pg_trigger where tgrelid in (select oid from tables) \
             and tgenabled <> 'D' and not tgisinternal \
             and tgtype & (case $2 when 'insert' then 4 when 'delete' then 8 else 16 end) <> 0) as flag",
    )
    .bind::<Text, _>(table.quoted())
    .bind::<Text, _>(verb)
    .get_result(conn)?;
    Ok(found.flag)
}

/// The columns of one of the table's constraints.
pub(in crate::db) fn constrained_columns(
    conn: &mut PgConnection,
    table: &TableName,
    constraint: &str,
) -> QueryResult<Vec<String>> {
    let names: Vec<ConstrainedColumn> = diesel::sql_query(
        "select a.attname::text as name from pg_constraint k \
         join pg_attribute a on a.attrelid = k.conrelid and a.attnum = any(k.conkey) \
         where k.conrelid = to_regclass($1) and k.conname = $2 order by array_position(k.conkey, a.attnum)",
    )
    .bind::<Text, _>(table.quoted())
    .bind::<Text, _>(constraint)
    .load(conn)?;
    Ok(names.into_iter().map(|found| found.name).collect())
}

#[derive(QueryableByName)]
struct Length {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    longest: i64,
}

/// How many characters those columns of the table hold whose type says so.
pub(in crate::db) fn lengths(conn: &mut PgConnection, table: &TableName) -> QueryResult<Vec<(String, usize)>> {
    let lengths: Vec<Length> = diesel::sql_query(
        "select attname::text as name, (atttypmod - 4)::bigint as longest from pg_attribute \
         where attrelid = to_regclass($1) and attnum > 0 and atttypmod > 4 \
         and atttypid in ('character varying'::regtype, 'character'::regtype)",
    )
    .bind::<Text, _>(table.quoted())
    .load(conn)?;
    Ok(lengths.into_iter().map(|found| (found.name, usize::try_from(found.longest).unwrap_or(usize::MAX))).collect())
}
