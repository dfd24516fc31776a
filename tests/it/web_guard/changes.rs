//! Changes: who may make them, and from which page.

use dayfill::web::auth::{Role, users_file};

use crate::support::page::{PASSWORD, Page, Start};

/// The status and code of an answer; 200 has none.
fn told(answer: &crate::support::page::Answer) -> (u16, String) {
    (answer.status, if answer.status == 200 { String::new() } else { answer.code() })
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[test]
fn a_change_wants_a_page_of_ours_and_the_sessions_token() {
    let page = Start::default().with_users();
    let (cookie, token) = page.session("ada");
    let (_, other) = page.session("ada");
    let (visit, of_visit) = page.browser(&[]);
    let session = ("Cookie", cookie.as_str());
    assert_eq!(page.post("/days", &[session], &[("csrf", &token)]).status, 200);

    for (what, form) in [
        ("none", vec![]),
        ("an empty one", vec![("csrf", "")]),
        ("another session's", vec![("csrf", other.as_str())]),
        ("a browser's", vec![("csrf", of_visit.as_str())]),
        ("cut", vec![("csrf", &token[1..])]),
    ] {
        assert_eq!(told(&page.post("/days", &[session], &form)), refused(403, "csrf"), "{what}");
    }
    for origin in ["http://evil.example", "null", "https://localhost", "http://127.0.0.1:1"] {
        let answer = page.post("/days", &[session, ("Origin", origin)], &[("csrf", &token)]);
        assert_eq!(told(&answer), refused(403, "origin"), "{origin}");
    }
    // As it would be sent by a script of ours, and by one of another site.
    let ours = format!("http://{}", page.address());
    let json = [session, ("Origin", &ours), ("Content-Type", "application/json"), ("X-CSRF-Token", &token)];
    assert_eq!(page.ask("DELETE", "/days", &json, "{}").body, "gone");
    assert_eq!(told(&page.ask("DELETE", "/days", &json[..3], "{}")), refused(403, "csrf"));
    let no_origin = [session, ("X-CSRF-Token", &token)];
    assert_eq!(told(&page.ask("DELETE", "/days", &no_origin, "")), refused(403, "origin"));
    let referer = [session, ("X-CSRF-Token", &token), ("Referer", &format!("{ours}/days"))];
    assert_eq!(page.ask("DELETE", "/days", &referer, "").status, 200);
    // Whoever is logged in nowhere, with a token of their own.
    let answer = page.post("/days", &[("Cookie", &visit)], &[("csrf", &of_visit)]);
    assert_eq!(told(&answer), refused(401, "login"));
}

#[test]
fn a_reader_may_look_and_not_change() {
    let page = Start::default().with_users();
    let (cookie, token) = page.session("bob");
    let session = ("Cookie", cookie.as_str());
    assert_eq!(page.get("/days", &[session]).body, "bob is reader");
    assert_eq!(told(&page.post("/days", &[session], &[("csrf", &token)])), refused(403, "role"));
    // What the file says now, holds now.
    users_file::put_user(page.users(), "cleo", Role::Operator, PASSWORD).unwrap();
    let text = std::fs::read_to_string(page.users()).unwrap();
    std::fs::write(page.users(), text.replacen("reader", "operator", 1)).unwrap();
    assert_eq!(page.get("/days", &[session]).body, "bob is operator");
    assert_eq!(page.post("/days", &[session], &[("csrf", &token)]).status, 200);
}

#[test]
fn a_token_is_enough_for_a_program() {
    let page = Start::default().with_users();
    let token = |name: &str, scope| users_file::add_token(page.users(), name, scope).unwrap().unwrap();
    let (read, write) = (token("grafana", Role::Reader), token("ci", Role::Operator));
    let ask =
        |method: &str, token: &str| page.ask(method, "/days", &[("Authorization", &format!("Bearer {token}"))], "x");
    assert_eq!(ask("GET", &read).body, "grafana is reader");
    assert_eq!(told(&ask("POST", &read)), refused(403, "role"));
    assert_eq!(ask("GET", &write).body, "ci is operator");
    assert_eq!(ask("POST", &write).body, "changed by 1 bytes");

    for wrong in ["", "dayfill_", &read[1..], &format!("{read}A"), &read.to_uppercase(), PASSWORD] {
        assert_eq!(told(&ask("GET", wrong)), refused(401, "token"), "{wrong}");
    }
    // A wrong token does not fall back to a session, whose browser another site may be using.
    let (cookie, _) = page.session("ada");
    let both = [("Cookie", cookie.as_str()), ("Authorization", "Bearer dayfill_x")];
    assert_eq!(told(&page.ask("POST", "/days", &both, "")), refused(401, "token"));
    // Another scheme is a proxy's own.
    let basic = [("Cookie", cookie.as_str()), ("Authorization", "Basic YWRhOng=")];
    assert_eq!(page.get("/days", &basic).body, "ada is operator");

    users_file::remove_token(page.users(), "ci").unwrap();
    assert_eq!(told(&ask("GET", &write)), refused(401, "token"));
    assert_eq!(ask("GET", &read).status, 200);
}

#[test]
fn without_users_a_change_still_comes_from_a_page_of_ours() {
    let page = Start::default().without_users();
    assert_eq!(page.get("/days", &[]).body, "local is operator");
    let (cookie, token) = page.browser(&[]);
    let visit = ("Cookie", cookie.as_str());
    assert_eq!(page.post("/days", &[visit], &[("csrf", &token)]).status, 200);
    assert_eq!(told(&page.post("/days", &[visit], &[])), refused(403, "csrf"));
    assert_eq!(told(&page.post("/days", &[], &[("csrf", &token)])), refused(403, "csrf"));
    let foreign = page.post("/days", &[visit, ("Origin", "http://evil.example")], &[("csrf", &token)]);
    assert_eq!(told(&foreign), refused(403, "origin"));
    // The token of one browser is not another's.
    let (other, _) = page.browser(&[]);
    assert_eq!(told(&page.post("/days", &[("Cookie", &other)], &[("csrf", &token)])), refused(403, "csrf"));
    // There is nothing to log in to, and no token is one.
    assert_eq!(page.post("/login", &[visit], &[("csrf", &token)]).code(), "not-found");
    let bearer = [("Authorization", "Bearer dayfill_x")];
    assert_eq!(told(&page.ask("POST", "/days", &bearer, "")), refused(403, "origin"));
}

#[test]
fn a_page_that_takes_no_token_sets_no_cookie() {
    let page: Page = Start::default().without_users();
    assert_eq!(page.get("/days", &[]).header("set-cookie"), "");
    let form = page.get("/form", &[]);
    assert!(form.header("set-cookie").ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{form:?}");
    let again = page.get("/form", &[("Cookie", &form.cookie("visit"))]);
    assert_eq!((again.header("set-cookie"), again.body.as_str()), ("", form.body.as_str()));
}
