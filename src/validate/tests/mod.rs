//! Tests of the validator: headers, rejects, and what becomes of a record; the types have tables of their own.

mod values;

use std::convert::Infallible;

use super::*;
use crate::column::{Column, TableName};
use crate::dataset::Mode;
use crate::parse::Parser;

/// A dataset's columns and key, built like a sentence.
struct Shape {
    rows: Rows,
    target: Target,
    format: CsvFormat,
}

fn column(name: &str, kind: ColumnType) -> Column {
    Column {
        name: name.parse().unwrap(),
        header: name.to_owned(),
        kind,
        required: false,
        optional: false,
        default: None,
    }
}

fn shape(columns: impl IntoIterator<Item = Column>) -> Shape {
    Shape {
        rows: Rows { columns: columns.into_iter().collect(), filter: None, derive: Vec::new() },
        target: Target {
            table: "t".parse::<TableName>().unwrap(),
            mode: Mode::ReplaceDay,
            key: Vec::new(),
            day_column: "day".parse().unwrap(),
            loaded_at: None,
        },
        format: CsvFormat {
            delimiter: b',',
            quote: b'"',
            null: vec![String::new(), "N/A".to_owned()],
            last_line_end_required: true,
        },
    }
}

/// What became of one row.
#[derive(Debug, PartialEq)]
enum Taken {
    Row(Vec<Option<String>>),
    Reject(Reject),
}

/// A row that was accepted, with these cells.
fn row(cells: &[Option<&str>]) -> Taken {
    Taken::Row(cells.iter().map(|cell| cell.map(str::to_owned)).collect())
}

impl Shape {
    fn key(mut self, names: &[&str]) -> Self {
        self.target.key = names.iter().map(|name| name.parse().unwrap()).collect();
        self
    }

    /// Takes a file: its unknown columns and its rows, or why its header is refused.
    fn read(&self, file: impl AsRef<[u8]>) -> Result<(Vec<String>, Vec<Taken>), HeaderError> {
        let mut parser = Parser::new(&self.format);
        let mut validator = None;
        let mut taken = Vec::new();
        let mut row = Row::new();
        let mut each = |raw: RawRow<'_>| {
            let Some(validator) = &validator else {
                validator = Some(Validator::new(&raw, &self.rows, &self.target, &self.format));
                return Ok::<_, Infallible>(());
            };
            if let Ok(validator) = validator {
                taken.push(match validator.check(&raw, &mut row) {
                    Ok(()) => Taken::Row(row.cells().map(|cell| cell.map(str::to_owned)).collect()),
                    Err(reject) => Taken::Reject(reject),
                });
            }
            Ok(())
        };
        parser.push(file.as_ref(), &mut each).unwrap();
        parser.finish(&mut each).unwrap();
        Ok((validator.unwrap()?.unknown, taken))
    }

    fn rows(&self, file: impl AsRef<[u8]>) -> Vec<Taken> {
        self.read(file).unwrap().1
    }

    /// The messages of the rejects.
    fn rejects(&self, file: impl AsRef<[u8]>) -> Vec<String> {
        let reject = |taken| match taken {
            Taken::Row(_) => None,
            Taken::Reject(reject) => Some(reject.to_string()),
        };
        self.rows(file).into_iter().filter_map(reject).collect()
    }

    fn header_error(&self, file: impl AsRef<[u8]>) -> String {
        self.read(file).unwrap_err().to_string()
    }
}

fn a_b() -> Shape {
    shape([column("a", ColumnType::Text), column("b", ColumnType::Bigint)])
}

#[test]
fn header_names_decide_not_their_order() {
    let (unknown, rows) = a_b().read("x,b,,a\n?,1,!,one\n").unwrap();
    assert_eq!(unknown, ["x", "column 3 (unnamed)"]);
    assert_eq!(rows, [row(&[Some("one"), Some("1")])]);
}

#[test]
fn a_column_may_be_read_from_another_header() {
    let number = Column { header: "The number".to_owned(), ..column("b", ColumnType::Bigint) };
    assert_eq!(shape([number]).rows("b,The number\nx,1\n"), [row(&[Some("1")])]);
}

#[test]
fn broken_headers_are_told_whole() {
    let all = shape(["id", "nbr_metafields", "shop_domain"].map(|name| column(name, ColumnType::Text)));
    for (header, message) in [
        ("id", "line 1: missing in the header: nbr_metafields, shop_domain"),
        (
            "ID ,nbr_metafield,shop_domain",
            "line 1: missing in the header: id (is it \"ID \"?), nbr_metafields (is it \"nbr_metafield\"?)",
        ),
        ("id,id,shop_domain,nbr_metafields,x,x,x,y", "line 1: more than once in the header: id, x"),
        ("id,id", "line 1: missing in the header: nbr_metafields, shop_domain; more than once in the header: id"),
        ("1,2,3", "line 1: there is no header: the line names none of the columns id, nbr_metafields, shop_domain"),
    ] {
        assert_eq!(all.header_error(format!("{header}\n")), message);
    }
    assert_eq!(all.header_error("\n\nid\n"), "line 3: missing in the header: nbr_metafields, shop_domain");
    assert_eq!(
        a_b().header_error(b"a,b,caf\xE9\n"),
        "line 1: not valid UTF-8 in the header: caf\\xE9; latin1 (ISO 8859-1) and windows-1252 would read it, UTF-8 is \
         needed"
    );
}

#[test]
fn unnamed_columns_are_doubled_only_where_one_is_read() {
    assert!(a_b().read("a,b,,\n").is_ok());
    let unnamed = Column { header: String::new(), ..column("c", ColumnType::Text) };
    assert_eq!(shape([unnamed.clone()]).rows("a,\"\"\n1,2\n"), [row(&[Some("2")])]);
    assert_eq!(shape([unnamed]).header_error("a,,\n"), "line 1: more than once in the header: ");
}

#[test]
fn an_optional_column_may_be_missing() {
    let optional = |default: Option<&str>| Column {
        optional: true,
        default: default.map(str::to_owned),
        ..column("b", ColumnType::Boolean)
    };
    let read = |default| shape([column("a", ColumnType::Text), optional(default)]).rows("a\nx\n");
    assert_eq!(read(None), [row(&[Some("x"), None])]);
    assert_eq!(read(Some("yes")), [row(&[Some("x"), Some("1")])]);
}

#[test]
fn a_default_stands_for_null() {
    let with_default = Column { default: Some("0".to_owned()), required: true, ..column("b", ColumnType::Bigint) };
    let shape = shape([column("a", ColumnType::Text), with_default]);
    assert_eq!(shape.rows("a,b\nx,\ny,7\n"), [row(&[Some("x"), Some("0")]), row(&[Some("y"), Some("7")])]);
}

#[test]
fn null_markers_apply_to_every_type_and_to_the_raw_field() {
    for kind in ColumnType::ALL {
        assert_eq!(shape([column("a", kind)]).rows("a\n\"\"\nN/A\n"), [row(&[None]), row(&[None])], "{}", kind.name());
    }
    assert_eq!(shape([column("a", ColumnType::Text)]).rows("a\n N/A\n"), [row(&[Some(" N/A")])]);
    assert_eq!(
        shape([column("a", ColumnType::Date)]).rejects("a\n N/A\n"),
        ["line 2, column a: \" N/A\" is not a date"]
    );
}

#[test]
fn a_header_without_rows_is_no_fault() {
    assert_eq!(a_b().rows("a,b\n"), []);
}

#[test]
fn every_reason_to_reject() {
    let required = Column { required: true, ..column("r", ColumnType::Text) };
    let shape = shape([column("k", ColumnType::Text), required, column("n", ColumnType::Bigint)]).key(&["k"]);
    for (record, message) in [
        (&b"a"[..], "line 2: \"a\" has 1 field, the header has 3"),
        (b"a,b", "line 2: \"a,b\" has 2 fields, the header has 3"),
        (b"a,b,1,x", "line 2: \"a,b,1,x\" has 4 fields, the header has 3"),
        (b"a,,1", "line 2, column r: is null but required"),
        (b"N/A,b,1", "line 2, column k: is null but part of the key"),
        (b"a,b,abc", "line 2, column n: \"abc\" is not a bigint"),
        (b"a,b,9223372036854775808", "line 2, column n: \"9223372036854775808\" is out of range for a bigint"),
        (b"a,\xC3\xA9\xE9,1", "line 2, column r: \"\u{e9}\\xE9\" is not valid UTF-8"),
        (b"a,x\0y,1", "line 2, column r: \"x\\x00y\" holds a NUL byte"),
        (b"a,b,1\0", "line 2, column n: \"1\\x00\" holds a NUL byte"),
        (b"a,b,\"1\n2\"", "line 2, column n: \"1\\n2\" is not a bigint"),
    ] {
        assert_eq!(shape.rejects([b"k,r,n\n", record, b"\n"].concat()), [message]);
    }
}

#[test]
fn a_character_cut_in_two_by_a_delimiter_is_no_text() {
    let shape = shape([column("a", ColumnType::Text), column("b", ColumnType::Text)]);
    // In quotes the fields are put side by side, and the halves would make an é.
    for record in [&b"\"x\xC3\",\"\xA9\""[..], b"x\xC3,\xA9"] {
        assert_eq!(
            shape.rejects([b"a,b\n", record, b"\n"].concat()),
            [
                "line 2, column a: \"x\\xC3\" is not valid UTF-8; latin1 (ISO 8859-1) and windows-1252 would read it, UTF-8 is \
              needed"
            ]
        );
    }
}

#[test]
fn what_no_column_uses_may_hold_anything() {
    let shape = shape([column("a", ColumnType::Text)]);
    assert_eq!(shape.rows(b"a,x\n\xC3\xA9,\xFF\0\n"), [row(&[Some("é")])]);
}

#[test]
fn a_row_starts_anew_after_a_reject() {
    assert_eq!(a_b().rows("a,b\nlong text,x\nz,1\n")[1], row(&[Some("z"), Some("1")]));
}

#[test]
fn keys_are_bounded() {
    let text = |name| column(name, ColumnType::Text);
    let one = shape([text("a"), text("b")]).key(&["a"]);
    let (fits, too_long) = ("x".repeat(MAX_KEY_BYTES), "x".repeat(MAX_KEY_BYTES + 1));
    assert_eq!(one.rejects(format!("a,b\n{fits},{too_long}\n")), [""; 0]);
    assert!(one.rejects(format!("a,b\n{too_long},\n"))[0].ends_with("...\" makes the key longer than 2,600 bytes"));
    let two = shape([text("a"), text("b")]).key(&["b", "a"]);
    let (most, rest) = fits.split_at(2_000);
    assert_eq!(two.rejects(format!("a,b\n{most},{}\n", &rest[12..])), [""; 0]);
    assert!(two.rejects(format!("a,b\n{most},{rest}\n"))[0].starts_with("line 2, column b: \"xxx"));
    let json = shape([column("a", ColumnType::Json)]).key(&["a"]);
    let numbers = |count: usize| format!("a\n\"[{}1]\"\n", "1,".repeat(count - 1));
    assert_eq!((json.rejects(numbers(216)).len(), json.rejects(numbers(217)).len()), (0, 1));
}

#[test]
fn long_values_are_cut_between_characters() {
    let shown = |text: &str| reject::shown(text.as_bytes());
    let long = "x".repeat(2_048);
    assert_eq!(shown(&long), long);
    assert_eq!(shown(&format!("{long}x")), format!("{long}…"));
    assert_eq!(shown(&format!("{}é", &long[1..])), format!("{}…", &long[1..]));
    assert_eq!(reject::shown(&[&long.as_bytes()[2..], b"\xFF"].concat()), format!("{}…", &long[2..]));
    assert_eq!(reject::shown(b"a\xC3\xA9\xE2\x82\0z"), "aé\\xE2\\x82\\x00z");
}
