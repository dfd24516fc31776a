//! Logging in: new connections, with the credentials that the configuration has now where the known ones do not open one
//! any more. A password is changed in the server and in `database.url_file` or a credential of the service manager, while
//! the daemon or a long command runs.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use diesel::connection::Connection;
use diesel::r2d2::{Error, ManageConnection, R2D2Connection};
use diesel::{ConnectionError, ConnectionResult};

use crate::db::url::DatabaseUrl;

/// Reads the database's URL from wherever the configuration has it; `None` where it cannot be read.
pub type ReadUrl = Arc<dyn Fn() -> Option<DatabaseUrl> + Send + Sync>;

/// How to log in to a database.
pub(super) struct DatabaseLogin {
    /// The last URL that opened a connection, at first the configured one.
    url: Mutex<DatabaseUrl>,
    read: Option<ReadUrl>,
}

impl DatabaseLogin {
    pub(super) fn new(url: DatabaseUrl) -> Self {
        Self { url: Mutex::new(url), read: None }
    }

    /// With what reads the URL anew.
    pub(super) fn reading(self, read: ReadUrl) -> Self {
        Self { read: Some(read), ..self }
    }

    /// The last URL that opened a connection, at first the configured one.
    pub(super) fn url(&self) -> DatabaseUrl {
        self.url.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Opens a connection. Where that fails, for whatever reason (libpq tells no SQLSTATE, and its words may be of any
    /// language), and the configuration has other credentials for the same database by now, those are tried at once.
    /// Errors hold no secret.
    pub(super) fn establish<C: Connection>(&self) -> ConnectionResult<C> {
        let known = self.url();
        let error = match C::establish(&known.for_driver()) {
            Ok(conn) => return Ok(conn),
            Err(error) => masked(error, &known),
        };
        let newer = self.read.as_ref().and_then(|read| read());
        let Some(newer) = newer.filter(|newer| *newer != known && newer.same_place(&known)) else { return Err(error) };
        let conn = C::establish(&newer.for_driver()).map_err(|error| masked(error, &newer))?;
        let mut url = self.url.lock().unwrap_or_else(PoisonError::into_inner);
        if *url != newer {
            log::info!("database.url has new credentials: new connections use them");
            *url = newer;
        }
        Ok(conn)
    }
}

fn masked(error: ConnectionError, url: &DatabaseUrl) -> ConnectionError {
    match error {
        ConnectionError::BadConnection(message) => ConnectionError::BadConnection(url.mask(&message)),
        other => other,
    }
}

/// The pool's way to make connections.
pub struct Sessions<C> {
    login: Arc<DatabaseLogin>,
    of: PhantomData<fn() -> C>,
}

impl<C> Sessions<C> {
    pub(super) fn new(login: Arc<DatabaseLogin>) -> Self {
        Self { login, of: PhantomData }
    }
}

impl<C> fmt::Debug for Sessions<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sessions<{}>", self.login.url())
    }
}

impl<C: R2D2Connection + Send + 'static> ManageConnection for Sessions<C> {
    type Connection = C;
    type Error = Error;

    fn connect(&self) -> Result<C, Error> {
        self.login.establish().map_err(Error::ConnectionError)
    }

    fn is_valid(&self, conn: &mut C) -> Result<(), Error> {
        // Diesel's own question is a prepared statement. Where a pooler shares sessions it may meet one of that name in
        // another's session, before anybody could tell that there is such a pooler.
        conn.batch_execute("select 1").map_err(Error::QueryError)
    }

    fn has_broken(&self, conn: &mut C) -> bool {
        std::thread::panicking() || conn.is_broken()
    }
}
