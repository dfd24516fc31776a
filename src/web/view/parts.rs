//! What several pages are made of: marks, counts, strips of days, loads in flight, facts, pagers.

use maud::{Markup, html};

use crate::web::view::links::Links;
use crate::web::view::model::{Action, Cell, CellState, Loading, Pause, StateCount};
use crate::web::view::words::{bytes, cell, number, of, span, why_paused};

/// A state's mark and its word. The style sheet draws the mark; it says nothing that the word does not.
pub(super) fn state(state: CellState) -> Markup {
    marked(state.class(), state.word())
}

/// A mark beside a word.
pub(super) fn marked(class: &str, word: &str) -> Markup {
    html! { span.state { i.m.(class) {} (word) } }
}

/// How many days are in which state; states without days are left out. `None` where they were not read yet.
pub(super) fn counts(counts: Option<&[StateCount]>) -> Markup {
    let known = counts.unwrap_or_default();
    html! {
        span.counts data-counts {
            @for StateCount { state, days } in known.iter().filter(|count| count.days > 0) {
                span.state { i.m.(state.class()) {} (number(*days)) " " (state.word()) }
            }
            @if counts.is_none() {
                span.soft { "not read yet" }
            } @else if known.iter().all(|count| count.days == 0) {
                span.soft { "no days wanted yet" }
            }
        }
    }
}

/// The badges of a dataset that is late, has loaded days with rejected rows, or is on pause.
pub(super) fn badges(late: u64, with_rejects: u64, pause: Option<&Pause>) -> Markup {
    html! {
        @if late > 0 { span.badge.urgent { i.m.late {} (number(late)) " late" } }
        @if with_rejects > 0 {
            span.badge title="Loaded days with rejected rows" { i.m.rejects {} (number(with_rejects)) " with rejects" }
        }
        @if let Some(pause) = pause { span.badge title=(why_paused(pause)) { i.m.paused {} "paused" } }
    }
}

/// One cell: a link with a mark, or only a mark where there is nothing to look at. `Tab` passes over cells of a strip.
pub(super) fn link(links: &Links, dataset: &str, day: &Cell) -> Markup {
    let class = day.state.class();
    html! {
        @if matches!(day.state, CellState::NotWanted | CellState::Future) { i.(class) {} }
        @else { a.(class) href=(links.day(dataset, day.day)) tabindex="-1" title=(cell(day)) {} }
    }
}

/// A dataset's last days in a row. Words beside it say the same to those who do not see it, so that nobody has to walk
/// through thirty links per dataset.
pub(super) fn strip(links: &Links, dataset: &str, cells: &[Cell]) -> Markup {
    html! { div.strip.days aria-hidden="true" { @for cell in cells { (link(links, dataset, cell)) } } }
}

/// Loads in flight. The script keeps them up to date, and adds and removes them.
pub(super) fn loads(links: &Links, dataset: &str, loads: &[Loading]) -> Markup {
    html! {
        div.loads data-loads=(links.days(dataset)) {
            @for load in loads {
                div.load data-day=(load.day) {
                    a href=(links.day(dataset, load.day)) { "loading " (load.day) }
                    progress aria-label={ "loading " (load.day) } max=[load.bytes_total]
                        value=[load.bytes_total.map(|total| load.bytes.min(total))] {}
                    small { (load.step.name()) " · " (of(load.rows, "row")) (speed(load)) }
                    @if let Some(waiting_for) = &load.waiting_for { small.waiting { (waiting_for) } }
                }
            }
        }
    }
}

/// How fast a load is, and how long it may take yet.
fn speed(load: &Loading) -> Markup {
    let left = load.bytes_total.zip(load.rows_per_second).and_then(|(total, speed)| {
        let rows = total.saturating_sub(load.bytes).checked_mul(load.rows)?.checked_div(load.bytes)?;
        rows.checked_div(speed)
    });
    html! {
        @if let Some(speed) = load.rows_per_second { " · " (of(speed, "row")) "/s" }
        @if let Some(left) = left { " · " (span(left)) " left" }
        @else if load.bytes_total.is_none() { " · " (bytes(load.bytes)) }
    }
}

/// Facts: each a word and what there is to say.
pub(super) fn facts(facts: &[(&str, Option<Markup>)]) -> Markup {
    html! {
        dl.facts {
            @for (word, fact) in facts {
                @if let Some(fact) = fact { div { dt { (word) } dd { (fact) } } }
            }
        }
    }
}

/// A part of a page under a heading.
pub(super) fn panel(id: &str, heading: &str, content: &Markup) -> Markup {
    html! { section.panel aria-labelledby=(id) { h2 id=(id) { (heading) } (content) } }
}

/// What may be wider than the page: it scrolls inside its own box, also by keyboard.
pub(super) fn scrolls(label: &str, content: &Markup) -> Markup {
    html! { div.scroll role="region" aria-label=(label) tabindex="0" { (content) } }
}

/// Links to the page before and after; nothing where there is one page only.
pub(super) fn pager(page: usize, pages: usize, href: &dyn Fn(usize) -> String) -> Markup {
    html! {
        @if pages > 1 {
            nav.pager aria-label="Pages" {
                @if page > 1 { a href=(href(page - 1)) rel="prev" { "← previous" } }
                span { "page " (page) " of " (pages) }
                @if page < pages { a href=(href(page + 1)) rel="next" { "next →" } }
            }
        }
    }
}

/// Links to what is before and behind this part of a list, each with its word; nothing where the list is whole.
pub(super) fn beside(before: Option<String>, behind: Option<String>, words: (&str, &str)) -> Markup {
    html! {
        @if before.is_some() || behind.is_some() {
            nav.pager aria-label="Pages" {
                @if let Some(href) = before { a href=(href) rel="prev" { "← " (words.0) } }
                @if let Some(href) = behind { a href=(href) rel="next" { (words.1) " →" } }
            }
        }
    }
}

/// The fields of every form that asks for an action.
pub(super) fn asks(action: Action) -> Markup {
    html! {
        input type="hidden" name="action" value=(action.name());
    }
}
