//! The sections `web` and `metrics`.

use super::{Folder, GOOD};

#[test]
fn the_page_is_told_where_it_is_and_who_may_come_in() {
    let main = r#"
[web]
listen = "[::]:8443"
base_path = "/tools/day-fill"
hosts = ["Dayfill.Example.com.", "10.1.2.3", "[2001:db8::1]"]
trusted_proxies = ["10.0.0.7", "192.168.3.9/16", "fd00::/8"]
auth = "secrets/users.toml"
tls_certificate = "/etc/tls/page.crt"
tls_key = "page.key"
[metrics]
listen = "0.0.0.0:9100"
"#;
    let folder = Folder::new(main).write("datasets/a.toml", GOOD);
    let web = folder.load([]).unwrap().settings.web;
    let here = folder.0.path();
    assert_eq!((web.listen, web.metrics), ("[::]:8443".parse().ok(), "0.0.0.0:9100".parse().ok()));
    assert_eq!(web.base_path, "/tools/day-fill");
    assert_eq!(web.hosts, ["dayfill.example.com", "10.1.2.3", "2001:db8::1"]);
    let proxies: Vec<String> = web.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(proxies, ["10.0.0.7/32", "192.168.0.0/16", "fd00::/8"]);
    assert_eq!(web.auth, Some(here.join("secrets/users.toml")));
    let tls = web.tls.unwrap();
    assert_eq!((tls.certificate, tls.key), ("/etc/tls/page.crt".into(), here.join("page.key")));
    // Lists of the environment have commas.
    let variables = [("DAYFILL__WEB__HOSTS", "a.example, b.example"), ("DAYFILL__WEB__LISTEN", "none")];
    let web = folder.load(variables).unwrap().settings.web;
    assert_eq!((web.hosts.join(" ").as_str(), web.listen), ("a.example b.example", None));
}

#[test]
fn a_page_for_others_wants_users_and_the_rest_has_to_fit() {
    let open = "is not a loopback address, which needs web.auth: without users only this machine may open the web UI";
    let address = "is not an address with a port such as \"127.0.0.1:8080\" or \"[::1]:8080\", nor \"none\"";
    for (main, expected) in [
        ("web.listen = \"127.0.0.2:80\"", String::new()),
        ("web.listen = \"[::1]:80\"", String::new()),
        ("web.listen = \"none\"\nmetrics.listen = \"0.0.0.0:80\"", String::new()),
        ("web.listen = \"0.0.0.0:80\"\nweb.auth = \"users.toml\"", String::new()),
        ("web.listen = \"0.0.0.0:80\"", format!("web.listen = \"0.0.0.0:80\": {open}")),
        ("web.listen = \"[::]:80\"\nweb.auth = \"none\"", format!("web.listen = \"[::]:80\": {open}")),
        ("web.listen = \"0.0.0.0:80\"\nweb.auth = 1", "web.auth = 1: is not a text: write it in quotes".to_owned()),
        ("web.listen = \"off\"", format!("web.listen = \"off\": {address}")),
        ("web.listen = \"localhost:80\"", format!("web.listen = \"localhost:80\": {address}")),
        ("metrics.listen = \"9100\"", format!("metrics.listen = \"9100\": {address}")),
        (
            "metrics.listen = \"127.0.0.1:8080\"",
            "metrics.listen = \"127.0.0.1:8080\": is the same address as web.listen; omit it to serve metrics there"
                .to_owned(),
        ),
        (
            "web.base_path = \"dayfill\"",
            "web.base_path = \"dayfill\": does not begin with a slash: write \"/dayfill\", or \"\" for none".to_owned(),
        ),
        (
            "web.base_path = \"/dayfill/\"",
            "web.base_path = \"/dayfill/\": ends with a slash: write \"/dayfill\", or \"\" for none".to_owned(),
        ),
        (
            "web.tls_key = \"page.key\"",
            "web.tls_key = \"page.key\": is without tls_certificate: name both or none".to_owned(),
        ),
        (
            "web.tls_certificate = \"page.crt\"",
            "web.tls_certificate = \"page.crt\": is without tls_key: name both or none".to_owned(),
        ),
        (
            "web.trusted_proxies = [\"10.0.0.0/33\"]",
            "web.trusted_proxies = [\"10.0.0.0/33\"]: holds \"10.0.0.0/33\", which is not an address such as \
             \"10.0.0.1\", nor a range such as \"10.0.0.0/8\""
                .to_owned(),
        ),
        ("web.lisen = 1", "web.lisen: unknown key; did you mean \"listen\"?".to_owned()),
    ] {
        let problems = Folder::new(main).write("datasets/a.toml", GOOD).load([]).err().unwrap_or_default();
        assert_eq!(problems.trim_start_matches("dayfill.toml: "), expected, "{main}");
    }
    for path in ["/", "//", "/a//b", "/a/../b", "/.", "/a b", "/a;b", "/a?b", "/é", "/a%2fb"] {
        let main = format!("web.base_path = \"{path}\"");
        assert!(Folder::new(&main).write("datasets/a.toml", GOOD).load([]).is_err(), "{path}");
    }
    for host in ["", "a:80", "https://a", "a/b", "a b", ".a", "*"] {
        let main = format!("web.hosts = [\"{host}\"]");
        let problem = Folder::new(&main).write("datasets/a.toml", GOOD).problems([]);
        assert!(problem.contains(&format!("holds {host:?}, which is not the name of a host")), "{problem}");
    }
}
