//! The SQL that both databases understand, made from a dataset's columns. Names come from checked identifiers and are
//! quoted; expressions come from the dataset file and stand on lines of their own, so that a comment at their end
//! cannot swallow what follows.

use std::fmt::Write as _;

use crate::column::{ColumnType, Derived, Identifier, STAGE_LINE, STAGED_PREFIX, Sql};
use crate::dataset::{Dataset, Mode};
use crate::day::Day;
use crate::db::halving::Lines;

/// The words in which the two databases differ.
pub(super) struct Dialect {
    /// The schema of temporary tables: named always, so that no table of the user's is ever meant.
    pub(super) temp: &'static str,
    /// A column type.
    pub(super) kind: fn(ColumnType) -> &'static str,
    /// The type in which a column is staged: it keeps every value as the file has it.
    pub(super) stage_kind: fn(ColumnType) -> &'static str,
    /// The type of the line's column.
    pub(super) line_kind: &'static str,
    /// An expression of the dataset.
    pub(super) sql: fn(&Sql) -> &str,
    /// An expression, cast to a type if the database needs that said.
    pub(super) cast: fn(&str, ColumnType) -> String,
    /// A literal for a day.
    pub(super) day: fn(Day) -> String,
    /// The instant of the transaction.
    pub(super) now: &'static str,
    /// What at the end of a subquery keeps conditions outside of it from being tried on rows that it leaves out.
    pub(super) fence: &'static str,
}

/// Makes the statements of one dataset in one dialect.
pub(super) struct Statements<'a> {
    pub(super) dataset: &'a Dataset,
    pub(super) dialect: &'a Dialect,
}

impl Statements<'_> {
    /// Creates the empty stage, in place of one that the session may still have.
    pub(super) fn create_stage(&self) -> String {
        let Dialect { temp, line_kind, stage_kind: kind, .. } = self.dialect;
        let mut sql = format!("drop table if exists {temp}.dayfill_stage; create temp table dayfill_stage (");
        for column in &self.dataset.rows.columns {
            let _ = write!(sql, "{} {}, ", column.name.quoted(), kind(column.kind));
        }
        let _ = write!(sql, "{STAGE_LINE} {line_kind})");
        sql
    }

    /// The staged rows with the day beside them, as expressions see them. A column that is staged in another type than
    /// its own stands there in both: expressions read it by its name, the target takes it as it was staged.
    fn staged(&self, day: Day, lines: Option<Lines>) -> String {
        let Dialect { temp, kind, stage_kind, fence, .. } = self.dialect;
        let mut columns = String::new();
        for (number, column) in self.dataset.rows.columns.iter().enumerate() {
            let name = column.name.quoted();
            let (staged, own) = (stage_kind(column.kind), kind(column.kind));
            if staged == own {
                let _ = write!(columns, "s.{name}, ");
            } else {
                let _ = write!(columns, "s.{name}::{own} as {name}, s.{name} as {STAGED_PREFIX}{number}, ");
            }
        }
        let lines = lines.map(|Lines { from, to }| format!(" where s.{STAGE_LINE} between {from} and {to} {fence}"));
        format!(
            "from (select {columns}s.{STAGE_LINE}, {} as {} from {temp}.dayfill_stage as s{}) as stage",
            (self.dialect.day)(day),
            self.dataset.target.day_column.quoted(),
            lines.unwrap_or_default(),
        )
    }

    /// The staged rows of these lines, or all, that pass the filter. An expression of the dataset may fail on a row; one
    /// of other lines is kept from it.
    fn rows(&self, day: Day, lines: Option<Lines>) -> String {
        format!("{} where (\n{}\n)", self.staged(day, lines), self.filter())
    }

    fn filter(&self) -> &str {
        self.dataset.rows.filter.as_ref().map_or("1 = 1", self.dialect.sql)
    }

    /// Counts the staged rows that pass the filter.
    pub(super) fn count(&self, day: Day) -> String {
        format!("select count(*) as count {}", self.rows(day, None))
    }

    /// Counts the staged rows that pass the filter and whose key is not in the target, or with an upsert only with an
    /// older day. `key` are expressions for the key's columns that compare as the target does.
    pub(super) fn count_left_out(&self, day: Day, key: &[String]) -> String {
        let target = &self.dataset.target;
        let values: Vec<String> = key.iter().enumerate().map(|(n, key)| format!("{key} as key{n}")).collect();
        let same = |(n, name): (usize, &Identifier)| format!("target.{} = staged.key{n}", name.quoted());
        let mut same: Vec<String> = target.key.iter().enumerate().map(same).collect();
        if target.mode == Mode::Upsert {
            same.push(format!("target.{} >= {}", target.day_column.quoted(), (self.dialect.day)(day)));
        }
        format!(
            "select count(*) as count from (select {} {}) as staged \
             where not exists (select 1 from {} as target where {})",
            values.join(", "),
            self.rows(day, None),
            target.table.quoted(),
            same.join(" and ")
        )
    }

    /// Computes the filter and all derived columns of some lines' rows, to no avail but that it fails where they do.
    pub(super) fn compute(&self, day: Day, lines: Lines) -> String {
        let each = self.dataset.rows.derive.iter().map(|derived| self.computed(derived));
        let all: Vec<String> = std::iter::once("count(*)".to_owned()).chain(each).collect();
        format!("select {} {}", all.join(", "), self.rows(day, Some(lines)))
    }

    /// The same for the filter, then for each derived column, beside what is computed.
    pub(super) fn compute_each(&self, day: Day, lines: Lines) -> Vec<(Option<&Identifier>, String)> {
        let rows = self.rows(day, Some(lines));
        let filter = (None, format!("select count(*) {rows}"));
        let derive = self.dataset.rows.derive.iter();
        let each = derive.map(|derived| (Some(&derived.name), format!("select {} {rows}", self.computed(derived))));
        std::iter::once(filter).chain(each).collect()
    }

    fn computed(&self, derived: &Derived) -> String {
        format!("count({})", (self.dialect.cast)((self.dialect.sql)(&derived.sql), derived.kind))
    }

    /// Makes a stage quick to ask for some of its lines.
    pub(super) fn index_stage(&self) -> String {
        match self.dialect.temp {
            // SQLite names the schema with the index, PostgreSQL with the table.
            "temp" => format!("create index if not exists temp.dayfill_stage_line on dayfill_stage ({STAGE_LINE})"),
            temp => format!("create index if not exists dayfill_stage_line on {temp}.dayfill_stage ({STAGE_LINE})"),
        }
    }

    /// The first and the last line in the stage.
    pub(super) fn staged_lines(&self) -> String {
        format!(
            "select coalesce(min({STAGE_LINE}), 0) as \"from\", coalesce(max({STAGE_LINE}), -1) as \"to\" from {}.dayfill_stage",
            self.dialect.temp
        )
    }

    /// A value of a staged row, as text.
    pub(super) fn staged_value(&self, line: i64, column: &Identifier) -> String {
        let (column, temp) = (column.quoted(), self.dialect.temp);
        format!("select cast({column} as text) as value from {temp}.dayfill_stage where {STAGE_LINE} = {line}")
    }

    /// Takes a row out of the stage.
    pub(super) fn remove_line(&self, line: i64) -> String {
        format!("delete from {}.dayfill_stage where {STAGE_LINE} = {line}", self.dialect.temp)
    }

    /// One statement per expression of the dataset, to see whether the database takes it, beside the key it stands
    /// under in the dataset's file.
    pub(super) fn probes(&self, day: Day) -> Vec<(String, String)> {
        let from = self.staged(day, None);
        let filter = self
            .dataset
            .rows
            .filter
            .iter()
            .map(|_| ("rows.where".to_owned(), format!("select 1 {from} where (\n{}\n)", self.filter())));
        let derive = self.dataset.rows.derive.iter().enumerate().map(|(i, derived)| {
            let sql = (self.dialect.cast)((self.dialect.sql)(&derived.sql), derived.kind);
            (format!("rows.derive[{i}].sql ({})", derived.name), format!("select {sql} {from}"))
        });
        filter.chain(derive).collect()
    }

    /// Takes the day's rows out of the target.
    pub(super) fn delete_day(&self, day: Day) -> String {
        let target = &self.dataset.target;
        format!(
            "delete from {} where {} = {}",
            target.table.quoted(),
            target.day_column.quoted(),
            (self.dialect.day)(day)
        )
    }

    /// Counts the day's rows in the target.
    pub(super) fn count_day(&self, day: Day) -> String {
        let target = &self.dataset.target;
        let (table, column) = (target.table.quoted(), target.day_column.quoted());
        format!("select count(*) as count from {table} where {column} = {}", (self.dialect.day)(day))
    }

    /// Those of these days that have no row in the target, oldest first.
    pub(super) fn days_without_rows(&self, days: &[Day]) -> String {
        let target = &self.dataset.target;
        let (table, column) = (target.table.quoted(), target.day_column.quoted());
        let days: Vec<String> = days.iter().map(|day| format!("({})", (self.dialect.day)(*day))).collect();
        let days = days.join(", ");
        format!(
            "with loaded (day) as (values {days}) select cast(day as text) as day from loaded \
             where not exists (select 1 from {table} as t where t.{column} = loaded.day) order by 1"
        )
    }

    /// A row of the target, if it has any.
    pub(super) fn first_row(&self) -> String {
        let target = &self.dataset.target;
        format!("select cast({} as text) as day from {} limit 1", target.day_column.quoted(), target.table.quoted())
    }

    /// Moves the staged rows that pass the filter into the target, in the order of its primary key: inserts that
    /// arrive sorted are far cheaper for the key's index than inserts in the file's order.
    pub(super) fn insert(&self, day: Day) -> String {
        self.insert_of(day, None)
    }

    /// The same with the rows of some lines.
    pub(super) fn insert_lines(&self, day: Day, lines: Lines) -> String {
        self.insert_of(day, Some(lines))
    }

    fn insert_of(&self, day: Day, lines: Option<Lines>) -> String {
        let Dataset { target, rows, .. } = self.dataset;
        let mut names = Vec::new();
        let mut values = Vec::new();
        let Dialect { kind, stage_kind, .. } = self.dialect;
        for (number, column) in rows.columns.iter().enumerate() {
            let name = column.name.quoted();
            let as_is = stage_kind(column.kind) == kind(column.kind);
            values.push(if as_is { name.clone() } else { format!("{STAGED_PREFIX}{number}") });
            names.push(name);
        }
        for derived in &rows.derive {
            names.push(derived.name.quoted());
            values.push((self.dialect.cast)((self.dialect.sql)(&derived.sql), derived.kind));
        }
        names.push(target.day_column.quoted());
        values.push(target.day_column.quoted());
        if let Some(loaded_at) = &target.loaded_at {
            names.push(loaded_at.quoted());
            values.push(self.dialect.now.to_owned());
        }
        format!(
            "insert into {} as target ({}) select {} {} order by {}{}",
            target.table.quoted(),
            names.join(", "),
            values.join(", "),
            self.rows(day, lines),
            self.order(),
            self.on_conflict(&names),
        )
    }

    /// The key's columns, qualified: a bare name would mean a derived column of that name first. Only the first row of
    /// a key counts for `insert_new`, which makes the line part of the order; the other modes have no doubled key by
    /// then, and a narrower sort is faster.
    fn order(&self) -> String {
        let key = self.dataset.target.key.iter().map(|name| format!("stage.{}", name.quoted()));
        let line = (self.dataset.target.mode == Mode::InsertNew).then(|| format!("stage.{STAGE_LINE}"));
        key.chain(line).collect::<Vec<_>>().join(", ")
    }

    fn on_conflict(&self, names: &[String]) -> String {
        let target = &self.dataset.target;
        let key = quoted(&target.key);
        match target.mode {
            Mode::ReplaceDay => String::new(),
            Mode::InsertNew => format!(" on conflict ({key}) do nothing"),
            Mode::Upsert => {
                let day = target.day_column.quoted();
                let set: Vec<String> = names
                    .iter()
                    .filter(|name| !target.key.iter().any(|key| key.quoted() == **name))
                    .map(|name| format!("{name} = excluded.{name}"))
                    .collect();
                // The latest day wins: an older day that is loaded late leaves a newer day's row as it is.
                format!(
                    " on conflict ({key}) do update set {} \
                     where target.{day} is null or target.{day} <= excluded.{day}",
                    set.join(", ")
                )
            }
        }
    }

    /// Gathers the staged rows whose key stands on an earlier line already, in a temporary table. `key` are expressions
    /// for the key's columns that compare as the target does.
    pub(super) fn gather_doubles(&self, day: Day, key: &[String]) -> [String; 2] {
        let Dialect { temp, .. } = self.dialect;
        let key = key.join(", ");
        let value: Vec<String> =
            self.dataset.target.key.iter().map(|key| format!("cast({} as text)", key.quoted())).collect();
        [
            format!("drop table if exists {temp}.dayfill_doubles"),
            format!(
                "create temp table dayfill_doubles as select line, first_line, value from (\
                 select {STAGE_LINE} as line, min({STAGE_LINE}) over (partition by {key}) as first_line, {} as value {}\
                 ) as keyed where line <> first_line",
                value.join(" || ', ' || "),
                self.rows(day, None)
            ),
        ]
    }

    /// Counts the gathered doubles.
    pub(super) fn count_doubles(&self) -> String {
        format!("select count(*) as count from {}.dayfill_doubles", self.dialect.temp)
    }

    /// The first gathered doubles, by line.
    pub(super) fn first_doubles(&self, limit: u64) -> String {
        format!("select line, first_line, value from {}.dayfill_doubles order by line limit {limit}", self.dialect.temp)
    }

    /// Takes the gathered doubles out of the stage.
    pub(super) fn remove_doubles(&self) -> String {
        format!(
            "delete from {temp}.dayfill_stage where {STAGE_LINE} in (select line from {temp}.dayfill_doubles)",
            temp = self.dialect.temp
        )
    }

    /// Creates the target.
    pub(super) fn create_target(&self) -> String {
        let target = &self.dataset.target;
        let columns: Vec<String> = self
            .target_columns()
            .into_iter()
            .map(|column| {
                let default =
                    if column.is_loaded_at { format!(" default {}", self.dialect.now) } else { String::new() };
                let null = if column.not_null { " not null" } else { "" };
                format!("{} {}{null}{default}", column.name.quoted(), (self.dialect.kind)(column.kind))
            })
            .collect();
        let key: Vec<String> = target.primary_key().into_iter().map(Identifier::quoted).collect();
        format!("create table {} ({}, primary key ({}))", target.table.quoted(), columns.join(", "), key.join(", "))
    }

    /// Adds a column to the target. It may be null, since older rows have no value for it.
    pub(super) fn add_column(&self, column: &TargetColumn<'_>) -> String {
        let table = self.dataset.target.table.quoted();
        format!("alter table {table} add column {} {}", column.name.quoted(), (self.dialect.kind)(column.kind))
    }

    /// Every column that a load writes, in the target's order.
    pub(super) fn target_columns(&self) -> Vec<TargetColumn<'_>> {
        let Dataset { target, rows, .. } = self.dataset;
        let mut columns = Vec::new();
        for column in &rows.columns {
            let not_null = column.required || column.default.is_some() || target.key.contains(&column.name);
            columns.push(TargetColumn { name: &column.name, kind: column.kind, not_null, is_loaded_at: false });
        }
        for derived in &rows.derive {
            columns.push(TargetColumn {
                name: &derived.name,
                kind: derived.kind,
                not_null: false,
                is_loaded_at: false,
            });
        }
        columns.push(TargetColumn {
            name: &target.day_column,
            kind: ColumnType::Date,
            not_null: true,
            is_loaded_at: false,
        });
        if let Some(name) = &target.loaded_at {
            columns.push(TargetColumn { name, kind: ColumnType::Timestamptz, not_null: true, is_loaded_at: true });
        }
        columns
    }
}

/// A column of the target as the dataset wants it.
pub(super) struct TargetColumn<'a> {
    pub(super) name: &'a Identifier,
    pub(super) kind: ColumnType,
    /// A load never writes a null here.
    pub(super) not_null: bool,
    /// The column that takes the time of the load.
    pub(super) is_loaded_at: bool,
}

fn quoted(names: &[Identifier]) -> String {
    names.iter().map(Identifier::quoted).collect::<Vec<_>>().join(", ")
}
