//! What the page says of a day's rows, and how it says what files and servers hold.

use super::page::Page;
use crate::support::daily::still;
use crate::support::project::{FIRST, Orders, Project};
use crate::support::{Database, on_both};

on_both! {
    the_counts_of_a_days_page_add_up
    rows_that_the_target_did_not_take_are_told_of_in_every_mode
    characters_that_steer_are_escaped_on_every_page_and_in_the_api
}

/// The text of the element that begins with this, up to the end of the tag of that name, without tags.
fn text_of(html: &str, begin: &str, end: &str) -> String {
    let (_, rest) = html.split_once(begin).unwrap_or_else(|| panic!("no {begin} in {html}"));
    let (inside, _) = rest.split_once(end).unwrap();
    format!(">{inside}").split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text).collect()
}

/// The target of `orders`, which keeps rows with the amount 2 out.
fn target_that_keeps_out(database: &dyn Database, key: &str) {
    let is_postgres = database.url().starts_with("postgres");
    let at = if is_postgres { "timestamptz" } else { "text" };
    database.execute(&format!(
        "create table orders (id text not null, amount bigint, note text, has_note boolean, file_date date not null, \
         created_at {at}, primary key ({key}))"
    ));
    database.execute(if is_postgres {
        "create function keep_out() returns trigger language plpgsql as $$ begin \
         if new.amount = 2 then return null; end if; return new; end $$; \
         create trigger keep_out before insert on orders for each row execute function keep_out()"
    } else {
        "create trigger keep_out before insert on orders when new.amount = 2 begin select raise(ignore); end"
    });
}

fn the_counts_of_a_days_page_add_up(database: &dyn Database) {
    target_that_keeps_out(database, "file_date, id");
    let project = Project::new(database, &Orders { max_rejected: "3", ..still(FIRST) });
    // A rejected row of two lines, an accepted one, and one of each other kind.
    project.day(FIRST, "a,1,x\nb,2,x\nc,-1,\nd,one,x\ne,bad,\"two\nlines\"\nf,3,\"two\nlines\"\n");
    project.succeed(&["load", FIRST]);
    let page = Page::start(&project, &["run", "--no-catch-up"]);
    let path = format!("/datasets/orders/days/{FIRST}");
    page.wait_for(&path, "<p class=\"keys\">");
    let day = page.get(&path).body;
    let counts = text_of(&day, "<p class=\"keys\">", "</p>");
    assert_eq!(counts, "7 read2 rows loaded1 row filtered3 lines rejected1 row not loaded");
    let numbers: Vec<u64> = counts.split(|char: char| !char.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
    assert_eq!(numbers[0], numbers[1..].iter().sum::<u64>(), "{counts}");
    assert!(day.contains("<b>1 row</b> kept out by a trigger or a rule of the target"), "{day}");
    assert!(day.contains("2 rows, 3 lines of the file"), "{day}");
    let dataset = page.get("/datasets/orders").body;
    assert!(
        dataset.contains(&format!("title=\"{FIRST}: loaded with rejects, 2 rows, 3 lines rejected\"")),
        "{dataset}"
    );
    page.end();

    // Refused for its lines, not for its rows.
    project.orders(&Orders { max_rejected: "2", ..still(FIRST) });
    let ran = project.exit(4, &["load", FIRST, "--force"]);
    assert!(ran.stdout.contains("3 lines (2 rows) of 7 rejected (42.9%), the limit is 2"), "{}", ran.stdout);
}

fn rows_that_the_target_did_not_take_are_told_of_in_every_mode(database: &dyn Database) {
    target_that_keeps_out(database, "id");
    for mode in ["insert_new", "upsert"] {
        database.execute("delete from orders");
        database.execute("insert into orders (id, amount, file_date) values ('a', 1, '2024-03-02')");
        let project = Project::new(database, &Orders { mode, ..still(FIRST) });
        project.day(FIRST, "a,5,x\nb,2,x\nc,3,x\nd,4,x\ne,-1,x\n");
        project.succeed(&["load", "--force", FIRST]);
        let page = Page::start(&project, &["run", "--no-catch-up"]);
        let path = format!("/datasets/orders/days/{FIRST}");
        // The row that was there counts as loaded, the one that the trigger kept out does not.
        page.wait_for(&path, "<b>1 row</b> kept out by a trigger or a rule of the target");
        let counts = text_of(&page.get(&path).body, "<p class=\"keys\">", "</p>");
        assert_eq!(counts, "5 read3 rows loaded1 row filtered0 lines rejected1 row not loaded", "{mode}");
        page.end();
    }
}

/// What steers a terminal, ends a line or turns the direction of a text. In JSON no escape of JSON's own is meant.
fn steers(text: &str) -> bool {
    text.contains(|char: char| char.is_control() || ('\u{202a}'..='\u{202e}').contains(&char) || char == '\u{2066}')
}

fn characters_that_steer_are_escaped_on_every_page_and_in_the_api(database: &dyn Database) {
    const STEERS: &str =
        "\n2026-11-28T03:00:00Z ERROR dayfill faked line\n<2>fake \u{1b}[31mred \u{1b}]0;title\u{7}\u{202e}\u{7f}";
    let project = Project::new(database, &Orders { max_rejected: "1", ..still("2024-03-03") });
    // In the header, so that the file is refused; in a value; in a name that only the log tells of.
    project.write(&format!("days/{FIRST}.csv"), format!("id,customer,amount,\"x{STEERS}\"\n1,Bob,10,y\n"));
    project.day("2024-03-02", &format!("a,\"one{STEERS}\",x\nb,1,x\n"));
    project.write("days/2024-03-03.csv", format!("id,amount,note,\"more{STEERS}\"\na,1,x,y\nb,\"two{STEERS}\",x,y\n"));
    let ran = project.exit(4, &["load", "2024-03-01..2024-03-03"]);
    for line in ran.stdout.lines().chain(ran.stderr.lines()) {
        assert!(!steers(line) && !line.starts_with("<2>"), "{line:?}");
    }
    let page = Page::start(&project, &["run", "--no-catch-up"]);
    let reads = [
        ("/datasets/orders/days/2024-03-01", "<2>fake"),
        (
            "/datasets/orders/days/2024-03-02",
            "one\\n2026-11-28T03:00:00Z ERROR dayfill faked line\\n&lt;2&gt;fake \\u{1b}[31mred",
        ),
        ("/datasets/orders/days/2024-03-03", "two\\n2026"),
        ("/datasets/orders", "2024-03-01: refused"),
        ("/", "orders"),
        ("/configuration", "orders"),
        ("/activity-log", "load"),
        ("/api/v1/datasets/orders/days/2024-03-01", "\"refused\""),
        ("/api/v1/datasets/orders/days/2024-03-02/rejects", "faked line\\\\n<2>fake \\\\u{1b}[31mred"),
        ("/api/v1/datasets/orders/days", "\"refused\""),
        ("/api/v1/datasets/orders", "\"refused\""),
    ];
    page.wait_for("/", "refused");
    for (path, has) in reads {
        let body = page.get(path).body;
        assert!(!steers(&body), "{path}: {body:?}");
        assert!(body.contains(has) || has == "<2>fake", "{path}: {body}");
    }
    page.end();
}
