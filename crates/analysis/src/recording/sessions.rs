//! One session from all that several processes said of it, in any order.

use highwater_wire::v1::Session;

pub(super) fn merge(known: &mut Session, said: &Session) {
    keep_larger(&mut known.root, &said.root);
    keep_larger(&mut known.dist, &said.dist);
    if said.args > known.args {
        known.args.clone_from(&said.args);
    }
    known.numprocesses = known.numprocesses.max(said.numprocesses);
    known.began_us = match (known.began_us, said.began_us) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    known.ended_us = known.ended_us.max(said.ended_us);
    known.sampled |= said.sampled;
    known.exit_status = known.exit_status.max(said.exit_status);
}

/// Of two words that ought to be equal, one is kept whatever the order: the larger, so that empty gives way.
fn keep_larger(known: &mut String, said: &str) {
    if said > known.as_str() {
        said.clone_into(known);
    }
}
