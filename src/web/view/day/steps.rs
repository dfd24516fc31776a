//! What the last attempt did, step by step, and what became of the file's rows.

use maud::{Markup, html};

use crate::web::view::model::{DayPage, Frame, RowCounts, StepOutcome, StepResult};
use crate::web::view::parts::panel;
use crate::web::view::times::time_of_day;
use crate::web::view::words::{milliseconds, number, of};

/// The steps of the last attempt.
pub(super) fn happened(_: &Frame, page: &DayPage) -> Option<Markup> {
    (!page.steps.is_empty())
        .then(|| panel("steps", "Steps", &html! { ol.steps { @for done in &page.steps { (step(done)) } } }))
}

fn step(done: &StepResult) -> Markup {
    let (class, word) = match done.outcome {
        StepOutcome::Done => ("done", "done"),
        StepOutcome::Now => ("now", "running"),
        StepOutcome::Stopped => ("stopped", "stopped here"),
        StepOutcome::NotReached => ("not-reached", "not reached"),
    };
    html! {
        li.(class) {
            b { (done.step.name()) }
            span { i.step {} (word) @if let Some(ms) = done.ms { ", " (milliseconds(ms)) } }
            @if !done.text.is_empty() { span { (done.text) } }
            @if let Some(at) = done.began_at { small { (time_of_day(at)) " UTC" } }
        }
    }
}

/// The counts as a bar and as words.
pub(super) fn counted(_: &Frame, page: &DayPage) -> Option<Markup> {
    let rows = RowCounts::of(&page.day)?;
    let known = rows.loaded + rows.filtered + rows.rejected;
    // What a refused file has beside its rejects is neither loaded nor filtered.
    let parts = [
        ("loaded", "row", "loaded", rows.loaded),
        ("filtered", "row", "filtered", rows.filtered),
        ("rejected", "line", "rejected", rows.rejected),
        ("rest", "row", "not loaded", rows.read.saturating_sub(known)),
    ];
    let parts: Vec<_> = parts.into_iter().filter(|(class, .., count)| *class != "rest" || *count > 0).collect();
    let drawn: Vec<_> = parts.iter().map(|(class, .., count)| (*class, *count)).collect();
    Some(panel(
        "rows",
        "Rows",
        &html! {
            (bar(rows, &drawn))
            p.keys {
                b { (number(rows.read)) " read" }
                @for (class, what, word, count) in &parts { span { i.key.(class) {} (of(*count, what)) " " (word) } }
            }
            @if rows.kept_out > 0 {
                p { b { (of(rows.kept_out, "row")) } " kept out by a trigger or a rule of the target" }
            }
        },
    ))
}

/// The whole width is what was read. A part that is there at all can be seen.
fn bar(rows: RowCounts, parts: &[(&str, u64)]) -> Markup {
    const WIDTH: u64 = 1_000;
    let mut from = 0;
    let parts = parts.iter().filter(|part| part.1 > 0).map(|(class, count)| {
        let share = u128::from(*count) * u128::from(WIDTH) / u128::from(rows.read.max(1));
        let width = u64::try_from(share).unwrap_or(WIDTH).max(4);
        let x = from.min(WIDTH - 4);
        from = x + width;
        (*class, x, width)
    });
    html! {
        svg.bar viewBox={ "0 0 " (WIDTH) " 10" } preserveAspectRatio="none" aria-hidden="true" focusable="false" {
            rect.rest x="0" y="0" width=(WIDTH) height="10" {}
            @for (class, x, width) in parts { rect.(class) x=(x) y="0" width=(width) height="10" {} }
        }
    }
}
