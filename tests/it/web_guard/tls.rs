//! TLS with a certificate made here.

use std::fs;
use std::path::Path;

use dayfill::web::serve::{Tls, TlsError};
use dayfill::web::{TlsFiles, WebSettings};

use crate::postgres_tls::openssl;
use crate::support::page::{Answer, Page, Start};

/// Makes a certificate that signs itself, good for `localhost`, and its key.
fn certificate(folder: &Path) -> TlsFiles {
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "new.key"];
    let names = ["-addext", "subjectAltName = DNS:localhost", "-addext", "basicConstraints = critical, CA:FALSE"];
    let make = ["req", "-x509", "-days", "2", "-subj", "/CN=page", "-out", "new.crt"];
    openssl(folder, &[&make[..], &names, &key].concat());
    let files = TlsFiles { certificate: folder.join("page.crt"), key: folder.join("page.key") };
    fs::rename(folder.join("new.key"), &files.key).unwrap();
    fs::rename(folder.join("new.crt"), &files.certificate).unwrap();
    files
}

/// What a client that trusts this certificate alone gets.
fn get(page: &Page, certificate: &[u8]) -> Result<reqwest::Response, reqwest::Error> {
    // Fails where another test of this process has done it.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let trusted = reqwest::Certificate::from_pem(certificate).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([trusted]).no_proxy().build().unwrap();
    runtime.block_on(client.get(format!("https://localhost:{}/form", page.address().port())).send())
}

#[test]
fn the_page_speaks_tls_and_takes_a_renewed_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let files = certificate(folder.path());
    let settings = WebSettings { tls: Some(files.clone()), ..WebSettings::default() };
    let page = Start { settings, ..Start::default() }.without_users();
    let first = fs::read(&files.certificate).unwrap();
    let answer = get(&page, &first).unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers().get("strict-transport-security").is_none(), "localhost belongs to others as well");

    // Plain HTTP is no TLS, and is told nothing.
    let plain = page.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(!String::from_utf8_lossy(&plain).contains("HTTP/1.1"), "{plain:?}");

    certificate(folder.path());
    let second = fs::read(&files.certificate).unwrap();
    assert_eq!(get(&page, &second).unwrap().status(), 200);
    assert!(get(&page, &first).is_err());
    // Half of a new one is not taken.
    fs::write(&files.key, "no key").unwrap();
    assert_eq!(get(&page, &second).unwrap().status(), 200);
}

#[test]
fn a_name_that_is_known_for_tls_is_kept_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let files = certificate(folder.path());
    let settings =
        WebSettings { tls: Some(files.clone()), hosts: vec!["dayfill.test".to_owned()], ..WebSettings::default() };
    let page = Start { settings, ..Start::default() }.without_users();
    let mut roots = rustls::RootCertStore::empty();
    let pem = fs::read(&files.certificate).unwrap();
    let der = <rustls::pki_types::CertificateDer as rustls::pki_types::pem::PemObject>::from_pem_slice(&pem).unwrap();
    roots.add(der).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = std::sync::Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let client = rustls::ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
    let mut stream = rustls::StreamOwned::new(client, page.connect());
    let request = b"GET /health HTTP/1.1\r\nHost: dayfill.test\r\nConnection: close\r\n\r\n";
    std::io::Write::write_all(&mut stream, request).unwrap();
    let mut all = Vec::new();
    drop(std::io::Read::read_to_end(&mut stream, &mut all));
    let answer = Answer::parse(&all);
    assert_eq!((answer.status, answer.header("strict-transport-security")), (200, "max-age=31536000"));
}

#[test]
fn wrong_files_are_told_by_name_and_not_by_content() {
    let folder = tempfile::tempdir().unwrap();
    let files = certificate(folder.path());
    let why = |files: &TlsFiles| Tls::open(files.clone()).err().map(|error: TlsError| error.to_string()).unwrap();
    let other = tempfile::tempdir().unwrap();
    let mixed = TlsFiles { key: certificate(other.path()).key, ..files.clone() };
    assert!(why(&mixed).contains("page.crt and "), "{}", why(&mixed));
    let missing = TlsFiles { key: folder.path().join("none"), ..files.clone() };
    assert!(why(&missing).contains("none: cannot be read as a private key in PEM (No such file"), "{}", why(&missing));
    let swapped = TlsFiles { certificate: files.key.clone(), key: files.certificate.clone() };
    assert!(
        why(&swapped).contains("page.key: cannot be read as certificates in PEM (there is none)"),
        "{}",
        why(&swapped)
    );
    fs::write(&files.key, "-----BEGIN PRIVATE KEY-----\nhunter22 !!\n-----END PRIVATE KEY-----\n").unwrap();
    assert!(!why(&files).contains("hunter22") && why(&files).contains("page.key: "), "{}", why(&files));
}
