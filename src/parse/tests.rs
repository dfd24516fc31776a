//! Tests of the parser: line numbers, broken files, and that neither depends on how the bytes arrive.

use std::convert::Infallible;

use proptest::prelude::*;

use super::*;

const STRICT: CsvFormat = CsvFormat { delimiter: b',', quote: b'"', null: Vec::new(), last_line_end_required: true };
const LENIENT: CsvFormat = CsvFormat { delimiter: b',', quote: b'"', null: Vec::new(), last_line_end_required: false };

/// A record as a test sees it: the line it starts on, how many it spans, its fields, or why it has none.
type Seen = (u64, u64, Result<Vec<Vec<u8>>, RecordFault>);

/// Parses the chunks; gives the records handed out, and how the file ended.
fn parse_chunks<'a>(format: &CsvFormat, chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Seen>, Option<BrokenFile>) {
    let mut parser = Parser::new(format);
    let mut seen = Vec::new();
    let mut each = |row: RawRow<'_>| {
        assert_eq!(row.len(), row.fields().count());
        let fields = row.fields().map(<[u8]>::to_vec).collect();
        seen.push((row.line(), row.lines(), row.fault().map_or(Ok(fields), Err)));
        Ok::<_, Infallible>(())
    };
    let mut end = Ok(());
    for chunk in chunks {
        end = parser.push(chunk, &mut each);
        if end.is_err() {
            break;
        }
    }
    let broken = match end.and_then(|()| parser.finish(&mut each)) {
        Ok(()) => None,
        Err(ParseError::File(broken)) => Some(broken),
    };
    (seen, broken)
}

fn parse(format: &CsvFormat, bytes: &[u8]) -> (Vec<Seen>, Option<BrokenFile>) {
    parse_chunks(format, [bytes])
}

/// A file that is whole, as lines and fields.
fn whole(format: &CsvFormat, text: &str) -> Vec<(u64, Vec<String>)> {
    let (seen, broken) = parse(format, text.as_bytes());
    assert_eq!(broken, None, "{text:?}");
    let text = |field: Vec<u8>| String::from_utf8(field).unwrap();
    seen.into_iter().map(|(line, _, fields)| (line, fields.unwrap().into_iter().map(text).collect())).collect()
}

#[test]
fn lines_and_fields() {
    for (text, expected) in [
        ("a,b\n1,2\n", vec![(1, vec!["a", "b"]), (2, vec!["1", "2"])]),
        ("a,b\r\n1,2\r\n3,4\r\n", vec![(1, vec!["a", "b"]), (2, vec!["1", "2"]), (3, vec!["3", "4"])]),
        ("a\r1\r2\r", vec![(1, vec!["a"]), (2, vec!["1"]), (3, vec!["2"])]),
        ("\u{feff}a\n1\n", vec![(1, vec!["a"]), (2, vec!["1"])]),
        ("\u{feff}\u{feff}a\n", vec![(1, vec!["\u{feff}a"])]),
        ("\u{feff}\"a\"\n", vec![(1, vec!["a"])]),
        ("\n\na\n\r\n\n1\n", vec![(3, vec!["a"]), (6, vec!["1"])]),
        (
            "a\n\"x\ny\"\n\"x\r\ny\rz\"\n1\n",
            vec![(1, vec!["a"]), (2, vec!["x\ny"]), (4, vec!["x\r\ny\rz"]), (7, vec!["1"])],
        ),
        ("a,b\n,\n\"\",\"\"\n", vec![(1, vec!["a", "b"]), (2, vec!["", ""]), (3, vec!["", ""])]),
        ("a\n\"\"\n \n", vec![(1, vec!["a"]), (2, vec![""]), (3, vec![" "])]),
        ("a\n\"say \"\"hi\"\"\"\n5\" disk\n", vec![(1, vec!["a"]), (2, vec!["say \"hi\""]), (3, vec!["5\" disk"])]),
        ("a,b\n1\n1,2,3\n", vec![(1, vec!["a", "b"]), (2, vec!["1"]), (3, vec!["1", "2", "3"])]),
    ] {
        let expected: Vec<(u64, Vec<String>)> = expected
            .into_iter()
            .map(|(line, fields)| (line, fields.into_iter().map(str::to_owned).collect()))
            .collect();
        assert_eq!(whole(&STRICT, text), expected, "{text:?}");
    }
}

/// What a row is handed out as that breaks the rules: its line, how many lines it spans, why, and the rows around it.
#[test]
fn rows_that_break_the_rules() {
    use RecordFault::{EscapedQuote, LoneCr, LoneLf, TextAfterQuote};
    let after = |field, backslash| TextAfterQuote { field, backslash };
    for (text, line, lines, fault, others) in [
        ("a\n\"x\"y\n1\n", 2, 1, after(0, false), &[1, 3][..]),
        ("a\n\"x\" \n1\n", 2, 1, after(0, false), &[1, 3]),
        ("a,b,c\n1,\"Hip,10\n2,Ann,20\n3,\"Eve\",30\n4,Zed,40\n", 2, 3, after(1, false), &[1, 5]),
        ("a,b,c\r\n1,\"Hip,10\r\n2,Ann,20\r\n3,\"Eve\",30\r\n4,Zed,40\r\n", 2, 3, after(1, false), &[1, 5]),
        ("a,b,c\r1,\"Hip,10\r2,Ann,20\r3,\"Eve\",30\r4,Zed,40\r", 2, 3, after(1, false), &[1, 5]),
        // The quotes behind the fault open nothing.
        ("a\n\"Blue\" \"lamp\n1\n", 2, 1, after(0, false), &[1, 3]),
        ("a,b\n1,\"say \\\"hi\\\"\"\n2,x\n", 2, 1, after(1, true), &[1, 3]),
        ("a,b,c\n1,\"x\\\", b\",2\n2,x,y\n", 2, 1, EscapedQuote { field: 1 }, &[1, 3]),
        ("a,b\n1,first\r2,second\n3,x\n", 2, 2, LoneCr, &[1, 4]),
        ("a,b\r\n1,\"first\"\r2,second\r\n3,x\r\n", 2, 2, LoneCr, &[1, 4]),
        ("a,b\n\r1,x\n3,x\n", 2, 2, LoneCr, &[1, 4]),
        ("a,b\r1,first\n2,second\r3,x\r", 2, 2, LoneLf, &[1, 4]),
    ] {
        let (seen, broken) = parse(&STRICT, text.as_bytes());
        assert_eq!(broken, None, "{text:?}");
        let (faults, rest): (Vec<Seen>, Vec<Seen>) = seen.into_iter().partition(|(_, _, fields)| fields.is_err());
        assert_eq!(faults, [(line, lines, Err(fault))], "{text:?}");
        assert_eq!(rest.iter().map(|(line, ..)| *line).collect::<Vec<_>>(), others, "{text:?}");
    }
    // Backslashes are text like any other where they escape nothing.
    for text in ["a,b\n\"C:\\\",\"5\"\"\"\n", "a,b\n\"C:\\\\\",5\"\n", "a,b\nC:\\,5\"\n"] {
        assert_eq!(whole(&STRICT, text).len(), 2, "{text:?}");
    }
}

#[test]
fn a_header_that_breaks_the_rules_breaks_the_file() {
    for (text, message) in [
        ("\"a\"b,c\n1,2\n", "line 1: the header has text after a closing quote"),
        ("\n\"a\\\"b\",c\n1,2\n", "line 2: the header has text after a closing quote; the file seems to escape"),
    ] {
        let broken = parse(&STRICT, text.as_bytes()).1.unwrap().to_string();
        assert!(broken.starts_with(message), "{broken}");
    }
}

#[test]
fn lines_that_would_be_rows_without_their_quotes_are_told_from_text() {
    for (text, is) in [
        ("a\tb\n0\t\"\n1\tabc\n2\t\"\n", true),
        ("a\tb\n0\t\"x\r\n1\ty\"\n", true),
        ("a\tb\n0\t\"x\ny\"\n", false),
        ("a\tb\n0\t\"x\n\n1\ty\"\n", false),
        ("a\tb\n0\t\"x\"\n", false),
    ] {
        let mut parser = Parser::new(&CsvFormat { delimiter: b'\t', ..STRICT });
        let mut last = false;
        let mut each = |row: RawRow<'_>| {
            last = row.looks_like_rows(b'\t', 2);
            Ok::<_, Infallible>(())
        };
        parser.push(text.as_bytes(), &mut each).unwrap();
        assert_eq!(last, is, "{text:?}");
    }
}

#[test]
fn a_quote_that_a_later_field_closes_is_told_from_other_quotes() {
    for (row, is) in [
        ("1,90.99\"Bike, 24\"\"\",x", true),
        ("1,Rod 8 Wt.\"Crisp in our 8'9\"\" rod, made for her.\"", true),
        ("1, \"Smith, John\"", true),
        ("1, \"Smith,x, \"\"y\"\", John\",z", true),
        ("1,5\" pipe,6\" pipe", false),
        ("1,5\",6\"", false),
        ("1,5\" pipe,\"6\"\"\"", false),
        ("1, \"Smith\", \"John\"", false),
        ("1,a\"b,c\"d", false),
        ("1,\"Smith, John\",\"a\"", false),
        ("1,\"say \"\"hi\"\"\",\"\"\"hi\"\"\"", false),
    ] {
        let mut parser = Parser::new(&STRICT);
        let mut last = false;
        let mut each = |row: RawRow<'_>| {
            assert_eq!(row.fault(), None);
            last = row.looks_split(b'"');
            Ok::<_, Infallible>(())
        };
        parser.push(format!("a\n{row}\n").as_bytes(), &mut each).unwrap();
        assert_eq!(last, is, "{row}");
    }
}

#[test]
fn other_delimiters_and_quotes() {
    let format = CsvFormat { delimiter: b';', quote: b'\'', ..STRICT };
    assert_eq!(
        whole(&format, "a;b\n'1;''2';\"3,4\n"),
        [(1, vec!["a".to_owned(), "b".to_owned()]), (2, vec!["1;'2".to_owned(), "\"3,4".to_owned()])]
    );
}

#[test]
fn a_record_knows_how_many_lines_it_spans() {
    let spans =
        |format: &CsvFormat, text: &str| parse(format, text.as_bytes()).0.iter().map(|row| row.1).collect::<Vec<_>>();
    assert_eq!(spans(&STRICT, "a\r\n\"x\r\ny\"\r\n\"\n\n\"\n1\n"), [1, 2, 3, 1]);
    assert_eq!(spans(&LENIENT, "a\n\"x\ny\""), [1, 2]);
    assert_eq!(spans(&LENIENT, "a\n1"), [1, 1]);
}

#[test]
fn broken_files() {
    use BrokenFile::{Empty, NoLineEnd, OpenQuote, ShortLastRow, Utf16};
    for (bytes, strict, lenient) in [
        (&b""[..], Some(Empty), Some(Empty)),
        (b"\xEF\xBB\xBF", Some(Empty), Some(Empty)),
        (b"\r\n\n", Some(Empty), Some(Empty)),
        (b"\xFF\xFEa\0,\0", Some(Utf16), Some(Utf16)),
        (b"\xFE\xFF\0a", Some(Utf16), Some(Utf16)),
        (b"\xEF\xBB", Some(NoLineEnd { line: 1 }), None),
        (b"\xFF", Some(NoLineEnd { line: 1 }), None),
        (b"a,b", Some(NoLineEnd { line: 1 }), None),
        (b"a,b\n1,2", Some(NoLineEnd { line: 2 }), None),
        (b"a,b\n1,2\r", Some(NoLineEnd { line: 2 }), None),
        (b"a,b\r1,2\r", None, None),
        (b"a,b\r", None, None),
        (b"a,b\n1,", Some(NoLineEnd { line: 2 }), None),
        (b"a,b\n1,\"x\ny\"", Some(NoLineEnd { line: 3 }), None),
        (b"a,b\n1,\"2\"\"\"", Some(NoLineEnd { line: 2 }), None),
        (b"a,b\n1,2,3", Some(NoLineEnd { line: 2 }), None),
        (
            b"a,b\n1",
            Some(ShortLastRow { line: 2, fields: 1, expected: 2 }),
            Some(ShortLastRow { line: 2, fields: 1, expected: 2 }),
        ),
        (
            b"a,b\n\n1,\"2\n\n3",
            Some(OpenQuote { line: 3, backslash: false }),
            Some(OpenQuote { line: 3, backslash: false }),
        ),
        (
            b"a,b\n1,\"2\"\"",
            Some(OpenQuote { line: 2, backslash: false }),
            Some(OpenQuote { line: 2, backslash: false }),
        ),
        (b"a\n\"", Some(OpenQuote { line: 2, backslash: false }), Some(OpenQuote { line: 2, backslash: false })),
        (b"\"a", Some(OpenQuote { line: 1, backslash: false }), Some(OpenQuote { line: 1, backslash: false })),
    ] {
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(parse(&STRICT, bytes).1, strict, "{text:?}");
        assert_eq!(parse(&LENIENT, bytes).1, lenient, "{text:?}");
    }
}

#[test]
fn messages_name_the_line() {
    assert_eq!(
        BrokenFile::NoLineEnd { line: 7 }.to_string(),
        "line 7 has no line end; the file may be cut off (csv.last_line_end = \"optional\" accepts such files)"
    );
    let too_long = |open_quote| ParseError::<Infallible>::File(BrokenFile::RecordTooLong { line: 7, open_quote });
    assert_eq!(
        too_long(true).to_string(),
        "line 7: the row that begins here is longer than 1 MiB; is its closing quote missing?"
    );
    assert_eq!(too_long(false).to_string(), "line 7: the row that begins here is longer than 1 MiB");
}

/// How a file ends whose second record is this, whatever the pushes.
fn end_of_second_record(record: &[u8]) -> Option<BrokenFile> {
    let mut file = b"a\n".to_vec();
    file.extend_from_slice(record);
    let (seen, broken) = parse(&LENIENT, &file);
    for size in [1000, 4096, 65_536] {
        assert_eq!(parse_chunks(&LENIENT, file.chunks(size)), (seen.clone(), broken.clone()), "pushes of {size} bytes");
    }
    broken
}

#[test]
fn the_longest_record() {
    let of = |quote: &str, len: usize, end: &str| format!("{quote}{}{quote}{end}", "x".repeat(len)).into_bytes();
    for quote in ["", "\""] {
        for end in ["", "\n"] {
            assert_eq!(end_of_second_record(&of(quote, MAX_RECORD_BYTES, end)), None);
            let too_long = Some(BrokenFile::RecordTooLong { line: 2, open_quote: !quote.is_empty() });
            assert_eq!(end_of_second_record(&of(quote, MAX_RECORD_BYTES + 1, end)), too_long);
        }
    }
    assert_eq!(end_of_second_record(&vec![b'"'; 2 * MAX_RECORD_BYTES + 2]), None);
    assert_eq!(
        end_of_second_record(&vec![b'"'; 3 * MAX_RECORD_BYTES]),
        Some(BrokenFile::RecordTooLong { line: 2, open_quote: true })
    );
}

#[test]
fn the_widest_record() {
    for end in ["", "\n"] {
        let of = |fields: usize| format!("{}{end}", ",".repeat(fields - 1)).into_bytes();
        assert_eq!(end_of_second_record(&of(MAX_FIELDS)), None);
        assert_eq!(end_of_second_record(&of(MAX_FIELDS + 1)), Some(BrokenFile::TooManyFields { line: 2 }));
    }
}

#[test]
fn memory_is_bounded() {
    let mut parser = Parser::new(&STRICT);
    let mut each = |_: RawRow<'_>| Ok::<_, Infallible>(());
    parser.push(b"a\n\"", &mut each).unwrap();
    let chunk = vec![b'x'; 65_536];
    let end = (0..1000).find_map(|_| parser.push(&chunk, &mut each).err());
    assert_eq!(end, Some(ParseError::File(BrokenFile::RecordTooLong { line: 2, open_quote: true })));
    assert!(parser.record.capacity() <= 2 * MAX_RECORD_BYTES);
}

#[test]
fn the_callback_can_stop() {
    let mut parser = Parser::new(&STRICT);
    let mut rows = 0;
    let mut each = |row: RawRow<'_>| {
        rows += 1;
        if row.line() == 2 { Err("enough") } else { Ok(()) }
    };
    assert_eq!(parser.push(b"a\n1\n2\n", &mut each), Err(ParseError::Row("enough")));
    assert_eq!(rows, 2);
}

/// The promise of this module: whatever byte a file is cut at, it is refused, or its rows are the first ones of the
/// whole file and the cut lies right after a line end.
#[test]
fn a_file_cut_at_any_byte_never_passes_as_a_smaller_one() {
    let mut text = String::from("id,name,list\n");
    for line in
        ["1,a,[0]", "2,\"b,\"\"c\"\"\",\"[1, 2]\"", "3,\"two\r\nlines\nthree\",", "\"4\",,\"\"\"\"", "", "5,é,x"]
    {
        text.push_str(line);
        text.push_str(if line.len() % 2 == 0 { "\r\n" } else { "\n" });
    }
    for text in [text.clone(), text.replace("\r\n", "\n").replace('\n', "\r\n"), format!("\u{feff}{text}")] {
        let bytes = text.as_bytes();
        let (all, broken) = parse(&STRICT, bytes);
        assert_eq!((all.len(), broken), (6, None));
        let mut accepted = 0;
        for cut in 0..bytes.len() {
            let (some, broken) = parse(&STRICT, &bytes[..cut]);
            assert_eq!(some, all[..some.len()], "cut at {cut}");
            if broken.is_none() {
                accepted += 1;
                assert!(matches!(bytes[cut - 1], b'\r' | b'\n'), "cut at {cut}");
            }
        }
        assert!(accepted >= all.len() - 1);
    }
}

/// Lines before the end of the text, counted another way than the parser does.
fn lines_in(text: &[u8]) -> u64 {
    let text = String::from_utf8(text.to_vec()).unwrap();
    text.replace("\r\n", "\n").chars().filter(|c| matches!(c, '\n' | '\r')).count() as u64
}

/// Cuts bytes into chunks of the given sizes, over and over.
fn chunks<'a>(bytes: &'a [u8], sizes: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = bytes;
    sizes.iter().cycle().map_while(move |size| {
        let (chunk, after) = rest.split_at_checked(*size).unwrap_or((rest, &[]));
        rest = after;
        (!chunk.is_empty()).then_some(chunk)
    })
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1..4_usize, 1..200_usize], 1..8)
}

/// Bytes that mean something to a parser, and some that do not.
fn bytes_of_a_file() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        4 => Just(&b"\""[..]),
        4 => Just(&b","[..]),
        3 => Just(&b"\n"[..]),
        2 => Just(&b"\r"[..]),
        2 => Just(&b"\r\n"[..]),
        4 => Just(&b"x"[..]),
        1 => Just(&b"\xEF\xBB\xBF"[..]),
        1 => Just(&b"\xFF"[..]),
        1 => Just(&b"\xFE"[..]),
        1 => Just(&b"\0"[..]),
    ];
    prop_oneof![
        prop::collection::vec(token, 0..60).prop_map(|tokens| tokens.concat()),
        prop::collection::vec(any::<u8>(), 0..60),
    ]
}

proptest! {
    #[test]
    fn what_the_csv_crate_writes_comes_back(
        records in prop::collection::vec(prop::collection::vec("[a-c,\"\r\né ]{0,6}", 1..5), 1..12),
        line_end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
        blank in prop::collection::vec(0..3_usize, 12),
        bom in any::<bool>(),
        sizes in sizes(),
    ) {
        let mut file = if bom { b"\xEF\xBB\xBF".to_vec() } else { Vec::new() };
        let mut expected: Vec<Seen> = Vec::new();
        for (record, blank) in records.iter().zip(blank) {
            file.extend(line_end.repeat(blank).bytes());
            let start = file.len();
            let terminator = match line_end {
                "\r\n" => csv::Terminator::CRLF,
                other => csv::Terminator::Any(other.as_bytes()[0]),
            };
            let mut writer = csv::WriterBuilder::new().terminator(terminator).from_writer(&mut file);
            writer.write_record(record).unwrap();
            drop(writer);
            let before = lines_in(&file[..start]);
            let fields = record.iter().map(|field| field.clone().into_bytes()).collect();
            expected.push((before + 1, lines_in(&file) - before, Ok(fields)));
        }
        prop_assert_eq!(parse_chunks(&STRICT, chunks(&file, &sizes)), (expected, None));
    }

    #[test]
    fn the_result_does_not_depend_on_the_pushes(bytes in bytes_of_a_file(), sizes in sizes()) {
        for format in [&STRICT, &LENIENT] {
            // Byte by byte no record is ever found in place, so this also compares the two ways of reading.
            let one_by_one = parse_chunks(format, bytes.chunks(1));
            prop_assert_eq!(&parse(format, &bytes), &one_by_one);
            prop_assert_eq!(&parse_chunks(format, chunks(&bytes, &sizes)), &one_by_one);
        }
    }

    #[test]
    fn a_cut_file_is_refused_or_a_prefix(bytes in bytes_of_a_file(), cut in any::<prop::sample::Index>()) {
        let (all, _) = parse(&STRICT, &bytes);
        let cut = cut.index(bytes.len() + 1);
        let (some, broken) = parse(&STRICT, &bytes[..cut]);
        prop_assert!(some.len() <= all.len() && some == all[..some.len()]);
        prop_assert!(broken.is_some() || matches!(bytes[cut - 1], b'\r' | b'\n'));
    }
}
