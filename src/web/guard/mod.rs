//! What stands between a client and the page. A request passes in this order: its host, and whether it comes from this
//! machine where it has to; who asks; for a change, on which page it was made; its body, within size and time; and
//! then, by route and role. Whatever comes back gets its headers, and to a browser a refusal is shown as a
//! page.

mod client;
mod error_page;
mod headers;
mod host;
mod login;
mod middleware;
mod origin;
mod redirect;
mod routes;
mod streams;

use std::net::IpAddr;

use axum::http::Method;
use axum::response::Response;

pub use self::client::{Client, Peer};
pub use self::error_page::ErrorPage;
pub(in crate::web) use self::middleware::UsersUnavailable;
pub(in crate::web) use self::redirect::see_other;
pub use self::routes::plain;
use self::streams::Streams;
use super::auth::{Auth, CookieJar};
use super::limits::{LogThrottle, RequestLimits, Shares};
use super::settings::WebSettings;

/// Makes the page that shows a refusal to a browser.
type ErrorRenderer = dyn Fn(&ErrorPage) -> Response + Send + Sync;

/// What stands between a client and the page.
pub struct Guard {
    settings: WebSettings,
    auth: Auth,
    limits: RequestLimits,
    streams: Streams,
    /// Requests whose bodies are still arriving.
    bodies: Shares<IpAddr>,
    bodies_log: LogThrottle,
    page: Box<ErrorRenderer>,
}

impl Guard {
    /// A guard with the usual limits, and plain pages for refusals.
    #[must_use]
    pub fn new(settings: WebSettings, auth: Auth) -> Self {
        let limits = RequestLimits::default();
        Self {
            settings,
            auth,
            limits,
            streams: Streams::new(limits),
            bodies: Shares::new(limits.bodies_per_address),
            bodies_log: LogThrottle::default(),
            page: Box::new(error_page::plain_page),
        }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: RequestLimits) -> Self {
        self.limits = limits;
        self.streams = Streams::new(limits);
        self.bodies = Shares::new(limits.bodies_per_address);
        self
    }

    /// The same with pages of somebody's own for refusals. Their status and headers are those of the problem, whatever
    /// the page says.
    #[must_use]
    pub fn with_page(mut self, page: impl Fn(&ErrorPage) -> Response + Send + Sync + 'static) -> Self {
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

    pub(in crate::web) fn jar(&self, client: &Client) -> CookieJar<'_> {
        CookieJar { secure: client.secure, base_path: &self.settings.base_path }
    }
}

/// True for methods that only look.
fn is_read_only(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}
