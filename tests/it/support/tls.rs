//! TLS before a server of this process, with a certificate of the test's own.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test that asked for it")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::postgres_tls::openssl;

/// Makes a certificate of these DNS names that nobody else signed: `ca.pem`, and its key in `ca.key`.
pub(crate) fn certificate(folder: &Path, names: &[&str]) -> PathBuf {
    let names: Vec<_> = names.iter().map(|name| format!("DNS:{name}")).collect();
    let names = format!("subjectAltName = {}", names.join(","));
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "ca.key"];
    let more = ["-addext", &names, "-addext", "basicConstraints = critical, CA:FALSE"];
    openssl(folder, &[&["req", "-x509", "-days", "2", "-subj", "/CN=any", "-out", "ca.pem"][..], &key, &more].concat());
    folder.join("ca.pem")
}

/// What shows the certificate of [`certificate`].
pub(crate) fn acceptor(folder: &Path) -> TlsAcceptor {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    // Fails where another test of this process has done it.
    drop(rustls::crypto::ring::default_provider().install_default());
    let certificate = CertificateDer::from_pem_file(folder.join("ca.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("ca.key")).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key);
    TlsAcceptor::from(Arc::new(config.unwrap()))
}

/// Speaks TLS and hands what comes to a server that does not, until it is dropped.
pub(crate) struct Front {
    address: SocketAddr,
    resets: Arc<AtomicUsize>,
    runtime: Option<Runtime>,
}

impl Front {
    /// For the server at such a URL, with the certificate in that folder.
    pub(crate) fn start(folder: &Path, url: &str) -> Self {
        let behind: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
        let (acceptor, resets) = (acceptor(folder), Arc::new(AtomicUsize::new(0)));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let (address, left) = (listener.local_addr().unwrap(), Arc::clone(&resets));
        runtime.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let resets = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    if resets {
                        // What is left unread has the connection reset.
                        return drop(stream.read_u8().await);
                    }
                    // A client may go away, or not trust the certificate.
                    let Ok(mut client) = acceptor.accept(stream).await else { return };
                    let mut server = TcpStream::connect(behind).await.unwrap();
                    drop(tokio::io::copy_bidirectional(&mut client, &mut server).await);
                });
            }
        });
        Self { address, resets, runtime: Some(runtime) }
    }

    /// `https://NAME:port`
    pub(crate) fn url(&self, name: &str) -> String {
        format!("https://{name}:{}", self.address.port())
    }

    /// Resets so many of the connections to come, in the middle of the handshake.
    pub(crate) fn reset_next(&self, connections: usize) {
        self.resets.store(connections, Ordering::SeqCst);
    }

    /// How many of them are still to come.
    pub(crate) fn to_be_reset(&self) -> usize {
        self.resets.load(Ordering::SeqCst)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
