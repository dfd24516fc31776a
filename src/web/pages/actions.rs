//! What is asked for with a form: what it would do first, then doing it.

use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::response::{Html, Response};
use serde::Deserialize;

use super::{PageRequest, PagesState, frame};
use crate::day::DayRange;
use crate::db::error::DbError;
use crate::db::target;
use crate::state;
use crate::web::actions::{self, Action, ActionOrder, InvalidOrder};
use crate::web::guard::see_other;
use crate::web::parameters::{Parameters, PathParameter};
use crate::web::problem::Problem;
use crate::web::view;
use crate::web::view::model::DryRun;

/// The fields of the forms. Empty ones are as good as none.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ActionForm {
    action: String,
    from: String,
    to: String,
    reason: String,
    /// Anything: days that the schedule does not reach are meant.
    allow_outside: String,
}

impl ActionForm {
    fn order(&self) -> Result<ActionOrder, Problem> {
        let some = |text: &'_ str| if text.trim().is_empty() { None } else { Some(text.trim().to_owned()) };
        let (from, to) = (some(&self.from), some(&self.to));
        let takes_days = Action::by_name(&self.action).is_none_or(Action::takes_days);
        let (from, to) = if takes_days { (from.as_deref().or(to.as_deref()), to.as_deref()) } else { (None, None) };
        let order = ActionOrder::new(&self.action, from, to, some(&self.reason).as_deref())
            .map_err(|wrong: InvalidOrder| Problem::bad_request(wrong.to_string()))?;
        Ok(ActionOrder { allow_outside: some(&self.allow_outside).is_some(), ..order })
    }
}

pub(super) async fn dry_run(
    State(pages): PagesState,
    asking: PageRequest,
    PathParameter(name): PathParameter<String>,
    Parameters(fields): Parameters<ActionForm>,
) -> Result<Html<String>, Problem> {
    let shown = pages.site.dataset(&name)?;
    let order = fields.order()?;
    let (job, daemon, asked) = (Arc::clone(&shown.job), Arc::clone(pages.site.daemon()), order.clone());
    let read = pages.site.read(move |conn| {
        let effects = actions::preview(&daemon, conn, &job.dataset, &asked)?;
        let reloads =
            effects.iter().any(|effect| effect.state == Some(state::State::Loaded) && effect.becomes.is_some());
        let notes = if reloads { target::reload_notes(conn, &job.dataset)? } else { Vec::new() };
        Ok::<_, DbError>((effects, notes))
    });
    let (effects, notes) = read.await?;
    let outside = actions::outside(&shown.job.dataset, &effects);
    let model = DryRun {
        dataset: name,
        action: order.action,
        range: order.days,
        notes,
        outside: (!outside.is_empty()).then(|| (outside.days(), outside.to_string())),
        days: effects,
        allowed: asking.may_change(),
    };
    Ok(Html(view::dry_run(&pages.frame(&asking), &model)))
}

pub(super) async fn act(
    State(pages): PagesState,
    asking: PageRequest,
    PathParameter(name): PathParameter<String>,
    form: Result<Form<ActionForm>, FormRejection>,
) -> Result<Response, Problem> {
    let Form(fields) = form.map_err(|error| Problem::bad_request(error.to_string()))?;
    let shown = pages.site.dataset(&name)?;
    let order = fields.order()?;
    let who = asking.who.map(|who| who.name).unwrap_or_default();
    let job = Arc::clone(&shown.job);
    let actions::ActionResult { entry, effects } = actions::submit(&pages.site, job, who, order.clone()).await?;
    let done = effects.iter().filter(|effect| effect.is_done()).count();
    let place = match order.days {
        Some(DayRange { from, to }) if from == to => pages.links.day(&name, from),
        _ => pages.links.dataset(&name),
    };
    // A day that was forgotten and is not wanted has no page any more.
    let place = if order.action == Action::Forget { pages.links.dataset(&name) } else { place };
    Ok(see_other(&format!("{place}?{}", frame::asked(order.action, done, entry))))
}
