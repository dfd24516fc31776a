//! What only SQLite says.

mod catalog;
mod file;
mod insert;
mod write_lock;

pub(super) use catalog::{attached, comparing_as_target, find_target, state_relations};
pub(super) use file::{DIALECT, broken_references, database_file, has_table, has_trigger, now, refers_to_itself};
pub(super) use insert::fill_stage;
pub(super) use write_lock::{fold_log, refuse_writes, wait_inside, while_locked};
