//! What holds for every page.

use std::collections::BTreeSet;

use super::html::{Element, elements};
use super::samples::Texts;
use super::{Page, gzipped, pages};
use crate::web::action::LONGEST_REASON;
use crate::wording::is_harmful;

/// Everything twice: with ordinary texts at the root, and with wicked ones below a base path.
fn each(check: impl Fn(&Page, &[Element], &str)) {
    for (texts, base) in [(&Texts::plain as &dyn Fn() -> Texts, ""), (&Texts::wicked, "/fill")] {
        for page in pages(texts, base) {
            check(&page, &elements(&page.html), base);
        }
    }
}

/// Every text of every model comes through, in full, as a text: the reader of HTML finds it whole in one text or
/// attribute, and no element or attribute that is not ours.
#[test]
fn every_text_is_shown_and_escaped() {
    for page in pages(&Texts::wicked, "/fill") {
        let all = elements(&page.html);
        for text in &page.texts {
            let whole =
                |e: &Element| e.text.contains(text) || e.attributes.iter().any(|(_, value)| value.contains(text));
            assert!(all.iter().any(whole), "{}: {text:?} is not shown", page.name);
        }
        for image in all.iter().filter(|e| e.name == "img") {
            assert!(image.get("src").unwrap().starts_with("/fill/assets/"), "{}: {image:?}", page.name);
        }
        assert!(!page.html.contains("<img src=x"), "{}", page.name);
    }
}

/// Whatever a file, a server or a person says, no page holds a character that steers a terminal, ends a line or turns
/// the direction of a text: each is shown as what it is.
#[test]
fn nothing_steers_and_nothing_turns_direction() {
    for page in pages(&Texts::steering, "/fill") {
        // A line end is white space in HTML.
        assert!(!page.html.contains(|char| char != '\n' && is_harmful(char)), "{}", page.name);
        let count = |line_end: &str| page.html.matches(&format!("\\u{{1b}}[31m\\r{line_end}\\t\\u{{7f}}")).count();
        let shown = count("\n") + count("\\n");
        assert!(shown >= page.texts.len(), "{}: {shown} of {} texts", page.name, page.texts.len());
    }
    for page in pages(&Texts::plain, "") {
        assert!(!page.html.contains("\\n"), "{}: a line end of ours", page.name);
    }
}

#[test]
fn nothing_is_inline() {
    each(|page, all, _| {
        for element in all {
            assert_ne!(element.name, "style", "{}", page.name);
            assert!(
                element.name != "script" || element.get("src").is_some() && element.text.is_empty(),
                "{}",
                page.name
            );
            for (key, value) in &element.attributes {
                assert!(key != "style" && !key.starts_with("on"), "{}: {key} in {element:?}", page.name);
                assert!(!value.starts_with("javascript:"), "{}: {element:?}", page.name);
            }
        }
    });
}

#[test]
fn ids_are_unique_and_what_refers_to_one_finds_it() {
    each(|page, all, _| {
        let ids: Vec<&str> = all.iter().filter_map(|e| e.get("id")).collect();
        let known: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), known.len(), "{}: {ids:?}", page.name);
        for element in all {
            let refers = ["for", "aria-labelledby", "aria-describedby"].into_iter().filter_map(|key| element.get(key));
            let here = element.get("href").and_then(|href| href.strip_prefix('#'));
            for id in refers.flat_map(|ids| ids.split(' ')).chain(here) {
                assert!(known.contains(id), "{}: {id} of {element:?}", page.name);
            }
        }
    });
}

#[test]
fn every_field_and_every_bar_has_a_label() {
    each(|page, all, _| {
        let labelled: BTreeSet<&str> = all.iter().filter(|e| e.name == "label").filter_map(|e| e.get("for")).collect();
        for field in all.iter().filter(|e| ["input", "select", "textarea"].contains(&e.name.as_str())) {
            let seen = field.get("type") != Some("hidden");
            assert!(!seen || field.get("id").is_some_and(|id| labelled.contains(id)), "{}: {field:?}", page.name);
        }
        for bar in all.iter().filter(|e| e.name == "progress") {
            assert!(bar.get("aria-label").is_some_and(|label| label.contains("20")), "{}: {bar:?}", page.name);
        }
        for button in all.iter().filter(|e| e.name == "button" || e.name == "summary") {
            assert!(!button.text.trim().is_empty(), "{}: {button:?}", page.name);
        }
    });
}

/// As long as the server takes it.
#[test]
fn a_reason_has_room_for_as_many_characters_as_are_taken() {
    let most = LONGEST_REASON.to_string();
    each(|page, all, _| {
        for reason in all.iter().filter(|e| e.get("name") == Some("reason")) {
            assert_eq!(reason.get("maxlength"), Some(most.as_str()), "{}", page.name);
        }
    });
}

#[test]
fn every_link_is_ours_and_below_the_base_path() {
    each(|page, all, base| {
        let below = format!("{base}/");
        for element in all {
            for key in ["href", "src", "action", "data-events", "data-loads"] {
                let Some(url) = element.get(key) else { continue };
                let ours = url.starts_with(&below) && !url.starts_with("//") || url.starts_with('#');
                assert!(ours, "{}: {url}", page.name);
                let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~%?&=#".contains(c);
                assert!(url.chars().all(plain), "{}: {url}", page.name);
            }
        }
    });
}

#[test]
fn what_changes_something_is_a_post() {
    each(|page, all, _| {
        for (place, form) in all.iter().enumerate().filter(|(_, e)| e.name == "form") {
            let inside = |name: &str| all.iter().any(|e| e.within.contains(&place) && e.get("name") == Some(name));
            let action = form.get("action").unwrap();
            let changes = ["/actions", "/logout", "/login"].iter().any(|end| action.ends_with(end));
            assert_eq!(form.get("method"), Some(if changes { "post" } else { "get" }), "{}: {form:?}", page.name);
            assert_eq!(
                inside("action"),
                action.ends_with("/actions") || action.ends_with("/dry-run"),
                "{}: {form:?}",
                page.name
            );
        }
    });
}

#[test]
fn a_page_has_landmarks_one_first_heading_and_none_left_out() {
    each(|page, all, _| {
        for once in ["head", "header", "main", "footer", "h1"] {
            assert_eq!(all.iter().filter(|e| e.name == once).count(), 1, "{}: {once}", page.name);
        }
        let first = all.iter().find(|e| e.name == "a").unwrap();
        assert_eq!(first.get("href"), Some("#main"), "{}", page.name);
        let mut last = 0;
        for heading in all.iter().filter(|e| e.name.len() == 2 && e.name.starts_with('h') && e.name != "hr") {
            let level = heading.name[1..].parse::<u8>().unwrap();
            assert!(level <= last + 1, "{}: {heading:?} after h{last}", page.name);
            last = level;
        }
        for header in all.iter().filter(|e| e.name == "th") {
            assert!(matches!(header.get("scope"), Some("row" | "col")), "{}: {header:?}", page.name);
        }
    });
}

#[test]
fn pages_are_small_over_the_wire() {
    for page in pages(&Texts::plain, "") {
        let size = gzipped(&page.html);
        assert!(size <= 60 * 1024, "{}: {size} bytes", page.name);
    }
}
