//! The database.

pub mod url;
