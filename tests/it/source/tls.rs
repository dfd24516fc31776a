//! Web servers with certificates of a private authority, as a user sets them up: by the environment of the process.

use hyper::header::{HeaderValue, LOCATION};

use super::assert_has;
use crate::support::Database as _;
use crate::support::http::{Server, status, whole};
use crate::support::project::{FIRST, Orders, Project, Ran};
use crate::support::sqlite::SqliteDatabase;
use crate::support::tls::{Front, certificate};

struct Setup {
    database: SqliteDatabase,
    project: Project,
    front: Front,
    server: Server,
    authority: String,
    _folder: tempfile::TempDir,
}

impl Setup {
    /// A server behind TLS whose file `moved.csv` is said to be elsewhere.
    fn new(elsewhere: &str) -> Self {
        let (folder, database) = (tempfile::TempDir::new().unwrap(), SqliteDatabase::new());
        let elsewhere = HeaderValue::from_str(elsewhere).unwrap();
        let server = Server::start(move |request| {
            let moved = request.uri().path().starts_with("/moved");
            let mut response = if moved { status(302, "") } else { whole("id,amount,note\na,1,x\n") };
            if moved {
                response.headers_mut().insert(LOCATION, elsewhere.clone());
            }
            async { response }
        });
        let authority = certificate(folder.path(), &["localhost"]).display().to_string();
        let (front, project) =
            (Front::start(folder.path(), &server.url()), Project::new(&database, &Orders::default()));
        Self { database, project, front, server, authority, _folder: folder }
    }

    /// Loads the first day from a server of that name, which the process trusts by that file.
    fn load(&self, name: &str, file: &str, trusted: Option<&str>) -> Ran {
        let source = format!("url = \"{}/{file}?sig=s3cr3t-{{day}}\"", self.front.url(name));
        self.project.orders(&Orders { source, ..Orders::default() });
        let mut command = self.project.command(&["load", "--force", FIRST]);
        Ran::of(command.envs(trusted.map(|file| ("SSL_CERT_FILE", file))))
    }
}

#[test]
fn a_private_authority_is_trusted_where_ssl_cert_file_names_it() {
    let setup = Setup::new("/");
    let ran = setup.load("localhost", "day.csv", Some(&setup.authority));
    assert_eq!((ran.code, setup.database.line("select id from orders")), (0, "a".to_owned()), "{ran:#?}");
    let ran = setup.load("localhost", "day.csv", None);
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert_has(&ran.stdout, &["signed by an authority that this machine does not trust", "in SSL_CERT_FILE"]);
    assert!(!ran.stdout.contains("s3cr3t") && !ran.stderr.contains("s3cr3t"), "{ran:#?}");
}

#[test]
fn a_handshake_that_is_reset_is_tried_again() {
    let setup = Setup::new("/");
    setup.front.reset_next(3);
    let ran = setup.load("localhost", "day.csv", Some(&setup.authority));
    assert_eq!((ran.code, setup.front.to_be_reset()), (0, 0), "{ran:#?}");
    assert_eq!(setup.database.line("select attempts from processed_days"), "1");
}

#[test]
fn a_file_is_never_read_unprotected_when_https_was_asked_for() {
    let plain = Server::start(|_| async { whole("id,amount,note\nplain,1,x\n") });
    let elsewhere = format!("{}/x.csv?signature=hush", plain.url().replace("127.0.0.1", "localhost"));
    let setup = Setup::new(&elsewhere);
    let ran = setup.load("localhost", "moved.csv", Some(&setup.authority));
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert_has(&ran.stdout, &["from https to http (localhost), which is never followed"]);
    assert_eq!((setup.server.seen().len(), plain.seen().len()), (1, 0));
    for secret in ["s3cr3t", "hush"] {
        assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{ran:#?}");
    }
}
