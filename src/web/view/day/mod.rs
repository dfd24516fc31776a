//! The page of a day: what it is, what can be done, and what happened to it, section by section.

mod attempts;
mod head;
mod rejects;
mod steps;

use maud::{Markup, html};

use crate::web::view::frame::{LiveScope, NavItem, framed};
use crate::web::view::model::{DayPage, Frame};
use crate::web::view::parts::{facts, panel};
use crate::web::view::times::second;
use crate::web::view::words::{bytes, number};

/// A part of the page; `None` where there is nothing to tell.
type DaySection = fn(&Frame, &DayPage) -> Option<Markup>;

/// The parts below the head, in the order in which a person asks: what happened, why, what before, from what.
const SECTIONS: [DaySection; 5] = [steps::happened, steps::counted, rejects::rejects, attempts::attempts, file];

/// The page of a dataset's day.
#[must_use]
pub fn day(frame: &Frame, page: &DayPage) -> String {
    let content = html! {
        (head::head(frame, page))
        @for section in SECTIONS { @if let Some(section) = section(frame, page) { (section) } }
    };
    let title = format!("{} {}", page.dataset, page.day.day);
    framed(
        frame,
        &title,
        NavItem::Datasets,
        LiveScope::Dataset(&page.dataset),
        &html! {
            div.day data-page-day=(page.day.day) { (content) }
        },
    )
}

fn file(_: &Frame, page: &DayPage) -> Option<Markup> {
    let day = &page.day;
    let code = |text: &Option<String>| text.as_ref().map(|text| html! { code { (text) } });
    let size = day.source_bytes.map(i64::unsigned_abs);
    day.source_url.as_ref()?;
    Some(panel(
        "file",
        "File",
        &facts(&[
            ("URL", code(&day.source_url)),
            ("ETag", code(&day.source_etag)),
            ("Size", size.map(|size| html! { (bytes(size)) @if size >= 10_000 { " (" (number(size)) " bytes)" } })),
            ("Changed", day.source_modified.map(second)),
            ("SHA-256", code(&day.source_hash)),
            ("Loaded", day.loaded_at.map(second)),
            ("Into", Some(html! { code { (page.table) } })),
        ]),
    ))
}
