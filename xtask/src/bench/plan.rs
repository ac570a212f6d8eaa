//! `cargo xtask bench plan`: whether the jobs of a plan stay inside its budget, by really running them on parts of real suites.
//!
//! A suite is recorded, cut by `highwater plan` for a budget of 1.15 times what its base and its largest file need, and each shard is run and recorded.

mod runs;
mod table;

use std::fs;

use crate::{
    tools::{Done, build, io, said, target},
    venv::{python, suites},
};
use runs::{Recorded, Runs, WHOLE};
use table::{Shard, print};

/// The budget, by what the base and the largest file need.
const BUDGET_SHARE: f64 = 1.15;
/// In how many workers each shard runs.
const WORKERS: [u32; 2] = [1, 2];

/// Part of a real suite.
struct Suite {
    name: &'static str,
    packages: &'static [&'static str],
    /// What pytest's `-k` takes: without the tests that take long.
    wanted: &'static str,
}

const SUITES: [Suite; 2] = [
    Suite {
        name: "networkx",
        packages: &[
            "networkx.classes",
            "networkx.utils",
            "networkx.linalg",
            "networkx.generators",
        ],
        wanted: "not round_trip and not very_large",
    },
    Suite {
        name: "sympy",
        packages: &[
            "sympy.strategies",
            "sympy.liealgebras",
            "sympy.unify",
            "sympy.algebras",
            "sympy.external",
        ],
        wanted: "not slow",
    },
];

/// Records, plans, runs the shards and prints how they went; `quick` takes one process a shard alone.
///
/// # Errors
/// When a suite does not run, a test runs in no shard or in several, or a shard passes the budget.
pub(super) fn plan(quick: bool) -> Done {
    // What is measured is the memory of pytest, which is the same whatever the agent was built for.
    let binaries = build(false)?;
    let python = python(&suites()?);
    let data = target().join("bench-plan");
    if data.exists() {
        fs::remove_dir_all(&data).map_err(io(&data))?;
    }
    fs::create_dir_all(&data).map_err(io(&data))?;
    let mut all = Vec::new();
    for suite in &SUITES {
        let mut runs = Runs {
            binaries: &binaries,
            python: &python,
            data: &data,
            suite,
            workers: 1,
        };
        let whole = runs.record(WHOLE, &[])?;
        for workers in WORKERS {
            runs.workers = workers;
            if workers == 1 || !quick {
                all.extend(shards(&runs, &whole)?);
            }
        }
    }
    print(&all);
    match all.iter().filter(|shard| !shard.is_inside()).count() {
        0 => Ok(()),
        over => Err(said(format!(
            "{over} of {} shards passed their budget",
            all.len()
        ))),
    }
}

/// Cuts a suite and runs what comes out.
fn shards(runs: &Runs<'_>, whole: &Recorded) -> Done<Vec<Shard>> {
    let needs = runs.least_budget()?;
    let budget_bytes = (needs as f64 * BUDGET_SHARE) as u64;
    let plan = runs.plan(budget_bytes)?;
    let mut shards = Vec::new();
    let mut ran = Vec::new();
    for job in &plan.jobs {
        let name = format!("{}/{}", job.index, plan.jobs.len());
        let measured = runs.record(&format!("shard-{}", job.index), &runs.flags_of(&name))?;
        ran.extend(measured.tests);
        shards.push(Shard {
            suite: runs.suite.name,
            workers: runs.workers,
            name,
            files: job.files.len(),
            base_bytes: plan.base_bytes,
            budget_bytes,
            predicted_bytes: job.predicted.peak_bytes.unsigned_abs(),
            measured_bytes: measured.peak_bytes,
            is_bound: plan.bound == highwater_wire::report::Bound::AtMost,
        });
    }
    ran.sort();
    if ran != whole.tests {
        return Err(said(format!(
            "{}: the shards ran other tests than the whole suite: {} files of {}",
            runs.suite.name,
            ran.len(),
            whole.tests.len()
        )));
    }
    Ok(shards)
}
