//! What in a dataset's file decides what rows become and where, as a hash: it is stored with each loaded day, and tells
//! days that another definition made.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::column::{Column, Derived, Identifier, Sql};
use crate::dataset::{CsvFormat, Dataset, Mode, Rows, Target};
use crate::wording::hex;

/// What hashes begin with whose text is the one below. Hashes without it were made of a text that later versions cannot
/// make again: of their days it is not known whether another definition made them, and nothing is said of them.
pub const FORM: &str = "2:";

/// True when a day that was loaded with the hash `stored` may have been loaded by the definition of that hash.
#[must_use]
pub fn may_be(stored: Option<&str>, hash: &str) -> bool {
    stored.is_some_and(|stored| stored == hash || !stored.starts_with(FORM))
}

/// [`FORM`] and SHA-256, in hexadecimal, over everything that decides what a file's rows become and where: format,
/// columns, filter, derived columns, table, mode and key. Where the files are, when they come and the limits are left
/// out.
#[must_use]
pub fn hash(dataset: &Dataset) -> String {
    let text = Value::from(parts(dataset)).to_string();
    format!("{FORM}{}", hex(&Sha256::digest(text)))
}

/// The definition as pairs of a key and its value, in this order for good. A new key is added behind the others where
/// its value is not the default, so that datasets without it keep their hash.
fn parts(dataset: &Dataset) -> Vec<Value> {
    let Dataset { csv, target, rows, .. } = dataset;
    let CsvFormat { delimiter, quote, null: nulls, last_line_end_required: _ } = csv;
    let Target { table, mode, key, day_column, loaded_at } = target;
    let Rows { columns, filter, derive } = rows;
    let mode = Mode::ALL.iter().find(|(_, known)| known == mode).map(|(name, _)| *name);
    let names = |names: &[Identifier]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    vec![
        json!(["csv.delimiter", delimiter]),
        json!(["csv.quote", quote]),
        json!(["csv.null", nulls]),
        json!(["target.table", table.to_string()]),
        json!(["target.mode", mode]),
        json!(["target.key", names(key)]),
        json!(["target.day_column", day_column.to_string()]),
        json!(["target.loaded_at", loaded_at.as_ref().map(ToString::to_string)]),
        json!(["rows.columns", columns.iter().map(column).collect::<Vec<_>>()]),
        json!(["rows.where", filter.as_ref().map(sql)]),
        json!(["rows.derive", derive.iter().map(derived).collect::<Vec<_>>()]),
    ]
}

fn column(column: &Column) -> Value {
    let Column { name, header, kind, required, optional, default } = column;
    json!([name.to_string(), header, kind.name(), required, optional, default])
}

fn derived(derived: &Derived) -> Value {
    json!([derived.name.to_string(), derived.kind.name(), sql(&derived.sql)])
}

fn sql(sql: &Sql) -> Value {
    json!([sql.postgres, sql.sqlite])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_of_the_form_before_is_as_good_as_the_present_one() {
        let hash = format!("{FORM}ab");
        for (stored, may_be_it) in
            [(Some("2:ab"), true), (Some("2:cd"), false), (Some("7ae5722c"), true), (None, false)]
        {
            assert_eq!(may_be(stored, &hash), may_be_it, "{stored:?}");
        }
    }
}
