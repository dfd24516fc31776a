//! A pause of a dataset, as it is told.

use super::instant;
use crate::db::paused::Paused;

/// A pause: since when, by whom and why a dataset's days are not begun by the daemons themselves.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct Pause {
    /// Since when.
    #[schema(format = DateTime)]
    pub at: String,
    /// Who paused it.
    pub who: String,
    /// Why; null where that was not said.
    pub reason: Option<String>,
}

impl From<&Paused> for Pause {
    fn from(paused: &Paused) -> Self {
        Self { at: instant(paused.at.and_utc()), who: paused.who.clone(), reason: paused.reason.clone() }
    }
}
