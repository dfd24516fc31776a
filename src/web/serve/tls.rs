//! TLS from a certificate's files, which are read again when they are others: certificates are renewed every few weeks.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::web::file_state::FileState;
use crate::web::settings::TlsFiles;

/// TLS cannot be spoken with these files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One of them cannot be read, or is not what it should be. The error shows nothing of the file.
    #[error("{path}: cannot be read as {what} in PEM ({why})", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// Why not.
        why: String,
    },
    /// They do not go together.
    #[error("{certificate} and {key}: {source}", certificate = files.certificate.display(), key = files.key.display())]
    Together {
        /// The files.
        files: TlsFiles,
        /// Why not.
        source: rustls::Error,
    },
}

type FileStates = [Option<FileState>; 2];

/// A certificate and its key.
pub struct Tls {
    files: TlsFiles,
    read: Mutex<(FileStates, Arc<ServerConfig>)>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// A [`TlsError`].
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let stamps = stamps(&files);
        let config = config(&files)?;
        Ok(Self { files, read: Mutex::new((stamps, config)) })
    }

    /// What the next client is met with. Files that changed and are wrong are told of once; what was read before goes
    /// on, as the two are rarely written in one instant.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = stamps(&self.files);
        if read.0 != stamps {
            read.0 = stamps;
            match config(&self.files) {
                Ok(config) => {
                    log::info!("{}: certificate reloaded", self.files.certificate.display());
                    read.1 = config;
                }
                Err(error) => log::warn!("{error}; the previous certificate stays in use"),
            }
        }
        Arc::clone(&read.1).into()
    }
}

fn stamps(files: &TlsFiles) -> FileStates {
    [FileState::of(&files.certificate), FileState::of(&files.key)]
}

fn config(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let wrong = |path: &PathBuf, what, error: &pem::Error| {
        let why = match error {
            pem::Error::Io(error) if error.kind() != io::ErrorKind::InvalidData => error.to_string(),
            pem::Error::NoItemsFound => "there is none".to_owned(),
            // It may repeat a line.
            _ => "it is not PEM".to_owned(),
        };
        TlsError::File { path: path.clone(), what, why }
    };
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .and_then(|chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) })
        .map_err(|error| wrong(&files.certificate, "certificates", &error))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| wrong(&files.key, "a private key", &error))?;
    let together = |source| TlsError::Together { files: files.clone(), source };
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(together)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(together)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
