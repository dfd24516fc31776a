//! Loading one day: claim, source, parse, validate, stage, audit, publish. Every way to load a day ends here.
//!
//! - `attempt`: one attempt, from its claim to its end; `pipeline`: the steps of a claimed day;
//! - `context`: the database, this process in it, a dataset with its source;
//! - `stop`: when loads are to stop; `active_loads`: the loads that are under way.

mod active_loads;
mod attempt;
mod context;
mod pipeline;
mod stop;

use crate::day::Day;
use crate::db::attempts::Trigger;
use crate::events::DayEvent;
use crate::plan::LoadMode;

pub use active_loads::{ActiveLoad, ActiveLoads, Step};
pub use context::{Context, FlushedOutcomes, Job, PendingOutcome, Progress};
pub use stop::Stop;

use attempt::Load;

/// Loads one day, if it may be, and returns how that ended. The state table has it by then, unless the event says that
/// the database failed.
#[must_use]
pub fn load_day(context: &Context, job: &Job, day: Day, mode: LoadMode, trigger: Trigger) -> DayEvent {
    Load::new(context, job, day, mode, trigger).run()
}
