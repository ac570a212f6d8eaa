//! Tasks of the workspace: demo, test, bench, tidy.

fn main() {}
