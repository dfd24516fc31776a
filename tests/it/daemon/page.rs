//! The daemon's page: it shows what the daemon does, and what is asked for there is done.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;

use chrono::NaiveDate;
use diesel::connection::SimpleConnection as _;
use rustix::process::Signal;

use crate::support::daily::{project, still, ticking};
use crate::support::postgres::TestPostgres;
use crate::support::process::Process;
use crate::support::project::{FIRST, Orders, Project};
use crate::support::slow_http::SlowHttp;
use crate::support::sqlite::SqliteDatabase;
use crate::support::{Database, on_both, wait_until};

const SECOND: &str = "2024-03-02";
const THIRD: &str = "2024-03-03";

on_both! {
    a_refused_day_is_shown_and_loaded_again_from_its_page
    a_dataset_is_paused_and_goes_on
    an_attempt_names_its_process_also_when_that_has_ended
    attempts_of_two_series_are_told_apart
    a_late_day_is_in_the_metrics
    a_catch_up_asked_for_looks_at_waiting_days_before_their_time
    a_late_day_that_is_loaded_is_late_no_more_before_the_next_tick
    the_activity_log_comes_in_pages_that_stay_what_they_are
    rejected_rows_come_in_pages
}

/// A daemon with a page on a free port.
pub(super) struct Page {
    daemon: Process,
    address: String,
}

/// What came back: the status line, the headers, the body.
pub(super) struct Answer {
    head: String,
    pub(super) body: String,
}

impl Page {
    pub(super) fn start(project: &Project, arguments: &[&str]) -> Self {
        let mut command = project.command(arguments);
        let mut daemon = Process::of(command.env("DAYFILL__WEB__LISTEN", "127.0.0.1:0"));
        loop {
            let line = daemon.line().unwrap();
            if let Some((_, address)) = line.split_once("web UI at http://") {
                let address = address.trim_end_matches('/').to_owned();
                return Self { daemon, address };
            }
        }
    }

    fn ask(&self, head: &str, body: &str) -> Answer {
        self.asked(&self.address, head, body)
    }

    /// The same, by another name of the page's.
    fn asked(&self, host: &str, head: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        let request = format!("{head}\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Answer { head: head.to_owned(), body: body.to_owned() }
    }

    pub(super) fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nAccept: text/html"), "")
    }

    /// Sends a form to the actions of `orders`, as a browser does.
    fn send(&self, fields: &str) -> Answer {
        let head = format!(
            "POST /datasets/orders/actions HTTP/1.1\r\nAccept: text/html\r\nOrigin: http://{}\r\n\
             Content-Type: application/x-www-form-urlencoded",
            self.address
        );
        self.ask(&head, fields)
    }

    /// Waits until a page says so.
    pub(super) fn wait_for(&self, path: &str, text: &str) {
        wait_until(&format!("{path} has {text:?}"), || self.get(path).body.contains(text));
    }

    /// The most memory that the daemon had so far, in KiB.
    fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.daemon.pid())).unwrap();
        let peak = status.split_once("VmHWM:").and_then(|(_, rest)| rest.split_once("kB")).unwrap();
        peak.0.trim().parse().unwrap()
    }

    pub(super) fn end(self) -> String {
        self.daemon.signal(Signal::TERM);
        let ran = self.daemon.end();
        assert_eq!(ran.code, 0, "{ran:#?}");
        ran.stderr
    }
}

#[test]
fn each_limit_of_one_address_is_said_when_it_holds() {
    let database = SqliteDatabase::new();
    let project = project(&database, &still(FIRST), "");
    let mut page = Page::start(&project, &["run"]);
    let address = page.address.clone();
    let ask = |request: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    };
    let stream = format!("GET /api/v1/events HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let unfinished = format!(
        "POST /datasets/orders/actions HTTP/1.1\r\nHost: {address}\r\nOrigin: http://{address}\r\n\
         Content-Length: 10\r\n\r\n"
    );
    let _streams: Vec<_> = (0..65).map(|_| ask(&stream)).collect();
    page.daemon.wait_for("127.0.0.1 has 64 event streams, the limit");
    let _bodies: Vec<_> = (0..17).map(|_| ask(&unfinished)).collect();
    page.daemon.wait_for("127.0.0.1 has 16 unfinished requests, the limit per address");
    let _silent: Vec<_> = (0..129).map(|_| ask("")).collect();
    page.daemon.wait_for("127.0.0.1 has 128 connections, the limit per address");
    page.end();
}

#[test]
fn where_all_places_are_taken_that_is_said_and_health_and_metrics_are_told() {
    let database = SqliteDatabase::new();
    let project = project(&database, &still(FIRST), "");
    let mut page = Page::start(&project, &["run"]);
    let address = page.address.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // On Linux all of 127.0.0.0/8 is this machine: four clients with as many streams as one may have.
    let stream_of = |client| {
        let connected = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind(([127, 0, 0, client], 0).into()).unwrap();
            socket.connect(address.parse().unwrap()).await.unwrap().into_std().unwrap()
        });
        connected.set_nonblocking(false).unwrap();
        let mut stream = connected;
        stream.write_all(format!("GET /api/v1/events HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).unwrap();
        stream
    };
    let _streams: Vec<_> = [2, 3, 4, 5].repeat(64).into_iter().map(stream_of).collect();
    let _one_more = stream_of(6);
    page.daemon.wait_for("the web UI has 256 connections, its limit; further ones get 503");
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert!(page.get(path).head.starts_with("HTTP/1.1 200"), "{path}: {}", page.get(path).head);
    }
    assert!(page.get("/").head.starts_with("HTTP/1.1 503"));
    page.end();
}

#[test]
fn what_keeps_datasets_from_being_loaded_is_in_the_metrics() {
    let database = SqliteDatabase::new();
    database.execute("create table returns (other integer)");
    let project = project(&database, &still(FIRST), "");
    project.dataset("returns", &Orders { table: "returns", ..still(FIRST) });
    project.dataset("refunds", &Orders { max_rejected: "1 percent", ..still(FIRST) });
    project.succeed(&["pause", "--dataset", "orders"]);
    let page = Page::start(&project, &["run"]);
    for sample in [
        "dayfill_dataset_paused{dataset=\"orders\"} 1",
        "dayfill_dataset_paused{dataset=\"returns\"} 0",
        "dayfill_dataset_troubled{dataset=\"orders\"} 0",
        "dayfill_dataset_troubled{dataset=\"returns\"} 1",
        "dayfill_broken_datasets 1",
    ] {
        page.wait_for("/metrics", &format!("\n{sample}\n"));
    }
    page.end();
}

#[test]
fn what_a_loaded_day_lacks_and_a_reload_would_take_away_is_shown_before() {
    let database = SqliteDatabase::new();
    let project = project(&database, &Orders { max_rejected: "90%", ..still(SECOND) }, "");
    project.day(FIRST, "a,1,x\nb,abc,y\n");
    project.day(SECOND, "a,1,x\n");
    project.succeed(&["catch-up"]);
    database.execute("alter table orders add column shop text");
    let page = Page::start(&project, &["run"]);
    page.wait_for("/", "1 with rejects");
    let cell = |class: &str, day: &str| format!("class=\"{class}\" href=\"/datasets/orders/days/{day}\"");
    for path in ["/", "/datasets/orders"] {
        let shown = page.get(path).body;
        assert!(shown.contains("1 with rejects"), "{shown}");
        assert!(shown.contains(&cell("rejects", FIRST)) && shown.contains(&cell("loaded", SECOND)), "{shown}");
    }
    let shown = page.get("/datasets/orders").body;
    assert!(shown.contains("<i class=\"m rejects\"></i>loaded with rejects</dt>"), "the legend: {shown}");
    assert!(page.get(&format!("/datasets/orders/days/{FIRST}")).body.contains("loaded with rejects"));
    let dry_run =
        |action: &str| page.get(&format!("/datasets/orders/dry-run?action={action}&from={FIRST}&to={FIRST}")).body;
    let lost = "what others wrote into shop is lost";
    assert!(dry_run("reload").contains(lost), "{}", dry_run("reload"));
    assert!(!dry_run("load").contains(lost), "it is left alone");
    page.end();
}

#[test]
fn the_login_says_that_the_users_file_cannot_be_read() {
    let database = SqliteDatabase::new();
    let project = project(&database, &still(FIRST), "[web]\nauth = \"users.toml\"\n");
    project.succeed(&["web", "add-token", "ci", "--scope", "read"]);
    let page = Page::start(&project, &["run"]);
    let said = "dayfill cannot read the users file";
    let login = page.get("/login?next=/daemons");
    assert!(login.head.starts_with("HTTP/1.1 200") && !login.body.contains(said), "{}", login.head);
    let right = std::fs::read_to_string(project.path("users.toml")).unwrap();
    std::fs::write(project.path("users.toml"), "[[users]]\nname = \"s3cr3t\"\n").unwrap();
    for path in ["/login?next=/daemons", "/daemons"] {
        let shown = page.get(path);
        assert!(shown.head.starts_with("HTTP/1.1 503"), "{path}: {}", shown.head);
        assert!(shown.body.contains(said) && !shown.body.contains("s3cr3t"), "{path}: {}", shown.body);
        assert!(shown.body.contains("name=\"next\" value=\"/daemons\""), "{path}: {}", shown.body);
        assert!(!shown.body.contains("wrong name or password"), "{path}: {}", shown.body);
    }
    project.replace("users.toml", right);
    std::fs::set_permissions(project.path("users.toml"), std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(page.get("/login").head.starts_with("HTTP/1.1 200"));
    let log = page.end();
    assert!(log.contains("nobody can log in until this is fixed") && !log.contains("s3cr3t"), "{log}");
}

fn a_refused_day_is_shown_and_loaded_again_from_its_page(database: &dyn Database) {
    let project = project(database, &still(FIRST), "");
    project.day(FIRST, "a,no number,<img src=x>\n");
    let page = Page::start(&project, &["run"]);
    let day = format!("/datasets/orders/days/{FIRST}");
    page.wait_for("/", "Needs attention");
    page.wait_for(&day, "no number");
    project.replace(&format!("days/{FIRST}.csv"), "id,amount,note\na,1,<img src=x>\n");
    // Whoever cannot prove that the form was ours is turned away.
    let head = "POST /datasets/orders/actions HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded";
    let turned_away = page.ask(head, &format!("action=retry&from={FIRST}"));
    assert!(turned_away.head.starts_with("HTTP/1.1 403"), "{}", turned_away.head);
    let sent = page.send(&format!("action=retry&from={FIRST}"));
    assert!(sent.head.starts_with("HTTP/1.1 303"), "{}", sent.head);
    page.wait_for(&day, "1 row");
    wait_until("the day is loaded", || database.line("select state from processed_days") == "loaded");
    assert!(!page.get(&day).body.contains("<img src=x>"), "what a file holds is text");
    assert!(page.get("/activity-log").body.contains("retry"));
    let log = page.end();
    assert!(log.contains(&format!("orders {FIRST}: retry by local: accepted: 1 day")), "{log}");
    assert_eq!(database.line("select trigger from load_attempts where outcome = 'loaded'"), "page");
}

fn a_dataset_is_paused_and_goes_on(database: &dyn Database) {
    let project = project(database, &ticking(SECOND), "[waiting]\npoll = \"1s\"\n");
    project.day(FIRST, "a,1,x\n");
    let page = Page::start(&project, &["run"]);
    wait_until("the first day is loaded", || page.get("/datasets/orders").body.contains("1 loaded"));
    page.send("action=pause&reason=the+<b>table</b>+moves");
    page.wait_for("/datasets/orders", "Resume");
    for place in ["/datasets/orders", "/"] {
        page.wait_for(place, "by local: the &lt;b&gt;table&lt;/b&gt; moves");
    }
    project.day(SECOND, "a,1,x\n");
    // Ticks come each second, and the page is asked for longer than that.
    let metric = "dayfill_last_tick_timestamp_seconds{dataset=\"orders\"}";
    let tick = || page.get("/metrics").body.lines().find(|line| line.starts_with(metric)).map(ToOwned::to_owned);
    for _ in 0..3 {
        let before = tick();
        wait_until("a tick comes", || tick() != before);
    }
    assert!(!page.get("/datasets/orders").body.contains("2 loaded"));
    page.send("action=resume");
    page.wait_for("/datasets/orders", "2 loaded");
    page.end();
}

/// What the log says of days that did not begin, after three were asked for and the daemon was told to stop while it
/// loaded this one.
fn not_begun_when_stopped_at(held: &str) -> Option<String> {
    let database = SqliteDatabase::new();
    let server = SlowHttp::start();
    let project = project(&database, &still(THIRD).from(&server), "");
    for day in [FIRST, SECOND, THIRD] {
        server.day(day, "a,1,x\n");
    }
    server.hold_next(held);
    let mut page = Page::start(&project, &["run", "--no-catch-up"]);
    page.wait_for("/datasets/orders", "3 missing");
    page.send(&format!("action=load&from={FIRST}&to={THIRD}"));
    server.wait_until_held(held);
    assert_eq!(database.line("select outcome from activity_log"), "accepted: 3 days");
    page.daemon.signal(Signal::TERM);
    page.daemon.wait_for("shutting down: running loads have ");
    let refused = page.send(&format!("action=load&from={THIRD}"));
    assert!(
        refused.head.starts_with("HTTP/1.1 503") && refused.body.contains("the daemon is shutting down"),
        "{}",
        refused.head
    );
    server.release(held);
    let ran = page.daemon.end();
    assert_eq!(ran.code, 0, "{ran:?}");
    let loaded = [FIRST, SECOND, THIRD].into_iter().filter(|day| *day <= held).map(|day| format!("{day}|loaded"));
    let states = database.lines("select cast(day as text) as d, state from processed_days order by day");
    assert_eq!(states, loaded.collect::<Vec<_>>());
    let said = "orders: stopping before days that were asked for on the page began, ask for them again: ";
    let mut said = ran.stderr.lines().filter_map(|line| Some(line.split_once(said)?.1.to_owned()));
    let first = said.next();
    assert_eq!(said.next(), None, "it is said once");
    first
}

#[test]
fn days_asked_for_and_not_begun_are_said_at_the_end() {
    assert_eq!(not_begun_when_stopped_at(FIRST).as_deref(), Some("2024-03-02..2024-03-03"));
    assert_eq!(not_begun_when_stopped_at(SECOND).as_deref(), Some(THIRD));
    assert_eq!(not_begun_when_stopped_at(THIRD), None, "all began");
}

#[test]
fn an_order_that_waits_for_a_load_is_said_at_the_end() {
    let database = SqliteDatabase::new();
    let server = SlowHttp::start();
    server.day(FIRST, "a,1,x\n");
    server.hold_next(FIRST);
    let mut page = Page::start(&project(&database, &ticking(FIRST).from(&server), ""), &["run"]);
    server.wait_until_held(FIRST);
    page.send(&format!("action=reload&from={FIRST}"));
    page.daemon.wait_for("orders 2024-03-01: being loaded by this process already");
    page.daemon.signal(Signal::TERM);
    page.daemon.wait_for("shutting down: running loads have ");
    server.release(FIRST);
    let ran = page.daemon.end();
    assert_eq!(ran.code, 0, "{ran:?}");
    let said = "orders: stopping before days that were asked for on the page began, ask for them again: 2024-03-01\n";
    assert_eq!(ran.stderr.matches(said).count(), 1, "{ran:?}");
    assert_eq!(database.lines("select state, attempts from processed_days"), ["loaded|1"]);
    assert_eq!(database.line("select outcome from activity_log"), "accepted: 1 day");
}

fn a_catch_up_asked_for_looks_at_waiting_days_before_their_time(database: &dyn Database) {
    let project = project(database, &still(FIRST), "[waiting]\npoll = \"1h\"\n");
    let page = Page::start(&project, &["run"]);
    page.wait_for("/datasets/orders", "1 waiting");
    project.day(FIRST, "a,1,x\n");
    assert!(page.get("/datasets/orders/dry-run?action=catch_up").body.contains("its file was not there; look again"));
    page.send("action=catch_up");
    page.wait_for("/datasets/orders", "1 loaded");
    page.end();
}

/// Where a listener is, from its log line.
fn address_in(line: &str, what: &str) -> Option<String> {
    let (_, address) = line.split_once(&format!("{what} at http://"))?;
    Some(address.trim_end_matches('/').to_owned())
}

/// Where the page and the health of a daemon are, from its next lines that say so.
fn addresses(daemon: &mut Process) -> (String, String) {
    let (mut page, mut health) = (None, None);
    while page.is_none() || health.is_none() {
        let line = daemon.line().unwrap();
        page = page.or(address_in(&line, "web UI"));
        health = health.or(address_in(&line, "health and metrics"));
    }
    (page.unwrap(), health.unwrap())
}

#[test]
fn the_page_moves_when_its_settings_change_and_takes_its_listeners_along() {
    let database = SqliteDatabase::new();
    let settings = |hosts: &str| {
        format!("[web]\nlisten = \"127.0.0.1:0\"\nhosts = [{hosts}]\n[metrics]\nlisten = \"127.0.0.1:0\"\n")
    };
    let project = project(&database, &still(FIRST), &settings(""));
    project.day(FIRST, "a,1,x\n");
    let mut command = project.command(&["run"]);
    let mut daemon = Process::of(command.env_remove("DAYFILL__WEB__LISTEN"));
    let (address, _) = addresses(&mut daemon);
    let mut events = TcpStream::connect(&address).unwrap();
    write!(events, "GET /api/v1/events HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut seen = [0; 15];
    events.read_exact(&mut seen).unwrap();
    assert_eq!(&seen, b"HTTP/1.1 200 OK");

    project.write("dayfill.toml", settings("\"days.example\""));
    daemon.signal(Signal::HUP);
    let (address, health) = addresses(&mut daemon);
    let mut rest = String::new();
    events.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("\r\n0\r\n\r\n"), "the stream is ended, not cut off: {rest}");
    let page = Page { daemon, address };
    let named = |host: &str| page.asked(host, "GET / HTTP/1.1\r\nAccept: text/html", "").head;
    assert!(named("days.example").starts_with("HTTP/1.1 200"), "{}", named("days.example"));
    assert!(named("other.example").starts_with("HTTP/1.1 421"), "{}", named("other.example"));
    assert!(page.get("/metrics").head.starts_with("HTTP/1.1 404"), "metrics have a listener of their own");
    let page = Page { address: health, ..page };
    assert!(page.get("/healthz").head.starts_with("HTTP/1.1 200"));
    page.wait_for("/metrics", "dayfill_day_states{dataset=\"orders\",state=\"loaded\"} 1");
    assert!(page.get("/").head.starts_with("HTTP/1.1 404"), "and nothing but health and metrics");
    page.end();
}

/// The page of a day that two processes tried to load, in two series of attempts.
fn tried_twice(database: &dyn Database) -> String {
    let project = project(database, &still(FIRST), "");
    project.day(FIRST, "a,no number,x\n");
    for command in ["load", "retry"] {
        project.exit(4, &[command, FIRST]);
    }
    let page = Page::start(&project, &["run", "--no-catch-up"]);
    let day = format!("/datasets/orders/days/{FIRST}");
    page.wait_for(&day, "Attempts");
    let shown = page.get(&day).body;
    page.end();
    shown
}

fn an_attempt_names_its_process_also_when_that_has_ended(database: &dyn Database) {
    let shown = tried_twice(database);
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(shown.matches(&format!(", on {} pid ", host.trim())).count(), 2, "{shown}");
}

fn attempts_of_two_series_are_told_apart(database: &dyn Database) {
    let shown = tried_twice(database);
    for number in ["Attempt 1<", "Attempt 2<"] {
        assert_eq!(shown.matches(number).count(), 1, "{number}: {shown}");
    }
    assert_eq!(shown.matches(", attempt 1 of its series").count(), 1, "{shown}");
}

fn a_late_day_is_in_the_metrics(database: &dyn Database) {
    let orders = ticking(SECOND).sections("[waiting]\npoll = \"1s\"\ndeadline = \"07:30\"\n");
    let project = project(database, &orders, "");
    project.day(FIRST, "a,1,x\n");
    let page = Page::start(&project, &["run"]);
    page.wait_for("/metrics", "dayfill_day_late{dataset=\"orders\"} 1\n");
    project.day(SECOND, "a,1,x\n");
    page.wait_for("/metrics", "dayfill_day_late{dataset=\"orders\"} 0\n");
    page.end();
}

fn a_late_day_that_is_loaded_is_late_no_more_before_the_next_tick(database: &dyn Database) {
    let orders = still(FIRST).sections("[waiting]\npoll = \"1s\"\ndeadline = \"07:30\"\n");
    let project = project(database, &orders, "");
    let page = Page::start(&project, &["run"]);
    page.wait_for("/metrics", "dayfill_day_late{dataset=\"orders\"} 1\n");
    project.day(FIRST, "a,1,x\n");
    page.wait_for("/metrics", "dayfill_day_late{dataset=\"orders\"} 0\n");
    page.end();
}

/// The datasets `orders` and `returns`, each with a loaded day; that of `orders` cannot be read from the database.
fn unreadable(database: &SqliteDatabase) -> Project {
    let project = project(database, &still(FIRST), "");
    project.dataset("returns", &Orders { table: "returns", ..still(FIRST) });
    project.day(FIRST, "a,1,x\n");
    project.succeed(&["catch-up"]);
    database.execute("update processed_days set day = '2024-02-30' where dataset = 'orders'");
    project
}

#[test]
fn days_that_cannot_be_read_keep_no_others_from_being_read() {
    let database = SqliteDatabase::new();
    let project = unreadable(&database);
    let page = Page::start(&project, &["run", "--no-catch-up"]);
    page.wait_for("/metrics", "dayfill_day_states{dataset=\"returns\",state=\"loaded\"} 1\n");
    let metrics = page.get("/metrics").body;
    assert!(!metrics.contains("dayfill_day_states{dataset=\"orders\""), "{metrics}");
    let log = page.end();
    assert_eq!(log.matches("orders: cannot read its days: ").count(), 1, "{log}");
}

#[test]
fn the_overview_claims_nothing_of_days_that_were_not_read() {
    let database = SqliteDatabase::new();
    let project = unreadable(&database);
    let page = Page::start(&project, &["run", "--no-catch-up"]);
    page.wait_for("/", "1 loaded");
    let shown = page.get("/").body;
    let (attention, rows) = shown.split_once("id=\"datasets\"").unwrap();
    assert!(attention.contains("dayfill has not read the days of 1 dataset yet."), "{attention}");
    assert!(!attention.contains("Nothing needs attention"), "{attention}");
    let orders = rows.split("<li").find(|row| row.contains("data-dataset=\"orders\"")).unwrap();
    assert!(orders.contains("not read yet"), "{orders}");
    for claim in ["no days wanted yet", "nothing loaded yet"] {
        assert!(!orders.contains(claim), "{claim}: {orders}");
    }
    page.end();
}

#[test]
fn the_metrics_come_also_when_the_database_does_not_answer() {
    let database = TestPostgres::database();
    let project = project(&database, &still(FIRST), "");
    let page = Page::start(&project, &["run"]);
    page.wait_for("/metrics", "\ndayfill_workers 1\n");
    let mut holds = database.connect();
    holds.batch_execute("begin; lock table workers in access exclusive mode").unwrap();
    let answer = page.get("/metrics");
    assert!(answer.head.starts_with("HTTP/1.1 200"), "{}\n{}", answer.head, answer.body);
    assert!(answer.body.contains("\ndayfill_database_up 0\n"), "{}", answer.body);
    assert!(answer.body.contains("\ndayfill_attempts_total{dataset=\"orders\""), "{}", answer.body);
    assert!(!answer.body.contains("\ndayfill_workers "), "{}", answer.body);
    drop(holds);
    page.wait_for("/metrics", "\ndayfill_workers 1\n");
    assert!(page.get("/metrics").body.contains("\ndayfill_database_up 1\n"));
    page.end();
}

#[test]
fn the_page_tells_that_the_database_is_gone_and_is_back() {
    let cluster = TestPostgres::dedicated();
    let database = cluster.database();
    let project = project(&database, &still(FIRST), "[claim]\nlease = \"1s\"\n");
    project.day(FIRST, "a,1,x\n");
    let page = Page::start(&project, &["run"]);
    page.wait_for("/datasets/orders", "1 loaded");
    cluster.stop();
    wait_until("it is not ready", || page.get("/readyz").head.starts_with("HTTP/1.1 503"));
    assert!(page.get("/healthz").head.starts_with("HTTP/1.1 200"), "the process lives");
    assert!(page.get("/metrics").body.contains("dayfill_database_up 0"));
    assert!(page.get("/datasets/orders").head.starts_with("HTTP/1.1 503"));
    cluster.start();
    wait_until("it is ready again", || page.get("/readyz").head.starts_with("HTTP/1.1 200"));
    page.wait_for("/datasets/orders", "1 loaded");
    page.end();
}

#[test]
fn the_configuration_tells_where_each_key_was_set() {
    let database = SqliteDatabase::new();
    let project = project(&database, &still(FIRST), "[claim]\nlease = \"50s\"\n");
    let page = Page::start(&project, &["run", "--no-catch-up"]);
    let shown = page.get("/configuration").body;
    let from = |key: &str| {
        let row = shown.split("<tr>").find(|row| row.contains(&format!("<code>{key}</code>")));
        let row = row.unwrap_or_else(|| panic!("{key}: {shown}"));
        row.rsplit_once("</td>").unwrap().0.rsplit_once('>').unwrap().1.to_owned()
    };
    assert_eq!(from("web.listen"), "DAYFILL__WEB__LISTEN");
    assert_eq!(from("claim.lease"), project.path("dayfill.toml").display().to_string());
    assert_eq!(from("target.table"), project.path("datasets/orders.toml").display().to_string());
    assert_eq!(from("log.level"), "default");
    page.end();
}

#[test]
fn who_listens_to_events_does_not_hold_up_the_end() {
    let database = SqliteDatabase::new();
    let project = project(&database, &still(FIRST), "");
    let page = Page::start(&project, &["run"]);
    let mut stream = TcpStream::connect(&page.address).unwrap();
    let host = &page.address;
    write!(stream, "GET /api/v1/events HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
    let mut heard = String::new();
    while !heard.contains("event: hello") {
        let mut some = [0; 512];
        let length = stream.read(&mut some).unwrap();
        assert_ne!(length, 0, "{heard}");
        heard.push_str(&String::from_utf8_lossy(&some[..length]));
    }
    let log = page.end();
    assert!(!log.contains("broken off"), "{log}");
    // It was ended, and not cut: the last chunk of an answer is empty.
    stream.read_to_string(&mut heard).unwrap();
    assert!(heard.ends_with("0\r\n\r\n"), "{heard:?}");
}

#[test]
fn a_page_whose_place_is_taken_keeps_nobody_from_loading() {
    let database = SqliteDatabase::new();
    let project = project(&database, &still(FIRST), "");
    project.day(FIRST, "a,1,x\n");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = project.command(&["run"]);
    let mut daemon = Process::of(command.env("DAYFILL__WEB__LISTEN", taken.local_addr().unwrap().to_string()));
    daemon.wait_for("cannot listen");
    wait_until("the day is loaded", || {
        database.line("select count(*) from sqlite_master where name = 'processed_days'") == "1"
            && database.lines("select state from processed_days") == ["loaded"]
    });
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end().code, 0);
}

/// A page of a list, and where its links lead: to what is before it, and to what is after.
fn part(page: &Page, path: &str) -> (String, Option<String>, Option<String>) {
    let body = page.get(path).body;
    let (_, links) = body.split_once("<nav class=\"pager\"").unwrap_or_default();
    let link = |rel: &str| {
        let (before, _) = links.split_once(&format!("\" rel=\"{rel}\""))?;
        before.rsplit_once("href=\"")?.1.split('#').next().map(ToOwned::to_owned)
    };
    let (before, after) = (link("prev"), link("next"));
    (body, before, after)
}

fn the_activity_log_comes_in_pages_that_stay_what_they_are(database: &dyn Database) {
    let project = project(database, &still(FIRST), "");
    let page = Page::start(&project, &["run", "--no-catch-up"]);
    page.wait_for("/activity-log", "No activity yet");
    let act = |number: u32| {
        database.execute(&format!(
            "insert into activity_log (at, who, action, outcome) values ('2024-03-01 06:00:00', 'user-{number}', 'x', 'y')"
        ));
    };
    (1..=120).for_each(act);
    let users = |body: &str| -> Vec<u32> {
        let numbers = body.split(">user-").skip(1).map(|rest| rest.split_once('<').unwrap().0.parse().unwrap());
        numbers.collect()
    };
    let expected = |from: u32, to: u32| -> Vec<u32> { (to..=from).rev().collect() };

    let (body, newer, older) = part(&page, "/activity-log");
    assert_eq!((users(&body), newer), (expected(120, 71), None));
    let second = older.unwrap();
    act(121);
    let (body, newer, older) = part(&page, &second);
    assert_eq!(users(&body), expected(70, 21), "what is done meanwhile moves nothing");
    let (newer, last) = (newer.unwrap(), older.unwrap());
    let (body, _, older) = part(&page, &newer);
    assert_eq!((users(&body), older), (expected(120, 71), Some(second)));
    let (body, back, older) = part(&page, &last);
    assert_eq!((users(&body), older), (expected(20, 1), None));
    let (body, newer, _) = part(&page, &back.unwrap());
    assert_eq!(users(&body), expected(70, 21));
    // Near the newest there is a whole page, and nothing newer.
    let (body, newer, _) = part(&page, &part(&page, &newer.unwrap()).1.unwrap());
    assert_eq!((users(&body), newer), (expected(121, 72), None));
    page.end();
}

fn rejected_rows_come_in_pages(database: &dyn Database) {
    let project = project(database, &still(FIRST), "");
    project.day(FIRST, &"a,no number,x\n".repeat(250));
    let page = Page::start(&project, &["run"]);
    let day = format!("/datasets/orders/days/{FIRST}");
    page.wait_for(&day, "250 rows are stored");
    let lines = |body: &str| -> Vec<u32> {
        let numbers = body.split("<th class=\"n\" scope=\"row\">").skip(1);
        numbers.map(|rest| rest.split_once('<').unwrap().0.parse().unwrap()).collect()
    };
    let expected = |from: u32, to: u32| -> Vec<u32> { (from..=to).collect() };

    let (body, before, after) = part(&page, &day);
    assert_eq!((lines(&body), before), (expected(2, 101), None));
    let (body, before, after) = part(&page, &after.unwrap());
    assert_eq!(lines(&body), expected(102, 201));
    assert_eq!(lines(&part(&page, &before.unwrap()).0), expected(2, 101));
    let (body, before, after) = part(&page, &after.unwrap());
    assert_eq!((lines(&body), after), (expected(202, 251), None));
    let (body, ..) = part(&page, &before.unwrap());
    assert_eq!(lines(&body), expected(102, 201));
    // Near the first there is a whole page, and nothing before it.
    let (body, before, _) = part(&page, &format!("{day}?before=50"));
    assert_eq!((lines(&body), before), (expected(2, 101), None));
    assert_eq!(lines(&part(&page, &format!("{day}?after=120")).0), expected(121, 220));
    page.end();
}

#[test]
fn signs_of_life_are_held_against_the_databases_clock() {
    let database = TestPostgres::database();
    // The server's clock is an hour behind this machine's.
    for (clock, late) in [("clock_timestamp", "1 hour"), ("now", "1 hour"), ("pg_postmaster_start_time", "2 hours")] {
        database.execute(&format!(
            "create function public.{clock}() returns timestamptz language sql as \
             $$ select pg_catalog.{clock}() - interval '{late}' $$"
        ));
    }
    database.execute(
        "do $$ begin execute format('alter database %I set search_path = public, pg_catalog', current_database()); \
         end $$",
    );
    let project = project(&database, &still(FIRST), "");
    let page = Page::start(&project, &["run", "--no-catch-up"]);
    page.wait_for("/daemons", "serves this page");
    let behind = "select now() - max(heartbeat_at) > interval '30 minutes' from workers";
    assert_eq!(database.line(&behind.replace("now", "pg_catalog.now")), "true", "its clock is not the machine's");
    let shown = page.get("/daemons").body;
    assert!(!shown.contains("no heartbeat"), "{shown}");
    page.end();
}

#[test]
fn what_is_wrong_with_an_address_is_told_as_it_was_asked_for() {
    let database = SqliteDatabase::new();
    let project = project(&database, &still(FIRST), "");
    let page = Page::start(&project, &["run", "--no-catch-up"]);
    for (path, status, told) in [
        ("/?page=x", 400, "page"),
        ("/?page=-1", 400, "page"),
        ("/datasets/%ff", 404, "nothing exists at this address"),
        ("/datasets/%ff/days?day=2024-03-01", 404, "nothing exists at this address"),
        ("/datasets/%ff/days/2024-03-01", 404, "nothing exists at this address"),
        ("/datasets/%ff/dry-run?action=load", 404, "nothing exists at this address"),
        ("/datasets/orders/days", 400, "day"),
        ("/datasets/orders/days/2024-03-01?after=x", 400, "after"),
        ("/datasets/orders/dry-run?action=load&action=skip", 400, "action"),
        ("/activity-log?before=x", 400, "before"),
        ("/login?next=/&next=/", 400, "next"),
    ] {
        let shown = page.get(path);
        let program = page.ask(&format!("GET {path} HTTP/1.1\r\nAccept: application/json"), "");
        for (answer, kind) in [(&shown, "text/html"), (&program, "application/problem+json")] {
            let head = answer.head.to_lowercase();
            assert!(head.starts_with(&format!("http/1.1 {status} ")), "{path}: {head}");
            assert!(head.contains(&format!("content-type: {kind}")), "{path}: {head}");
            assert!(answer.body.contains(told), "{path}: {}", answer.body);
        }
        assert!(shown.body.contains("<nav aria-label=\"Main\""), "{path}: it is a page of ours: {}", shown.body);
    }
    page.end();
}

/// What a file's header says goes to memory, the database and the page in measure.
#[test]
fn forty_days_with_a_header_of_a_megabyte_stay_small_in_memory_and_on_the_page() {
    let database = SqliteDatabase::new();
    let project = project(&database, &still("2024-04-09"), "");
    let names = (0..8_000).fold(String::new(), |mut names, at| {
        let _ = write!(names, ",{at:063},{at:063}");
        names
    });
    project.write("header.csv", format!("id{names}\n1\n"));
    let page = Page::start(&project, &["run"]);
    page.wait_for("/datasets/orders", "40 waiting");
    let before = page.peak_memory();
    for day in FIRST.parse::<NaiveDate>().unwrap().iter_days().take(40) {
        std::fs::hard_link(project.path("header.csv"), project.path(&format!("days/{day}.csv"))).unwrap();
    }
    page.send("action=catch_up");
    wait_until("all days are refused", || page.get("/datasets/orders").body.contains("40 refused"));
    let grown = page.peak_memory() - before;
    assert!(grown <= 20 * 1024, "{grown} KiB");
    for path in ["/", "/datasets/orders", &format!("/datasets/orders/days/{FIRST}")] {
        let size = page.get(path).body.len();
        assert!(size <= 100_000, "{path}: {size} bytes");
    }
    page.end();
}
