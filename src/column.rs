//! Columns and their types, the identifiers that name them, and the SQL that filters or derives them.

use std::fmt;
use std::str::FromStr;

/// The stage's own column: the line of the file on which the row begins.
pub const STAGE_LINE: &str = "dayfill_line";

/// What the names begin with under which the target takes columns that expressions see in another type.
pub const STAGED_PREFIX: &str = "dayfill_staged_";

/// An SQL identifier as PostgreSQL and SQLite both take it without surprises: a letter or `_`, then letters, digits or
/// `_`, at most 63 bytes (PostgreSQL cuts longer ones: `NAMEDATALEN` in its manual, "Identifiers and Key Words").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier(String);

impl Identifier {
    /// The name in double quotes, ready to stand in a statement.
    #[must_use]
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.0)
    }

    /// The bare name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Identifier {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut chars = text.chars();
        let first = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        if first && text.len() <= 63 && chars.all(|c| c.is_ascii_alphanumeric() || c == '_') {
            Ok(Self(text.to_owned()))
        } else {
            Err("is not an identifier (a letter or _, then letters, digits or _, at most 63)".to_owned())
        }
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A table's name, with its schema where one is given: `table` or `schema.table`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableName {
    /// The schema; `None` leaves it to the connection's search path.
    pub schema: Option<Identifier>,
    /// The table.
    pub name: Identifier,
}

impl TableName {
    /// True when both may name the same table, as far as the names tell: SQLite knows no case, and a table without a
    /// schema is one of the schema that both databases have by themselves.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        let parts = |table: &Self| {
            let schema = table.schema.as_ref().map_or("", |schema| schema.as_str());
            let schema = if ["public", "main"].contains(&schema) { "" } else { schema };
            (schema.to_ascii_lowercase(), table.name.as_str().to_ascii_lowercase())
        };
        parts(self) == parts(other)
    }

    /// The name in double quotes, ready to stand in a statement.
    #[must_use]
    pub fn quoted(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", schema.quoted(), self.name.quoted()),
            None => self.name.quoted(),
        }
    }
}

impl FromStr for TableName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (schema, name) = match text.split_once('.') {
            Some((schema, name)) => (Some(schema.parse()?), name),
            None => (None, text),
        };
        Ok(Self { schema, name: name.parse()? })
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => write!(f, "{}", self.name),
        }
    }
}

/// What a column holds. Each type accepts a documented part of what PostgreSQL's type of the same name accepts
/// (`docs/rows.md`), and nothing that PostgreSQL would refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// Any UTF-8 text without a NUL byte.
    Text,
    /// True or false.
    Boolean,
    /// A whole number of 32 bits.
    Integer,
    /// A whole number of 64 bits.
    Bigint,
    /// An IEEE 754 double.
    Double,
    /// A decimal number of any precision.
    Numeric,
    /// A calendar date.
    Date,
    /// A date and a time of day without a zone.
    Timestamp,
    /// An instant; a value without an offset is in UTC.
    Timestamptz,
    /// A UUID.
    Uuid,
    /// A JSON value (PostgreSQL's `jsonb`).
    Json,
}

impl ColumnType {
    /// All types, in the order the documentation names them.
    pub const ALL: [Self; 11] = [
        Self::Text,
        Self::Boolean,
        Self::Integer,
        Self::Bigint,
        Self::Double,
        Self::Numeric,
        Self::Date,
        Self::Timestamp,
        Self::Timestamptz,
        Self::Uuid,
        Self::Json,
    ];

    /// The type's name in a dataset file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Bigint => "bigint",
            Self::Double => "double",
            Self::Numeric => "numeric",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::Timestamptz => "timestamptz",
            Self::Uuid => "uuid",
            Self::Json => "json",
        }
    }

    /// The type with its article, for sentences: `"abc" is not a bigint`.
    #[must_use]
    pub fn with_article(self) -> String {
        let article = if self == Self::Integer { "an" } else { "a" };
        format!("{article} {}", self.name())
    }
}

impl FromStr for ColumnType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| "is not a column type".to_owned())
    }
}

/// One column of the file that ends up in the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The column's name in the stage and the target.
    pub name: Identifier,
    /// The header it is read from; the name unless the dataset says `from`.
    pub header: String,
    /// What it holds.
    pub kind: ColumnType,
    /// A row whose value is null is rejected.
    pub required: bool,
    /// The file may lack the column; its values are then null or the default.
    pub optional: bool,
    /// Stands for a null value, and for every value of a column the file lacks.
    pub default: Option<String>,
}

/// An SQL expression, in the words of each database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sql {
    /// As PostgreSQL reads it.
    pub postgres: String,
    /// As SQLite reads it.
    pub sqlite: String,
}

/// A column whose value is computed from the staged row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derived {
    /// The column's name in the target.
    pub name: Identifier,
    /// What it holds.
    pub kind: ColumnType,
    /// The expression over the staged row's columns and the day column.
    pub sql: Sql,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers() {
        for good in ["a", "_a", "A9_", "algolia_output"] {
            assert_eq!(good.parse::<Identifier>().unwrap().quoted(), format!("\"{good}\""));
        }
        for bad in ["", "9a", "a-b", "a b", "a\"b", "a.b", "é", &"x".repeat(64)] {
            assert!(bad.parse::<Identifier>().is_err(), "{bad}");
        }
    }

    #[test]
    fn table_names_may_have_a_schema() {
        assert_eq!("t".parse::<TableName>().unwrap().quoted(), "\"t\"");
        assert_eq!("s.t".parse::<TableName>().unwrap().quoted(), "\"s\".\"t\"");
        assert!("a.b.c".parse::<TableName>().is_err());
        let same = |one: &str, other: &str| one.parse::<TableName>().unwrap().same(&other.parse().unwrap());
        assert!(same("t", "public.T") && same("main.t", "t") && !same("s.t", "t") && !same("t", "u"));
        assert!(".t".parse::<TableName>().is_err());
    }

    #[test]
    fn types_are_found_by_their_names() {
        for kind in ColumnType::ALL {
            assert_eq!(kind.name().parse::<ColumnType>(), Ok(kind));
        }
        assert!("int".parse::<ColumnType>().is_err());
    }
}
