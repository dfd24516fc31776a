use chrono::Datelike;
use proptest::prelude::*;

use super::*;
use crate::dataset::Weekdays;

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn schedule(start: &str, end: Option<&str>, lag_days: u32, days: &str) -> Schedule {
    Schedule {
        cron: "0 2 * * *".to_owned(),
        timezone: crate::zone::Zone::UTC,
        start: day(start),
        end: end.map(day),
        lag_days,
        days: if days.is_empty() { Weekdays::ALL } else { days.parse().unwrap() },
    }
}

const NOW: DateTime<Utc> = NaiveDate::from_ymd_opt(2019, 4, 2).unwrap().and_hms_opt(12, 0, 0).unwrap().and_utc();

fn known(state: State) -> Known {
    Known { state, attempts: 1, in_target: state == State::Loaded, next_look: None, owner: Owner::Gone }
}

/// A policy of that many attempts.
fn attempts(max_attempts: u32) -> Policy {
    let mut policy = Policy::default();
    policy.retry.max_attempts = max_attempts;
    policy
}

fn texts(days: &[Day]) -> Vec<String> {
    days.iter().map(ToString::to_string).collect()
}

#[test]
fn the_tick_of_the_second_wants_the_first_with_a_lag_of_one_day() {
    let schedule = schedule("2019-04-01", None, 1, "");
    assert_eq!(texts(&wanted(&schedule, Some(day("2019-04-02").date()))), ["2019-04-01"]);
    assert_eq!(wanted(&schedule, Some(day("2019-04-01").date())), []);
    assert_eq!(wanted(&schedule, None), []);
}

#[test]
fn wanted_days_end_at_the_end_and_keep_to_their_weekdays() {
    let weekdays = schedule("2019-04-01", Some("2019-04-09"), 0, "mon-fri");
    let days = wanted(&weekdays, Some(day("2030-01-01").date()));
    assert_eq!(days.len(), 7);
    assert_eq!(texts(&days[4..6]), ["2019-04-05", "2019-04-08"]);
}

#[test]
fn done_days_are_left() {
    for state in [State::Loaded, State::Skipped, State::Refused] {
        assert_eq!(
            decide(Some(&known(state)), LoadMode::NotDone, NOW, &Policy::default()),
            Decision::Skip(SkipReason::Done(state))
        );
    }
    let exhausted = Known { attempts: 5, ..known(State::Failed) };
    assert_eq!(
        decide(Some(&exhausted), LoadMode::NotDone, NOW, &Policy::default()),
        Decision::Skip(SkipReason::Exhausted)
    );
    let live = Known { owner: Owner::Alive, ..known(State::Running) };
    assert_eq!(decide(Some(&live), LoadMode::Forced, NOW, &Policy::default()), Decision::Skip(SkipReason::Busy));
    let here = Known { owner: Owner::Here, ..live };
    assert_eq!(decide(Some(&here), LoadMode::Forced, NOW, &Policy::default()), Decision::Skip(SkipReason::Here));
}

#[test]
fn the_schedule_waits_for_the_next_look_and_a_person_does_not() {
    let later = NOW + chrono::TimeDelta::seconds(1);
    for state in [State::Waiting, State::Failed] {
        let known = Known { next_look: Some(later), ..known(state) };
        for ask in [LoadMode::Tick, LoadMode::Due] {
            assert_eq!(decide(Some(&known), ask, NOW, &Policy::default()), Decision::Skip(SkipReason::NotDue));
            assert!(matches!(decide(Some(&known), ask, later, &Policy::default()), Decision::Load(_)));
        }
        assert!(matches!(decide(Some(&known), LoadMode::NotDone, NOW, &Policy::default()), Decision::Load(_)));
    }
}

#[test]
fn no_look_lies_further_ahead_than_the_longest_pause() {
    let policy = Policy::default();
    // A clock that was 30 days ahead wrote the first, another one was right.
    for (state, ahead, is_due) in [
        (State::Waiting, chrono::TimeDelta::days(30), true),
        (State::Waiting, chrono::TimeDelta::minutes(15), false),
        (State::Waiting, chrono::TimeDelta::hours(1), true),
        (State::Failed, chrono::TimeDelta::days(30), true),
        (State::Failed, chrono::TimeDelta::minutes(65), false),
    ] {
        let known = Known { next_look: Some(NOW + ahead), ..known(state) };
        for ask in [LoadMode::Tick, LoadMode::Due] {
            let decision = decide(Some(&known), ask, NOW, &policy);
            assert_eq!(matches!(decision, Decision::Load(_)), is_due, "{state} {ahead}");
        }
    }
}

#[test]
fn a_start_looks_for_what_waits_and_leaves_failed_days_their_pause() {
    let next_look = Some(NOW + chrono::TimeDelta::minutes(5));
    let decision = |state| decide(Some(&Known { next_look, ..known(state) }), LoadMode::Start, NOW, &Policy::default());
    assert_eq!(decision(State::Waiting), Decision::Load(Reason::Waiting));
    assert_eq!(decision(State::Failed), Decision::Skip(SkipReason::NotDue));
    assert_eq!(decision(State::Absent), Decision::Load(Reason::Absent));
}

#[test]
fn a_day_left_running_is_tried_again_until_its_attempts_run_out() {
    let left = known(State::Running);
    assert_eq!(decide(Some(&left), LoadMode::NotDone, NOW, &Policy::default()), Decision::Load(Reason::LeftRunning));
    assert_eq!(decide(Some(&left), LoadMode::NotDone, NOW, &attempts(1)), Decision::Settle(State::Failed));
    let reload = Known { in_target: true, ..left };
    assert_eq!(decide(Some(&reload), LoadMode::NotDone, NOW, &Policy::default()), Decision::Settle(State::Loaded));
    assert_eq!(decide(Some(&reload), LoadMode::Forced, NOW, &attempts(1)), Decision::Load(Reason::LeftRunning));
    assert_eq!(
        decide(Some(&reload), LoadMode::Named, NOW, &Policy::default()),
        Decision::Settle(State::Loaded),
        "only force reloads"
    );
    assert_eq!(decide(Some(&left), LoadMode::Named, NOW, &attempts(1)), Decision::Load(Reason::LeftRunning));
}

#[test]
fn naming_a_day_loads_it_unless_it_is_loaded() {
    for state in [State::Waiting, State::Failed, State::Refused, State::Absent, State::Skipped] {
        assert_eq!(
            decide(Some(&known(state)), LoadMode::Named, NOW, &attempts(1)),
            Decision::Load(Reason::Asked(state))
        );
    }
    assert_eq!(
        decide(Some(&known(State::Loaded)), LoadMode::Named, NOW, &attempts(1)),
        Decision::Skip(SkipReason::Done(State::Loaded))
    );
    assert!(matches!(decide(Some(&known(State::Loaded)), LoadMode::Forced, NOW, &attempts(1)), Decision::Load(_)));
}

#[test]
fn a_retry_takes_failed_refused_and_absent_days_and_leaves_what_became_of_them_meanwhile() {
    let decision = |known: Option<&Known>| decide(known, LoadMode::Retry(ToRetry::ALL), NOW, &attempts(1));
    let not_to_retry = |state| Decision::Skip(SkipReason::NotToRetry(state));
    assert_eq!(decision(None), not_to_retry(None), "forgotten");
    for (state, expected) in [
        (State::Failed, Decision::Load(Reason::Asked(State::Failed))),
        (State::Refused, Decision::Load(Reason::Asked(State::Refused))),
        (State::Absent, Decision::Load(Reason::Asked(State::Absent))),
        (State::Running, Decision::Load(Reason::LeftRunning)),
        (State::Loaded, Decision::Skip(SkipReason::Done(State::Loaded))),
        (State::Skipped, not_to_retry(Some(State::Skipped))),
        (State::Waiting, not_to_retry(Some(State::Waiting))),
    ] {
        assert_eq!(decision(Some(&known(state))), expected, "{state}");
    }
    let live = Known { owner: Owner::Alive, ..known(State::Running) };
    assert_eq!(decision(Some(&live)), Decision::Skip(SkipReason::Busy));
    // It failed when it was chosen, and was refused since.
    let failed = LoadMode::Retry(ToRetry { failed: true, refused: false, absent: false });
    let refused = decide(Some(&known(State::Refused)), failed, NOW, &attempts(1));
    assert_eq!(refused, not_to_retry(Some(State::Refused)));
}

/// The days of a plan that are loaded, for April 2019 with these states from its first day on.
fn loaded(states: &[Option<State>], ask: LoadMode, policy: &Policy) -> Vec<String> {
    let days: Vec<Day> = schedule_days(states.len());
    let rows = days.iter().zip(states).filter_map(|(day, state)| Some((*day, known((*state)?)))).collect();
    let backlog = policy.catch_up.max_days_per_tick.filter(|_| ask == LoadMode::Tick);
    let plan = plan(&days, &rows, ask, NOW, policy, backlog);
    plan.into_iter().filter(|(_, d)| matches!(d, Decision::Load(_))).map(|(day, _)| day.to_string()).collect()
}

fn schedule_days(number: usize) -> Vec<Day> {
    let tick = day("2019-04-01").date() + chrono::TimeDelta::days(i64::try_from(number).unwrap() - 1);
    wanted(&schedule("2019-04-01", None, 0, ""), Some(tick))
}

#[test]
fn between_ticks_only_days_that_were_looked_at_are_due() {
    assert_eq!(decide(None, LoadMode::Due, NOW, &Policy::default()), Decision::Skip(SkipReason::NotDue));
    assert_eq!(
        decide(Some(&known(State::Absent)), LoadMode::Due, NOW, &Policy::default()),
        Decision::Skip(SkipReason::Done(State::Absent))
    );
    assert_eq!(
        decide(Some(&known(State::Running)), LoadMode::Due, NOW, &Policy::default()),
        Decision::Load(Reason::LeftRunning)
    );
}

#[test]
fn a_changed_file_concerns_loaded_and_refused_days_alone() {
    for state in [State::Loaded, State::Refused] {
        assert_eq!(
            decide(Some(&known(state)), LoadMode::Changed, NOW, &Policy::default()),
            Decision::Load(Reason::Changed),
            "{state}"
        );
    }
    assert_eq!(decide(None, LoadMode::Changed, NOW, &Policy::default()), Decision::Skip(SkipReason::NotDue));
    for state in [State::Waiting, State::Failed, State::Absent, State::Skipped] {
        assert!(
            matches!(decide(Some(&known(state)), LoadMode::Changed, NOW, &Policy::default()), Decision::Skip(_)),
            "{state}"
        );
    }
}

#[test]
fn absent_days_are_looked_for_while_they_are_new() {
    let mut policy = Policy::default();
    policy.waiting.absent_days = 2;
    let absent = [Some(State::Absent); 4];
    assert_eq!(loaded(&absent, LoadMode::Tick, &policy), ["2019-04-03", "2019-04-04"]);
    policy.waiting.absent_days = 0;
    assert_eq!(loaded(&absent, LoadMode::Tick, &policy), [""; 0]);
}

#[test]
fn a_tick_takes_so_much_of_the_backlog_and_always_the_newest_day() {
    let mut policy = Policy::default();
    policy.catch_up.max_days_per_tick = Some(1);
    let states = [None, Some(State::Loaded), None, None];
    assert_eq!(loaded(&states, LoadMode::Tick, &policy), ["2019-04-01", "2019-04-04"]);
    assert_eq!(loaded(&states, LoadMode::NotDone, &policy), ["2019-04-01", "2019-04-03", "2019-04-04"]);
    policy.catch_up.max_days_per_tick = Some(0);
    assert_eq!(loaded(&states, LoadMode::Tick, &policy), ["2019-04-04"]);
}

#[test]
fn an_older_day_that_failed_or_was_refused_holds_back_newer_ones_where_that_is_asked_for() {
    let mut policy = Policy::default();
    let states = [None, Some(State::Refused), None];
    assert_eq!(loaded(&states, LoadMode::Tick, &policy), ["2019-04-01", "2019-04-03"]);
    policy.catch_up.stop_on_failure = true;
    assert_eq!(loaded(&states, LoadMode::Tick, &policy), ["2019-04-01"]);
    let held = plan(
        &schedule_days(3),
        &BTreeMap::from([(day("2019-04-02"), known(State::Refused))]),
        LoadMode::Tick,
        NOW,
        &policy,
        None,
    );
    assert_eq!(held[2].1, Decision::Skip(SkipReason::HeldBack(day("2019-04-02"))));
    // One that is tried again now does not, until it fails again.
    assert_eq!(loaded(&[Some(State::Failed), None], LoadMode::Tick, &policy), ["2019-04-01", "2019-04-02"]);
}

#[test]
fn a_day_that_failed_and_is_tried_again_elsewhere_holds_back_newer_ones() {
    let mut policy = Policy::default();
    policy.catch_up.stop_on_failure = true;
    let planned = |attempts, in_target| {
        let running = Known { attempts, in_target, owner: Owner::Alive, ..known(State::Running) };
        let rows = BTreeMap::from([(day("2019-04-01"), running)]);
        plan(&schedule_days(2), &rows, LoadMode::Tick, NOW, &policy, None)[1].1
    };
    assert_eq!(planned(2, false), Decision::Skip(SkipReason::HeldBack(day("2019-04-01"))));
    assert_eq!(planned(1, false), Decision::Load(Reason::Missing), "it did not fail yet");
    assert_eq!(planned(2, true), Decision::Load(Reason::Missing), "its rows are there");
}

fn any_state() -> impl Strategy<Value = State> {
    proptest::sample::select(State::ALL.to_vec())
}

fn any_ask() -> impl Strategy<Value = LoadMode> {
    proptest::sample::select(vec![
        LoadMode::Tick,
        LoadMode::Start,
        LoadMode::Due,
        LoadMode::NotDone,
        LoadMode::Named,
        LoadMode::Retry(ToRetry::ALL),
        LoadMode::Forced,
        LoadMode::Changed,
    ])
}

proptest! {
    /// Whatever clock wrote it, no look or attempt is waited for beyond now plus the longest pause of the policy.
    #[test]
    fn no_next_look_counts_beyond_the_longest_pause(
        ahead in -5_000_000i64..5_000_000, ask in any_ask(), failed in any::<bool>(), attempts in 0u32..4,
        poll in 1u64..100_000, first in 1u64..10_000, most in 1u64..100_000,
    ) {
        let seconds = std::time::Duration::from_secs;
        let mut policy = Policy::default();
        policy.waiting.poll = seconds(poll);
        (policy.retry.first_delay, policy.retry.max_delay) = (seconds(first), seconds(most));
        let state = if failed { State::Failed } else { State::Waiting };
        let next_look = Some(NOW + chrono::TimeDelta::seconds(ahead));
        let decision = decide(Some(&Known { attempts, next_look, ..known(state) }), ask, NOW, &policy);
        if ask != LoadMode::Changed && decision == Decision::Skip(SkipReason::NotDue) {
            // A tenth more than the delay is chance; and clocks are not read to the second.
            let longest = if failed { first.max(most) * 11 / 10 } else { poll };
            prop_assert!(ahead > 0 && ahead <= i64::try_from(longest).unwrap() + 6, "{}", ahead);
        }
    }

    /// A refused day is left alone until its file is another, or a person names it; however many attempts it took.
    #[test]
    fn a_refused_day_is_tried_anew_for_another_file_and_for_nothing_else_by_itself(
        ask in any_ask(), attempts in 0u32..99, ahead in proptest::option::of(-5_000_000i64..5_000_000),
        max_attempts in 1u32..9,
    ) {
        let next_look = ahead.map(|ahead| NOW + chrono::TimeDelta::seconds(ahead));
        let refused = Known { attempts, next_look, ..known(State::Refused) };
        let expected = match ask {
            LoadMode::Changed => Decision::Load(Reason::Changed),
            LoadMode::Named | LoadMode::Retry(_) | LoadMode::Forced => Decision::Load(Reason::Asked(State::Refused)),
            LoadMode::Tick | LoadMode::Start | LoadMode::Due | LoadMode::NotDone => Decision::Skip(SkipReason::Done(State::Refused)),
        };
        prop_assert_eq!(decide(Some(&refused), ask, NOW, &self::attempts(max_attempts)), expected);
    }

    /// The plan never repeats a day, never skips one and keeps the order: loaded days and planned days together
    /// are the wanted days, whatever holes there are.
    #[test]
    fn wanted_is_done_and_planned_together(
        start in 0i32..4000, length in 0i32..400, lag in 0u32..5,
        holes in proptest::collection::btree_map(0i32..400, any_state(), 0..60)
    ) {
        let first = NaiveDate::from_num_days_from_ce_opt(730_000 + start).unwrap();
        let schedule = Schedule { start: Day::new(first), lag_days: lag, ..schedule("2019-04-01", None, 0, "") };
        let tick = NaiveDate::from_num_days_from_ce_opt(first.num_days_from_ce() + length).unwrap();
        let wanted = wanted(&schedule, Some(tick));
        prop_assert_eq!(wanted.len(), usize::try_from((length - i32::try_from(lag).unwrap() + 1).max(0)).unwrap());
        for days in -3..length + 3 {
            let day = Day::new(first + chrono::TimeDelta::days(i64::from(days)));
            prop_assert_eq!(is_wanted(&schedule, Some(tick), day), wanted.contains(&day), "{}", day);
        }
        prop_assert!(wanted.windows(2).all(|pair| pair[0].next() == pair[1]));
        let rows: BTreeMap<Day, Known> = holes
            .iter()
            .map(|(offset, state)| (Day::new(first + chrono::TimeDelta::days(i64::from(*offset))), known(*state)))
            .collect();
        let plan = plan(&wanted, &rows, LoadMode::NotDone, NOW, &Policy::default(), None);
        let wanted_last = wanted.last().copied();
        prop_assert_eq!(plan.iter().map(|(day, _)| *day).collect::<Vec<_>>(), wanted);
        for (day, decision) in plan {
            let lately = wanted_last.is_some_and(|last| day > last.minus(30));
            let done = rows.get(&day).is_some_and(|known| match known.state {
                State::Loaded | State::Skipped | State::Refused => true,
                State::Absent => !lately,
                _ => false,
            });
            prop_assert_eq!(matches!(decision, Decision::Load(_)), !done);
        }
    }
}
