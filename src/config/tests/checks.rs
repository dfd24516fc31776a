//! What in a dataset's file does not go together, or is no value.

use super::{Folder, GOOD};

#[test]
fn each_thing_that_contradicts_another() {
    for (from, to, expected) in [
        ("key = [\"id\"]", "key = []", "target.key = []: is empty: name the columns that tell a day's rows apart"),
        (
            "key = [\"id\"]",
            "key = [\"ids\"]",
            "target.key[0] = \"ids\": is not a column of the file; did you mean \"id\"?",
        ),
        (
            "key = [\"id\"]",
            "key = [\"file_date\", \"id\"]",
            "target.key[0] = \"file_date\": is the day, which the primary key holds anyway: leave it out",
        ),
        (
            "start = 2019-04-01",
            "start = 2019-04-01\ntimezone = \"CEST\"",
            "schedule.timezone = \"CEST\": is not a time zone: give a name of the tz database such as \"Europe/Berlin\"",
        ),
        (
            "start = 2019-04-01",
            "start = 2019-04-01\ntimezone = \"UTC+2\"",
            "schedule.timezone = \"UTC+2\": is not a time zone: give a name of the tz database such as \"Europe/Berlin\"",
        ),
        (
            "start = 2019-04-01",
            "start = 2019-04-01\ntimezone = \"utc\"",
            "schedule.timezone = \"utc\": is not a time zone; did you mean \"UTC\"?",
        ),
        // The key names that column, which is all that is wrong with it.
        ("\"uuid\"", "\"uid\"", "rows.columns[0].type = \"uid\": is not a column type; did you mean \"uuid\"?"),
        ("\"t\"", "\"s.t\"", "target.table = \"s.t\": has a schema, which SQLite does not know"),
        ("[schedule]", "path_style = true\n[schedule]", ""),
        (
            "[schedule]",
            "redirects = \"any\"\n[schedule]",
            "source.redirects = \"any\": has no effect here: only gs, az, http, https sources have it",
        ),
        ("[schedule]", "allow_http = 1\n[schedule]", "source.allow_http = 1: is not true or false"),
        (
            "[schedule]",
            "endpoint = \"http://localhost\"\n[schedule]",
            "source.endpoint = \"http://localhost\": is plain http: set allow_http = true if that is meant",
        ),
        ("2019-04-01", "2019-04-31x", "line"),
        ("2019-04-01", "20190401", "schedule.start = 20190401: is not a text: write it in quotes"),
        ("2019-04-01", "\"1 April\"", "schedule.start = \"1 April\": is not a day (YYYY-MM-DD)"),
        (
            "\"0 2 * * *\"",
            "\"0 0 31 2 *\"",
            "schedule.cron = \"0 0 31 2 *\": is not a cron expression that ever ticks: there is no such date",
        ),
        (
            "\"0 2 * * *\"",
            "\"@dayly\"",
            "schedule.cron = \"@dayly\": is not a cron expression: the nicknames are @yearly, \
             @monthly, @weekly, @daily, @hourly; did you mean \"@daily\"?",
        ),
        (
            "\"0 2 * * *\"",
            "\"0 25 * * *\"",
            "schedule.cron = \"0 25 * * *\": is not a cron expression: its hour is \"25\"; it takes \
             0 to 23, *, ranges (1-5), lists (1,3) and steps (*/2)",
        ),
        ("\"0 2 * * *\"", "2", "schedule.cron = 2: is not a text: write it in quotes"),
        ("[rows]", "[csv]\nquote = \",\"\n[rows]", "csv.quote = \",\": is the same character as delimiter"),
        (
            "[rows]",
            "[csv]\ndelimiter = \"é\"\n[rows]",
            "csv.delimiter = \"é\": is not a single ASCII character (or \"\\t\")",
        ),
        (
            "\"n\"",
            "\"n\", from = \"\"",
            "rows.columns[1].from = \"\": is empty: columns are found by their names, so give it one where the file is made",
        ),
        ("\"n\"", "\"n\", default = [1]", "rows.columns[1].default = [1]: is not a text, number or boolean"),
        ("[rows]", "[rows]\nwhere = \"\"", "rows.where = \"\": is empty"),
        (
            "[rows]",
            "[rows]\nwhere = 1",
            "rows.where = 1: is not SQL: write one text, or { postgres = \"...\", sqlite = \"...\" }",
        ),
        (
            "\"n\"",
            "\"file_date\"",
            "target.day_column: is file_date by default, also a column of the file: read that one under another name \
             ({ name = \"file_date_in_file\", from = \"file_date\", ... }), or name another day_column",
        ),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let folder = Folder::new("").write("datasets/a.toml", &GOOD.replacen(from, to, 1));
        let problems =
            if expected.is_empty() { folder.load([]).err().unwrap_or_default() } else { folder.problems([]) };
        let problem = problems.trim_start_matches("datasets/a.toml: ");
        if expected == "line" {
            assert!(problem.starts_with("line 6, column "), "{problem}");
        } else {
            assert_eq!(problem, expected, "{to}");
        }
    }
}
