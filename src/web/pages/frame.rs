//! What surrounds every page: who asks, their token, and what came of what they asked for.

use std::collections::HashMap;
use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::Utc;
use url::form_urlencoded;

use super::Pages;
use crate::web::actions::Action;
use crate::web::auth::{How, Role, Who};
use crate::web::guard::Csrf;
use crate::web::view::model::{self, Frame, Notice};
use crate::wording::counted;

/// Who asks for a page.
#[derive(Clone, Default)]
pub struct Asking {
    pub(super) who: Option<Who>,
    pub(super) csrf: Option<Csrf>,
    pub(super) notice: Option<Notice>,
    /// What the stream of events said before anything was read.
    pub(super) told: u64,
}

impl FromRequestParts<Pages> for Asking {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, pages: &Pages) -> Result<Self, Infallible> {
        let (who, csrf) = (parts.extensions.get().cloned(), parts.extensions.get().cloned());
        let (notice, told) = (parts.uri.query().and_then(notice), pages.site.events().told());
        Ok(Self { who, csrf, notice, told })
    }
}

impl Asking {
    /// True for who may change things.
    pub(super) fn may_change(&self) -> bool {
        self.who.as_ref().is_some_and(|who| who.role == Role::Operator)
    }
}

impl Pages {
    pub(super) fn frame(&self, asking: &Asking) -> Frame {
        let named = asking.who.as_ref().filter(|who| who.how != How::Local);
        Frame {
            links: self.links.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            now: Utc::now(),
            told: asking.told,
            who: named.map(|who| model::Who { name: who.name.clone(), role: who.role.name().to_owned() }),
            csrf: asking.csrf.as_ref().map(|csrf| csrf.token().to_owned()).unwrap_or_default(),
            notice: asking.notice.clone(),
        }
    }
}

/// What a page is told of the action that led to it: which, and with how many days it was done. Free text would let
/// anybody who makes a link put words on our page.
pub(super) fn asked(action: Action, done: usize) -> String {
    form_urlencoded::Serializer::new(String::new())
        .append_pair("asked", action.name())
        .append_pair("days", &done.to_string())
        .finish()
}

fn notice(query: &str) -> Option<Notice> {
    let fields: HashMap<_, _> = form_urlencoded::parse(query.as_bytes()).collect();
    let action = Action::by_name(fields.get("asked")?)?;
    let days: usize = fields.get("days")?.parse().ok()?;
    let number = counted(days, "day");
    let text = match action {
        Action::CatchUp => format!("Catching up: {number} to load."),
        Action::Load | Action::Reload | Action::Retry => format!("{number} will be loaded now."),
        Action::Skip => format!("{number} skipped."),
        Action::Forget => format!("{number} forgotten."),
        Action::Cancel => format!("{number} asked to be cancelled."),
        Action::Pause => "Paused: no day begins by itself.".to_owned(),
        Action::Resume => "The dataset goes on.".to_owned(),
    };
    Some(Notice { done: true, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_what_was_asked_for_and_no_words_of_others() {
        let said = |query: &str| notice(query).map(|notice| notice.text);
        assert_eq!(said(&asked(Action::Reload, 1)).as_deref(), Some("1 day will be loaded now."));
        assert_eq!(said("asked=skip&days=3").as_deref(), Some("3 days skipped."));
        for other in ["", "asked=skip", "asked=<b>&days=1", "asked=skip&days=call+me", "page=2"] {
            assert_eq!(said(other), None, "{other}");
        }
    }
}
