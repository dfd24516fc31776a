//! What is shipped beside the program: the unit, the installation, the files for containers. systemd's own tools judge
//! the unit. The Debian package needs a release build and is `.ci/deb`'s; engines for containers are not asked.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Parser;
use clap::error::ErrorKind;
use dayfill::cli::args::Cli;
use rustix::process::Signal;

use crate::support::Database as _;
use crate::support::process::Process;
use crate::support::project::{Orders, Project, Ran};
use crate::support::sqlite::SqliteDatabase;

/// The default of `shutdown.grace`, which whoever stops the daemon has to outlast.
const GRACE_SECONDS: u64 = 30;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    let path = root().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What `make install` lays out, in a folder that goes with this.
struct Installed {
    folder: tempfile::TempDir,
}

impl Installed {
    fn new() -> Self {
        let installed = Self { folder: tempfile::tempdir().unwrap() };
        // A development build is large, and is copied for every test: these stand for it.
        for (name, program) in
            [("dayfill", env!("CARGO_BIN_EXE_dayfill")), ("algolia-etl", env!("CARGO_BIN_EXE_algolia-etl"))]
        {
            let path = installed.path("built").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, format!("#!/bin/sh\nexec '{program}' \"$@\"\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        installed.make("install");
        installed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path("root").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path("root").join(name), text).unwrap();
    }

    /// What it prints.
    fn make(&self, target: &str) -> String {
        let mut make = Command::new("make");
        make.args(["--no-print-directory", target, "PREFIX=/usr"])
            .arg(format!("DESTDIR={}", self.path("root").display()))
            .arg(format!("BINARIES={}", self.path("built").display()))
            // This may run below a make, whose variables are not meant for this one.
            .env_remove("MAKEFLAGS")
            .env_remove("MAKELEVEL")
            .current_dir(root());
        let ran = Ran::of(&mut make);
        assert_eq!(ran.code, 0, "make {target}: {ran:#?}");
        ran.stdout
    }

    /// All files, relative to the folder.
    fn files(&self) -> BTreeSet<String> {
        fn collect(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    collect(&path, root, found);
                } else {
                    found.insert(path.strip_prefix(root).unwrap().display().to_string());
                }
            }
        }
        let mut found = BTreeSet::new();
        collect(&self.path("root"), &self.path("root"), &mut found);
        found
    }

    /// The unit, for tools that look whether its program is there.
    fn unit(&self) -> PathBuf {
        let program = self.path("root").join("usr/bin/dayfill");
        let unit = self.read("usr/lib/systemd/system/dayfill.service");
        let path = self.path("dayfill.service");
        fs::write(&path, unit.replace("/usr/bin/dayfill", &program.display().to_string())).unwrap();
        path
    }
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    let installed = Installed::new();
    let mut verify = Command::new("systemd-analyze");
    // The manual page is not where `man` looks; .ci/deb verifies that as well. Other units of this machine are its own.
    verify.args(["verify", "--man=no", "--recursive-errors=no"]).arg(installed.unit());
    let ran = Ran::of(&mut verify);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""));
}

#[test]
fn the_unit_is_exposed_to_little() {
    let installed = Installed::new();
    let mut security = Command::new("systemd-analyze");
    // The threshold is in tenths; beyond it the command fails.
    security.args(["security", "--offline=true", "--no-pager", "--threshold=15"]).arg(installed.unit());
    let ran = Ran::of(&mut security);
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.stdout.contains("Overall exposure level"), "{ran:#?}");
}

#[test]
fn the_unit_says_what_the_daemon_needs() {
    let unit = read("systemd/dayfill.service");
    let lines: Vec<&str> = unit.lines().collect();
    for line in [
        "Type=notify",
        "ExecStart=/usr/bin/dayfill --config /etc/dayfill/dayfill.toml run",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "WatchdogSec=60s",
        "Restart=on-failure",
        "RestartPreventExitStatus=2 3",
        "User=dayfill",
        "StateDirectory=dayfill",
        "EnvironmentFile=-/etc/dayfill/dayfill.env",
        "LoadCredential=database.url:dayfill.database.url",
        "LimitCORE=0",
        "Wants=network-online.target",
        "After=network-online.target nss-lookup.target postgresql.service",
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
        "WantedBy=multi-user.target",
    ] {
        assert!(lines.contains(&line), "{line}");
    }
    // A credential with a path of its own keeps the unit from starting where its file is missing.
    assert!(!lines.iter().any(|line| line.starts_with("LoadCredential=") && line.contains('/')), "{unit}");
    let user = read("systemd/dayfill.sysusers");
    assert!(user.contains("\nu dayfill - "), "{user}");
}

#[test]
fn whoever_stops_the_daemon_waits_longer_than_it_takes() {
    for (file, key) in [
        ("systemd/dayfill.service", "TimeoutStopSec="),
        ("deploy/docker/compose.yml", "stop_grace_period: "),
        ("deploy/kubernetes/dayfill.yaml", "terminationGracePeriodSeconds: "),
    ] {
        let text = read(file);
        let value =
            text.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap_or_else(|| panic!("{file}: {key}"));
        let seconds: u64 = value.trim_end_matches('s').parse().unwrap();
        assert!(seconds > GRACE_SECONDS, "{file}: {key}{value}");
    }
}

#[test]
fn the_example_environment_names_keys_that_exist() {
    let text = read("systemd/dayfill.env.example");
    let variables: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.strip_prefix('#')?.split_once('='))
        .filter(|(name, _)| !name.contains(' '))
        .collect();
    assert!(variables.len() > 5, "{text}");
    let mut status = Command::new(env!("CARGO_BIN_EXE_dayfill"));
    status.env_clear().arg("--config").arg(root().join("config/dayfill.toml")).arg("status");
    let ours = variables.iter().filter(|(name, _)| name.starts_with("DAYFILL__") && *name != "DAYFILL__DATABASE__URL");
    status.envs(ours.map(|(name, value)| (*name, *value)));
    // Unknown keys are errors; a database that is not there yet is none.
    let ran = Ran::of(status.env("DAYFILL__DATABASE__URL", "sqlite:/nowhere/at/all.db"));
    assert_eq!(ran.code, 0, "{ran:#?}");
}

#[test]
fn make_install_lays_everything_out() {
    let installed = Installed::new();
    let files = installed.files();
    for file in [
        "etc/dayfill/dayfill.toml",
        "etc/dayfill/datasets/shopify_config.toml",
        "usr/bin/dayfill",
        "usr/bin/algolia-etl",
        "usr/lib/systemd/system/dayfill.service",
        "usr/lib/sysusers.d/dayfill.conf",
        "usr/share/bash-completion/completions/dayfill",
        "usr/share/doc/dayfill/LICENSE-APACHE",
        "usr/share/doc/dayfill/LICENSE-MIT",
        "usr/share/doc/dayfill/README.md",
        "usr/share/doc/dayfill/docs/deploy.md",
        "usr/share/doc/dayfill/examples/dayfill.env",
        "usr/share/doc/dayfill/examples/grafana/dayfill.json",
        "usr/share/doc/dayfill/examples/prometheus/rules.yml",
        "usr/share/doc/dayfill/examples/shopify_config.toml",
        "usr/share/fish/vendor_completions.d/dayfill.fish",
        "usr/share/man/man1/dayfill.1",
        "usr/share/zsh/site-functions/_dayfill",
    ] {
        assert!(files.contains(file), "{file} is missing: {files:#?}");
    }
    // The manual page that the unit names, and its document.
    let unit = installed.read("usr/lib/systemd/system/dayfill.service");
    let document = unit.split("file://").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
    assert!(files.contains(document.trim_start_matches('/')), "{document}");
    assert!(installed.read("usr/share/man/man1/dayfill.1").contains(".TH dayfill 1"));
}

#[test]
fn installing_again_leaves_an_edited_configuration_as_it_is() {
    let installed = Installed::new();
    let (main, dataset) = ("etc/dayfill/dayfill.toml", "etc/dayfill/datasets/shopify_config.toml");
    let shipped = installed.read(main);

    let before = installed.files();
    assert!(!installed.make("install").contains("left as it is"));
    assert_eq!(installed.files(), before, "the same again changes nothing");

    installed.write(main, "# mine\n");
    let said = installed.make("install");
    assert!(said.contains("dayfill.toml is left as it is; this version's is"), "{said}");
    assert_eq!(installed.read(main), "# mine\n");
    assert_eq!(installed.read("etc/dayfill/dayfill.toml.new"), shipped);

    // Somebody has datasets of their own and does not want the shipped one.
    fs::rename(installed.path("root").join(dataset), installed.path("root/etc/dayfill/datasets/orders.toml")).unwrap();
    installed.make("install");
    assert!(!installed.files().contains(dataset));

    installed.make("uninstall");
    let left: Vec<String> = installed.files().into_iter().collect();
    assert_eq!(left, ["etc/dayfill/datasets/orders.toml", main, "etc/dayfill/dayfill.toml.new"]);
}

#[test]
fn the_installed_configuration_is_the_shipped_one_with_the_daemons_database() {
    let installed = Installed::new();
    let (shipped, packaged) = (read("config/dayfill.toml"), installed.read("etc/dayfill/dayfill.toml"));
    let differing: Vec<_> =
        shipped.lines().zip(packaged.lines()).filter(|(shipped, packaged)| shipped != packaged).collect();
    assert_eq!(shipped.lines().count(), packaged.lines().count());
    assert_eq!(differing, [("url = \"sqlite:dayfill.db\"", "url = \"sqlite:/var/lib/dayfill/dayfill.db\"")]);

    // It is complete as it is, and a command means the daemon's database in whatever folder it is given.
    let elsewhere = installed.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let mut status = Command::new(env!("CARGO_BIN_EXE_dayfill"));
    status.env_clear().current_dir(&elsewhere).arg("--config").arg(installed.path("root/etc/dayfill/dayfill.toml"));
    let ran = Ran::of(status.args(["status", "--json"]));
    assert!(ran.stdout.contains("\"database\": \"sqlite:/var/lib/dayfill/dayfill.db\""), "{ran:#?}");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0, "it left something behind");
}

#[test]
fn the_debian_package_names_files_that_exist() {
    let manifest = read("Cargo.toml");
    let (_, metadata) = manifest.split_once("[package.metadata.deb]").unwrap();
    let assets: Vec<&str> =
        metadata.lines().filter_map(|line| line.trim().strip_prefix("[\"")?.split('"').next()).collect();
    assert!(assets.len() > 5, "{assets:?}");
    let making = read("deploy/package-files");
    for asset in assets {
        if let Some(made) = asset.strip_prefix("target/package/") {
            let shell = made.rsplit('.').next().unwrap();
            assert!(making.contains(&format!("$folder/{made}")) || making.contains(shell), "nobody makes {asset}");
        } else if !asset.starts_with("target/release/") && !asset.contains('*') {
            assert!(root().join(asset).exists(), "{asset}");
        }
    }
}

#[test]
fn the_debian_package_has_the_examples_that_make_install_has() {
    let manifest = read("Cargo.toml");
    let folder = "usr/share/doc/dayfill/examples/";
    let installed = Installed::new().files();
    let examples: Vec<&String> = installed.iter().filter(|file| file.starts_with(folder)).collect();
    assert!(examples.len() > 3, "{examples:?}");
    for example in examples {
        let (into, name) = example.rsplit_once('/').unwrap();
        let asset =
            |line: &&str| line.contains(&format!("\"{example}\"")) || line.contains(&format!("{name}\", \"{into}/\""));
        assert!(manifest.lines().any(|line| asset(&line)), "{example} is not in the package");
    }
}

#[test]
fn the_image_is_built_from_what_is_there() {
    let ignored = read(".dockerignore");
    let wanted: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    for name in &wanted {
        assert!(root().join(name).exists(), "{name}");
    }
    // What cargo and `make install` read.
    for name in [
        "Cargo.toml",
        "Cargo.lock",
        ".cargo",
        "src",
        "migrations",
        "config",
        "systemd",
        "Makefile",
        "deploy/install",
        "deploy/grafana",
        "deploy/prometheus",
    ] {
        assert!(wanted.contains(&name), "{name}");
    }
    let dockerfile = read("deploy/docker/Dockerfile");
    for line in ["make install DESTDIR=/image PREFIX=/usr", "COPY --from=build /image/ /", "USER 10001:10001"] {
        assert!(dockerfile.contains(line), "{line}");
    }
    let manifest = read("Cargo.toml");
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    assert!(dockerfile.contains(&format!("FROM rust:{version}-")), "the image has Rust {version}");
    let compose = read("deploy/docker/compose.yml");
    assert!(compose.contains("ports: [\"127.0.0.1:8080:8080\"]"), "Docker publishes past a firewall");
    for name in ["Dockerfile", "../../config"] {
        assert!(compose.contains(name) && root().join("deploy/docker").join(name).exists(), "{name}");
    }
}

/// The line that `compose.yml` has for a shell.
fn line_of(compose: &str) -> String {
    let start = compose.find("dayfill -q --config").unwrap();
    let end = compose[start..].find("\n    ports").unwrap();
    compose[start..start + end].split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_first_start_of_the_service_prints_a_password_and_no_later_one_does() {
    let database = SqliteDatabase::new();
    let project = Project::new(&database, &Orders::default());
    let config = project.path("dayfill.toml");
    let line =
        line_of(&read("deploy/docker/compose.yml")).replace("/etc/dayfill/dayfill.toml", config.to_str().unwrap());
    let programs = Path::new(env!("CARGO_BIN_EXE_dayfill")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let start = || {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &line]).env_clear().env("PATH", &path).env("DAYFILL__DATABASE__URL", database.url());
        command.env("DAYFILL__WEB__LISTEN", "127.0.0.1:0").env("DAYFILL__WEB__AUTH", project.path("users.toml"));
        let mut daemon = Process::of(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        daemon.wait_for("web UI at");
        // The shell has become the daemon, which is told to end.
        daemon.signal(Signal::TERM);
        let ran = daemon.end();
        assert_eq!(ran.code, 0, "{ran:?}");
        ran
    };
    let first = start();
    let password = first.stdout.strip_prefix("admin (operator): password ").unwrap().trim_end();
    assert!(password.len() == 24 && !first.stderr.contains(password), "{first:?}");
    let second = start();
    assert!(second.stdout.is_empty() && !second.stderr.contains("shown once"), "{second:?}");
}

#[test]
fn the_services_commands_parse() {
    let compose = read("deploy/docker/compose.yml");
    let line = line_of(&compose).replace("exec ", "");
    let commands: Vec<_> = line.split("&&").map(|command| Cli::try_parse_from(command.split_whitespace())).collect();
    assert!(commands.len() == 2 && commands.iter().all(Result::is_ok), "{commands:?}");
    assert!(compose.contains("DAYFILL__WEB__AUTH: /var/lib/dayfill/"));
    // The probes of the pods ask where the daemon answers.
    let pods = read("deploy/kubernetes/dayfill.yaml");
    for path in ["/healthz", "/readyz"] {
        let probe = format!("path: {path}\n              port: metrics");
        assert!(pods.contains(&probe), "{path}");
    }
    assert!(pods.contains("listen = \"0.0.0.0:8081\"") && pods.contains("containerPort: 8081"));
}

#[test]
fn health_checks_are_commands_that_parse() {
    let mut found = 0;
    for file in ["deploy/docker/Dockerfile"] {
        for line in read(file).lines().filter(|line| line.contains("[\"dayfill\"") && line.contains("status")) {
            let words = &line[line.find('[').unwrap()..];
            let words: Vec<String> = serde_json::from_str(words).unwrap();
            let parsed = Cli::try_parse_from(&words);
            assert!(parsed.is_ok_and(|cli| cli.global.quiet == 3), "{file}: {words:?}");
            found += 1;
        }
    }
    assert_eq!(found, 1);
    let wrong = Cli::try_parse_from(["dayfill", "statsu"]).map_err(|error| error.kind());
    assert_eq!(wrong.err(), Some(ErrorKind::InvalidSubcommand));
}

#[test]
fn the_configuration_of_the_manifests_is_one() {
    let manifest = read("deploy/kubernetes/dayfill.yaml");
    let (_, block) = manifest.split_once("  dayfill.toml: |\n").unwrap();
    let lines = block.lines().take_while(|line| line.is_empty() || line.starts_with("    "));
    let toml = lines.map(|line| line.trim_start().to_owned() + "\n").collect::<String>();
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let toml = toml
        .replace("/etc/dayfill-datasets", &root().join("config/datasets").display().to_string())
        .replace("/run/secrets/dayfill/database.url", &place("database.url"));
    fs::write(place("dayfill.toml"), &toml).unwrap();
    fs::write(place("database.url"), format!("sqlite:{}\n", place("some.db"))).unwrap();
    let mut status = Command::new(env!("CARGO_BIN_EXE_dayfill"));
    let ran = Ran::of(status.env_clear().args(["--config", &place("dayfill.toml"), "status", "--json"]));
    assert_eq!(ran.code, 0, "{ran:#?}\n{toml}");
    assert!(ran.stdout.contains("some.db"), "{ran:#?}");
    // Every volume that is mounted is there, and every volume is mounted.
    let names = |key: &str| {
        let (_, rest) = manifest.split_once(key).unwrap();
        let list = rest.lines().skip(1).take_while(|line| line.starts_with("        "));
        list.filter_map(|line| line.trim().strip_prefix("- name: ")).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    assert_eq!(names("          volumeMounts:"), names("      volumes:"));
}
