//! What surrounds every page: head, header, footer.

use maud::{DOCTYPE, Markup, html};

use crate::web::escape;
use crate::web::view::assets;
use crate::web::view::model::Frame;
use crate::web::view::times::minute;

/// Where in the navigation a page stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum NavItem {
    /// Among the datasets.
    Datasets,
    /// With the daemons.
    Daemons,
    /// With the configuration.
    Configuration,
    /// With the activity log.
    ActivityLog,
    /// Beside all of them.
    Aside,
    /// Before the login: there is nothing to navigate to yet.
    Outside,
}

/// What a page shows that changes by itself.
#[derive(Clone, Copy)]
pub(super) enum LiveScope<'a> {
    /// Nothing: it stays as it is.
    No,
    /// Something of all datasets.
    All,
    /// Something of one dataset.
    Dataset(&'a str),
}

/// A whole page as HTML.
pub(super) fn framed(frame: &Frame, title: &str, place: NavItem, live: LiveScope<'_>, content: &Markup) -> String {
    let (watches, dataset) = match live {
        LiveScope::No => (None, None),
        LiveScope::All => (Some(frame.links.events()), None),
        LiveScope::Dataset(name) => (Some(frame.links.events()), Some(name)),
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            (head(frame, title))
            body data-told=[watches.as_ref().map(|_| frame.told)] data-events=[watches] data-version=(frame.version) {
                a.skip href="#main" { "Skip to the content" }
                (header(frame, place))
                p.lost #lost role="status" {}
                main #main tabindex="-1" data-dataset=[dataset] {
                    @if let Some(notice) = &frame.notice {
                        p.notice.urgent[!notice.done] role="status" { (notice.text) }
                    }
                    (content)
                }
                (footer(frame, place))
            }
        }
    };
    escape::html(page.into_string())
}

fn head(frame: &Frame, title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            title { (title) " · dayfill" }
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            link rel="icon" type="image/svg+xml" href=(frame.links.asset(assets::icon()));
            link rel="stylesheet" href=(frame.links.asset(assets::style()));
            script src=(frame.links.asset(assets::script())) defer {}
        }
    }
}

fn header(frame: &Frame, place: NavItem) -> Markup {
    let links = &frame.links;
    let places = [
        (NavItem::Datasets, "Datasets", links.overview()),
        (NavItem::Daemons, "Daemons", links.daemons()),
        (NavItem::Configuration, "Configuration", links.configuration()),
        (NavItem::ActivityLog, "Activity log", links.activity_log()),
    ];
    html! {
        header.top {
            a.brand href=(links.overview()) {
                img src=(links.asset(assets::icon())) alt="" width="20" height="20";
                "dayfill"
            }
            @if place != NavItem::Outside {
                nav aria-label="Main" {
                    @for (there, word, href) in &places {
                        a href=(href) aria-current=[(*there == place).then_some("page")] { (word) }
                    }
                }
                p.live #live { "as of " (minute(frame.now)) }
            }
            @if let Some(who) = &frame.who {
                form.who method="post" action=(links.logout()) {
                    span { (who.name) " " span.soft { "(" (who.role) ")" } }
                    button.quiet { "Log out" }
                }
            }
        }
    }
}

fn footer(frame: &Frame, place: NavItem) -> Markup {
    html! {
        footer {
            span { "dayfill " (frame.version) }
            @if place != NavItem::Outside {
                a href=(frame.links.openapi()) { "API" }
                a href=(frame.links.metrics()) { "Metrics" }
            }
        }
    }
}
