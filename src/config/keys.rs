//! All keys that files and environment gave, as they may be shown: so that a reload can say what changed.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use config::{Map, Value, ValueKind};

use super::report::shown;
use crate::daemon::Given;

/// Every key by its place: `catch_up.concurrency` for the main file's, `datasets/orders.toml schedule.start` for a
/// dataset's. Where the database is stands in none of them.
pub type Keys = BTreeMap<String, Given>;

/// Adds the keys of a file, each behind `place`.
pub(super) fn gather(keys: &mut Keys, place: &str, table: &Map<String, Value>) {
    for (name, value) in table {
        if !(place.is_empty() && name == "database") {
            add(keys, place, name, value);
        }
    }
}

fn add(keys: &mut Keys, place: &str, key: &str, value: &Value) {
    match &value.kind {
        ValueKind::Table(table) => {
            for (name, value) in table {
                add(keys, place, &format!("{key}.{name}"), value);
            }
        }
        ValueKind::Array(values) if values.iter().any(|value| matches!(value.kind, ValueKind::Table(_))) => {
            for (number, value) in values.iter().enumerate() {
                add(keys, place, &format!("{key}[{number}]"), value);
            }
        }
        kind => {
            let mut hasher = DefaultHasher::new();
            kind.to_string().hash(&mut hasher);
            let shown = Given { shown: shown(key, kind), digest: hasher.finish() };
            keys.insert(format!("{place}{key}"), shown);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_shown_without_secrets_and_still_told_apart() {
        let keys = |toml: &str| {
            let file = config::File::from_str(toml, config::FileFormat::Toml);
            let mut keys = Keys::new();
            gather(&mut keys, "", &config::Source::collect(&file).unwrap());
            keys
        };
        let old = keys("a.b = 1\nlist = [{ c = 'x' }]\nurl = 'https://u:p@h/'\ndatabase.url = 'postgres://u:p@h/d'");
        assert_eq!(old.keys().collect::<Vec<_>>(), ["a.b", "list[0].c", "url"]);
        let new = keys("a.b = 1\nlist = [{ c = 'x' }]\nurl = 'https://u:q@h/'");
        assert_eq!((&old["a.b"], &old["list[0].c"]), (&new["a.b"], &new["list[0].c"]));
        assert_eq!(old["url"].shown, new["url"].shown);
        assert_ne!(old["url"], new["url"]);
    }
}
