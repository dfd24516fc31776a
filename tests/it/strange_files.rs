//! Files that are not what their dataset says: each is refused or rejected with words that say what it is, or warned of.

use std::convert::Infallible;
use std::fmt::Write as _;

use dayfill::config::{self, Environment};
use dayfill::dataset::Dataset;
use dayfill::read_rows::{Look, ReadError, RecordOutcome, RowReader};
use dayfill::wording::with_first;

use crate::support::project::{Orders, Project};
use crate::support::sqlite::SqliteDatabase;
use crate::support::{Database, on_both};

on_both! {
    rows_that_a_stray_quote_swallowed_are_rejected_and_the_others_load
    backslashes_before_quotes_refuse_the_day
    what_steers_a_terminal_reaches_no_log_database_or_terminal
    rows_that_may_be_misread_are_warned_of
}

/// The columns `id`, `name` and `amount`, or those named here.
fn dataset(columns: &str, csv: &str) -> Dataset {
    let database = SqliteDatabase::new();
    let project = Project::new(&database, &Orders::default());
    let columns = match columns {
        "" => {
            "{ name = \"id\", type = \"bigint\" }, { name = \"name\", type = \"text\" }, \
             { name = \"amount\", type = \"numeric\" }"
        }
        columns => columns,
    };
    project.write(
        "datasets/orders.toml",
        format!(
            "[source]\nurl = \"days/{{day}}.csv\"\n[schedule]\ncron = \"@daily\"\nstart = 2024-03-01\n[csv]\n{csv}\n\
             [target]\ntable = \"orders\"\nkey = [\"id\"]\n[rows]\ncolumns = [{columns}]\n"
        ),
    );
    let config = config::load(Some(&project.path("dayfill.toml")), &Environment::from_pairs([]));
    config.unwrap_or_else(|problems| panic!("{problems}")).datasets.remove(0)
}

/// What became of a file: the lines of the accepted rows, the rejects, and what is warned of; or why it is refused.
#[derive(Debug, Default)]
struct Read {
    accepted: Vec<u64>,
    rejects: Vec<(u64, String)>,
    doubts: Vec<(Look, u64, u64)>,
}

fn read(dataset: &Dataset, file: &[u8]) -> Result<Read, String> {
    let mut read = Read::default();
    let mut take = |taken: RecordOutcome<'_>| {
        match taken {
            RecordOutcome::Header(_) => {}
            RecordOutcome::Accepted { line, .. } => read.accepted.push(line),
            RecordOutcome::Rejected { lines, reject } => read.rejects.push((lines, reject.to_string())),
        }
        Ok::<_, Infallible>(())
    };
    let mut reader = RowReader::new(dataset);
    let read_whole = file.chunks(1000).try_for_each(|piece| reader.push(piece, &mut take));
    match read_whole.and_then(|()| reader.finish(&mut take)) {
        Ok(()) => {}
        Err(ReadError::Refused(refusal)) => return Err(with_first(&refusal.error, refusal.line.as_deref())),
        Err(ReadError::Taker(never)) => match never {},
    }
    read.doubts = reader.doubts().iter().map(|doubt| (doubt.look, doubt.rows, doubt.first)).collect();
    Ok(read)
}

/// Asserts on which lines the accepted rows of a file begin, and how many lines each reject spans and what it says.
#[track_caller]
fn assert_rows(dataset: &Dataset, file: &[u8], accepted: &[u64], rejects: &[(u64, &str)]) {
    let read = read(dataset, file).unwrap();
    assert_eq!(read.accepted, accepted);
    let found: Vec<(u64, &str)> = read.rejects.iter().map(|(lines, reject)| (*lines, reject.as_str())).collect();
    assert_eq!(found, rejects);
}

const LINE: &str = "the line is";

#[test]
fn a_file_without_its_header_is_told_for_what_it_is() {
    let dataset = dataset("", "");
    let none = "line 1: there is no header: the line names none of the columns id, name, amount";
    for (file, message) in [
        (
            &b"ID,Name,AMOUNT\n1,Bob,10\n"[..],
            "line 1: missing in the header: id (is it \"ID\"?), name (is it \"Name\"?), amount (is it \"AMOUNT\"?); \
             the line is \"ID,Name,AMOUNT\""
                .to_owned(),
        ),
        (
            b"id, name, amount\n1, Bob, 10\n",
            format!(
                "line 1: missing in the header: name (is it \" name\"?), amount (is it \" amount\"?); {LINE} \"id, name, \
                 amount\""
            ),
        ),
        (b"1,Bob,10\n2,Ann,20\n", format!("{none}; {LINE} \"1,Bob,10\"")),
        (b"Daily report\nby ACME\n\nid,name,amount\n", format!("{none}; {LINE} \"Daily report\"")),
        (b"sep=;\nid;name;amount\n", format!("{none}; {LINE} \"sep=;\"")),
        (
            b"\n# made \x1b[31m\nid,name,amount\n",
            format!("{}; {LINE} \"# made \\u{{1b}}[31m\"", none.replace('1', "2")),
        ),
        (
            b"id;name;amount\n1;Bob;10\n",
            format!("{none}; csv.delimiter = \";\" would make it fit; {LINE} \"id;name;amount\""),
        ),
        (
            b"\"id\";\"name\";\"amount\"\n1;Bob;10\n",
            format!(
                "line 1: the header has text after a closing quote; a quote is stray or not doubled; \
                 csv.delimiter = \";\" would make it fit; {LINE} \"\"id\";\"name\";\"amount\"\""
            ),
        ),
        (
            b"id\tname\tamount\n1\tBob\t10\n",
            format!("{none}; csv.delimiter = \"\\t\" would make it fit; {LINE} \"id\\tname\\tamount\""),
        ),
        (
            b"id||name||amount\n1||Bob||10\n",
            format!(
                "{none}; its columns are separated by \"||\", and csv.delimiter is one character; {LINE} \
                 \"id||name||amount\""
            ),
        ),
        (
            b"id\x1fname\x1famount\n1\x1fBob\x1f10\n",
            format!(
                "{none}; its columns are separated by \"\\u{{1f}}\", and csv.delimiter is one character; {LINE} \
                 \"id\\u{{1f}}name\\u{{1f}}amount\""
            ),
        ),
        (
            b",name,amount\n0,a,1\n",
            format!(
                "line 1: missing in the header: id; column 1 of the file has no name; columns are found by their \
                 names, so give it one where the file is made; {LINE} \",name,amount\""
            ),
        ),
        (
            b"id,name,amount,Stra\xdfe\n1,Bob,10,x\n",
            format!(
                "line 1: not valid UTF-8 in the header: Stra\\xDFe; latin1 (ISO 8859-1) and windows-1252 would read it, \
                 UTF-8 is needed; {LINE} \"id,name,amount,Stra\u{fffd}e\""
            ),
        ),
        (b"\xff\xfei\0d\0", "line 1: the file is encoded in UTF-16; it must be UTF-8".to_owned()),
        (b"", "line 1: the file is empty, it has no header".to_owned()),
    ] {
        assert_eq!(read(&dataset, file).unwrap_err(), message);
    }
    for (file, is) in [
        (&b"<!DOCTYPE html>\n<html><body>503</body></html>\n"[..], "an HTML page"),
        (b"{\"id\":1,\"name\":\"Bob\"}\n{\"id\":2,\"name\":\"Ann\"}\n", "JSON"),
        (
            b"PK\x03\x04\x14\0\0\0\0\0aX\x85\xdd\x18\0\0\0\x18\0\0\0\x05\0\0\0a.csvid,name\n1,B\nPK\x01\x02",
            "a zip archive",
        ),
        (b"BZh91AY&SY\x8a\x90\x97F\0\0G\xdd\x80", "compressed with bzip2"),
        (b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4F\x02\0!\x01\x16\0\0\0id,name,amount\n1,Bob,10\n", "compressed with xz"),
        (b"7z\xbc\xaf\x27\x1c\0\x04\x0a\x0d", "a 7z archive"),
        (b"PAR1\x15\x04\x15\x10", "a Parquet file"),
        (b"%PDF-1.7\r\n%\xe2\xe3", "a PDF document"),
    ] {
        let refused = read(&dataset, file).unwrap_err();
        assert!(refused.starts_with(&format!("the file is no CSV: it is {is}")), "{refused}");
    }
}

#[test]
fn the_delimiter_and_the_quote_that_would_make_a_header_fit_are_named() {
    let dataset = dataset("", "");
    let none = "line 1: there is no header: the line names none of the columns id, name, amount";
    for (file, message) in [
        (
            &b"id name amount\n1 Bob 10\n"[..],
            format!("{none}; csv.delimiter = \" \" would make it fit; {LINE} \"id name amount\""),
        ),
        (
            b"'id','name','amount'\n1,'Bob',10\n",
            format!(
                "line 1: missing in the header: id, name, amount (is it \"'amount'\"?); csv.quote = \"'\" would make it \
                 fit; {LINE} \"'id','name','amount'\""
            ),
        ),
        (
            b"'id';'name';'amount'\n1;'Bob';10\n",
            format!(
                "{none}; csv.delimiter = \";\" and csv.quote = \"'\" would make it fit; {LINE} \
                 \"'id';'name';'amount'\""
            ),
        ),
    ] {
        assert_eq!(read(&dataset, file).unwrap_err(), message);
    }
}

#[test]
fn a_name_that_a_header_has_twice_refuses_the_file_also_where_nothing_reads_it() {
    let refused = read(&dataset("", ""), b"id,name,amount,note,note\n1,Bob,10,x,y\n").unwrap_err();
    assert_eq!(refused, "line 1: more than once in the header: note; the line is \"id,name,amount,note,note\"");
    let refused = read(&dataset("{ name = \"id\", type = \"text\" }", ""), b"id,x,x\n1,a,b\n").unwrap_err();
    assert_eq!(refused, "line 1: more than once in the header: x; the line is \"id,x,x\"");
}

#[test]
fn a_header_that_begins_like_another_kind_of_file_is_one() {
    let refused = read(&dataset("", ""), b"<TICKER>,<DATE>\nx,y\n").unwrap_err();
    assert!(refused.ends_with("the line is \"<TICKER>,<DATE>\""), "{refused}");
    let dataset = dataset("{ name = \"id\", type = \"text\", from = \"ORCID\" }", "");
    assert_eq!(read(&dataset, b"ORCID\nx\n").unwrap().accepted, [2]);
}

#[test]
fn names_of_a_file_are_cut_and_counted_in_messages() {
    let dataset = dataset("", "");
    let names: Vec<String> = (0..8_000).map(|at| format!("{at:063},{at:063}")).collect();
    let refused = read(&dataset, format!("id,{}\n1\n", names.join(",")).as_bytes()).unwrap_err();
    assert!(refused.contains("and 7,990 more"), "{refused}");
    assert!(refused.len() < 2_048, "{} bytes", refused.len());
    let long = format!("id,name,amount,{0},{0}\n", "x\x07".repeat(200_000));
    let refused = read(&dataset, long.as_bytes()).unwrap_err();
    assert!(refused.len() < 2_048 && !refused.contains('\x07'), "{} bytes", refused.len());
}

#[test]
fn rows_that_cannot_be_told_apart_are_rejected() {
    let dataset_of = dataset;
    let dataset = dataset("", "");
    for (rows, accepted, rejects) in [
        (
            &b"1,\"Hip by Huey,10\n2,Ann,20\n3,\"Eve\",30\n4,Zed,40\n"[..],
            &[5][..],
            &[(
                3,
                "line 2, column name: \"Hip by Huey,10\\n2,Ann,20\\n3,\" has text after a closing quote; a quote is stray or \
                 not doubled",
            )][..],
        ),
        (
            b"1,\"He said \\\"hi\\\" to me\",10\n2,\"a\\\", b\",20\n3,plain,30\n",
            &[4],
            &[
                (
                    1,
                    "line 2, column name: \"He said \\\" has text after a closing quote; the file seems to escape quotes \
                     with backslashes (\\\"), and only doubled quotes (\"\") are read",
                ),
                (
                    1,
                    "line 3, column name: \"a\\\" ends in a backslash before its closing quote; the file seems to escape \
                     quotes with backslashes (\\\"), and only doubled quotes (\"\") are read",
                ),
            ],
        ),
        (b"1,Bob,10\nTRAILER,2\n", &[2], &[(1, "line 3: \"TRAILER,2\" has 2 fields, the header has 3")]),
        (
            b"1,first\r2,Ann,20\n3,Zed,30\n",
            &[4],
            &[(2, "line 2: \"1,first\" has a carriage return (CR) outside quotes; the file's lines end in LF")],
        ),
        (
            b"1,Caf\xe9,10\n2,Bob,20\n",
            &[3],
            &[(
                1,
                "line 2, column name: \"Caf\\xE9\" is not valid UTF-8; latin1 (ISO 8859-1) and windows-1252 would read it, \
                 UTF-8 is needed",
            )],
        ),
    ] {
        assert_rows(&dataset, &[b"id,name,amount\n", rows].concat(), accepted, rejects);
    }
    let tabs = dataset_of("", "delimiter = \"\\t\"");
    let file = b"id\tname\tamount\n1\t\"the rainmaker\" norton\t10\n2\t5\" pipe\t20\n";
    let Read { accepted, rejects, .. } = read(&tabs, file).unwrap();
    assert_eq!((accepted, rejects.len()), (vec![3], 1));
}

#[test]
fn rows_of_another_width_than_the_header_are_rejected_with_their_lines() {
    let dataset = dataset("", "");
    for (file, accepted, rejects) in [
        (
            &b"id,name,amount\n1,Bob,10,\n2,Ann,20,\n"[..],
            &[][..],
            &[
                (1, "line 2: \"1,Bob,10,\" has 4 fields, the header has 3"),
                (1, "line 3: \"2,Ann,20,\" has 4 fields, the header has 3"),
            ][..],
        ),
        (
            b"id,name,amount,\n1,Bob,10\n2,Ann,20\n",
            &[],
            &[
                (1, "line 2: \"1,Bob,10\" has 3 fields, the header has 4"),
                (1, "line 3: \"2,Ann,20\" has 3 fields, the header has 4"),
            ],
        ),
        (b"id,name,amount\n1,Bob,10\n2,Ann\n", &[2], &[(1, "line 3: \"2,Ann\" has 2 fields, the header has 3")]),
        (
            b"id,name,amount\n1,Bob,10\n2,Ann,20\nTRAILER,3\n",
            &[2, 3],
            &[(1, "line 4: \"TRAILER,3\" has 2 fields, the header has 3")],
        ),
        (
            b"id,name,amount\n1,Bob,10\n,,\n2,Ann,20\n,,\n",
            &[2, 4],
            &[
                (1, "line 3, column id: is null but part of the key"),
                (1, "line 5, column id: is null but part of the key"),
            ],
        ),
    ] {
        assert_rows(&dataset, file, accepted, rejects);
    }
}

#[test]
fn values_in_other_forms_are_rejected_with_line_and_column() {
    for (columns, csv, file, accepted, rejects) in [
        (
            "{ name = \"id\", type = \"bigint\", from = \"Auftrag\" }, { name = \"amount\", type = \"numeric\", from = \"Betrag\" }",
            "delimiter = \";\"",
            "Auftrag;Kunde;Betrag\n1001;M\u{fc}ller;1.234,50\n1002;V\u{f6}tk;-12,00\n",
            &[][..],
            &[
                "line 2, column amount: \"1.234,50\" is not a numeric",
                "line 3, column amount: \"-12,00\" is not a numeric",
            ][..],
        ),
        (
            "{ name = \"id\", type = \"bigint\" }, { name = \"paid\", type = \"numeric\" }, \
             { name = \"refunded\", type = \"numeric\" }",
            "",
            "id,customer,paid,refunded\n1,Ann,\"$1,234.50\",(1.50)\n2,Bob,12.00,(1.50)\n3,Zed,12.00,\n",
            &[4],
            &[
                "line 2, column paid: \"$1,234.50\" is not a numeric",
                "line 3, column refunded: \"(1.50)\" is not a numeric",
            ],
        ),
        (
            "{ name = \"id\", type = \"bigint\" }, { name = \"d\", type = \"date\" }, { name = \"epoch_ms\", type = \"timestamptz\" }",
            "",
            "id,d,epoch_ms\n1,31/03/2024,1711848600000\n2,2024-3-1,\n3,2024-03-01 00:00:00,\n4,2024-03-01,1711848600000\n",
            &[],
            &[
                "line 2, column d: \"31/03/2024\" is not a date",
                "line 3, column d: \"2024-3-1\" is not a date",
                "line 4, column d: \"2024-03-01 00:00:00\" is not a date",
                "line 5, column epoch_ms: \"1711848600000\" is not a timestamptz",
            ],
        ),
        (
            "{ name = \"id\", type = \"bigint\" }, { name = \"qty\", type = \"bigint\" }",
            "",
            "id,qty\n123.0,4.0\n124,5.0\n",
            &[],
            &["line 2, column id: \"123.0\" is not a bigint", "line 3, column qty: \"5.0\" is not a bigint"],
        ),
        (
            "{ name = \"id\", type = \"bigint\" }, { name = \"active\", type = \"boolean\" }, \
             { name = \"paid\", type = \"boolean\" }",
            "",
            "id,active,paid\n1,on,J\n2,true,J\n3,true,N\n",
            &[4],
            &["line 2, column active: \"on\" is not a boolean", "line 3, column paid: \"J\" is not a boolean"],
        ),
    ] {
        let rejects: Vec<(u64, &str)> = rejects.iter().map(|reject| (1, *reject)).collect();
        assert_rows(&dataset(columns, csv), file.as_bytes(), accepted, &rejects);
    }
}

#[test]
fn a_quote_behind_a_space_is_a_part_of_the_value() {
    let (dataset, mut values) = (dataset("", ""), Vec::new());
    let mut take = |taken: RecordOutcome<'_>| {
        if let RecordOutcome::Accepted { row, .. } = taken {
            values.push(row.cells().nth(1).flatten().map(str::to_owned));
        }
        Ok::<_, Infallible>(())
    };
    let mut reader = RowReader::new(&dataset);
    assert!(reader.push(b"id,name,amount\n1, \"Ann\",1\n2, \"B\"\"b\",1\n", &mut take).is_ok());
    assert!(reader.finish(&mut take).is_ok());
    assert_eq!(values, [Some(" \"Ann\"".to_owned()), Some(" \"B\"\"b\"".to_owned())]);
}

#[test]
fn accepted_rows_that_look_like_something_else_are_told_of() {
    let dataset = dataset("{ name = \"id\", type = \"text\" }, { name = \"name\", type = \"text\" }", "");
    for (rows, doubts) in [
        (&b"1,a\nid,name\n2,b\nid,name\n"[..], &[(Look::Header, 2, 3)][..]),
        (b"id,\"name\"\nname,id\nid,nam\n", &[(Look::Header, 1, 2)]),
        (b"1\"Bike, 24\"\n2,5\" pipe\n", &[(Look::Split, 1, 2)]),
        (b"1,\"\n2,b\n3,\"\n4,5\"Bike, 24\"\n5\"a,b\"\n", &[(Look::Swallowed, 1, 2), (Look::Split, 1, 6)]),
        (b"1,a\n2,\"b\nc\"\n", &[]),
    ] {
        assert_eq!(read(&dataset, &[b"id,name\n", rows].concat()).unwrap().doubts, doubts, "{}", rows.escape_ascii());
    }
}

/// One quote too many anywhere in a file of quoted and plain rows: no row is accepted that the file without it has not.
#[test]
fn a_quote_too_many_loads_no_row_that_the_file_does_not_have() {
    let dataset = dataset("{ name = \"id\", type = \"bigint\" }, { name = \"name\", type = \"text\" }", "");
    let good: String = (0..40).fold("id,name\n".to_owned(), |text, row| {
        text + &if row % 5 == 0 { format!("{row},\"a, \"\"{row}\"\"\"\n") } else { format!("{row},b{row}\n") }
    });
    let quoted = |at: usize| [&good.as_bytes()[..at], b"\"", &good.as_bytes()[at..]].concat();
    for at in 8..good.len() {
        let Ok(Read { accepted, rejects, doubts }) = read(&dataset, &quoted(at)) else { continue };
        let counted = accepted.len() as u64 + rejects.iter().map(|(lines, _)| lines).sum::<u64>();
        // All lines are accounted for, or it is said that some may not be.
        assert!(counted == 40 || !doubts.is_empty(), "a quote at {at}: {accepted:?} {rejects:?}");
    }
}

fn rows_that_a_stray_quote_swallowed_are_rejected_and_the_others_load(database: &dyn Database) {
    let mut text = String::new();
    for row in 1..=300 {
        let note = match row {
            101 => "\"Deluxe edition".to_owned(),
            201 => "\"Blue\" lamp".to_owned(),
            row => format!("item {row}"),
        };
        let _ = writeln!(text, "{row},{row},{note}");
    }
    let project = Project::new(database, &Orders { max_rejected: "0", ..Orders::default() });
    project.day("2024-03-01", &text);
    let ran = project.exit(4, &["load", "2024-03-01"]);
    assert!(ran.stdout.contains("101 lines (1 row) of 300 rejected (33.7%), the limit is 0"), "{}", ran.stdout);
    assert!(ran.stdout.contains("line 102, column note:"), "{}", ran.stdout);
    let sample = project.exit(4, &["check", "--sample", "days/2024-03-01.csv"]);
    assert!(sample.stdout.contains("orders: 300 rows, 199 accepted, 101 lines (1 row) rejected"), "{}", sample.stdout);

    project.orders(&Orders { max_rejected: "50%", ..Orders::default() });
    project.succeed(&["load", "2024-03-01"]);
    assert_eq!(database.line("select rows_read, rows_rejected, rows_loaded from processed_days"), "300|101|199");
    assert_eq!(database.line("select count(*) from orders where amount between 101 and 201"), "0");
    assert_eq!(database.line("select line, column_name from rejected_rows"), "102|note");
}

fn backslashes_before_quotes_refuse_the_day(database: &dyn Database) {
    let project = Project::new(database, &Orders { max_rejected: "0", ..Orders::default() });
    project.day("2024-03-01", "a,1,\"He said \\\"hi\\\" to me\"\nb,2,\"a\\\", b\"\n");
    let ran = project.exit(4, &["load", "2024-03-01"]);
    assert!(ran.stdout.contains("the file seems to escape quotes with backslashes"), "{}", ran.stdout);
    assert_eq!(database.line("select rows_read, rows_rejected from load_attempts"), "2|2");
    assert_eq!(database.line("select count(*) from orders"), "0");
}

/// The control characters that a terminal or a reader of lines obeys; a line end ends what the program says, and no more.
fn steers(text: &str) -> bool {
    text.chars().any(|c| c != '\n' && c.is_control()) || text.lines().any(|line| line.starts_with("fake"))
}

fn what_steers_a_terminal_reaches_no_log_database_or_terminal(database: &dyn Database) {
    let project = Project::new(database, &Orders { max_rejected: "100%", ..Orders::default() });
    let evil = "x\nfake 2026-11-28 ERROR made up\n\x1b[31mred \x1b]0;title\x07";
    project.write("days/2024-03-01.csv", format!("id,amount,note,\"{evil}\"\na,\"{evil}\",x,y\n"));
    project.write("days/2024-03-02.csv", format!("id,amount,note,\"{evil}\",\"{evil}\"\n"));
    project.write("days/2024-03-03.csv", format!("\"{evil}\",\"{evil}\"\n"));
    for day in ["2024-03-01", "2024-03-02", "2024-03-03"] {
        let loads = project.run(&["-v", "load", day]);
        let sample = project.run(&["check", "--sample", &format!("days/{day}.csv")]);
        for said in [&loads.stdout, &loads.stderr, &sample.stdout, &sample.stderr] {
            assert!(!steers(said), "{said:?}");
        }
    }
    project.succeed(&["skip", "2024-03-05", "--reason", evil]);
    let status = project.run(&["status", "--dataset", "orders", "--all"]);
    assert!(!steers(&status.stdout), "{:?}", status.stdout);
    let unknown = project.run(&["status", "--dataset", evil]);
    assert!(!unknown.stderr.chars().any(|c| c != '\n' && c.is_control()), "{:?}", unknown.stderr);
    for (table, column) in [
        ("processed_days", "error"),
        ("processed_days", "note"),
        ("load_attempts", "error"),
        ("load_attempts", "log"),
        ("rejected_rows", "value"),
        ("rejected_rows", "reason"),
    ] {
        let lines = database.lines(&format!("select coalesce({column}, '') as text from {table}"));
        assert!(lines.iter().all(|line| !steers(line)), "{table}.{column}: {lines:?}");
    }
}

fn rows_that_may_be_misread_are_warned_of(database: &dyn Database) {
    let project = Project::new(database, &Orders { csv: "delimiter = \"\\t\"", ..Orders::default() });
    project.write("days/2024-03-01.csv", "id\tamount\tnote\na\t1\t\"\nb\t2\tabc\nc\t3\t\"\nd\t4\tdef\n");
    let warned = "rows may be misread: 1 row holds line ends inside quotes (the first on line 2), and without the \
                  quotes each of the lines would be a row";
    let ran = project.succeed(&["load", "2024-03-01"]);
    assert!(ran.stderr.contains(&format!("WARN  orders 2024-03-01: {warned}")), "{}", ran.stderr);
    assert_eq!(database.line("select count(*) from orders"), "2");
    let log = database.line("select log from load_attempts");
    assert!(log.contains(warned), "{log}");
    let sample = project.succeed(&["check", "--sample", "days/2024-03-01.csv"]);
    assert!(sample.stderr.contains(warned), "{}", sample.stderr);
    project.write("days/2024-03-03.csv", "id\tamount\tnote\tmore\na\t1\t5\"Bike\tx\"\n");
    let split =
        "rows may be misread: 1 row has a quote inside a field that only a later field closes (the first on line 2)";
    let ran = project.succeed(&["load", "2024-03-03"]);
    assert!(ran.stderr.contains(&format!("WARN  orders 2024-03-03: {split}")), "{}", ran.stderr);
    // Text of several lines is nothing to warn of.
    project.write("days/2024-03-02.csv", "id\tamount\tnote\na\t1\t\"Dear all,\nhello\"\n");
    let ran = project.succeed(&["load", "2024-03-02"]);
    assert!(!ran.stderr.contains("misread"), "{}", ran.stderr);
}
