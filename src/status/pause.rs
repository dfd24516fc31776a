//! A pause of a dataset, as it is told.

use chrono::{DateTime, Utc};

use crate::db::paused::Paused;
use crate::json;

/// A pause: since when, by whom and why a dataset's days are not begun by the daemons themselves.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct Pause {
    /// Since when.
    #[serde(serialize_with = "json::time")]
    #[schema(value_type = String, format = DateTime)]
    pub at: DateTime<Utc>,
    /// Who paused it.
    pub who: String,
    /// Why; null where that was not said.
    pub reason: Option<String>,
}

impl From<&Paused> for Pause {
    fn from(paused: &Paused) -> Self {
        Self { at: paused.at.and_utc(), who: paused.who.clone(), reason: paused.reason.clone() }
    }
}
