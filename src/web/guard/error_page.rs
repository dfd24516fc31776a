//! Refusals, as a browser shows them.

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::redirect::{ReturnPath, login_page, safe_return_path, see_other};
use super::{Guard, is_read_only};
use crate::web::auth::Identity;
use crate::web::problem::Problem;

/// A refusal that a browser is to be shown.
pub struct ErrorPage {
    /// What is wrong.
    pub problem: Problem,
    /// Where a login leads from here: a path of ours.
    pub next: String,
    /// Who asks, if that is known.
    pub who: Option<Identity>,
}

/// What of a request decides how a refusal is told.
pub(super) struct RequestInfo {
    target: String,
    by_browser: bool,
    is_read_only: bool,
}

impl RequestInfo {
    pub(super) fn of(request: &Request) -> Self {
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
        Self { target, by_browser: wants_page(request.headers()), is_read_only: is_read_only(request.method()) }
    }
}

/// True for a browser that goes to a page; its scripts ask for other things.
fn wants_page(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}

impl Guard {
    /// An answer as it is to be shown. A browser that has to log in first is led there.
    pub(super) fn render_error(&self, mut answer: Response, info: RequestInfo, who: Option<Identity>) -> Response {
        let problem = answer.extensions_mut().remove::<Problem>().filter(|_| info.by_browser);
        let Some(problem) = problem else { return answer };
        let asked_for = if info.is_read_only { info.target } else { String::new() };
        let next = answer
            .extensions_mut()
            .remove()
            .map_or_else(|| safe_return_path(&asked_for, self.base_path()), |ReturnPath(next)| next);
        if info.is_read_only && problem.code == "login" {
            return see_other(&login_page(self.base_path(), &next));
        }
        let refused = ErrorPage { problem, next, who };
        let page = (self.page)(&refused);
        refused.problem.respond(page)
    }
}

/// The least that can be shown.
pub(super) fn plain_page(refused: &ErrorPage) -> Response {
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
}
