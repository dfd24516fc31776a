//! Refusals, as a browser shows them.

use axum::extract::Request;
use axum::http::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::pass::Visit;
use super::{Csrf, Guard, only_looks};
use crate::web::auth::{Next, Who, next_or_home};
use crate::web::problem::Problem;

/// A refusal that a browser is to be shown.
pub struct Refused {
    /// What is wrong.
    pub problem: Problem,
    /// Where a login leads from here: a path of ours.
    pub next: String,
    /// Who asks, if that is known.
    pub who: Option<Who>,
    /// Their CSRF token; none where the request was not worth one.
    pub csrf: Option<Csrf>,
}

/// What of a request decides how a refusal is told.
pub(super) struct Asked {
    target: String,
    by_browser: bool,
    only_looks: bool,
}

impl Asked {
    pub(super) fn of(request: &Request) -> Self {
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
        Self { target, by_browser: wants_page(request.headers()), only_looks: only_looks(request.method()) }
    }
}

/// True for a browser that goes to a page; its scripts ask for other things.
fn wants_page(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}

impl Guard {
    /// An answer as it is to be shown. A browser that has to log in first is led there.
    pub(super) fn shown(&self, mut answer: Response, asked: Asked, visit: Option<&Visit>) -> Response {
        let problem = answer.extensions_mut().remove::<Problem>().filter(|_| asked.by_browser);
        let Some(problem) = problem else { return answer };
        let asked_for = if asked.only_looks { asked.target } else { String::new() };
        let next = answer
            .extensions_mut()
            .remove()
            .map_or_else(|| next_or_home(&asked_for, self.base_path()), |Next(next)| next);
        if asked.only_looks && problem.code == "login" {
            return see_other(&login_page(self.base_path(), &next));
        }
        let (who, csrf) = (visit.and_then(|visit| visit.who.clone()), visit.map(|visit| visit.csrf.clone()));
        let refused = Refused { problem, next, who, csrf };
        let page = (self.page)(&refused);
        refused.problem.respond(page)
    }
}

fn login_page(base: &str, next: &str) -> String {
    format!("{base}/login?next={}", utf8_percent_encode(next, NON_ALPHANUMERIC))
}

/// 303: look there, with a GET.
pub(in crate::web) fn see_other(place: &str) -> Response {
    let place = HeaderValue::try_from(place).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(LOCATION, place)]).into_response()
}

/// The least that can be shown.
pub(super) fn plain_page(refused: &Refused) -> Response {
    let (title, detail) = (refused.problem.title(), escaped(&refused.problem.detail));
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n<h1>{title}</h1>\n\
         <p>{detail}</p>\n"
    );
    ([(CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

/// Text as it may stand in a page.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_no_markup_of_the_clients() {
        assert_eq!(escaped("<a href='x'>&\""), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
    }

    #[test]
    fn the_way_to_the_login_knows_the_way_back() {
        assert_eq!(login_page("/d", "/d/days?a=1&b=2"), "/d/login?next=%2Fd%2Fdays%3Fa%3D1%26b%3D2");
        assert_eq!(see_other("/x\ny").headers()[LOCATION], "/");
    }
}
