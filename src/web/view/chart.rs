//! Bars per day. The drawing stretches with the page and holds no text; the words stand around it, and the numbers in a
//! table under it, which is what a screen reader reads.

use maud::{Markup, html};

use crate::web::view::links::Links;
use crate::web::view::model::{CellState, DayMeasure};
use crate::web::view::parts::{scrolls, state};
use crate::web::view::words::{length, milliseconds, number, of, short};

/// The height of a drawing in its own units.
const HEIGHT: u64 = 1_000;
/// The width of a day in the same units, of which its bar leaves a fifth free.
const WIDTH: usize = 10;

/// A day's bar.
struct ChartBar {
    href: String,
    title: String,
    /// What to draw at the bottom where there is no bar.
    state: CellState,
    /// What is stacked: class and height, from the bottom.
    parts: Vec<(&'static str, u64)>,
}

/// Rows per day, and how long each day took, with all numbers in a table.
pub(super) fn charts(links: &Links, dataset: &str, history: &[DayMeasure]) -> Markup {
    let rows: Vec<ChartBar> = history.iter().map(|day| rows(links, dataset, day)).collect();
    let durations: Vec<ChartBar> = history.iter().map(|day| duration(links, dataset, day)).collect();
    html! {
        section.panel aria-labelledby="charts" {
            h2 #charts { "The last " (of(length(history.len()), "day")) }
            div.charts {
                figure {
                    figcaption {
                        b { "Rows per day" }
                        span.keys {
                            span { i.key.loaded {} "loaded" }
                            span { i.key.filtered {} "filtered" }
                            span { i.key.rejected {} "rejected" }
                        }
                    }
                    (drawing(&rows, history, &number))
                }
                figure {
                    figcaption { b { "Time per day" } }
                    (drawing(&durations, history, &milliseconds))
                }
            }
            details #numbers { summary { "The numbers" } (numbers(links, dataset, history)) }
        }
    }
}

fn rows(links: &Links, dataset: &str, measure: &DayMeasure) -> ChartBar {
    let DayMeasure { day, state, rows, .. } = *measure;
    let (title, parts) = match rows {
        None => (format!("{day}: {}", state.word()), Vec::new()),
        Some(rows) => (
            format!(
                "{day}: {}, {} loaded, {} filtered, {} rejected",
                state.word(),
                number(rows.loaded),
                number(rows.filtered),
                number(rows.rejected)
            ),
            vec![("loaded", rows.loaded), ("filtered", rows.filtered), ("rejected", rows.rejected)],
        ),
    };
    ChartBar { href: links.day(dataset, day), title, state, parts }
}

fn duration(links: &Links, dataset: &str, measure: &DayMeasure) -> ChartBar {
    let DayMeasure { day, state, duration_ms, .. } = *measure;
    let took = duration_ms.map_or_else(|| state.word().to_owned(), milliseconds);
    let parts = duration_ms.map(|ms| ("took", ms)).into_iter().collect();
    ChartBar { href: links.day(dataset, day), title: format!("{day}: {took}"), state, parts }
}

fn drawing(bars: &[ChartBar], history: &[DayMeasure], label: &dyn Fn(u64) -> String) -> Markup {
    let tallest = bars.iter().map(|bar| bar.parts.iter().map(|part| part.1).sum()).max().unwrap_or(0);
    let top = round_above(tallest);
    let width = bars.len() * WIDTH;
    let ends = [history.first(), history.get(history.len() / 2), history.last()];
    html! {
        div.chart aria-hidden="true" {
            div.y { span { (label(top)) } @if top >= 2 { span { (label(top / 2)) } } span { "0" } }
            svg viewBox={ "0 0 " (width) " " (HEIGHT) } preserveAspectRatio="none" focusable="false" {
                path.grid d={ "M0 0H" (width) "M0 500H" (width) "M0 " (HEIGHT) "H" (width) } {}
                @for (place, bar) in bars.iter().enumerate() { (drawn(bar, place * WIDTH, top)) }
            }
            div.x { @for day in ends.into_iter().flatten() { span { (short(day.day)) } } }
        }
    }
}

fn drawn(bar: &ChartBar, x: usize, top: u64) -> Markup {
    let mut below = 0;
    let stacked = bar.parts.iter().filter(|part| part.1 > 0).map(|(class, size)| {
        // What is there at all can be seen.
        let height = scaled(*size, top).max(8);
        below += height;
        (*class, HEIGHT.saturating_sub(below), height)
    });
    let stacked: Vec<_> = stacked.collect();
    html! {
        a href=(bar.href) tabindex="-1" {
            title { (bar.title) }
            rect.hit x=(x) y="0" width=(WIDTH) height=(HEIGHT) {}
            @if stacked.is_empty() && !matches!(bar.state, CellState::NotWanted | CellState::Future) {
                rect.(bar.state.class()) x=(x + 1) y=(HEIGHT - 40) width=(WIDTH - 2) height="40" {}
            }
            @for (class, y, height) in stacked {
                rect.(class) x=(x + 1) y=(y) width=(WIDTH - 2) height=(height) {}
            }
        }
    }
}

/// A height in the drawing's units.
fn scaled(size: u64, top: u64) -> u64 {
    let units = u128::from(size) * u128::from(HEIGHT) / u128::from(top.max(1));
    u64::try_from(units).unwrap_or(HEIGHT)
}

/// The least round number that is not below a number. Half of it is round, too, from 2 on.
fn round_above(number: u64) -> u64 {
    let fits = |unit: u64, rounds: &[u64]| rounds.iter().map(|r| unit.saturating_mul(*r)).find(|r| *r >= number);
    let mut unit: u64 = 1;
    let mut found = fits(unit, &[1, 2, 4, 6, 8, 10]);
    loop {
        if let Some(round) = found {
            return round;
        }
        found = fits(unit, &[12, 16, 20, 24, 30, 40, 50, 60, 80, 100]);
        unit = unit.saturating_mul(10);
    }
}

fn numbers(links: &Links, dataset: &str, history: &[DayMeasure]) -> Markup {
    let table = html! {
        table {
            thead { tr {
                th scope="col" { "Day" } th scope="col" { "State" }
                @for heading in ["Read", "Filtered", "Rejected", "Loaded", "Time"] { th.n scope="col" { (heading) } }
            } }
            tbody { @for DayMeasure { day, state: is, rows, duration_ms } in history.iter().rev() { tr {
                th scope="row" { a href=(links.day(dataset, *day)) { (day) } }
                td { (state(*is)) }
                @for count in rows.map_or([None; 4], |r| [r.read, r.filtered, r.rejected, r.loaded].map(Some)) {
                    td.n { @if let Some(count) = count { (number(count)) } }
                }
                td.n { @if let Some(ms) = duration_ms { (milliseconds(*ms)) } }
            } } }
        }
    };
    scrolls("The numbers of the charts", &table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_round_number() {
        for (number, round) in
            [(0, 1), (1, 1), (3, 4), (7, 8), (9, 10), (11, 12), (99, 100), (1_208, 1_600), (61_000, 80_000)]
        {
            assert_eq!(round_above(number), round);
        }
        assert_eq!(round_above(u64::MAX), u64::MAX);
    }

    #[test]
    fn heights_do_not_overflow() {
        assert_eq!(scaled(u64::MAX, u64::MAX), HEIGHT);
        assert_eq!(scaled(5, 10), 500);
        assert_eq!(scaled(0, 0), 0);
    }
}
