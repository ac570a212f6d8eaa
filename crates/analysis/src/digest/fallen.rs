//! Sessions of a job that goes on whose pytest is gone without telling an end.

use highwater_wire::report::{Fallen, LimitUse, SessionReport};

use super::{
    ending::{Evidence, gave_way, killed, leader_of, signal_name, walk_of},
    parts::Parts,
};

/// Tells of each of them how it was gone.
pub(super) fn tell(parts: &Parts<'_>, sessions: &mut [SessionReport], limits: &[LimitUse]) {
    let gone: Vec<(usize, usize, i64)> = sessions
        .iter()
        .enumerate()
        .filter(|(_, session)| session.is_open())
        .filter_map(|(at, session)| {
            let leader = leader_of(parts, session, true)?;
            let followed = walk_of(parts, leader).is_some_and(|it| gave_way(it, session.ordinal));
            let gone_us = parts.processes[leader].ended_us.filter(|_| !followed)?;
            Some((at, leader, gone_us))
        })
        .collect();
    if gone.is_empty() {
        return;
    }
    let evidence = Evidence::gather(parts, sessions, limits);
    for (at, leader, at_us) in gone {
        let by_kernel = killed(&evidence, leader);
        sessions[at].fallen = Some(Fallen {
            at_us,
            by_kernel: by_kernel.is_some(),
            sentence: by_kernel.unwrap_or_else(|| gone_without(parts, leader, &evidence)),
        });
    }
}

fn gone_without(parts: &Parts<'_>, leader: usize, evidence: &Evidence) -> String {
    let process = &parts.processes[leader];
    let how = match (process.signal, process.exit_code) {
        (Some(signal), _) => format!("was ended by {}", signal_name(signal)),
        (None, Some(code)) => format!("ended with exit code {code} and told no end"),
        (None, None) => "is gone and told no end".to_owned(),
    };
    format!("pytest {how}, after {}.", evidence.tests_so_far())
}
