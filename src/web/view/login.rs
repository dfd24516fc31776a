//! The pages at the door, and those that say what is wrong.

use maud::html;

use crate::web::view::frame::{LiveScope, NavItem, framed};
use crate::web::view::model::{ForbiddenPage, Frame, LoginPage, ProblemPage, UnreachablePage};
use crate::web::view::times::minute;

/// The login.
#[must_use]
pub fn login(frame: &Frame, page: &LoginPage) -> String {
    let content = html! {
        section.panel.door aria-labelledby="login" {
            h1 #login { "Log in" }
            @if let Some(error) = &page.error { p.error #wrong role="alert" { (error) } }
            form method="post" action=(frame.links.login()) aria-describedby=[page.error.as_ref().map(|_| "wrong")] {
                input type="hidden" name="next" value=(page.next);
                label for="name" { "Name" }
                input #name name="name" value=(page.name) required autocomplete="username" autocapitalize="none"
                    spellcheck="false" autofocus[page.name.is_empty()];
                label for="password" { "Password" }
                input #password type="password" name="password" required autocomplete="current-password"
                    autofocus[!page.name.is_empty()];
                button.primary { "Log in" }
            }
        }
    };
    framed(frame, "Log in", NavItem::Outside, LiveScope::No, &content)
}

/// A request that could not be answered.
#[must_use]
pub fn problem(frame: &Frame, page: &ProblemPage) -> String {
    let content = html! {
        section.panel.door aria-labelledby="wrong" {
            p.soft { (page.status) }
            h1 #wrong { (page.title) }
            @if let Some(detail) = &page.detail { p { (detail) } }
            p.actions { a.button href=(frame.links.overview()) { "Open datasets" } }
        }
    };
    framed(frame, &page.title, NavItem::Aside, LiveScope::No, &content)
}

/// A request that this person may not make.
#[must_use]
pub fn may_not(frame: &Frame, page: &ForbiddenPage) -> String {
    let content = html! {
        section.panel.door aria-labelledby="wrong" {
            p.soft { "403" }
            h1 #wrong { "Not allowed" }
            p { (page.what) " requires the role " b { (page.needs) } "."
                @if let Some(who) = &frame.who { " You are " (who.name) ", with the role " (who.role) "." } }
            p.actions { a.button href=(frame.links.overview()) { "Open datasets" } }
        }
    };
    framed(frame, "Not allowed", NavItem::Aside, LiveScope::No, &content)
}

/// In place of every page that shows days while the database cannot be reached.
#[must_use]
pub fn unreachable(frame: &Frame, page: &UnreachablePage) -> String {
    let content = html! {
        section.panel.attention aria-labelledby="unreachable" {
            h1 #unreachable { "Database unreachable" }
            p { code { (page.database) } " has not answered since " (minute(page.since)) "." }
            p.error { (page.error) }
            p {
                "Nothing loads until it answers; no attempt counts, and no day is lost. "
                "The daemon reconnects by itself, and this page returns with the database."
            }
        }
    };
    framed(frame, "Database unreachable", NavItem::Datasets, LiveScope::All, &content)
}
