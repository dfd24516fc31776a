//! Every metric by name, with what it means.

use std::fmt::Display;

use chrono::{DateTime, Utc};

use super::Inner;
use super::counted::{Counted, OUTCOMES, STEPS};
use super::standing::{Days, Seen, Standing};
use super::text::{Kind, Seconds, Text};
use crate::state::State;

/// Everything, as text.
pub(super) fn write(counted: &Inner, seen: &Seen<'_>) -> String {
    let mut text = Text::default();
    days(&mut text, seen.datasets);
    ticks(&mut text, seen);
    attempts(&mut text, counted);
    rows_and_bytes(&mut text, counted);
    troubles(&mut text, counted, seen);
    daemon(&mut text, counted, seen);
    process(&mut text, seen);
    text.end()
}

fn days(text: &mut Text, datasets: &[Standing]) {
    let known = || datasets.iter().filter_map(|it| Some((it.dataset.as_str(), it.days.as_ref()?)));
    let mut states = text.metric(Kind::Gauge, "dayfill_day_states", "Days in each state of the state table.");
    for (dataset, days) in known() {
        for state in State::ALL {
            let count = days.states.get(&state).copied().unwrap_or_default();
            states.sample(&[("dataset", dataset), ("state", state.name())], count);
        }
    }
    let mut gauge = |name, help, value: fn(&Days) -> Option<u64>| {
        let mut samples = text.metric(Kind::Gauge, name, help);
        for (dataset, value) in known().filter_map(|(dataset, days)| Some((dataset, value(days)?))) {
            samples.sample(&[("dataset", dataset)], value);
        }
    };
    gauge("dayfill_day_missing", "Days that are wanted and have no row in the state table.", |days| Some(days.missing));
    gauge("dayfill_day_failed_for_good", "Failed days that have no attempts left.", |days| Some(days.failed_for_good));
    gauge("dayfill_day_lag", "Days from the newest one that is in the target to the newest wanted one.", |days| {
        days.lag
    });
    gauge("dayfill_day_newer_file", "Loaded days of which the source has a newer file.", |days| Some(days.newer_files));
    gauge("dayfill_day_late", "Wanted days that are past their deadline and not done.", |days| Some(days.late));
}

/// A gauge of each dataset that has one.
fn of_datasets<T: Display>(
    text: &mut Text,
    name: &'static str,
    help: &str,
    datasets: &[Standing],
    value: impl Fn(&Standing) -> Option<T>,
) {
    let mut samples = text.metric(Kind::Gauge, name, help);
    for it in datasets {
        if let Some(value) = value(it) {
            samples.sample(&[("dataset", it.dataset.as_str())], value);
        }
    }
}

fn ticks(text: &mut Text, seen: &Seen<'_>) {
    let (datasets, now) = (seen.datasets, seen.now);
    let help = "Seconds until the next tick; less than 0 where it is past and was not taken.";
    of_datasets(text, "dayfill_next_tick_seconds", help, datasets, |it| {
        Some(Seconds((it.next_tick? - now).num_milliseconds()))
    });
    let help = "When the last tick was taken, since the process started.";
    of_datasets(text, "dayfill_last_tick_timestamp_seconds", help, datasets, |it| it.last_tick.map(timestamp));
    let help = "1 where the dataset is paused.";
    of_datasets(text, "dayfill_dataset_paused", help, datasets, |it| Some(u8::from(it.paused)));
    let help = "1 where something else than its days keeps the dataset from being loaded.";
    of_datasets(text, "dayfill_dataset_troubled", help, datasets, |it| Some(u8::from(it.troubled)));
}

fn attempts(text: &mut Text, counted: &Inner) {
    let mut attempts = text.metric(Kind::Counter, "dayfill_attempts_total", "Attempts at loading a day that ended.");
    for (dataset, counted) in &counted.datasets {
        for (outcome, count) in OUTCOMES.iter().zip(counted.attempts) {
            attempts.sample(&[("dataset", dataset.as_str()), ("outcome", outcome)], count);
        }
    }
    let help = "How long the steps of attempts took.";
    let mut durations = text.metric(Kind::Histogram, "dayfill_step_duration_seconds", help);
    for (dataset, counted) in &counted.datasets {
        for (step, duration) in STEPS.iter().zip(&counted.durations) {
            let labels = [("dataset", dataset.as_str()), ("step", step.name())];
            let [of, at] = labels;
            for (end, count) in duration.at_most() {
                durations.part("_bucket", &[of, at, ("le", end)], count);
            }
            durations.part("_bucket", &[of, at, ("le", "+Inf")], duration.count);
            durations.part("_sum", &labels, Seconds(i64::try_from(duration.sum).unwrap_or(i64::MAX)));
            durations.part("_count", &labels, duration.count);
        }
    }
}

/// A counter of each dataset.
fn count(text: &mut Text, counted: &Inner, name: &'static str, help: &str, count: fn(&Counted) -> u64) {
    let mut samples = text.metric(Kind::Counter, name, help);
    for (dataset, counted) in &counted.datasets {
        samples.sample(&[("dataset", dataset.as_str())], count(counted));
    }
}

fn rows_and_bytes(text: &mut Text, counted: &Inner) {
    let mut count = |name, help, value| count(text, counted, name, help, value);
    count("dayfill_rows_read_total", "Rows read from files.", |it| it.rows_read);
    count("dayfill_rows_filtered_total", "Rows of loaded days that the filter left out.", |it| it.rows_filtered);
    count("dayfill_rows_rejected_total", "Rows that could not be taken, each counted as its lines.", |it| {
        it.rows_rejected
    });
    count("dayfill_rows_loaded_total", "Rows of loaded days that passed the filter.", |it| it.rows_loaded);
    count("dayfill_source_read_bytes_total", "Bytes read from files, as stored.", |it| it.bytes);
}

fn troubles(text: &mut Text, counted: &Inner, seen: &Seen<'_>) {
    let mut of_each = |name, help, value| count(text, counted, name, help, value);
    let help = "Attempts that failed because their file could not be opened or read to its end.";
    of_each("dayfill_source_errors_total", help, |it| it.source_errors);
    let help = "Days that another process took over while this one was at work on them.";
    of_each("dayfill_claims_lost_total", help, |it| it.ended("lost"));
    let help = "Days that this process took over from one that died or stalled.";
    of_each("dayfill_takeovers_total", help, |it| it.takeovers);
    let help = "How often something else than its days held the dataset up.";
    of_each("dayfill_dataset_troubles_total", help, |it| it.troubles);
    let help = "Errors of the database, those of reaching it among them.";
    text.metric(Kind::Counter, "dayfill_database_errors_total", help).sample(&[], counted.database_errors);
    let help = "1 where the database answered when it was asked last.";
    let up = counted.database_up && !seen.database_silent;
    text.metric(Kind::Gauge, "dayfill_database_up", help).sample(&[], u8::from(up));
    let mut workers =
        text.metric(Kind::Gauge, "dayfill_workers", "Processes that are alive, as the database knows them.");
    if let Some(ages) = seen.workers {
        workers.sample(&[], ages.len());
    }
    let help = "How long ago the worker that is silent for longest gave a sign of life.";
    let mut age = text.metric(Kind::Gauge, "dayfill_worker_heartbeat_age_seconds", help);
    if let Some(oldest) = seen.workers.and_then(|ages| ages.iter().max()) {
        age.sample(&[], Seconds(i64::try_from(oldest.as_millis()).unwrap_or(i64::MAX)));
    }
}

fn daemon(text: &mut Text, counted: &Inner, seen: &Seen<'_>) {
    let help = "When the loop of the daemon turned last; it does so every 15 seconds at least.";
    let mut turned = text.metric(Kind::Gauge, "dayfill_loop_turned_timestamp_seconds", help);
    if let Some(at) = counted.turned {
        turned.sample(&[], timestamp(at.min(seen.now)));
    }
    let help = "1 where the configuration that was read last was refused and the one from before is in force.";
    let refused = u8::from(seen.configuration_refused);
    text.metric(Kind::Gauge, "dayfill_configuration_refused", help).sample(&[], refused);
    let help = "Datasets that are left out, or kept as they were, since their files are wrong.";
    text.metric(Kind::Gauge, "dayfill_broken_datasets", help).sample(&[], seen.broken_datasets);
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    text.metric(Kind::Info, "dayfill_build_info", "What was built.").sample(&version, 1);
}

fn process(text: &mut Text, seen: &Seen<'_>) {
    let process = seen.process;
    let mut one = |kind, name, help, value: Option<String>| {
        let mut samples = text.metric(kind, name, help);
        if let Some(value) = value {
            samples.sample(&[], value);
        }
    };
    let cpu = process.cpu_ms.map(|ms| Seconds(ms).to_string());
    one(Kind::Counter, "process_cpu_seconds_total", "CPU time used, for itself and in the kernel.", cpu);
    let resident = process.resident_bytes.map(|bytes| bytes.to_string());
    one(Kind::Gauge, "process_resident_memory_bytes", "Memory that is in RAM.", resident);
    let open = process.open_fds.map(|open| open.to_string());
    one(Kind::Gauge, "process_open_fds", "Files and sockets that are open.", open);
    one(Kind::Gauge, "process_threads", "Threads.", process.threads.map(|threads| threads.to_string()));
    let started = process.started.map(|at| timestamp(at).to_string());
    one(Kind::Gauge, "process_start_time_seconds", "When the process started.", started);
}

fn timestamp(at: DateTime<Utc>) -> Seconds {
    Seconds(at.timestamp_millis())
}
