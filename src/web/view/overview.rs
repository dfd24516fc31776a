//! The overview: what needs a person, then every dataset in a row.

use maud::{Markup, html};

use crate::web::view::frame::{LiveScope, NavItem, framed};
use crate::web::view::links::Links;
use crate::web::view::model::{AttentionItem, AttentionReason, DatasetRow, Frame, OverviewPage};
use crate::web::view::parts::{badges, counts, loads, marked, pager, strip};
use crate::web::view::times::scheduled;
use crate::web::view::words::{length, number, of};

/// The page of all datasets.
#[must_use]
pub fn overview(frame: &Frame, page: &OverviewPage) -> String {
    let title = match page.attention_total {
        0 => "Datasets".to_owned(),
        1 => "1 item needs attention".to_owned(),
        more => format!("{} items need attention", number(length(more))),
    };
    let content = html! {
        h1.unseen { "Overview" }
        (attention(&frame.links, page))
        (datasets(&frame.links, page))
    };
    framed(frame, &title, NavItem::Datasets, LiveScope::All, &content)
}

fn attention(links: &Links, page: &OverviewPage) -> Markup {
    let more = page.attention_total.saturating_sub(page.attention.len());
    let is_calm = page.attention_total == 0 && page.unread == 0;
    html! {
        section.panel.attention.calm[is_calm] aria-labelledby="attention" {
            h2 #attention { "Needs attention" }
            @if is_calm {
                p { i.m.loaded {} "Nothing needs attention. Pending days load automatically." }
            } @else if page.attention_total > 0 {
                ul.needs { @for item in &page.attention { li { (needs(links, item)) } } }
            }
            @if more > 0 { p.soft { "and " (number(length(more))) " more" } }
            @if page.unread > 0 {
                p.soft { "dayfill has not read the days of " (of(length(page.unread), "dataset")) " yet." }
            }
        }
    }
}

fn needs(links: &Links, item: &AttentionItem) -> Markup {
    let (word, class) = item.why.word();
    let (href, look) = match (item.why, &item.dataset, item.day) {
        (why, None, _) if why.slug().is_some() => (links.needing(why.slug().unwrap_or_default(), 1), "Show datasets"),
        (_, Some(dataset), Some(day)) => (links.day(dataset, day), "Open day"),
        (_, Some(dataset), None) => (links.dataset(dataset), "Open dataset"),
        (AttentionReason::Configuration | AttentionReason::BrokenDataset, None, _) => {
            (links.configuration(), "Open configuration")
        }
        (_, None, _) => (links.daemons(), "Open daemons"),
    };
    let about =
        html! { @if let Some(dataset) = &item.dataset { (dataset) } @if let Some(day) = item.day { " " (day) } };
    html! {
        (marked(class, word))
        p {
            @if item.dataset.is_some() { b { (about) } " " }
            (item.text)
            @if let Some(since) = item.since {
                (if item.day.is_some() { "; late since " } else { "; the first is late since " }) (scheduled(since))
            }
        }
        a href=(href) { (look) @if item.dataset.is_some() { span.unseen { ": " (about) } } }
    }
}

fn datasets(links: &Links, page: &OverviewPage) -> Markup {
    html! {
        section.panel aria-labelledby="datasets" {
            div.head {
                h2 #datasets { "Datasets" @if page.total > 0 { span.soft { (number(length(page.total))) } } }
                @if page.total > 10 || !page.query.is_empty() { (filter(links, page)) }
            }
            @if let Some(why) = page.why {
                p.soft {
                    "Showing only datasets with “" (why.word().0) "”. "
                    a href=(links.overview()) { "Show all datasets" }
                }
            }
            @if page.total == 0 {
                p.empty {
                    b { "No datasets yet." }
                    " Add a dataset's TOML file to the folder of datasets; its days then appear here."
                }
            } @else if page.datasets.is_empty() && page.why.is_some() {
                p.empty { "No dataset needs attention for this reason." }
            } @else if page.datasets.is_empty() {
                p.empty { "No dataset's name contains “" (page.query) "”. " a href=(links.overview()) { "Show all datasets" } }
            } @else {
                ul.rows { @for dataset in &page.datasets { (row(links, dataset)) } }
            }
            (pager(page.page, page.pages, &|to| match page.why.and_then(AttentionReason::slug) {
                Some(slug) => links.needing(slug, to),
                None => links.overview_page(&page.query, to),
            }))
        }
    }
}

fn filter(links: &Links, page: &OverviewPage) -> Markup {
    html! {
        form.filter role="search" method="get" action=(links.overview()) {
            label.unseen for="q" { "Filter by name" }
            input #q type="search" name="q" value=(page.query) placeholder="filter by name" autocomplete="off";
            button { "Filter" }
            @if !page.query.is_empty() { span.soft { (of(length(page.found), "dataset")) " found" } }
        }
    }
}

fn row(links: &Links, dataset: &DatasetRow) -> Markup {
    let DatasetRow { name, days, pause, .. } = dataset;
    let (late, with_rejects) = days.as_ref().map_or((0, 0), |days| (days.late, days.with_rejects));
    html! {
        li.row data-dataset=(name) data-marks={ (late > 0) (pause.is_some()) } {
            div.name {
                h3 { a href=(links.dataset(name)) { (name) } (badges(late, with_rejects, pause.as_ref())) }
                code title=(dataset.source) { (dataset.source) }
            }
            div.now {
                (strip(links, name, days.as_ref().map_or(&[], |days| &days.cells)))
                (loads(links, name, &dataset.loading))
            }
            div.said {
                (counts(days.as_ref().map(|days| days.counts.as_slice())))
                small { (newest(dataset)) }
                @if let Some(tick) = dataset.next_tick { small { "next tick " (scheduled(tick)) } }
            }
        }
    }
}

/// The newest loaded day, where that is known.
fn newest(dataset: &DatasetRow) -> Markup {
    html! {
        @if let Some(days) = &dataset.days {
            @if let Some(day) = days.last_loaded { "last loaded " (day) } @else { "nothing loaded yet" }
        }
    }
}
