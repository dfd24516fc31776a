//! Why a text is no value of its column's type.

use crate::column::ColumnType;

/// What is wrong with a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ValueError {
    /// It is nothing of the kind.
    NotOne,
    /// It is of the kind, but too big, too small or too precise.
    OutOfRange,
    /// Something that needs its own words.
    Because(String),
}

impl ValueError {
    /// The reason in words, without the value.
    #[cold]
    pub(super) fn reason(self, kind: ColumnType, text: &str) -> String {
        match self {
            // No type takes a NUL, and that it is there is hard to see.
            _ if text.contains('\0') => "holds a NUL byte".to_owned(),
            Self::NotOne => format!("is not {}", kind.with_article()),
            Self::OutOfRange => format!("is out of range for {}", kind.with_article()),
            Self::Because(reason) => reason,
        }
    }
}
