//! The top of a day's page: its state, what is said of it, what can be done.

use maud::{Markup, html};

use crate::state::State;
use crate::web::view::model::{Action, CellState, DayPage, Frame, LONGEST_REASON};
use crate::web::view::parts::{asks, loads, state};
use crate::web::view::times::scheduled;

/// What stands first among the buttons, where a state allows it.
const OPEN: [Action; 4] = [Action::Retry, Action::Load, Action::Reload, Action::Cancel];
/// What is out of the way of a slip of the hand.
const FOLDED: [Action; 2] = [Action::Skip, Action::Forget];

/// Where this is, the day and its neighbours, what is said of it, and what can be done.
pub(super) fn head(frame: &Frame, page: &DayPage) -> Markup {
    let links = &frame.links;
    html! {
        nav.crumbs aria-label="Where this is" {
            a href=(links.overview()) { "Datasets" } " / " a href=(links.dataset(&page.dataset)) { (page.dataset) }
        }
        div.head {
            h1 { (page.dataset) " " (page.day) " " span.is { (state(page.state)) } }
            nav.days-beside aria-label="Days beside it" {
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
    html! {
        section.panel.verdict.(page.state.class()) aria-label="State" {
            p.lead { (page.day.date().format("%A").to_string()) ". " (page.state.meaning()) }
            @if let Some(error) = &page.error { p.error { (error) } }
            @if let Some(note) = &page.note { p { "A person said: " q { (note) } } }
            @match (page.late, page.deadline) {
                (true, Some(at)) => p { span.badge.urgent { i.m.late {} "late" } " since " (scheduled(at)) "." },
                (true, None) => p { span.badge.urgent { i.m.late {} "late" } " It is past its deadline." },
                (false, Some(at)) => p { "It is late unless it is loaded by " (scheduled(at)) "." },
                (false, None) => {}
            }
            @if let Some(at) = page.next_look { p { "It is looked at again by itself at " (scheduled(at)) "." } }
            @if let Some(at) = page.next_tick { p { "The next tick is at " (scheduled(at)) "." } }
            @if page.newer_file {
                p { "Its source has a newer file than the one that was loaded. A reload takes that one." }
            }
            @if page.older_definition {
                p {
                    "It was loaded by another definition of the dataset than the one in force. "
                    "A reload applies the new one."
                }
            }
            @if !page.wanted && page.state != CellState::NotWanted { p { "The schedule does not want this day." } }
            (loads(&frame.links, &page.dataset, page.loading.as_slice()))
            @if !page.actions.is_empty() { (buttons(frame, page)) }
        }
    }
}

fn buttons(frame: &Frame, page: &DayPage) -> Markup {
    let may = |action: &Action| page.actions.contains(action);
    // One button stands out where something is to be done; a loaded day wants nothing, nor does one that is being loaded.
    let wants = !matches!(
        page.state,
        CellState::Stored(State::Loaded | State::Skipped | State::Running) | CellState::WithRejects
    );
    html! {
        div.actions {
            @for (place, action) in OPEN.into_iter().filter(may).enumerate() {
                form method="post" action=(frame.links.actions(&page.dataset)) {
                    (on_day(frame, page, action))
                    button.primary[wants && place == 0] title=(action.meaning()) { (action.label()) }
                }
            }
            @for action in FOLDED.into_iter().filter(may) {
                details.pop #(action.name()) {
                    summary.button { (action.label()) "…" }
                    form method="post" action=(frame.links.actions(&page.dataset)) {
                        (on_day(frame, page, action))
                        p { (action.meaning()) }
                        @if action == Action::Skip {
                            label for="reason" { "Why (kept with the day)" }
                            input #reason name="reason" required maxlength=(LONGEST_REASON) autocomplete="off";
                        }
                        button { (action.label()) " " (page.day) }
                    }
                }
            }
        }
    }
}

fn on_day(frame: &Frame, page: &DayPage, action: Action) -> Markup {
    html! {
        (asks(frame, action))
        input type="hidden" name="from" value=(page.day);
        input type="hidden" name="to" value=(page.day);
    }
}
