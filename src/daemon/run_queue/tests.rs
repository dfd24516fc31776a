//! The queue under a clock that the tests set.

mod manual;

use std::time::Duration;

use super::*;
use crate::config::{self, Environment};
use crate::dataset::Dataset;
use crate::load_day::Stop;
use crate::source::Source;

/// How many threads may load.
const LOADS: usize = 4;
/// Ticks each hour.
const HOURLY: &str = "0 * * * *";
/// Ticks once a day.
const DAILY: &str = "0 2 * * *";

/// A dataset `orders` with that schedule and further sections.
fn dataset(cron: &str, sections: &str) -> Dataset {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("datasets")).unwrap();
    write("dayfill.toml", "");
    write(
        "datasets/orders.toml",
        &format!(
            r#"{sections}
[source]
url = "days/{{day}}.csv"
[schedule]
cron = "{cron}"
start = 2019-04-01
[target]
table = "orders"
key = ["id"]
[rows]
columns = [{{ name = "id", type = "text" }}]
"#
        ),
    );
    let config = config::load(Some(&folder.path().join("dayfill.toml")), &Environment::default());
    config.unwrap_or_else(|problems| panic!("{problems}")).datasets.remove(0)
}

/// The dataset, ready to be loaded.
fn job(dataset: Dataset) -> Arc<Job> {
    let source = Source::new(&dataset.source, &[]).unwrap();
    Arc::new(Job::new(dataset, source))
}

fn orders() -> DatasetName {
    "orders".parse().unwrap()
}

/// A time on 2019-04-02.
fn at(time: &str) -> DateTime<Utc> {
    format!("2019-04-02T{time}Z").parse().unwrap()
}

/// A queue with one dataset, put there at that time.
fn queue(cron: &str, sections: &str, now: &str) -> RunQueue {
    let mut queue = RunQueue::default();
    queue.put(&job(dataset(cron, sections)), at(now));
    queue
}

/// What begins at a time after the clock was looked at.
fn begun(queue: &mut RunQueue, now: &str) -> Vec<DatasetTask> {
    queue.pass(at(now));
    queue.begin(at(now), LOADS).into_iter().map(|started| started.task).collect()
}

fn look(trigger: Trigger) -> DatasetTask {
    DatasetTask::CatchUp(Some(trigger))
}

fn due(days: &[&str]) -> DatasetTask {
    DatasetTask::Due(days.iter().map(|day| day.parse().unwrap()).collect())
}

#[test]
fn a_tick_asks_for_a_look_when_its_time_has_come_and_not_before() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    assert_eq!(queue.next(), Some(at("01:00:00")));
    assert_eq!(queue.dataset(&orders()).unwrap().next_tick, Some(at("01:00:00")));
    assert_eq!(begun(&mut queue, "00:59:59"), []);
    assert_eq!(begun(&mut queue, "01:00:00"), [look(Trigger::Tick)]);
    assert_eq!(queue.next(), Some(at("02:00:00")));
    assert_eq!(begun(&mut queue, "01:00:00"), [], "it is under way");
}

#[test]
fn when_a_tick_was_taken_is_known() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    queue.pass(at("00:59:59"));
    assert_eq!(queue.dataset(&orders()).unwrap().last_tick, None);
    queue.pass(at("01:00:09"));
    assert_eq!(queue.dataset(&orders()).unwrap().last_tick, Some(at("01:00:09")));
    queue.pass(at("01:30:00"));
    assert_eq!(queue.dataset(&orders()).unwrap().last_tick, Some(at("01:00:09")), "no tick since");
}

#[test]
fn a_clock_set_forward_over_ticks_gives_one_look() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    queue.aim(at("05:30:00"));
    assert_eq!(begun(&mut queue, "05:30:00"), [look(Trigger::Tick)]);
    queue.end(&orders(), &look(Trigger::Tick), TaskEnd::Done);
    assert_eq!(begun(&mut queue, "05:30:01"), []);
    assert_eq!(queue.next(), Some(at("06:00:00")));
}

#[test]
fn a_clock_set_back_brings_the_ticks_back_that_lie_before_the_next_one() {
    let mut queue = queue(HOURLY, "", "12:30:00");
    queue.aim(at("03:30:00"));
    assert_eq!(begun(&mut queue, "03:30:00"), [], "being set back is no tick");
    assert_eq!(queue.next(), Some(at("04:00:00")));
    assert_eq!(begun(&mut queue, "04:00:00"), [look(Trigger::Tick)]);
}

#[test]
fn a_clock_set_back_does_not_make_a_pause_longer() {
    let mut queue = queue(HOURLY, "", "12:30:00");
    assert_eq!(begun(&mut queue, "13:00:00").len(), 1);
    queue.end(&orders(), &look(Trigger::Tick), TaskEnd::Blocked(at("13:00:08")));
    queue.aim(at("03:30:00"));
    assert_eq!(begun(&mut queue, "03:30:00"), [look(Trigger::Tick)]);
}

#[test]
fn a_suspend_over_three_ticks_gives_one_look() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    assert_eq!(begun(&mut queue, "03:10:00"), [look(Trigger::Tick)]);
    queue.end(&orders(), &look(Trigger::Tick), TaskEnd::Done);
    assert_eq!(begun(&mut queue, "03:10:00"), []);
    assert_eq!(queue.next(), Some(at("04:00:00")));
}

#[test]
fn ticks_while_working_give_exactly_one_more_look() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    assert_eq!(begun(&mut queue, "01:00:00").len(), 1);
    for tick in ["02:00:00", "03:00:00", "04:00:00"] {
        assert_eq!(begun(&mut queue, tick), [], "the one before still works");
    }
    queue.end(&orders(), &look(Trigger::Tick), TaskEnd::Done);
    assert_eq!(begun(&mut queue, "04:10:00"), [look(Trigger::Tick)]);
    queue.end(&orders(), &look(Trigger::Tick), TaskEnd::Done);
    assert_eq!(begun(&mut queue, "04:20:00"), []);
}

#[test]
fn a_look_that_found_no_database_is_wanted_again() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    queue.look(&orders(), Some(Trigger::Start));
    assert_eq!(begun(&mut queue, "00:30:00"), [look(Trigger::Start)]);
    queue.end(&orders(), &look(Trigger::Start), TaskEnd::Unreachable);
    assert_eq!(queue.next_try(), None, "when the database is tried again is another's matter");
    assert_eq!(begun(&mut queue, "00:30:00"), [look(Trigger::Start)]);
}

#[test]
fn a_look_in_trouble_is_wanted_again_when_its_pause_is_over() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    assert_eq!(begun(&mut queue, "01:00:00").len(), 1);
    queue.end(&orders(), &look(Trigger::Tick), TaskEnd::Blocked(at("01:00:08")));
    assert_eq!(queue.next_try(), Some(at("01:00:08")));
    assert_eq!(begun(&mut queue, "01:00:07"), []);
    assert_eq!(begun(&mut queue, "01:00:08"), [look(Trigger::Tick)]);
    assert_eq!(queue.next_try(), None);
}

#[test]
fn work_beside_ends_no_pause_that_trouble_began() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    assert_eq!(begun(&mut queue, "01:00:00").len(), 1);
    queue.dataset_mut(&orders()).unwrap().due(vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(begun(&mut queue, "01:00:00"), [due(&["2019-04-01"])]);
    queue.end(&orders(), &look(Trigger::Tick), TaskEnd::Blocked(at("01:05:00")));
    queue.end(&orders(), &due(&["2019-04-01"]), TaskEnd::Done);
    assert_eq!(begun(&mut queue, "01:00:01"), []);
    queue.dataset_mut(&orders()).unwrap().not_before = None;
    assert_eq!(begun(&mut queue, "01:00:01"), [look(Trigger::Tick)]);
}

#[test]
fn what_somebody_asks_for_waits_for_no_pause() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    assert_eq!(begun(&mut queue, "01:00:00").len(), 1);
    queue.end(&orders(), &look(Trigger::Tick), TaskEnd::Blocked(at("01:05:00")));
    assert_eq!(begun(&mut queue, "01:00:10"), []);
    queue.look(&orders(), Some(Trigger::Page));
    assert_eq!(begun(&mut queue, "01:00:10"), [look(Trigger::Tick)]);
}

#[test]
fn due_days_wait_for_the_trouble_of_their_dataset_to_pass() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    queue.look(&orders(), Some(Trigger::Start));
    assert_eq!(begun(&mut queue, "00:30:00").len(), 1);
    queue.end(&orders(), &look(Trigger::Start), TaskEnd::Blocked(at("00:30:05")));
    queue.dataset_mut(&orders()).unwrap().due(vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(begun(&mut queue, "00:30:04"), []);
    assert_eq!(begun(&mut queue, "00:30:05"), [look(Trigger::Start), due(&["2019-04-01"])]);
}

#[test]
fn due_days_that_could_not_be_tried_are_left_to_the_next_look_at_open_days() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    queue.dataset_mut(&orders()).unwrap().due(vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(begun(&mut queue, "00:30:00"), [due(&["2019-04-01"])]);
    queue.end(&orders(), &due(&["2019-04-01"]), TaskEnd::Unreachable);
    assert_eq!(begun(&mut queue, "00:30:01"), []);
    queue.dataset_mut(&orders()).unwrap().due(vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(begun(&mut queue, "00:30:02"), [due(&["2019-04-01"])]);
}

#[test]
fn due_days_begin_while_a_look_is_under_way() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    assert_eq!(begun(&mut queue, "01:00:00"), [look(Trigger::Tick)]);
    queue.dataset_mut(&orders()).unwrap().due(vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(begun(&mut queue, "01:00:01"), [due(&["2019-04-01"])]);
    // And the other way round.
    queue.end(&orders(), &look(Trigger::Tick), TaskEnd::Done);
    assert_eq!(begun(&mut queue, "02:00:00"), [look(Trigger::Tick)]);
}

#[test]
fn days_that_are_due_no_more_are_not_tried() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    queue.dataset_mut(&orders()).unwrap().due(vec!["2019-04-01".parse().unwrap()]);
    queue.dataset_mut(&orders()).unwrap().due(Vec::new());
    assert_eq!(begun(&mut queue, "00:30:00"), []);
}

/// A queue with so many datasets, each of which has its tick at 01:00.
fn many(number: usize, sections: &str) -> RunQueue {
    let one = dataset(HOURLY, sections);
    let mut queue = RunQueue::default();
    for number in 0..number {
        let name = format!("orders_{number:02}").parse().unwrap();
        queue.put(&job(Dataset { name, ..one.clone() }), at("00:30:00"));
    }
    queue.pass(at("01:00:00"));
    queue
}

fn names(started: &[StartedTask]) -> Vec<&str> {
    started.iter().map(|started| started.name.as_str()).collect()
}

#[test]
fn datasets_take_turns_with_the_threads_that_may_load() {
    let mut queue = many(70, "");
    let mut turns = Vec::new();
    for _ in 0..=70 / LOADS {
        let begun = queue.begin(at("01:00:00"), LOADS);
        assert!(begun.len() <= LOADS && queue.begin(at("01:00:00"), LOADS).is_empty());
        turns.extend(names(&begun).into_iter().map(str::to_owned));
        for started in begun {
            queue.end(&started.name, &started.task, TaskEnd::Done);
            // Those that had their turn want another one at once.
            queue.look(&started.name, Some(Trigger::Due));
        }
    }
    let expected: Vec<String> = (0..70).chain(0..2).map(|number| format!("orders_{number:02}")).collect();
    assert_eq!(turns, expected);
}

#[test]
fn late_days_are_found_while_every_thread_that_may_load_is_taken() {
    let mut queue = many(9, "[waiting]\ndeadline = \"01:10\"");
    assert_eq!(queue.begin(at("01:00:00"), LOADS).len(), LOADS);
    queue.pass(at("01:10:00"));
    let begun = queue.begin(at("01:10:00"), LOADS);
    assert!(begun.iter().all(|started| started.task == DatasetTask::FindLate), "{begun:?}");
    assert_eq!(begun.len(), CHECK_THREADS, "and no more than a few at once");
}

#[test]
fn a_dataset_may_use_the_threads_that_nobody_waits_for() {
    let sections = "[catch_up]\nconcurrency = 3";
    let threads = |queue: &mut RunQueue, loads| {
        queue.begin(at("01:00:00"), loads).iter().map(|started| started.threads).collect::<Vec<_>>()
    };
    assert_eq!(threads(&mut many(1, sections), 4), [3]);
    assert_eq!(threads(&mut many(1, sections), 2), [2]);
    assert_eq!(threads(&mut many(2, sections), 4), [2, 2]);
    assert_eq!(threads(&mut many(9, sections), 4), [1, 1, 1, 1]);
    let mut one = queue(HOURLY, sections, "00:30:00");
    one.dataset_mut(&orders()).unwrap().due(vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(threads(&mut one, 4), [1], "no more than it has days");
}

#[test]
fn a_long_task_makes_room_for_others_and_goes_on_when_it_is_its_turn() {
    let mut queue = many(2, "");
    let first = queue.begin(at("01:00:00"), 1).remove(0);
    let [began, ended] = ["2019-04-01", "2019-04-02"].map(|day| day.parse::<Day>().unwrap());
    assert!(first.days.begin(began, &Stop::default()));
    assert_eq!(queue.next_try(), Some(at("01:00:10")), "the loop wakes for it");
    assert!(queue.begin(at("01:00:09"), 1).is_empty() && !first.until.is_halted());
    assert!(queue.begin(at("01:00:10"), 1).is_empty() && first.until.is_halted());
    queue.end(&first.name, &first.task, TaskEnd::Stopped);
    let second = queue.begin(at("01:00:11"), 1).remove(0);
    assert_eq!(second.name.as_str(), "orders_01");
    queue.end(&second.name, &second.task, TaskEnd::Done);
    let again = queue.begin(at("01:00:12"), 1).remove(0);
    let DatasetTask::Resume(Trigger::Tick, days) = &again.task else { panic!("{again:?}") };
    assert_eq!(days.left_of(&[began, ended]), [ended], "a day that began is not begun twice");
    assert!(queue.begin(at("01:30:00"), 1).is_empty() && !again.until.is_halted(), "nobody waits");
}

#[test]
fn as_many_tasks_make_room_as_wait_however_often_the_loop_turns() {
    let mut queue = many(LOADS + 1, "");
    let begun = queue.begin(at("01:00:00"), LOADS);
    for second in 10..20 {
        assert!(queue.begin(at(&format!("01:00:{second}")), LOADS).is_empty());
    }
    assert_eq!(begun.iter().filter(|started| started.until.is_halted()).count(), 1, "one dataset waits");
}

#[test]
fn a_task_with_fewer_threads_than_it_can_use_gets_more_once_they_are_free() {
    let mut queue = many(2, "[catch_up]\nconcurrency = 2");
    let begun = queue.begin(at("01:00:00"), 2);
    assert_eq!(begun.iter().map(|started| started.threads).collect::<Vec<_>>(), [1, 1]);
    queue.end(&begun[0].name, &begun[0].task, TaskEnd::Done);
    assert!(queue.begin(at("01:00:11"), 2).is_empty() && begun[1].until.is_halted());
    queue.end(&begun[1].name, &begun[1].task, TaskEnd::Stopped);
    assert_eq!(queue.begin(at("01:00:12"), 2)[0].threads, 2);
}

#[test]
fn a_dataset_that_changes_while_it_made_room_is_looked_at_anew() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    queue.pass(at("01:00:00"));
    let started = queue.begin(at("01:00:00"), 1).remove(0);
    started.until.halt();
    queue.end(&orders(), &started.task, TaskEnd::Stopped);
    queue.put(&job(dataset(DAILY, "")), at("01:00:01"));
    assert_eq!(begun(&mut queue, "01:00:02"), [look(Trigger::Tick)]);
}

#[test]
fn a_deadline_asks_which_days_are_late() {
    let mut queue = queue(DAILY, "[waiting]\ndeadline = \"07:30\"", "03:00:00");
    assert_eq!(queue.next(), Some(at("07:30:00")));
    assert_eq!(begun(&mut queue, "07:30:00"), [DatasetTask::FindLate]);
    queue.end(&orders(), &DatasetTask::FindLate, TaskEnd::Done);
    assert_eq!(begun(&mut queue, "07:30:01"), [], "once");
    assert_eq!(queue.next(), Some("2019-04-03T02:00:00Z".parse().unwrap()));
}

#[test]
fn a_deadline_does_not_wait_for_a_catch_up_under_way() {
    let mut queue = queue(DAILY, "[waiting]\ndeadline = \"07:30\"", "00:30:00");
    assert_eq!(begun(&mut queue, "02:00:00"), [look(Trigger::Tick)]);
    assert_eq!(begun(&mut queue, "07:30:00"), [DatasetTask::FindLate]);
    // What could not be seen is seen later.
    queue.end(&orders(), &DatasetTask::FindLate, TaskEnd::Unreachable);
    assert_eq!(begun(&mut queue, "07:30:01"), [DatasetTask::FindLate]);
}

#[test]
fn who_looks_without_a_trigger_does_not_take_it_from_a_tick() {
    let mut queue = queue(DAILY, "", "00:30:00");
    assert_eq!(begun(&mut queue, "08:00:00"), [look(Trigger::Tick)]);
    queue.look(&orders(), Some(Trigger::Tick));
    queue.look(&orders(), None);
    queue.end(&orders(), &look(Trigger::Tick), TaskEnd::Done);
    assert_eq!(begun(&mut queue, "08:00:01"), [look(Trigger::Tick)]);
}

#[test]
fn what_a_due_day_held_back_is_looked_for_once_the_day_was_tried() {
    let mut queue = queue(HOURLY, "[catch_up]\nstop_on_failure = true", "00:30:00");
    queue.dataset_mut(&orders()).unwrap().due(vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(begun(&mut queue, "00:30:00").len(), 1);
    queue.end(&orders(), &due(&["2019-04-01"]), TaskEnd::Loaded);
    assert_eq!(begun(&mut queue, "00:30:01"), [look(Trigger::Due)]);
}

#[test]
fn due_days_of_which_nothing_came_are_left_for_a_while_and_others_are_not() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    let first = || vec!["2019-04-01".parse().unwrap()];
    queue.dataset_mut(&orders()).unwrap().due(first());
    assert_eq!(begun(&mut queue, "00:30:00").len(), 1);
    queue.end(&orders(), &due(&["2019-04-01"]), TaskEnd::NoProgress(at("00:30:30")));
    queue.dataset_mut(&orders()).unwrap().due(first());
    assert_eq!(begun(&mut queue, "00:30:29"), []);
    queue.dataset_mut(&orders()).unwrap().due(vec!["2019-04-01".parse().unwrap(), "2019-04-02".parse().unwrap()]);
    assert_eq!(begun(&mut queue, "00:30:29"), [due(&["2019-04-01", "2019-04-02"])]);
    queue.end(&orders(), &due(&["2019-04-01", "2019-04-02"]), TaskEnd::Done);
    queue.dataset_mut(&orders()).unwrap().due(first());
    assert_eq!(begun(&mut queue, "00:30:30"), [due(&["2019-04-01"])]);
}

#[test]
fn a_clock_that_was_set_back_has_due_days_tried_of_which_nothing_came() {
    let mut queue = queue(HOURLY, "", "12:30:00");
    let first = || vec!["2019-04-01".parse().unwrap()];
    queue.dataset_mut(&orders()).unwrap().due(first());
    assert_eq!(begun(&mut queue, "12:30:00").len(), 1);
    queue.end(&orders(), &due(&["2019-04-01"]), TaskEnd::NoProgress(at("12:30:30")));
    queue.aim(at("03:15:00"));
    queue.dataset_mut(&orders()).unwrap().due(first());
    assert_eq!(begun(&mut queue, "03:15:00"), [due(&["2019-04-01"])]);
}

#[test]
fn a_due_day_asks_for_nothing_more_where_it_held_nothing_back() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    queue.dataset_mut(&orders()).unwrap().due(vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(begun(&mut queue, "00:30:00").len(), 1);
    queue.end(&orders(), &due(&["2019-04-01"]), TaskEnd::Loaded);
    assert_eq!(begun(&mut queue, "00:30:01"), []);
}

#[test]
fn a_dataset_that_changes_while_it_is_looked_at_is_not_looked_at_twice_at_a_time() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    assert_eq!(begun(&mut queue, "01:00:00").len(), 1);
    queue.put(&job(dataset(DAILY, "")), at("01:30:00"));
    queue.look(&orders(), Some(Trigger::Start));
    assert_eq!(begun(&mut queue, "01:30:00"), [], "work under way goes on");
    assert_eq!(queue.next(), Some(at("02:00:00")));
    queue.end(&orders(), &look(Trigger::Tick), TaskEnd::Done);
    assert_eq!(begun(&mut queue, "01:30:01"), [look(Trigger::Start)]);
}

#[test]
fn a_dataset_that_was_removed_is_not_begun_again_when_its_work_ends() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    assert_eq!(begun(&mut queue, "01:00:00").len(), 1);
    queue.remove(&orders());
    queue.end(&orders(), &look(Trigger::Tick), TaskEnd::Unreachable);
    assert_eq!(begun(&mut queue, "09:00:00"), []);
    assert_eq!(queue.next(), None);
}

#[test]
fn a_dataset_that_comes_back_while_it_is_still_worked_on_is_not_worked_on_twice() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    assert_eq!(begun(&mut queue, "01:00:00").len(), 1);
    queue.remove(&orders());
    assert_eq!(queue.working(), 1);
    queue.put(&job(dataset(HOURLY, "")), at("01:10:00"));
    queue.look(&orders(), Some(Trigger::Start));
    assert_eq!(begun(&mut queue, "01:10:00"), []);
    queue.end(&orders(), &look(Trigger::Tick), TaskEnd::Stopped);
    assert_eq!(begun(&mut queue, "01:10:01").len(), 1);
    queue.remove(&orders());
    queue.end(&orders(), &look(Trigger::Start), TaskEnd::Done);
    assert_eq!(queue.working(), 0);
}

#[test]
fn what_a_change_cut_short_is_wanted_again() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    assert_eq!(begun(&mut queue, "01:00:00").len(), 1);
    queue.put(&job(dataset(HOURLY, "")), at("01:10:00"));
    queue.end(&orders(), &look(Trigger::Tick), TaskEnd::Stopped);
    assert_eq!(begun(&mut queue, "01:10:01"), [look(Trigger::Tick)]);
}

#[test]
fn a_pause_that_is_over_wakes_nobody_while_the_dataset_works() {
    let mut queue = queue(HOURLY, "", "12:30:00");
    assert_eq!(begun(&mut queue, "13:00:00").len(), 1);
    queue.end(&orders(), &look(Trigger::Tick), TaskEnd::Blocked(at("13:00:08")));
    assert_eq!(queue.next_try(), Some(at("13:00:08")));
    assert_eq!(begun(&mut queue, "13:00:08"), [look(Trigger::Tick)]);
    // The next tick comes while it still works: there is nothing to wake for before it ends.
    assert_eq!(begun(&mut queue, "14:00:00"), []);
    assert_eq!(queue.next_try(), None);
}

#[test]
fn a_source_that_is_away_keeps_everything_but_late_days_until_its_pause_is_over() {
    let mut queue = queue(HOURLY, "", "12:30:00");
    assert_eq!(begun(&mut queue, "13:00:00"), [look(Trigger::Tick)]);
    queue.end(&orders(), &look(Trigger::Tick), TaskEnd::SourceUnavailable(at("13:01:00")));
    queue.dataset_mut(&orders()).unwrap().due(vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(begun(&mut queue, "13:00:59"), []);
    assert_eq!(queue.next_try(), Some(at("13:01:00")));
    // What was not done is wanted again, and said why it was wanted first.
    let begun_at = begun(&mut queue, "13:01:00");
    assert_eq!(begun_at, [look(Trigger::Tick), due(&["2019-04-01"])]);
    // Another lane that meets the same trouble does not lengthen the pause of the first one's look.
    queue.end(&orders(), &look(Trigger::Tick), TaskEnd::SourceUnavailable(at("13:03:00")));
    queue.end(&orders(), &due(&["2019-04-01"]), TaskEnd::SourceUnavailable(at("13:03:00")));
    assert_eq!(begun(&mut queue, "13:02:59"), []);
    assert_eq!(begun(&mut queue, "13:03:00"), [look(Trigger::Tick)], "due days are found by the next pulse");
}

#[test]
fn a_source_that_answers_ends_the_pause_of_all_lanes() {
    let mut queue = queue(HOURLY, "", "12:30:00");
    assert_eq!(begun(&mut queue, "13:00:00").len(), 1);
    queue.end(&orders(), &look(Trigger::Tick), TaskEnd::SourceUnavailable(at("13:30:00")));
    queue.dataset_mut(&orders()).unwrap().due(vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(begun(&mut queue, "13:00:01"), []);
    queue.dataset_mut(&orders()).unwrap().away_until = None;
    assert_eq!(begun(&mut queue, "13:00:02").len(), 2);
}

#[test]
fn a_person_has_a_source_asked_that_is_away() {
    for asks in [(|queue: &mut RunQueue| queue.look(&orders(), Some(Trigger::Page))) as fn(&mut RunQueue), |queue| {
        queue.ask(&orders(), vec!["2019-04-01".parse().unwrap()], LoadMode::Named);
    }] {
        let mut queue = queue(HOURLY, "", "12:30:00");
        assert_eq!(begun(&mut queue, "13:00:00").len(), 1);
        queue.end(&orders(), &look(Trigger::Tick), TaskEnd::SourceUnavailable(at("13:30:00")));
        assert_eq!(begun(&mut queue, "13:00:01"), []);
        asks(&mut queue);
        assert!(!begun(&mut queue, "13:00:02").is_empty());
    }
}

#[test]
fn a_clock_that_was_set_ends_the_pause_of_a_source() {
    let mut queue = queue(HOURLY, "", "12:30:00");
    assert_eq!(begun(&mut queue, "13:00:00").len(), 1);
    queue.end(&orders(), &look(Trigger::Tick), TaskEnd::SourceUnavailable(at("13:30:00")));
    queue.aim(at("03:15:00"));
    assert_eq!(begun(&mut queue, "03:15:00"), [look(Trigger::Tick)]);
}

#[test]
fn a_clock_that_was_set_ends_the_pauses_of_troubles() {
    let mut queue = queue(HOURLY, "", "12:30:00");
    let hour = (Duration::from_hours(1), Duration::from_hours(1));
    let dataset = queue.dataset_mut(&orders()).unwrap();
    dataset.trouble.record("its table is locked", hour);
    dataset.source_trouble.record("503", hour);
    queue.aim(at("03:15:00"));
    let dataset = queue.dataset(&orders()).unwrap();
    let troubles = [&dataset.trouble, &dataset.source_trouble].map(|trouble| trouble.current().unwrap().until());
    assert_eq!(troubles, [at("03:15:00"); 2]);
}
