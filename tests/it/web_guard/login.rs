//! Logging in and out, and how often one may try.

use std::time::Duration;

use dayfill::web::auth::{Role, users_file};

use crate::support::page::{PASSWORD, Start};

#[test]
fn a_session_is_a_cookie_that_ends() {
    let page = Start::default().with_users();
    let answer = page.login(&[], "ada", PASSWORD);
    assert_eq!((answer.status, answer.header("location")), (303, "/"));
    let (_, attributes) = answer.header("set-cookie").split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; Max-Age=43200; HttpOnly; SameSite=Lax");
    let cookie = answer.cookie("session");
    assert!(!cookie.contains("ada") && !cookie.contains(PASSWORD));
    let status = || page.get("/days", &[("Cookie", &cookie)]).status;
    assert_eq!(page.get("/days", &[("Cookie", &cookie)]).body, "ada is operator");
    page.pass(Duration::from_secs(12 * 3600 - 1));
    assert_eq!(status(), 200);
    page.pass(Duration::from_secs(1));
    assert_eq!(status(), 401);
}

#[test]
fn a_login_wants_a_form_of_ours() {
    let page = Start::default().with_users();
    for origin in ["http://evil.example", "null"] {
        assert_eq!(page.login(&[("Origin", origin)], "ada", PASSWORD).code(), "origin", "{origin}");
    }
    let unsaid = "name=ada&password=x";
    assert_eq!(page.ask("POST", "/login", &[], unsaid).code(), "origin", "no browser");
    assert_eq!(page.login(&[], "ada", PASSWORD).status, 303);
    assert_eq!(page.post("/login", &[], &[("name", "ada")]).code(), "bad-request");
}

#[test]
fn a_login_leads_back_to_where_it_was_wanted_but_to_no_other_site() {
    let page = Start::default().with_users();
    let login = |password: &str, next: &str| {
        page.post("/login", &[("Accept", "text/html")], &[("name", "ada"), ("password", password), ("next", next)])
    };
    for (next, expected) in [
        ("/days?from=2024-03-01", "/days?from=2024-03-01"),
        ("//evil.example/", "/"),
        ("https://evil.example/", "/"),
        ("/\\evil.example", "/"),
    ] {
        assert_eq!(login(PASSWORD, next).header("location"), expected);
        // The page that says so knows it as well.
        let wrong = login("wrong horse", next);
        assert_eq!((wrong.status, wrong.body), (401, format!("<p>wrong-login {expected}</p>")));
    }
}

#[test]
fn logging_out_ends_the_session_for_everybody_who_has_the_cookie() {
    let page = Start::default().with_users();
    let cookie = page.session("ada");
    let other = page.session("ada");
    let session = ("Cookie", cookie.as_str());
    let foreign = page.post("/logout", &[session, ("Origin", "http://evil.example")], &[]);
    assert_eq!(foreign.code(), "origin");
    assert_eq!(page.get("/days", &[session]).status, 200);
    let out = page.post("/logout", &[session], &[]);
    assert_eq!((out.status, out.header("location")), (303, "/login"));
    assert_eq!(out.header("set-cookie"), "dayfill_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    assert_eq!(page.get("/days", &[session]).code(), "login");
    assert_eq!(page.get("/days", &[("Cookie", &other)]).status, 200, "another session goes on");
}

#[test]
fn a_forged_cookie_is_none() {
    let page = Start::default().with_users();
    let cookie = page.session("ada");
    let bobs = page.session("bob");
    let (name, value) = cookie.split_once('=').unwrap();
    let (text, signature) = value.split_once('.').unwrap();
    let (bobs_text, bobs_signature) = bobs.split_once('=').unwrap().1.split_once('.').unwrap();
    // One of another page, whose key is another.
    let elsewhere = Start::default().with_users().session("ada");
    for forged in [
        format!("{name}={bobs_text}.{signature}"),
        format!("{name}={text}.{bobs_signature}"),
        format!("{name}={text}."),
        format!("{name}={text}"),
        format!("{name}="),
        elsewhere,
        format!("other={value}"),
    ] {
        assert_eq!(page.get("/days", &[("Cookie", &forged)]).code(), "login", "{forged}");
    }
    let planted = format!("{name}=x.y; {cookie}");
    assert_eq!(page.get("/days", &[("Cookie", &planted)]).status, 200, "a planted one locks nobody out");
}

#[test]
fn a_new_password_and_a_removed_user_end_sessions() {
    let page = Start::default().with_users();
    let ada = page.session("ada");
    let bob = page.session("bob");
    let status = |cookie: &str| page.get("/days", &[("Cookie", cookie)]).status;
    users_file::put_user(page.users(), "ada", Role::Operator, "battery staple").unwrap();
    assert_eq!((status(&ada), status(&bob)), (401, 200));
    assert_eq!(page.login(&[], "ada", PASSWORD).code(), "wrong-login");
    assert_eq!(page.login(&[], "ada", "battery staple").status, 303);
    users_file::remove_user(page.users(), "bob").unwrap();
    assert_eq!(status(&bob), 401);
    users_file::put_user(page.users(), "bob", Role::Reader, PASSWORD).unwrap();
    assert_eq!(status(&bob), 401, "the same password again is another hash");
}

#[test]
fn a_users_file_that_cannot_be_read_lets_nobody_in_and_is_no_fault_of_theirs() {
    let page = Start::default().with_users();
    let token = users_file::add_token(page.users(), "ci", Role::Operator).unwrap().unwrap();
    let ada = page.session("ada");
    let (bearer, session) = (format!("Bearer {token}"), ("Cookie", ada.as_str()));
    let right = std::fs::read_to_string(page.users()).unwrap();
    for wrong in [format!("{right}[[users]]\n"), format!("{right}s3cr3t = 1\n")] {
        std::fs::write(page.users(), wrong).unwrap();
        for answer in [
            page.get("/days", &[("Authorization", &bearer)]),
            page.ask("POST", "/days", &[("Authorization", &bearer)], "x"),
            // Nobody can tell whether there is such a token.
            page.get("/days", &[("Authorization", "Bearer dayfill_x")]),
            page.get("/days", &[session]),
            page.post("/days", &[session], &[]),
            page.post("/logout", &[session], &[]),
            page.get("/days", &[]),
            page.login(&[], "ada", PASSWORD),
            page.login(&[], "ada", "wrong horse"),
        ] {
            assert_eq!((answer.status, answer.code().as_str()), (503, "users"), "{answer:?}");
            assert!(answer.body.contains("dayfill cannot read the users file"), "{answer:?}");
            assert!(!answer.body.contains("s3cr3t") && !answer.body.contains("users.toml"), "{answer:?}");
        }
        // A browser is not sent to a login that leads nowhere, and comes back to where it was.
        let shown = page.get("/days?a=1", &[session, ("Accept", "text/html")]);
        assert_eq!((shown.status, shown.body.as_str()), (503, "<p>users /days?a=1</p>"));
        // What everybody may look at is there for everybody.
        for headers in [&[][..], &[session], &[("Authorization", bearer.as_str())]] {
            assert_eq!(page.get("/health", headers).body, "ok", "{headers:?}");
        }
        // Another site still changes nothing.
        let foreign = page.post("/logout", &[session, ("Origin", "http://evil.example")], &[]);
        assert_eq!(foreign.code(), "origin");
    }
    std::fs::write(page.users(), &right).unwrap();
    assert_eq!(page.get("/days", &[session]).status, 200);
    assert_eq!(page.get("/days", &[("Authorization", &bearer)]).body, "ci is operator");
}

#[test]
fn ten_logins_a_minute_may_fail_and_no_more() {
    let page = Start::default().with_users();
    for number in 0..10 {
        // Whether there is such a user makes no difference.
        let name = if number % 2 == 0 { "ada" } else { "nobody" };
        let answer = page.login(&[], name, "wrong horse");
        assert_eq!((answer.status, answer.code().as_str()), (401, "wrong-login"));
        assert_eq!(answer.header("set-cookie"), "");
        page.pass(Duration::from_secs(1));
    }
    for password in ["wrong horse", PASSWORD] {
        let answer = page.login(&[], "ada", password);
        assert_eq!((answer.status, answer.code().as_str()), (429, "too-many-logins"));
        assert_eq!(answer.header("retry-after"), "50");
    }
    let cookie = {
        page.pass(Duration::from_secs(50));
        page.session("ada")
    };
    assert_eq!(page.get("/days", &[("Cookie", &cookie)]).status, 200);
    // Only the oldest of the ten is a minute ago, and a login that was right takes no place.
    assert_eq!(page.login(&[], "ada", "wrong horse").status, 401);
    assert_eq!(page.login(&[], "ada", "wrong horse").status, 429);
}

#[test]
fn logins_at_once_are_counted_before_they_are_decided() {
    let page = Start::default().with_users();
    let statuses = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..20).map(|_| scope.spawn(|| page.login(&[], "ada", "wrong horse").status)).collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).collect::<Vec<_>>()
    });
    let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(401), count(429)), (10, 10));
}

#[test]
fn sessions_outlive_a_restart_by_the_key_beside_the_users() {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users.toml");
    users_file::put_user(&users, "ada", Role::Operator, PASSWORD).unwrap();
    let start = || {
        let settings = dayfill::web::WebSettings { auth: Some(users.clone()), ..Default::default() };
        Start { settings, ..Start::default() }.without_users()
    };
    let cookie = start().session("ada");
    let page = start();
    assert_eq!(page.get("/days", &[("Cookie", &cookie)]).status, 200);
    assert_eq!(page.post("/days", &[("Cookie", &cookie)], &[]).status, 200);
    let other = page.session("ada");
    page.post("/logout", &[("Cookie", &cookie)], &[]);
    drop(page);
    let page = start();
    assert_eq!(page.get("/days", &[("Cookie", &cookie)]).status, 401, "it was logged out");
    assert_eq!(page.get("/days", &[("Cookie", &other)]).status, 200, "this one was not");
    drop(page);
    std::fs::remove_file(folder.path().join("users.toml.key")).unwrap();
    assert_eq!(start().get("/days", &[("Cookie", &other)]).status, 401);
}
