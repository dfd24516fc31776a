//! Changes of the configuration behind links: a link on the way to it that is turned, a linked file that is edited, and a
//! volume as Kubernetes mounts it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::daemon::{Settings, one_day, project};
use crate::support::process::Process;
use crate::support::project::{FIRST, Orders, Project};
use crate::support::sqlite::SqliteDatabase;

const TURNED: &str = "configuration: retry.max_attempts: 5 is now 7";
const TURNED_BACK: &str = "configuration: retry.max_attempts: 7 is now 5";
const EDITED: &str = "configuration: datasets/orders.toml limits.max_rejected: ";

/// Settings that watch, with so many attempts.
fn settings(max_attempts: u32) -> Settings {
    Settings { watch: true, max_attempts, ..Settings::default() }
}

/// A dataset with one day, whose file is found from wherever its own is.
fn dataset(project: &Project, max_rejected: &'static str) -> Orders {
    let source = format!("url = \"{}/{{day}}.csv\"", project.path("days").display());
    Orders { max_rejected, source, ..one_day() }
}

fn new_project(database: &SqliteDatabase) -> Project {
    let project = project(database, &settings(5), &one_day());
    project.orders(&dataset(&project, "10%"));
    project.day(FIRST, "a,1,x\n");
    project
}

/// Has a link point elsewhere, as `ln -sfn` and `mv -T` do.
fn turn(project: &Project, link: &str, target: &str) {
    let new = project.path(&format!("{link}.turned"));
    symlink(target, &new).unwrap();
    fs::rename(new, project.path(link)).unwrap();
}

/// The daemon on a main file, named from the working folder or whole.
fn daemons<'a>(project: &'a Project, main: &'a str) -> impl Iterator<Item = Process> + 'a {
    [Path::new(main).to_owned(), project.path(main)].into_iter().map(|named| {
        let mut daemon = Process::of(&mut project.command_with(&named, &["run"]));
        daemon.wait_for(" starts: 1 dataset");
        daemon
    })
}

#[test]
fn a_link_above_the_configuration_that_is_turned_is_noticed() {
    let database = SqliteDatabase::new();
    let project = new_project(&database);
    for (release, attempts) in [("1", 5), ("2", 7)] {
        let datasets = format!("releases/{release}/etc/datasets");
        fs::create_dir_all(project.path(&datasets)).unwrap();
        settings(attempts).write(&project);
        fs::copy(project.path("dayfill.toml"), project.path(&format!("releases/{release}/etc/dayfill.toml"))).unwrap();
        fs::copy(project.path("datasets/orders.toml"), project.path(&format!("{datasets}/orders.toml"))).unwrap();
    }
    turn(&project, "current", "releases/1");
    for mut daemon in daemons(&project, "current/etc/dayfill.toml") {
        turn(&project, "current", "releases/2");
        daemon.wait_for(TURNED);
        turn(&project, "current", "releases/1");
        daemon.wait_for(TURNED_BACK);
    }
}

#[test]
fn an_edit_of_a_file_that_a_link_leads_to_is_noticed() {
    let database = SqliteDatabase::new();
    let project = new_project(&database);
    fs::create_dir_all(project.path("common/main")).unwrap();
    for (link, file, target) in [
        ("dayfill.toml", "common/main/dayfill.conf", "common/main/dayfill.conf"),
        ("datasets/orders.toml", "common/orders.of-all", "../common/orders.of-all"),
    ] {
        fs::rename(project.path(link), project.path(file)).unwrap();
        symlink(target, project.path(link)).unwrap();
    }
    for mut daemon in daemons(&project, "dayfill.toml") {
        // Through the link, and as editors do that put a new file in the place of the old.
        project.orders(&dataset(&project, "20%"));
        daemon.wait_for(EDITED);
        let text = fs::read_to_string(project.path("common/orders.of-all")).unwrap();
        project.replace("common/orders.of-all", text.replace("20%", "10%"));
        daemon.wait_for(EDITED);
        settings(7).write(&project);
        daemon.wait_for(TURNED);
        settings(5).write(&project);
        daemon.wait_for(TURNED_BACK);
    }
}

/// Makes a folder of files into a volume as Kubernetes mounts one: the files are links to those behind `..data`, a link to
/// a folder of that version.
fn mount(project: &Project, folder: &str, names: &[&str]) {
    fs::create_dir(project.path(&format!("{folder}/..1"))).unwrap();
    symlink("..1", project.path(&format!("{folder}/..data"))).unwrap();
    for name in names {
        let file = project.path(&format!("{folder}/{name}"));
        fs::rename(&file, project.path(&format!("{folder}/..1/{name}"))).unwrap();
        symlink(format!("..data/{name}"), file).unwrap();
    }
}

/// A new version of the volume, with one file changed; the old one goes.
fn update(project: &Project, folder: &str, (old, new): (u32, u32), name: &str, change: (&str, &str)) {
    let text = fs::read_to_string(project.path(&format!("{folder}/{name}"))).unwrap();
    assert!(text.contains(change.0), "{text}");
    fs::create_dir(project.path(&format!("{folder}/..{new}"))).unwrap();
    project.write(&format!("{folder}/..{new}/{name}"), text.replace(change.0, change.1));
    turn(project, &format!("{folder}/..data"), &format!("..{new}"));
    fs::remove_dir_all(project.path(&format!("{folder}/..{old}"))).unwrap();
}

#[test]
fn a_new_version_of_a_mounted_volume_is_noticed() {
    let database = SqliteDatabase::new();
    let project = new_project(&database);
    fs::create_dir(project.path("etc")).unwrap();
    fs::rename(project.path("dayfill.toml"), project.path("etc/dayfill.toml")).unwrap();
    fs::rename(project.path("datasets"), project.path("etc/datasets")).unwrap();
    mount(&project, "etc", &["dayfill.toml"]);
    mount(&project, "etc/datasets", &["orders.toml"]);
    let mut version = 1;
    for mut daemon in daemons(&project, "etc/dayfill.toml") {
        for (folder, name, change, said) in [
            ("etc", "dayfill.toml", ("max_attempts = 5", "max_attempts = 7"), TURNED),
            ("etc/datasets", "orders.toml", ("\"10%\"", "\"20%\""), EDITED),
            ("etc", "dayfill.toml", ("max_attempts = 7", "max_attempts = 5"), TURNED_BACK),
            ("etc/datasets", "orders.toml", ("\"20%\"", "\"10%\""), EDITED),
        ] {
            let was = fs::read_link(project.path(&format!("{folder}/..data"))).unwrap();
            let was = was.to_str().unwrap().trim_start_matches('.').parse().unwrap();
            version += 1;
            update(&project, folder, (was, version), name, change);
            daemon.wait_for(said);
        }
    }
}
