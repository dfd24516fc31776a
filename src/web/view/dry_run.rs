//! The dry run: what an action would do to each day and why, before it is asked for.

use std::iter;

use maud::{Markup, html};

use crate::state::State;
use crate::web::view::frame::{LiveScope, NavItem, framed};
use crate::web::view::model::{Action, CellState, DryRun, Frame, LONGEST_REASON, PlannedState};
use crate::web::view::parts::{asks, marked, panel, scrolls, state};
use crate::web::view::words::{length, number, of, range};

/// How many days are listed; all are counted.
const LISTED: usize = 400;

impl PlannedState {
    fn word(self) -> &'static str {
        match self {
            Self::Tried => "tried",
            Self::Stored(state) => CellState::Stored(state).word(),
            Self::Missing => CellState::Missing.word(),
        }
    }

    /// The class of its mark: a day that would be tried would be loading.
    fn class(self) -> &'static str {
        match self {
            Self::Tried => CellState::Stored(State::Running).class(),
            Self::Stored(state) => CellState::Stored(state).class(),
            Self::Missing => CellState::Missing.class(),
        }
    }
}

/// What an action would do to a dataset's days.
#[must_use]
pub fn dry_run(frame: &Frame, page: &DryRun) -> String {
    let (links, dataset) = (&frame.links, &page.dataset);
    let title = format!("{} {dataset}", page.action.label());
    let content = html! {
        nav.crumbs aria-label="Breadcrumb" {
            a href=(links.overview()) { "Datasets" } " / " a href=(links.dataset(dataset)) { (dataset) }
        }
        h1 { (title) }
        p.lead {
            @match page.range { Some(days) => (range(days)), None => "All wanted days" } ". "
            (page.action.meaning()) " " b { "Nothing has changed yet." }
        }
        (panel("would", "Preview", &would(frame, page)))
        @if !page.days.is_empty() { (panel("day-by-day", "Day by day", &day_by_day(frame, page))) }
    };
    framed(frame, &format!("Dry run: {title}"), NavItem::Datasets, LiveScope::No, &content)
}

fn would(frame: &Frame, page: &DryRun) -> Markup {
    let becoming = |becomes| page.days.iter().filter(|day| day.becomes == Some(becomes)).count();
    let all =
        iter::once(PlannedState::Tried).chain(State::ALL.map(PlannedState::Stored)).chain([PlannedState::Missing]);
    let changed: Vec<(PlannedState, usize)> = all.map(|it| (it, becoming(it))).filter(|(_, days)| *days > 0).collect();
    let left = page.days.iter().filter(|day| day.becomes.is_none()).count();
    html! {
        ul.tally {
            @for (becomes, days) in &changed {
                li { i.m.(becomes.class()) {} b { (of(length(*days), "day")) } " would be " (becomes.word()) }
            }
            @if left > 0 { li { i.m.none {} b { (of(length(left), "day")) } " unchanged" } }
            @if page.days.is_empty() { li { i.m.none {} "No such days." } }
        }
        @if let Some((_, outside)) = &page.outside { p.notice { b { (outside) } "." } }
        @for note in &page.notes { p { "Note: " (note) "." } }
        @if changed.is_empty() {
            p { "Nothing would change." }
            p.actions { a.button href=(frame.links.dataset(&page.dataset)) { "Back to " (page.dataset) } }
        } @else if page.allowed {
            (confirm(frame, page))
        } @else {
            p { "Your role can preview this action but not run it." }
            p.actions { a.button href=(frame.links.dataset(&page.dataset)) { "Back to " (page.dataset) } }
        }
    }
}

fn confirm(frame: &Frame, page: &DryRun) -> Markup {
    let touched = page.days.iter().filter(|day| day.becomes.is_some()).count();
    html! {
        form.confirm method="post" action=(frame.links.actions(&page.dataset)) {
            (asks(page.action))
            @if let Some(range) = page.range {
                input type="hidden" name="from" value=(range.from);
                input type="hidden" name="to" value=(range.to);
            }
            label for="reason" {
                @if page.action == Action::Skip { "Reason (stored with the days)" }
                @else { "Reason (optional, stored in the activity log)" }
            }
            input #reason name="reason" maxlength=(LONGEST_REASON) autocomplete="off"
                required[page.action == Action::Skip];
            @if let Some((days, _)) = page.outside.as_ref().filter(|_| page.action.loads()) {
                p {
                    input #allow-outside type="checkbox" name="allow_outside" value="yes" required;
                    " "
                    label for="allow-outside" {
                        "Include the " (of(length(*days), "day")) " outside the schedule"
                    }
                }
            }
            div.actions {
                button.primary { (page.action.label()) " " (of(length(touched), "day")) }
                a.button href=(frame.links.dataset(&page.dataset)) { "Back" }
            }
        }
    }
}

fn day_by_day(frame: &Frame, page: &DryRun) -> Markup {
    let table = html! {
        table {
            thead { tr {
                @for heading in ["Day", "Now", "Would be", "Reason"] { th scope="col" { (heading) } }
            } }
            tbody { @for day in page.days.iter().take(LISTED) { tr {
                th scope="row" { a href=(frame.links.day(&page.dataset, day.day)) { (day.day) } }
                td { (state(day.state.into())) }
                td { @match day.becomes { Some(becomes) => (marked(becomes.class(), becomes.word())), None => { span.soft { "unchanged" } } } }
                td.why { (day.because) }
            } } }
        }
    };
    let more = page.days.len().saturating_sub(LISTED);
    html! {
        (scrolls("Day by day, a table", &table))
        @if more > 0 {
            p.soft { "These are the first " (number(length(LISTED))) "; " (of(length(more), "later day")) " "
                (if more == 1 { "is" } else { "are" }) " counted above." }
        }
    }
}
