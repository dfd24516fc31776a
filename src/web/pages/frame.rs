//! What surrounds every page: who asks, their token, and what came of what they asked for.

use std::collections::HashMap;
use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::Utc;
use url::form_urlencoded;

use super::Pages;
use crate::db::activity_log::{self, ActivityEntry};
use crate::web::actions::{Action, went_well};
use crate::web::auth::{AuthMethod, Identity, Role};
use crate::web::view::model::{self, Frame, Notice};
use crate::wording::counted;

/// Who asks for a page.
#[derive(Clone, Default)]
pub struct PageRequest {
    pub(super) who: Option<Identity>,
    pub(super) notice: Option<Notice>,
    /// What the stream of events said before anything was read.
    pub(super) told: u64,
}

impl FromRequestParts<Pages> for PageRequest {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, pages: &Pages) -> Result<Self, Infallible> {
        let who = parts.extensions.get().cloned();
        let (query, told) = (parts.uri.query().unwrap_or_default(), pages.site.events().told());
        let mut notice = notice(query);
        if let (Some(shown), Some(number)) = (&notice, entry(query)) {
            let read = pages.site.read(move |conn| activity_log::page(conn, number.checked_add(1), 1)).await;
            let found = read.ok().and_then(|entries| entries.into_iter().find(|entry| entry.id == number));
            notice = found.as_ref().and_then(ended).or_else(|| Some(shown.clone()));
        }
        Ok(Self { who, notice, told })
    }
}

impl PageRequest {
    /// True for who may change things.
    pub(super) fn may_change(&self) -> bool {
        self.who.as_ref().is_some_and(|who| who.role == Role::Operator)
    }
}

impl Pages {
    pub(super) fn frame(&self, asking: &PageRequest) -> Frame {
        let named = asking.who.as_ref().filter(|who| who.how != AuthMethod::Local);
        Frame {
            links: self.links.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            now: Utc::now(),
            told: asking.told,
            who: named.map(|who| model::CurrentUser { name: who.name.clone(), role: who.role.name().to_owned() }),
            notice: asking.notice.clone(),
        }
    }
}

/// What a page is told of the action that led to it: which, and with how many days it was done. Free text would let
/// anybody who makes a link put words on our page.
///
/// The entry of the activity log tells how it ended, once it has.
pub(super) fn asked(action: Action, done: usize, entry: Option<i64>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("asked", action.name()).append_pair("days", &done.to_string());
    if let Some(entry) = entry {
        query.append_pair("entry", &entry.to_string());
    }
    query.finish()
}

/// Which entry of the activity log a page is told of.
fn entry(query: &str) -> Option<i64> {
    form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "entry")?.1.parse().ok()
}

/// What an entry says of the end of an order whose days are loaded some time later: `Retry: 59 days: 57 loaded, 1
/// refused, 1 waiting.`; `None` while it has not ended.
fn ended(entry: &ActivityEntry) -> Option<Notice> {
    let action = Action::by_name(&entry.action).filter(|action| action.loads())?;
    let counts = entry.outcome.strip_prefix("done: ")?;
    Some(Notice { done: went_well(&entry.outcome), text: format!("{}: {counts}.", action.label()) })
}

fn notice(query: &str) -> Option<Notice> {
    let fields: HashMap<_, _> = form_urlencoded::parse(query.as_bytes()).collect();
    let action = Action::by_name(fields.get("asked")?)?;
    let days: usize = fields.get("days")?.parse().ok()?;
    let number = counted(days, "day");
    let text = match action {
        Action::CatchUp => format!("Catching up: {number} to load."),
        Action::Load | Action::Reload | Action::Retry => format!("Loading {number}."),
        Action::Skip => format!("{number} skipped."),
        Action::Forget => format!("{number} forgotten."),
        Action::Cancel if !fields.contains_key("entry") => {
            format!("{number} cancelled. The activity log has no entry: the database did not accept it.")
        }
        Action::Cancel => format!("Cancelling {number}."),
        Action::Pause => "Paused: ticks load nothing.".to_owned(),
        Action::Resume => "Resumed.".to_owned(),
    };
    Some(Notice { done: true, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_how_an_order_ended() {
        let said = |action: &str, outcome: &str| {
            let entry = ActivityEntry {
                id: 7,
                at: chrono::DateTime::default(),
                who: "ada".to_owned(),
                action: action.to_owned(),
                dataset: None,
                from: None,
                to: None,
                reason: None,
                outcome: outcome.to_owned(),
            };
            ended(&entry).map(|notice| (notice.done, notice.text))
        };
        assert_eq!(entry(&asked(Action::Retry, 59, Some(7))), Some(7));
        let counts = "59 days: 57 loaded, 1 refused, 1 waiting";
        assert_eq!(said("retry", &format!("done: {counts}")), Some((false, format!("Retry: {counts}."))));
        assert_eq!(said("load", "done: 1 day: 1 loaded"), Some((true, "Load: 1 day: 1 loaded.".to_owned())));
        assert_eq!(
            (said("load", "accepted: 1 day"), said("skip", "done: 1 day"), said("<b>", "done: x")),
            (None, None, None)
        );
    }

    #[test]
    fn a_page_says_what_was_asked_for_and_no_words_of_others() {
        let said = |query: &str| notice(query).map(|notice| notice.text);
        assert_eq!(said(&asked(Action::Reload, 1, Some(7))).as_deref(), Some("Loading 1 day."));
        assert_eq!(said("asked=skip&days=3").as_deref(), Some("3 days skipped."));
        assert_eq!(said(&asked(Action::Cancel, 1, Some(7))).as_deref(), Some("Cancelling 1 day."));
        assert!(said(&asked(Action::Cancel, 1, None)).unwrap().starts_with("1 day cancelled. The activity log has no"));
        for other in ["", "asked=skip", "asked=<b>&days=1", "asked=skip&days=call+me", "page=2"] {
            assert_eq!(said(other), None, "{other}");
        }
    }
}
