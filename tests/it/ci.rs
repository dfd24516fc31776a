//! `.ci/run` goes on with a build beside its lints, and ends it whatever comes. Small scripts stand for cargo, make and
//! the other steps. And what CI runs is what there is: versions of `PostgreSQL`, tests on it, a release's notes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::project::Ran;
use crate::support::wait_until;

/// A copy of `.ci/run` with steps of its own.
struct Steps {
    folder: tempfile::TempDir,
}

impl Steps {
    /// What stands for cargo, and for make, as lines of a shell. They find the folder in `$FOLDER`.
    fn new(cargo: &str, make: &str) -> Self {
        let steps = Self { folder: tempfile::tempdir().unwrap() };
        for name in [".ci", "bin", "tmp"] {
            fs::create_dir(steps.path(name)).unwrap();
        }
        let run = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/run");
        fs::copy(run, steps.path(".ci/run")).unwrap();
        for (name, lines) in [
            ("bin/cargo", cargo),
            ("bin/make", make),
            (".ci/first-command", "echo the first command"),
            (".ci/deb", "echo the package"),
        ] {
            fs::write(steps.path(name), format!("#!/bin/sh\n{lines}\n")).unwrap();
            fs::set_permissions(steps.path(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        steps
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs it; no file of its own may be left then.
    fn run(&self) -> Ran {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(self.path(".ci/run"));
        let ran = Ran::of(command.env("PATH", path).env("TMPDIR", self.path("tmp")).env("FOLDER", self.folder.path()));
        let left: Vec<_> = fs::read_dir(self.path("tmp")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        ran
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// The lines of a variable of the Makefile, as words.
fn makefile_words(variable: &str) -> Vec<String> {
    let makefile = read("Makefile").replace("\\\n", " ");
    let line = makefile.lines().find_map(|line| line.strip_prefix(variable)?.strip_prefix(" := ").map(str::to_owned));
    line.unwrap().split_whitespace().map(str::to_owned).collect()
}

/// The modules of the integration tests with their text, as `daemon::reload`.
fn modules() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("tests/it")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Some(name) = path.strip_prefix(root().join("tests/it")).unwrap().to_str()
                && let Some(module) = name.strip_suffix(".rs")
            {
                found.push((module.replace('/', "::"), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

#[test]
fn every_test_that_asks_for_postgresql_runs_on_each_version_of_it() {
    let named = makefile_words("POSTGRES_TESTS");
    for (module, text) in modules() {
        // Of `on_both!` the half is in a module `postgres`.
        if text.contains(concat!("TestPostgres", "::")) && !module.starts_with("support::") && module != "support" {
            assert!(named.contains(&format!("{module}::")), "POSTGRES_TESTS in the Makefile lacks {module}::");
        }
    }
    assert!(named.contains(&"postgres::".to_owned()));
    for named in named.iter().chain(&makefile_words("BOUNDS_TESTS")) {
        let module = named.trim_end_matches("::");
        let module = module.strip_suffix("::postgres").unwrap_or(module);
        assert!(module == "postgres" || modules().iter().any(|(name, _)| name == module), "no module {named}");
    }
}

#[test]
fn ci_runs_each_version_of_postgresql_that_there_is_a_server_for() {
    let script = read(".ci/postgres");
    let servers: Vec<&str> =
        script.lines().filter_map(|line| line.split_once(") release=")).map(|(version, _)| version).collect();
    assert_eq!(servers, ["13", "14", "15", "16", "17", "18"]);
    assert!(read(".github/workflows/ci.yml").contains(&format!("postgres: [{}]", servers.join(", "))));
    let bounds = read("Makefile");
    for version in [servers[0], servers[servers.len() - 1]] {
        assert!(bounds.contains(&format!("test-postgres VERSION={version} TESTS=\"$(BOUNDS_TESTS)\"")), "{version}");
    }
    let ran = Ran::of(Command::new(root().join(".ci/postgres")).args(["12", "unused"]));
    assert_eq!((ran.code, ran.stderr.as_str()), (1, "postgres: version 12: want one of 13 14 15 16 17 18\n"));
}

#[test]
fn a_release_has_the_notes_of_its_version_and_no_other_tag_makes_one() {
    let folder = tempfile::tempdir().unwrap();
    let notes = |tag: &str, changelog: &str| {
        fs::write(folder.path().join("CHANGELOG.md"), changelog).unwrap();
        let manifest = folder.path().join("Cargo.toml");
        fs::write(manifest, "[package]\nname = \"dayfill\"\nversion = \"1.2.0\"\n[dependencies]\n").unwrap();
        Ran::of(Command::new(root().join(".ci/release/notes")).arg(tag).current_dir(folder.path()))
    };
    let changelog = "# Changelog\n\n## [Unreleased]\n\n- next\n\n## [1.2.0] - 2026-12-01\n\n### Added\n\n- this\n\n\
                     ## [1.1.0] - 2026-11-01\n\n- that\n\n[1.2.0]: there\n";
    let ran = notes("v1.2.0", changelog);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "### Added\n\n- this\n"), "{ran:?}");
    for (tag, changelog, why) in [
        ("v1.3.0", changelog, "the tag v1.3.0 is not v1.2.0, the version in Cargo.toml"),
        ("1.2.0", changelog, "the tag 1.2.0 is not v1.2.0, the version in Cargo.toml"),
        ("v1.2.0", "# Changelog\n\n## [Unreleased]\n\n- next\n", "CHANGELOG.md has no section [1.2.0]"),
        ("v1.2.0", "## [1.2.0] - 2026-12-01\n\n## [1.1.0]\n\n- that\n", "CHANGELOG.md has no section [1.2.0]"),
    ] {
        let ran = notes(tag, changelog);
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.trim_end()), (1, "", format!("notes: {why}").as_str()));
    }
}

#[test]
fn the_steps_of_a_release_are_scripts_that_are_there() {
    let workflow = read(".github/workflows/release.yml");
    let steps: Vec<&str> =
        workflow.split(".ci/release/").skip(1).map(|rest| rest.split_whitespace().next().unwrap()).collect();
    for script in ["build", "checksums", "notes", "sbom"] {
        assert!(steps.contains(&script), "{script}: {steps:?}");
    }
    for script in steps {
        let mode = fs::metadata(root().join(".ci/release").join(script)).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{script}");
    }
}

/// Waits until the build that wrote its process id to that file is gone.
const WHEN_BUILT: &str = "\
until [ -s \"$FOLDER/building\" ]; do sleep 0.01; done
while kill -0 \"$(cat \"$FOLDER/building\")\" 2>/dev/null; do sleep 0.01; done";

const BUILDS: &str = "echo $$ >\"$FOLDER/new\"; mv \"$FOLDER/new\" \"$FOLDER/building\"";

#[test]
fn all_steps_are_done_one_after_another() {
    let steps = Steps::new("echo built", "echo made \"$1\"");
    let ran = steps.run();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    let said: Vec<&str> = ran.stdout.lines().filter(|line| !line.is_empty() && !line.starts_with("==")).collect();
    let in_order = [
        "made lint",
        "made lint-workflows",
        "made deny",
        "built",
        "the first command",
        "the package",
        "made test-all",
        "made test-postgres-bounds",
    ];
    assert_eq!(said, in_order);
}

#[test]
fn a_lint_that_fails_behind_the_build_is_what_it_fails_with() {
    let steps = Steps::new(BUILDS, &format!("{WHEN_BUILT}\necho no lint >&2\nexit 2"));
    let ran = steps.run();
    assert_eq!((ran.code, ran.stderr.as_str()), (2, "no lint\n"), "{ran:?}");
}

#[test]
fn a_lint_that_fails_during_the_build_ends_the_build_with_all_that_it_started() {
    // Longer than it is waited for, and not for ever where nobody ends it.
    let compiler = "sleep 40 & echo $! >\"$FOLDER/compiling\"";
    let lint = "until [ -s \"$FOLDER/building\" ]; do sleep 0.01; done; exit 2";
    let steps = Steps::new(&format!("{compiler}\n{BUILDS}\nwait"), lint);
    let ran = steps.run();
    assert_eq!((ran.code, ran.stderr.as_str()), (2, ""), "{ran:?}");
    for name in ["building", "compiling"] {
        let pid = fs::read_to_string(steps.path(name)).unwrap();
        let stat = PathBuf::from(format!("/proc/{}/stat", pid.trim()));
        // Who is to see that it has ended may take its time.
        wait_until(name, || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z ")));
    }
}

#[test]
fn a_build_that_fails_is_told_of_and_nothing_is_done_with_it() {
    let steps = Steps::new("echo no build >&2; exit 101", "echo made \"$1\"");
    let ran = steps.run();
    assert_eq!(ran.code, 101, "{ran:?}");
    assert!(ran.stdout.ends_with("\nno build\n"), "{ran:?}");
}

#[test]
fn an_image_is_tried_before_it_is_pushed_and_a_pre_release_is_not_the_latest() {
    let steps = Steps::new("", "");
    fs::create_dir_all(steps.path(".ci/release")).unwrap();
    fs::copy(root().join(".ci/release/image"), steps.path(".ci/release/image")).unwrap();
    let image = |version: &str, docker_says: &str, arguments: &[&str]| {
        fs::write(steps.path("Cargo.toml"), format!("version = \"{version}\"\n")).unwrap();
        let docker = format!(
            "#!/bin/sh\necho \"$@\" >>\"$FOLDER/asked\"\ncase $1 in version) echo amd64 ;; run) echo {docker_says} ;;\n\
             buildx) [ \"$3\" != inspect ] || echo sha256:1 ;; esac\n"
        );
        fs::write(steps.path("bin/docker"), docker).unwrap();
        fs::set_permissions(steps.path("bin/docker"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(steps.path("asked"), "").unwrap();
        let path = format!("{}:{}", steps.path("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(steps.path(".ci/release/image"));
        command.args(arguments).env("PATH", path).env("FOLDER", steps.folder.path());
        let ran = Ran::of(command.env("GITHUB_SHA", "1234").env_remove("GITHUB_REPOSITORY"));
        (ran, fs::read_to_string(steps.path("asked")).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
    };

    let (ran, asked) = image("1.2.0", "dayfill 1.2.0", &["build", "ghcr.io/Ann/dayfill"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(asked[1].contains("--file deploy/docker/Dockerfile --tag ghcr.io/ann/dayfill:1.2.0-amd64 "), "{asked:?}");
    let [.., tried, pushed] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(tried, "run --rm ghcr.io/ann/dayfill:1.2.0-amd64 --version");
    assert_eq!(pushed, "push ghcr.io/ann/dayfill:1.2.0-amd64");
    let (ran, asked) = image("1.2.0", "dayfill 1.1.0", &["build", "ghcr.io/ann/dayfill"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(!asked.iter().any(|line| line.starts_with("push")), "{asked:?}");

    for (version, latest) in [("1.2.0", "--tag ghcr.io/ann/dayfill:latest "), ("1.2.0-rc.1", "")] {
        let (ran, asked) = image(version, "", &["join", "ghcr.io/Ann/dayfill", "amd64", "arm64"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (0, "digest=sha256:1\n"), "{ran:?}");
        let name = format!("ghcr.io/ann/dayfill:{version}");
        assert_eq!(
            asked[0],
            format!("buildx imagetools create --tag {name} {latest}{name}-amd64 {name}-arm64"),
            "{version}"
        );
    }
}
