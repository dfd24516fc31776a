//! What proxies say of their clients, and of whom it is believed.

use dayfill::web::WebSettings;

use crate::support::page::{PASSWORD, Page, Start};

/// The name under which browsers know the page.
const NAME: &str = "dayfill.example.com";

fn page(proxies: &[&str], base_path: &str) -> Page {
    let settings = WebSettings {
        hosts: vec![NAME.to_owned()],
        trusted_proxies: proxies.iter().map(|net| net.parse().unwrap()).collect(),
        base_path: base_path.to_owned(),
        ..WebSettings::default()
    };
    Start { settings, ..Start::default() }.with_users()
}

#[test]
fn the_forwarded_address_is_believed_of_trusted_proxies_only() {
    // Ten failures per client, whoever the proxy is.
    let fail = |page: &Page, client: &str| page.login(&[("X-Forwarded-For", client)], "ada", "wrong horse").status;
    let trusting = page(&["127.0.0.0/8"], "");
    for _ in 0..10 {
        assert_eq!(fail(&trusting, "203.0.113.9"), 401);
    }
    assert_eq!(fail(&trusting, "203.0.113.9"), 429);
    assert_eq!(fail(&trusting, "6.6.6.6, 203.0.113.9"), 429, "what stands before it is the client's own word");
    assert_eq!(fail(&trusting, "203.0.113.10"), 401);

    // Of anybody else it is not, so that it is no way around.
    let other = page(&["10.0.0.0/8"], "");
    for number in 0..10 {
        assert_eq!(fail(&other, &format!("203.0.113.{number}")), 401);
    }
    assert_eq!(fail(&other, "203.0.113.99"), 429);
}

#[test]
fn behind_a_proxy_with_tls_cookies_are_for_tls_and_the_origin_is_its() {
    let trusting = page(&["127.0.0.1/32"], "");
    let origin = format!("https://{NAME}");
    let forwarded = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", NAME), ("Origin", origin.as_str())];
    let answer = trusting.login(&forwarded, "ada", PASSWORD);
    assert_eq!(answer.status, 303, "{answer:?}");
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("__Host-dayfill_session=") && cookie.ends_with("; SameSite=Lax; Secure"), "{cookie}");
    assert_eq!(answer.header("strict-transport-security"), "max-age=31536000");

    let mut kept = vec![("Cookie", answer.cookie("session")), ("X-Forwarded-Proto", "https".to_owned())];
    kept.push(("Host", NAME.to_owned()));
    let kept: Vec<(&str, &str)> = kept.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(trusting.get("/days", &kept).body, "ada is operator");
    // By plain HTTP the same cookie is not looked at.
    assert_eq!(trusting.get("/days", &kept[..1]).code(), "login");

    // Somebody who is no proxy of ours cannot say so.
    let other = page(&[], "");
    let answer = other.post("/login", &forwarded, &[("name", "ada"), ("password", PASSWORD)]);
    assert_eq!(answer.code(), "origin");
    assert_eq!(answer.header("strict-transport-security"), "");
}

#[test]
fn below_a_path_the_cookie_is_for_that_path() {
    let page = page(&["127.0.0.1/32"], "/d");
    let answer = page.login(
        &[("X-Forwarded-Proto", "https"), ("Host", NAME), ("Origin", "https://dayfill.example.com")],
        "ada",
        PASSWORD,
    );
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("__Secure-dayfill_session=") && cookie.contains("; Path=/d; "), "{cookie}");
}

#[test]
fn without_users_nobody_comes_through_a_proxy() {
    let start = |proxies: &[&str]| {
        let proxies = proxies.iter().map(|net| net.parse().unwrap()).collect();
        let settings = WebSettings { trusted_proxies: proxies, ..WebSettings::default() };
        Start { settings, ..Start::default() }.without_users()
    };
    for proxies in [&[][..], &["127.0.0.1/32"]] {
        let page = start(proxies);
        assert_eq!(page.get("/days", &[]).status, 200);
        for path in ["/days", "/form", "/health"] {
            let answer = page.get(path, &[("X-Forwarded-For", "203.0.113.9")]);
            assert_eq!((answer.status, answer.code().as_str()), (403, "local-only"), "{path} {proxies:?}");
        }
        // Whoever came through a proxy and is not named by it could be anybody, also where the proxy is ours.
        for header in [
            ("Forwarded", "for=127.0.0.1"),
            ("X-Real-IP", "127.0.0.1"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "localhost"),
            ("X-Forwarded-Port", "443"),
            ("X-Forwarded-For", ""),
            ("X-Forwarded-For", "203.0.113.9, unknown"),
            ("X-Forwarded-For", "unknown, 127.0.0.1"),
        ] {
            let answer = page.get("/days", &[header]);
            assert_eq!((answer.status, answer.code().as_str()), (403, "local-only"), "{header:?} {proxies:?}");
        }
    }
    let here = [("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-Proto", "http"), ("X-Real-IP", "127.0.0.1")];
    assert_eq!(start(&["127.0.0.1/32"]).get("/days", &here).status, 200);
    assert_eq!(start(&[]).get("/days", &here).status, 403);
}
