//! What a request names: a dataset and a day in its path, and parameters. What is wrong is told with name and value.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::StatusCode;
use axum::http::request::Parts;

use crate::daemon::DatasetSnapshot;
use crate::day::Day;
use crate::web::Site;
pub(super) use crate::web::parameters::{Parameters, parameter};
use crate::web::problem::Problem;
use crate::wording::quoted;

/// The dataset that the path names.
#[derive(utoipa::IntoParams)]
#[into_params(names("name"), parameter_in = Path)]
pub(super) struct DatasetInPath(
    /// The dataset.
    #[param(value_type = String, pattern = "^[A-Za-z0-9_-]+$", max_length = 100)]
    pub(super) DatasetSnapshot,
);

impl FromRequestParts<Arc<Site>> for DatasetInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Problem> {
        site.dataset(&in_path(parts, site, "name").await?).map(Self)
    }
}

/// The day that the path names.
#[derive(utoipa::IntoParams)]
#[into_params(names("day"), parameter_in = Path)]
pub(super) struct DayInPath(
    /// The day, YYYY-MM-DD.
    #[param(value_type = String, format = Date)]
    pub(super) Day,
);

impl FromRequestParts<Arc<Site>> for DayInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Problem> {
        let text = in_path(parts, site, "day").await?;
        text.parse().map(Self).map_err(|_| no_such_day(format!("{} is not a day (YYYY-MM-DD)", quoted(&text))))
    }
}

/// 404: there is no such day.
pub(super) fn no_such_day(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no-such-day", detail)
}

async fn in_path(parts: &mut Parts, site: &Arc<Site>, name: &str) -> Result<String, Problem> {
    let all = RawPathParams::from_request_parts(parts, site).await.map_err(|_| Problem::not_found())?;
    all.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).ok_or_else(Problem::not_found)
}

/// A parameter's value, or what is wrong with it.
pub(super) fn value<T: FromStr>(name: &str, text: Option<&str>, what: impl Display) -> Result<Option<T>, Problem> {
    let wrong = |text: &str| parameter(format!("{name}: {} is not {what}", quoted(text)));
    text.map(|text| text.parse().map_err(|_| wrong(text))).transpose()
}

/// A day.
pub(super) fn day(name: &str, text: Option<&str>) -> Result<Option<Day>, Problem> {
    value(name, text, "a day (YYYY-MM-DD)")
}

/// How many are wanted on a page, at most.
pub(super) fn limit(text: Option<&str>, usual: u32, most: u32) -> Result<u32, Problem> {
    let what = format!("a number from 1 to {most}");
    let limit: u32 = value("limit", text, &what)?.unwrap_or(usual);
    if (1..=most).contains(&limit) { Ok(limit) } else { Err(parameter(format!("limit: {limit} is not {what}"))) }
}
