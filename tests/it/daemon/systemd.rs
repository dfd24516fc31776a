//! The conversation with a service manager: readiness, status, reloads, the watchdog and the end.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::process::Signal;

use crate::support::Database;
use crate::support::daemon::{Settings, one_day, project};
use crate::support::process::Process;
use crate::support::project::{FIRST, Project};
use crate::support::sqlite::SqliteDatabase;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The service manager, as far as the daemon sees it.
struct Manager {
    socket: UnixDatagram,
    /// What `NOTIFY_SOCKET` is to be.
    name: String,
}

impl Manager {
    fn with_a_path(folder: &std::path::Path) -> Self {
        let path = folder.join("notify");
        Self { socket: UnixDatagram::bind(&path).unwrap(), name: path.to_str().unwrap().to_owned() }
    }

    fn with_an_abstract_name() -> Self {
        let name = format!("dayfill-test-{}", uuid::Uuid::new_v4());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        Self { socket: UnixDatagram::bind_addr(&address).unwrap(), name: format!("@{name}") }
    }

    fn start(&self, project: &Project, environment: &[(&str, &str)]) -> Process {
        let mut command = project.command(&["run"]);
        command.env("NOTIFY_SOCKET", &self.name).envs(environment.iter().copied());
        Process::of(&mut command)
    }

    /// The next message; `None` when none came in that time.
    fn message_within(&self, time: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(time)).unwrap();
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
    }

    fn message(&self) -> String {
        self.message_within(PATIENCE).unwrap()
    }

    /// The next message but for that one, which may come at any time.
    fn message_but(&self, not: &str) -> String {
        loop {
            let message = self.message();
            if message != not {
                return message;
            }
        }
    }

    /// Reads what has come so far.
    fn drain(&self) {
        self.socket.set_nonblocking(true).unwrap();
        while self.socket.recv(&mut [0; 4096]).is_ok() {}
        self.socket.set_nonblocking(false).unwrap();
    }
}

const STATUS: &str = "STATUS=orders: loaded 2024-03-01; next tick 02:00 UTC\n";

fn a_project() -> (SqliteDatabase, Project) {
    let database = SqliteDatabase::new();
    let project = project(&database, &Settings::default(), &one_day());
    project.day(FIRST, "a,1,x\n");
    (database, project)
}

fn the_whole_conversation(manager: &Manager) {
    let (_database, project) = a_project();
    let daemon = manager.start(&project, &[]);
    let started = manager.message();
    assert_eq!(started, "READY=1\nSTATUS=1 dataset; next tick 02:00 UTC\n");
    assert_eq!(manager.message(), STATUS);

    daemon.signal(Signal::HUP);
    let reloading = manager.message();
    let since = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").and_then(|rest| rest.strip_suffix('\n'));
    assert!(since.is_some_and(|since| since.parse::<u64>().is_ok()), "{reloading}");
    assert_eq!(manager.message(), format!("READY=1\n{STATUS}"), "the end of the reload");

    daemon.signal(Signal::TERM);
    assert_eq!(manager.message(), "STOPPING=1\n");
    let ran = daemon.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert_eq!(manager.message_within(Duration::from_millis(1)), None, "nothing comes after the end");
}

#[test]
fn a_manager_whose_socket_has_a_path_hears_all() {
    let folder = tempfile::tempdir().unwrap();
    the_whole_conversation(&Manager::with_a_path(folder.path()));
}

#[test]
fn a_manager_whose_socket_has_an_abstract_name_hears_all() {
    the_whole_conversation(&Manager::with_an_abstract_name());
}

#[test]
fn a_refused_reload_is_ready_again_and_says_so() {
    let (_database, project) = a_project();
    let manager = Manager::with_an_abstract_name();
    let daemon = manager.start(&project, &[]);
    assert!(manager.message().starts_with("READY=1\n"));
    assert_eq!(manager.message(), STATUS);
    project.write("dayfill.toml", "nonsense = 1\n");
    daemon.signal(Signal::HUP);
    assert!(manager.message().starts_with("RELOADING=1\n"));
    let refused = "READY=1\nSTATUS=configuration rejected, see the log; the previous one stays in force\n";
    assert_eq!(manager.message(), refused);
}

const INTERVAL: Duration = Duration::from_millis(800);
const WATCHED: [(&str, &str); 1] = [("WATCHDOG_USEC", "800000")];

#[test]
fn the_watchdog_is_fed_until_the_end() {
    let (_database, project) = a_project();
    let manager = Manager::with_an_abstract_name();
    let daemon = manager.start(&project, &WATCHED);
    assert!(manager.message_but("WATCHDOG=1\n").starts_with("READY=1\n"));
    assert_eq!(manager.message_but("WATCHDOG=1\n"), STATUS);
    for _ in 0..3 {
        assert_eq!(manager.message(), "WATCHDOG=1\n");
    }
    daemon.signal(Signal::TERM);
    assert_eq!(manager.message_but("WATCHDOG=1\n"), "STOPPING=1\n");
    assert_eq!(daemon.end().code, 0);
}

#[test]
fn a_daemon_that_hangs_does_not_feed_the_watchdog() {
    let (_database, project) = a_project();
    let manager = Manager::with_an_abstract_name();
    let daemon = manager.start(&project, &WATCHED);
    assert_eq!(manager.message_but("WATCHDOG=1\n"), "READY=1\nSTATUS=1 dataset; next tick 02:00 UTC\n");
    assert_eq!(manager.message_but("WATCHDOG=1\n"), STATUS);
    daemon.stop();
    manager.drain();
    assert_eq!(manager.message_within(INTERVAL), None, "it stands still");
    daemon.signal(Signal::CONT);
    assert_eq!(manager.message(), "WATCHDOG=1\n");
}

#[test]
fn without_a_watchdog_nobody_is_fed() {
    let (_database, project) = a_project();
    let manager = Manager::with_an_abstract_name();
    // The watchdog of another process, as a shell around this one would leave it behind.
    let environment = [("WATCHDOG_USEC", "1000"), ("WATCHDOG_PID", "1")];
    let daemon = manager.start(&project, &environment);
    assert!(manager.message().starts_with("READY=1\n"));
    assert_eq!(manager.message(), STATUS);
    daemon.signal(Signal::TERM);
    assert_eq!(manager.message(), "STOPPING=1\n");
}

#[test]
fn a_manager_that_is_gone_is_no_failure() {
    let (database, project) = a_project();
    let mut command = project.command(&["run"]);
    command.env("NOTIFY_SOCKET", project.path("nobody")).env("WATCHDOG_USEC", "100000");
    let mut daemon = Process::of(&mut command);
    daemon.wait_for("orders 2024-03-01: loaded 1 row in");
    daemon.signal(Signal::HUP);
    daemon.wait_for("nothing changed");
    daemon.signal(Signal::TERM);
    let ran = daemon.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert_eq!(database.line("select count(*) from orders"), "1");
}
