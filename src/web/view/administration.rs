//! The pages beside the datasets: the processes at work, the configuration in force, who did what.

use maud::{Markup, html};

use crate::daemon::BrokenDataset;
use crate::day::DayRange;
use crate::status::ActivityEntry;
use crate::web::actions::went_well;
use crate::web::view::frame::{LiveScope, NavItem, framed};
use crate::web::view::links::Links;
use crate::web::view::model::{
    ActivityLogPage, ConfigurationPage, DaemonRow, DaemonsPage, Frame, RejectedConfiguration,
};
use crate::web::view::parts::{beside, facts, marked, panel, scrolls};
use crate::web::view::times::{minute, second};
use crate::web::view::words::{ago, range};

/// The processes at work.
#[must_use]
pub fn daemons(frame: &Frame, page: &DaemonsPage) -> String {
    let content = html! {
        h1 { "Daemons" }
        @if page.daemons.is_empty() {
            section.panel { p.empty {
                b { "No process is running." }
                " The daemon and commands that load days appear here."
            } }
        }
        @for (place, one) in page.daemons.iter().enumerate() { (daemon(frame, place, one)) }
    };
    framed(frame, "Daemons", NavItem::Daemons, LiveScope::All, &content)
}

fn daemon(frame: &Frame, place: usize, daemon: &DaemonRow) -> Markup {
    let worker = &daemon.worker;
    let refused: Vec<&str> = worker.refused_config.iter().flat_map(|problems| problems.lines()).collect();
    let id = format!("daemon-{place}");
    html! {
        section.panel aria-labelledby=(id) {
            h2 #(id) {
                (worker.host) span.soft { "pid " (worker.pid) }
                @if daemon.this_one { span.badge { "serves this page" } }
                @if daemon.stalled { span.badge.urgent { i.m.trouble {} "no heartbeat" } }
            }
            (facts(&[
                ("Version", Some(html! { (worker.version) })),
                ("Since", Some(minute(worker.started_at))),
                ("Heartbeat", Some(html! { (ago(daemon.silence)) })),
                ("Loads now", Some(html! {
                    @if daemon.loads.is_empty() { "nothing" }
                    @for (at, (dataset, day)) in daemon.loads.iter().enumerate() {
                        @if at > 0 { ", " }
                        a href=(frame.links.day(dataset, *day)) { (dataset) " " (day) }
                    }
                })),
            ]))
            @if !refused.is_empty() {
                p { (marked("trouble", "configuration rejected")) "; the previous one stays in force:" }
                ul.problems { @for problem in &refused { li { (problem) } } }
            }
        }
    }
}

/// The configuration in force.
#[must_use]
pub fn configuration(frame: &Frame, page: &ConfigurationPage) -> String {
    let table = html! {
        table {
            thead { tr { th scope="col" { "Key" } th scope="col" { "Value" } th scope="col" { "From" } } }
            tbody { @for key in &page.keys { tr {
                th scope="row" { code { (key.name) } }
                td.value { code { (key.value) } }
                td.soft { (key.origin) }
            } } }
        }
    };
    let content = html! {
        h1 { "Configuration" }
        @if let Some(refused) = &page.refused { (refusal(refused)) }
        @if !page.broken.is_empty() { (broken(&page.broken)) }
        (panel("keys", "Keys in force", &html! {
            p.soft { code { (page.file) } ", in force since " (minute(page.since)) ". Secrets are shown as ***." }
            (scrolls("Keys in force, a table", &table))
        }))
    };
    framed(frame, "Configuration", NavItem::Configuration, LiveScope::No, &content)
}

fn refusal(refused: &RejectedConfiguration) -> Markup {
    html! {
        section.panel.attention aria-labelledby="rejected" {
            h2 #rejected { "Rejected configuration" }
            p {
                "The daemon rejected the configuration at " (minute(refused.at))
                ". The keys below stay in force. Fix these problems; the daemon then reads the files again:"
            }
            ul.problems { @for problem in &refused.problems { li { (problem) } } }
        }
    }
}

fn broken(all: &[BrokenDataset]) -> Markup {
    html! {
        section.panel.attention aria-labelledby="broken" {
            h2 #broken { "Broken datasets" }
            p { "dayfill reads these files again when they change. Other datasets are not affected." }
            @for dataset in all {
                p {
                    (marked("trouble", &dataset.name))
                    @if dataset.older_in_force { ": its older definition stays in force." } @else { ": the daemon does not load it." }
                }
                ul.problems { @for problem in &dataset.problems { li { (problem) } } }
            }
        }
    }
}

/// Who did what.
#[must_use]
pub fn activity_log(frame: &Frame, page: &ActivityLogPage) -> String {
    let table = html! {
        table {
            thead { tr {
                @for heading in ["When", "User", "Action", "Dataset", "Days", "Reason", "Outcome"] {
                    th scope="col" { (heading) }
                }
            } }
            tbody { @for entry in &page.entries { (entry_row(&frame.links, entry)) } }
        }
    };
    let newer = page.newer.map(|entry| frame.links.activity_log_after(entry));
    let older = page.older.map(|entry| frame.links.activity_log_before(entry));
    let content = html! {
        h1 { "Activity log" }
        section.panel aria-label="Activity" {
            @if page.entries.is_empty() { p.empty { "No activity yet." } }
            @else { (scrolls("Activity, a table", &table)) }
            (beside(newer, older, ("newer", "older")))
        }
    };
    framed(frame, "Activity log", NavItem::ActivityLog, LiveScope::No, &content)
}

fn entry_row(links: &Links, entry: &ActivityEntry) -> Markup {
    html! {
        tr {
            td.when { (second(entry.at)) }
            th scope="row" { (entry.who) }
            td { (entry.action) }
            td { @if let Some(dataset) = &entry.dataset { a href=(links.dataset(dataset)) { (dataset) } } }
            td.when { @if let Some((from, to)) = entry.from.zip(entry.to) { (range(DayRange { from, to })) } }
            td { @if let Some(reason) = &entry.reason { (reason) } }
            td.why { (marked(if went_well(&entry.outcome) { "loaded" } else { "trouble" }, &entry.outcome)) }
        }
    }
}
