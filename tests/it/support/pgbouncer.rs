//! A `PgBouncer` of one test's own, before the server of its database. It runs as the cluster's owner, since it refuses
//! to run as root, and ends when the test does, however that ends: a shell waits on a pipe for it.

use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use diesel::{Connection, PgConnection};
use url::Url;

use super::postgres::{TestDatabase, as_owner, owner};
use super::{Database, wait_until};

/// Starts it, waits until nobody holds the pipe's other end, ends it and removes its folder.
const KEEPER: &str = r#"
trap '' INT HUP PIPE
"$1" "$2/pgbouncer.ini" </dev/null & pid=$!
cat >/dev/null
kill "$pid"
wait "$pid"
rm -rf "$2"
"#;

/// How many sessions of the server it holds at most.
pub(crate) const SESSIONS: usize = 30;

pub(crate) struct PgBouncer {
    keeper: Child,
    url: String,
}

impl PgBouncer {
    /// One in that pool mode (`session`, `transaction`), between a test and its database.
    pub(crate) fn before(database: &TestDatabase, pool_mode: &str) -> Self {
        let program = program();
        let server = Url::parse(database.url()).expect("a URL made here");
        let of_query =
            |name: &str| server.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let host = of_query("host").or_else(|| server.host_str().map(str::to_owned)).expect("a host");
        let user = of_query("user").unwrap_or_else(|| server.username().to_owned());
        let port = server.port().map_or_else(String::new, |port| format!(" port={port}"));
        let password = server.password().map_or_else(String::new, |password| format!(" password={password}"));
        let root = tempfile::Builder::new().prefix("dayfill-pgb-").tempdir_in("/tmp").expect("a folder").keep();
        let folder = root.display();
        let ini = format!(
            "[databases]\n* = host={host} user={user}{port}{password}\n[pgbouncer]\nunix_socket_dir = {folder}\n\
             listen_port = 6432\nauth_type = any\npool_mode = {pool_mode}\ndefault_pool_size = {SESSIONS}\n\
             logfile = {folder}/log\n"
        );
        let file = root.join("pgbouncer.ini");
        fs::write(&file, ini).expect("the file is written");
        if let Some((user, group)) = owner() {
            for path in [&root, &file] {
                chown(path, Some(user), Some(group)).expect("root may give a file away");
            }
        }
        let keeper = as_owner("/bin/sh", &root)
            .args(["-c", KEEPER, "pgbouncer.sh"])
            .args([&program, &root])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh starts");
        let url = format!("postgres://{}?host={folder}&port=6432&user={user}", server.path());
        let bouncer = Self { keeper, url };
        wait_until("PgBouncer takes connections", || PgConnection::establish(&bouncer.url).is_ok());
        bouncer
    }

    /// What a user would write as `database.url` to go through it.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A connection through it.
    pub(crate) fn connect(&self) -> PgConnection {
        PgConnection::establish(&self.url).expect("PgBouncer takes a connection")
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        drop(self.keeper.wait());
    }
}

/// The program: the one in PATH, or where Debian puts it, which is not in everybody's PATH.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|folder| folder.join("pgbouncer"));
    in_path.chain(["/usr/sbin/pgbouncer".into()]).find(|program| program.exists()).unwrap_or_else(|| {
        panic!("this test needs PgBouncer: `make test` installs it (Debian and Ubuntu: apt-get install pgbouncer)")
    })
}
