//! Every value that is accepted goes through a real COPY: one that PostgreSQL refuses would abort the whole day's, and
//! so fails the test. What then stands in the table is what PostgreSQL makes of the same text by itself.

use std::fmt::Write as _;

use dayfill::column::ColumnType;
use dayfill::validate::check_value;
use proptest::prelude::*;
use proptest::strategy::{Union, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::support::Database;
use crate::support::postgres::TestPostgres;
use crate::support::project::Project;

/// Rows in a file, each with a value of every type.
const ROWS: usize = 1_200;

/// A text that no value is: the null marker, so that empty text stays text.
const NULL: &str = "<null>";

/// Set to what a failure printed, this repeats it.
const SEED: &str = "DAYFILL_TEST_SEED";

/// Says on a failure how to repeat it.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to repeat this: {SEED}={}", self.0);
        }
    }
}

impl Seed {
    fn find() -> Self {
        let given = std::env::var(SEED).ok().map(|seed| seed.parse().unwrap());
        Self(given.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0))
    }

    fn runner(&self, file: u64) -> TestRunner {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.0.to_le_bytes());
        bytes[8..16].copy_from_slice(&file.to_le_bytes());
        TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
    }
}

fn word(words: &[&'static str]) -> BoxedStrategy<String> {
    proptest::sample::select(words.to_vec()).prop_map(str::to_owned).boxed()
}

fn pattern(pattern: &'static str) -> BoxedStrategy<String> {
    proptest::string::string_regex(pattern).unwrap().boxed()
}

fn any_of(strategies: impl IntoIterator<Item = BoxedStrategy<String>>) -> BoxedStrategy<String> {
    Union::new(strategies).boxed()
}

/// A number of up to 40 digits near a limit, spelled with sign and zeros in front.
fn near(limits: Vec<i128>) -> BoxedStrategy<String> {
    let spelled = (proptest::sample::select(limits), -3_i128..=3, 0..4_usize, any::<bool>());
    spelled
        .prop_map(|(limit, off, zeros, plus)| {
            let number = limit.saturating_add(off);
            let sign = if number < 0 {
                "-"
            } else if plus {
                "+"
            } else {
                ""
            };
            format!("{sign}{}{}", "0".repeat(zeros), number.unsigned_abs())
        })
        .boxed()
}

fn whole() -> BoxedStrategy<String> {
    let limits =
        vec![0, i32::MIN.into(), i32::MAX.into(), i64::MIN.into(), i64::MAX.into(), u64::MAX.into(), i128::MAX];
    any_of([
        near(limits),
        any::<i64>().prop_map(|n| n.to_string()).boxed(),
        any::<i32>().prop_map(|n| n.to_string()).boxed(),
    ])
}

fn double() -> BoxedStrategy<String> {
    let bits = any::<u64>().prop_map(f64::from_bits);
    let denormal = (0..1_u64 << 52).prop_map(f64::from_bits);
    any_of([
        bits.clone().prop_map(|n| format!("{n}")).boxed(),
        bits.prop_map(|n| format!("{n:e}")).boxed(),
        denormal.prop_map(|n| format!("{n:E}")).boxed(),
        // Around the largest double, the smallest normal one and the smallest of all.
        pattern("-?1\\.797693134862315[6-9][0-9]{0,20}[eE]\\+?30[78]"),
        pattern("2\\.22507385850720[0-9]{1,20}e-308"),
        pattern("[-+]?[2-5]\\.[0-9]{1,20}e-32[3-5]"),
        pattern("[-+]?[0-9]{0,400}\\.?[0-9]{0,400}"),
        pattern("[-+]?0{0,400}\\.?0{0,400}[0-9]?([eE][-+]?[0-9]{1,5})?"),
        word(&[
            "nan",
            "NaN",
            "inf",
            "-INF",
            "+infinity",
            "-Infinity",
            "-nan",
            "1e",
            "-0",
            "-0e-999999",
            "0e99999999999",
        ]),
    ])
}

/// Numbers of an exponent each, near where `numeric` ends.
fn numeric() -> BoxedStrategy<String> {
    let edges = vec![0_i64, 130_999, 131_000, 131_071, -15_999, -16_000, -16_383, i32::MAX.into(), i32::MIN.into()];
    let exponent = (proptest::sample::select(edges), -4_i64..=4).prop_map(|(edge, off)| edge + off);
    let edge = ("[-+]?[0-9]{1,3}\\.?[0-9]{0,3}", exponent.clone(), any::<bool>());
    // Zeros that move the point, and huge exponents that they make up for.
    let moved = (0..16_500_usize, exponent, any::<bool>());
    any_of([
        edge.prop_map(|(mantissa, exponent, e)| format!("{mantissa}{}{exponent}", if e { "E" } else { "e" })).boxed(),
        pattern("[-+]?[0-9]{0,40}\\.?[0-9]{0,40}([eE][-+]?[0-9]{1,4})?"),
        word(&[
            "NaN",
            "nan",
            "0e131000",
            "0e-16000",
            "0.0e16000",
            "-0.000",
            "00000",
            ".5",
            "5.",
            "inf",
            "1_000",
            "0x10",
        ]),
        // One of a few is long: each is a hundred kilobytes in the table.
        Union::new_weighted(vec![
            (40, pattern("0{0,9}[0-9]{1,80}")),
            (
                1,
                moved
                    .prop_map(|(zeros, exponent, before)| {
                        let zeros = "0".repeat(zeros);
                        if before { format!("1{zeros}e{exponent}") } else { format!("0.{zeros}1e{exponent}") }
                    })
                    .boxed(),
            ),
        ])
        .boxed(),
    ])
}

fn date() -> BoxedStrategy<String> {
    any_of([
        pattern("(000[0-2]|1[59]00|19[0-9]{2}|20[0-9]{2}|2400|999[89])-(0[0-9]|1[0-3])-(0[0-9]|[12][0-9]|3[012])"),
        word(&[
            "0001-01-01",
            "9999-12-31",
            "1900-02-29",
            "2000-02-29",
            "1582-10-10",
            "2021-02-30",
            "infinity",
            "epoch",
        ]),
    ])
}

fn moment() -> BoxedStrategy<String> {
    let clock = any_of([
        pattern("[ T]([01][0-9]|2[0-4]):[0-5][0-9](:[0-5][0-9](\\.[0-9]{1,10})?)?"),
        pattern("[ T]23:59:(59|60)\\.9999[0-9]{0,5}"),
        // Where rounding to microseconds is a matter of the last bit.
        pattern(" 00:00:00\\.[0-9]{5}[0-9]5[0-9]{0,2}"),
        pattern(" 12:00:00\\.[0-9]{6}5"),
    ]);
    (date(), clock).prop_map(|(date, clock)| date + &clock).boxed()
}

fn zoned() -> BoxedStrategy<String> {
    let zone = any_of([
        pattern(" ?[-+](0[0-9]|1[0-6]):?([0-5][0-9])?"),
        pattern(" ?[-+]1[456]:?(00|59|60)"),
        word(&["", "Z", "z", " UTC", "utc", " Utc", "+00", "-00:00", " EST", "+2", "+02:00:00"]),
    ]);
    (moment(), zone).prop_map(|(moment, zone)| moment + &zone).boxed()
}

fn uuid() -> BoxedStrategy<String> {
    any_of([
        pattern("[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"),
        pattern("[0-9a-fA-F]{32}"),
        pattern("\\{[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9A-F]{12}\\}"),
        pattern("\\{[0-9A-F]{32}\\}"),
        pattern("\\{?[0-9a-g]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{16}\\}?"),
    ])
}

fn json() -> BoxedStrategy<String> {
    let escapes = word(&[
        "\\n",
        "\\\"",
        "\\\\",
        "\\/",
        "\\b\\f\\r\\t",
        "\\u0000",
        "\\u0001",
        "\\u001F",
        "\\u00e9",
        "\\uFFFF",
        "\\uFFFE",
        "\\ud83d\\ude00",
        "\\uDBFF\\uDFFF",
        "\\uD800\\uDC00",
        "\\ud83d",
        "\\ude00",
        "\\\\u0000",
        "\\\\\\u0041",
        "\\x41",
    ]);
    let piece = any_of([escapes, pattern("[^\"\\\\\\x00-\\x1f]{0,6}"), pattern("\\\\u[0-9a-fA-F]{4}")]);
    let string = proptest::collection::vec(piece, 0..6).prop_map(|pieces| format!("\"{}\"", pieces.concat())).boxed();
    let number = any_of([
        numeric().prop_filter("not the long ones", |text| text.len() < 100).boxed(),
        double().prop_filter("not the long ones", |text| text.len() < 100).boxed(),
        pattern("-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][-+]?[0-9]{1,6})?"),
    ]);
    let leaf = any_of([string.clone(), number, word(&["null", "true", "false", "[]", "{}", "nul", "NaN", "-"])]);
    let value = leaf.prop_recursive(6, 24, 5, move |inner| {
        let key = string.clone();
        let blank = || pattern("[ \\t\\n\\r]{0,2}");
        any_of([
            (proptest::collection::vec(inner.clone(), 0..5), blank())
                .prop_map(|(values, blank)| format!("[{blank}{}{blank}]", values.join(&format!("{blank},"))))
                .boxed(),
            (proptest::collection::vec((key, inner), 0..4), blank())
                .prop_map(|(pairs, blank)| {
                    let pairs: Vec<_> =
                        pairs.iter().map(|(key, value)| format!("{key}{blank}:{blank}{value}")).collect();
                    format!("{{{}}}{blank}", pairs.join(","))
                })
                .boxed(),
        ])
    });
    let deep = (110..140_usize, any::<bool>()).prop_map(|(depth, array)| {
        let (open, close) = if array { ("[", "]") } else { ("{\"\":", "}") };
        format!("{}1{}", open.repeat(depth), close.repeat(depth))
    });
    Union::new_weighted(vec![(20, value.boxed()), (1, deep.boxed())]).boxed()
}

fn text() -> BoxedStrategy<String> {
    any_of([
        any::<String>().boxed(),
        proptest::collection::vec(any::<char>(), 0..20).prop_map(String::from_iter).boxed(),
        pattern("[\\\\\\t\\n\\r\",.N'\\x01-\\x1f\\x7f a\u{85}\u{a0}\u{feff}\u{10ffff}]{0,12}"),
        word(&[
            "", "\\N", "\\.", "\\.\n", "\n\\.\n", "\\", "\\\\", "\\x41", "\\t", "\r", "\u{feff}", "null", "NULL", " ",
        ]),
        pattern("[a-z]{0,3}\\x00?[a-z]{0,3}"),
    ])
}

fn boolean() -> BoxedStrategy<String> {
    pattern("([tT]([rR][uU][eE])?|[fF]([aA][lL][sS][eE])?|[yY]([eE][sS])?|[nN][oO]?|[01]|on|off|tru|2)")
}

/// Values of a type and others that nearly are, some of them with blanks around.
fn values(kind: ColumnType) -> BoxedStrategy<String> {
    let values = match kind {
        ColumnType::Text => return text(),
        ColumnType::Boolean => boolean(),
        ColumnType::Integer | ColumnType::Bigint => whole(),
        ColumnType::Double => double(),
        ColumnType::Numeric => numeric(),
        ColumnType::Date => date(),
        ColumnType::Timestamp => any_of([moment(), zoned()]),
        ColumnType::Timestamptz => zoned(),
        ColumnType::Uuid => uuid(),
        ColumnType::Json => json(),
    };
    let blanks = "[ \\t\\n\\r\\x0c]{0,2}";
    let padded = (blanks, values.clone(), blanks).prop_map(|(before, value, after)| before + &value + &after);
    Union::new_weighted(vec![(5, values), (1, padded.boxed())]).boxed()
}

/// A value of that type that is accepted; it is never the null marker.
fn accepted(kind: ColumnType, strategy: &BoxedStrategy<String>, runner: &mut TestRunner) -> String {
    let mut out = String::new();
    loop {
        let value = strategy.new_tree(runner).unwrap().current();
        if check_value(kind, &value, &mut out).is_ok() {
            return value;
        }
    }
}

fn kinds() -> impl Iterator<Item = (ColumnType, &'static str, BoxedStrategy<String>)> {
    ColumnType::ALL.into_iter().map(|kind| (kind, kind.name(), values(kind)))
}

/// A project whose dataset has a column `c_TYPE` of every type, and beside each the same text as text.
fn project(database: &dyn Database) -> Project {
    let columns = kinds().fold(String::new(), |mut text, (_, name, _)| {
        let _ = writeln!(
            text,
            "  {{ name = \"c_{name}\", type = \"{name}\" }},\n  {{ name = \"raw_{name}\", type = \"text\" }},"
        );
        text
    });
    let project = Project::new(database, &crate::support::project::Orders::default());
    std::fs::remove_file(project.path("datasets/orders.toml")).unwrap();
    project.write(
        "datasets/values.toml",
        format!(
            r#"[source]
url = "days/{{day}}.csv"
[schedule]
cron = "0 2 * * *"
start = 2024-03-01
[csv]
null = ["{NULL}"]
[target]
table = "accepted"
key = ["id"]
[rows]
columns = [
  {{ name = "id", type = "integer" }},
{columns}]
[limits]
max_rejected = "100%"
"#
        ),
    );
    project
}

/// Writes a day; gives the text of each row that will be taken, by id, and how many will not.
fn write_day(project: &Project, day: &str, runner: &mut TestRunner) -> (Vec<(usize, String)>, usize) {
    let kinds: Vec<_> = kinds().collect();
    let mut csv = csv::Writer::from_path(project.path(&format!("days/{day}.csv"))).unwrap();
    let header = kinds.iter().flat_map(|(_, name, _)| [format!("c_{name}"), format!("raw_{name}")]);
    csv.write_record(["id".to_owned()].into_iter().chain(header)).unwrap();
    let (mut taken, mut rejected) = (Vec::new(), 0);
    for id in 0..ROWS {
        let mut values: Vec<String> =
            kinds.iter().map(|(kind, _, strategy)| accepted(*kind, strategy, runner)).collect();
        // In a few rows one value is left to chance.
        if id % 10 == 0 {
            let at = id / 10 % kinds.len();
            values[at] = kinds[at].2.new_tree(runner).unwrap().current();
        }
        let fine =
            values.iter().zip(&kinds).all(|(value, (kind, ..))| check_value(*kind, value, &mut String::new()).is_ok());
        if fine {
            taken.push((id, values[0].clone()));
        } else {
            rejected += 1;
        }
        let cells = values.iter().zip(&kinds).flat_map(|(value, (kind, ..))| {
            let raw = if *kind == ColumnType::Text { value } else { value.trim_ascii() };
            [value.clone(), raw.to_owned()]
        });
        csv.write_record([id.to_string()].into_iter().chain(cells)).unwrap();
    }
    csv.flush().unwrap();
    (taken, rejected)
}

#[test]
fn what_is_accepted_passes_copy_and_is_what_postgres_reads() {
    let seed = Seed::find();
    let database = TestPostgres::database();
    let project = project(&database);
    let days = ["2024-03-01", "2024-03-02"];
    for (file, day) in (0..).zip(days) {
        let (taken, rejected) = write_day(&project, day, &mut seed.runner(file));
        assert!(taken.len() > ROWS * 9 / 10, "most rows are taken: {}", taken.len());
        project.succeed(&["load", day]);
        // A rejected row counts as the lines it spans.
        assert_eq!(
            database.line(&format!(
                "select state, rows_read - rows_rejected, rows_loaded, rows_loaded + rows_rejected >= {ROWS} as all \
                 from processed_days where day = '{day}'"
            )),
            format!("loaded|{0}|{0}|true", taken.len())
        );
        assert_eq!(
            database.line(&format!("select count(*) from rejected_rows where day = '{day}'")),
            rejected.to_string()
        );
        for (_, name, _) in kinds() {
            let kind = match name {
                "double" => "double precision",
                "json" => "jsonb",
                name => name,
            };
            let differ = database.lines(&format!(
                "select left(raw_{name}, 200) as raw, left(c_{name}::text, 200) as read from accepted \
                 where file_date = '{day}' and c_{name} is distinct from raw_{name}::{kind} limit 5"
            ));
            assert_eq!(differ, Vec::<String>::new(), "{name}: a text, and what was loaded for it");
        }
        let hex = |text: &str| {
            text.bytes().fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            })
        };
        let texts = database.lines(&format!(
            "select id, encode(convert_to(c_text, 'UTF8'), 'hex') as hex from accepted \
             where file_date = '{day}' order by id"
        ));
        let expected: Vec<String> = taken.iter().map(|(id, text)| format!("{id}|{}", hex(text))).collect();
        assert!(texts == expected, "{day}: a text is not what was written");
    }
}
