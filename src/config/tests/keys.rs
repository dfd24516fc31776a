//! Where each key was set.

use super::{Folder, GOOD, shipped};

#[test]
fn every_key_tells_where_it_was_set() {
    let folder = Folder::new("[claim]\nlease = \"5s\"\n[retry]\nmax_attempts = 2").write("datasets/a.toml", GOOD);
    let variables = [("DAYFILL__CLAIM__LEASE", "6s"), ("dayfill__waiting__poll", "1m"), ("DAYFILL__LOG__LEVEL", "")];
    let keys = folder.load(variables).unwrap().keys;
    let told = |key: &str| {
        let given = keys.get(key).unwrap_or_else(|| panic!("{key}: {keys:?}"));
        let shown = given.shown.replace(&format!("{}/", folder.0.path().display()), "");
        (shown, given.origin.replace(&format!("{}/", folder.0.path().display()), ""))
    };
    for (key, shown, origin) in [
        ("claim.lease", "\"6s\"", "DAYFILL__CLAIM__LEASE"),
        ("waiting.poll", "\"1m\"", "dayfill__waiting__poll"),
        ("retry.max_attempts", "2", "dayfill.toml"),
        ("log.level", "\"info\"", "default"),
        ("database.url", "sqlite:dayfill.db", "default"),
        ("datasets/a.toml target.table", "\"t\"", "datasets/a.toml"),
    ] {
        assert_eq!(told(key), (shown.to_owned(), origin.to_owned()), "{key}");
    }
    let of_main = keys.keys().filter(|key| !key.contains(".toml ")).count();
    let shipped = shipped().keys;
    assert_eq!(of_main, shipped.keys().filter(|key| !key.contains(".toml ")).count(), "what is left out is there, too");
    assert!(shipped.values().all(|given| given.origin != "default"));
}
