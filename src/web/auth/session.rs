//! Sessions: nothing is kept of them. All that there is to one stands, signed, in its cookie; `ended` knows which were
//! ended early.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::key::SigningKey;

/// How long a session lasts, in hours.
pub(super) const HOURS: i64 = 12;

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    /// Random.
    pub(super) id: String,
    pub(super) user: String,
    pub(super) issued: DateTime<Utc>,
    pub(super) expires: DateTime<Utc>,
}

impl Session {
    pub(super) fn new(user: &str, now: DateTime<Utc>) -> Self {
        let id = Uuid::new_v4().simple().to_string();
        Self { id, user: user.to_owned(), issued: now, expires: now + TimeDelta::hours(HOURS) }
    }

    /// The cookie's value. The hash of the user's password is signed along and does not stand in it: with another
    /// password the signature is wrong, and the session over.
    pub(super) fn seal(&self, key: &SigningKey, password_hash: &str) -> String {
        let Self { id, user, issued, expires } = self;
        let text = format!("{id} {} {} {user}", issued.timestamp(), expires.timestamp());
        let signature = key.sign(&[&text, password_hash]);
        format!("{}.{signature}", BASE64.encode(text))
    }

    /// The session of a cookie's value, if it was sealed here, its user's password is still the same, and its time is
    /// not over. `hash_of` gives the hash of a user's password, if there is such a user.
    pub(super) fn open(
        sealed: &str,
        key: &SigningKey,
        now: DateTime<Utc>,
        hash_of: impl FnOnce(&str) -> Option<String>,
    ) -> Option<Self> {
        let (text, signature) = sealed.split_once('.')?;
        let text = String::from_utf8(BASE64.decode(text).ok()?).ok()?;
        let mut parts = text.splitn(4, ' ');
        let (id, issued, expires, user) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if !key.verifies(&[&text, &hash_of(user)?], signature) {
            return None;
        }
        let time = |text: &str| text.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        let session = Self { id: id.to_owned(), user: user.to_owned(), issued: time(issued)?, expires: time(expires)? };
        (now < session.expires).then_some(session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> DateTime<Utc> {
        "2024-03-01T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_session_opens_with_the_key_and_the_password_it_was_sealed_with() {
        let (key, other) = (SigningKey::random().unwrap(), SigningKey::random().unwrap());
        let session = Session::new("ada", noon());
        let sealed = session.seal(&key, "hash");
        let hash = |user: &str| (user == "ada").then(|| "hash".to_owned());
        let open = |sealed: &str, at| Session::open(sealed, &key, at, hash);
        assert_eq!(open(&sealed, noon()), Some(session.clone()));
        assert_eq!(open(&sealed, noon() + TimeDelta::hours(HOURS) - TimeDelta::seconds(1)), Some(session.clone()));
        assert_eq!(open(&sealed, noon() + TimeDelta::hours(HOURS)), None, "its time is over");
        assert_eq!(Session::open(&sealed, &other, noon(), hash), None);
        assert_eq!(Session::open(&sealed, &key, noon(), |_| Some("new".to_owned())), None, "another password");
        assert_eq!(Session::open(&sealed, &key, noon(), |_| None), None, "no such user any more");
        assert_ne!(session.id, Session::new("ada", noon()).id);
    }

    #[test]
    fn a_forged_session_does_not_open() {
        let key = SigningKey::random().unwrap();
        let session = Session::new("ada", noon());
        let sealed = session.seal(&key, "hash");
        let (text, signature) = sealed.split_once('.').unwrap();
        let longer = Session { expires: session.expires + TimeDelta::days(300), ..session.clone() };
        let eve = Session { user: "eve".to_owned(), ..session };
        for forged in [
            String::new(),
            ".".to_owned(),
            text.to_owned(),
            format!("{text}."),
            format!(".{signature}"),
            format!("{signature}.{text}"),
            format!("{}.{signature}", longer.seal(&key, "x").split_once('.').unwrap().0),
            format!("{}.{signature}", eve.seal(&key, "x").split_once('.').unwrap().0),
            format!("{}.{signature}", BASE64.encode("a b c")),
            format!("{}.{signature}", BASE64.encode([0xff, 0xfe])),
        ] {
            let opened = Session::open(&forged, &key, noon(), |_| Some("hash".to_owned()));
            assert_eq!(opened, None, "{forged}");
        }
    }
}
