//! TLS to a real server with certificates made here: `sslmode=verify-full` really verifies.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::Database;
use crate::support::postgres::{DedicatedPostgres, TestDatabase, TestPostgres};
use crate::support::project::{Orders, Project, Ran};

/// The name in the server's certificate; no name server knows it.
const NAME: &str = "db.dayfill.test";

pub(crate) fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").current_dir(folder).args(arguments).stdin(Stdio::null()).output();
    let output =
        output.unwrap_or_else(|error| panic!("these tests need openssl (Debian: apt-get install openssl): {error}"));
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes a certificate authority: `NAME.crt` and `NAME.key`.
fn authority(folder: &Path, name: &str) -> PathBuf {
    let (subject, key, certificate) = (format!("/CN={name}"), format!("{name}.key"), format!("{name}.crt"));
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", &key];
    let arguments = ["req", "-x509", "-days", "2", "-subj", &subject, "-out", &certificate];
    openssl(folder, &[&arguments[..], &key].concat());
    folder.join(certificate)
}

/// A server whose certificate for [`NAME`] is signed by `ours.crt` in a folder that also holds `other.crt`.
struct Server {
    postgres: DedicatedPostgres,
    folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["ours", "other"] {
            authority(folder.path(), name);
        }
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "server.key"];
        openssl(folder.path(), &[&["req", "-subj", "/CN=any", "-out", "server.csr"][..], &key].concat());
        fs::write(folder.path().join("names"), format!("subjectAltName = DNS:{NAME}\n")).unwrap();
        let sign = ["x509", "-req", "-days", "2", "-in", "server.csr", "-CA", "ours.crt", "-CAkey", "ours.key"];
        let more = ["-CAcreateserial", "-extfile", "names", "-out", "server.crt"];
        openssl(folder.path(), &[&sign[..], &more].concat());

        let postgres = TestPostgres::dedicated_on_tcp(&[]);
        let data = postgres.data();
        let owner = fs::metadata(&data).unwrap();
        for name in ["server.crt", "server.key"] {
            let to = data.join(name);
            fs::copy(folder.path().join(name), &to).unwrap();
            fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
            chown(&to, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        let config = data.join("postgresql.conf");
        let text = fs::read_to_string(&config).unwrap();
        fs::write(&config, text + "ssl = on\n").unwrap();
        // Whoever comes without TLS is turned away.
        fs::write(data.join("pg_hba.conf"), "local all all trust\nhostssl all all 127.0.0.1/32 trust\n").unwrap();
        postgres.restart();
        Self { postgres, folder }
    }

    fn ca(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}

/// A run of `command` on the database under another name of its host, with more parameters and variables.
fn run(project: &Project, database: &TestDatabase, host: &str, parameters: &str, variables: &[(&str, &str)]) -> Ran {
    let mut url = url::Url::parse(database.url()).unwrap();
    url.set_host(Some(host)).unwrap();
    let url = format!("{url}?hostaddr=127.0.0.1&{parameters}");
    let mut command = project.command(&["load", "2024-03-01", "--force"]);
    Ran::of(command.env("DAYFILL__DATABASE__URL", url).envs(variables.iter().copied()))
}

#[test]
fn the_servers_certificate_is_really_verified() {
    let server = Server::start();
    // The test itself comes with TLS too, as libpq prefers it, and verifies nothing.
    let database = server.postgres.database();
    let project = Project::new(&database, &Orders::default());
    project.day("2024-03-01", "a,1,x\n");
    let verify = |ca: &str| format!("sslmode=verify-full&sslrootcert={ca}");
    let (ours, other) = (server.ca("ours.crt"), server.ca("other.crt"));
    let refused = |host: &str, parameters: &str, variables: &[(&str, &str)], why: &str| {
        let ran = run(&project, &database, host, parameters, variables);
        assert_eq!(ran.code, 6, "{host} {parameters}: {ran:?}");
        assert!(ran.stderr.contains(why), "{host} {parameters}: {}", ran.stderr);
    };
    let taken = |host: &str, parameters: &str, variables: &[(&str, &str)]| {
        let ran = run(&project, &database, host, parameters, variables);
        assert_eq!(ran.code, 0, "{host} {parameters}: {ran:?}");
    };
    let (unknown, wrong_name) = ("certificate verify failed", "does not match host name");

    taken(NAME, &verify(&ours), &[]);
    refused(NAME, &verify(&other), &[], unknown);
    refused("other.dayfill.test", &verify(&ours), &[], wrong_name);
    refused(NAME, &verify(&server.ca("none.crt")), &[], "none.crt");
    // Without a file libpq looks in the user's home, where there is none.
    refused(NAME, "sslmode=verify-full", &[], "root.crt");
    // What the name is does not matter here, who signed it does.
    taken("other.dayfill.test", &format!("sslmode=verify-ca&sslrootcert={ours}"), &[]);
    refused("other.dayfill.test", &format!("sslmode=verify-ca&sslrootcert={other}"), &[], unknown);

    // The system's roots, which know nothing of ours until they are ours.
    for parameters in ["sslrootcert=system", "sslmode=verify-full&sslrootcert=system"] {
        taken(NAME, parameters, &[("SSL_CERT_FILE", &ours)]);
        refused("other.dayfill.test", parameters, &[("SSL_CERT_FILE", &ours)], wrong_name);
        refused(NAME, parameters, &[("SSL_CERT_FILE", &other)], unknown);
        refused(NAME, parameters, &[], unknown);
    }
    let weak = run(&project, &database, NAME, "sslmode=require&sslrootcert=system", &[]);
    assert_eq!(weak.code, 3, "{weak:?}");
    assert!(weak.stderr.contains("use sslmode=verify-full"), "{}", weak.stderr);

    taken(NAME, "sslmode=require", &[]);
    refused(NAME, "sslmode=disable", &[], "no encryption");
    assert_eq!(
        database.line("select count(*) from load_attempts where outcome = 'loaded'"),
        "5",
        "who was refused did nothing"
    );
}
