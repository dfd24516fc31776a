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
fn a_change_wants_a_session_and_a_page_of_ours() {
    let page = Start::default().with_users();
    let cookie = page.session("ada");
    let session = ("Cookie", cookie.as_str());
    assert_eq!(page.post("/days", &[session], &[]).status, 200);
    for origin in ["http://evil.example", "null", "https://localhost", "http://127.0.0.1:1"] {
        let answer = page.post("/days", &[session, ("Origin", origin)], &[]);
        assert_eq!(told(&answer), refused(403, "origin"), "{origin}");
    }
    // As it would be sent by a script of ours, and by one of another site.
    let ours = format!("http://{}", page.address());
    let json = [session, ("Origin", &ours), ("Content-Type", "application/json")];
    assert_eq!(page.ask("DELETE", "/days", &json, "{}").body, "gone");
    assert_eq!(told(&page.ask("DELETE", "/days", &[session], "")), refused(403, "origin"));
    let fetched = |site: &str| page.ask("DELETE", "/days", &[session, ("Sec-Fetch-Site", site)], "");
    assert_eq!(fetched("same-origin").status, 200);
    for site in ["same-site", "cross-site", "none"] {
        assert_eq!(told(&fetched(site)), refused(403, "origin"), "{site}");
    }
    let referer = [session, ("Referer", &*format!("{ours}/days"))];
    assert_eq!(page.ask("DELETE", "/days", &referer, "").status, 200);
    // A page of ours without a session changes nothing.
    assert_eq!(told(&page.post("/days", &[], &[])), refused(401, "login"));
}

#[test]
fn a_reader_may_look_and_not_change() {
    let page = Start::default().with_users();
    let cookie = page.session("bob");
    let session = ("Cookie", cookie.as_str());
    assert_eq!(page.get("/days", &[session]).body, "bob is reader");
    assert_eq!(told(&page.post("/days", &[session], &[])), refused(403, "role"));
    // What the file says now, holds now.
    users_file::put_user(page.users(), "cleo", Role::Operator, PASSWORD).unwrap();
    let text = std::fs::read_to_string(page.users()).unwrap();
    std::fs::write(page.users(), text.replacen("reader", "operator", 1)).unwrap();
    assert_eq!(page.get("/days", &[session]).body, "bob is operator");
    assert_eq!(page.post("/days", &[session], &[]).status, 200);
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
    let cookie = page.session("ada");
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
    assert_eq!(page.post("/days", &[], &[]).status, 200);
    let foreign = page.post("/days", &[("Origin", "http://evil.example")], &[]);
    assert_eq!(told(&foreign), refused(403, "origin"));
    assert_eq!(told(&page.ask("POST", "/days", &[], "")), refused(403, "origin"), "no browser");
    // There is nothing to log in to, and no token is one.
    assert_eq!(page.post("/login", &[], &[]).code(), "not-found");
    let bearer = [("Authorization", "Bearer dayfill_x")];
    assert_eq!(told(&page.ask("POST", "/days", &bearer, "")), refused(403, "origin"));
}

#[test]
fn a_page_without_a_session_sets_no_cookie() {
    let page: Page = Start::default().without_users();
    assert_eq!(page.get("/days", &[]).header("set-cookie"), "");
}
