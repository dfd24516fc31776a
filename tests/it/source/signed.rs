//! S3 with signed requests. Keys come through the environment, as they do for users; a test cannot change its own (that
//! is unsafe), so the tests of the inner modules are run by those of this one, in a process that has it.

use std::process::Command;

use hyper::header::{AUTHORIZATION, HeaderValue, LOCATION};

use super::s3::{ACCESS_KEY, Fault, NamedBy, S3Server, SECRET_KEY};
use super::*;
use crate::support::http::{Server, status};

/// Runs the ignored tests of an inner module with these variables, and without any other of Amazon's.
fn run(module: &str, tests: usize, variables: &[(&str, &str)]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.env("HOME", "/nonexistent").env("AWS_EC2_METADATA_DISABLED", "true").envs(variables.iter().copied());
    let output = command.args(["--ignored", &format!("source::signed::{module}::")]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains(&format!("{tests} passed")), "{text}");
}

#[test]
fn s3_by_keys_of_the_environment() {
    run("keys", 19, &[("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)]);
}

#[test]
fn s3_by_a_profile() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("credentials");
    let (id, secret) = (ACCESS_KEY, SECRET_KEY);
    std::fs::write(&file, format!("[etl]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n")).unwrap();
    run("profile", 1, &[("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap()), ("AWS_PROFILE", "etl")]);
}

#[test]
fn s3_by_keys_that_are_replaced() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("credentials");
    run("replaced", 1, &[("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap())]);
}

#[test]
fn s3_with_a_token_file_that_is_missing() {
    let role = "arn:aws:iam::123456789012:role/etl";
    run("token", 1, &[("AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent/token"), ("AWS_ROLE_ARN", role)]);
}

#[test]
fn s3_without_keys() {
    run("nothing", 1, &[]);
}

const BUCKET: &str = "days";
const KEY: &str = "2019-04-01.csv";

fn at(server: &S3Server, url: &str) -> SourceSpec {
    let mut spec = spec(url);
    (spec.allow_http, spec.path_style, spec.endpoint) = (true, true, Some(server.endpoint()));
    spec
}

fn serve(content: impl Into<bytes::Bytes>) -> (S3Server, Asked) {
    let server = S3Server::start();
    server.put(BUCKET, KEY, content);
    let asked = Asked::new(&at(&server, "s3://days/{day}.csv"));
    (server, asked)
}

mod profile {
    use super::*;

    #[test]
    #[ignore = "needs an environment: run by s3_by_a_profile"]
    fn reads() {
        let (_server, asked) = serve("id\n1\n");
        assert_eq!(asked.read().unwrap().text, b"id\n1\n");
    }
}

mod replaced {
    use super::*;

    fn write(secret: &str) {
        let file = std::env::var("AWS_SHARED_CREDENTIALS_FILE").unwrap();
        let keys = format!("[default]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {secret}\n");
        std::fs::write(file, keys).unwrap();
    }

    #[test]
    #[ignore = "needs an environment: run by s3_by_keys_that_are_replaced"]
    fn keys_that_are_refused_are_read_again() {
        write("the old one");
        let (_server, asked) = serve("id\n1\n");
        assert_has(&asked.error(), &["SignatureDoesNotMatch", "check AWS_SECRET_ACCESS_KEY or the profile"]);
        write(SECRET_KEY);
        assert_eq!(asked.read().unwrap().text, b"id\n1\n");
        // Looks notice it as well, by the same connection.
        let (_server, asked) = serve("id\n1\n");
        assert_eq!(asked.read().unwrap().text, b"id\n1\n");
        let (_other, asked) = {
            write("the old one");
            serve("id\n1\n")
        };
        assert_has(&asked.look().unwrap_err().to_string(), &["SignatureDoesNotMatch"]);
        write(SECRET_KEY);
        assert!(matches!(asked.look().unwrap(), FileStatus::File(_)));
    }
}

mod token {
    use super::*;

    #[test]
    #[ignore = "needs an environment: run by s3_with_a_token_file_that_is_missing"]
    fn it_is_named() {
        let server = S3Server::start();
        let variables: Vec<(String, String)> = std::env::vars().collect();
        let asked = Asked::with(&at(&server, "s3://days/{day}.csv"), &variables, hasty());
        let named = ["credentials could not be used", "AWS_WEB_IDENTITY_TOKEN_FILE names /nonexistent/token: No such"];
        assert_has(&asked.error(), &named);
    }
}

mod nothing {
    use super::*;

    #[test]
    #[ignore = "needs an environment: run by s3_without_keys"]
    fn says_where_it_looked() {
        let (server, asked) = serve("id\n1\n");
        let places = ["AWS_ACCESS_KEY_ID", "~/.aws", "AWS_WEB_IDENTITY_TOKEN_FILE", "IMDS", "source.anonymous = true"];
        assert_has(&asked.error(), &places);
        assert_has(&asked.look().unwrap_err().to_string(), &["no AWS credentials were found"]);
        assert_eq!(server.seen(), []);
    }
}

mod keys {
    use super::*;

    #[test]
    #[ignore = "needs an environment: run by s3_by_keys_of_the_environment"]
    fn a_file_is_read() {
        let content = csv(100_000);
        let (server, asked) = serve(content.clone());
        let read = asked.read().unwrap();
        assert_eq!(read.text, content);
        assert_eq!(read.hash.as_str(), sha256(&content));
        assert_eq!(read.info.url, "s3://days/2019-04-01.csv");
        assert!(read.info.etag.is_some());
        assert_eq!(read.info.modified.to_rfc3339(), "2019-04-02T02:00:00+00:00");
        assert_eq!(asked.look().unwrap(), FileStatus::File(read.info));
        let methods: Vec<_> = server.seen().into_iter().map(|seen| seen.method).collect();
        assert_eq!(methods, ["GET", "HEAD"]);
    }

    #[test]
    #[ignore = "needs an environment: run by s3_by_keys_of_the_environment"]
    fn keys_are_taken_letter_for_letter() {
        let server = S3Server::start();
        for (template, key) in
            [("{day:%Y}/a b/{day}.csv", "2019/a b/2019-04-01.csv"), ("100%/ü+%20&#?={day}", "100%/ü+%20&#?=2019-04-01")]
        {
            server.put(BUCKET, key, key.to_owned());
            let asked = Asked::new(&at(&server, &format!("s3://days/{template}")));
            assert_eq!(asked.read().unwrap().text, key.as_bytes());
        }
    }

    #[test]
    #[ignore = "needs an environment: run by s3_by_keys_of_the_environment"]
    fn compressed_files_are_recognised() {
        let text = csv(20_000);
        let members: Vec<u8> = text.chunks(100_000).flat_map(gzip).collect();
        for stored in [members, zstd::encode_all(&text[..], 3).unwrap()] {
            let (_server, asked) = serve(stored.clone());
            let read = asked.read().unwrap();
            assert_eq!(read.text, text);
            assert_eq!(read.hash.as_str(), sha256(&stored));
            // Cut off where it was written, not on the way.
            let (_server, asked) = serve(stored[..stored.len() - 1].to_vec());
            assert_has(&asked.error(), &["broken or cut-off"]);
        }
    }

    #[test]
    #[ignore = "needs an environment: run by s3_by_keys_of_the_environment"]
    fn a_wrong_key_is_an_error_even_where_a_403_means_waiting() {
        for (id, secret, code) in
            [(ACCESS_KEY, "other", "SignatureDoesNotMatch"), ("AKIAOTHER", SECRET_KEY, "NotSignedUp")]
        {
            let server = S3Server::start_with(id, secret);
            server.put(BUCKET, KEY, "id\n");
            for forbidden in [Forbidden::Failed, Forbidden::Waiting] {
                let mut spec = at(&server, "s3://days/{day}.csv");
                spec.forbidden = forbidden;
                let error = Asked::new(&spec).error();
                assert_has(&error, &["s3://days/2019-04-01.csv", "credentials were not accepted", code]);
                assert!(!error.contains(ACCESS_KEY) && !error.contains(SECRET_KEY), "{error}");
                assert_has(&Asked::new(&spec).look().unwrap_err().to_string(), &[code]);
            }
        }
    }

    #[test]
    #[ignore = "needs an environment: run by s3_by_keys_of_the_environment"]
    fn a_missing_object_is_waited_for_and_a_missing_bucket_is_trouble_of_all_days() {
        let (server, asked) = serve("id\n");
        server.remove(BUCKET, KEY);
        assert_has(&asked.not_there(), &["NoSuchKey"]);
        let asked = Asked::new(&at(&server, "s3://dais/{day}.csv"));
        assert_has(&asked.error(), &["the bucket \"dais\" does not exist"]);
        let error = asked.look().unwrap_err();
        assert_has(&error.to_string(), &["the bucket \"dais\" does not exist"]);
        assert!(error.is_temporary(), "it says nothing of a day's file");
        // Where each day has a bucket of its own, a missing one says something of its day.
        let error = Asked::new(&at(&server, "s3://dais-{day}/x.csv")).look().unwrap_err();
        assert_has(&error.to_string(), &["the bucket \"dais-2019-04-01\" does not exist"]);
        assert!(!error.is_temporary());
    }

    #[test]
    #[ignore = "needs an environment: run by s3_by_keys_of_the_environment"]
    fn access_denied_says_what_to_grant_or_waits() {
        let (server, asked) = serve("id\n");
        server.fail_always(Some(Fault::Status(403, "AccessDenied")));
        let grants =
            ["AccessDenied: as ordered", "s3:GetObject on arn:aws:s3:::days/*", "s3:ListBucket on arn:aws:s3:::days "];
        assert_has(&asked.error(), &grants);
        assert_has(&asked.look().unwrap_err().to_string(), &grants);
        let mut spec = at(&server, "s3://days/{day}.csv");
        spec.forbidden = Forbidden::Waiting;
        server.fail_always(Some(Fault::Says(403, "AccessDenied", "Access Denied")));
        assert_has(&Asked::new(&spec).not_there(), &["AccessDenied"]);
    }

    #[test]
    #[ignore = "needs an environment: run by s3_by_keys_of_the_environment"]
    fn a_refusal_with_a_reason_is_never_a_missing_file() {
        let (server, _) = serve("id\n");
        let mut spec = at(&server, "s3://days/{day}.csv");
        spec.forbidden = Forbidden::Waiting;
        let kms = "User: etl is not authorized to perform: kms:Decrypt on the resource associated with this ciphertext";
        let get = "User: etl is not authorized to perform: s3:GetObject on resource: days/2019-04-01.csv";
        for (status, code, message, advice) in [
            (403, "AccessDenied", kms, "grant kms:Decrypt"),
            (403, "AccessDenied", get, "grant s3:GetObject on arn:aws:s3:::days/*"),
            (403, "InvalidObjectState", "not valid for the storage class", "the file is archived: restore it"),
            (403, "AllAccessDisabled", "All access has been disabled", "s3:GetObject"),
            (400, "ExpiredToken", "The provided token has expired.", "get new ones"),
            (403, "ExpiredToken", "The provided token has expired.", "get new ones"),
            (403, "SignatureDoesNotMatch", "calculated", "the secret key does not belong to the key id"),
            (403, "InvalidAccessKeyId", "unknown", "the service does not know the key id"),
            (400, "InvalidToken", "malformed", "AWS_SESSION_TOKEN"),
            (403, "RequestTimeTooSkewed", "too large", "this machine's clock"),
        ] {
            server.fail_always(Some(Fault::Says(status, code, message)));
            let asked = Asked::new(&spec);
            assert_has(&asked.open().unwrap_err().to_string(), &[code, message, advice]);
            assert_has(&asked.look().unwrap_err().to_string(), &[code, message, advice]);
        }
        let list = "User: etl is not authorized to perform: s3:ListBucket on resource: \"arn:aws:s3:::days\"";
        for message in ["Access Denied", list] {
            server.fail_always(Some(Fault::Says(403, "AccessDenied", message)));
            assert_has(&Asked::new(&spec).not_there(), &[message, "forbidden = \"waiting\""]);
        }
    }

    #[test]
    #[ignore = "needs an environment: run by s3_by_keys_of_the_environment"]
    fn the_region_that_the_service_names_is_followed() {
        for named_by in [NamedBy::Redirect, NamedBy::Location, NamedBy::Body] {
            let (server, asked) = serve("id\n1\n");
            server.is_in("eu-west-1", named_by);
            assert_eq!(asked.read().unwrap().text, b"id\n1\n");
            // It is remembered.
            let before = server.seen().len();
            assert_eq!(asked.read().unwrap().text, b"id\n1\n");
            assert_eq!(server.seen().len(), before + 1);
            assert!(matches!(Asked::new(&at(&server, "s3://days/{day}.csv")).look().unwrap(), FileStatus::File(_)));
            server.remove(BUCKET, KEY);
            assert_has(&asked.not_there(), &["NoSuchKey"]);
        }
    }

    #[test]
    #[ignore = "needs an environment: run by s3_by_keys_of_the_environment"]
    fn a_region_that_the_dataset_says_is_held_against_the_one_that_the_service_names() {
        for named_by in [NamedBy::Redirect, NamedBy::Location, NamedBy::Body] {
            let (server, _) = serve("id\n1\n");
            server.is_in("eu-west-1", named_by);
            let mut spec = at(&server, "s3://days/{day}.csv");
            spec.region = Some("us-east-2".to_owned());
            let error = Asked::new(&spec).error();
            assert_has(&error, &["is in eu-west-1", "source.region says us-east-2", "source.region = \"eu-west-1\""]);
            // What is no region is not followed.
            server.is_in("evil.example/", named_by);
            spec.region = None;
            let error = Asked::new(&spec).error();
            assert!(!error.contains("evil"), "{error}");
        }
    }

    #[test]
    #[ignore = "needs an environment: run by s3_by_keys_of_the_environment"]
    fn a_redirect_to_another_host_says_what_to_set() {
        let server = Server::start(|_| {
            let mut response = status(307, "");
            response.headers_mut().insert(LOCATION, HeaderValue::from_static("http://elsewhere.invalid/x?sig=hush"));
            async { response }
        });
        let mut spec = spec("s3://days/{day}.csv");
        (spec.allow_http, spec.endpoint) = (true, Some(server.url()));
        let error = Asked::new(&spec).error();
        assert_has(&error, &["another host, elsewhere.invalid", "source.region", "source.endpoint"]);
        assert!(!error.contains("source.redirects") && !error.contains("hush"), "{error}");
        assert_eq!(server.seen().len(), 1);
    }

    #[test]
    #[ignore = "needs an environment: run by s3_by_keys_of_the_environment"]
    fn a_refusal_that_repeats_the_request_keeps_its_code_and_what_of_its_message_is_no_secret() {
        let server = Server::start(|request| {
            let signed = request.headers()[AUTHORIZATION].to_str().unwrap().to_owned();
            let hidden = s3::hex(signed.as_bytes());
            let message = match request.uri().path() {
                "/days/plain-2019-04-01" => "does not match".to_owned(),
                "/days/said-2019-04-01" => format!("does not match: {signed}"),
                _ => format!("does not match: {hidden}"),
            };
            let body = format!(
                "<?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code><Message>{message}</Message>\
                 <AWSAccessKeyId>{ACCESS_KEY}</AWSAccessKeyId><StringToSign>{signed}</StringToSign>\
                 <CanonicalRequestBytes>{hidden}</CanonicalRequestBytes></Error>"
            );
            async { status(403, body) }
        });
        for (name, words) in [("plain", "does not match"), ("said", "does not match: ***"), ("hidden", "are left out")]
        {
            let mut spec = spec(&format!("s3://days/{name}-{{day}}"));
            (spec.allow_http, spec.endpoint) = (true, Some(server.url()));
            let error = Asked::new(&spec).error();
            assert_has(&error, &["(SignatureDoesNotMatch: ", words, "the secret key does not belong to the key id"]);
            let hidden = s3::hex(ACCESS_KEY.as_bytes());
            assert!(![ACCESS_KEY, "Signature=", &*hidden].iter().any(|secret| error.contains(secret)), "{error}");
        }
    }

    #[test]
    #[ignore = "needs an environment: run by s3_by_keys_of_the_environment"]
    fn the_host_that_was_asked_is_named_with_the_key_for_it() {
        let mut spec = spec("s3://days/{day}.csv");
        spec.endpoint = Some("https://minio.invalid:9000".to_owned());
        let asked = Asked::new(&spec);
        let words = ["https://days.minio.invalid:9000", "set source.path_style = true if"];
        assert_has(&asked.error(), &words);
        assert_has(&asked.look().unwrap_err().to_string(), &words);
        spec.path_style = true;
        let error = Asked::new(&spec).error();
        assert_has(&error, &["asked https://minio.invalid:9000"]);
        assert!(!error.contains("path_style"), "{error}");
        (spec.endpoint, spec.path_style, spec.region) = (None, false, Some("dayfill-1".to_owned()));
        assert_has(&Asked::new(&spec).error(), &["asked https://days.s3.dayfill-1.amazonaws.com"]);
    }

    #[test]
    #[ignore = "needs an environment: run by s3_by_keys_of_the_environment"]
    fn a_server_in_trouble_is_asked_again() {
        for fault in
            [Fault::Status(500, "InternalError"), Fault::Status(503, "SlowDown"), Fault::Status(429, "SlowDown")]
        {
            let (server, asked) = serve("id\n");
            server.fail_next(fault.clone());
            server.fail_next(fault.clone());
            assert_eq!(asked.read().unwrap().text, b"id\n");
            assert_eq!(server.seen().len(), 3);
            server.fail_always(Some(fault));
            assert_has(&asked.error(), &["as ordered"]);
        }
    }

    #[test]
    #[ignore = "needs an environment: run by s3_by_keys_of_the_environment"]
    fn a_body_that_breaks_off_is_resumed_where_it_broke_off() {
        let content = csv(50_000);
        let (server, asked) = serve(content.clone());
        server.fail_next(Fault::CutOff(1000));
        server.fail_next(Fault::CutOff(20_000));
        let read = asked.read().unwrap();
        assert_eq!(read.text, content);
        assert_eq!(read.hash.as_str(), sha256(&content));
        let ranges: Vec<_> = server.seen().into_iter().map(|seen| seen.range).collect();
        let last = content.len() - 1;
        assert_eq!(ranges, [None, Some(format!("bytes=1000-{last}")), Some(format!("bytes=21000-{last}"))]);
    }

    #[test]
    #[ignore = "needs an environment: run by s3_by_keys_of_the_environment"]
    fn a_body_that_never_completes_is_an_error() {
        let content = csv(50_000);
        let (server, asked) = serve(content.clone());
        server.fail_always(Some(Fault::CutOff(0)));
        assert_has(&asked.error(), &["s3://days/2019-04-01.csv", "reading failed after 0 of"]);
    }

    #[test]
    #[ignore = "needs an environment: run by s3_by_keys_of_the_environment"]
    fn an_idle_body_is_asked_for_again() {
        let content = csv(5_000);
        let (server, _) = serve(content.clone());
        let timeouts = ClientTimeouts { idle: Duration::from_millis(500), ..hasty() };
        let asked = Asked::with(&at(&server, "s3://days/{day}.csv"), &[], timeouts);
        server.fail_next(Fault::Stalled(1000));
        assert_eq!(asked.read().unwrap().text, content);
    }

    #[test]
    #[ignore = "needs an environment: run by s3_by_keys_of_the_environment"]
    fn an_object_replaced_while_it_is_read_is_an_error() {
        let (server, asked) = serve(csv(5_000));
        server.fail_next(Fault::Replaced(1000, csv(6_000).into()));
        assert_has(&asked.error(), &["s3://days/2019-04-01.csv", "was changed while it was read"]);
        assert_eq!(asked.read().unwrap().text, csv(6_000));
    }

    #[test]
    #[ignore = "needs an environment: run by s3_by_keys_of_the_environment"]
    fn an_empty_object_is_an_empty_file() {
        let (_server, asked) = serve("");
        assert_eq!(asked.read().unwrap().text, b"");
    }

    #[test]
    #[ignore = "needs an environment: run by s3_by_keys_of_the_environment"]
    fn days_are_read_at_once() {
        let content = csv(50_000);
        let (_server, asked) = serve(content.clone());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_eq!(asked.read().unwrap().text, content));
            }
        });
    }
}
