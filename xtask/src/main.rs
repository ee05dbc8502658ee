//! Set-up, tests, benches and the demo of preheat.
fn main() {}
