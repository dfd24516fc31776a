//! The pages, served: each handler reads what is known, fills a model of [`view`] and answers with it.

mod actions;
mod administration;
mod attention;
mod dataset;
mod day;
mod frame;
mod overview;
mod paging;
mod parts;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};

use super::guard::ErrorPage;
use super::site::Site;
use super::view::assets::Asset;
use super::view::{self, Links, model};

pub use self::frame::PageRequest;

/// What the pages are made from.
#[derive(Clone)]
pub struct Pages {
    site: Arc<Site>,
    links: Links,
}

impl Pages {
    /// The pages of a site, below a base path.
    #[must_use]
    pub fn new(site: Arc<Site>, base_path: &str) -> Self {
        Self { site, links: Links::new(base_path) }
    }

    /// What everybody may look at: the login, styles and scripts.
    pub fn open(&self) -> Router {
        let mut router = Router::new().route("/login", get(administration::login));
        for asset in view::assets::assets() {
            router = router.route(&asset.path, get(move |headers: HeaderMap| async move { served(asset, &headers) }));
        }
        router.with_state(self.clone())
    }

    /// What is shown to whoever is known, and asked for by operators.
    pub fn closed(&self) -> Router {
        Router::new()
            .route("/", get(overview::overview))
            .route("/datasets/{name}", get(dataset::dataset))
            .route("/datasets/{name}/days", get(day::go_to))
            .route("/datasets/{name}/days/{day}", get(day::day))
            .route("/datasets/{name}/dry-run", get(actions::dry_run))
            .route("/datasets/{name}/actions", post(actions::act))
            .route("/daemons", get(administration::daemons))
            .route("/configuration", get(administration::configuration))
            .route("/activity-log", get(administration::activity_log))
            .with_state(self.clone())
    }

    /// The page that tells of a refusal.
    #[must_use]
    pub fn refusal(&self, refused: &ErrorPage) -> Response {
        let ErrorPage { problem, next, who } = refused;
        let frame = self.frame(&PageRequest { who: who.clone(), ..PageRequest::default() });
        let shown = self.site.daemon().status();
        let html = match problem.code {
            "wrong-login" | "too-many-logins" | "users" => {
                let error = Some(problem.detail.clone());
                view::login(&frame, &model::LoginPage { name: String::new(), next: next.clone(), error })
            }
            "role" => view::may_not(
                &frame,
                &model::ForbiddenPage { what: "This".to_owned(), needs: super::auth::Role::Operator.name().to_owned() },
            ),
            "database" => {
                let (since, error) =
                    shown.unreachable.clone().unwrap_or_else(|| (chrono::Utc::now(), problem.detail.clone()));
                view::unreachable(&frame, &model::UnreachablePage { database: shown.database.clone(), since, error })
            }
            _ => view::problem(
                &frame,
                &model::ProblemPage {
                    status: problem.status.as_u16(),
                    title: problem.title().to_owned(),
                    detail: Some(problem.detail.clone()),
                },
            ),
        };
        Html(html).into_response()
    }
}

type PagesState = State<Pages>;

/// An asset, compressed for clients that accept it.
fn served(asset: &'static Asset, headers: &HeaderMap) -> Response {
    let always = [
        (CONTENT_TYPE, asset.content_type),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (VARY, "accept-encoding"),
    ];
    let accepts = headers.get(ACCEPT_ENCODING).and_then(|accepts| accepts.to_str().ok());
    if accepts.is_some_and(accepts_gzip) {
        return (always, [(CONTENT_ENCODING, "gzip")], asset.gzip.as_slice()).into_response();
    }
    (always, asset.bytes).into_response()
}

fn accepts_gzip(accepts: &str) -> bool {
    accepts.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_ok_and(|weight| weight > 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_for_who_takes_it() {
        for (accepts, is_for) in [
            ("gzip, deflate, br, zstd", true),
            ("br;q=1.0, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("x-gzip, identity", false),
            ("", false),
        ] {
            assert_eq!(accepts_gzip(accepts), is_for, "{accepts}");
        }
    }
}
