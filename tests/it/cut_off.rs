//! A file that is cut off, or runs away, is never loaded as a smaller day.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::Write as _;

use dayfill::audit::{Counts, audit};
use dayfill::config::{self, Environment};
use dayfill::dataset::Dataset;
use dayfill::day::{Day, DayRange};
use dayfill::parse::MAX_RECORD_BYTES;
use dayfill::read_rows::{ReadError, RecordOutcome, RowReader};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::Database;
use crate::support::project::{Orders, Project, rows};
use crate::support::sqlite::SqliteDatabase;

/// How much of the end of a file is tried byte by byte.
const TAIL: usize = 2 * 1024;

/// A file's text, and the ends of its rows: only cut there (or inside the line end) is it whole.
struct Whole {
    text: Vec<u8>,
    /// Where each row ends: before its line end, behind its first byte, behind all of it.
    ends: Vec<(usize, usize)>,
}

impl Whole {
    /// The quirks of real files: quotes, doubled quotes, line ends and delimiters in quotes, blank lines, long
    /// characters, values that are nothing, and values that stay valid however they are cut.
    fn new(line_end: &str, rows: usize) -> Self {
        let mut text = format!("\u{feff}id,amount,note{line_end}").into_bytes();
        let mut ends = Vec::new();
        for row in 0..rows {
            let note = match row % 7 {
                0 => "plain".to_owned(),
                1 => format!("\"two{line_end}lines, and \"\"quotes\"\"{line_end}\""),
                2 => String::new(),
                3 => "été 😀".to_owned(),
                4 => "\"\"".to_owned(),
                5 => "\"\"\"\"".to_owned(),
                _ => "N/A".to_owned(),
            };
            text.extend_from_slice(format!("row-{row},{},{note}", row * 1000).as_bytes());
            let before = text.len();
            text.extend_from_slice(line_end.as_bytes());
            ends.push((before, text.len()));
            if row % 5 == 0 {
                text.extend_from_slice(line_end.as_bytes());
            }
        }
        Self { text, ends }
    }

    /// How many whole rows a cut leaves, if it leaves nothing but whole rows. A CR alone is no line end where the
    /// others are CRLF.
    fn whole_rows(&self, cut: usize) -> Option<usize> {
        let rows = self.ends.iter().take_while(|(_, end)| *end <= cut).count();
        let (_, end) = self.ends[rows - 1];
        let blank = self.text[end.min(cut)..cut].iter().all(|byte| matches!(byte, b'\r' | b'\n'));
        blank.then_some(rows)
    }

    fn cuts(&self) -> std::ops::Range<usize> {
        self.text.len() - TAIL..self.text.len()
    }
}

/// What the library says of a file: its rows, or why its day would be refused.
fn read(dataset: &Dataset, text: &[u8], piece: usize) -> Result<usize, String> {
    let mut counts = Counts::default();
    let mut accepted = 0;
    let mut take = |read: RecordOutcome<'_>| -> Result<(), Infallible> {
        match read {
            RecordOutcome::Header(_) => {}
            RecordOutcome::Accepted { .. } => (counts.read, accepted) = (counts.read + 1, accepted + 1),
            RecordOutcome::Rejected { lines, .. } => {
                counts.read += lines;
                counts.rejected += lines;
            }
        }
        Ok(())
    };
    let mut reader = RowReader::new(dataset);
    let pushed = text.chunks(piece).try_for_each(|bytes| reader.push(bytes, &mut take));
    match pushed.and_then(|()| reader.finish(&mut take)) {
        Ok(()) => {}
        Err(ReadError::Refused(why)) => return Err(why.error),
        Err(ReadError::Taker(never)) => match never {},
    }
    audit(counts, &dataset.limits).map(|_| accepted).map_err(|refusal| refusal.to_string())
}

fn dataset(project: &Project) -> Dataset {
    let config = config::load(Some(&project.path("dayfill.toml")), &Environment::from_pairs([]));
    config.unwrap_or_else(|problems| panic!("{problems}")).datasets.remove(0)
}

/// The days of a range, as many as there are files; from a day on that the dataset's schedule does not want, since days
/// named are loaded all the same.
fn days(number: usize) -> (Vec<Day>, String) {
    let from: Day = "2024-04-01".parse().unwrap();
    let mut days = vec![from];
    days.resize_with(number, {
        let mut day = from;
        move || {
            day = day.next();
            day
        }
    });
    let range = DayRange { from, to: *days.last().unwrap() };
    (days, format!("{}..{}", range.from, range.to))
}

#[test]
fn a_file_cut_off_at_any_byte_of_its_last_2_kb_is_refused_or_whole() {
    let database = SqliteDatabase::new();
    // Rows that are rejected would be no way out for a cut-off one.
    for max_rejected in ["0", "100%"] {
        let project = Project::new(&database, &Orders { max_rejected, ..Orders::default() });
        let dataset = dataset(&project);
        for line_end in ["\n", "\r\n"] {
            let whole = Whole::new(line_end, 160);
            assert_eq!(read(&dataset, &whole.text, 1000), Ok(160));
            let mut wholes = 0;
            for cut in whole.cuts() {
                // However the rest arrives.
                let found = read(&dataset, &whole.text[..cut], 1 << (cut % 13));
                match whole.whole_rows(cut) {
                    Some(rows) => assert_eq!(found, Ok(rows), "cut off at {cut}, {line_end:?}"),
                    None => assert!(found.is_err(), "cut off at {cut}, {line_end:?}: {found:?}"),
                }
                wholes += u32::from(whole.whole_rows(cut).is_some());
            }
            assert!(wholes > 50, "cuts behind whole rows are among them: {wholes}");
        }
    }
}

#[test]
fn a_cut_off_file_is_refused_or_loaded_with_its_whole_rows() {
    let database = SqliteDatabase::new();
    let project = Project::new(&database, &Orders { max_rejected: "100%", ..Orders::default() });
    let whole = Whole::new("\r\n", 400);
    // Every 83rd byte, and some that leave whole rows.
    let behind_rows = whole.ends[395..].iter().map(|(_, end)| *end);
    let cuts: Vec<usize> = whole.cuts().step_by(83).chain(behind_rows).collect();
    let (days, range) = days(cuts.len());
    for (day, cut) in days.iter().zip(&cuts) {
        project.write(&format!("days/{day}.csv"), &whole.text[..*cut]);
    }
    project.exit(4, &["load", &range]);
    let expected = cuts.iter().zip(&days).map(|(cut, day)| match whole.whole_rows(*cut) {
        Some(rows) => format!("{day}|loaded|{rows}|{rows}"),
        None => format!("{day}|refused|null|0"),
    });
    let found = database.lines(
        "select day, state, rows_loaded, (select count(*) from orders where file_date = day) as c \
         from processed_days order by day",
    );
    assert_eq!(found, expected.collect::<Vec<_>>());
    assert!(found.iter().filter(|line| line.contains("loaded")).count() >= 5, "{found:?}");
}

#[test]
fn a_quote_that_is_never_closed_refuses_the_day() {
    let database = SqliteDatabase::new();
    let project = Project::new(&database, &Orders { max_rejected: "100%", ..Orders::default() });
    let rows = |from: usize, to: usize| (from..to).fold(String::new(), |text, row| text + &format!("{row},{row},x\n"));
    // Few lines below the open quote, and more than a record may hold.
    let small = format!("{}a,1,\"open\n{}", rows(0, 3), rows(3, 9));
    let big = format!("{}a,1,\"open\n{}", rows(0, 3), rows(3, 120_000));
    assert!(big.len() > MAX_RECORD_BYTES + 1000);
    project.day("2024-03-01", &small);
    project.day("2024-03-02", &big);
    project.day("2024-03-03", "a,1,\"he said \\\"\"hi\n");
    project.day("2024-03-04", &format!("a,1,{}\n", "x".repeat(MAX_RECORD_BYTES)));
    let ran = project.exit(4, &["load", "2024-03-01..2024-03-04"]);
    for (day, why) in [
        (
            1,
            "line 5: the row that begins here has a quote that is still open at the end of the file; the file is cut off, or \
             the quote is stray",
        ),
        (2, "line 5: the row that begins here is longer than 1 MiB; is its closing quote missing?"),
        (
            3,
            "the file is cut off, or it seems to escape quotes with backslashes (\\\"), and only doubled quotes (\"\") are read",
        ),
        // No quote is open, so that none can be missing.
        (4, "line 2: the row that begins here is longer than 1 MiB"),
    ] {
        let line = ran.stdout.lines().find(|line| line.contains(&format!("2024-03-0{day}"))).unwrap();
        assert!(line.trim_end().ends_with(why), "{line}");
    }
    assert_eq!(database.line("select count(*) from orders"), "0");
}

#[test]
fn a_record_of_exactly_1_mib_is_taken_and_one_byte_more_is_not() {
    let database = SqliteDatabase::new();
    let project = Project::new(&database, &Orders::default());
    for (day, length, code) in [("2024-03-01", MAX_RECORD_BYTES - 2, 0), ("2024-03-02", MAX_RECORD_BYTES - 1, 4)] {
        let note = "n\n".repeat(length).split_off(length);
        project.day(day, &format!("a,1,\"{note}\"\n"));
        project.exit(code, &["load", day]);
    }
    assert_eq!(database.lines("select length(note) from orders"), [(MAX_RECORD_BYTES - 2).to_string()]);
}

#[test]
fn a_stray_quote_counts_all_lines_it_swallowed() {
    let database = SqliteDatabase::new();
    for (max_rejected, code, rejected) in [("10", 4, 11), ("11", 0, 11), ("52%", 4, 11), ("55%", 0, 11)] {
        let project = Project::new(&database, &Orders { max_rejected, ..Orders::default() });
        // The quote opens on line 5 and is closed on line 15: eleven lines, of 20 below the header.
        let mut text = String::new();
        for line in 2..=21 {
            let quote = if line == 5 || line == 15 { "\"" } else { "" };
            let _ = writeln!(text, "row-{line},{quote}{line},x");
        }
        project.day("2024-03-01", &text);
        project.exit(code, &["load", "2024-03-01", "--force"]);
        assert_eq!(
            database.line("select rows_read, rows_rejected from load_attempts order by started_at desc limit 1"),
            format!("20|{rejected}"),
            "{max_rejected}"
        );
        assert_eq!(database.lines("select line, column_name from rejected_rows"), ["5|amount"]);
        if code == 0 {
            assert_eq!(rows(&database).len(), 9);
        }
        project.succeed(&["forget", "2024-03-01"]);
    }
}

#[test]
fn a_gzip_file_cut_off_anywhere_fails_and_is_not_loaded() {
    let database = SqliteDatabase::new();
    let source = "url = \"days/{day}.csv.gz\"".to_owned();
    let project = Project::new(&database, &Orders { source, max_rejected: "100%", ..Orders::default() });
    let whole = Whole::new("\n", 900);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&whole.text).unwrap();
    let gzip = gzip.finish().unwrap();
    let cuts: Vec<usize> = (0..gzip.len()).step_by(37).chain(gzip.len() - 9..gzip.len()).collect();
    assert!(cuts.len() > 60, "{}", cuts.len());
    let (days, range) = days(cuts.len() + 1);
    for (day, cut) in days.iter().zip(cuts.iter().chain([&gzip.len()])) {
        project.write(&format!("days/{day}.csv.gz"), &gzip[..*cut]);
    }
    project.exit(1, &["load", &range]);
    assert_eq!(
        database.lines("select state, count(*) from processed_days group by state order by state"),
        ["failed|".to_owned() + &cuts.len().to_string(), "loaded|1".to_owned()]
    );
    assert_eq!(database.line("select count(*) from orders"), "900");
}
