//! `cancel`: ends loads under way, in whichever process they run.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::cli::activity::{self, Begun, Entries};
use crate::cli::app::{App, days_of};
use crate::cli::args::Skip;
use crate::cli::failure::Failure;
use crate::cli::loads;
use crate::dataset::DatasetName;
use crate::day::Day;
use crate::db::cancellation::{self, CancelRequest};
use crate::db::pool::Conn;
use crate::exit_code::ExitCode;
use crate::state::State;
use crate::wording::counted;

/// How long the process that loads has to answer.
const ANSWER: Duration = Duration::from_secs(30);

/// How often it is asked whether it has.
const ASK_EVERY: Duration = Duration::from_millis(200);

pub(super) fn cancel(app: &App, args: &Skip) -> Result<ExitCode, Failure> {
    let dataset = app.one_dataset(args.days.dataset.as_deref())?;
    let (_, mut conn) = loads::ready(app, 1)?;
    let mut code = ExitCode::Success;
    let name = &dataset.name;
    let (who, reason) = (activity::who(), args.reason.as_deref());
    let entries = Entries { action: "cancel", dataset: name, ranges: &args.days.days, reason };
    let deeds = entries.deeds(&who);
    // All are asked before any is waited for.
    let (begun, asked) = cancellation::ask_all(&mut conn, &deeds, name, &days_of(&args.days.days)?)?;
    let begun: Begun = begun.into_iter().zip(&deeds).map(|(id, deed)| (id, name.clone(), deed.days)).collect();
    let until = Instant::now() + ANSWER;
    let mut ended = Vec::new();
    for (day, asked) in asked {
        let (cancelled, text) = outcome(&mut conn, name, day, asked, until)?;
        super::print(&format!("{name} {day}: {text}\n"))?;
        if !cancelled {
            code = ExitCode::Failed;
        }
        ended.push((day, cancelled));
    }
    activity::end(app, &begun, &|_, range| {
        let of_it = || ended.iter().filter(|(day, _)| range.is_none_or(|range| range.from <= *day && *day <= range.to));
        let (done, all) = (of_it().filter(|(_, cancelled)| *cancelled).count(), of_it().count());
        format!("done: {done} of {}", counted(all, "day"))
    });
    Ok(code)
}

/// Whether the load was cancelled, and what there is to say.
fn outcome(
    conn: &mut Conn,
    name: &DatasetName,
    day: Day,
    asked: CancelRequest,
    until: Instant,
) -> Result<(bool, String), Failure> {
    let claim = match asked {
        CancelRequest::NotRunning(state) => {
            return Ok((false, format!("not running (it is {})", state.map_or("missing", State::name))));
        }
        CancelRequest::Gone => {
            return Ok((false, "not running: its process is gone, the next catch-up takes the day over".to_owned()));
        }
        CancelRequest::Noted { claim, .. } => claim,
    };
    loop {
        if let Some(ended) = cancellation::ended(conn, &claim)? {
            let cancelled = ended == "interrupted";
            let text = if cancelled { "cancelled".to_owned() } else { format!("not cancelled, it has ended: {ended}") };
            return Ok((cancelled, text));
        }
        if Instant::now() >= until {
            let advice = format!("`dayfill status {day} --dataset {name}` tells when its load has ended");
            return Ok((false, format!("asked for; its process has not answered within 30 s: {advice}")));
        }
        sleep(ASK_EVERY);
    }
}
