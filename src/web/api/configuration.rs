//! `/api/v1/configuration`: what the daemon was told, and what it did not take.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::daemon::BrokenDataset;
use crate::web::Site;

/// The configuration in force, secrets masked.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ActiveConfiguration {
    /// Where the database is.
    database: String,
    /// Every key of the main file, such as `catch_up.concurrency`, and those that datasets' files give, such as
    /// `datasets/orders.toml schedule.start`, with its value as it may be shown.
    keys: BTreeMap<String, String>,
    /// Where each of these keys was set: a file, the name of an environment variable, or `default`.
    origins: BTreeMap<String, String>,
    /// What is wrong with the configuration that was refused last, a line per problem; null when the last one was
    /// taken.
    refused_config: Option<String>,
    /// The datasets that cannot be used as their files have them. The others are in force.
    broken_datasets: Vec<BrokenDatasetBody>,
}

/// A dataset whose file is wrong, or does not fit the database.
#[derive(Serialize, utoipa::ToSchema)]
struct BrokenDatasetBody {
    /// Its name; the file's, without its ending, where that is no name.
    dataset: String,
    /// Everything that is wrong, one text each.
    problems: Vec<String>,
    /// True where an older definition of it is in force; false where it is left out.
    older_in_force: bool,
}

/// The configuration in force, and what is wrong with the one that was refused last.
#[utoipa::path(
    get,
    path = "/api/v1/configuration",
    operation_id = "show_configuration",
    tag = "daemon",
    responses((status = OK, body = ActiveConfiguration))
)]
pub(super) async fn show(State(site): State<Arc<Site>>) -> Json<ActiveConfiguration> {
    let shown = site.daemon().status();
    Json(ActiveConfiguration {
        database: shown.database.clone(),
        keys: shown.keys.iter().map(|(key, given)| (key.clone(), given.shown.clone())).collect(),
        origins: shown.keys.iter().map(|(key, given)| (key.clone(), given.origin.clone())).collect(),
        refused_config: shown.refused.clone(),
        broken_datasets: shown.broken.iter().map(broken).collect(),
    })
}

fn broken(broken: &BrokenDataset) -> BrokenDatasetBody {
    let BrokenDataset { name, problems, older_in_force } = broken.clone();
    BrokenDatasetBody { dataset: name, problems, older_in_force }
}
