//! What persons do to the agenda: pauses, and days that they ask for.

use super::*;
use crate::day::listed;
use crate::load_day::Stop;

fn asked(days: &[&str]) -> Work {
    Work::Asked(days.iter().map(|day| day.parse().unwrap()).collect(), Ask::Forced, Begun::default())
}

#[test]
fn a_paused_dataset_begins_nothing_but_what_a_person_asks_for() {
    let mut agenda = agenda(HOURLY, "", "00:30:00");
    agenda.pause(&BTreeSet::from([orders()]));
    agenda.due(&orders(), vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(begun(&mut agenda, "01:00:00"), []);
    agenda.ask(&orders(), vec!["2019-04-01".parse().unwrap()], Ask::Forced);
    assert_eq!(begun(&mut agenda, "01:00:01"), [asked(&["2019-04-01"])]);
    agenda.pause(&BTreeSet::new());
    assert_eq!(begun(&mut agenda, "01:00:02"), [look(Trigger::Tick), due(&["2019-04-01"])]);
}

#[test]
fn a_dataset_whose_pause_is_over_is_looked_at_though_no_tick_came() {
    let mut agenda = agenda(HOURLY, "", "00:30:00");
    agenda.pause(&BTreeSet::from([orders()]));
    agenda.pause(&BTreeSet::new());
    assert_eq!(begun(&mut agenda, "00:30:01"), [look(Trigger::Page)]);
}

#[test]
fn a_pause_outlives_a_change_of_the_dataset() {
    let mut agenda = agenda(HOURLY, "", "00:30:00");
    agenda.pause(&BTreeSet::from([orders()]));
    agenda.put(&dataset(DAILY, ""), at("00:40:00"));
    assert_eq!(begun(&mut agenda, "02:00:00"), []);
}

#[test]
fn what_persons_ask_for_is_done_one_after_another_and_not_lost() {
    let mut agenda = agenda(HOURLY, "", "00:30:00");
    for day in ["2019-04-01", "2019-04-02"] {
        agenda.ask(&orders(), vec![day.parse().unwrap()], Ask::Forced);
    }
    assert_eq!(begun(&mut agenda, "00:30:00"), [asked(&["2019-04-01"])]);
    assert_eq!(begun(&mut agenda, "00:30:01"), []);
    agenda.end(&orders(), &asked(&["2019-04-01"]), Ended::Troubled(at("00:30:05")));
    assert_eq!(begun(&mut agenda, "00:30:04"), []);
    assert_eq!(agenda.next_try(), Some(at("00:30:05")));
    assert_eq!(begun(&mut agenda, "00:30:05"), [asked(&["2019-04-01"])]);
    agenda.end(&orders(), &asked(&["2019-04-01"]), Ended::Done);
    assert_eq!(begun(&mut agenda, "00:30:06"), [asked(&["2019-04-02"])]);
}

#[test]
fn days_that_wait_to_be_loaded_are_not_asked_for_twice_unless_in_another_way() {
    let day = |day: &str| day.parse::<Day>().unwrap();
    let both = || vec![day("2019-04-01"), day("2019-04-02")];
    let mut agenda = agenda(HOURLY, "", "00:30:00");
    agenda.ask(&orders(), both(), Ask::Forced);
    let [Work::Asked(_, _, running)] = &begun(&mut agenda, "00:30:00")[..] else { panic!() };
    assert!(running.begin(day("2019-04-01"), &Stop::default()));
    agenda.ask(&orders(), both(), Ask::Forced);
    agenda.ask(&orders(), both(), Ask::Forced);
    agenda.ask(&orders(), vec![day("2019-04-02")], Ask::Named);
    agenda.end(&orders(), &asked(&[]), Ended::Done);
    assert_eq!(begun(&mut agenda, "00:30:01"), [asked(&["2019-04-01"])], "it had begun, and is asked for anew");
    agenda.end(&orders(), &asked(&[]), Ended::Done);
    let named = Work::Asked(vec![day("2019-04-02")], Ask::Named, Begun::default());
    assert_eq!(begun(&mut agenda, "00:30:02"), [named]);
    agenda.end(&orders(), &asked(&[]), Ended::Done);
    assert!(begun(&mut agenda, "00:30:03").is_empty());
}

#[test]
fn days_asked_for_that_did_not_begin_are_known_one_by_one() {
    let not_begun = |agenda: &Agenda| agenda.not_begun().map(|(_, days)| listed(&days)).collect::<Vec<_>>();
    let day = |day: &str| day.parse::<Day>().unwrap();
    let mut agenda = agenda(HOURLY, "", "00:30:00");
    assert!(not_begun(&agenda).is_empty());
    agenda.ask(&orders(), vec![day("2019-04-01"), day("2019-04-02")], Ask::Named);
    agenda.ask(&orders(), vec![day("2019-04-01"), day("2019-03-01")], Ask::Forced);
    let [Work::Asked(_, _, running)] = &begun(&mut agenda, "00:30:00")[..] else { panic!() };
    assert_eq!(not_begun(&agenda), ["2019-03-01, 2019-04-01..2019-04-02"]);
    let stop = Stop::default();
    assert!(running.begin(day("2019-04-01"), &stop) && running.begin(day("2019-04-02"), &stop));
    assert_eq!(not_begun(&agenda), ["2019-03-01, 2019-04-01"], "what is asked for next begins after that");
    agenda.end(&orders(), &asked(&[]), Ended::Done);
    let [Work::Asked(_, _, running)] = &begun(&mut agenda, "00:30:01")[..] else { panic!() };
    assert!(running.begin(day("2019-03-01"), &stop));
    stop.halt();
    assert!(!running.begin(day("2019-04-01"), &stop), "it stopped");
    assert_eq!(not_begun(&agenda), ["2019-04-01"]);
}

#[test]
fn what_is_left_of_days_asked_for_is_wanted_again_and_no_other_day() {
    let day = |day: &str| day.parse::<Day>().unwrap();
    let days = vec![day("2019-04-01"), day("2019-04-02"), day("2019-04-03")];
    let stop = Stop::default();
    for ended in [Ended::Unreachable, Ended::Troubled(at("00:30:05")), Ended::CutShort] {
        let mut agenda = agenda(HOURLY, "", "00:30:00");
        agenda.ask(&orders(), days.clone(), Ask::Forced);
        let [work @ Work::Asked(_, _, running)] = &begun(&mut agenda, "00:30:00")[..] else { panic!() };
        assert!(running.begin(days[0], &stop) && running.begin(days[1], &stop));
        running.take_back(days[1]);
        agenda.end(&orders(), work, ended);
        let [work @ Work::Asked(left, Ask::Forced, running)] = &begun(&mut agenda, "00:30:06")[..] else { panic!() };
        assert_eq!(left[..], days[1..], "{ended:?}");
        assert!(running.begin(days[1], &stop) && running.begin(days[2], &stop));
        agenda.end(&orders(), work, ended);
        assert!(begun(&mut agenda, "00:31:00").is_empty(), "{ended:?}: nothing is left");
    }
}

#[test]
fn days_that_another_load_has_wait_for_its_end_and_hold_up_no_other_day() {
    let day = |day: &str| day.parse::<Day>().unwrap();
    let days = vec![day("2019-04-01"), day("2019-04-02"), day("2019-04-03")];
    let stop = Stop::default();
    let mut agenda = agenda(HOURLY, "", "00:30:00");
    agenda.ask(&orders(), days.clone(), Ask::Forced);
    let [work @ Work::Asked(_, _, running)] = &begun(&mut agenda, "00:30:00")[..] else { panic!() };
    assert!(days.iter().all(|day| running.begin(*day, &stop)));
    running.take_back(days[0]);
    running.take_back(days[2]);
    assert!(!agenda.holds_some());
    agenda.end(&orders(), work, Ended::Loaded);
    assert!(agenda.holds_some() && begun(&mut agenda, "00:30:01").is_empty());
    let not_begun: Vec<String> = agenda.not_begun().map(|(_, days)| listed(&days)).collect();
    assert_eq!(not_begun, ["2019-04-01, 2019-04-03"], "what the end of the process names");
    agenda.ask(&orders(), vec![days[0]], Ask::Forced);
    agenda.ask(&orders(), vec![day("2019-04-04")], Ask::Forced);
    assert_eq!(begun(&mut agenda, "00:30:02"), [asked(&["2019-04-04"])], "and the same is not wanted twice");
    agenda.free(|_, _| true);
    agenda.end(&orders(), &asked(&[]), Ended::Done);
    assert!(begun(&mut agenda, "00:30:03").is_empty());
    agenda.free(|name, day| *name == orders() && day == days[0]);
    assert_eq!(begun(&mut agenda, "00:30:04"), [asked(&["2019-04-03"])]);
    agenda.free(|_, _| false);
    agenda.end(&orders(), &asked(&[]), Ended::Done);
    assert_eq!(begun(&mut agenda, "00:30:05"), [asked(&["2019-04-01"])]);
    assert!(!agenda.holds_some());
}
