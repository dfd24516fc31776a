//! Models with something in every field, for the tests and to look at. Every text comes through [`Texts`], so that a
//! test can put anything into all of them.

mod administration;
mod dataset;
mod day;
mod overview;

pub(super) use administration::{activity_log, configuration, daemons, login, may_not, problem, unreachable};
pub(super) use dataset::{dataset, dry_run, held_up, no_days};
pub(super) use day::{loaded, missing, refused, running};
pub(super) use overview::{calm, empty, nothing_found, overview, unread};

use std::cell::RefCell;

use chrono::{DateTime, Datelike, Utc};

use crate::day::{Day, DayRange};
use crate::state::State;
use crate::web::view::links::Links;
use crate::web::view::model::{Cell, CellState, CurrentUser, Frame, Loading, StateCount, Step};
use crate::zone::Zone;

/// Makes the texts of a model, and remembers them.
pub(super) struct Texts {
    more: &'static str,
    pub(super) made: RefCell<Vec<String>>,
}

/// What must never come through as it is.
pub(super) const WICKED: &str = "<img src=x onerror=alert(1)>\"' & </main>";

impl Texts {
    pub(super) fn plain() -> Self {
        Self { more: "", made: RefCell::default() }
    }

    /// Every text is another one, and every text is wicked.
    pub(super) fn wicked() -> Self {
        Self { more: WICKED, made: RefCell::default() }
    }

    /// Every text is another one, and every text steers a terminal, ends a line and turns the direction.
    pub(super) fn steering() -> Self {
        Self { more: "\u{1b}[31m\r\n\t\u{7f}\u{9b}\u{202e}\u{2066}\u{200f}\u{2028}\u{feff}", made: RefCell::default() }
    }

    pub(super) fn text(&self, text: &str) -> String {
        let mut made = self.made.borrow_mut();
        let text = if self.more.is_empty() { text.to_owned() } else { format!("{text} {} {}", made.len(), self.more) };
        made.push(text.clone());
        text
    }
}

pub(super) fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn range(text: &str) -> DayRange {
    text.parse().unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

/// The same, of a schedule in Paris.
fn in_paris(text: &str) -> DateTime<Zone> {
    at(text).with_timezone(&zone("Europe/Paris"))
}

/// Numbers that look like nothing in particular, always the same.
fn noise(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (x ^ (x >> 31)) >> 8
}

/// Around a page that somebody sees who is logged in.
pub(super) fn frame(t: &Texts, base: &str) -> Frame {
    Frame { who: Some(CurrentUser { name: t.text("marta"), role: t.text("operator") }), ..nobody(t, base) }
}

/// Around a page that anybody sees.
pub(super) fn nobody(t: &Texts, base: &str) -> Frame {
    Frame {
        links: Links::new(base),
        version: t.text("0.2.0"),
        now: at("2026-11-20T07:31:12Z"),
        told: 7,
        who: None,
        notice: None,
    }
}

/// What a refused day says.
const PROBLEM: &str = "90 of 1,208 rows rejected (7.5%), the limit is 1%; \
     the first: line 318, column nbr_metafields: \"abc\" is not a bigint";

/// The days of a dataset up to a day, mostly loaded.
pub(super) fn cells(t: &Texts, from: &str, to: &str, seed: u64) -> Vec<Cell> {
    let to = day(to);
    let cell = |today: Day| {
        let chance = noise(seed ^ u64::from(today.date().num_days_from_ce().unsigned_abs())) % 1_000;
        let left = (to.date() - today.date()).num_days();
        let state = match (left, chance) {
            (0, _) => CellState::Stored(State::Running),
            (1, _) => CellState::Stored(State::Waiting),
            (7, _) => CellState::Stored(State::Refused),
            (_, 0..4) => CellState::Stored(State::Failed),
            (_, 4..7) => CellState::Stored(State::Absent),
            (_, 7..10) => CellState::Stored(State::Skipped),
            (_, 10..12) => CellState::Missing,
            (_, 12..15) => CellState::WithRejects,
            _ => CellState::Stored(State::Loaded),
        };
        let loaded = matches!(state, CellState::Stored(State::Loaded) | CellState::WithRejects);
        Cell {
            day: today,
            state,
            rows: loaded.then_some(1_100 + chance % 90),
            rejected: (state == CellState::WithRejects).then_some(3),
            detail: (!loaded && left < 9).then(|| t.text(if left == 7 { PROBLEM } else { "no such file" })),
            late: left == 1,
        }
    };
    DayRange { from: day(from), to }.days().map(cell).collect()
}

/// How many of these days are in that state.
fn length(cells: &[Cell], state: CellState) -> u64 {
    cells.iter().filter(|cell| cell.state == state).count() as u64
}

fn counts(cells: &[Cell]) -> Vec<StateCount> {
    CellState::ALL.into_iter().map(|state| StateCount { state, days: length(cells, state) }).collect()
}

fn loading(total: bool) -> Loading {
    Loading {
        day: day("2026-11-20"),
        step: Step::Stage,
        rows: 620_114,
        bytes: 61_800_000,
        bytes_total: total.then_some(99_700_000),
        rows_per_second: Some(118_204),
        waiting_for: None,
    }
}
