//! The page of a dataset: what it is, what can be done, every day in its calendar, what is not loaded, its course.

use chrono::DateTime;
use maud::{Markup, html};

use crate::web::view::calendar::{calendar, legend};
use crate::web::view::chart::charts;
use crate::web::view::frame::{LiveScope, NavItem, framed};
use crate::web::view::model::{Action, DatasetPage, Frame, LONGEST_REASON, UnloadedDay};
use crate::web::view::parts::{asks, badges, counts, facts, loads, marked, panel, scrolls, state};
use crate::web::view::times::{minute, scheduled};
use crate::web::view::words::{length, number, of};
use crate::wording::printable;
use crate::zone::Zone;

/// How much a list has of why a day is not loaded, in bytes; the day's page says all.
const REASON_BYTES: usize = 300;

/// What a range of days can be asked for.
const FOR_RANGES: [Action; 6] =
    [Action::Load, Action::Reload, Action::Retry, Action::Skip, Action::Forget, Action::Cancel];

/// The page of a dataset.
#[must_use]
pub fn dataset(frame: &Frame, page: &DatasetPage) -> String {
    let content = html! {
        (head(frame, page))
        @if page.cells.is_empty() {
            section.panel { p.empty {
                b { "No wanted days yet." }
                " The first is " (page.start) "; the first tick after it and its lag loads it."
            } }
        } @else {
            section.panel aria-labelledby="calendar" {
                div.head {
                    h2 #calendar { "Calendar" }
                    a.quiet href="#after-calendar" { "Skip the calendar" }
                    (open_a_day(frame, page))
                }
                (calendar(&frame.links, &page.name, &page.cells, page.end))
                div #after-calendar tabindex="-1" { (legend()) }
                (range_form(frame, page))
            }
        }
        @if page.open_total > 0 { (not_loaded(frame, page)) }
        @if !page.history.is_empty() { (charts(&frame.links, &page.name, &page.history)) }
    };
    framed(frame, &page.name, NavItem::Datasets, LiveScope::Dataset(&page.name), &content)
}

fn head(frame: &Frame, page: &DatasetPage) -> Markup {
    html! {
        nav.crumbs aria-label="Breadcrumb" { a href=(frame.links.overview()) { "Datasets" } }
        div.head data-dataset=(page.name) data-marks={ (page.late > 0) (page.pause.is_some()) } {
            h1 { (page.name) " " (badges(page.late, page.with_rejects, page.pause.as_ref())) }
            (actions(frame, page))
        }
        @if let Some(trouble) = &page.trouble {
            p.notice.urgent { (marked("trouble", "blocked")) ": " (trouble) }
        }
        @if let Some(pause) = &page.pause {
            p.notice {
                (marked("paused", "paused")) " since " (minute(pause.at)) " by " (pause.who)
                @if let Some(reason) = &pause.reason { ": " (reason) }
                ". Its ticks load nothing."
            }
        }
        section.panel aria-label="Facts" {
            p.sum {
                (counts(Some(&page.counts))) " "
                small {
                    @match page.last_loaded { Some(day) => { "last loaded " (day) }, None => "nothing loaded yet" }
                }
            }
            (loads(&frame.links, &page.name, &page.loading))
            (facts(&[
                ("Source", Some(html! { code { (page.source) } })),
                ("Table", Some(html! { code { (page.table) } })),
                ("Schedule", Some(html! {
                    code { (page.cron) } " in " (page.timezone)
                    @if page.lag_days > 0 { ", the file of " (of(page.lag_days.into(), "day")) " before" }
                })),
                ("Next tick", Some(page.next_tick.map_or_else(|| html! { "none left" }, scheduled))),
                ("Days", Some(html! { "from " (page.start) @if let Some(end) = page.end { " to " (end) } })),
            ]))
        }
    }
}

fn actions(frame: &Frame, page: &DatasetPage) -> Markup {
    let may = |action| page.actions.contains(&action);
    html! {
        div.actions {
            @if may(Action::CatchUp) {
                form method="get" action=(frame.links.dry_run(&page.name)) {
                    input type="hidden" name="action" value=(Action::CatchUp.name());
                    button.primary title=(Action::CatchUp.meaning()) { (Action::CatchUp.label()) "…" }
                }
            }
            @if may(Action::Resume) {
                form method="post" action=(frame.links.actions(&page.name)) {
                    (asks(Action::Resume))
                    button title=(Action::Resume.meaning()) { (Action::Resume.label()) }
                }
            }
            @if may(Action::Pause) {
                details.pop #pause {
                    summary.button { (Action::Pause.label()) "…" }
                    form method="post" action=(frame.links.actions(&page.name)) {
                        (asks(Action::Pause))
                        p { (Action::Pause.meaning()) }
                        label for="pause-reason" { "Reason (visible to others)" }
                        input #pause-reason name="reason" maxlength=(LONGEST_REASON) autocomplete="off";
                        button { (Action::Pause.label()) }
                    }
                }
            }
        }
    }
}

fn open_a_day(frame: &Frame, page: &DatasetPage) -> Markup {
    html! {
        form.filter method="get" action=(frame.links.days(&page.name)) {
            label for="day" { "Day" }
            input #day type="date" name="day" required;
            button { "Open" }
        }
    }
}

fn range_form(frame: &Frame, page: &DatasetPage) -> Markup {
    let offered: Vec<Action> = FOR_RANGES.into_iter().filter(|action| page.actions.contains(action)).collect();
    html! {
        @if !offered.is_empty() {
            form.range #range method="get" action=(frame.links.dry_run(&page.name)) aria-labelledby="several" {
                h3 #several { "Day range" }
                div { label for="from" { "From" } input #from type="date" name="from" required; }
                div { label for="to" { "To" } input #to type="date" name="to" required; }
                div {
                    label for="action" { "What" }
                    select #action name="action" {
                        @for action in offered { option value=(action.name()) { (in_range(action)) } }
                    }
                }
                button { "Preview" }
                output.soft #chosen for="from to" {}
            }
        }
    }
}

/// The words for an action on several days.
fn in_range(action: Action) -> &'static str {
    match action {
        Action::Load => "Load days not loaded",
        Action::Reload => "Reload all days",
        Action::Retry => "Retry failed days",
        Action::Skip => "Skip",
        Action::Cancel => "Cancel running loads",
        other => other.label(),
    }
}

fn not_loaded(frame: &Frame, page: &DatasetPage) -> Markup {
    let more = page.open_total.saturating_sub(page.open.len());
    let table = html! {
        table {
            thead { tr {
                th scope="col" { "Day" } th scope="col" { "State" } th scope="col" { "Why" }
                th.n scope="col" { "Attempts" } th scope="col" { "Next attempt" }
            } }
            tbody { @for open in &page.open { (open_day(frame, page, open)) } }
        }
    };
    panel(
        "not-loaded",
        "Days not loaded",
        &html! {
            (scrolls("Days not loaded, a table", &table))
            @if more > 0 {
                p.soft { "These are the newest " (number(length(page.open.len()))) "; "
                    (of(length(more), "older day")) " " (if more == 1 { "is" } else { "are" }) " in the calendar." }
            }
        },
    )
}

fn open_day(frame: &Frame, page: &DatasetPage, open: &UnloadedDay) -> Markup {
    html! {
        tr {
            th scope="row" { a href=(frame.links.day(&page.name, open.day)) { (open.day) } }
            td.is { (state(open.state)) @if open.late { " " (late(open.deadline)) } }
            td.why { (printable(&open.reason, REASON_BYTES)) }
            td.n { @if open.attempts > 0 { (open.attempts) } }
            td { @if let Some(at) = open.next_look { (scheduled(at)) } }
        }
    }
}

fn late(since: Option<DateTime<Zone>>) -> Markup {
    html! {
        span.badge.urgent { i.m.late {} "late" }
        @if let Some(since) = since { " " small { "since " (scheduled(since)) } }
    }
}
