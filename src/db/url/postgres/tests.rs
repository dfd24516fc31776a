//! Tables of URLs and what libpq is told, and the property that no password gets out.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::db::url::DatabaseUrl;

fn parse(url: &str) -> Result<PostgresUrl, UrlError> {
    match DatabaseUrl::parse(url, None)? {
        DatabaseUrl::Postgres(url) => Ok(url),
        DatabaseUrl::Sqlite(path) => panic!("{path:?}"),
    }
}

/// Reads a connection string as libpq does (`conninfo_parse`), quoted values only.
fn conninfo_parse(text: &str) -> BTreeMap<String, String> {
    let mut chars = text.chars().peekable();
    let mut found = BTreeMap::new();
    while chars.peek().is_some() {
        let key: String = chars.by_ref().take_while(|c| *c != '=').collect();
        assert_eq!(chars.next(), Some('\''));
        let mut value = String::new();
        loop {
            match chars.next().unwrap() {
                '\'' => break,
                '\\' => value.push(chars.next().unwrap()),
                other => value.push(other),
            }
        }
        assert!(found.insert(key.trim_start().to_owned(), value).is_none(), "{key} twice");
        assert!(matches!(chars.next(), None | Some(' ')));
    }
    found
}

/// What libpq is told beyond the defaults.
fn told(url: &PostgresUrl) -> String {
    let mut all = conninfo_parse(&url.conninfo_with_roots(|| Some("/roots.pem".into())));
    for (key, value) in DEFAULTS {
        if url.get(key).is_none() {
            assert_eq!(all.remove(key).as_deref(), Some(value), "{key}");
        }
    }
    let words: Vec<String> = all.iter().map(|(key, value)| format!("{key}={value}")).collect();
    words.join(" ")
}

const GOOD: &[(&str, &str)] = &[
    ("postgres://", ""),
    ("postgresql://localhost", "host=localhost"),
    ("postgresql://localhost:5433", "host=localhost port=5433"),
    ("postgresql://localhost/mydb", "dbname=mydb host=localhost"),
    ("postgresql://user@localhost", "host=localhost user=user"),
    ("postgresql://user:secret@localhost", "host=localhost password=secret user=user"),
    ("postgresql+psycopg2://u:p@h:1/d", "dbname=d host=h password=p port=1 user=u"),
    ("postgres:///mydb", "dbname=mydb"),
    ("postgres:///mydb?host=/run/postgresql", "dbname=mydb host=/run/postgresql"),
    ("postgres:///mydb?host=localhost&port=5433", "dbname=mydb host=localhost port=5433"),
    ("postgres://%2Frun%2Fpostgresql/mydb", "dbname=mydb host=/run/postgresql"),
    ("postgres://user:@h", "host=h user=user"),
    ("postgres://:p@h", "host=h password=p"),
    ("postgres://h1:123,h2:456/db", "dbname=db host=h1,h2 port=123,456"),
    ("postgres://h1,h2:456/db", "dbname=db host=h1,h2 port=,456"),
    ("postgres://h1,h2/db?port=5433", "dbname=db host=h1,h2 port=5433"),
    (
        "postgresql://other@h1,h2/otherdb?connect_timeout=7&application_name=my%20app&target_session_attrs=any",
        "application_name=my app connect_timeout=7 dbname=otherdb host=h1,h2 target_session_attrs=any user=other",
    ),
    ("postgres://[2001:db8::1234]/db", "dbname=db host=2001:db8::1234"),
    ("postgres://u:p@[::1]:5433,[::2]/db", "dbname=db host=::1,::2 password=p port=5433, user=u"),
    ("postgres://h/d?ssl=true", "dbname=d host=h sslmode=require"),
    ("postgres://h/d?user=a@b&password=x", "dbname=d host=h password=x user=a@b"),
    ("postgres://h?", "host=h"),
    ("postgres://u%40x:p%3A%2F%40%25@h/d%20b", "dbname=d b host=h password=p:/@% user=u@x"),
    ("postgres://u:it's \\ here@h/d", "dbname=d host=h password=it's \\ here user=u"),
    // Passwords nobody encoded.
    ("postgres://u:p@ss@h/d", "dbname=d host=h password=p@ss user=u"),
    ("postgres://u:p:ss@h/d", "dbname=d host=h password=p:ss user=u"),
    ("postgres://u:p/ss@h/d", "dbname=d host=h password=p/ss user=u"),
    ("postgres://u:p?ss@h/d", "dbname=d host=h password=p?ss user=u"),
    ("postgres://u:p?s=s@h/d?sslmode=require", "dbname=d host=h password=p?s=s sslmode=require user=u"),
    ("postgres://u:@:/#?@@h/d", "dbname=d host=h password=@:/#?@ user=u"),
    // Certificates.
    ("postgres://h?sslmode=verify-full&sslrootcert=/ca.pem", "host=h sslmode=verify-full sslrootcert=/ca.pem"),
    ("postgres://h?sslrootcert=system", "host=h sslmode=verify-full sslrootcert=/roots.pem"),
    ("postgres://h?sslrootcert=system&sslmode=verify-full", "host=h sslmode=verify-full sslrootcert=/roots.pem"),
];

#[test]
fn urls_and_what_libpq_is_told() {
    for (url, expected) in GOOD {
        let parsed = parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!(told(&parsed), *expected, "{url}");
    }
}

#[test]
fn what_is_shown_reads_back_but_for_the_secrets() {
    for (url, _) in GOOD {
        let parsed = parse(url).unwrap();
        let again = parse(&parsed.to_string()).unwrap_or_else(|error| panic!("{url}: {parsed}: {error}"));
        assert_eq!(again.to_string(), parsed.to_string(), "{url}");
        if parsed.get("password").is_none() && parsed.get("port") != Some("5433") {
            assert_eq!(told(&again), told(&parsed), "{url}");
        }
    }
    let url = parse("postgresql://me:secret@h1:1,[::1]:2/db?sslpassword=hidden&options=-c%20a%3Db").unwrap();
    assert_eq!(url.to_string(), "postgres://me:***@h1:1,[::1]:2/db?sslpassword=***&options=-c%20a%3Db");
    assert_eq!(format!("{url:?}"), url.to_string());
}

#[test]
fn without_a_file_of_roots_libpq_looks_for_itself() {
    let url = parse("postgres://h?sslrootcert=system").unwrap();
    let told = conninfo_parse(&url.conninfo_with_roots(|| None));
    assert_eq!((told["sslrootcert"].as_str(), told["sslmode"].as_str()), ("system", "verify-full"));
}

#[test]
fn what_is_refused() {
    use UrlError as E;
    for (url, error) in [
        ("postgres://u:secret%2@h", E::Percent("password")),
        ("postgres://u:secret%zz@h", E::Percent("password")),
        ("postgres://u:secret%ff@h", E::NotText("password")),
        ("postgres://u:secret%00@h", E::NotText("password")),
        ("postgres://secret/x@h/d", E::Ambiguous),
        ("postgres://h/d@secret", E::Ambiguous),
        ("postgres://h/d?pasword=sec@secret", E::Ambiguous),
        ("postgres://[::1/secret", E::Brackets),
        ("postgres://[]/secret", E::Brackets),
        ("postgres://[::1]secret", E::Brackets),
        ("postgres://user:secret", E::Port),
        ("postgres://user:secret/d", E::Port),
        ("postgres://h:0/secret", E::Port),
        ("postgres://h:65536/secret", E::Port),
        ("postgres://h/d?port=secret", E::Port),
        ("postgres://h/d?secret", E::NoValue),
        ("postgres://h/d?secret=1", E::UnknownParameter(None)),
        ("postgres://h/d?pasword=secret", E::UnknownParameter(Some("password"))),
        ("postgres://h?sslmod=require", E::UnknownParameter(Some("sslmode"))),
        ("postgres://h?sslrootcert=system&sslmode=require", E::WeakSslMode),
        ("postgres://h?sslmode=verify-ca&sslrootcert=system", E::WeakSslMode),
    ] {
        assert_eq!(parse(url), Err(error.clone()), "{url}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn messages_are_masked() {
    let url = DatabaseUrl::parse("postgres://u:s'cret@h?sslpassword=s'cret2", None).unwrap();
    assert_eq!(url.mask(r"no s'cret2, s'cret, s\'cret"), "no ***, ***, ***");
    assert_eq!(DatabaseUrl::parse("sqlite:a", None).unwrap().mask("as it is"), "as it is");
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

proptest! {
    #[test]
    fn every_value_reaches_libpq_as_it_was(
        user in "[^\0]{1,12}", password in "[^\0]{4,16}", host in "[^\0,\\[]{1,12}", database in "[^\0]{1,12}",
    ) {
        let url = |password: &str| {
            let (u, h, d) = (encode(&user), encode(&host), encode(&database));
            parse(&format!("postgres://{u}:{}@{h}/{d}?options={d}", encode(password))).unwrap()
        };
        let parsed = url(&password);
        let told = conninfo_parse(&parsed.conninfo());
        prop_assert_eq!(&told["user"], &user);
        prop_assert_eq!(&told["password"], &password);
        prop_assert_eq!(&told["host"], &host);
        prop_assert_eq!(&told["dbname"], &database);
        prop_assert_eq!(&told["options"], &database);
        // Whatever the password, the same is shown.
        prop_assert_eq!(parsed.to_string(), url("another one").to_string());
        prop_assert_eq!(format!("{parsed:?}"), format!("{:?}", url("another one")));
        let masked = parsed.mask(&format!("1 {password} 2"));
        prop_assert_eq!(masked, "1 *** 2");
    }

    #[test]
    fn a_raw_password_is_found_and_never_shown(password in "[!-~&&[^%]]{4,16}", tail in "(/db)?(\\?sslmode=require)?") {
        let shown = |password: &str| parse(&format!("postgres://u:{password}@h{tail}")).map(|url| {
            (conninfo_parse(&url.conninfo()).remove("password"), url.to_string())
        });
        let (told, text) = shown(&password).unwrap();
        prop_assert_eq!(told, Some(password));
        prop_assert_eq!(text, shown("another").unwrap().1);
    }

    #[test]
    fn no_error_depends_on_the_secret(
        before in "[a-z@:/?&=%\\[\\],]{0,12}", secret in "[A-Z0-9]{8,16}", after in "[a-z@:/?&=%\\[\\],]{0,12}",
    ) {
        for scheme in ["postgres://", "postgres:", "mysql://", ""] {
            if let Err(error) = DatabaseUrl::parse(&format!("{scheme}{before}{secret}{after}"), None) {
                let scheme_of_its_own = scheme.is_empty() && matches!(error, UrlError::UnknownScheme(_));
                let said = format!("{error} {error:?}");
                prop_assert!(scheme_of_its_own || !said.contains(&secret));
            }
        }
    }
}
