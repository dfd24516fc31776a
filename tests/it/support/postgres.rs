//! A throw-away `PostgreSQL` for the tests: a database of its own for each test, on a cluster that the tests of a run
//! share, or a whole cluster for a test that has to stop it.
//!
//! [`TestPostgres::database`] uses the server of `DAYFILL_TEST_POSTGRES_URL` if that is set (its user must be allowed
//! to create databases). Otherwise the first test that asks starts a cluster, of the programs in
//! `DAYFILL_TEST_POSTGRES_BIN` if that names their folder (`make test-postgres` sets it). Test runners may give each test a process
//! of its own, so the cluster belongs to none of them: `postgres.sh`, a small process beside it, keeps it until nobody
//! holds the lock that every user holds, which the kernel lets go of however a test ends. A missing `PostgreSQL` fails
//! the test; it never skips it.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek};
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use diesel::connection::SimpleConnection;
use diesel::sql_types::{Array, Nullable, Text};
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl};
use rustix::process::{Pid, Signal};
use url::Url;

use super::{Database, join};

/// The script that makes, keeps and ends a cluster.
const KEEPER: &str = include_str!("postgres.sh");

/// Names the folder of the programs to take, and no other.
const PROGRAMS: &str = "DAYFILL_TEST_POSTGRES_BIN";

/// How a cluster whose data nobody will miss runs fast, and a test's wait for a lock ends some day.
const SETTINGS: [&str; 5] =
    ["fsync = off", "synchronous_commit = off", "full_page_writes = off", "max_connections = 200", "autovacuum = off"];

/// Where tests get `PostgreSQL` from.
pub(crate) struct TestPostgres;

impl TestPostgres {
    /// An empty database of the test's own, on the shared cluster.
    pub(crate) fn database() -> TestDatabase {
        static SHARED: OnceLock<Shared> = OnceLock::new();
        TestDatabase::create(&SHARED.get_or_init(Shared::find_or_start).server, AtTheEnd::Drop)
    }

    /// The same in another encoding than UTF-8.
    pub(crate) fn database_in(encoding: &str) -> TestDatabase {
        let database = Self::database();
        let again = format!(
            "drop database {name}; create database {name} template template0 encoding '{encoding}' locale 'C'",
            name = database.name
        );
        for statement in again.split("; ") {
            connect(database.server.as_str()).batch_execute(statement).expect("create");
        }
        database
    }

    /// A cluster of the test's own, to be stopped, started and killed.
    pub(crate) fn dedicated() -> DedicatedPostgres {
        DedicatedPostgres::start_new(&[], None)
    }

    /// The same, listening on a free TCP port of 127.0.0.1 beside its socket, with more lines for `postgresql.conf`.
    pub(crate) fn dedicated_on_tcp(settings: &[&str]) -> DedicatedPostgres {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        DedicatedPostgres::start_new(settings, Some(free.expect("a free port").port()))
    }
}

/// A database of one test's own, dropped with it. Its user is a superuser.
pub(crate) struct TestDatabase {
    url: String,
    name: String,
    server: Url,
    at_the_end: AtTheEnd,
}

/// What becomes of a database when its test is over.
#[derive(PartialEq)]
enum AtTheEnd {
    /// It is dropped.
    Drop,
    /// It goes with its cluster, which the test may have stopped by then.
    Leave,
}

impl TestDatabase {
    fn create(server: &Url, at_the_end: AtTheEnd) -> Self {
        let name = format!("dayfill_test_{}", uuid::Uuid::new_v4().simple());
        // Not template1: that cannot be copied while anybody is connected to it.
        connect(server.as_str()).batch_execute(&format!("create database {name} template template0")).expect("create");
        let mut url = server.clone();
        url.set_path(&name);
        Self { url: url.into(), name, server: server.clone(), at_the_end }
    }

    /// A connection to it.
    pub(crate) fn connect(&self) -> PgConnection {
        connect(&self.url)
    }
}

impl Database for TestDatabase {
    fn url(&self) -> &str {
        &self.url
    }

    fn execute(&self, sql: &str) {
        self.connect().batch_execute(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
    }

    fn hold(&self) -> Box<dyn std::any::Any> {
        let mut conn = self.connect();
        conn.batch_execute("begin; lock table processed_days in exclusive mode").expect("the lock");
        Box::new(conn)
    }

    fn lines(&self, query: &str) -> Vec<String> {
        #[derive(QueryableByName)]
        struct Line {
            #[diesel(sql_type = Array<Nullable<Text>>)]
            line: Vec<Option<String>>,
        }
        // The columns are not known to diesel; the server spells them all as text.
        let lines = format!("select array(select value from json_each_text(to_json(t))) as line from ({query}) t");
        let lines = diesel::sql_query(lines).load::<Line>(&mut self.connect());
        lines.unwrap_or_else(|error| panic!("{error}: {query}")).into_iter().map(|line| join(line.line)).collect()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if self.at_the_end == AtTheEnd::Drop
            && let Ok(mut connection) = PgConnection::establish(self.server.as_str())
        {
            // Best effort: the cluster does not outlive the run.
            drop(connection.batch_execute(&format!("drop database if exists {} with (force)", self.name)));
        }
    }
}

/// A cluster of one test's own. Databases made on it go with it.
pub(crate) struct DedicatedPostgres {
    server: Url,
    cluster: Cluster,
}

impl DedicatedPostgres {
    fn start_new(settings: &[&str], tcp: Option<u16>) -> Self {
        let tcp_settings = tcp.map(|port| [format!("port = {port}"), "listen_addresses = '127.0.0.1'".to_owned()]);
        let settings = tcp_settings.iter().flatten().map(String::as_str).chain(settings.iter().copied());
        let cluster = Cluster::start("pipe", Stdio::piped(), settings);
        let server = match tcp {
            Some(port) => parse(&format!("postgres://postgres@127.0.0.1:{port}/postgres")),
            None => cluster.socket_url(),
        };
        Self { server, cluster }
    }

    /// An empty database on it.
    pub(crate) fn database(&self) -> TestDatabase {
        TestDatabase::create(&self.server, AtTheEnd::Leave)
    }

    /// The folder with its `postgresql.conf`, for what [`Self::restart`] shall find there.
    pub(crate) fn data(&self) -> PathBuf {
        self.cluster.root.join("data")
    }

    /// Stops it, breaking off its sessions; returns when it is down.
    pub(crate) fn stop(&self) {
        self.cluster.pg_ctl(&["-m", "fast", "-w", "stop"]);
    }

    /// Starts it again; returns when it takes connections.
    pub(crate) fn start(&self) {
        self.cluster.pg_ctl(&["-l", "log", "-w", "start"]);
    }

    /// Stops and starts it.
    pub(crate) fn restart(&self) {
        self.stop();
        self.start();
    }

    /// Stops it and starts it again as a server whose messages are German, where its catalogs are installed. Its locale
    /// is C's by that name: machines for tests have no other.
    pub(crate) fn restart_in_german(&self) {
        let (root, c) = (&self.cluster.root, Path::new("/usr/lib/locale/C.utf8"));
        assert!(c.exists(), "this test needs the locale C.UTF-8 in {}", c.display());
        let locales = root.join("locales");
        fs::create_dir(&locales).expect("a folder");
        std::os::unix::fs::symlink(c, locales.join("de_DE.utf8")).expect("a link");
        let conf = self.data().join("postgresql.conf");
        let conf_text = fs::read_to_string(&conf).expect("it can be read");
        fs::write(&conf, format!("{conf_text}\nlc_messages = 'de_DE.UTF-8'\n")).expect("it can be written");
        self.stop();
        self.cluster.pg_ctl_with(&[("LOCPATH", locales.as_os_str())], &["-l", "log", "-w", "start"]);
    }

    /// Sends a signal to one of its sessions, or to the server itself ([`Self::pid`]).
    pub(crate) fn signal(pid: i32, signal: Signal) {
        let pid = Pid::from_raw(pid).expect("a process id");
        rustix::process::kill_process(pid, signal).expect("the process takes the signal");
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> i32 {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).expect("it runs");
        file.lines().next().and_then(|pid| pid.parse().ok()).expect("a process id")
    }
}

impl Drop for DedicatedPostgres {
    fn drop(&mut self) {
        // The keeper does the rest when the pipe closes. Waited for, so that a test that is over has ended all of it.
        drop(self.cluster.keeper.stdin.take());
        drop(self.cluster.keeper.wait());
    }
}

/// The cluster that the tests of a run share, seen from one of its users.
struct Shared {
    server: Url,
    /// Locked, shared with the other users, until this process ends.
    _in_use: Option<File>,
}

impl Shared {
    fn find_or_start() -> Self {
        if let Ok(given) = std::env::var("DAYFILL_TEST_POSTGRES_URL") {
            let server = Url::parse(&given).expect("DAYFILL_TEST_POSTGRES_URL is a URL");
            return Self { server, _in_use: None };
        }
        // The programs of one folder, the clusters of one folder: no run finds another version's cluster.
        let given = std::env::var(PROGRAMS).unwrap_or_default().replace('/', "-");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("postgres{given}"));
        fs::create_dir_all(&folder).expect("the target folder");
        let (users, note) = (folder.join("postgres.users"), folder.join("postgres.url"));

        // One at a time looks whether the cluster is there, or starts it.
        let door = open(&folder.join("postgres.door"));
        door.lock().expect("the lock of the door");
        // Waits while a keeper that found nobody here is ending its cluster.
        let in_use = open(&users);
        in_use.lock_shared().expect("the lock of the users");

        let found = fs::read_to_string(&note).ok().and_then(|url| Url::parse(&url).ok());
        let found = found.filter(|url| PgConnection::establish(url.as_str()).is_ok());
        let server = found.unwrap_or_else(|| {
            // The keeper's own handle: a lock belongs to the handle it was taken with.
            let server = Cluster::start("lock", Stdio::from(open(&users)), []).socket_url();
            fs::write(&note, server.as_str()).expect("the note is written");
            server
        });
        Self { server, _in_use: Some(in_use) }
    }
}

/// A running cluster and the process that keeps it.
struct Cluster {
    keeper: Child,
    programs: PathBuf,
    /// Holds data, log and socket; the keeper removes it. In `/tmp`, since a socket's path may have 107 bytes, and an
    /// other user must get there.
    root: PathBuf,
}

impl Cluster {
    /// Makes one and starts it. `stdin` is what the keeper waits on, in the way that `wait` names.
    fn start<'a>(wait: &str, stdin: Stdio, settings: impl IntoIterator<Item = &'a str>) -> Self {
        let programs = programs();
        let root = tempfile::Builder::new().prefix("dayfill-pg-").tempdir_in("/tmp").expect("a folder").keep();
        if let Some((user, group)) = owner() {
            chown(&root, Some(user), Some(group)).expect("root may give a folder away");
        }
        let mut log = tempfile::tempfile().expect("a file for the log");
        let mut keeper = as_owner("/bin/sh", &root)
            .args(["-c", KEEPER, "postgres.sh"])
            .args([&programs, &root])
            .arg(wait)
            .args(SETTINGS)
            .args(settings)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(log.try_clone().expect("a second handle"))
            // It has to live through what ends the tests.
            .process_group(0)
            .spawn()
            .expect("sh starts");
        let mut said = String::new();
        let stdout = keeper.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut said).expect("the keeper speaks");
        if said != "ready\n" {
            let mut text = String::new();
            log.rewind().and_then(|()| log.read_to_string(&mut text)).expect("the log can be read");
            panic!("PostgreSQL did not start; initdb and pg_ctl of {} said:\n{text}", programs.display());
        }
        Self { keeper, programs, root }
    }

    /// The URL of its own database over its socket.
    fn socket_url(&self) -> Url {
        parse(&format!("postgres:///postgres?host={}&user=postgres", self.root.display()))
    }

    fn pg_ctl(&self, arguments: &[&str]) {
        self.pg_ctl_with(&[], arguments);
    }

    /// The same with variables of the environment.
    fn pg_ctl_with(&self, variables: &[(&str, &OsStr)], arguments: &[&str]) {
        let status = as_owner(self.programs.join("pg_ctl"), &self.root)
            .args(["-D", "data"])
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(status.expect("pg_ctl runs").success(), "pg_ctl {arguments:?} failed");
    }
}

/// A command in the cluster's folder, run by the cluster's owner.
pub(super) fn as_owner(program: impl AsRef<OsStr>, root: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root);
    if let Some((user, group)) = owner() {
        command.uid(user).gid(group);
    }
    command
}

/// Whom a cluster belongs to if not to us: `PostgreSQL` refuses to run as root.
pub(super) fn owner() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("/etc/passwd");
    let find = |name: &str| {
        let fields: Vec<_> =
            users.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|user| user[0] == name)?;
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    };
    Some(find("postgres").or_else(|| find("nobody")).expect("a user for the cluster: postgres or nobody"))
}

/// The folder with initdb, `pg_ctl` and postgres: the one that [`PROGRAMS`] names, or else the one in PATH, or else the newest where Debian puts them, which is
/// not in PATH.
fn programs() -> PathBuf {
    if let Some(given) = std::env::var_os(PROGRAMS) {
        return given.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Behind a link to one of the programs are the others.
    let in_path = std::env::split_paths(&path).filter_map(|folder| folder.join("initdb").canonicalize().ok());
    let in_path = in_path.filter_map(|initdb| initdb.parent().map(Path::to_owned));
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<_> = versions.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    let of_debian = versions.into_iter().map(|version| format!("/usr/lib/postgresql/{version}/bin").into());
    in_path
        .chain(of_debian)
        .find(|folder| ["initdb", "pg_ctl", "postgres"].iter().all(|program| folder.join(program).exists()))
        .unwrap_or_else(|| {
            panic!(
                "this test needs PostgreSQL's initdb, pg_ctl and postgres, in PATH or in /usr/lib/postgresql/*/bin, to \
                 start a server of its own: `make test` installs them (Debian and Ubuntu: apt-get install postgresql)"
            )
        })
}

fn connect(url: &str) -> PgConnection {
    PgConnection::establish(url).expect("PostgreSQL takes a connection")
}

fn parse(url: &str) -> Url {
    Url::parse(url).expect("a URL made here")
}

fn open(path: &Path) -> File {
    OpenOptions::new().write(true).create(true).truncate(false).open(path).expect("a file in the target folder")
}
