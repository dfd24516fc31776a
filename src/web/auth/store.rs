//! The users file as the daemon has it: read again as soon as it is another.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::error::AuthError;
use super::users::Users;
use super::users_file;
use crate::web::file_state::FileState;

/// The users file, and what was read of it last.
pub(super) struct Store {
    path: PathBuf,
    read: Mutex<(Option<FileState>, Option<Arc<Users>>)>,
}

impl Store {
    /// Reads the file, which must be right at first.
    pub(super) fn open(path: &Path) -> Result<Self, AuthError> {
        let stamp = FileState::of(path);
        let users = users_file::read(path)?;
        Ok(Self { path: path.to_owned(), read: Mutex::new((stamp, Some(Arc::new(users)))) })
    }

    /// The users as the file has them now. `None` while it cannot be read or is wrong: nobody comes in then, since
    /// somebody who was taken out of it must not.
    pub(super) fn users(&self) -> Option<Arc<Users>> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        // Looked at before it is read: a change in between shows the next time.
        let stamp = FileState::of(&self.path);
        if read.0 != stamp {
            let users = users_file::read(&self.path);
            match &users {
                Ok(_) => log::info!("{}: reloaded", self.path.display()),
                Err(error) => log::error!("{error}; nobody can log in until this is fixed"),
            }
            *read = (stamp, users.ok().map(Arc::new));
        }
        read.1.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::web::auth::identity::Role;

    #[test]
    fn what_the_file_says_holds_at_once_and_a_wrong_file_lets_nobody_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.toml");
        assert!(Store::open(&path).is_err(), "it must be there");
        let token = users_file::add_token(&path, "ci", Role::Reader).unwrap().unwrap();
        let store = Store::open(&path).unwrap();
        let known = || store.users().map(|users| users.token(&token).is_some());
        assert_eq!(known(), Some(true));
        users_file::remove_token(&path, "ci").unwrap();
        assert_eq!(known(), Some(false));

        let right = fs::read_to_string(&path).unwrap();
        fs::write(&path, "[[users]]\n").unwrap();
        assert_eq!(known(), None);
        fs::write(&path, &right).unwrap();
        assert_eq!(known(), Some(false));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(known(), None, "rights count as well");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(known(), Some(false));
        fs::remove_file(&path).unwrap();
        assert_eq!(known(), None);
    }
}
