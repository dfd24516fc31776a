//! What each type accepts, what it is written as, and what is refused.

use proptest::prelude::*;

use super::super::check_value;
use crate::column::ColumnType::{self, *};

fn check(kind: ColumnType, text: &str) -> Result<String, String> {
    let mut out = String::from("before ");
    let checked = check_value(kind, text, &mut out);
    let appended = out.strip_prefix("before ").unwrap().to_owned();
    if checked.is_err() {
        assert_eq!(appended, "", "a refused value leaves nothing behind");
    }
    checked.map(|()| appended)
}

/// Each text is accepted, and written as the text beside it.
fn accepted(kind: ColumnType, cases: &[(&str, &str)]) {
    for (text, written) in cases {
        assert_eq!(check(kind, text).as_deref(), Ok(*written), "{text:?} as {}", kind.name());
        assert_eq!(check(kind, written).as_deref(), Ok(*written), "{written:?} as {} again", kind.name());
    }
}

/// Each text is accepted as it stands.
fn kept(kind: ColumnType, cases: &[&str]) {
    for text in cases {
        accepted(kind, &[(text, text)]);
    }
}

fn refused(kind: ColumnType, reason: &str, cases: &[&str]) {
    for text in cases {
        assert_eq!(check(kind, text), Err(reason.to_owned()), "{text:?} as {}", kind.name());
    }
}

#[test]
fn text() {
    kept(Text, &["", " a ", "é\n\t\u{7f}\u{10FFFF}", "\\N", "\\."]);
    refused(Text, "holds a NUL byte", &["\0", "a\0b"]);
}

#[test]
fn boolean() {
    for (written, words) in [
        ("1", ["true", "True", "TRUE", "t", "T", "yes", "Yes", "y", "Y", "1", " true\t"]),
        ("0", ["false", "False", "FALSE", "f", "F", "no", "No", "n", "N", "0", "\nfalse "]),
    ] {
        for word in words {
            accepted(Boolean, &[(word, written)]);
        }
    }
    refused(Boolean, "is not a boolean", &["", " ", "2", "10", "tru", "truee", "on", "off", "vrai", "-1", "ｔ"]);
}

#[test]
fn integer() {
    kept(Integer, &["0", "7", "-7", "2147483647", "-2147483648"]);
    accepted(
        Integer,
        &[("+7", "7"), ("007", "7"), ("-007", "-7"), ("-0", "0"), ("+0", "0"), ("000", "0"), (" 7 ", "7")],
    );
    refused(Integer, "is out of range for an integer", &["2147483648", "-2147483649", "99999999999999999999"]);
    let no_digits =
        ["", "-", "+", "abc", "1.0", "1e3", "0x1F", "1_000", "1,000", "- 1", "--1", "+-1", "٣", "1 2", "NaN"];
    refused(Integer, "is not an integer", &no_digits);
    accepted(Integer, &[(&format!("{}1", "0".repeat(5_000)), "1")]);
}

#[test]
fn bigint() {
    kept(Bigint, &["0", "2147483648", "9223372036854775807", "-9223372036854775808"]);
    accepted(Bigint, &[("+9223372036854775807", "9223372036854775807"), ("-00", "0")]);
    refused(Bigint, "is out of range for a bigint", &["9223372036854775808", "-9223372036854775809"]);
    refused(Bigint, "is not a bigint", &["", "abc", "1.", ".1", "1e0", "0b1", "1__0", "Infinity"]);
    refused(Bigint, "holds a NUL byte", &["1\0"]);
}

#[test]
fn double() {
    kept(
        Double,
        &["0", "-0", "1.5", "-1.5", ".5", "5.", "1e5", "1E+5", "1.e-5", "1.7976931348623157e308", "5e-324", "1e-310"],
    );
    kept(Double, &["0e999", "0.000e-999", "1.797693134862315807e308", "2.4703282292062329e-324"]);
    accepted(Double, &[("+1.5", "1.5"), (" 1 ", "1"), ("nan", "NaN"), ("NAN", "NaN"), ("infinity", "Infinity")]);
    accepted(Double, &[("inf", "Infinity"), ("+INF", "Infinity"), ("-inf", "-Infinity"), ("-Infinity", "-Infinity")]);
    refused(
        Double,
        "is out of range for a double",
        &["1e309", "-1e400", "1.7976931348623159e308", "1e99999999999999999999"],
    );
    refused(Double, "is out of range for a double", &["1e-400", "-1e-400", "2.4703282292062327e-324"]);
    refused(
        Double,
        "is not a double",
        &["", ".", "e5", "1e", "1e+", "+", "--1", "1.2.3", "1,5", "0x1p3", "1_0", "1f", "+nan"],
    );
    refused(Double, "is not a double", &["-nan", "nan(1)", "infinit", "in", "+-inf", "--inf", "1 e5", "∞", "1d5"]);
}

#[test]
fn numeric() {
    kept(
        Numeric,
        &["0", "-0", "1.50", ".5", "5.", "-1e5", "1E+5", "123456789012345678901234567890.123456789", "1e130999"],
    );
    kept(Numeric, &["1e-16000", "0e-16000", "0.001e131002", "12e130998", "0e131000"]);
    accepted(Numeric, &[("+1.5", "1.5"), (" 1 ", "1"), ("nan", "NaN"), ("NAN", "NaN")]);
    refused(Numeric, "is out of range for a numeric", &["1e131000", "1e-16001", "0.1e-16000", "1e400000", "-1e-20000"]);
    refused(
        Numeric,
        "is out of range for a numeric",
        &["1e99999999999999999999", "0e-16001", "0e2147483647", "0e200000"],
    );
    let whole = "9".repeat(131_000);
    let fraction = format!("0.{}", "9".repeat(16_000));
    kept(Numeric, &[&whole, &fraction, &format!("{}{whole}", "0".repeat(1_000))]);
    refused(Numeric, "is out of range for a numeric", &[&format!("{whole}9"), &format!("{fraction}0")]);
    refused(
        Numeric,
        "is not a numeric",
        &["", ".", "-", "e5", "1e", "1e-", "1,5", "1_0", "0x1", "Infinity", "-inf", "+nan"],
    );
    refused(Numeric, "is not a numeric", &["1e5e5", "1.2.3", "1e1.5", "$1", "1e 5", "--1", "+-1", "1e+-5", "-NaN"]);
}

#[test]
fn date() {
    kept(Date, &["2019-04-01", "0001-01-01", "9999-12-31", "2020-02-29", "2000-02-29"]);
    accepted(Date, &[(" 2019-04-01 ", "2019-04-01")]);
    refused(
        Date,
        "is not a date",
        &["", "2019-4-1", "2019/04/01", "01.04.2019", "20190401", "2019-04-01 00:00", "today"],
    );
    refused(
        Date,
        "is not a date",
        &["0000-01-01", "2019-02-29", "1900-02-29", "2019-04-31", "2019-13-01", "2019-00-10"],
    );
    refused(
        Date,
        "is not a date",
        &["2019-01-00", "-019-01-01", "+019-01-01", "10000-01-01", "2019-01-+1", "infinity"],
    );
    refused(Date, "is not a date", &["2019-01-0é", "２０１９-01-01", "2019-01-01 BC", "201é-01-01"]);
}

#[test]
fn timestamp() {
    kept(
        Timestamp,
        &["2019-04-01 02:03:04", "2019-04-01 02:03:04.5", "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999"],
    );
    for (text, written) in [
        ("2019-04-01T02:03:04", "2019-04-01 02:03:04"),
        ("2019-04-01 02:03", "2019-04-01 02:03:00"),
        ("2019-04-01T02:03", "2019-04-01 02:03:00"),
        (" 2019-04-01 02:03:04\n", "2019-04-01 02:03:04"),
        ("2019-04-01 02:03:04.500", "2019-04-01 02:03:04.5"),
        ("2019-04-01 02:03:04.000000", "2019-04-01 02:03:04"),
        ("2019-04-01 02:03:04.000010", "2019-04-01 02:03:04.00001"),
        ("2019-04-01 02:03:04.1234564", "2019-04-01 02:03:04.123456"),
        ("2019-04-01 02:03:04.123456789", "2019-04-01 02:03:04.123457"),
        ("2019-04-01 02:03:04.0000005", "2019-04-01 02:03:04"),
        ("2019-04-01 02:03:04.0000015", "2019-04-01 02:03:04.000002"),
        ("2019-04-01 02:03:04.9999996", "2019-04-01 02:03:05"),
        ("2019-12-31 23:59:59.999999999", "2020-01-01 00:00:00"),
    ] {
        accepted(Timestamp, &[(text, written)]);
    }
    refused(Timestamp, "is out of range for a timestamp", &["9999-12-31 23:59:59.9999999"]);
    let zone = "has a time zone, which a timestamp cannot keep; use timestamptz";
    refused(Timestamp, zone, &["2019-04-01 02:03:04Z", "2019-04-01T02:03:04+02", "2019-04-01 02:03-0530"]);
    refused(Timestamp, zone, &["2019-04-01 02:03:04.5 +00:00", "2019-04-01 02:03:04 UTC"]);
    refused(
        Timestamp,
        "is not a timestamp",
        &["", "2019-04-01", "2019-04-01 02", "2019-04-01 2:03", "2019-04-01  02:03"],
    );
    refused(
        Timestamp,
        "is not a timestamp",
        &["2019-02-29 00:00", "2019-04-01 24:00", "2019-04-01 00:60", "2019-04-01 00:00:60"],
    );
    refused(Timestamp, "is not a timestamp", &["2019-04-01 02:03:", "2019-04-01 02:03:4", "2019-04-01 02:03:04."]);
    refused(
        Timestamp,
        "is not a timestamp",
        &["2019-04-01 02:03:04.1234567890", "2019-04-01 02:03:04,5", "0000-01-01 00:00"],
    );
    refused(Timestamp, "is not a timestamp", &["2019-04-01 02:03:04 pm", "2019-04-01 02:03:04  UTC"]);
    refused(
        Timestamp,
        "is not a timestamp",
        &["2019-04-01_02:03", "2019-04-01 02-03", "2019-04-01 é2:03", "now", "2019-04-01 02:03 EST"],
    );
}

#[test]
fn timestamptz() {
    kept(Timestamptz, &["2019-04-01 02:03:04+00", "2019-04-01 02:03:04.5+00"]);
    for (text, written) in [
        ("2019-04-01 02:03:04", "2019-04-01 02:03:04+00"),
        ("2019-04-01T02:03Z", "2019-04-01 02:03:00+00"),
        ("2019-04-01T02:03:04.500z", "2019-04-01 02:03:04.5+00"),
        ("2019-04-01 02:03:04 UTC", "2019-04-01 02:03:04+00"),
        ("2019-04-01 02:03:04+02", "2019-04-01 00:03:04+00"),
        ("2019-04-01 02:03:04+02:30", "2019-03-31 23:33:04+00"),
        ("2019-04-01 02:03:04 -0230", "2019-04-01 04:33:04+00"),
        ("2019-04-01 02:03-00:00", "2019-04-01 02:03:00+00"),
        ("2019-12-31 23:59:59.9999999-15:59", "2020-01-01 15:59:00+00"),
        ("2020-03-01 00:00+15:59", "2020-02-29 08:01:00+00"),
        ("0001-01-01 16:00+15:59", "0001-01-01 00:01:00+00"),
        ("9999-12-31 08:00-15:59", "9999-12-31 23:59:00+00"),
    ] {
        accepted(Timestamptz, &[(text, written)]);
    }
    let out_of_years = ["0001-01-01 00:00+00:01", "9999-12-31 23:59-00:01", "9999-12-31 23:59:59.9999999"];
    refused(Timestamptz, "is out of range for a timestamptz", &out_of_years);
    refused(
        Timestamptz,
        "is not a timestamptz",
        &["2019-04-01 02:03+16", "2019-04-01 02:03+15:60", "2019-04-01 02:03+2"],
    );
    refused(
        Timestamptz,
        "is not a timestamptz",
        &["2019-04-01 02:03+02:00:00", "2019-04-01 02:03+2:000", "2019-04-01 02:03 +"],
    );
    refused(
        Timestamptz,
        "is not a timestamptz",
        &["2019-04-01 02:03 Europe/Paris", "2019-04-01 02:03 EST", "2019-04-01Z"],
    );
    refused(
        Timestamptz,
        "is not a timestamptz",
        &["2019-04-01 02:03  Z", "2019-04-01 02:03++2", "2019-04-01 02:03+é", "infinity"],
    );
}

#[test]
fn uuid() {
    const WRITTEN: &str = "811451e6-c164-430c-b083-70842fc09005";
    for text in [
        WRITTEN,
        "811451E6-C164-430C-B083-70842FC09005",
        "811451e6c164430cb08370842fc09005",
        "811451E6C164430CB08370842FC09005",
        "{811451e6-c164-430c-b083-70842fc09005}",
        "{811451e6c164430cb08370842fc09005}",
        " 811451e6-c164-430c-b083-70842fc09005 ",
    ] {
        accepted(Uuid, &[(text, WRITTEN)]);
    }
    refused(
        Uuid,
        "is not a uuid",
        &["", "abc", "811451e6-c164-430c-b083-70842fc0900", "811451e6-c164-430c-b083-70842fc090055"],
    );
    refused(Uuid, "is not a uuid", &["811451g6-c164-430c-b083-70842fc09005", "811451e6c-164-430c-b083-70842fc09005"]);
    refused(Uuid, "is not a uuid", &["{811451e6-c164-430c-b083-70842fc09005", "811451e6-c164-430c-b083-70842fc09005}"]);
    refused(
        Uuid,
        "is not a uuid",
        &["8114-51e6-c164-430c-b083-7084-2fc0-9005", "{}", "{", "811451e6_c164_430c_b083_70842fc09005"],
    );
    refused(
        Uuid,
        "is not a uuid",
        &[
            "811451e6-c164-430c-b083-70842fc0900é",
            "é11451e6c164430cb08370842fc0900",
            "811451e-6c164-430c-b083-70842fc09005",
        ],
    );
}

#[test]
fn json() {
    kept(
        Json,
        &["0", "-0.0", "null", "true", "\"\"", "\"a\"", "[]", "{}", "[0]", "[1, 2 ,3]", "{\"a\":{\"b\":[1,{}]}}"],
    );
    kept(
        Json,
        &["1e400", "-1E-400", "123456789012345678901234567890.5", "1e130999", "{\"a\":1,\"a\":2}", "\"é😀\u{7f}\""],
    );
    kept(
        Json,
        &[
            r#""\"\\\/\b\f\n\r\t""#,
            r#""\u0041\u00e9""#,
            r#""\ud83d\ude00""#,
            r#""\uD83D\uDE00x""#,
            r#""\\u0000""#,
            r#""\\\\ud800""#,
        ],
    );
    accepted(Json, &[(" [ 1 ]\n", "[ 1 ]"), ("\u{c}1", "1")]);
    for (text, part) in [
        ("", "is not valid json: EOF"),
        ("abc", "is not valid json: expected"),
        ("[1,]", "is not valid json"),
        ("01", "is not valid json"),
        ("1.", "is not valid json"),
        (".5", "is not valid json"),
        ("+1", "is not valid json"),
        ("NaN", "is not valid json"),
        ("'a'", "is not valid json"),
        ("{a:1}", "is not valid json"),
        ("{\"a\":1", "is not valid json: EOF"),
        ("\"a\nb\"", "is not valid json: control character"),
        ("[1] [2]", "is not valid json: trailing"),
        (r#""\x""#, "is not valid json: invalid escape"),
        (r#""\u12""#, "is not valid json"),
        ("[1,\u{a0}2]", "is not valid json"),
        (r#""\u0000""#, r"holds \u0000"),
        (r#"{"a\u0000":1}"#, r"holds \u0000"),
        (r#""\\\u0000""#, r"holds \u0000"),
        (r#""\ud83d""#, "holds half a surrogate pair"),
        (r#""\ud83dx\ude00""#, "holds half a surrogate pair"),
        (r#""\ud83d\u0041""#, "holds half a surrogate pair"),
        (r#""\ude00""#, "holds half a surrogate pair"),
        (r#""\ud83d\ud83d\ude00""#, "holds half a surrogate pair"),
        (r#""\ud83d\n""#, "holds half a surrogate pair"),
        ("[1e131000]", "holds a number that is out of range"),
        ("{\"a\":-1e-20000}", "holds a number that is out of range"),
        ("1e99999999999", "holds a number that is out of range"),
        ("[\0]", "holds a NUL byte"),
    ] {
        let reason = check(Json, text).unwrap_err();
        assert!(reason.starts_with(part), "{text:?}: {reason}");
    }
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    kept(Json, &[&nested(128), &format!("[{}]", "[[]],".repeat(200).trim_end_matches(','))]);
    refused(Json, "is json nested deeper than 128 levels", &[&nested(129), &nested(100_000)]);
}

/// Text that is nearly a value of some type.
fn nearly_a_value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[-+.eE0-9 ]{0,12}",
        "[+-]?[0-9]{0,3}\\.?[0-9]{0,3}([eE][+-]?[0-9]{1,6})?",
        "[0-9]{4}-[0-1][0-9]-[0-3][0-9]([ T][0-2][0-9]:[0-6][0-9]\
         (:[0-6][0-9](\\.[0-9]{1,10})?)? ?([Zz]|[+-][0-9:é]{1,6})?)?",
        "\\{?[0-9a-fA-F]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-fé]{12}\\}?",
        "[\\[\\]{}\":,0-9a-f\\\\ué \\-]{0,24}",
        "\"(\\\\u(d[8-f]|00)[0-9a-f]{2}|\\\\\\\\|[a-f0-9]){0,4}\"",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// No text makes a type panic, and what is written is accepted again, as it is.
    #[test]
    fn what_is_written_stays(text in nearly_a_value()) {
        for kind in ColumnType::ALL {
            if let Ok(written) = check(kind, &text) {
                prop_assert_eq!(check(kind, &written), Ok(written), "{:?} as {}", text, kind.name());
            }
        }
    }

    #[test]
    fn every_whole_number_is_kept(number in any::<i64>()) {
        prop_assert_eq!(check(Bigint, &number.to_string()), Ok(number.to_string()));
        prop_assert_eq!(check(Integer, &number.to_string()).is_ok(), i32::try_from(number).is_ok());
    }

    #[test]
    fn every_double_is_kept(number in any::<f64>()) {
        let text = format!("{number:e}");
        prop_assert!(check(Double, &text).is_ok(), "{}", text);
    }

    /// Whatever is refused as JSON although it is JSON is refused for one of the reasons that are told.
    #[test]
    fn json_is_json(text in nearly_a_value()) {
        match check(Json, &text) {
            Ok(written) => prop_assert!(serde_json::from_str::<serde_json::Value>(&written).is_ok()
                || written.contains(['e', 'E'])),
            Err(reason) if reason.starts_with("is not valid json") =>
                prop_assert!(serde_json::from_str::<serde_json::Value>(text.trim_ascii()).is_err()),
            Err(reason) => prop_assert!(reason.starts_with("holds"), "{}", reason),
        }
    }
}
