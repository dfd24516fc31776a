//! A row that the database does not take, as a reject: its line, the column and the value where the database's error
//! tells of one, and the database's words.

use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};

use crate::column::Identifier;
use crate::dataset::Dataset;
use crate::day::Day;
use crate::db::error::{COMPUTING, DbError, Doing};
use crate::db::halving::Lines;
use crate::db::pool::{Conn, on};
use crate::validate::{Reject, shown};
use crate::wording::printable;

/// How many bytes of the database's words are kept: DETAIL may show the whole row.
const MAX_WORDS: usize = 1_000;

#[derive(QueryableByName)]
struct StagedValue {
    #[diesel(sql_type = Nullable<Text>)]
    value: Option<String>,
}

/// A row on which `rows.where` or a derived column fails.
pub(super) fn of_expressions(
    conn: &mut Conn,
    dataset: &Dataset,
    day: Day,
    line: i64,
    error: &DbError,
) -> Result<Reject, DbError> {
    let each: Vec<(Option<Identifier>, String)> = conn
        .statements(dataset)
        .compute_each(day, Lines { from: line, to: line })
        .into_iter()
        .map(|(column, sql)| (column.cloned(), sql))
        .collect();
    let line = line.unsigned_abs();
    for (column, sql) in each {
        match conn.savepoint(|conn| conn.execute(&sql, COMPUTING)) {
            Ok(_) => {}
            Err(error) if error.may_be_a_rows() => {
                let words = cut(&error);
                let (column, reason) = match column {
                    None => (None, format!("rows.where fails on the row: {words}")),
                    Some(column) => (Some(column.to_string()), format!("cannot be computed: {words}")),
                };
                return Ok(Reject { line, column, value: None, reason });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Reject { line, column: None, value: None, reason: format!("cannot be computed: {}", cut(error)) })
}

/// A row that the target does not take.
pub(super) fn of_write(conn: &mut Conn, dataset: &Dataset, line: i64, error: &DbError) -> Result<Reject, DbError> {
    let columns = match named_columns(error) {
        columns if columns.is_empty() => columns_by_catalog(conn, dataset, line, error)?,
        columns => columns,
    };
    // Only what stands in the file has a value there.
    let value = match &columns[..] {
        [one] => match dataset.rows.columns.iter().find(|column| column.name.as_str() == *one) {
            Some(column) => staged_value(conn, dataset, line, &column.name)?,
            None => None,
        },
        _ => None,
    };
    let column = (!columns.is_empty()).then(|| columns.join(", "));
    let reason = format!("is rejected by the database: {}", cut(error));
    Ok(Reject { line: line.unsigned_abs(), column, value: value.map(|value| shown(value.as_bytes())), reason })
}

fn staged_value(conn: &mut Conn, dataset: &Dataset, line: i64, column: &Identifier) -> Result<Option<String>, DbError> {
    let sql = conn.statements(dataset).staged_value(line, column);
    let found: Vec<StagedValue> =
        on!(conn, c => diesel::sql_query(&sql).load(c)).doing("reading the value of a rejected row")?;
    Ok(found.into_iter().next().and_then(|found| found.value))
}

fn cut(error: &DbError) -> String {
    printable(&error.words(), MAX_WORDS)
}

/// The columns that the error itself names. PostgreSQL names one in a field, or several in DETAIL, which in every
/// language has `(a, b)=(1, 2)`; SQLite ends its message with `table.a, table.b`.
fn named_columns(error: &DbError) -> Vec<String> {
    let Some(information) = error.information() else { return Vec::new() };
    if let Some(column) = information.column_name().filter(|column| !column.is_empty()) {
        return vec![column.to_owned()];
    }
    let in_detail = information.details().and_then(|detail| {
        let names = detail.split_once(")=(")?.0.split_once('(')?.1;
        Some(names.split(", ").map(|name| name.trim_matches('"').to_owned()).collect())
    });
    let in_message = || {
        let (kind, names) = information.message().split_once(" constraint failed: ")?;
        let name = |name: &str| name.rsplit_once('.').map(|(_, column)| column.to_owned());
        if kind == "CHECK" { None } else { names.split(", ").map(name).collect() }
    };
    in_detail.or_else(in_message).unwrap_or_default()
}

/// The column of a check constraint that has one, or the one whose value is longer than its type allows: PostgreSQL's
/// error names neither.
fn columns_by_catalog(conn: &mut Conn, dataset: &Dataset, line: i64, error: &DbError) -> Result<Vec<String>, DbError> {
    let Conn::Postgres(postgres) = conn else { return Ok(Vec::new()) };
    let table = &dataset.target.table;
    let doing = "reading the target's constraints";
    let constraint = error.information().and_then(|information| information.constraint_name());
    if let Some(constraint) = constraint.filter(|name| !name.is_empty()) {
        return super::postgres::constrained_columns(postgres.get(), table, constraint).doing(doing);
    }
    for (name, longest) in super::postgres::lengths(postgres.get(), table).doing(doing)? {
        let Some(column) = dataset.rows.columns.iter().find(|column| column.name.as_str() == name) else { continue };
        let value = staged_value(conn, dataset, line, &column.name)?;
        // Blanks beyond the length are cut off, as the standard has it.
        if value.is_some_and(|value| value.trim_end_matches(' ').chars().count() > longest) {
            return Ok(vec![name]);
        }
    }
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use diesel::result::{DatabaseErrorKind, Error};

    use super::*;

    #[test]
    fn sqlite_names_columns_in_its_message() {
        for (message, columns) in [
            ("UNIQUE constraint failed: orders.email", &["email"][..]),
            ("UNIQUE constraint failed: orders.day, orders.id", &["day", "id"]),
            ("NOT NULL constraint failed: orders.note", &["note"]),
            ("CHECK constraint failed: orders.amount > 0", &[]),
            ("FOREIGN KEY constraint failed", &[]),
        ] {
            let source = Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message.to_owned()));
            let error = DbError::Statement { doing: crate::db::error::WRITING, source };
            assert_eq!(named_columns(&error), columns, "{message}");
        }
    }
}
