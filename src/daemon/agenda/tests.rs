//! The agenda under a clock that the tests set.

mod persons;

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

/// An agenda with one dataset, put there at that time.
fn agenda(cron: &str, sections: &str, now: &str) -> Agenda {
    let mut agenda = Agenda::default();
    agenda.put(&dataset(cron, sections), at(now));
    agenda
}

/// What begins at a time after the clock was looked at.
fn begun(agenda: &mut Agenda, now: &str) -> Vec<Work> {
    agenda.pass(at(now));
    agenda.begin(at(now)).into_iter().map(|(_, work)| work).collect()
}

fn look(trigger: Trigger) -> Work {
    Work::Look(Some(trigger))
}

fn due(days: &[&str]) -> Work {
    Work::Due(days.iter().map(|day| day.parse().unwrap()).collect())
}

#[test]
fn a_tick_asks_for_a_look_when_its_time_has_come_and_not_before() {
    let mut agenda = agenda(HOURLY, "", "00:30:00");
    assert_eq!(agenda.next(), Some(at("01:00:00")));
    assert_eq!(agenda.next_tick(&orders()), Some(at("01:00:00")));
    assert_eq!(begun(&mut agenda, "00:59:59"), []);
    assert_eq!(begun(&mut agenda, "01:00:00"), [look(Trigger::Tick)]);
    assert_eq!(agenda.next(), Some(at("02:00:00")));
    assert_eq!(begun(&mut agenda, "01:00:00"), [], "it is under way");
}

#[test]
fn when_a_tick_was_taken_is_known() {
    let mut agenda = agenda(HOURLY, "", "00:30:00");
    agenda.pass(at("00:59:59"));
    assert_eq!(agenda.last_tick(&orders()), None);
    agenda.pass(at("01:00:09"));
    assert_eq!(agenda.last_tick(&orders()), Some(at("01:00:09")));
    agenda.pass(at("01:30:00"));
    assert_eq!(agenda.last_tick(&orders()), Some(at("01:00:09")), "no tick since");
}

#[test]
fn a_clock_set_forward_over_ticks_gives_one_look() {
    let mut agenda = agenda(HOURLY, "", "00:30:00");
    agenda.aim(at("05:30:00"));
    assert_eq!(begun(&mut agenda, "05:30:00"), [look(Trigger::Tick)]);
    agenda.end(&orders(), &look(Trigger::Tick), Ended::Done);
    assert_eq!(begun(&mut agenda, "05:30:01"), []);
    assert_eq!(agenda.next(), Some(at("06:00:00")));
}

#[test]
fn a_clock_set_back_brings_the_ticks_back_that_lie_before_the_next_one() {
    let mut agenda = agenda(HOURLY, "", "12:30:00");
    agenda.aim(at("03:30:00"));
    assert_eq!(begun(&mut agenda, "03:30:00"), [], "being set back is no tick");
    assert_eq!(agenda.next(), Some(at("04:00:00")));
    assert_eq!(begun(&mut agenda, "04:00:00"), [look(Trigger::Tick)]);
}

#[test]
fn a_clock_set_back_does_not_make_a_pause_longer() {
    let mut agenda = agenda(HOURLY, "", "12:30:00");
    assert_eq!(begun(&mut agenda, "13:00:00").len(), 1);
    agenda.end(&orders(), &look(Trigger::Tick), Ended::Troubled(at("13:00:08")));
    agenda.aim(at("03:30:00"));
    assert_eq!(begun(&mut agenda, "03:30:00"), [look(Trigger::Tick)]);
}

#[test]
fn a_suspend_over_three_ticks_gives_one_look() {
    let mut agenda = agenda(HOURLY, "", "00:30:00");
    assert_eq!(begun(&mut agenda, "03:10:00"), [look(Trigger::Tick)]);
    agenda.end(&orders(), &look(Trigger::Tick), Ended::Done);
    assert_eq!(begun(&mut agenda, "03:10:00"), []);
    assert_eq!(agenda.next(), Some(at("04:00:00")));
}

#[test]
fn ticks_while_working_give_exactly_one_more_look() {
    let mut agenda = agenda(HOURLY, "", "00:30:00");
    assert_eq!(begun(&mut agenda, "01:00:00").len(), 1);
    for tick in ["02:00:00", "03:00:00", "04:00:00"] {
        assert_eq!(begun(&mut agenda, tick), [], "the one before still works");
    }
    agenda.end(&orders(), &look(Trigger::Tick), Ended::Done);
    assert_eq!(begun(&mut agenda, "04:10:00"), [look(Trigger::Tick)]);
    agenda.end(&orders(), &look(Trigger::Tick), Ended::Done);
    assert_eq!(begun(&mut agenda, "04:20:00"), []);
}

#[test]
fn a_look_that_found_no_database_is_wanted_again() {
    let mut agenda = agenda(HOURLY, "", "00:30:00");
    agenda.look(&orders(), Some(Trigger::Start));
    assert_eq!(begun(&mut agenda, "00:30:00"), [look(Trigger::Start)]);
    agenda.end(&orders(), &look(Trigger::Start), Ended::Unreachable);
    assert_eq!(agenda.next_try(), None, "when the database is tried again is another's matter");
    assert_eq!(begun(&mut agenda, "00:30:00"), [look(Trigger::Start)]);
}

#[test]
fn a_look_in_trouble_is_wanted_again_when_its_pause_is_over() {
    let mut agenda = agenda(HOURLY, "", "00:30:00");
    assert_eq!(begun(&mut agenda, "01:00:00").len(), 1);
    agenda.end(&orders(), &look(Trigger::Tick), Ended::Troubled(at("01:00:08")));
    assert_eq!(agenda.next_try(), Some(at("01:00:08")));
    assert_eq!(begun(&mut agenda, "01:00:07"), []);
    assert_eq!(begun(&mut agenda, "01:00:08"), [look(Trigger::Tick)]);
    assert_eq!(agenda.next_try(), None);
}

#[test]
fn work_beside_ends_no_pause_that_trouble_began() {
    let mut agenda = agenda(HOURLY, "", "00:30:00");
    assert_eq!(begun(&mut agenda, "01:00:00").len(), 1);
    agenda.due(&orders(), vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(begun(&mut agenda, "01:00:00"), [due(&["2019-04-01"])]);
    agenda.end(&orders(), &look(Trigger::Tick), Ended::Troubled(at("01:05:00")));
    agenda.end(&orders(), &due(&["2019-04-01"]), Ended::Done);
    assert_eq!(begun(&mut agenda, "01:00:01"), []);
    agenda.trouble_passed(&orders());
    assert_eq!(begun(&mut agenda, "01:00:01"), [look(Trigger::Tick)]);
}

#[test]
fn what_somebody_asks_for_waits_for_no_pause() {
    let mut agenda = agenda(HOURLY, "", "00:30:00");
    assert_eq!(begun(&mut agenda, "01:00:00").len(), 1);
    agenda.end(&orders(), &look(Trigger::Tick), Ended::Troubled(at("01:05:00")));
    assert_eq!(begun(&mut agenda, "01:00:10"), []);
    agenda.look(&orders(), Some(Trigger::Page));
    assert_eq!(begun(&mut agenda, "01:00:10"), [look(Trigger::Tick)]);
}

#[test]
fn due_days_wait_for_the_trouble_of_their_dataset_to_pass() {
    let mut agenda = agenda(HOURLY, "", "00:30:00");
    agenda.look(&orders(), Some(Trigger::Start));
    assert_eq!(begun(&mut agenda, "00:30:00").len(), 1);
    agenda.end(&orders(), &look(Trigger::Start), Ended::Troubled(at("00:30:05")));
    agenda.due(&orders(), vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(begun(&mut agenda, "00:30:04"), []);
    assert_eq!(begun(&mut agenda, "00:30:05"), [look(Trigger::Start), due(&["2019-04-01"])]);
}

#[test]
fn due_days_that_could_not_be_tried_are_left_to_the_next_look_at_open_days() {
    let mut agenda = agenda(HOURLY, "", "00:30:00");
    agenda.due(&orders(), vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(begun(&mut agenda, "00:30:00"), [due(&["2019-04-01"])]);
    agenda.end(&orders(), &due(&["2019-04-01"]), Ended::Unreachable);
    assert_eq!(begun(&mut agenda, "00:30:01"), []);
    agenda.due(&orders(), vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(begun(&mut agenda, "00:30:02"), [due(&["2019-04-01"])]);
}

#[test]
fn due_days_begin_while_a_look_is_under_way() {
    let mut agenda = agenda(HOURLY, "", "00:30:00");
    assert_eq!(begun(&mut agenda, "01:00:00"), [look(Trigger::Tick)]);
    agenda.due(&orders(), vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(begun(&mut agenda, "01:00:01"), [due(&["2019-04-01"])]);
    // And the other way round.
    agenda.end(&orders(), &look(Trigger::Tick), Ended::Done);
    assert_eq!(begun(&mut agenda, "02:00:00"), [look(Trigger::Tick)]);
}

#[test]
fn days_that_are_due_no_more_are_not_tried() {
    let mut agenda = agenda(HOURLY, "", "00:30:00");
    agenda.due(&orders(), vec!["2019-04-01".parse().unwrap()]);
    agenda.due(&orders(), Vec::new());
    assert_eq!(begun(&mut agenda, "00:30:00"), []);
}

#[test]
fn at_most_64_lanes_work_at_a_time() {
    let one = dataset(HOURLY, "");
    let mut agenda = Agenda::default();
    for number in 0..70 {
        let name = format!("orders_{number:02}").parse().unwrap();
        agenda.put(&Dataset { name, ..one.clone() }, at("00:30:00"));
    }
    agenda.pass(at("01:00:00"));
    let begun = agenda.begin(at("01:00:00"));
    assert_eq!(begun.len(), 64);
    assert_eq!(agenda.begin(at("01:00:00")), []);
    for (name, work) in &begun[..4] {
        agenda.end(name, work, Ended::Done);
    }
    assert_eq!(agenda.begin(at("01:00:01")).len(), 4, "as many as ended");
    for (name, work) in &begun[4..] {
        agenda.end(name, work, Ended::Done);
    }
    assert_eq!(agenda.begin(at("01:00:02")).len(), 2, "the rest");
}

#[test]
fn a_deadline_asks_which_days_are_late() {
    let mut agenda = agenda(DAILY, "[waiting]\ndeadline = \"07:30\"", "03:00:00");
    assert_eq!(agenda.next(), Some(at("07:30:00")));
    assert_eq!(begun(&mut agenda, "07:30:00"), [Work::Late]);
    agenda.end(&orders(), &Work::Late, Ended::Done);
    assert_eq!(begun(&mut agenda, "07:30:01"), [], "once");
    assert_eq!(agenda.next(), Some("2019-04-03T02:00:00Z".parse().unwrap()));
}

#[test]
fn a_deadline_does_not_wait_for_a_catch_up_under_way() {
    let mut agenda = agenda(DAILY, "[waiting]\ndeadline = \"07:30\"", "00:30:00");
    assert_eq!(begun(&mut agenda, "02:00:00"), [look(Trigger::Tick)]);
    assert_eq!(begun(&mut agenda, "07:30:00"), [Work::Late]);
    // What could not be seen is seen later.
    agenda.end(&orders(), &Work::Late, Ended::Unreachable);
    assert_eq!(begun(&mut agenda, "07:30:01"), [Work::Late]);
}

#[test]
fn who_looks_without_a_trigger_does_not_take_it_from_a_tick() {
    let mut agenda = agenda(DAILY, "", "00:30:00");
    assert_eq!(begun(&mut agenda, "08:00:00"), [look(Trigger::Tick)]);
    agenda.look(&orders(), Some(Trigger::Tick));
    agenda.look(&orders(), None);
    agenda.end(&orders(), &look(Trigger::Tick), Ended::Done);
    assert_eq!(begun(&mut agenda, "08:00:01"), [look(Trigger::Tick)]);
}

#[test]
fn what_a_due_day_held_back_is_looked_for_once_the_day_was_tried() {
    let mut agenda = agenda(HOURLY, "[catch_up]\nstop_on_failure = true", "00:30:00");
    agenda.due(&orders(), vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(begun(&mut agenda, "00:30:00").len(), 1);
    agenda.end(&orders(), &due(&["2019-04-01"]), Ended::Loaded);
    assert_eq!(begun(&mut agenda, "00:30:01"), [look(Trigger::Due)]);
}

#[test]
fn due_days_of_which_nothing_came_are_left_for_a_while_and_others_are_not() {
    let mut agenda = agenda(HOURLY, "", "00:30:00");
    let first = || vec!["2019-04-01".parse().unwrap()];
    agenda.due(&orders(), first());
    assert_eq!(begun(&mut agenda, "00:30:00").len(), 1);
    agenda.end(&orders(), &due(&["2019-04-01"]), Ended::Fruitless(at("00:30:30")));
    agenda.due(&orders(), first());
    assert_eq!(begun(&mut agenda, "00:30:29"), []);
    agenda.due(&orders(), vec!["2019-04-01".parse().unwrap(), "2019-04-02".parse().unwrap()]);
    assert_eq!(begun(&mut agenda, "00:30:29"), [due(&["2019-04-01", "2019-04-02"])]);
    agenda.end(&orders(), &due(&["2019-04-01", "2019-04-02"]), Ended::Done);
    agenda.due(&orders(), first());
    assert_eq!(begun(&mut agenda, "00:30:30"), [due(&["2019-04-01"])]);
}

#[test]
fn a_clock_that_was_set_back_has_due_days_tried_of_which_nothing_came() {
    let mut agenda = agenda(HOURLY, "", "12:30:00");
    let first = || vec!["2019-04-01".parse().unwrap()];
    agenda.due(&orders(), first());
    assert_eq!(begun(&mut agenda, "12:30:00").len(), 1);
    agenda.end(&orders(), &due(&["2019-04-01"]), Ended::Fruitless(at("12:30:30")));
    agenda.aim(at("03:15:00"));
    agenda.due(&orders(), first());
    assert_eq!(begun(&mut agenda, "03:15:00"), [due(&["2019-04-01"])]);
}

#[test]
fn a_due_day_asks_for_nothing_more_where_it_held_nothing_back() {
    let mut agenda = agenda(HOURLY, "", "00:30:00");
    agenda.due(&orders(), vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(begun(&mut agenda, "00:30:00").len(), 1);
    agenda.end(&orders(), &due(&["2019-04-01"]), Ended::Loaded);
    assert_eq!(begun(&mut agenda, "00:30:01"), []);
}

#[test]
fn a_dataset_that_changes_while_it_is_looked_at_is_not_looked_at_twice_at_a_time() {
    let mut agenda = agenda(HOURLY, "", "00:30:00");
    assert_eq!(begun(&mut agenda, "01:00:00").len(), 1);
    agenda.put(&dataset(DAILY, ""), at("01:30:00"));
    agenda.look(&orders(), Some(Trigger::Start));
    assert_eq!(begun(&mut agenda, "01:30:00"), [], "work under way goes on");
    assert_eq!(agenda.next(), Some(at("02:00:00")));
    agenda.end(&orders(), &look(Trigger::Tick), Ended::Done);
    assert_eq!(begun(&mut agenda, "01:30:01"), [look(Trigger::Start)]);
}

#[test]
fn a_dataset_that_was_removed_is_not_begun_again_when_its_work_ends() {
    let mut agenda = agenda(HOURLY, "", "00:30:00");
    assert_eq!(begun(&mut agenda, "01:00:00").len(), 1);
    agenda.remove(&orders());
    agenda.end(&orders(), &look(Trigger::Tick), Ended::Unreachable);
    assert_eq!(begun(&mut agenda, "09:00:00"), []);
    assert_eq!(agenda.next(), None);
}

#[test]
fn a_dataset_that_comes_back_while_it_is_still_worked_on_is_not_worked_on_twice() {
    let mut agenda = agenda(HOURLY, "", "00:30:00");
    assert_eq!(begun(&mut agenda, "01:00:00").len(), 1);
    agenda.remove(&orders());
    assert_eq!(agenda.working(), 1);
    agenda.put(&dataset(HOURLY, ""), at("01:10:00"));
    agenda.look(&orders(), Some(Trigger::Start));
    assert_eq!(begun(&mut agenda, "01:10:00"), []);
    agenda.end(&orders(), &look(Trigger::Tick), Ended::CutShort);
    assert_eq!(begun(&mut agenda, "01:10:01").len(), 1);
    agenda.remove(&orders());
    agenda.end(&orders(), &look(Trigger::Start), Ended::Done);
    assert_eq!(agenda.working(), 0);
}

#[test]
fn what_a_change_cut_short_is_wanted_again() {
    let mut agenda = agenda(HOURLY, "", "00:30:00");
    assert_eq!(begun(&mut agenda, "01:00:00").len(), 1);
    agenda.put(&dataset(HOURLY, ""), at("01:10:00"));
    agenda.end(&orders(), &look(Trigger::Tick), Ended::CutShort);
    assert_eq!(begun(&mut agenda, "01:10:01"), [look(Trigger::Tick)]);
}

#[test]
fn a_pause_that_is_over_wakes_nobody_while_the_dataset_works() {
    let mut agenda = agenda(HOURLY, "", "12:30:00");
    assert_eq!(begun(&mut agenda, "13:00:00").len(), 1);
    agenda.end(&orders(), &look(Trigger::Tick), Ended::Troubled(at("13:00:08")));
    assert_eq!(agenda.next_try(), Some(at("13:00:08")));
    assert_eq!(begun(&mut agenda, "13:00:08"), [look(Trigger::Tick)]);
    // The next tick comes while it still works: there is nothing to wake for before it ends.
    assert_eq!(begun(&mut agenda, "14:00:00"), []);
    assert_eq!(agenda.next_try(), None);
}

#[test]
fn a_source_that_is_away_keeps_everything_but_late_days_until_its_pause_is_over() {
    let mut agenda = agenda(HOURLY, "", "12:30:00");
    assert_eq!(begun(&mut agenda, "13:00:00"), [look(Trigger::Tick)]);
    agenda.end(&orders(), &look(Trigger::Tick), Ended::Away(at("13:01:00")));
    agenda.due(&orders(), vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(begun(&mut agenda, "13:00:59"), []);
    assert_eq!(agenda.next_try(), Some(at("13:01:00")));
    // What was not done is wanted again, and said why it was wanted first.
    let begun_at = begun(&mut agenda, "13:01:00");
    assert_eq!(begun_at, [look(Trigger::Tick), due(&["2019-04-01"])]);
    // Another lane that meets the same trouble does not lengthen the pause of the first one's look.
    agenda.end(&orders(), &look(Trigger::Tick), Ended::Away(at("13:03:00")));
    agenda.end(&orders(), &due(&["2019-04-01"]), Ended::Away(at("13:03:00")));
    assert_eq!(begun(&mut agenda, "13:02:59"), []);
    assert_eq!(begun(&mut agenda, "13:03:00"), [look(Trigger::Tick)], "due days are found by the next pulse");
}

#[test]
fn a_source_that_answers_ends_the_pause_of_all_lanes() {
    let mut agenda = agenda(HOURLY, "", "12:30:00");
    assert_eq!(begun(&mut agenda, "13:00:00").len(), 1);
    agenda.end(&orders(), &look(Trigger::Tick), Ended::Away(at("13:30:00")));
    agenda.due(&orders(), vec!["2019-04-01".parse().unwrap()]);
    assert_eq!(begun(&mut agenda, "13:00:01"), []);
    agenda.source_answers(&orders());
    assert_eq!(begun(&mut agenda, "13:00:02").len(), 2);
}

#[test]
fn a_person_has_a_source_asked_that_is_away() {
    for asks in [(|agenda: &mut Agenda| agenda.look(&orders(), Some(Trigger::Page))) as fn(&mut Agenda), |agenda| {
        agenda.ask(&orders(), vec!["2019-04-01".parse().unwrap()], Ask::Named);
    }] {
        let mut agenda = agenda(HOURLY, "", "12:30:00");
        assert_eq!(begun(&mut agenda, "13:00:00").len(), 1);
        agenda.end(&orders(), &look(Trigger::Tick), Ended::Away(at("13:30:00")));
        assert_eq!(begun(&mut agenda, "13:00:01"), []);
        asks(&mut agenda);
        assert!(!begun(&mut agenda, "13:00:02").is_empty());
    }
}

#[test]
fn a_clock_that_was_set_ends_the_pause_of_a_source() {
    let mut agenda = agenda(HOURLY, "", "12:30:00");
    assert_eq!(begun(&mut agenda, "13:00:00").len(), 1);
    agenda.end(&orders(), &look(Trigger::Tick), Ended::Away(at("13:30:00")));
    agenda.aim(at("03:15:00"));
    assert_eq!(begun(&mut agenda, "03:15:00"), [look(Trigger::Tick)]);
}
