//! Loading one day: claim, source, parse, validate, stage, audit, publish. Every way to load a day ends here.
//!
//! - `attempt`: one try, from its claim to its end; `not_published`: why it may end without rows in the target;
//! - `context`: the database, and this process in it; `job`: a dataset made ready;
//! - `stop`: when loads are to stop; `begun`: which days of a task began; `flights`: the loads in flight;
//! - `report`: what came of it.

mod attempt;
mod begun;
mod context;
mod flights;
mod job;
mod not_published;
mod report;
mod stop;

use std::time::Instant;

use crate::day::Day;
use crate::db::attempts::Trigger;
use crate::plan::LoadMode;

pub use begun::Begun;
pub use context::{Context, Progress, Told, Untold};
pub use flights::{Flight, Flights, Step};
pub use job::Job;
pub use report::{Outcome, Report, Unavailable};
pub use stop::Stop;

use attempt::Load;

/// Loads a day, if it may be. Whatever comes of it is in the state table when this returns, and in the report.
#[must_use]
pub fn load_day(context: &Context, job: &Job, day: Day, ask: LoadMode, trigger: Trigger) -> Report {
    let began = Instant::now();
    let mut load = Load::new(context, job, day, ask);
    let outcome = load.run(trigger).unwrap_or_else(Outcome::Database);
    load.report(outcome, began.elapsed())
}
