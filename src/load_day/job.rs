//! A dataset made ready.

use crate::dataset::Dataset;
use crate::definition;
use crate::source::Source;

/// A dataset, ready to be loaded.
pub struct Job {
    /// The dataset.
    pub dataset: Dataset,
    /// Its source.
    pub source: Source,
    /// The hash of its definition.
    pub definition_hash: String,
}

impl Job {
    /// A dataset with its source.
    #[must_use]
    pub fn new(dataset: Dataset, source: Source) -> Self {
        Self { definition_hash: definition::hash(&dataset), dataset, source }
    }
}
