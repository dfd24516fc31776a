//! `dayfill web`: users and tokens, by the command line.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use dayfill::web::auth::{Role, users_file};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::support::project::{FIRST, Orders, Project, Ran};
use crate::support::sqlite::SqliteDatabase;

const PASSWORD: &str = "s3cr3t pa55word";

/// A project with a users file that is not there yet.
fn project() -> (SqliteDatabase, Project) {
    let database = SqliteDatabase::new();
    let project = Project::new(&database, &Orders::default());
    project.write("dayfill.toml", "[web]\nauth = \"users.toml\"\n");
    (database, project)
}

/// A run with that on its standard input.
fn run_with(project: &Project, input: &str, arguments: &[&str]) -> Ran {
    let mut child = project.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
    // It may have refused before it read.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn users_come_change_and_go() {
    let (_database, project) = project();
    assert!(project.succeed(&["web", "users"]).stdout.starts_with("nobody yet: "));
    let add = ["web", "add-user", "ada", "--role", "operator"];
    let ran = run_with(&project, &format!("{PASSWORD}\n"), &add);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "ada (operator): added\n"), "{ran:?}");
    let file = project.path("users.toml");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let first = fs::read_to_string(&file).unwrap();
    assert!(first.contains("password = \"$argon2id$v=19$m=19456,t=2,p=1$") && !first.contains(PASSWORD), "{first}");

    let ran = run_with(&project, &format!("{PASSWORD}\r\nmore"), &["web", "add-user", "ada", "--role", "reader"]);
    assert!(ran.stdout.starts_with("ada (reader): has a new password"), "{ran:?}");
    assert_ne!(fs::read_to_string(&file).unwrap(), first);
    run_with(&project, PASSWORD, &["web", "add-user", "bob@example.com", "--role", "operator"]);
    let token = project.succeed(&["web", "add-token", "ci", "--scope", "write"]).stdout;
    assert!(token.starts_with("dayfill_") && token.len() == "dayfill_".len() + 43 + 1, "{token}");
    assert!(!fs::read_to_string(&file).unwrap().contains(token.trim()));
    assert_eq!(
        project.succeed(&["web", "users"]).stdout,
        "NAME             KIND   ROLE\nada              user   reader\nbob@example.com  user   operator\n\
         ci               token  write\n"
    );

    project.succeed(&["web", "remove-user", "ada"]);
    project.succeed(&["web", "remove-token", "ci"]);
    for again in [["web", "remove-user", "ada"], ["web", "remove-token", "ci"]] {
        project.exit(1, &again);
    }
    let left = users_file::read(&file).unwrap();
    assert_eq!((left.users().len(), left.users()[0].role, left.tokens().len()), (1, Role::Operator, 0));
}

#[test]
fn what_cannot_be_added_is_told_and_no_password_is() {
    let (_database, project) = project();
    project.succeed(&["web", "add-token", "ci", "--scope", "read"]);
    for (code, input, arguments, why) in [
        (2, PASSWORD, &["web", "add-user", "a b", "--role", "reader"][..], "\"a b\" is not a name"),
        (2, PASSWORD, &["web", "add-user", "ada", "--role", "admin"], "[possible values: reader, operator]"),
        (2, PASSWORD, &["web", "add-user", "ada"], "--role"),
        (2, PASSWORD, &["web", "add-user", "ada", PASSWORD, "--role", "reader"], "unexpected argument"),
        (1, "s3cr3t\n", &["web", "add-user", "ada", "--role", "reader"], "a password has at least 8 characters"),
        (1, "", &["web", "add-user", "ada", "--role", "reader"], "a password has at least 8 characters"),
        (1, "", &["web", "add-token", "ci", "--scope", "write"], "there is a token \"ci\" already"),
    ] {
        let ran = run_with(&project, input, arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains(why), "{arguments:?}: {ran:?}");
        let told = arguments.contains(&PASSWORD) || !ran.stderr.contains("s3cr3t") && !ran.stdout.contains("s3cr3t");
        assert!(told, "{ran:?}");
    }
    let ran = run_with(&project, &"x".repeat(1025), &["web", "add-user", "ada", "--role", "reader"]);
    assert!(ran.code == 1 && ran.stderr.contains("at most 1024 bytes"), "{ran:?}");
    assert_eq!(users_file::read(&project.path("users.toml")).unwrap().users().len(), 0);

    // Everybody's file is nobody's; and what is wrong in one is not written over.
    let file = project.path("users.toml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let ran = project.exit(3, &["web", "users"]);
    assert!(ran.stderr.contains("every user of this machine can read or change it"), "{ran:?}");
    fs::write(&file, "[[users]]\npassword = \"s3cr3t\"\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let ran = run_with(&project, PASSWORD, &["web", "add-user", "ada", "--role", "reader"]);
    assert!(ran.code == 3 && ran.stderr.contains("users.toml: line 1: ") && !ran.stderr.contains("s3cr3t"), "{ran:?}");
}

#[test]
fn the_first_user_gets_a_password_that_is_shown_once() {
    let (_database, project) = project();
    let first = ["web", "add-user", "admin", "--role", "operator", "--generate", "--first"];
    let said = project.succeed(&first).stdout;
    let password = said.strip_prefix("admin (operator): password ").unwrap().trim_end();
    assert_eq!(password.len(), 24, "{said}");
    let file = std::fs::read_to_string(project.path("users.toml")).unwrap();
    assert!(file.contains("admin") && !file.contains(password), "{file}");
    assert_eq!(project.succeed(&first).stdout, "", "there is one now");
    assert_eq!(std::fs::read_to_string(project.path("users.toml")).unwrap(), file);
}

#[test]
fn check_reads_the_users_file_as_the_daemon_will_and_makes_none() {
    let (_database, project) = project();
    project.day(FIRST, "a,1,x\n");
    let check = || Ran::of(project.command(&["check"]).env_remove("DAYFILL__WEB__LISTEN"));
    let missing = check();
    assert_eq!(missing.code, 3, "{missing:?}");
    assert!(
        missing.stdout.contains("problem  web.auth: ")
            && missing.stdout.contains("users.toml: does not exist; \"dayfill web add-user NAME")
    );
    let before = fs::read_dir(project.path("")).unwrap().count();
    project.succeed(&["web", "add-user", "ada", "--role", "reader", "--generate"]);
    let right = check();
    assert_eq!(right.code, 0, "{right:?}");
    assert_eq!(fs::read_dir(project.path("")).unwrap().count(), before + 1, "the users file");
}

#[test]
fn without_a_file_for_them_there_are_no_users() {
    let (_database, project) = project();
    project.write("dayfill.toml", "");
    for arguments in
        [&["web", "users"][..], &["web", "remove-user", "ada"], &["web", "add-token", "ci", "--scope", "read"]]
    {
        let ran = project.exit(3, arguments);
        assert!(ran.stderr.contains("auth = \"users.toml\" in [web]"), "{ran:?}");
    }
    project.write("dayfill.toml", "[web]\nlisten = \"0.0.0.0:8080\"\n");
    let ran = Ran::of(project.command(&["run"]).env_remove("DAYFILL__WEB__LISTEN"));
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(
        ran.stderr.contains("web.listen = \"0.0.0.0:8080\": is not a loopback address, which needs web.auth"),
        "{ran:?}"
    );
}

/// A terminal: this end, and the other.
fn terminal() -> (fs::File, OwnedFd) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = fs::File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    (ours.into(), theirs.into())
}

/// What a terminal shows of a run in which these lines are typed, each when it was asked for.
fn typed(project: &Project, lines: &[&str], arguments: &[&str]) -> (i32, String) {
    let (mut ours, theirs) = terminal();
    let stdio = || Stdio::from(theirs.try_clone().unwrap());
    let mut command = project.command(arguments);
    let mut child = command.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
    // Else this end would never see the end.
    drop((theirs, command));
    let mut shown = Vec::new();
    let mut lines = lines.iter();
    let mut buffer = [0; 1024];
    // Reading fails where the last of the other end is gone.
    while let Ok(length @ 1..) = ours.read(&mut buffer) {
        shown.extend_from_slice(&buffer[..length]);
        if [&b"ada: "[..], b"more: "].iter().any(|prompt| shown.ends_with(prompt)) {
            ours.write_all(lines.next().unwrap().as_bytes()).unwrap();
            ours.write_all(b"\n").unwrap();
        }
    }
    (child.wait().unwrap().code().unwrap(), String::from_utf8(shown).unwrap().replace("\r\n", "\n"))
}

#[test]
fn at_a_terminal_a_password_is_typed_twice_and_never_shown() {
    let (_database, project) = project();
    let add = ["web", "add-user", "ada", "--role", "operator"];
    let (code, shown) = typed(&project, &[PASSWORD, PASSWORD], &add);
    assert_eq!((code, shown.as_str()), (0, "Password for ada: \nOnce more: \nada (operator): added\n"));
    let (code, shown) = typed(&project, &[PASSWORD, "another one"], &add);
    assert_eq!(code, 1);
    assert!(shown.contains("the two are not the same") && !shown.contains("s3cr3t"), "{shown}");
}
