//! The pages beside the datasets: the processes at work, the configuration in force, who did what.

use maud::{Markup, html};

use crate::daemon::BrokenDataset;
use crate::day::DayRange;
use crate::status::ActivityEntry;
use crate::web::actions::went_well;
use crate::web::view::frame::{Live, Place, framed};
use crate::web::view::links::Links;
use crate::web::view::model::{ActivityLog, Configuration, Daemon, Daemons, Frame, Refused};
use crate::web::view::parts::{beside, facts, marked, panel, scrolls};
use crate::web::view::times::{minute, second};
use crate::web::view::words::{ago, range};

/// The processes at work.
#[must_use]
pub fn daemons(frame: &Frame, page: &Daemons) -> String {
    let content = html! {
        h1 { "Daemons" }
        @if page.daemons.is_empty() {
            section.panel { p.empty {
                b { "No process is at work." }
                " Days are loaded by the daemon, and by commands that load."
            } }
        }
        @for (place, one) in page.daemons.iter().enumerate() { (daemon(frame, place, one)) }
    };
    framed(frame, "Daemons", Place::Daemons, Live::All, &content)
}

fn daemon(frame: &Frame, place: usize, daemon: &Daemon) -> Markup {
    let worker = &daemon.worker;
    let refused: Vec<&str> = worker.refused_config.iter().flat_map(|problems| problems.lines()).collect();
    let id = format!("daemon-{place}");
    html! {
        section.panel aria-labelledby=(id) {
            h2 #(id) {
                (worker.host) span.soft { "pid " (worker.pid) }
                @if daemon.this_one { span.badge { "answers this page" } }
                @if daemon.stalled { span.badge.urgent { i.m.trouble {} "no sign of life" } }
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
                p { (marked("trouble", "configuration refused")) "; it goes on with the one before:" }
                ul.problems { @for problem in &refused { li { (problem) } } }
            }
        }
    }
}

/// The configuration in force.
#[must_use]
pub fn configuration(frame: &Frame, page: &Configuration) -> String {
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
    framed(frame, "Configuration", Place::Configuration, Live::No, &content)
}

fn refusal(refused: &Refused) -> Markup {
    html! {
        section.panel.attention aria-labelledby="refused" {
            h2 #refused { "Refused" }
            p {
                "The configuration as the files have it since " (minute(refused.at))
                " was refused whole; what follows is in force. Mend this, and it is read again:"
            }
            ul.problems { @for problem in &refused.problems { li { (problem) } } }
        }
    }
}

fn broken(all: &[BrokenDataset]) -> Markup {
    html! {
        section.panel.attention aria-labelledby="broken" {
            h2 #broken { "Broken datasets" }
            p { "dayfill reads these files again when they change. The other datasets go on." }
            @for dataset in all {
                p {
                    (marked("trouble", &dataset.name))
                    @if dataset.older_in_force { ": its older definition stays in force." } @else { ": it is left out." }
                }
                ul.problems { @for problem in &dataset.problems { li { (problem) } } }
            }
        }
    }
}

/// Who did what.
#[must_use]
pub fn activity_log(frame: &Frame, page: &ActivityLog) -> String {
    let table = html! {
        table {
            thead { tr {
                @for heading in ["When", "Who", "What", "Dataset", "Days", "Why", "Outcome"] {
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
        section.panel aria-label="Who did what" {
            @if page.entries.is_empty() { p.empty { "Nobody has done anything yet." } }
            @else { (scrolls("Who did what, a table", &table)) }
            (beside(newer, older, ("newer", "older")))
        }
    };
    framed(frame, "Activity log", Place::ActivityLog, Live::No, &content)
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
