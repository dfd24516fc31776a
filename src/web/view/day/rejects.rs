//! The rows that could not be taken.

use maud::{Markup, html};

use crate::web::view::model::{DayPage, Frame};
use crate::web::view::parts::{beside, panel, scrolls};
use crate::web::view::words::{number, of};

pub(super) fn rejects(frame: &Frame, page: &DayPage) -> Option<Markup> {
    let rejects = &page.rejects;
    let table = html! {
        table {
            thead { tr {
                th.n scope="col" { "Line" } th scope="col" { "Column" } th scope="col" { "Value" }
                th scope="col" { "Reason" }
            } }
            tbody { @for reject in &rejects.rows { tr {
                th.n scope="row" { (number(reject.line.unsigned_abs())) }
                td {
                    @if let Some(column) = &reject.column_name { code { (column) } } @else { span.soft { "the row" } }
                }
                td.value { @if let Some(value) = &reject.value { code { (value) } } }
                td.why { (reject.reason) }
            } } }
        }
    };
    let links = &frame.links;
    let before = rejects.before.map(|line| links.rejects_before(&page.dataset, page.day.day, line));
    let behind = rejects.behind.map(|line| links.rejects_after(&page.dataset, page.day.day, line));
    (rejects.total > 0).then(|| {
        panel(
            "rejects",
            "Rejected rows",
            &html! {
                @if let Some(lines) = rejects.lines {
                    p.soft { (of(rejects.total, "row")) ", " (of(lines, "line")) " of the file: a rejected row counts as the lines that it spans." }
                }
                @if before.is_some() || behind.is_some() { p.soft { (of(rejects.total, "row")) " are stored." } }
                (scrolls("Rejected rows, a table", &table))
                (beside(before, behind, ("previous", "next")))
            },
        )
    })
}
