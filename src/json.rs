//! How the documented JSON writes what is read: times in UTC as RFC 3339 with milliseconds, states by name.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize as _, Serializer};

use crate::state::State;

/// An instant as all fields and texts of the status have it.
#[must_use]
pub fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// For fields of an instant.
pub fn time<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&instant(*at))
}

/// For fields of an instant that may be null.
pub fn time_or_null<S: Serializer>(at: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(instant).serialize(serializer)
}

/// For fields of a day's state.
pub fn state<S: Serializer>(state: &Option<State>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(State::name_or_missing(*state))
}
