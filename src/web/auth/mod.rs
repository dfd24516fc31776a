//! Who may come in: users with passwords and programs with tokens, from one file; sessions; and how often one may try.
//!
//! Without a users file there is nobody to be told apart. Then only this machine may come in, which `guard` sees to,
//! and whoever does is an operator.

mod cookie;
mod ended_sessions;
mod error;
mod identity;
mod key;
mod password;
mod private;
mod session;
mod store;
mod throttle;
mod token;
mod users;
pub mod users_file;

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use tokio::sync::Semaphore;

pub(in crate::web) use self::cookie::CookieJar;
use self::ended_sessions::EndedSessions;
pub use self::error::AuthError;
pub use self::identity::{AuthMethod, Identity, Role};
use self::key::SigningKey;
use self::session::{HOURS, Session};
use self::store::Store;
use self::throttle::Throttle;
pub use self::users::{Token, User, Users, is_name};
use super::problem::Problem;
use crate::cron::Clocks;

/// So many passwords are hashed at once: each takes a core and 19 MiB for a while.
const AT_ONCE: usize = 2;

/// Reads the clocks; tests have their own.
pub type Clock = Arc<dyn Fn() -> Clocks + Send + Sync>;

/// The users, their sessions, and what they failed at.
pub struct Auth {
    store: Option<Store>,
    key: SigningKey,
    clock: Clock,
    throttle: Mutex<Throttle>,
    ended: EndedSessions,
    hashing: Arc<Semaphore>,
}

/// Why somebody was not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::web) enum LoginFailure {
    /// Name and password do not go together.
    Wrong,
    /// Too many have failed from there; how long there is to wait.
    TooMany(Duration),
    /// The users file cannot be read just now.
    NoUsers,
    /// The password could not be hashed.
    Unavailable,
}

/// Why the connection has no peer address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::web) enum CredentialError {
    /// A token was presented that there is not.
    Token,
    /// The users file cannot be read just now, so that nobody can be told from anybody.
    NoUsers,
}

/// 503: the users file cannot be read just now. It is the daemon's trouble, and no fault of who asks.
pub(in crate::web) fn users_unavailable() -> Problem {
    Problem::unavailable("users", "login unavailable: dayfill cannot read the users file; its log says why")
}

impl Auth {
    /// Reads the users file and what stands beside it; the key is made if it is not there. Without a file there are no
    /// users.
    ///
    /// # Errors
    /// When one of them cannot be read, is wrong, or may be read by every user of the machine.
    pub fn open(users: Option<&Path>) -> Result<Self, AuthError> {
        Self::open_at(users, Arc::new(Clocks::read))
    }

    /// The same by another clock.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_at(users: Option<&Path>, clock: Clock) -> Result<Self, AuthError> {
        Ok(Self {
            store: users.map(Store::open).transpose()?,
            key: users.map_or_else(SigningKey::random, SigningKey::beside)?,
            clock,
            throttle: Mutex::default(),
            ended: users.map_or_else(|| Ok(EndedSessions::default()), EndedSessions::beside)?,
            hashing: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    /// True when there are users to be told apart.
    #[must_use]
    pub fn has_users(&self) -> bool {
        self.store.is_some()
    }

    /// Who sent these headers: a token comes before a session. Where there are no users, whoever it is.
    pub(in crate::web) fn who(&self, jar: CookieJar, headers: &HeaderMap) -> Result<Option<Identity>, CredentialError> {
        let Some(store) = &self.store else { return Ok(Some(Identity::local())) };
        let users = store.users().ok_or(CredentialError::NoUsers)?;
        if let Some(token) = bearer(headers) {
            let token = users.token(token).ok_or(CredentialError::Token)?;
            return Ok(Some(Identity { name: token.name.clone(), role: token.scope, how: AuthMethod::Token }));
        }
        let now = (self.clock)().wall;
        let hash_of = |name: &str| users.user(name).map(|user| user.password.clone());
        let mut sessions = jar.values(headers).filter_map(|value| {
            let session = Session::open(value, &self.key, now, hash_of)?;
            let user = users.user(&session.user)?;
            (!self.ended.has(&session.id)).then(|| Identity {
                name: user.name.clone(),
                role: user.role,
                how: AuthMethod::Session(session.id),
            })
        });
        Ok(sessions.next())
    }

    /// Lets a user in who knows the password; gives the value of the session's cookie and how many seconds it lasts.
    pub(in crate::web) async fn login(
        &self,
        client: IpAddr,
        name: &str,
        password: String,
    ) -> Result<(String, i64), LoginFailure> {
        let users = self.store.as_ref().and_then(Store::users).ok_or(LoginFailure::NoUsers)?;
        let now = (self.clock)();
        self.throttle().begin(client, now.monotonic).map_err(LoginFailure::TooMany)?;
        let hash = users.user(name).map(|user| user.password.clone());
        let permit = Arc::clone(&self.hashing).acquire_owned().await.map_err(|_| LoginFailure::Unavailable)?;
        let given = hash.clone();
        // The permit goes with the work, which goes on when nobody waits for it any more.
        let verifying = tokio::task::spawn_blocking(move || {
            let right = password::verify(&password, given.as_deref());
            drop(permit);
            right
        });
        match (verifying.await, hash) {
            (Ok(true), Some(hash)) => {
                self.throttle().succeeded(client, now.monotonic);
                log::info!("{name} logged in from {client}");
                Ok((Session::new(name, now.wall).seal(&self.key, &hash), HOURS * 3600))
            }
            (Ok(_), hash) => {
                // A name that is not known may be a password in the wrong field.
                let name = hash.map(|_| format!(" as {name}")).unwrap_or_default();
                let spent = if self.throttle().is_spent(client) { "; further ones are blocked for now" } else { "" };
                log::warn!("a login from {client}{name} failed{spent}");
                Err(LoginFailure::Wrong)
            }
            (Err(_), _) => Err(LoginFailure::Unavailable),
        }
    }

    /// Ends a session before its time. Waits for the disk.
    pub(in crate::web) fn end(&self, session: &str) {
        self.ended.add(session, (self.clock)().wall);
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The token in the header `Authorization`. Other schemes are a proxy's own and are passed over.
pub(in crate::web) fn bearer(headers: &HeaderMap) -> Option<&str> {
    // What is no text is no token either, and is refused as one.
    let text = headers.get(AUTHORIZATION)?.to_str().unwrap_or("bearer");
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn passwords_are_hashed_elsewhere_and_two_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let users = folder.path().join("users.toml");
        users_file::put_user(&users, "ada", Role::Reader, "correct horse").unwrap();
        let auth = Auth::open(Some(&users)).unwrap();
        let client = IpAddr::from([127, 0, 0, 1]);
        let login = || Box::pin(auth.login(client, "ada", "correct horse".to_owned()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut all = [login(), login(), login()];
            // Nobody waits for a hash on this thread, ...
            for login in &mut all {
                assert!(login.now_or_never().is_none());
            }
            // ... and the third one has not begun.
            assert_eq!(auth.hashing.available_permits(), 0);
            for login in all {
                assert!(login.await.is_ok());
            }
            assert_eq!(auth.hashing.available_permits(), 2);
        });
    }
}
