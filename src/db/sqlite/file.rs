//! SQLite's dialect, its clock and file, and what a target's triggers and references are.

use chrono::{SubsecRound, Utc};
use diesel::SqliteConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::column::{ColumnType, TableName};
use crate::db::columns::Timestamp;
use crate::db::statements::Dialect;

/// How SQLite says what both databases can. The types are chosen for their affinity: values arrive as text, and the
/// affinity turns them into what the column holds. UUIDs, dates, times and JSON stay text.
pub(in crate::db) const DIALECT: Dialect = Dialect {
    temp: "temp",
    kind: |kind| match kind {
        ColumnType::Boolean => "boolean",
        ColumnType::Integer | ColumnType::Bigint => "integer",
        ColumnType::Double => "real",
        ColumnType::Numeric => "numeric",
        ColumnType::Text
        | ColumnType::Date
        | ColumnType::Timestamp
        | ColumnType::Timestamptz
        | ColumnType::Uuid
        | ColumnType::Json => "text",
    },
    stage_kind: |kind| (DIALECT.kind)(kind),
    line_kind: "integer",
    sql: |sql| &sql.sqlite,
    cast: |sql, _| format!("(\n{sql}\n)"),
    day: |day| format!("'{day}'"),
    now: "(strftime('%Y-%m-%d %H:%M:%f+00', 'now'))",
    fence: "limit -1 offset 0",
};

#[derive(QueryableByName)]
struct SqliteName {
    #[diesel(sql_type = Nullable<Text>)]
    name: Option<String>,
}

/// This machine's clock, in the microseconds that the state tables hold.
pub(in crate::db) fn now() -> Timestamp {
    Utc::now().trunc_subsecs(6).into()
}

pub(in crate::db) fn has_table(conn: &mut SqliteConnection, name: &str) -> QueryResult<bool> {
    let found: Vec<SqliteName> = diesel::sql_query("select name from sqlite_master where type = 'table' and name = ?")
        .bind::<Text, _>(name)
        .load(conn)?;
    Ok(!found.is_empty())
}

/// The file of the connection's main database.
pub(in crate::db) fn database_file(conn: &mut SqliteConnection) -> QueryResult<String> {
    let file: SqliteName =
        diesel::sql_query("select file as name from pragma_database_list where name = 'main'").get_result(conn)?;
    Ok(file.name.unwrap_or_default())
}

#[derive(QueryableByName)]
struct SqliteCount {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn main_or(table: &TableName) -> &str {
    table.schema.as_ref().map_or("main", |schema| schema.as_str())
}

/// True when rows of the table refer to rows of the table.
pub(in crate::db) fn refers_to_itself(conn: &mut SqliteConnection, table: &TableName) -> QueryResult<bool> {
    let found: SqliteCount = diesel::sql_query(
        "select count(*) as count from pragma_foreign_key_list(?, ?) where \"table\" = ? collate nocase",
    )
    .bind::<Text, _>(table.name.as_str())
    .bind::<Text, _>(main_or(table))
    .bind::<Text, _>(table.name.as_str())
    .get_result(conn)?;
    Ok(found.count > 0)
}

/// True when a trigger of the table may run at an `insert`, `delete` or `update`, or does one.
pub(in crate::db) fn has_trigger(conn: &mut SqliteConnection, table: &TableName, verb: &str) -> QueryResult<bool> {
    let found: SqliteCount = diesel::sql_query(format!(
        "select count(*) as count from \"{}\".sqlite_master where type = 'trigger' and tbl_name = ? collate nocase \
         and sql like '%{verb}%'",
        main_or(table)
    ))
    .bind::<Text, _>(table.name.as_str())
    .get_result(conn)?;
    Ok(found.count > 0)
}

/// How many of the table's references lead nowhere, where some may until the commit: SQLite checks deferred ones no
/// sooner, and does not tell which of them are deferred but in the table's own text. `None` where there are none.
pub(in crate::db) fn broken_references(conn: &mut SqliteConnection, table: &TableName) -> QueryResult<Option<i64>> {
    let (schema, name) = (main_or(table), table.name.as_str());
    let deferred: SqliteCount = diesel::sql_query(format!(
        "select count(*) as count from \"{schema}\".sqlite_master where type = 'table' \
         and name = ? collate nocase and sql like '%initially%deferred%'"
    ))
    .bind::<Text, _>(name)
    .get_result(conn)?;
    if deferred.count == 0 {
        return Ok(None);
    }
    let broken: SqliteCount = diesel::sql_query("select count(*) as count from pragma_foreign_key_check(?, ?)")
        .bind::<Text, _>(name)
        .bind::<Text, _>(schema)
        .get_result(conn)?;
    Ok(Some(broken.count))
}
