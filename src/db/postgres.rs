//! What only PostgreSQL says.

mod catalog;
mod constraints;
mod copy;
mod left_behind;
mod messages;
mod partitions;
mod server;
mod state;

pub(super) use catalog::{attached, comparing_as_target, find_target};
pub(super) use constraints::{check_deferred, constrained_columns, has_trigger, lengths, refers_to_itself};
pub(super) use copy::fill_stage;
pub(super) use left_behind::left_behind;
pub(super) use messages::{can_report_codes, foreign_language, run_coded, speak_english};
pub(super) use partitions::missing_partition;
pub(super) use server::{
    DIALECT, create_state_schema, has_table, lock_for_ddl, now, restarted_since_heartbeat, worker_holds_lock,
    worker_key,
};
pub(super) use state::{problems, state_relations};
