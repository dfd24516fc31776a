//! How the programs are linked.

use std::process::Command;

/// The first glibc that can start a program with relative relocations (`DT_RELR`): its release notes.
const FIRST_GLIBC: (u32, u32) = (2, 36);

/// What of the programs' file is read when they run counts as their memory; an idle daemon's is mostly that.
///
/// They are full of tables of pointers, and each pointer takes 24 bytes that are read at every start. Relative
/// relocations take a few bits each: 2.5 MiB less. Code that is hardly ever run, and stands apart, is not read beside
/// what is: another 0.4 MiB.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DAYFILL_PORTABLE");
    if is_built_where_it_runs() && target("OS") == "linux" && glibc().is_some_and(|version| version >= FIRST_GLIBC) {
        for option in ["pack-relative-relocs", "keep-text-section-prefix"] {
            println!("cargo::rustc-link-arg-bins=-Wl,-z,{option}");
        }
    }
}

/// A release's programs (`.ci/release/build`) also run where glibc is older than here.
fn is_built_where_it_runs() -> bool {
    std::env::var_os("HOST") == std::env::var_os("TARGET") && std::env::var_os("DAYFILL_PORTABLE").is_none()
}

fn target(what: &str) -> String {
    std::env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default()
}

/// The version of this machine's glibc, where it has one.
fn glibc() -> Option<(u32, u32)> {
    let told = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let (major, minor) = std::str::from_utf8(&told.stdout).ok()?.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}
