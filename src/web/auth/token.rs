//! Tokens for programs: random, shown once, and known here by their hash alone. They need no slow hash, since there is
//! nothing in them to guess.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::error::AuthError;
use crate::wording::hex;

/// What every token begins with, so that a leaked one is recognised by those who look for them.
const PREFIX: &str = "dayfill_";

/// Makes a token.
pub(super) fn new_token() -> Result<String, AuthError> {
    Ok(format!("{PREFIX}{}", random_text::<32>()?))
}

/// So many random bytes as letters, digits, `-` and `_`.
pub(super) fn random_text<const BYTES: usize>() -> Result<String, AuthError> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(AuthError::Random)?;
    Ok(BASE64.encode(bytes))
}

/// The hash of a token: what is kept of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TokenHash([u8; 32]);

impl TokenHash {
    pub(super) fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Reads 64 hexadecimal digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }

    pub(super) fn to_hex(&self) -> String {
        hex(&self.0)
    }

    /// True for the same hash; how much of it is the same does not show in the time it takes.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_and_no_two_are_alike() {
        let (one, two) = (new_token().unwrap(), new_token().unwrap());
        assert_ne!(one, two);
        let random = one.strip_prefix("dayfill_").unwrap();
        assert_eq!(BASE64.decode(random).unwrap().len(), 32);
    }

    #[test]
    fn a_hash_is_read_as_it_is_written() {
        let hash = TokenHash::of("dayfill_x");
        // As `printf dayfill_x | sha256sum` has it.
        assert_eq!(hash.to_hex(), "a39a1d4460f6ec904d956a5ad117ca677a45f95a8fefa23688f1d88393c26729");
        assert!(TokenHash::parse(&hash.to_hex()).unwrap().is(&hash));
        assert!(TokenHash::parse(&hash.to_hex().to_uppercase()).unwrap().is(&hash));
        assert!(!TokenHash::of("dayfill_y").is(&hash));
        for bad in
            ["", "c7", &format!("{}g", &hash.to_hex()[..63]), &format!("{}+f", &hash.to_hex()[..62]), &"é".repeat(32)]
        {
            assert_eq!(TokenHash::parse(bad), None, "{bad}");
        }
    }
}
