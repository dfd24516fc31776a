//! What stands between a client and the page. A request passes in this order: its host, and whether it comes from this
//! machine where it has to; who asks; for a change, on which page it was made; its body, within size and time; and
//! then, by route, role and CSRF token. Whatever comes back gets its headers, and to a browser a refusal is shown as a
//! page.

mod client;
mod csrf;
mod headers;
mod host;
mod mount;
mod origin;
mod pass;
mod refused;
mod streams;

use std::net::IpAddr;

use axum::http::Method;
use axum::response::Response;

pub use self::client::{Client, Peer};
pub use self::csrf::Csrf;
pub use self::mount::plain;
pub(in crate::web) use self::pass::NoUsers;
pub use self::refused::Refused;
pub(in crate::web) use self::refused::see_other;
use self::streams::Streams;
use super::auth::{Auth, Jar};
use super::limits::{Limits, OnceAMinute, Shares};
use super::settings::Settings;

/// Makes the page that shows a refusal to a browser.
type Page = dyn Fn(&Refused) -> Response + Send + Sync;

/// What stands between a client and the page.
pub struct Guard {
    settings: Settings,
    auth: Auth,
    limits: Limits,
    streams: Streams,
    /// Requests whose bodies are still arriving.
    bodies: Shares<IpAddr>,
    said_bodies: OnceAMinute,
    page: Box<Page>,
}

impl Guard {
    /// A guard with the usual limits, and plain pages for refusals.
    #[must_use]
    pub fn new(settings: Settings, auth: Auth) -> Self {
        let limits = Limits::default();
        Self {
            settings,
            auth,
            limits,
            streams: Streams::new(limits),
            bodies: Shares::new(limits.bodies_per_address),
            said_bodies: OnceAMinute::default(),
            page: Box::new(refused::plain_page),
        }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self.streams = Streams::new(limits);
        self.bodies = Shares::new(limits.bodies_per_address);
        self
    }

    /// The same with pages of somebody's own for refusals. Their status and headers are those of the problem, whatever
    /// the page says.
    #[must_use]
    pub fn with_page(mut self, page: impl Fn(&Refused) -> Response + Send + Sync + 'static) -> Self {
        self.page = Box::new(page);
        self
    }

    /// The path under which the page is reached; empty, or with a `/` in front and none behind.
    #[must_use]
    pub fn base_path(&self) -> &str {
        &self.settings.base_path
    }

    pub(in crate::web) fn auth(&self) -> &Auth {
        &self.auth
    }

    pub(in crate::web) fn jar(&self, client: &Client) -> Jar<'_> {
        Jar { secure: client.secure, base_path: &self.settings.base_path }
    }
}

/// True for methods that only look.
fn only_looks(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}
