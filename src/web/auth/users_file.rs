//! The users file: read whole, and changed whole, by one process at a time.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use super::error::AuthError;
use super::identity::Role;
use super::password;
use super::private::refuse_if_others_read;
use super::token::{TokenHash, new_token, random_text};
use super::users::Users;

/// Reads the file.
///
/// # Errors
/// When it cannot be read, when every user of the machine may, and when something is wrong in it.
pub fn read(path: &Path) -> Result<Users, AuthError> {
    let text = fs::read_to_string(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => AuthError::NoUsers { path: path.to_owned() },
        _ => AuthError::Unreadable { path: path.to_owned(), source },
    })?;
    refuse_if_others_read(path)?;
    Users::parse(&text).map_err(|why| AuthError::Wrong { path: path.to_owned(), why })
}

/// Reads the file; one that is not there holds nobody.
///
/// # Errors
/// As [`read`].
pub fn read_or_empty(path: &Path) -> Result<Users, AuthError> {
    match read(path) {
        Err(AuthError::NoUsers { .. }) => Ok(Users::default()),
        read => read,
    }
}

/// Gives a user a role and a password, and makes file and user where they are not there; true for a new user.
///
/// # Errors
/// As [`read`], and when the file cannot be written.
pub fn put_user(path: &Path, name: &str, role: Role, password: &str) -> Result<bool, AuthError> {
    let hash = password::hash(password)?;
    change(path, |users| users.put_user(name, role, hash))
}

/// Makes a password that nobody guesses: 24 letters, digits, `-` and `_`.
///
/// # Errors
/// An [`AuthError`] when the system has no random bytes to give.
pub fn new_password() -> Result<String, AuthError> {
    random_text::<18>()
}

/// Removes a user; false when there is none.
///
/// # Errors
/// As [`put_user`].
pub fn remove_user(path: &Path, name: &str) -> Result<bool, AuthError> {
    change(path, |users| users.remove_user(name))
}

/// Makes a token, which is known here only this once; `None` when there is one of that name.
///
/// # Errors
/// As [`put_user`].
pub fn add_token(path: &Path, name: &str, scope: Role) -> Result<Option<String>, AuthError> {
    let token = new_token()?;
    let added = change(path, |users| users.add_token(name, scope, TokenHash::of(&token)))?;
    Ok(added.then_some(token))
}

/// Removes a token; false when there is none.
///
/// # Errors
/// As [`put_user`].
pub fn remove_token(path: &Path, name: &str) -> Result<bool, AuthError> {
    change(path, |users| users.remove_token(name))
}

fn change<T>(path: &Path, change: impl FnOnce(&mut Users) -> T) -> Result<T, AuthError> {
    let unwritable = |source| AuthError::Unwritable { path: path.to_owned(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Of two who change it at once, the second begins with what the first wrote. The file itself is another each time,
    // so the lock is on its folder.
    let lock = File::open(folder).map_err(unwritable)?;
    lock.lock().map_err(unwritable)?;
    let before = read_or_empty(path)?;
    let mut after = before.clone();
    let came = change(&mut after);
    if after != before || !path.exists() {
        write(path, folder, &after.to_toml()).map_err(unwritable)?;
    }
    Ok(came)
}

/// Writes the file whole or not at all. It stays whose it was, so that root may change what the daemon's user reads; a
/// new one is for its owner alone.
fn write(path: &Path, folder: &Path, text: &str) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    if let Ok(before) = fs::metadata(path) {
        let own = file.as_file().metadata()?;
        if (own.uid(), own.gid()) != (before.uid(), before.gid()) {
            fchown(file.as_file(), Some(before.uid()), Some(before.gid()))?;
        }
        file.as_file().set_permissions(Permissions::from_mode(before.mode() & 0o770))?;
    }
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_new_file_is_for_its_owner_alone_and_rights_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.toml");
        assert!(matches!(read(&path), Err(AuthError::NoUsers { .. })));
        assert!(!remove_user(&path, "ada").unwrap());
        assert_eq!((mode(&path), read(&path).unwrap()), (0o600, Users::default()));
        let token = add_token(&path, "ci", Role::Reader).unwrap().unwrap();
        assert_eq!(add_token(&path, "ci", Role::Operator).unwrap(), None);
        assert_eq!(read(&path).unwrap().token(&token).unwrap().scope, Role::Reader);
        assert!(!fs::read_to_string(&path).unwrap().contains(&token), "the token itself is not kept");

        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(remove_token(&path, "ci").unwrap());
        assert_eq!(mode(&path), 0o640);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(read(&path), Err(AuthError::OthersRead { .. })));
        assert!(matches!(add_token(&path, "ci", Role::Reader), Err(AuthError::OthersRead { .. })));
    }

    #[test]
    fn what_is_wrong_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.toml");
        fs::write(&path, "[[users]]\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(add_token(&path, "ci", Role::Reader), Err(AuthError::Wrong { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "[[users]]\n");
        assert!(matches!(
            add_token(Path::new("/nowhere/users.toml"), "ci", Role::Reader),
            Err(AuthError::Unwritable { .. })
        ));
    }

    #[test]
    fn changes_at_once_are_all_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.toml");
        std::thread::scope(|scope| {
            for number in 0..8 {
                let path = &path;
                scope.spawn(move || add_token(path, &format!("t{number}"), Role::Reader).unwrap().unwrap());
            }
        });
        assert_eq!(read(&path).unwrap().tokens().len(), 8);
    }
}
