//! Why a table cannot take a dataset's rows, each reason with what to do. The statements that are advised run one after
//! the other, in the order in which they are told.

use super::existing::{Computed, ExistingColumn, ExistingTable, OnServer, Unique, quoted};
use crate::column::ColumnType;
use crate::dataset::{Dataset, Mode};
use crate::db::statements::{Statements, TargetColumn};

/// A dataset beside the table it is to be loaded into.
pub(super) struct Fitting<'a> {
    pub(super) dataset: &'a Dataset,
    pub(super) statements: &'a Statements<'a>,
    pub(super) wanted: &'a [TargetColumn<'a>],
    pub(super) found: &'a ExistingTable,
}

impl Fitting<'_> {
    /// Everything that is wrong with the table.
    pub(super) fn reasons(&self) -> Vec<String> {
        if let Some(no_target) = &self.found.no_target {
            return vec![no_target.clone()];
        }
        let mut reasons: Vec<String> = self.wanted.iter().filter_map(|column| self.other_case(column)).collect();
        reasons.extend(self.key());
        for column in self.wanted {
            if let Some(found) = self.found.column(column.name) {
                reasons.extend(self.computed(column, found).or_else(|| self.kind(column, found)));
                reasons.extend(self.nulls(column, found));
            }
        }
        reasons.extend(self.unfilled());
        reasons.extend(self.odd_day());
        if let Some(server) = &self.found.server {
            reasons.extend(self.unlogged(server));
            reasons.extend(self.rights(server));
            reasons.extend(self.row_security(server));
            reasons.extend(self.rules(server));
            reasons.extend(self.columns_of_others(server));
        }
        reasons
    }

    fn table(&self) -> String {
        self.dataset.target.table.quoted()
    }

    fn mode(&self) -> &'static str {
        let mode = self.dataset.target.mode;
        Mode::ALL.iter().find(|(_, other)| *other == mode).map_or("", |(name, _)| name)
    }

    fn is_written(&self, name: &str) -> bool {
        self.wanted.iter().any(|column| self.found.same(column.name.as_str(), name))
    }

    fn other_case(&self, column: &TargetColumn<'_>) -> Option<String> {
        let (found, name) = (self.found.column_in_other_case(column.name)?, column.name);
        if self.is_written(&found.name) {
            return None;
        }
        Some(format!(
            "the table has the column {}, the dataset {name}, and the database tells them apart: write {} in the \
             dataset (from = \"...\" names the file's header), or alter table {} rename column {} to {};",
            found.name,
            found.name,
            self.table(),
            quoted(&found.name),
            name.quoted()
        ))
    }

    fn computed(&self, column: &TargetColumn<'_>, found: &ExistingColumn) -> Option<String> {
        let name = column.name;
        let quoted = name.quoted();
        let (what, change) = match found.computed? {
            Computed::Expression => ("computes", "drop expression".to_owned()),
            // A numbered column is never null, and stays so without its numbers.
            Computed::Identity => ("numbers", format!("drop identity, alter column {quoted} drop not null")),
        };
        let advice = format!("alter table {} alter column {quoted} {change};", self.table());
        let or = if self.found.server.is_some() { format!(", or {advice}") } else { String::new() };
        Some(format!("the table {what} the column {name} itself: leave it out of the dataset{or}"))
    }

    fn kind(&self, column: &TargetColumn<'_>, found: &ExistingColumn) -> Option<String> {
        // The day is compared, too: in another type it would stand there twice, or the comparison would fail.
        let is_day = *column.name == self.dataset.target.day_column;
        let fits = if is_day { found.takes_days } else { found.takes.contains(&column.kind) };
        if fits {
            return None;
        }
        let (table, name, kind) = (self.table(), column.name.quoted(), (self.statements.dialect.kind)(column.kind));
        let default = match found {
            // In one statement the type would be changed first, and numbers itself only what is a number.
            ExistingColumn { is_identity: true, .. } => {
                format!("alter column {name} drop identity; alter table {table} ")
            }
            ExistingColumn { has_default: true, .. } => format!("alter column {name} drop default, "),
            _ => String::new(),
        };
        let using = match column.kind {
            ColumnType::Text => String::new(),
            ColumnType::Json => format!(" using to_jsonb({name})"),
            // As dayfill's sessions, which are in UTC, would have written it.
            ColumnType::Date if found.kind.ends_with("with time zone") => {
                format!(" using ({name} at time zone 'UTC')::date")
            }
            _ => format!(" using {name}::text::{kind}"),
        };
        let wants = if is_day { "the day needs" } else { "the dataset has" };
        let views = match &found.used_by[..] {
            [] => String::new(),
            views => format!(" (drop first what uses it and create it again afterwards: {})", views.join(", ")),
        };
        Some(format!(
            "column {} is {}, {wants} {}{views}: alter table {table} {default}alter column {name} type {kind}{using};",
            column.name,
            found.kind,
            column.kind.name()
        ))
    }

    fn nulls(&self, column: &TargetColumn<'_>, found: &ExistingColumn) -> Option<String> {
        // A derived column's nulls are not known before the insert, which then names the column.
        let derived = self.dataset.rows.derive.iter().any(|derived| derived.name == *column.name);
        if !found.not_null || column.not_null || derived || found.computed.is_some() {
            return None;
        }
        Some(format!(
            "column {} is not null, the dataset may bring nulls: set required = true for it, or \
             alter table {} alter column {} drop not null;",
            column.name,
            self.table(),
            column.name.quoted()
        ))
    }

    fn unfilled(&self) -> Vec<String> {
        let unfilled = |found: &&ExistingColumn| found.not_null && !found.filled() && !self.is_written(&found.name);
        // A name in another case is told of already.
        let renamed = |found: &ExistingColumn| {
            self.wanted.iter().any(|column| column.name.as_str().eq_ignore_ascii_case(&found.name))
        };
        let columns = self.found.columns.iter().filter(unfilled).filter(|found| !renamed(found));
        let told = columns.map(|found| {
            format!(
                "column {} is not null and has no default, the dataset has no such column: \
                 alter table {} alter column {} drop not null;",
                found.name,
                self.table(),
                quoted(&found.name)
            )
        });
        told.collect()
    }

    fn odd_day(&self) -> Option<String> {
        let odd = self.found.odd_day.as_ref()?;
        let name = self.dataset.target.day_column.quoted();
        Some(format!(
            "column {} holds {odd}, which is no day as dayfill writes and compares it: update {} set {name} = date({name});",
            self.dataset.target.day_column,
            self.table()
        ))
    }

    /// Tells of the key. The rows of a day are told apart by a primary key, or by another unique constraint where the
    /// primary key is a number that the table gives out.
    fn key(&self) -> Option<String> {
        let target = &self.dataset.target;
        let key = target.primary_key();
        let names = key.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        // Case is told of elsewhere.
        let is_key = |columns: &[String]| {
            columns.len() == key.len()
                && key.iter().all(|name| columns.iter().any(|column| column.eq_ignore_ascii_case(name.as_str())))
        };
        let usable = |unique: &&Unique| target.mode == Mode::ReplaceDay || !unique.deferrable;
        let primary = self.found.primary_key();
        let gives_out = |name: &String| self.found.columns.iter().any(|column| column.name == *name && column.filled());
        let of_the_tables_own =
            |unique: &Unique| unique.columns.iter().any(|column| !self.is_written(column) && gives_out(column));
        let matching: Vec<&Unique> = self.found.uniques.iter().filter(|unique| is_key(&unique.columns)).collect();
        let spare = primary.is_none_or(of_the_tables_own);
        if matching.iter().filter(|unique| usable(unique)).any(|unique| unique.primary || spare) {
            return None;
        }
        if let Some(why) = self.unlike_the_partitions(&names) {
            return Some(why);
        }
        let is = match (matching.first(), primary) {
            (Some(_), _) => "it is deferrable, so that on conflict cannot use it".to_owned(),
            (None, Some(primary)) => format!("it is ({})", primary.columns.join(", ")),
            (None, None) => "there is none".to_owned(),
        };
        let change = self.change_of_key(matching.first().copied().or(primary), spare && primary.is_some());
        Some(format!("its primary key must be ({names}) for mode {}, {is}: {change}", self.mode()))
    }

    fn change_of_key(&self, old: Option<&Unique>, beside: bool) -> String {
        let table = self.table();
        let key = self.dataset.target.primary_key();
        let columns = key.iter().map(|name| name.quoted()).collect::<Vec<_>>().join(", ");
        if self.found.server.is_none() {
            return if beside {
                let name = quoted(&format!("{}_key_of_day", self.dataset.target.table.name));
                format!("create unique index {name} on {table} ({columns});")
            } else {
                "SQLite cannot change a primary key: rename the table, and the next start creates it anew".to_owned()
            };
        }
        let mut parts = Vec::new();
        if let Some((constraint, old)) =
            old.filter(|old| !old.primary || !beside).and_then(|old| Some((old.constraint.as_ref()?, old)))
        {
            let cascade = if old.referenced_by.is_empty() { "" } else { " cascade" };
            parts.push(format!("drop constraint {}{cascade}", quoted(constraint)));
        }
        let missing = self.wanted.iter().filter(|column| {
            key.contains(&column.name)
                && self.found.column(column.name).is_none()
                && self.found.column_in_other_case(column.name).is_none()
        });
        for column in missing {
            parts.push(format!("add column {} {}", column.name.quoted(), (self.statements.dialect.kind)(column.kind)));
        }
        parts.push(format!("add {} ({columns})", if beside { "unique" } else { "primary key" }));
        let told = old.filter(|old| !beside && !old.referenced_by.is_empty());
        let told = told.map_or_else(String::new, |old| {
            format!("this also drops the foreign keys of {}: ", old.referenced_by.join(", "))
        });
        format!("{told}alter table {table} {};", parts.join(", "))
    }

    /// A unique key of a partitioned table holds the columns it is partitioned by.
    fn unlike_the_partitions(&self, names: &str) -> Option<String> {
        let by = self.found.server.as_ref()?.partitioned_by.as_ref()?;
        let key = self.dataset.target.primary_key();
        let in_key = |column: &Option<String>| {
            column.as_ref().is_some_and(|column| key.iter().any(|name| name.as_str() == column))
        };
        if by.iter().all(in_key) {
            return None;
        }
        let by: Vec<&str> = by.iter().map(|column| column.as_deref().unwrap_or("an expression")).collect();
        let way = if by == [self.dataset.target.day_column.as_str()] {
            "set mode = \"replace_day\", or load into a table that is not partitioned"
        } else {
            "add these columns to target.key, or load into a table that is not partitioned by them"
        };
        Some(format!(
            "its unique key must be ({names}) for mode {}, but it is partitioned by {}, which every unique key of it \
             has to hold: {way}",
            self.mode(),
            by.join(", ")
        ))
    }

    fn rights(&self, server: &OnServer) -> Option<String> {
        let target = &self.dataset.target;
        let found = || self.wanted.iter().filter_map(|column| Some((column, self.found.column(column.name)?)));
        let compared =
            |column: &TargetColumn<'_>| target.key.contains(column.name) || *column.name == target.day_column;
        let select = found().all(|(column, found)| found.may.select || !compared(column));
        let insert = found().all(|(_, found)| found.may.insert);
        let (third, may) = match target.mode {
            Mode::ReplaceDay => (Some("delete"), server.may_delete),
            Mode::Upsert => {
                (Some("update"), found().all(|(column, found)| found.may.update || target.key.contains(column.name)))
            }
            Mode::InsertNew => (None, true),
        };
        let rights = [("select", select), ("insert", insert)].into_iter().chain(third.map(|third| (third, may)));
        let (all, lacking): (Vec<_>, Vec<_>) = rights.map(|(name, has)| (name, (!has).then_some(name))).unzip();
        let lacking: Vec<&str> = lacking.into_iter().flatten().collect();
        if lacking.is_empty() {
            return None;
        }
        Some(format!(
            "the role {} has no right to {}, which mode {} needs: grant {} on {} to {};",
            server.role,
            lacking.join(" and "),
            self.mode(),
            all.join(", "),
            self.table(),
            quoted(&server.role)
        ))
    }

    fn unlogged(&self, server: &OnServer) -> Option<String> {
        server.unlogged.then(|| {
            format!(
                "it is unlogged: a crash of the server empties it, and its days would still count as loaded: \
                 alter table {} set logged;",
                self.table()
            )
        })
    }

    fn row_security(&self, server: &OnServer) -> Option<String> {
        if !server.row_security {
            return None;
        }
        let change = if server.is_owner && server.row_security_forced {
            format!("alter table {} no force row level security;", self.table())
        } else {
            format!("alter role {} bypassrls;", quoted(&server.role))
        };
        Some(format!(
            "its row-level security may hide rows from the role {}, so that a day's old rows could stay beside the new \
             ones: {change}",
            server.role
        ))
    }

    fn rules(&self, server: &OnServer) -> Vec<String> {
        let told = server.rules.iter().map(|rule| {
            format!(
                "its rule {rule} changes what an insert, update or delete does: drop rule {} on {};",
                quoted(rule),
                self.table()
            )
        });
        told.collect()
    }

    /// Columns that are to be added, where only the owner may.
    fn columns_of_others(&self, server: &OnServer) -> Option<String> {
        let is_missing = |column: &&TargetColumn<'_>| {
            self.found.column(column.name).is_none() && self.found.column_in_other_case(column.name).is_none()
        };
        let missing: Vec<_> = self.wanted.iter().filter(is_missing).collect();
        if server.is_owner || missing.is_empty() {
            return None;
        }
        let names: Vec<&str> = missing.iter().map(|column| column.name.as_str()).collect();
        let add: Vec<String> = missing
            .iter()
            .map(|column| {
                format!("add column {} {}", column.name.quoted(), (self.statements.dialect.kind)(column.kind))
            })
            .collect();
        Some(format!(
            "it lacks {}, and only its owner may add columns: alter table {} {};",
            names.join(", "),
            self.table(),
            add.join(", ")
        ))
    }
}
