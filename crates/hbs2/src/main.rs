//! The hbs2 binary.
fn main() {}
