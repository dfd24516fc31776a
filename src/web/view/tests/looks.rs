//! What a page shows of its model, and the style sheet: every state has a mark, a word and colours that can be seen.

use std::collections::{BTreeMap, BTreeSet};

use super::html::{Element, elements};
use super::samples::{self, Texts};
use crate::web::view;
use crate::web::view::model::{Action, CellState, Frame};

const STYLE: &str = include_str!("../assets/style.css");
const SCRIPT: &str = include_str!("../assets/app.js");

fn frame() -> Frame {
    samples::frame(&Texts::plain(), "")
}

fn dataset(from: &str) -> Vec<Element> {
    elements(&view::dataset(&frame(), &samples::dataset(&Texts::plain(), from)))
}

/// The days that a page's calendars link to.
fn cells(all: &[Element]) -> Vec<&Element> {
    let inside = |e: &&Element| e.within.iter().any(|place| all[*place].has_class("cal"));
    all.iter().filter(|e| e.name == "a").filter(inside).collect()
}

#[test]
fn every_state_has_a_word_a_mark_and_a_sentence() {
    let all = dataset("2024-03-02");
    let legend: Vec<&Element> =
        all.iter().filter(|e| e.within.iter().any(|place| all[*place].has_class("legend"))).collect();
    let mut words = BTreeSet::new();
    let mut marks = BTreeSet::new();
    for state in CellState::ALL {
        let class = state.class();
        assert!(words.insert(state.word()));
        assert!(legend.iter().any(|e| e.name == "dt" && e.text == state.word()), "{class}");
        assert!(legend.iter().any(|e| e.name == "i" && e.has_class(class)), "{class}");
        assert!(legend.iter().any(|e| e.name == "dd" && e.text == state.meaning()), "{class}");
        let drawn = STYLE.lines().find_map(|line| line.strip_prefix(&format!(".{class} {{ --tone: "))).expect(class);
        let mark = drawn.split("--glyph: ").nth(1).expect(class);
        // What is not to be loaded has no drawing, only a faint square.
        assert!(marks.insert(mark) || matches!(state, CellState::NotWanted | CellState::Future), "{class}: {mark}");
    }
}

#[test]
fn the_calendar_has_every_day_once_and_says_what_it_is() {
    let all = dataset("2016-11-21");
    let cells = cells(&all);
    assert_eq!(cells.len(), 3_652);
    let days: BTreeSet<&str> = cells.iter().filter_map(|cell| cell.get("href")).collect();
    assert_eq!(days.len(), 3_652);
    assert!(days.contains("/datasets/shopify_config/days/2020-02-29"));
    let refused = cells.iter().find(|cell| cell.get("href").unwrap().ends_with("2026-11-13")).unwrap();
    assert_eq!(refused.get("class"), Some("refused"));
    assert!(refused.get("title").unwrap().starts_with("2026-11-13: refused. 90 of 1,208 rows rejected"), "{refused:?}");
    let late = cells.iter().find(|cell| cell.get("href").unwrap().ends_with("2026-11-19")).unwrap();
    assert_eq!(late.get("title"), Some("2026-11-19: waiting, late. no such file"));
}

#[test]
fn of_ten_years_the_newest_is_open_and_comes_first() {
    let all = dataset("2016-11-21");
    let years: Vec<&Element> = all.iter().filter(|e| e.name == "details" && e.has_class("year")).collect();
    assert_eq!(years.len(), 11);
    assert_eq!(years[0].get("id"), Some("y2026"));
    assert_eq!(years[10].get("id"), Some("y2016"));
    let open: Vec<bool> = years.iter().map(|year| year.get("open").is_some()).collect();
    assert_eq!(open.iter().filter(|open| **open).count(), 1);
    assert!(open[0]);
}

#[test]
fn a_page_offers_what_a_person_may_ask_for_and_nothing_else() {
    let asked = |all: &[Element]| -> BTreeSet<String> {
        let values = all.iter().filter(|e| e.get("name") == Some("action") || e.name == "option");
        values.filter_map(|e| e.get("value")).map(ToOwned::to_owned).collect()
    };
    for action in Action::ALL {
        let mut page = samples::dataset(&Texts::plain(), "2026-11-01");
        page.actions = vec![action];
        assert_eq!(asked(&elements(&view::dataset(&frame(), &page))), BTreeSet::from([action.name().to_owned()]));
        let mut page = samples::refused(&Texts::plain());
        page.actions = vec![action];
        let of_a_day = action.takes_days();
        let expected: BTreeSet<String> = of_a_day.then(|| action.name().to_owned()).into_iter().collect();
        assert_eq!(asked(&elements(&view::day(&frame(), &page))), expected);
    }
}

#[test]
fn an_attempt_tells_its_place_in_its_series_where_that_says_more_than_its_number() {
    for (page, told) in [
        (
            samples::refused(&Texts::plain()),
            &["Attempt 7", ", attempt 1 of its series", "Attempt 6", ", attempt 2 of its series"][..],
        ),
        (samples::running(&Texts::plain()), &["Attempt 3", ", attempt 3 of 5"]),
        (samples::loaded(&Texts::plain()), &["Attempt 1"]),
    ] {
        let html = view::day(&frame(), &page);
        let found: Vec<&str> = html.match_indices("Attempt ").map(|(at, _)| &html[at..at + 9]).collect();
        assert_eq!(found.len() + html.matches(", attempt ").count(), told.len(), "{told:?}");
        for text in told {
            assert!(html.contains(text), "{text}");
        }
    }
}

#[test]
fn several_days_are_asked_for_by_way_of_the_dry_run() {
    let all = dataset("2026-11-01");
    let forms = all.iter().enumerate().filter(|(_, e)| e.name == "form");
    for (place, form) in forms.filter(|(_, e)| e.get("action").unwrap().contains("/datasets/")) {
        let names: BTreeSet<&str> =
            all.iter().filter(|e| e.within.contains(&place)).filter_map(|e| e.get("name")).collect();
        let one_day_or_none = !names.contains("from");
        assert!(one_day_or_none || form.get("method") == Some("get"), "{form:?}");
    }
    let run =
        view::dry_run(&frame(), &samples::dry_run(&Texts::plain(), Action::Reload, "2026-11-08..2026-11-20", true));
    let fields: BTreeMap<String, String> = elements(&run)
        .iter()
        .filter(|e| e.name == "input" && e.get("type") == Some("hidden"))
        .map(|e| (e.get("name").unwrap().to_owned(), e.get("value").unwrap().to_owned()))
        .collect();
    assert_eq!(fields["action"], "reload");
    assert_eq!((fields["from"].as_str(), fields["to"].as_str()), ("2026-11-08", "2026-11-20"));
    let viewer =
        view::dry_run(&frame(), &samples::dry_run(&Texts::plain(), Action::Reload, "2026-11-08..2026-11-20", false));
    assert!(!viewer.contains("/actions\""));
}

/// The script makes classes from the names of states, and finds days at the ends of paths.
#[test]
fn the_script_and_the_pages_agree() {
    for state in crate::state::State::ALL {
        assert_eq!(CellState::Stored(state).class(), state.name());
    }
    let all = dataset("2026-11-01");
    for word in ["range", "from", "to", "chosen", "live", "lost", "main"] {
        assert!(SCRIPT.contains(&format!("$(\"{word}\")")), "{word}");
        assert!(all.iter().any(|e| e.get("id") == Some(word)), "{word}");
    }
    assert!(cells(&all).iter().all(|cell| {
        let href = cell.get("href").unwrap();
        href[href.len() - 10..].parse::<crate::day::Day>().is_ok()
    }));
}

/// The colours of one mode by name.
fn colours(part: &str) -> BTreeMap<&str, f64> {
    let declared = part.split("--").skip(1).filter_map(|text| text.split_once(": #"));
    declared.filter_map(|(name, rest)| Some((name, luminance(rest.get(..6)?)?))).collect()
}

/// The relative luminance of a colour, as WCAG has it.
fn luminance(hex: &str) -> Option<f64> {
    let part = |at: usize| {
        let value = f64::from(u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()?) / 255.0;
        Some(if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) })
    };
    Some(0.2126 * part(0)? + 0.7152 * part(2)? + 0.0722 * part(4)?)
}

#[test]
fn colours_are_apart_as_wcag_aa_wants_it_in_both_modes() {
    let (light, rest) = STYLE.split_once("@media (prefers-color-scheme: dark)").unwrap();
    let (dark, _) = rest.split_once("/* Text */").unwrap();
    for (mode, part) in [("light", light), ("dark", dark)] {
        let colours = colours(part);
        let contrast = |one: &str, other: &str| {
            let (one, other) = (colours[one], colours[other]);
            (one.max(other) + 0.05) / (one.min(other) + 0.05)
        };
        let texts = ["ink", "soft", "accent", "urgent"];
        let grounds = ["bg", "panel", "raised", "urgent-bg", "note-bg"];
        for (text, ground) in texts.iter().flat_map(|text| grounds.map(|ground| (*text, ground))) {
            assert!(contrast(text, ground) >= 4.5, "{mode}: {text} on {ground}: {}", contrast(text, ground));
        }
        assert!(contrast("on-accent", "accent") >= 4.5, "{mode}");
        let marks = [
            "loaded", "running", "waiting", "missing", "failed", "refused", "absent", "skipped", "filtered", "took",
            "edge",
        ];
        for mark in marks {
            assert!(contrast(mark, "panel") >= 3.0, "{mode}: {mark}: {}", contrast(mark, "panel"));
        }
        for filled in ["running", "failed", "refused", "absent", "skipped"] {
            assert!(contrast("on", filled) >= 3.0, "{mode}: the drawing on {filled}: {}", contrast("on", filled));
        }
    }
}
