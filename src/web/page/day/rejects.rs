//! The rows that could not be taken.

use maud::{Markup, html};

use crate::web::page::model::{DayPage, Frame};
use crate::web::page::parts::{pager, panel, scrolls};
use crate::web::page::words::{number, of};

pub(super) fn rejects(frame: &Frame, page: &DayPage) -> Option<Markup> {
    let rejects = &page.rejects;
    let table = html! {
        table {
            thead { tr {
                th.n scope="col" { "Line" } th scope="col" { "Column" } th scope="col" { "Value" }
                th scope="col" { "Why it was rejected" }
            } }
            tbody { @for reject in &rejects.rows { tr {
                th.n scope="row" { (number(reject.line)) }
                td {
                    @if let Some(column) = &reject.column { code { (column) } } @else { span.soft { "the row" } }
                }
                td.value { @if let Some(value) = &reject.value { code { (value) } } }
                td.why { (reject.reason) }
            } } }
        }
    };
    (rejects.total > 0).then(|| {
        panel(
            "rejects",
            "Rejected rows",
            &html! {
                @if rejects.pages > 1 { p.soft { (of(rejects.total, "row")) " are kept." } }
                (scrolls("Rejected rows, a table", &table))
                (pager(rejects.page, rejects.pages, &|to| frame.links.rejects(&page.dataset, page.day, to)))
            },
        )
    })
}
