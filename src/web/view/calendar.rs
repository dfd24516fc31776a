//! A dataset's days as calendars, a table per year: a row per weekday, a column per week.

use chrono::{Datelike, Months, NaiveDate};
use maud::{Markup, html};

use crate::day::{Day, DayRange};
use crate::web::view::links::Links;
use crate::web::view::model::{Cell, CellState, StateCount};
use crate::web::view::parts::counts;
use crate::web::view::words::cell;

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The years of these days, newest first. The newest is open; the others are a line each until somebody opens them, so
/// that neither eyes nor `Tab` have to walk through all years.
pub(super) fn calendar(links: &Links, dataset: &str, cells: &[Cell], end: Option<Day>) -> Markup {
    let newest = cells.last().map_or(Day::MAX, |cell| cell.day);
    let ahead = DayRange { from: newest.next(), to: end.unwrap_or(Day::MAX) };
    let days = format!("{}/", links.days(dataset));
    let years = cells.chunk_by(|one, next| one.day.date().year() == next.day.date().year()).rev();
    html! {
        div.years.days {
            @for (place, cells) in years.enumerate() { (year(&days, cells, ahead, place == 0)) }
        }
    }
}

/// The marks and what they mean.
pub(super) fn legend() -> Markup {
    html! {
        dl.legend {
            @for state in CellState::ALL {
                div { dt { i.m.(state.class()) {} (state.word()) } dd.unseen { (state.meaning()) } }
            }
        }
    }
}

fn year(days: &str, cells: &[Cell], ahead: DayRange, open: bool) -> Markup {
    let Some(year) = cells.first().map(|cell| cell.day.date().year()) else { return html! {} };
    html! {
        details.year #{ "y" (year) } open[open] {
            summary {
                h3 { (year) }
                span.months { @for state in months(year, cells, ahead) { i.m.(state.class()) {} } }
                (counts(Some(&by_state(cells))))
            }
            div.scroll { (table(days, year, cells, ahead)) }
        }
    }
}

/// How many days of these are in which state.
fn by_state(cells: &[Cell]) -> Vec<StateCount> {
    let seen = CellState::ALL.into_iter().filter(|state| !matches!(state, CellState::NotWanted | CellState::Future));
    seen.map(|state| StateCount {
        state,
        days: u64::try_from(cells.iter().filter(|cell| cell.state == state).count()).unwrap_or(0),
    })
    .collect()
}

/// The most urgent state of each month. One without any of these days is to come where it is ahead, and else not
/// wanted.
fn months(year: i32, cells: &[Cell], ahead: DayRange) -> [CellState; 12] {
    let mut months = [CellState::NotWanted; 12];
    for (month, number) in months.iter_mut().zip(1..) {
        let Some(first) = NaiveDate::from_ymd_opt(year, number, 1) else { continue };
        let next = first.checked_add_months(Months::new(1)).map_or(Day::MAX, Day::new);
        if Day::new(first) <= ahead.to && ahead.from < next {
            *month = CellState::Future;
        }
    }
    for cell in cells {
        if let Some(month) = months.get_mut(cell.day.date().month0() as usize)
            && cell.state.urgency() >= month.urgency()
        {
            *month = cell.state;
        }
    }
    months
}

/// Where a day stands in its year: its column, its row, both from 0.
fn place(day: NaiveDate) -> (usize, usize) {
    let row = day.weekday().num_days_from_monday();
    // The weekday of January 1st says how many places of the first column stay empty.
    let first = (row + 371 - day.ordinal0()) % 7;
    (((day.ordinal0() + first) / 7) as usize, row as usize)
}

fn table(days: &str, year: i32, cells: &[Cell], ahead: DayRange) -> Markup {
    let known = grid(year, cells);
    let columns = known.iter().map(Vec::len).max().unwrap_or(0);
    html! {
        table.cal {
            caption.unseen { (year) ": a row per weekday, a column per week" }
            thead { tr {
                td {}
                @for (month, columns) in MONTHS.iter().zip(spans(year, columns)) {
                    th scope="col" colspan=(columns) { (month) }
                }
            } }
            tbody {
                @for (weekday, row) in WEEKDAYS.iter().zip(&known) { tr {
                    th scope="row" { (weekday) }
                    @for place in row { td { (square(days, place.as_ref(), ahead)) } }
                } }
            }
        }
    }
}

/// What stands in a place of the grid.
enum CalendarSquare<'a> {
    Known(&'a Cell),
    /// A day of the year that no cell is about.
    Other(Day),
}

fn square(days: &str, square: Option<&CalendarSquare<'_>>, ahead: DayRange) -> Markup {
    html! {
        @match square {
            None => {}
            Some(CalendarSquare::Other(day)) => i.(if ahead.contains(*day) { "future" } else { "unwanted" }) {},
            Some(CalendarSquare::Known(day)) if matches!(day.state, CellState::NotWanted | CellState::Future) =>
                i.(day.state.class()) {},
            Some(CalendarSquare::Known(day)) => a.(day.state.class()) href={ (days) (day.day) } title=(cell(day)) {},
        }
    }
}

/// The days of a year by row and column; a place that belongs to another year is empty.
fn grid(year: i32, cells: &[Cell]) -> [Vec<Option<CalendarSquare<'_>>>; 7] {
    let mut grid: [Vec<Option<CalendarSquare<'_>>>; 7] = Default::default();
    let mut known = cells.iter().peekable();
    let mut date = NaiveDate::from_yo_opt(year, 1);
    while let Some(today) = date.filter(|date| date.year() == year) {
        let (column, row) = place(today);
        let day = Day::new(today);
        let square = known.next_if(|cell| cell.day == day).map_or(CalendarSquare::Other(day), CalendarSquare::Known);
        if let Some(row) = grid.get_mut(row) {
            row.resize_with(column, || None);
            row.push(Some(square));
        }
        date = today.succ_opt();
    }
    grid
}

/// How many columns each month's name stands over: from the week of its first day to that of the next month's.
fn spans(year: i32, columns: usize) -> impl Iterator<Item = usize> {
    let first = move |month| NaiveDate::from_ymd_opt(year, month, 1).map_or(columns, |day| place(day).0);
    (1..=12).map(move |month| if month == 12 { columns - first(12) } else { first(month + 1) - first(month) })
}

#[cfg(test)]
mod tests {
    use chrono::Weekday;

    use super::*;
    use crate::state::State;

    #[test]
    fn days_stand_under_their_week_and_beside_their_weekday() {
        let at = |text: &str| place(text.parse::<Day>().unwrap().date());
        // 2026 begins on a Thursday.
        assert_eq!(at("2026-01-01"), (0, 3));
        assert_eq!(at("2026-01-04"), (0, 6));
        assert_eq!(at("2026-01-05"), (1, 0));
        // 2028 begins on a Saturday and is a leap year: 54 columns would be a year that begins on a Sunday.
        assert_eq!(at("2028-12-31"), (52, 6));
        assert_eq!(at("2012-12-31"), (53, 0));
    }

    #[test]
    fn every_day_of_a_year_has_one_place_and_the_months_cover_all_columns() {
        for year in 2000..2030 {
            let grid = grid(year, &[]);
            let days: usize = grid.iter().flatten().flatten().count();
            let expected = if NaiveDate::from_ymd_opt(year, 2, 29).is_some() { 366 } else { 365 };
            assert_eq!(days, expected, "{year}");
            let columns = grid.iter().map(Vec::len).max().unwrap();
            assert_eq!(spans(year, columns).sum::<usize>(), columns, "{year}");
            assert!(spans(year, columns).all(|span| span >= 4), "{year}");
        }
    }

    #[test]
    fn a_month_shows_its_most_urgent_day() {
        let cell = |day: &str, state| Cell {
            day: day.parse().unwrap(),
            state,
            rows: None,
            rejected: None,
            detail: None,
            late: false,
        };
        let loaded = CellState::Stored(State::Loaded);
        let cells = [
            cell("2026-03-30", loaded),
            cell("2026-03-31", CellState::Stored(State::Refused)),
            cell("2026-04-01", CellState::Missing),
            cell("2026-04-02", loaded),
            cell("2026-05-01", loaded),
        ];
        let until = |end| months(2026, &cells, DayRange { from: "2026-05-02".parse().unwrap(), to: end });
        let all = until(Day::MAX);
        assert_eq!(all[1], CellState::NotWanted);
        assert_eq!(all[2..5], [CellState::Stored(State::Refused), CellState::Missing, loaded]);
        assert_eq!(all[5..], [CellState::Future; 7]);
        let ended = until("2026-06-30".parse().unwrap());
        assert_eq!(ended[..6], all[..6]);
        assert_eq!(ended[6..], [CellState::NotWanted; 6]);
    }

    #[test]
    fn what_no_schedule_wants_any_more_is_not_to_come() {
        let cells = ["2026-06-29", "2026-06-30"].map(|day| Cell {
            day: day.parse().unwrap(),
            state: CellState::Missing,
            rows: None,
            rejected: None,
            detail: None,
            late: false,
        });
        let future = |end: Option<&str>| {
            let page = calendar(&Links::new(""), "orders", &cells, end.map(|end| end.parse().unwrap())).into_string();
            page.matches("<i class=\"future\">").count()
        };
        assert_eq!((future(Some("2026-06-30")), future(Some("2026-07-03")), future(None)), (0, 3, 184));
    }

    #[test]
    fn rows_are_the_weekdays() {
        let monday = NaiveDate::from_isoywd_opt(2026, 10, Weekday::Mon).unwrap();
        assert_eq!(WEEKDAYS[place(monday).1], monday.format("%a").to_string());
    }
}
