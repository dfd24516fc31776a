//! All keys with their values as they may be shown, and where each was set: for the page, and so that a reload can say
//! what changed.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use config::{Map, Value, ValueKind};

use super::report::shown;
use super::toml;
use crate::daemon::ConfigValue;
use crate::db::url::DatabaseUrl;

/// Every key by its place: `catch_up.concurrency` for the main file's, `datasets/orders.toml schedule.start` for a
/// dataset's.
pub type Keys = BTreeMap<String, ConfigValue>;

/// Where a key was set that nobody set.
pub(super) const DEFAULT: &str = "default";

/// Tells where a key was set.
type ConfigOrigin<'a> = &'a dyn Fn(&str, &Value) -> String;

/// Adds the keys of a file, each behind `place`; but for those of the database, which [`database`] adds.
pub(super) fn gather(keys: &mut Keys, place: &str, table: &Map<String, Value>, origin: ConfigOrigin) {
    for (name, value) in table {
        if !(place.is_empty() && name == "database") {
            add(keys, place, name, value, origin);
        }
    }
}

/// Adds where the database is, whichever of its keys and variables said so.
pub(super) fn database(keys: &mut Keys, url: &DatabaseUrl, origin: String, schema_origin: Option<String>) {
    if let (DatabaseUrl::Postgres(server), Some(origin)) = (url, schema_origin)
        && let Some(schema) = server.schema()
    {
        let (shown, digest) = (format!("{:?}", schema.as_str()), digest(schema));
        keys.insert("database.schema".to_owned(), ConfigValue { origin, shown, digest });
    }
    keys.insert("database.url".to_owned(), ConfigValue { origin, shown: url.to_string(), digest: digest(url) });
}

/// Adds the main file's keys that nobody set.
pub(super) fn defaults(keys: &mut Keys) {
    let mut all = Keys::new();
    gather(&mut all, "", &toml::shipped(), &|_, _| DEFAULT.to_owned());
    for (key, given) in all {
        keys.entry(key).or_insert(given);
    }
}

fn digest(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn add(keys: &mut Keys, place: &str, key: &str, value: &Value, origin: ConfigOrigin) {
    match &value.kind {
        ValueKind::Table(table) => {
            for (name, value) in table {
                add(keys, place, &format!("{key}.{name}"), value, origin);
            }
        }
        ValueKind::Array(values) if values.iter().any(|value| matches!(value.kind, ValueKind::Table(_))) => {
            for (number, value) in values.iter().enumerate() {
                add(keys, place, &format!("{key}[{number}]"), value, origin);
            }
        }
        kind => {
            let (shown, digest) = (shown(key, kind), digest(kind.to_string()));
            keys.insert(format!("{place}{key}"), ConfigValue { origin: origin(key, value), shown, digest });
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
            gather(&mut keys, "", &config::Source::collect(&file).unwrap(), &|key, _| format!("where {key} is"));
            keys
        };
        let old = keys("a.b = 1\nlist = [{ c = 'x' }]\nurl = 'https://u:p@h/'\ndatabase.url = 'postgres://u:p@h/d'");
        assert_eq!(old.keys().collect::<Vec<_>>(), ["a.b", "list[0].c", "url"]);
        let new = keys("a.b = 1\nlist = [{ c = 'x' }]\nurl = 'https://u:q@h/'");
        for (key, shown, same) in
            [("a.b", "1", true), ("list[0].c", "\"x\"", true), ("url", "\"https://***@h/\"", false)]
        {
            assert_eq!((old[key].shown.as_str(), new[key].shown.as_str()), (shown, shown));
            assert_eq!(old[key].digest == new[key].digest, same, "{key}");
            assert_eq!(old[key].origin, format!("where {key} is"));
        }
    }
}
