//! The queue under a clock that the tests set.

mod manual;

use super::*;
use crate::config::{self, Environment};

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
    queue.put(&dataset(cron, sections), at(now));
    queue
}

/// What begins at a time after the clock was looked at.
fn begun(queue: &mut RunQueue, now: &str) -> Vec<DatasetTask> {
    queue.pass(at(now));
    queue.begin(at(now)).into_iter().map(|(_, work)| work).collect()
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
    assert_eq!(queue.next_tick(&orders()), Some(at("01:00:00")));
    assert_eq!(begun(&mut queue, "00:59:59"), []);
    assert_eq!(begun(&mut queue, "01:00:00"), [look(Trigger::Tick)]);
    assert_eq!(queue.next(), Some(at("02:00:00")));
    assert_eq!(begun(&mut queue, "01:00:00"), [], "it is under way");
}

#[test]
fn when_a_tick_was_taken_is_known() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    queue.pass(at("00:59:59"));
    assert_eq!(queue.last_tick(&orders()), None);
    queue.pass(at("01:00:09"));
    assert_eq!(queue.last_tick(&orders()), Some(at("01:00:09")));
    queue.pass(at("01:30:00"));
    assert_eq!(queue.last_tick(&orders()), Some(at("01:00:09")), "no tick since");
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
    queue.due(&orders(), vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(begun(&mut queue, "01:00:00"), [due(&["2019-04-01"])]);
    queue.end(&orders(), &look(Trigger::Tick), TaskEnd::Blocked(at("01:05:00")));
    queue.end(&orders(), &due(&["2019-04-01"]), TaskEnd::Done);
    assert_eq!(begun(&mut queue, "01:00:01"), []);
    queue.trouble_passed(&orders());
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
    queue.due(&orders(), vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(begun(&mut queue, "00:30:04"), []);
    assert_eq!(begun(&mut queue, "00:30:05"), [look(Trigger::Start), due(&["2019-04-01"])]);
}

#[test]
fn due_days_that_could_not_be_tried_are_left_to_the_next_look_at_open_days() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    queue.due(&orders(), vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(begun(&mut queue, "00:30:00"), [due(&["2019-04-01"])]);
    queue.end(&orders(), &due(&["2019-04-01"]), TaskEnd::Unreachable);
    assert_eq!(begun(&mut queue, "00:30:01"), []);
    queue.due(&orders(), vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(begun(&mut queue, "00:30:02"), [due(&["2019-04-01"])]);
}

#[test]
fn due_days_begin_while_a_look_is_under_way() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    assert_eq!(begun(&mut queue, "01:00:00"), [look(Trigger::Tick)]);
    queue.due(&orders(), vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(begun(&mut queue, "01:00:01"), [due(&["2019-04-01"])]);
    // And the other way round.
    queue.end(&orders(), &look(Trigger::Tick), TaskEnd::Done);
    assert_eq!(begun(&mut queue, "02:00:00"), [look(Trigger::Tick)]);
}

#[test]
fn days_that_are_due_no_more_are_not_tried() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    queue.due(&orders(), vec!["2019-04-01".parse().unwrap()]);
    queue.due(&orders(), Vec::new());
    assert_eq!(begun(&mut queue, "00:30:00"), []);
}

#[test]
fn at_most_64_lanes_work_at_a_time() {
    let one = dataset(HOURLY, "");
    let mut queue = RunQueue::default();
    for number in 0..70 {
        let name = format!("orders_{number:02}").parse().unwrap();
        queue.put(&Dataset { name, ..one.clone() }, at("00:30:00"));
    }
    queue.pass(at("01:00:00"));
    let begun = queue.begin(at("01:00:00"));
    assert_eq!(begun.len(), 64);
    assert_eq!(queue.begin(at("01:00:00")), []);
    for (name, work) in &begun[..4] {
        queue.end(name, work, TaskEnd::Done);
    }
    assert_eq!(queue.begin(at("01:00:01")).len(), 4, "as many as ended");
    for (name, work) in &begun[4..] {
        queue.end(name, work, TaskEnd::Done);
    }
    assert_eq!(queue.begin(at("01:00:02")).len(), 2, "the rest");
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
    queue.due(&orders(), vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(begun(&mut queue, "00:30:00").len(), 1);
    queue.end(&orders(), &due(&["2019-04-01"]), TaskEnd::Loaded);
    assert_eq!(begun(&mut queue, "00:30:01"), [look(Trigger::Due)]);
}

#[test]
fn due_days_of_which_nothing_came_are_left_for_a_while_and_others_are_not() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    let first = || vec!["2019-04-01".parse().unwrap()];
    queue.due(&orders(), first());
    assert_eq!(begun(&mut queue, "00:30:00").len(), 1);
    queue.end(&orders(), &due(&["2019-04-01"]), TaskEnd::NoProgress(at("00:30:30")));
    queue.due(&orders(), first());
    assert_eq!(begun(&mut queue, "00:30:29"), []);
    queue.due(&orders(), vec!["2019-04-01".parse().unwrap(), "2019-04-02".parse().unwrap()]);
    assert_eq!(begun(&mut queue, "00:30:29"), [due(&["2019-04-01", "2019-04-02"])]);
    queue.end(&orders(), &due(&["2019-04-01", "2019-04-02"]), TaskEnd::Done);
    queue.due(&orders(), first());
    assert_eq!(begun(&mut queue, "00:30:30"), [due(&["2019-04-01"])]);
}

#[test]
fn a_clock_that_was_set_back_has_due_days_tried_of_which_nothing_came() {
    let mut queue = queue(HOURLY, "", "12:30:00");
    let first = || vec!["2019-04-01".parse().unwrap()];
    queue.due(&orders(), first());
    assert_eq!(begun(&mut queue, "12:30:00").len(), 1);
    queue.end(&orders(), &due(&["2019-04-01"]), TaskEnd::NoProgress(at("12:30:30")));
    queue.aim(at("03:15:00"));
    queue.due(&orders(), first());
    assert_eq!(begun(&mut queue, "03:15:00"), [due(&["2019-04-01"])]);
}

#[test]
fn a_due_day_asks_for_nothing_more_where_it_held_nothing_back() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    queue.due(&orders(), vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(begun(&mut queue, "00:30:00").len(), 1);
    queue.end(&orders(), &due(&["2019-04-01"]), TaskEnd::Loaded);
    assert_eq!(begun(&mut queue, "00:30:01"), []);
}

#[test]
fn a_dataset_that_changes_while_it_is_looked_at_is_not_looked_at_twice_at_a_time() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    assert_eq!(begun(&mut queue, "01:00:00").len(), 1);
    queue.put(&dataset(DAILY, ""), at("01:30:00"));
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
    queue.put(&dataset(HOURLY, ""), at("01:10:00"));
    queue.look(&orders(), Some(Trigger::Start));
    assert_eq!(begun(&mut queue, "01:10:00"), []);
    queue.end(&orders(), &look(Trigger::Tick), TaskEnd::Superseded);
    assert_eq!(begun(&mut queue, "01:10:01").len(), 1);
    queue.remove(&orders());
    queue.end(&orders(), &look(Trigger::Start), TaskEnd::Done);
    assert_eq!(queue.working(), 0);
}

#[test]
fn what_a_change_cut_short_is_wanted_again() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    assert_eq!(begun(&mut queue, "01:00:00").len(), 1);
    queue.put(&dataset(HOURLY, ""), at("01:10:00"));
    queue.end(&orders(), &look(Trigger::Tick), TaskEnd::Superseded);
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
    queue.due(&orders(), vec!["2019-04-01".parse().unwrap()]);
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
    queue.due(&orders(), vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(begun(&mut queue, "13:00:01"), []);
    queue.source_answers(&orders());
    assert_eq!(begun(&mut queue, "13:00:02").len(), 2);
}

#[test]
fn a_person_has_a_source_asked_that_is_away() {
    for asks in [(|queue: &mut RunQueue| queue.look(&orders(), Some(Trigger::Page))) as fn(&mut RunQueue), |queue| {
        queue.ask(&orders(), vec!["2019-04-01".parse().unwrap()], Ask::Named);
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
