//! Passwords as Argon2id hashes.

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{ARGON2ID_IDENT, Argon2, PasswordHash};

use super::error::AuthError;

/// Verified where there is no such user, so that a name cannot be told by the time an answer takes. Nobody has a
/// password for it.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5bm9ib2R5$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes a password with a random salt and today's parameters; they stand in the hash.
pub(super) fn hash(password: &str) -> Result<String, AuthError> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(AuthError::Random)?;
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt).map_err(AuthError::Hash)?;
    Ok(hash.to_string())
}

/// True for text that [`hash`] may have made, also with other parameters.
pub(super) fn is_hash(text: &str) -> bool {
    PasswordHash::new(text)
        .is_ok_and(|hash| hash.algorithm == ARGON2ID_IDENT && hash.salt.is_some() && hash.hash.is_some())
}

/// True when the password is the one that was hashed. Without a hash it is never true, and takes the same time. It is
/// slow, and blocks.
pub(super) fn verify(password: &str, hash: Option<&str>) -> bool {
    let right = PasswordHash::new(hash.unwrap_or(NOBODY))
        .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok());
    right && hash.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_fits_its_password_and_no_other() {
        let (once, again) = (hash("correct horse").unwrap(), hash("correct horse").unwrap());
        assert_ne!(once, again, "the salt is random");
        for hash in [&once, &again] {
            assert!(is_hash(hash) && verify("correct horse", Some(hash)));
            for wrong in ["", "correct horsE", "correct horse "] {
                assert!(!verify(wrong, Some(hash)), "{wrong}");
            }
        }
        assert!(!verify("", None) && !verify("nobody", None));
    }

    #[test]
    fn nobody_takes_as_much_work_as_somebody() {
        let parameters = |hash: &str| hash.rsplitn(3, '$').last().unwrap().to_owned();
        assert!(is_hash(NOBODY));
        assert_eq!(parameters(NOBODY), parameters(&hash("x").unwrap()));
    }

    #[test]
    fn what_is_no_argon2id_hash_is_not_taken_for_one() {
        let good = hash("x").unwrap();
        for bad in [
            "",
            "x",
            "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
            &good.replace("argon2id", "argon2i"),
            good.rsplit_once('$').unwrap().0,
            "$argon2id$v=19$m=19456,t=2,p=1",
        ] {
            assert!(!is_hash(bad), "{bad}");
        }
    }
}
