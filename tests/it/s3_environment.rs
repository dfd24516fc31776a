//! What the environment and the profile say of S3: which service is asked, by which proxy, whom it trusts.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};

use hyper::Request;
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::support::Database as _;
use crate::support::http::{self, Server};
use crate::support::project::{Orders, Project, Ran};
use crate::support::s3::{ACCESS_KEY, S3Server, SECRET_KEY};
use crate::support::sqlite::SqliteDatabase;
use crate::support::tls::{acceptor, certificate};

const DAY: &str = "2024-03-01";

fn project(database: &SqliteDatabase, source: &str) -> Project {
    let source = format!("url = \"s3://bucket/{{day}}.csv\"\npath_style = true\n{source}");
    Project::new(database, &Orders { source, ..Orders::default() })
}

/// Loads the day again with these variables, and no proxy that the tests themselves stand behind.
fn load(project: &Project, variables: &[(&str, &str)]) -> Ran {
    let mut command = project.command(&["load", "--force", DAY]);
    Ran::of(command.env("AWS_EC2_METADATA_DISABLED", "true").envs(variables.iter().copied()))
}

fn with_a_row(row: &str) -> S3Server {
    let server = S3Server::start();
    server.put("bucket", &format!("{DAY}.csv"), format!("id,amount,note\n{row},1,x\n"));
    server
}

#[test]
fn the_endpoint_is_the_one_that_amazons_tools_would_ask() {
    let servers = ["source", "env-s3", "env", "services", "profile"].map(with_a_row);
    let [of_source, env_s3, env, services, profile] = servers.each_ref().map(S3Server::endpoint);
    let database = SqliteDatabase::new();
    let plain = project(&database, "allow_http = true\n");
    plain.write(
        "aws",
        format!(
            "[profile both]\nservices = ours\nendpoint_url = {profile}\n[profile global]\nendpoint_url = {profile}\n\
             [profile none]\nregion = us-east-1\n[services ours]\ns3 =\n  endpoint_url = {services}\n"
        ),
    );
    let file = plain.path("aws");
    let keys = [
        ("AWS_CONFIG_FILE", file.to_str().unwrap()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ("AWS_REGION", "us-east-1"),
        // Who asks Amazon all the same finds nobody.
        ("HTTPS_PROXY", "http://127.0.0.1:1"),
    ];
    let (global, s3, profile) = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE");
    for (variables, expected) in [
        (&[(s3, &*env_s3), (global, &*env), (profile, "both")][..], "env-s3"),
        (&[(global, &env), (profile, "both")], "env"),
        (&[(profile, "both")], "services"),
        (&[(profile, "global")], "profile"),
        (&[(s3, ""), (global, &env), (profile, "both")], "env"),
        (&[(s3, ""), (global, ""), (profile, "both")], "services"),
    ] {
        let ran = load(&plain, &[&keys[..], variables].concat());
        assert_eq!(ran.code, 0, "{variables:?}: {ran:#?}");
        assert_eq!(database.line("select id from orders"), expected, "{variables:?}");
    }
    // Amazon itself is asked where the endpoints are to be ignored.
    let ignored = [(s3, &*env_s3), (global, &*env), (profile, "both"), ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")];
    let ran = load(&plain, &[&keys[..], &ignored].concat());
    assert!(ran.code == 1 && ran.stdout.contains("asked https://s3.us-east-1.amazonaws.com"), "{ran:#?}");
    // What is no URL, or plain without leave, is not passed over.
    let ran = load(&plain, &[&keys[..], &[(global, "localhost:9000")]].concat());
    assert!(ran.code == 1 && ran.stdout.contains("\"localhost:9000\" is no URL"), "{ran:#?}");
    let ran = load(&plain, &[&keys[..], &[(profile, "other")]].concat());
    assert!(ran.code == 1 && ran.stdout.contains("AWS_PROFILE names the profile \"other\""), "{ran:#?}");
    let secure = project(&database, "");
    let ran = load(&secure, &[&keys[..4], &[(s3, &env_s3)]].concat());
    assert!(ran.code == 1 && ran.stdout.contains("source.allow_http = true"), "{ran:#?}");
    // The dataset's own wins, and a public bucket is looked for at the same service.
    let own = project(&database, &format!("allow_http = true\nendpoint = \"{of_source}\"\n"));
    let ran = load(&own, &[&keys[..4], &[(s3, &env_s3)]].concat());
    assert_eq!((ran.code, database.line("select id from orders")), (0, "source".to_owned()), "{ran:#?}");
    let public = S3Server::start_public();
    public.put("bucket", &format!("{DAY}.csv"), "id,amount,note\npublic,1,x\n");
    let anonymous = project(&database, "allow_http = true\nanonymous = true\n");
    let ran = load(&anonymous, &[(s3, &public.endpoint())]);
    assert_eq!((ran.code, database.line("select id from orders")), (0, "public".to_owned()), "{ran:#?}");
}

/// The hosts of Amazon's that are asked here.
const HOSTS: [&str; 4] = [
    "sts.us-east-1.amazonaws.com",
    "portal.sso.us-east-1.amazonaws.com",
    "s3.us-east-1.amazonaws.com",
    "bucket.s3.amazonaws.com",
];

/// A proxy that stands for Amazon: it takes `CONNECT` for each of [`HOSTS`], speaks TLS with its own certificate and
/// hands what comes to servers of this process.
struct Amazon {
    proxy: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    runtime: tokio::runtime::Runtime,
    issuer: Server,
    _bucket: S3Server,
}

impl Amazon {
    fn start(folder: &Path) -> Self {
        certificate(folder, &HOSTS);
        let (issuer, bucket) = (Server::start(issue), with_a_row("proxied"));
        let local = |url: &str| url.trim_start_matches("http://").parse::<SocketAddr>().unwrap();
        let behind = (local(&issuer.url()), local(&bucket.endpoint()));
        let (acceptor, asked) = (acceptor(folder), Arc::new(Mutex::new(Vec::new())));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let (proxy, hosts) = (listener.local_addr().unwrap(), Arc::clone(&asked));
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, hosts) = (acceptor.clone(), Arc::clone(&hosts));
                // A client may go away, or not trust the certificate.
                tokio::spawn(async move { drop(hand_on(stream, acceptor, &hosts, behind).await) });
            }
        });
        Self { proxy, asked, runtime, issuer, _bucket: bucket }
    }

    /// The hosts asked for since the last time.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

async fn hand_on(
    mut stream: TcpStream,
    acceptor: TlsAcceptor,
    hosts: &Mutex<Vec<String>>,
    (issuer, bucket): (SocketAddr, SocketAddr),
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let host = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(':').next()).map(str::to_owned);
    hosts.lock().unwrap().push(host.clone().unwrap_or_else(|| "plain".to_owned()));
    let Some(host) = host else { return Ok(()) };
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    let mut client = acceptor.accept(stream).await?;
    let mut server = TcpStream::connect(if host.starts_with("s3.") { bucket } else { issuer }).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
}

/// STS, SSO and a container's role in one: whoever asks gets the key that the bucket takes. It knows where the bucket is,
/// too.
async fn issue(request: Request<Incoming>) -> hyper::Response<http::Body> {
    use http_body_util::BodyExt as _;
    if request.method() == hyper::Method::HEAD {
        let mut answer = http::whole("");
        answer.headers_mut().insert("x-amz-bucket-region", "us-east-1".parse().unwrap());
        return answer;
    }
    if request.uri().path() == "/container" {
        return http::whole(format!(
            "{{\"AccessKeyId\":\"{ACCESS_KEY}\",\"SecretAccessKey\":\"{SECRET_KEY}\",\"Token\":\"t\",\
             \"Expiration\":\"2100-01-01T00:00:00Z\"}}"
        ));
    }
    if request.uri().path() == "/federation/credentials" {
        return http::whole(format!(
            "{{\"roleCredentials\":{{\"accessKeyId\":\"{ACCESS_KEY}\",\"secretAccessKey\":\"{SECRET_KEY}\",\
             \"sessionToken\":\"t\",\"expiration\":4102444800000}}}}"
        ));
    }
    let form = request.into_body().collect().await.unwrap().to_bytes();
    let form = String::from_utf8_lossy(&form).into_owned();
    let action = if form.contains("Action=AssumeRoleWithWebIdentity") {
        assert!(form.contains("WebIdentityToken=the-token"), "{form}");
        "AssumeRoleWithWebIdentity"
    } else {
        "AssumeRole"
    };
    http::whole(format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
         <AccessKeyId>{ACCESS_KEY}</AccessKeyId><SecretAccessKey>{SECRET_KEY}</SecretAccessKey>\
         <SessionToken>t</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></{action}Result>\
         </{action}Response>"
    ))
}

#[test]
fn credentials_and_files_come_by_the_proxy_and_a_private_authority_is_trusted() {
    let (folder, database) = (tempfile::tempdir().unwrap(), SqliteDatabase::new());
    let amazon = Amazon::start(folder.path());
    let project = project(&database, "region = \"us-east-1\"\n");
    let role = "role_arn = arn:aws:iam::123456789012:role/etl\nregion = us-east-1\n";
    project.write("token", "the-token");
    project.write(
        "aws",
        format!(
            "[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = base\n\
             [profile role]\n{role}source_profile = base\n\
             [profile web]\n{role}web_identity_token_file = {}\nca_bundle = {}\n\
             [profile sso]\nsso_start_url = https://dayfill.awsapps.com/start\nsso_region = us-east-1\n\
             sso_account_id = 123456789012\nsso_role_name = etl\nregion = us-east-1\n",
            project.path("token").display(),
            folder.path().join("ca.pem").display(),
        ),
    );
    // Where `aws sso login` leaves its token: named by the SHA-1 of the start URL.
    fs::create_dir_all(project.path(".aws/sso/cache")).unwrap();
    project.write(
        ".aws/sso/cache/af32d8dcaf22c6ae2c42e3f84b8bb9c337fb35a9.json",
        "{\"accessToken\":\"t\",\"expiresAt\":\"2100-01-01T00:00:00Z\"}",
    );
    let (proxy, file, ca) = (format!("http://{}", amazon.proxy), project.path("aws"), folder.path().join("ca.pem"));
    let (file, ca) = (file.to_str().unwrap(), ca.to_str().unwrap());
    let behind = [("HTTPS_PROXY", &*proxy), ("AWS_CONFIG_FILE", file)];
    for (profile, trust, issuer) in [
        ("role", Some("AWS_CA_BUNDLE"), HOSTS[0]),
        ("web", None, HOSTS[0]),
        ("sso", Some("AWS_CA_BUNDLE"), HOSTS[1]),
        ("role", Some("SSL_CERT_FILE"), HOSTS[0]),
    ] {
        let trust: Vec<_> = trust.map(|variable| (variable, ca)).into_iter().collect();
        let ran = load(&project, &[&behind[..], &[("AWS_PROFILE", profile)], &trust].concat());
        assert_eq!(ran.code, 0, "{profile} {trust:?}: {ran:#?}");
        assert_eq!(database.line("select id from orders"), "proxied");
        let mut asked = amazon.asked();
        asked.dedup();
        assert_eq!(asked, [issuer, HOSTS[2]], "{profile}");
    }
    // What the machine itself gives out is never asked of a proxy.
    let container = format!("{}/container", amazon.issuer.url());
    let near = [("HTTP_PROXY", &*proxy), ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &container), ("AWS_CA_BUNDLE", ca)];
    let ran = load(&project, &[&behind[..1], &near].concat());
    assert_eq!((ran.code, database.line("select id from orders")), (0, "proxied".to_owned()), "{ran:#?}");
    let mut asked = amazon.asked();
    asked.dedup();
    assert_eq!(asked, [HOSTS[2]]);
    // Where the bucket is, is asked the same way.
    let anywhere = self::project(&database, "");
    let keys = [("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)];
    let ran = load(&anywhere, &[&behind[..1], &keys, &[("AWS_CA_BUNDLE", ca)]].concat());
    assert_eq!(ran.code, 0, "{ran:#?}");
    let mut asked = amazon.asked();
    asked.dedup();
    assert_eq!(asked, [HOSTS[3], HOSTS[2]]);
    // Without the authority, the error says what the variable is for.
    let ran = load(&project, &[&behind[..], &keys].concat());
    assert!(
        ran.code == 1 && ran.stdout.contains("name a PEM file of all authorities to trust in SSL_CERT_FILE"),
        "{ran:#?}"
    );
    let ran = load(&project, &[&behind[..], &keys, &[("AWS_CA_BUNDLE", "/nonexistent/ca.pem")]].concat());
    assert!(ran.code == 1 && ran.stdout.contains("names /nonexistent/ca.pem: No such file"), "{ran:#?}");
    let Amazon { runtime, .. } = amazon;
    runtime.shutdown_background();
}
