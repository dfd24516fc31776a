//! The pages as HTML: view models in, HTML out. No database, no HTTP, no clock: who fills the models has those.
//!
//! A page is complete without JavaScript. `app.js` adds live updates, a range of days chosen with the mouse, and local
//! times. Nothing is inline and nothing comes from elsewhere, so that [`CONTENT_SECURITY_POLICY`] holds.

pub mod assets;
pub mod model;

mod administration;
mod calendar;
mod chart;
mod dataset;
mod day;
mod dry_run;
mod frame;
mod links;
mod login;
mod overview;
mod parts;
#[cfg(test)]
mod tests;
mod times;
mod words;

/// What a browser may do with a page, for the header of that name. Live updates need `connect-src`; the drawings of
/// marks are `data:` images of the style sheet.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub use administration::{activity_log, configuration, daemons};
pub use dataset::dataset;
pub use day::day;
pub use dry_run::dry_run;
pub use links::Links;
pub use login::{login, may_not, problem, unreachable};
pub use overview::overview;
