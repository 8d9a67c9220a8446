//! The `filelatch` command line.
fn main() {}
