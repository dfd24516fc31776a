//! The integration tests: one program, a module per topic.

mod support;
mod support_works;
