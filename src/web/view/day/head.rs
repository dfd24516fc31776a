//! The top of a day's page: its state, what is said of it, what can be done.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use crate::state::State;
use crate::web::view::model::{Action, CellState, DayPage, Frame, LONGEST_REASON};
use crate::web::view::parts::{asks, loads, state};
use crate::web::view::times::scheduled;

/// What stands first among the buttons, where a state allows it.
const OPEN: [Action; 4] = [Action::Retry, Action::Load, Action::Reload, Action::Cancel];
/// What is out of the way of a slip of the hand.
const FOLDED: [Action; 2] = [Action::Skip, Action::Forget];

fn state_of(page: &DayPage) -> CellState {
    CellState::of(page.day.state, page.day.rows_rejected)
}

/// Where this is, the day and its neighbours, what is said of it, and what can be done.
pub(super) fn head(frame: &Frame, page: &DayPage) -> Markup {
    let links = &frame.links;
    html! {
        nav.crumbs aria-label="Breadcrumb" {
            a href=(links.overview()) { "Datasets" } " / " a href=(links.dataset(&page.dataset)) { (page.dataset) }
        }
        div.head {
            h1 { (page.dataset) " " (page.day.day) " " span.is { (state(state_of(page))) } }
            nav.days-beside aria-label="Adjacent days" {
                @if let Some(day) = page.previous {
                    a href=(links.day(&page.dataset, day)) rel="prev" { "← " (day) }
                }
                @if let Some(day) = page.next { a href=(links.day(&page.dataset, day)) rel="next" { (day) " →" } }
            }
        }
        (said(frame, page))
    }
}

/// What is said of the day, and what can be done.
fn said(frame: &Frame, page: &DayPage) -> Markup {
    let (day, is) = (&page.day, state_of(page));
    let in_zone = |at: DateTime<Utc>| scheduled(at.with_timezone(&page.timezone));
    html! {
        section.panel.verdict.(is.class()) aria-label="State" {
            p.lead { (day.day.date().format("%A").to_string()) ". " (is.meaning()) }
            @if let Some(error) = &day.error { p.error { (error) } }
            @if let Some(note) = &day.note { p { "Note: " q { (note) } } }
            @match (day.late, page.deadline) {
                (true, Some(at)) => p { span.badge.urgent { i.m.late {} "late" } " since " (in_zone(at)) "." },
                (true, None) => p { span.badge.urgent { i.m.late {} "late" } " Past its deadline." },
                (false, Some(at)) => p { "Deadline: " (in_zone(at)) "." },
                (false, None) => {}
            }
            @if let Some(at) = day.next_attempt_at { p { "dayfill tries again at " (in_zone(at)) "." } }
            @if let Some(at) = page.next_tick { p { "The next tick is at " (in_zone(at)) "." } }
            @if day.newer_file {
                p { "The source has a newer file than the loaded one. Reload the day to load it." }
            }
            @if day.older_definition {
                p {
                    "It was loaded with an older definition of the dataset. "
                    "Reload the day to apply the current one."
                }
            }
            @if !day.wanted { p { "The schedule does not include this day." } }
            (loads(&frame.links, &page.dataset, page.loading.as_slice()))
            @if !page.actions.is_empty() { (buttons(frame, page)) }
        }
    }
}

fn buttons(frame: &Frame, page: &DayPage) -> Markup {
    let may = |action: &Action| page.actions.contains(action);
    // One button stands out where something is to be done; a loaded day wants nothing, nor does one that is being loaded.
    let wants = !matches!(page.day.state, Some(State::Loaded | State::Skipped | State::Running));
    html! {
        div.actions {
            @for (place, action) in OPEN.into_iter().filter(may).enumerate() {
                form method="post" action=(frame.links.actions(&page.dataset)) {
                    (on_day(page, action))
                    button.primary[wants && place == 0] title=(action.meaning()) { (action.label()) }
                }
            }
            @for action in FOLDED.into_iter().filter(may) {
                details.pop #(action.name()) {
                    summary.button { (action.label()) "…" }
                    form method="post" action=(frame.links.actions(&page.dataset)) {
                        (on_day(page, action))
                        p { (action.meaning()) }
                        @if action == Action::Skip {
                            label for="reason" { "Reason (stored with the day)" }
                            input #reason name="reason" required maxlength=(LONGEST_REASON) autocomplete="off";
                        }
                        button { (action.label()) " " (page.day.day) }
                    }
                }
            }
        }
    }
}

fn on_day(page: &DayPage, action: Action) -> Markup {
    html! {
        (asks(action))
        input type="hidden" name="from" value=(page.day.day);
        input type="hidden" name="to" value=(page.day.day);
    }
}
