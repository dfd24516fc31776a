//! A table as the database's catalog shows it.

use crate::column::{ColumnType, Identifier};

/// What the catalog has of a target's name.
pub(in crate::db) enum TargetLookup {
    /// There is something of that name.
    ExistingTable(Box<ExistingTable>),
    /// There is nothing, and a table can be created unless there are reasons against it.
    Nothing {
        /// Why not, each with what to do.
        hindrances: Vec<String>,
    },
}

/// A table, or what stands where one is looked for.
pub(in crate::db) struct ExistingTable {
    /// Why it takes no rows whatever its columns are, with what to do.
    pub(in crate::db) no_target: Option<String>,
    /// Its columns, in order.
    pub(in crate::db) columns: Vec<ExistingColumn>,
    /// Its primary key and what else is unique in it.
    pub(in crate::db) uniques: Vec<Unique>,
    /// `a` and `A` are two columns.
    pub(in crate::db) names_have_case: bool,
    /// A value in its day column that is no day as dayfill writes it.
    pub(in crate::db) odd_day: Option<String>,
    /// What only a server has.
    pub(in crate::db) server: Option<OnServer>,
}

/// What a table has on a server: an owner, rights, rules, partitions.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of the catalog's, and any of them go together")]
pub(in crate::db) struct OnServer {
    /// Who owns it.
    pub(in crate::db) owner: String,
    /// As whom this session works.
    pub(in crate::db) role: String,
    /// The role has the owner's rights.
    pub(in crate::db) is_owner: bool,
    /// The role may delete its rows.
    pub(in crate::db) may_delete: bool,
    /// Its rows do not outlive a crash of the server.
    pub(in crate::db) unlogged: bool,
    /// Policies say which of its rows the role sees.
    pub(in crate::db) row_security: bool,
    /// They hold for its owner, too.
    pub(in crate::db) row_security_forced: bool,
    /// Its rules for what is written, by name.
    pub(in crate::db) rules: Vec<String>,
    /// By which columns it is partitioned; an expression is `None`.
    pub(in crate::db) partitioned_by: Option<Vec<Option<String>>>,
}

/// A column as the database's catalog shows it.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of the catalog's, and any of them go together")]
pub(in crate::db) struct ExistingColumn {
    pub(in crate::db) name: String,
    /// Its type, in the database's words.
    pub(in crate::db) kind: String,
    /// The dataset types whose every value it takes.
    pub(in crate::db) takes: Vec<ColumnType>,
    /// It holds days, so that days are compared in it.
    pub(in crate::db) takes_days: bool,
    pub(in crate::db) not_null: bool,
    /// It has a default.
    pub(in crate::db) has_default: bool,
    /// The database numbers its rows.
    pub(in crate::db) is_identity: bool,
    /// The database alone says what is in it.
    pub(in crate::db) computed: Option<Computed>,
    pub(in crate::db) may: ColumnRights,
    /// The views that use it, which keep its type from being changed.
    pub(in crate::db) used_by: Vec<String>,
}

/// What the session's role may do with a column.
#[derive(Clone, Copy)]
pub(in crate::db) struct ColumnRights {
    pub(in crate::db) select: bool,
    pub(in crate::db) insert: bool,
    pub(in crate::db) update: bool,
}

/// Why a column takes no value from an insert.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::db) enum Computed {
    /// `generated always as (...)`.
    Expression,
    /// `generated always as identity`.
    Identity,
}

/// Columns of which no two rows hold the same.
pub(in crate::db) struct Unique {
    pub(in crate::db) columns: Vec<String>,
    /// It is the primary key.
    pub(in crate::db) primary: bool,
    /// The name of the constraint behind it.
    pub(in crate::db) constraint: Option<String>,
    /// It may be checked at the commit, so that `on conflict` cannot use it.
    pub(in crate::db) deferrable: bool,
    /// The tables whose foreign keys point to it.
    pub(in crate::db) referenced_by: Vec<String>,
}

impl ExistingColumn {
    /// It fills itself when a row brings no value.
    pub(in crate::db) fn filled(&self) -> bool {
        self.has_default || self.is_identity || self.computed.is_some()
    }
}

impl ExistingTable {
    /// SQLite knows no case in names; PostgreSQL does in quoted ones, which ours are.
    pub(in crate::db) fn same(&self, one: &str, other: &str) -> bool {
        if self.names_have_case { one == other } else { one.eq_ignore_ascii_case(other) }
    }

    /// True where rows are found by that column without reading all of them.
    pub(in crate::db) fn has_index_of(&self, column: &Identifier) -> bool {
        let begins = |unique: &Unique| unique.columns.first().is_some_and(|first| self.same(first, column.as_str()));
        self.uniques.iter().any(begins)
    }

    pub(in crate::db) fn column(&self, name: &Identifier) -> Option<&ExistingColumn> {
        self.columns.iter().find(|column| self.same(&column.name, name.as_str()))
    }

    /// The column of a name that differs in nothing but case, where none has the name itself.
    pub(in crate::db) fn column_in_other_case(&self, name: &Identifier) -> Option<&ExistingColumn> {
        let other = self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name.as_str()));
        other.filter(|_| self.column(name).is_none())
    }

    pub(in crate::db) fn primary_key(&self) -> Option<&Unique> {
        self.uniques.iter().find(|unique| unique.primary)
    }
}

/// A name in double quotes, ready to stand in a statement.
pub(in crate::db) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
