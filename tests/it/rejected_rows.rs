//! What days are refused for, and what is kept of rejected rows: the first 10,000 of them, each cut to 2 KB, as text whatever it was.

use std::fmt::Write as _;

use dayfill::db::rejects::KEPT;

use crate::support::project::{Orders, Project, Ran};
use crate::support::sqlite::SqliteDatabase;
use crate::support::{Database, on_both, with_window};

on_both! {
    a_file_that_holds_more_than_it_may_is_refused_and_not_tried_again
    of_12_000_rejected_rows_10_000_are_kept_and_all_are_counted
    a_folder_for_temporary_files_that_takes_none_is_named
    values_are_kept_as_text_whatever_they_are_and_cut_at_2_kb
}

fn of_12_000_rejected_rows_10_000_are_kept_and_all_are_counted(database: &dyn Database) {
    let project = Project::new(database, &Orders { max_rejected: "12000", ..Orders::default() });
    let text = (0..12_500).fold(String::new(), |mut text, row| {
        let amount = if row % 25 == 0 { "1" } else { "one" };
        let _ = writeln!(text, "{row},{amount},x");
        text
    });
    project.day("2024-03-01", &text);
    project.succeed(&["load", "2024-03-01"]);
    assert_eq!(database.line("select rows_read, rows_rejected, rows_loaded from processed_days"), "12500|12000|500");
    // The first ones: line 2 is row 0, and every 25th row is fine.
    let last = 2 + KEPT + KEPT / 24;
    assert_eq!(database.line("select count(*), min(line), max(line) from rejected_rows"), format!("{KEPT}|3|{last}"));

    // One more than the limit: refused, with the same rows kept.
    project.day("2024-03-02", &format!("{text}more,one,x\n"));
    let ran = project.exit(4, &["load", "2024-03-02"]);
    assert!(ran.stdout.contains("12001 of 12501 rows rejected (96.0%), the limit is 12000"), "{}", ran.stdout);
    assert_eq!(
        database.lines("select cast(day as text) as d, count(*) from rejected_rows group by day order by day"),
        [format!("2024-03-01|{KEPT}"), format!("2024-03-02|{KEPT}")]
    );
    assert_eq!(database.line("select count(*) from orders"), "500");
}

fn a_folder_for_temporary_files_that_takes_none_is_named(database: &dyn Database) {
    let project = Project::new(database, &Orders { max_rejected: "100%", ..Orders::default() });
    // More than stay in memory.
    let rows: Vec<_> = (0..5_000).map(|row| format!("{row},{},x\n", "one".repeat(30))).collect();
    project.day("2024-03-01", &rows.concat());
    let ran = Ran::of(project.command(&["load", "2024-03-01"]).env("TMPDIR", project.path("none")));
    assert_ne!(ran.code, 0, "{ran:#?}");
    let named = format!("keeping rejected rows aside in {}: ", project.path("none").display());
    assert!(ran.stdout.contains(&named) && ran.stdout.contains("another folder in TMPDIR"), "{ran:#?}");
    project.succeed(&["load", "2024-03-01"]);
}

fn values_are_kept_as_text_whatever_they_are_and_cut_at_2_kb(database: &dyn Database) {
    let project = Project::new(database, &Orders { max_rejected: "100%", ..Orders::default() });
    let mut file = b"id,amount,note\n".to_vec();
    for (id, amount) in [
        (&b"bytes"[..], &b"\xff\xfe12\xc3"[..]),
        (b"nul", b"1\x002"),
        (b"long", &b"9".repeat(5_000)),
        // A character that does not fit whole is left out whole.
        (b"accents", &"é".repeat(5_000).into_bytes()),
        (b"escapes", &b"\xff".repeat(5_000)),
        (b"tab", b"\"1\t\\x41\n2\""),
    ] {
        file.extend([id, b",", amount, b",x\n"].concat());
    }
    project.write("days/2024-03-01.csv", file);
    let ran = project.succeed(&["load", "2024-03-01"]);
    assert!(ran.stdout.ends_with("1 loaded (1 with rejected rows)\n"), "{}", ran.stdout);
    let kept = database.lines("select value, reason from rejected_rows order by line");
    let not_utf8 = "is not valid UTF-8; latin1 (ISO 8859-1) and windows-1252 would read it, UTF-8 is needed";
    let expected = [
        format!("\\xFF\\xFE12\\xC3|{not_utf8}"),
        "1\\x002|holds a NUL byte".to_owned(),
        format!("{}…|is out of range for a bigint", "9".repeat(2_048)),
        format!("{}…|is not a bigint", "é".repeat(1_024)),
        format!("{}…|{not_utf8}", "\\xFF".repeat(512)),
        "1\\t\\x41\\n2|is not a bigint".to_owned(),
    ];
    assert_eq!(kept, expected);
}

fn a_file_that_holds_more_than_it_may_is_refused_and_not_tried_again(database: &dyn Database) {
    let project = Project::new(database, &Orders { sections: "max_bytes = 24\n", ..Orders::default() });
    project.day("2024-03-01", "a,1,x\n");
    project.day("2024-03-02", "a,1,x\nb,2,y\n");
    let ran = project.exit(4, &["load", "2024-03-01..2024-03-02"]);
    let why = "days/2024-03-02.csv: holds more than 24 bytes, the limit; raise limits.max_bytes if it is right";
    assert!(ran.stdout.contains(why), "{ran:#?}");
    let states = "select cast(day as text) as d, state, rows_loaded from processed_days order by day";
    assert_eq!(database.lines(states), ["2024-03-01|loaded|1", "2024-03-02|refused|null"]);
    let sample = project.exit(4, &["check", "--sample", "days/2024-03-02.csv"]);
    assert!(sample.stdout.contains(&format!("would be refused: {why}")), "{sample:#?}");
}

#[test]
fn a_sample_may_have_the_window_that_the_dataset_allows() {
    let database = SqliteDatabase::new();
    let source = "url = \"days/{day}.csv\"\nzstd_window_log = 24".to_owned();
    let project = Project::new(&database, &Orders { source, ..Orders::default() });
    for (window, code) in [(24, 0), (25, 4)] {
        project.write("sample.csv", with_window(window, b"id,amount,note\na,1,x\n"));
        let ran = project.exit(code, &["check", "--sample", "sample.csv"]);
        assert_eq!(ran.stdout.contains("its zstd window is larger than 16777216 bytes"), code > 0, "{ran:#?}");
    }
}
