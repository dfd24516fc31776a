//! PostgreSQL databases in another encoding than UTF-8: characters that they lack cost a row, never a day.

use crate::support::Database;
use crate::support::postgres::TestPostgres;
use crate::support::project::{Orders, Project, states};

/// The columns of `orders`, and one of JSON.
const JSON: &str = "{ name = \"info\", type = \"json\", optional = true },";

fn rejects(database: &dyn Database) -> Vec<String> {
    database.lines("select line, column_name, value, reason from rejected_rows order by day, line")
}

#[test]
fn a_row_with_a_character_that_the_encoding_lacks_is_rejected() {
    for (encoding, lacks_euro) in [("LATIN1", true), ("WIN1252", false), ("EUC_JP", true)] {
        let database = TestPostgres::database_in(encoding);
        let project = Project::new(&database, &Orders { max_rejected: "3", columns: JSON, ..Orders::default() });
        let rows = [
            "a,1,plain,",
            "b,2,\u{20AC} 5,",
            "c,3,f\u{FC}r,",
            "d,4,\u{1F600},",
            "e,5,x,\"{\"\"a\"\": \"\"\\u00fc\"\"}\"",
            "f,6,x,\"{\"\"a\"\": \"\"\\ud83d\\ude00\"\"}\"",
        ];
        project.write("days/2024-03-01.csv", format!("id,amount,note,info\n{}\n", rows.join("\n")));
        project.succeed(&["load", "2024-03-01"]);
        let lacks = format!("which the database's encoding {encoding} does not have");
        let smiley = format!("holds '\\u{{1f600}}' (U+1F600), {lacks}");
        let mut expected =
            vec![format!("5|note|\\u{{1f600}}|{smiley}"), format!("7|info|{{\"a\": \"\\ud83d\\ude00\"}}|{smiley}")];
        if lacks_euro {
            expected.insert(0, format!("3|note|\\u{{20ac}} 5|holds '\\u{{20ac}}' (U+20AC), {lacks}"));
        }
        assert_eq!(rejects(&database), expected, "{encoding}");
        let ids = database.lines("select id from orders order by id").join(" ");
        assert_eq!(ids, if lacks_euro { "a c e" } else { "a b c e" }, "{encoding}");
        assert_eq!(database.line("select note from orders where id = 'c'"), "f\u{FC}r");
    }
}

#[test]
fn a_refused_day_whose_first_reject_holds_such_a_character_is_refused() {
    let database = TestPostgres::database_in("LATIN1");
    let project = Project::new(&database, &Orders { max_rejected: "0", ..Orders::default() });
    // Of no type that it could be, of one that it could, and in the header.
    project.write("days/2024-03-01.csv", "id,amount,note,\u{20AC}\na,\u{20AC} 5,x,\n");
    project.day("2024-03-02", "a,5,\u{1F600}\n");
    let ran = project.exit(4, &["load", "2024-03-01..2024-03-02"]);
    assert!(ran.stdout.contains("column amount: \"\u{20AC} 5\" is not a bigint"), "{}", ran.stdout);
    assert_eq!(states(&database), ["2024-03-01|refused", "2024-03-02|refused"]);
    assert!(rejects(&database)[0].starts_with("2|amount|\\u{20ac} 5|is not a bigint"), "{:?}", rejects(&database));
    let errors = database.lines("select error from processed_days order by day");
    assert!(errors[0].contains("\\u{20ac} 5") && errors[1].contains("\\u{1f600}"), "{errors:?}");
    project.succeed(&["skip", "2024-03-03", "--reason", "\u{20AC}"]);
    assert_eq!(database.line("select note from processed_days where state = 'skipped'"), "\\u{20ac}");
}
