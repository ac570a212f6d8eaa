//! What it costs to read which test a pytest without the plugin runs.

use serde_json::Value;

use crate::tools::{Done, command, run_and_read, said};

/// Medians, µs, by name, of looks at a Python.
pub(super) fn look(python: &str) -> Done<Value> {
    let mut cargo = command(env!("CARGO"));
    cargo.args(["run", "--quiet", "--release", "--package", "highwater"]);
    cargo.args(["--example", "look", "--", python]);
    let (good, text) = run_and_read(&mut cargo)?;
    let figures = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .next_back();
    let figures = figures.filter(|_| good);
    let figures = figures.ok_or_else(|| said(format!("the looks failed: {text}")))?;
    println!("\n# A look at the current test of a process without the plugin, medians in µs");
    for (name, what) in [
        ("statm_us", "reference: its statm, on an open descriptor"),
        ("same_us", "the same test as before"),
        ("other_us", "another test"),
        ("idle_us", "no test"),
        ("first_us", "the first look at a program"),
    ] {
        println!("{what:<45} {}", figures[name]);
    }
    Ok(figures)
}
