//! The integration tests: one program, a module per topic.

mod architecture;
mod conformance;
mod source;
mod support;
mod support_works;
