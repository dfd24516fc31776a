//! Partitions of a target that is partitioned by the day: which days none of them takes, and the statement that creates
//! one.

use chrono::{Datelike, Months, NaiveDate};
use diesel::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Date, Nullable, Text};

use crate::column::TableName;
use crate::dataset::Target;
use crate::day::Day;
use crate::db::target::existing::quoted;

#[derive(QueryableByName)]
struct Partition {
    /// `r` for ranges, `l` for lists.
    #[diesel(sql_type = Text)]
    strategy: String,
    /// The condition on its rows; none where the table has no partition.
    #[diesel(sql_type = Nullable<Text>)]
    takes: Option<String>,
    /// As `create table` has it.
    #[diesel(sql_type = Nullable<Text>)]
    bound: Option<String>,
}

/// Other partitionings either take every day, or do not go by the day alone.
const PARTITIONS: &str = "select p.partstrat::text as strategy, \
     case when c.oid is not null then coalesce(pg_get_partition_constraintdef(c.oid), 'true') end as takes, \
     pg_get_expr(c.relpartbound, c.oid) as bound \
     from pg_partitioned_table p \
     join pg_attribute a on a.attrelid = p.partrelid and a.attnum = p.partattrs[0] and a.attname = $2 \
     left join pg_inherits i on i.inhparent = p.partrelid left join pg_class c on c.oid = i.inhrelid \
     where p.partrelid = to_regclass($1) and p.partnatts = 1 and p.partstrat in ('r', 'l')";

#[derive(QueryableByName)]
struct MissingDay {
    #[diesel(sql_type = Date)]
    day: NaiveDate,
}

/// The first of these days for which the target has no partition, with the statement that creates one; `None` also
/// where the target is not partitioned by the day alone.
pub(in crate::db) fn missing_partition(
    conn: &mut PgConnection,
    target: &Target,
    days: &[Day],
) -> QueryResult<Option<(Day, String)>> {
    let partitions: Vec<Partition> = diesel::sql_query(PARTITIONS)
        .bind::<Text, _>(target.table.quoted())
        .bind::<Text, _>(target.day_column.as_str())
        .load(conn)?;
    let Some(Partition { strategy, .. }) = partitions.first() else { return Ok(None) };
    let takes = partitions.iter().filter_map(|partition| Some(format!(" or ({})", partition.takes.as_ref()?)));
    let wanted: Vec<String> = days.iter().map(|day| format!("date '{day}'")).collect();
    let column = target.day_column.quoted();
    let missing: Option<MissingDay> = diesel::sql_query(format!(
        "select {column} as day from unnest(array[{}]::date[]) as wanted ({column}) \
         where not coalesce(false{}, false) order by 1 limit 1",
        wanted.join(", "),
        takes.collect::<String>()
    ))
    .get_result(conn)
    .optional()?;
    let Some(MissingDay { day }) = missing else { return Ok(None) };
    let bounds: Vec<&str> = partitions.iter().filter_map(|partition| partition.bound.as_deref()).collect();
    let (suffix, values) = if strategy == "l" { one_day(day) } else { range(&bounds, day) };
    let name = free_name(conn, &target.table, &suffix)?;
    Ok(Some((Day::new(day), format!("create table {name} partition of {} {values};", target.table.quoted()))))
}

fn one_day(day: NaiveDate) -> (String, String) {
    (day.format("%Y%m%d").to_string(), format!("for values in ('{day}')"))
}

/// What a partition's name ends with and which days it takes: the year, the month or the day, whichever all partitions
/// begin and end with, so that it overlaps none of them.
fn range(bounds: &[&str], day: NaiveDate) -> (String, String) {
    let dates: Vec<NaiveDate> = bounds.iter().flat_map(|bound| dates(bound)).collect();
    let all = |is: fn(&NaiveDate) -> bool| !dates.is_empty() && dates.iter().all(is);
    let year = day.with_ordinal(1).filter(|_| all(|date| date.ordinal() == 1));
    let month = day.with_day(1).filter(|_| all(|date| date.day() == 1));
    let (from, to, format) = match (year, month) {
        (Some(year), _) => (year, year.checked_add_months(Months::new(12)), "%Y"),
        (None, Some(month)) => (month, month.checked_add_months(Months::new(1)), "%Y%m"),
        (None, None) => (day, day.succ_opt(), "%Y%m%d"),
    };
    let to = to.map_or_else(|| "maxvalue".to_owned(), |to| format!("'{to}'"));
    (from.format(format).to_string(), format!("for values from ('{from}') to ({to})"))
}

/// The dates in a bound such as `FOR VALUES FROM ('2024-03-01') TO ('2024-04-01')`.
fn dates(bound: &str) -> Vec<NaiveDate> {
    bound.split('\'').filter_map(|text| text.parse().ok()).collect()
}

#[derive(QueryableByName)]
struct NameCheck {
    #[diesel(sql_type = Bool)]
    taken: bool,
}

/// How many bytes PostgreSQL keeps of a name.
const LONGEST_NAME: usize = 63;

/// A name for a partition that nothing has yet, in the table's schema.
fn free_name(conn: &mut PgConnection, table: &TableName, suffix: &str) -> QueryResult<String> {
    let schema = table.schema.as_ref().map_or_else(String::new, |schema| format!("{}.", schema.quoted()));
    let mut number = 1;
    loop {
        let suffix = if number == 1 { format!("_{suffix}") } else { format!("_{suffix}_{number}") };
        let base: String = table.name.as_str().chars().take(LONGEST_NAME - suffix.len()).collect();
        let name = format!("{schema}{}", quoted(&(base + &suffix)));
        let it: NameCheck =
            diesel::sql_query("select to_regclass($1) is not null as taken").bind::<Text, _>(&name).get_result(conn)?;
        if !it.taken {
            return Ok(name);
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_as_wide_as_those_there_are_and_overlaps_none() {
        let day = "2024-03-05".parse().unwrap();
        for (bounds, values) in [
            (&[][..], "20240305 for values from ('2024-03-05') to ('2024-03-06')"),
            (
                &["FOR VALUES FROM ('2024-03-01') TO ('2024-03-02')"],
                "20240305 for values from ('2024-03-05') to ('2024-03-06')",
            ),
            (
                &["FOR VALUES FROM (MINVALUE) TO ('2024-01-01')", "FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')"],
                "202403 for values from ('2024-03-01') to ('2024-04-01')",
            ),
            (
                &["FOR VALUES FROM ('2023-01-01') TO ('2024-01-01')"],
                "2024 for values from ('2024-01-01') to ('2025-01-01')",
            ),
        ] {
            let (suffix, found) = range(bounds, day);
            assert_eq!(format!("{suffix} {found}"), values);
        }
        assert_eq!(one_day(day).1, "for values in ('2024-03-05')");
    }
}
