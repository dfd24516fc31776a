//! The hash of a dataset's definition, written down.

use dayfill::config::{self, Environment};

/// Every key that the hash covers, none left at its default.
const DATASET: &str = r#"
[source]
url = "days/{day}.csv"
[schedule]
cron = "0 2 * * *"
start = 2024-03-01
[csv]
delimiter = ";"
quote = "'"
null = ["", "N/A"]
[target]
table = "orders"
mode = "upsert"
key = ["id"]
day_column = "day"
loaded_at = "created_at"
[rows]
where = { postgres = "tags @> '[1]'", sqlite = "tags = '[1]'" }
columns = [
  { name = "id", type = "uuid", required = true, from = "Id" },
  { name = "amount", type = "numeric", default = 0 },
  { name = "tags", type = "json", optional = true },
]
derive = [{ name = "is_paid", type = "boolean", sql = "amount > 0" }]
"#;

/// The hash is stored with each loaded day and compared ever after. If it came out otherwise for a dataset that nobody
/// changed, `status` would name every day that is loaded as loaded by an older definition. So a change of this text has
/// to be meant: a new key that decides what a row becomes should leave the hash of datasets without it as it was.
#[test]
fn the_hash_of_a_definition_stays_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("datasets")).unwrap();
    std::fs::write(folder.path().join("dayfill.toml"), "").unwrap();
    std::fs::write(folder.path().join("datasets/orders.toml"), DATASET).unwrap();
    let config = config::load(Some(&folder.path().join("dayfill.toml")), &Environment::from_pairs([]));
    let config = config.unwrap_or_else(|problems| panic!("{problems}"));
    let hash = dayfill::definition::hash(&config.datasets[0]);
    assert_eq!(hash, "2:c9c3deb023dd5a9f1cfb9b0a47cf5470943904f9657148d283722ce1cd8cae05");
}
