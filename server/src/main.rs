//! Keeps recordings of pytest memory, draws them and answers questions about them.

fn main() {}
