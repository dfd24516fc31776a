//! The daemon's page: what is around it. `settings` says where it listens.

mod settings;

pub use settings::{Settings, TlsFiles, is_loopback};
