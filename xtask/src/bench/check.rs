//! `cargo xtask bench check`: how well `highwater check` tells what got worse, on histories that are made of recordings of real suites.
//!
//! The earlier half of the recordings is there to set thresholds by, the later half to judge them. No threshold is set here: the first half says how much
//! higher they would have to be.

mod histories;
mod judges;
mod otava;
mod recordings;
mod trial;

use highwater_analysis::chance::Chance;
use statrs::distribution::{Beta, ContinuousCDF};

use crate::tools::{Done, root, said};
use histories::{Kind, Maker};
use judges::{BENCHER_BOUNDARY, Bencher};
use otava::{Look, Seen};
use recordings::{Cell, Half};
use trial::{Figures, Measured, Part, Stepped};

/// So that the same recordings give the same figures.
const SEED: u64 = 20;
const DISTS: [&str; 2] = ["load", "loadfile"];
/// One clean job in so many is to be told to be worse at most.
const CLEAN_PER_ALARM: f64 = 200.0;

/// So many of the files that clean jobs told of are named.
const MOST_NAMED: usize = 5;

/// Judges on so many steps and as many clean jobs, of each half and distribution, and prints.
pub(super) fn check(trials: usize) -> Done {
    let cells = recordings::read(&root().join("xtask/data/regression"))?;
    for cell in &cells {
        println!(
            "{} under {}: {} recordings of {} files",
            cell.suite,
            cell.dist,
            cell.recordings.len(),
            cell.recordings.first().map_or(0, |it| it.files.len()),
        );
    }
    for half in [Half::First, Half::Second] {
        println!("\n# {half:?} half");
        for dist in DISTS {
            let maker = maker(&cells, dist, half)?;
            let figures = trial::figures(&maker, trials, trials, &mut Chance(SEED));
            print(dist, &figures);
            if half == Half::First {
                println!(
                    "  needed       {:.2} times the thresholds, for a clean job in {CLEAN_PER_ALARM} above them",
                    needed(&maker, trials)
                );
            }
        }
    }
    println!("\n# Beside others, on the second half");
    println!(
        "                                          steps found at once    clean jobs told to be worse"
    );
    for dist in DISTS {
        beside_bencher(dist, &maker(&cells, dist, Half::Second)?, trials);
    }
    beside_otava(&cells, trials)
}

fn maker<'a>(cells: &'a [Cell], dist: &str, half: Half) -> Done<Maker<'a>> {
    Maker::new(cells, dist, half)
        .ok_or_else(|| said(format!("there are too few recordings under {dist}")))
}

fn print(dist: &str, figures: &Figures) {
    println!("{dist}");
    println!("  steps found  {}", told(figures.found));
    println!("  exact commit {}", told(figures.exact));
    println!("  clean alarms {}", told(figures.alarms));
    println!("  confirmed    {}", told(figures.confirmed_alarms));
    let mut names: Vec<(&String, &u64)> = figures.told.iter().collect();
    names.sort_by_key(|(_, jobs)| std::cmp::Reverse(**jobs));
    for (path, jobs) in names.iter().take(MOST_NAMED) {
        let name = if path.is_empty() {
            "the job's peak"
        } else {
            path.as_str()
        };
        println!("    told in {jobs} clean jobs: {name}");
    }
    println!("  power        once    with --confirm   mean of two");
    for bytes in trial::SIZES {
        let of = |measured: Measured| {
            let mut parts = figures.power.iter();
            let part = parts.find(|it| it.0 == bytes && it.1 == measured);
            part.map_or(0.0, |it| it.2.share() * 100.0)
        };
        let [once, confirmed, mean] = trial::MEASURED.map(of);
        println!(
            "  {:>5} MB   {once:6.1} %   {confirmed:6.1} %         {mean:6.1} %",
            bytes / 1_000_000
        );
    }
}

fn told(part: Part) -> String {
    let (low, high) = interval(part);
    format!(
        "{} of {}: {:.2} % ({:.2} to {:.2})",
        part.had,
        part.of,
        part.share() * 100.0,
        low * 100.0,
        high * 100.0
    )
}

/// The 95 % interval of a share (Clopper and Pearson 1934).
fn interval(part: Part) -> (f64, f64) {
    let (had, of) = (part.had as f64, part.of as f64);
    let at = |a: f64, b: f64, share: f64, end: f64| {
        Beta::new(a, b).map_or(end, |beta| beta.inverse_cdf(share))
    };
    (
        at(had, of - had + 1.0, 0.025, 0.0),
        at(had + 1.0, of - had, 0.975, 1.0),
    )
}

/// How many times as high thresholds would have to be for one clean job in [`CLEAN_PER_ALARM`] above them.
fn needed(maker: &Maker<'_>, trials: usize) -> f64 {
    let mut chance = Chance(SEED + 1);
    let mut nearest: Vec<f64> = (0..trials)
        .map(|_| judges::nearest(&maker.history(&mut chance)))
        .collect();
    nearest.sort_unstable_by(f64::total_cmp);
    let above = (trials as f64 / CLEAN_PER_ALARM) as usize;
    let at = trials.checked_sub(1 + above);
    at.and_then(|at| nearest.get(at))
        .copied()
        .unwrap_or(f64::NAN)
}

fn beside_bencher(dist: &str, maker: &Maker<'_>, trials: usize) {
    let ways = [
        ("t-test 0.99", Bencher::TTest(BENCHER_BOUNDARY)),
        (
            "t-test 0.99, tree peaks",
            Bencher::TTestOfPeaks(BENCHER_BOUNDARY),
        ),
        (
            "percentage 0.1, tree peaks",
            Bencher::PercentageOfPeaks(0.1),
        ),
        (
            "percentage 0.2, tree peaks",
            Bencher::PercentageOfPeaks(0.2),
        ),
    ];
    let mut counted = [(Part::default(), Part::default()); 5];
    let mut chance = Chance(SEED + 2);
    for _ in 0..trials {
        if let Some(stepped) = Stepped::next(maker, &mut chance) {
            let before = &stepped.history.before;
            let now = stepped.job(stepped.bytes, Measured::Once);
            counted[0]
                .0
                .add(stepped.is_found(stepped.bytes, Measured::Once));
            for ((_, way), of) in ways.iter().zip(&mut counted[1..]) {
                of.0.add(way.of(before, &now, &stepped.path));
            }
        }
        let clean = maker.history(&mut chance);
        let alarms = judges::highwater(&clean.before, &clean.now);
        counted[0].1.add(!alarms.is_empty());
        for ((_, way), of) in ways.iter().zip(&mut counted[1..]) {
            of.1.add(way.any(&clean.before, &clean.now));
        }
    }
    let names = ["highwater check"].into_iter().chain(ways.map(|it| it.0));
    for (name, (found, alarms)) in names.zip(counted) {
        println!(
            "{dist:<10}{name:<32}{:6.1} %                {:6.1} %",
            found.share() * 100.0,
            alarms.share() * 100.0
        );
    }
}

fn beside_otava(cells: &[Cell], trials: usize) -> Done {
    let mut looks = Vec::new();
    for dist in DISTS {
        let maker = maker(cells, dist, Half::Second)?;
        let mut chance = Chance(SEED + 3);
        for _ in 0..trials {
            if let Some(stepped) = Stepped::next(&maker, &mut chance) {
                looks.extend(looks_at(&stepped, &mut chance));
            }
        }
    }
    println!(
        "\n# Series of one figure, {} of them, on the second half",
        looks.len()
    );
    println!(
        "                  newest job seen    exact commit    changes seen where there is none"
    );
    let print = |name: &str, seen: Seen| {
        println!(
            "{name:<18}{:6.1} %           {:6.1} %        {:6.2} %",
            seen.at_once.share() * 100.0,
            seen.exact.share() * 100.0,
            seen.alarms.share() * 100.0
        );
    };
    print("levels", Seen::by_levels(&looks));
    match Seen::by_otava(&looks) {
        Ok(seen) => print("Apache Otava", seen),
        Err(error) => println!("Apache Otava      was not run: {error}"),
    }
    Ok(())
}

/// The series of a figure as it is, with a step in its newest job, and with one before.
fn looks_at(stepped: &Stepped, chance: &mut Chance) -> [Look; 3] {
    let (stepping, at, least) = stepped.series(chance);
    let of = |file: &highwater_analysis::check::FileFigures| match stepped.kind {
        Kind::Retained => file.retained_bytes,
        Kind::Spike => file.spike_bytes,
    };
    let calm = judges::values(&stepped.history.before, &stepped.path, of);
    let mut newest = calm.clone();
    let now = stepped.job(stepped.bytes, Measured::Once);
    newest.extend(now.file(&stepped.path).map(|file| of(file) as f64));
    let look = |values: Vec<f64>, at| Look { values, at, least };
    let last = newest.len() - 1;
    [
        look(calm, None),
        look(newest, Some(last)),
        look(stepping, Some(at)),
    ]
}

#[cfg(test)]
mod tests;
