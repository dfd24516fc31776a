//! dayfill loads one file per day into PostgreSQL or SQLite, exactly once, and fills in the days that are missing.
//!
//! The modules form layers; each uses its neighbours and what lies below it (`tests/it/architecture.rs` checks this):
//!
//! | layer | modules |
//! | --- | --- |
//! | interface | [`cli`], [`config`], [`logging`], [`exit_code`] |
//! | service | [`daemon`], [`event_log`], [`metrics`], [`cron`], [`service_manager`], [`shutdown`], `traces`, [`web`] |
//! | engine | [`ready`], [`reconcile`], [`recheck`], [`future_days`], [`load_day`], [`events`], [`status`] |
//! | adapters | [`source`], [`db`] |
//! | core | [`parse`], [`validate`], [`read_rows`], [`audit`], [`plan`], [`load_outcome`] |
//! | domain | [`day`], [`mod@column`], [`dataset`], [`policy`], [`url_template`], [`state`], [`wording`], [`zone`], [`definition`], [`json`] |

pub mod audit;
pub mod cli;
pub mod column;
pub mod config;
pub mod cron;
pub mod daemon;
pub mod dataset;
pub mod day;
pub mod db;
pub mod definition;
pub mod event_log;
pub mod events;
pub mod exit_code;
pub mod future_days;
pub mod json;
pub mod load_day;
pub mod load_outcome;
pub mod logging;
pub mod metrics;
pub mod parse;
pub mod plan;
pub mod policy;
pub mod read_rows;
pub mod ready;
pub mod recheck;
pub mod reconcile;
pub mod service_manager;
pub mod shutdown;
pub mod source;
pub mod state;
pub mod status;
#[cfg(feature = "otel")]
pub mod traces;
pub mod url_template;
pub mod validate;
pub mod web;
pub mod wording;
pub mod zone;
