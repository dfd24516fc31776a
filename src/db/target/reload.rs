//! What a reload does beside writing a day's rows anew. It deletes them first, and with them goes what others hung on
//! to them: no error, and nothing that shows afterwards.

use super::existing::ExistingTable;
use crate::dataset::{Dataset, Mode};
use crate::db::statements::TargetColumn;
use crate::wording::named;

/// What hangs on to the rows of a table.
pub(in crate::db) struct Attached {
    /// The foreign keys of other tables that refer to it.
    pub(in crate::db) references: Vec<Reference>,
    /// The triggers that run when its rows are deleted.
    pub(in crate::db) triggers: Vec<TableTrigger>,
}

/// A trigger that runs when rows are deleted.
pub(in crate::db) struct TableTrigger {
    pub(in crate::db) name: String,
    /// By its code it may raise an error, or keep the row.
    pub(in crate::db) may_forbid: bool,
    /// The statement that has it run no more.
    pub(in crate::db) turn_off: String,
}

/// A foreign key that refers to a table.
pub(in crate::db) struct Reference {
    /// The table that has it.
    pub(in crate::db) table: String,
    pub(in crate::db) on_delete: OnDelete,
}

/// What a foreign key does when the row that it refers to is deleted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::db) enum OnDelete {
    /// The row that refers to it is deleted.
    Cascade,
    /// Its columns become null, or what their default is.
    Clear,
    /// It fails.
    Refuse,
}

/// One sentence for each thing that a reload of a day does to what is not the dataset's.
pub(super) fn notes(
    dataset: &Dataset,
    found: &ExistingTable,
    wanted: &[TargetColumn<'_>],
    attached: &Attached,
) -> Vec<String> {
    if dataset.target.mode != Mode::ReplaceDay {
        return Vec::new();
    }
    let table = &dataset.target.table;
    let written = |name: &str| wanted.iter().any(|column| found.same(column.name.as_str(), name));
    let others = found.columns.iter().filter(|column| !written(&column.name) && column.computed.is_none());
    let others: Vec<&str> = others.filter(|column| !column.is_identity).map(|column| column.name.as_str()).collect();
    let mut notes = Vec::new();
    if !others.is_empty() {
        notes.push(format!(
            "a reload of a day deletes its rows in {table} and writes them anew: what others wrote into {} is lost",
            named(&others, 10)
        ));
    }
    for (on_delete, what) in [
        (OnDelete::Cascade, "deletes the rows that refer to its rows in"),
        (OnDelete::Clear, "clears the references to its rows in"),
        (OnDelete::Refuse, "fails while rows refer to its rows in"),
    ] {
        let tables = attached.references.iter().filter(|reference| reference.on_delete == on_delete);
        let mut tables: Vec<&str> = tables.map(|reference| reference.table.as_str()).collect();
        tables.dedup();
        if !tables.is_empty() {
            notes.push(format!("a reload of a day {what} {}", named(&tables, 10)));
        }
    }
    if !attached.triggers.is_empty() {
        let triggers: Vec<&str> = attached.triggers.iter().map(|trigger| trigger.name.as_str()).collect();
        notes.push(format!(
            "a reload of a day deletes its rows, which runs the triggers {}; one that forbids it makes the reload fail",
            named(&triggers, 10)
        ));
    }
    notes.extend(attached.triggers.iter().filter(|trigger| trigger.may_forbid).map(|trigger| {
        format!(
            "the trigger {} seems to forbid that rows of {table} are deleted, as mode replace_day does: set \
             target.mode to \"insert_new\" or \"upsert\", or {}",
            trigger.name, trigger.turn_off
        )
    }));
    notes
}
