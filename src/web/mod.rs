//! The web: what people see of the daemon in a browser.

pub mod page;
