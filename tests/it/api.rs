//! The API of a daemon that runs in the test's process, on either database.

mod actions;
mod events;
mod in_flight;
mod look;
mod places;
mod refusals;
