//! The daemon's page: what is around it. `settings` says where it listens, `serve` speaks HTTP there, `guard` lets
//! requests through or not, `auth` knows who asks, and `problem` is how a refusal is told.
//!
//! A router is mounted by [`Guard::mount`](guard::Guard::mount) and served by [`serve::serve`].

mod action;
pub mod actions;
pub mod api;
pub mod auth;
pub mod events;
pub mod guard;
mod limits;
mod listen;
mod metrics;
pub mod page;
pub mod pages;
pub mod problem;
pub mod serve;
mod settings;
mod site;
mod stamp;
pub mod summaries;

pub use limits::Limits;
pub use listen::{SetUpError, check, run};
pub use settings::{Settings, TlsFiles, is_loopback};
pub use site::Site;
