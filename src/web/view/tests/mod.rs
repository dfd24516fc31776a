//! Every page from sample models: nothing comes through unescaped, nothing is inline, and what holds for one page holds
//! for all of them.

mod html;
mod looks;
mod rules;
mod samples;

use std::io::Write as _;
use std::time::Instant;

use samples::Texts;

use crate::web::view;
use crate::web::view::model::{Action, Frame, Notice};

/// A page: its name, its HTML, and every text that went into its model.
struct Page {
    name: &'static str,
    html: String,
    texts: Vec<String>,
}

/// All pages, below a base path.
fn pages(texts: &dyn Fn() -> Texts, base: &str) -> Vec<Page> {
    let make = |name, render: &dyn Fn(&Frame, &Texts) -> String| {
        let texts = texts();
        let frame = if name == "login" { samples::nobody(&texts, base) } else { samples::frame(&texts, base) };
        let html = render(&frame, &texts);
        Page { name, html, texts: texts.made.into_inner() }
    };
    vec![
        make("overview", &|f, t| view::overview(f, &samples::overview(t, 5))),
        make("overview-1000", &|f, t| view::overview(f, &samples::overview(t, 1_000))),
        make("overview-calm", &|f, t| view::overview(f, &samples::calm(t))),
        make("overview-unread", &|f, t| view::overview(f, &samples::unread(t))),
        make("overview-empty", &|f, _| view::overview(f, &samples::empty())),
        make("overview-nothing-found", &|f, t| view::overview(f, &samples::nothing_found(t))),
        make("dataset", &|f, t| view::dataset(&told(f, t), &samples::dataset(t, "2024-03-02"))),
        make("dataset-ten-years", &|f, t| view::dataset(f, &samples::dataset(t, "2016-11-21"))),
        make("dataset-held-up", &|f, t| view::dataset(f, &samples::held_up(t))),
        make("dataset-no-days", &|f, t| view::dataset(f, &samples::no_days(t))),
        make("dry-run", &|f, t| view::dry_run(f, &samples::dry_run(t, Action::Reload, "2026-11-08..2026-11-20", true))),
        make("dry-run-all", &|f, t| {
            view::dry_run(f, &samples::dry_run(t, Action::CatchUp, "2025-08-08..2026-11-20", true))
        }),
        make("dry-run-skip", &|f, t| {
            view::dry_run(f, &samples::dry_run(t, Action::Skip, "2026-11-08..2026-11-19", true))
        }),
        make("dry-run-viewer", &|f, t| {
            view::dry_run(f, &samples::dry_run(t, Action::Load, "2026-11-08..2026-11-20", false))
        }),
        make("day-refused", &|f, t| view::day(f, &samples::refused(t))),
        make("day-loaded", &|f, t| view::day(f, &samples::loaded(t))),
        make("day-running", &|f, t| view::day(f, &samples::running(t))),
        make("day-missing", &|f, t| view::day(f, &samples::missing(t))),
        make("daemons", &|f, t| view::daemons(f, &samples::daemons(t))),
        make("configuration", &|f, t| view::configuration(f, &samples::configuration(t))),
        make("activity-log", &|f, t| view::activity_log(f, &samples::activity_log(t))),
        make("login", &|f, t| view::login(f, &samples::login(t))),
        make("problem", &|f, t| view::problem(f, &samples::problem(t))),
        make("may-not", &|f, t| view::may_not(f, &samples::may_not(t))),
        make("unreachable", &|f, t| view::unreachable(f, &samples::unreachable(t))),
    ]
}

fn told(frame: &Frame, texts: &Texts) -> Frame {
    let notice = Notice { done: true, text: texts.text("7 days are loaded again.") };
    Frame { notice: Some(notice), ..frame.clone() }
}

#[test]
#[ignore = "writes all pages to target/pages, to be looked at in a browser: serve that folder"]
fn the_pages_to_look_at() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/pages");
    std::fs::create_dir_all(folder.join("assets")).unwrap();
    for asset in view::assets::assets() {
        std::fs::write(folder.join(&asset.path[1..]), asset.bytes).unwrap();
    }
    for page in pages(&Texts::plain, "") {
        println!("{}: {} bytes, {} gzipped", page.name, page.html.len(), gzipped(&page.html));
        std::fs::write(folder.join(page.name).with_extension("html"), page.html).unwrap();
    }
    let (frame, overview) = (samples::frame(&Texts::plain(), ""), samples::overview(&Texts::plain(), 1_000));
    let ten_years = samples::dataset(&Texts::plain(), "2016-11-21");
    let renders: [(&str, &dyn Fn() -> String); 2] = [
        ("a page of 1,000 datasets", &|| view::overview(&frame, &overview)),
        ("ten years", &|| view::dataset(&frame, &ten_years)),
    ];
    for (what, render) in renders {
        let began = Instant::now();
        assert!((0..20).all(|_| !render().is_empty()));
        println!("{what}: {:?}", began.elapsed() / 20);
    }
}

/// The size of a text over the wire, in bytes.
fn gzipped(text: &str) -> usize {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    gzip.finish().unwrap().len()
}
