//! Files that need more than the budget alone, and fit behind files that give back.

use super::{
    Ground,
    fit::{self, Unit},
};

/// So many of either kind are looked at: each step of the search tries them in every number of jobs.
pub(super) const MOST_LOOKED_AT: usize = 16;

/// Units that each fit alone. What does not is joined with units that give back, which run before it; `None` where no such are found.
pub(super) fn eased<'a>(
    ground: Ground,
    units: Vec<Unit<'a>>,
    budget_bytes: i64,
) -> Option<Vec<Unit<'a>>> {
    let is_heavy = |unit: &Unit<'a>| ground.peak(unit.files()) > budget_bytes;
    let (heavy, mut fitting): (Vec<_>, Vec<_>) = units.into_iter().partition(is_heavy);
    if heavy.is_empty() {
        return Some(fitting);
    }
    // Among workers nobody knows what runs before what.
    if ground.workers > 1 || heavy.len() > MOST_LOOKED_AT {
        return None;
    }
    let (mut gives, others): (Vec<_>, Vec<_>) = fitting
        .drain(..)
        .partition(|unit| unit.retained_bytes() < 0);
    gives.sort_by_key(Unit::retained_bytes);
    fitting = others;
    fitting.extend(gives.split_off(gives.len().min(MOST_LOOKED_AT)));
    let jobs = heavy.len();
    let looked_at: Vec<Unit<'a>> = gives.into_iter().chain(heavy).collect();
    let bins = (1..=jobs).find_map(|jobs| fit::into(ground, &looked_at, budget_bytes, jobs))?;
    for mut bin in bins {
        fitting.extend(bin.let_go(budget_bytes));
        if !bin.files.is_empty() {
            fitting.push(Unit::of(bin.files));
        }
    }
    Some(fitting)
}

/// The least budget under which each unit is found to fit, alone or behind those that give back, bytes.
pub(super) fn least_budget(ground: Ground, units: &[Unit<'_>]) -> i64 {
    let needs = units.iter().map(|unit| ground.peak(unit.files()));
    // Under this each fits alone, and below the base nothing does.
    let mut fits = needs.max().unwrap_or(0);
    let mut passes = ground.idle_bytes().min(fits) - 1;
    while passes + 1 < fits {
        let middle = passes + (fits - passes) / 2;
        match eased(ground, units.to_vec(), middle) {
            Some(_) => fits = middle,
            None => passes = middle,
        }
    }
    fits
}
