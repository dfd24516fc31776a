//! Files that are nobody else's business.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::error::AuthError;

/// The rights of those who are neither owner nor in the group.
const OTHERS: u32 = 0o007;

/// Refuses a file that every user of the machine may read or write. A group may: the owner chose it.
pub(super) fn refuse_if_others_read(path: &Path) -> Result<(), AuthError> {
    let metadata = fs::metadata(path).map_err(|source| AuthError::Unreadable { path: path.to_owned(), source })?;
    if metadata.permissions().mode() & OTHERS == 0 {
        Ok(())
    } else {
        Err(AuthError::OthersRead { path: path.to_owned() })
    }
}
