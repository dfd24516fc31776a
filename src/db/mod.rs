//! The database: state tables, claims, stage, publish, target. All of diesel is in here.
//!
//! Everything blocks; callers bring a thread of their own. [`pool::Conn`] is a connection to either database; what both
//! databases say in the same words stands in the modules named after what it does ([`days`], [`attempts`], [`worker`],
//! [`stage`], [`publish`], [`target`]), what they say differently in `postgres` and `sqlite`.

pub mod activity_log;
pub mod attempt_log;
pub mod attempts;
mod bad_rows;
pub mod cancellation;
pub mod claim;
pub mod columns;
pub mod day_action;
pub mod days;
mod encoding;
pub mod error;
mod error_class;
mod error_text;
pub mod future;
mod halving;
pub mod loaded_files;
mod lock_holders;
mod locks;
pub mod login;
pub mod migrate;
pub mod missing_files;
pub mod old_attempts;
pub mod paused;
pub mod pool;
pub mod pooler;
mod postgres;
pub mod publish;
mod refusal;
pub mod rejects;
pub mod row_sink;
mod schema;
mod session;
pub mod setup;
mod sqlite;
pub mod sqlite_file;
pub mod stage;
pub mod state_tables;
mod statements;
pub mod summary;
pub mod target;
mod target_rows;
mod transaction;
pub mod url;
pub mod waiting;
pub mod watch;
pub mod watchlist;
pub mod worker;
mod worker_lock;
pub mod workers;
