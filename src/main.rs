//! The `dayfill` program.

fn main() {}
