//! The integration tests: one program, a module per topic.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

mod accepted;
mod api;
mod architecture;
mod bad_rows;
mod ci;
mod conformance;
mod crash;
mod cut_off;
mod daemon;
mod definition;
mod documentation;
mod encodings;
mod exit_codes;
mod found;
mod goldens;
mod locks;
mod logging;
mod many_days;
mod metrics;
mod packaging;
mod postgres_tls;
mod rejected_rows;
mod s3_environment;
mod s3_load;
mod sample;
mod secrets;
mod source;
mod sqlite_busy;
mod strange_files;
mod strict_csv;
mod support;
mod support_works;
mod targets;
mod web_guard;
mod web_users;
