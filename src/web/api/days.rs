//! `/api/v1/datasets/{name}/days`: days of a dataset, a page at a time.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chrono::Utc;
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::parameters::{DatasetInPath, Parameters, day, limit, parameter};
use crate::cron;
use crate::day::{Day, DayRange};
use crate::state::{MISSING, State as DayState};
use crate::status::{self, DayStatus, Selection};
use crate::web::Site;
use crate::web::problem::Problem;
use crate::wording::quoted;

/// How many days a page has unless it is said, and at most: ten years and some.
const USUAL: u32 = 100;
const MOST: u32 = 4000;

/// Which days.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DaysParameters {
    /// From this day on.
    #[param(value_type = Option<String>, format = Date)]
    from: Option<String>,
    /// To this day, that one included.
    #[param(value_type = Option<String>, format = Date)]
    to: Option<String>,
    /// Days in one of these states, with commas: `failed,refused`; `missing` is one, too.
    #[param(value_type = Option<Vec<StateName>>, inline, style = Form, explode = false, min_items = 1)]
    state: Option<String>,
    /// Days after this one: the `next_after` of the page before.
    #[param(value_type = Option<String>, format = Date)]
    after: Option<String>,
    /// How many days at most, 1 to 4000; 100 unless it is said.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 4000)]
    limit: Option<String>,
}

/// A state's name or `missing`, as the document describes it.
struct StateName;

impl PartialSchema for StateName {
    fn schema() -> RefOr<Schema> {
        let names = [MISSING].into_iter().chain(DayState::ALL.map(DayState::name));
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).build().into()
    }
}

impl ToSchema for StateName {}

/// A page of days.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct DayList {
    /// Days that are wanted or have a row, oldest first.
    days: Vec<DayStatus>,
    /// The next page is what comes `after` this day; null when there is no more.
    #[schema(value_type = Option<String>, format = Date)]
    next_after: Option<Day>,
}

impl DaysParameters {
    fn understood(&self) -> Result<Selection, Problem> {
        let from = day("from", self.from.as_deref())?.unwrap_or(Day::MIN);
        let to = day("to", self.to.as_deref())?.unwrap_or(Day::MAX);
        if to < from {
            return Err(parameter(format!("to: {to} is before {from}")));
        }
        let after = day("after", self.after.as_deref())?;
        let limit = limit(self.limit.as_deref(), USUAL, MOST)? as usize;
        let states = self.state.iter().flat_map(|states| states.split(',')).map(state);
        Ok(Selection { range: DayRange { from, to }, states: states.collect::<Result<_, _>>()?, after, limit })
    }
}

/// A state by its name; `None` is missing.
fn state(name: &str) -> Result<Option<DayState>, Problem> {
    if name == MISSING {
        return Ok(None);
    }
    DayState::by_name(name).map(Some).ok_or_else(|| {
        let known = DayState::ALL.map(DayState::name).join(", ");
        parameter(format!("state: {} is none of {MISSING}, {known}", quoted(name)))
    })
}

/// Days of a dataset that are wanted or have a row, oldest first.
#[utoipa::path(
    get,
    path = "/api/v1/datasets/{name}/days",
    operation_id = "list_days",
    tag = "days",
    params(DatasetInPath, DaysParameters),
    responses(
        (status = OK, body = DayList),
        (status = BAD_REQUEST, body = Problem, content_type = "application/problem+json", description = "parameter"),
        (status = NOT_FOUND, body = Problem, content_type = "application/problem+json",
            description = "no-such-dataset"),
        (status = SERVICE_UNAVAILABLE, body = Problem, content_type = "application/problem+json",
            description = "database")
    )
)]
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    DatasetInPath(shown): DatasetInPath,
    Parameters(which): Parameters<DaysParameters>,
) -> Result<Json<DayList>, Problem> {
    let selection = which.understood()?;
    let page = site
        .read(move |conn| {
            let dataset = &shown.job.dataset;
            status::page(conn, dataset, &cron::wanted(dataset, Utc::now()), &selection)
        })
        .await?;
    Ok(Json(DayList { days: page.days, next_after: page.next_after }))
}
