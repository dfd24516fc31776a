//! What both files have.

use std::time::Duration;

use super::{Folder, GOOD};

#[test]
fn a_datasets_own_policy_comes_before_the_main_files() {
    let main = "[waiting]\npoll = \"5m\"\ndeadline = \"07:30\"\n[catch_up]\nmax_days_per_tick = 3\n";
    let own = format!("{GOOD}\n[waiting]\npoll = \"1m\"\n[catch_up]\nmax_days_per_tick = \"all\"\n");
    let config = Folder::new(main)
        .write("datasets/a.toml", GOOD)
        .write("datasets/b.toml", &own.replace("table = \"t\"", "table = \"u\""))
        .load([])
        .unwrap();
    let [a, b] = config.datasets.as_slice() else { panic!("two datasets") };
    assert_eq!((a.policy.waiting.poll, b.policy.waiting.poll), (Duration::from_mins(5), Duration::from_mins(1)));
    assert_eq!(b.policy.waiting.deadline, chrono::NaiveTime::from_hms_opt(7, 30, 0));
    assert_eq!((a.policy.catch_up.max_days_per_tick, b.policy.catch_up.max_days_per_tick), (Some(3), None));
    assert!(a.policy.catch_up.on_start && !a.policy.catch_up.stop_on_failure);
}
