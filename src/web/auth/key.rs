//! The key that signs sessions: random, and kept in a file of its own, so that sessions outlive a
//! restart.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::error::AuthError;
use super::private::refuse_if_others_read;

/// The key. It never leaves this file but to its own.
#[derive(Clone)]
pub(super) struct SigningKey([u8; 32]);

impl SigningKey {
    /// A key that nobody else has, and that is gone with the process.
    pub(super) fn random() -> Result<Self, AuthError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(AuthError::Random)?;
        Ok(Self(bytes))
    }

    /// The key beside a users file, made if it is not there. Where it cannot be written, sessions end with the process.
    pub(super) fn beside(users: &Path) -> Result<Self, AuthError> {
        let path = beside(users, "key");
        if let Some(key) = Self::read(&path)? {
            return Ok(key);
        }
        let key = Self::random()?;
        match key.write(&path) {
            Ok(()) => Ok(key),
            // Another process was first: its key is the one.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Self::read(&path)?.unwrap_or(key)),
            Err(error) => {
                log::warn!("{} cannot be written ({error}): a restart ends all sessions", path.display());
                Ok(key)
            }
        }
    }

    fn read(path: &Path) -> Result<Option<Self>, AuthError> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|source| AuthError::Unreadable { path: path.to_owned(), source })?,
        };
        refuse_if_others_read(path)?;
        let bytes = BASE64.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(|bytes| Some(Self(bytes))).ok_or_else(|| AuthError::NotAKey { path: path.to_owned() })
    }

    /// Writes the file whole or not at all, for this user alone.
    fn write(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        writeln!(file, "{}", BASE64.encode(self.0))?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path).map(drop).map_err(|error| error.error)
    }

    fn mac(&self, parts: &[&str]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(b"session");
        // With their lengths, so that no two lists of parts are signed alike.
        for part in parts {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part.as_bytes());
        }
        Some(mac)
    }

    /// The signature of these parts, as text for cookies and forms.
    pub(super) fn sign(&self, parts: &[&str]) -> String {
        // An HMAC takes keys of every length: there is always one.
        self.mac(parts).map(|mac| BASE64.encode(mac.finalize().into_bytes())).unwrap_or_default()
    }

    /// True when that is the signature of these parts; how much of it is right does not show in the time it takes.
    pub(super) fn verifies(&self, parts: &[&str], signature: &str) -> bool {
        let Ok(signature) = BASE64.decode(signature) else { return false };
        self.mac(parts).is_some_and(|mac| mac.verify_slice(&signature).is_ok())
    }
}

/// A file that stands beside a users file.
pub(super) fn beside(users: &Path, what: &str) -> PathBuf {
    let mut name = OsString::from(users);
    name.push(format!(".{what}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_signature_is_of_one_key_and_one_list_of_parts() {
        let (key, other) = (SigningKey::random().unwrap(), SigningKey::random().unwrap());
        let signature = key.sign(&["ab", "c"]);
        assert!(key.verifies(&["ab", "c"], &signature));
        for (key, parts) in [(&key, &["a", "bc"][..]), (&key, &["ab", "c", ""]), (&other, &["ab", "c"])] {
            assert!(!key.verifies(parts, &signature), "{parts:?}");
        }
        for forged in ["", "AAAA", &signature[..42], &format!("{signature}A"), "not base64!"] {
            assert!(!key.verifies(&["ab", "c"], forged), "{forged}");
        }
    }

    #[test]
    fn the_file_is_made_once_and_for_this_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let users = folder.path().join("users.toml");
        let first = SigningKey::beside(&users).unwrap();
        let path = folder.path().join("users.toml.key");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(SigningKey::beside(&users).unwrap().0, first.0, "the same after a restart");
        assert_eq!(first.write(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists, "it is never overwritten");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
        assert!(matches!(SigningKey::beside(&users), Err(AuthError::OthersRead { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "short").unwrap();
        assert!(matches!(SigningKey::beside(&users), Err(AuthError::NotAKey { .. })));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(matches!(SigningKey::beside(&users), Err(AuthError::Unreadable { .. })));
    }

    #[test]
    fn where_no_file_can_be_made_the_key_is_the_processes_own() {
        let nowhere = Path::new("/proc/none/users.toml");
        assert_ne!(SigningKey::beside(nowhere).unwrap().0, SigningKey::beside(nowhere).unwrap().0);
    }
}
