//! What persons do to the queue: pauses, and days that they ask for.

use super::*;
use crate::day::listed;
use crate::reconcile::StartedDays;

fn asked(days: &[&str]) -> DatasetTask {
    DatasetTask::Requested(
        days.iter().map(|day| day.parse().unwrap()).collect(),
        LoadMode::Forced,
        StartedDays::default(),
    )
}

/// The dataset is paused.
fn paused() -> BTreeMap<DatasetName, Pause> {
    let at = at("00:00:00");
    let paused = Pause { dataset: "orders".to_owned(), at, who: "anna".to_owned(), reason: None };
    BTreeMap::from([(orders(), paused)])
}

#[test]
fn a_paused_dataset_begins_nothing_but_what_a_person_asks_for() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    queue.pause(paused());
    queue.dataset_mut(&orders()).unwrap().due(vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(begun(&mut queue, "01:00:00"), []);
    queue.ask(&orders(), vec!["2019-04-01".parse().unwrap()], LoadMode::Forced);
    assert_eq!(begun(&mut queue, "01:00:01"), [asked(&["2019-04-01"])]);
    queue.pause(BTreeMap::new());
    assert_eq!(begun(&mut queue, "01:00:02"), [look(Trigger::Tick), due(&["2019-04-01"])]);
}

#[test]
fn a_dataset_whose_pause_is_over_is_looked_at_though_no_tick_came() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    queue.pause(paused());
    queue.pause(BTreeMap::new());
    assert_eq!(begun(&mut queue, "00:30:01"), [look(Trigger::Page)]);
}

#[test]
fn a_pause_outlives_a_change_of_the_dataset() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    queue.pause(paused());
    queue.put(&job(dataset(DAILY, "")), at("00:40:00"));
    assert_eq!(begun(&mut queue, "02:00:00"), []);
}

#[test]
fn what_persons_ask_for_is_done_one_after_another_and_not_lost() {
    let mut queue = queue(HOURLY, "", "00:30:00");
    for day in ["2019-04-01", "2019-04-02"] {
        queue.ask(&orders(), vec![day.parse().unwrap()], LoadMode::Forced);
    }
    assert_eq!(begun(&mut queue, "00:30:00"), [asked(&["2019-04-01"])]);
    assert_eq!(begun(&mut queue, "00:30:01"), []);
    queue.end(&orders(), &asked(&["2019-04-01"]), TaskEnd::Blocked(at("00:30:05")));
    assert_eq!(begun(&mut queue, "00:30:04"), []);
    assert_eq!(queue.next_try(), Some(at("00:30:05")));
    assert_eq!(begun(&mut queue, "00:30:05"), [asked(&["2019-04-01"])]);
    queue.end(&orders(), &asked(&["2019-04-01"]), TaskEnd::Done);
    assert_eq!(begun(&mut queue, "00:30:06"), [asked(&["2019-04-02"])]);
}

#[test]
fn days_that_wait_to_be_loaded_are_not_asked_for_twice_unless_in_another_way() {
    let day = |day: &str| day.parse::<Day>().unwrap();
    let both = || vec![day("2019-04-01"), day("2019-04-02")];
    let mut queue = queue(HOURLY, "", "00:30:00");
    queue.ask(&orders(), both(), LoadMode::Forced);
    let [DatasetTask::Requested(_, _, running)] = &begun(&mut queue, "00:30:00")[..] else { panic!() };
    assert!(running.begin(day("2019-04-01"), &Stop::default()));
    queue.ask(&orders(), both(), LoadMode::Forced);
    queue.ask(&orders(), both(), LoadMode::Forced);
    queue.ask(&orders(), vec![day("2019-04-02")], LoadMode::Named);
    queue.end(&orders(), &asked(&[]), TaskEnd::Done);
    assert_eq!(begun(&mut queue, "00:30:01"), [asked(&["2019-04-01"])], "it had begun, and is asked for anew");
    queue.end(&orders(), &asked(&[]), TaskEnd::Done);
    let named = DatasetTask::Requested(vec![day("2019-04-02")], LoadMode::Named, StartedDays::default());
    assert_eq!(begun(&mut queue, "00:30:02"), [named]);
    queue.end(&orders(), &asked(&[]), TaskEnd::Done);
    assert!(begun(&mut queue, "00:30:03").is_empty());
}

#[test]
fn days_asked_for_that_did_not_begin_are_known_one_by_one() {
    let not_begun = |queue: &RunQueue| {
        queue
            .iter()
            .map(|(_, dataset)| dataset.not_begun())
            .filter(|days| !days.is_empty())
            .map(|days| listed(&days))
            .collect::<Vec<_>>()
    };
    let day = |day: &str| day.parse::<Day>().unwrap();
    let mut queue = queue(HOURLY, "", "00:30:00");
    assert!(not_begun(&queue).is_empty());
    queue.ask(&orders(), vec![day("2019-04-01"), day("2019-04-02")], LoadMode::Named);
    queue.ask(&orders(), vec![day("2019-04-01"), day("2019-03-01")], LoadMode::Forced);
    let [DatasetTask::Requested(_, _, running)] = &begun(&mut queue, "00:30:00")[..] else { panic!() };
    assert_eq!(not_begun(&queue), ["2019-03-01, 2019-04-01..2019-04-02"]);
    let stop = Stop::default();
    assert!(running.begin(day("2019-04-01"), &stop) && running.begin(day("2019-04-02"), &stop));
    assert_eq!(not_begun(&queue), ["2019-03-01, 2019-04-01"], "what is asked for next begins after that");
    queue.end(&orders(), &asked(&[]), TaskEnd::Done);
    let [DatasetTask::Requested(_, _, running)] = &begun(&mut queue, "00:30:01")[..] else { panic!() };
    assert!(running.begin(day("2019-03-01"), &stop));
    stop.halt();
    assert!(!running.begin(day("2019-04-01"), &stop), "it stopped");
    assert_eq!(not_begun(&queue), ["2019-04-01"]);
}

#[test]
fn what_is_left_of_days_asked_for_is_wanted_again_and_no_other_day() {
    let day = |day: &str| day.parse::<Day>().unwrap();
    let days = vec![day("2019-04-01"), day("2019-04-02"), day("2019-04-03")];
    let stop = Stop::default();
    for ended in [TaskEnd::Unreachable, TaskEnd::Blocked(at("00:30:05")), TaskEnd::Stopped] {
        let mut queue = queue(HOURLY, "", "00:30:00");
        queue.ask(&orders(), days.clone(), LoadMode::Forced);
        let [work @ DatasetTask::Requested(_, _, running)] = &begun(&mut queue, "00:30:00")[..] else { panic!() };
        assert!(running.begin(days[0], &stop) && running.begin(days[1], &stop));
        running.take_back(days[1]);
        queue.end(&orders(), work, ended);
        let [work @ DatasetTask::Requested(left, LoadMode::Forced, running)] = &begun(&mut queue, "00:30:06")[..]
        else {
            panic!()
        };
        assert_eq!(left[..], days[1..], "{ended:?}");
        assert!(running.begin(days[1], &stop) && running.begin(days[2], &stop));
        queue.end(&orders(), work, ended);
        assert!(begun(&mut queue, "00:31:00").is_empty(), "{ended:?}: nothing is left");
    }
}

#[test]
fn days_that_another_load_has_wait_for_its_end_and_hold_up_no_other_day() {
    let day = |day: &str| day.parse::<Day>().unwrap();
    let days = vec![day("2019-04-01"), day("2019-04-02"), day("2019-04-03")];
    let stop = Stop::default();
    let mut queue = queue(HOURLY, "", "00:30:00");
    queue.ask(&orders(), days.clone(), LoadMode::Forced);
    let [work @ DatasetTask::Requested(_, _, running)] = &begun(&mut queue, "00:30:00")[..] else { panic!() };
    assert!(days.iter().all(|day| running.begin(*day, &stop)));
    running.take_back(days[0]);
    running.take_back(days[2]);
    assert!(!queue.holds_some());
    queue.end(&orders(), work, TaskEnd::Loaded);
    assert!(queue.holds_some() && begun(&mut queue, "00:30:01").is_empty());
    let not_begun: Vec<String> = queue
        .iter()
        .map(|(_, dataset)| dataset.not_begun())
        .filter(|days| !days.is_empty())
        .map(|days| listed(&days))
        .collect();
    assert_eq!(not_begun, ["2019-04-01, 2019-04-03"], "what the end of the process names");
    queue.ask(&orders(), vec![days[0]], LoadMode::Forced);
    queue.ask(&orders(), vec![day("2019-04-04")], LoadMode::Forced);
    assert_eq!(begun(&mut queue, "00:30:02"), [asked(&["2019-04-04"])], "and the same is not wanted twice");
    queue.free(|_, _| true);
    queue.end(&orders(), &asked(&[]), TaskEnd::Done);
    assert!(begun(&mut queue, "00:30:03").is_empty());
    queue.free(|name, day| *name == orders() && day == days[0]);
    assert_eq!(begun(&mut queue, "00:30:04"), [asked(&["2019-04-03"])]);
    queue.free(|_, _| false);
    queue.end(&orders(), &asked(&[]), TaskEnd::Done);
    assert_eq!(begun(&mut queue, "00:30:05"), [asked(&["2019-04-01"])]);
    assert!(!queue.holds_some());
}
