//! The pages at the door, and those that say what is wrong.

use maud::html;

use crate::web::view::frame::{Live, Place, framed};
use crate::web::view::model::{Frame, Login, MayNot, Problem, Unreachable};
use crate::web::view::times::minute;

/// The login.
#[must_use]
pub fn login(frame: &Frame, page: &Login) -> String {
    let content = html! {
        section.panel.door aria-labelledby="login" {
            h1 #login { "Log in" }
            @if let Some(error) = &page.error { p.error #wrong role="alert" { (error) } }
            form method="post" action=(frame.links.login()) aria-describedby=[page.error.as_ref().map(|_| "wrong")] {
                input type="hidden" name="csrf" value=(frame.csrf);
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
    framed(frame, "Log in", Place::Outside, Live::No, &content)
}

/// A request that could not be answered.
#[must_use]
pub fn problem(frame: &Frame, page: &Problem) -> String {
    let content = html! {
        section.panel.door aria-labelledby="wrong" {
            p.soft { (page.status) }
            h1 #wrong { (page.title) }
            @if let Some(detail) = &page.detail { p { (detail) } }
            p.actions { a.button href=(frame.links.overview()) { "To the datasets" } }
        }
    };
    framed(frame, &page.title, Place::Aside, Live::No, &content)
}

/// A request that this person may not make.
#[must_use]
pub fn may_not(frame: &Frame, page: &MayNot) -> String {
    let content = html! {
        section.panel.door aria-labelledby="wrong" {
            p.soft { "403" }
            h1 #wrong { "You may not do this" }
            p { (page.what) " takes the role " b { (page.needs) } "."
                @if let Some(who) = &frame.who { " You are " (who.name) ", and your role is " (who.role) "." } }
            p.actions { a.button href=(frame.links.overview()) { "To the datasets" } }
        }
    };
    framed(frame, "You may not do this", Place::Aside, Live::No, &content)
}

/// In place of every page that shows days while the database cannot be reached.
#[must_use]
pub fn unreachable(frame: &Frame, page: &Unreachable) -> String {
    let content = html! {
        section.panel.attention aria-labelledby="unreachable" {
            h1 #unreachable { "The database cannot be reached" }
            p { code { (page.database) } " has not answered since " (minute(page.since)) "." }
            p.error { (page.error) }
            p {
                "Nothing is loaded meanwhile, no attempt is counted, and no day is lost. "
                "The daemon tries again by itself, and this page comes back with the database."
            }
        }
    };
    framed(frame, "Database unreachable", Place::Datasets, Live::All, &content)
}
