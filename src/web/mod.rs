//! The daemon's page, its API and its metrics. In the order in which a request meets them:
//!
//! - `settings`: what the page is told, in plain values; `limits`: how much of everything a client may take;
//! - `listen`: keeps the page where its settings say, and moves it when they change;
//! - [`serve`]: speaks HTTP on a listener, with TLS or without;
//! - [`guard`]: lets requests through or not, and is the only way in ([`Guard::mount`](guard::Guard::mount));
//! - [`auth`]: knows who asks; `file_state` tells it, and `serve`, that a file changed;
//! - [`api`]: answers with JSON, `metrics` with what is counted, [`pages`] with the HTML that [`view`] makes;
//! - `site`: what all of these are given; `action` and [`actions`]: what can be asked for, and doing it;
//! - [`summaries`]: each dataset in short, in memory; [`events`]: what happens, for those who listen;
//! - `parameters`: what an address names; [`problem`]: how every refusal is told; `escape`: what no answer holds.

mod action;
pub mod actions;
pub mod api;
pub mod auth;
mod escape;
pub mod events;
mod file_state;
pub mod guard;
mod limits;
mod listen;
mod metrics;
pub mod pages;
mod parameters;
pub mod problem;
pub mod serve;
mod settings;
mod site;
pub mod summaries;
pub mod view;

pub use limits::RequestLimits;
pub use listen::{SetUpError, check, look, run};
pub use settings::{TlsFiles, WebSettings, is_loopback};
pub use site::Site;
