//! `.ci/run` goes on with a build beside its lints, and ends it whatever comes. Small scripts stand for cargo, make and
//! the other steps.

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
    assert_eq!(said, ["made lint", "made deny", "built", "the first command", "the package", "made test-all"]);
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
