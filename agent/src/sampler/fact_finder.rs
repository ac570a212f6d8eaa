//! Looks at the job's processes beside their memory: lets the kernel take them first, finds their cgroups and limits, and holds on to them.

use super::{Counters, Exits, Seen, Tellable, Teller};
use crate::{
    budget::Budget,
    clock::thread_cpu_us,
    guard::Guard,
    procfs::{Procfs, read_into},
    tree::{Facts, LookAt, Member, is_python},
    witness::Protector,
};

/// Share of one core that these looks may take, first ones not counted.
const SHARE: f64 = 0.000_5;
/// What was not used in so many µs may be used at once.
const SAVED_US: i64 = 10_000_000;

/// Looks at members.
#[derive(Debug)]
pub(super) struct FactFinder {
    procfs: Procfs,
    protector: Option<Protector>,
    budget: Budget,
    buffer: Vec<u8>,
    /// The text that named the cgroup that was found last.
    buffer_of_cgroup: Vec<u8>,
}

impl FactFinder {
    pub(super) fn new(procfs: Procfs, protector: Option<Protector>) -> Self {
        Self {
            procfs,
            protector,
            budget: Budget::saving(SHARE, SAVED_US),
            buffer: Vec::new(),
            buffer_of_cgroup: Vec::new(),
        }
    }

    /// Looks at each member that is due, and tells what has changed; whether a cgroup was found that was not watched before.
    pub(super) fn look<T: From<Seen> + Tellable>(
        &mut self,
        members: &mut [Member],
        now_us: i64,
        counters: &Counters<T>,
        exits: Option<&Exits>,
        teller: &Teller<T>,
        mut guard: Option<&mut Guard>,
    ) -> bool {
        let mut has_new_cgroup = false;
        for member in members {
            if member.facts.takes_risen_size() {
                let facts = member.facts.told.clone();
                let (key, t_us) = (member.key, now_us);
                teller.tell(Seen::Facts { key, t_us, facts }.into());
            }
            let Some(look) = member.facts.due(now_us) else {
                continue;
            };
            if !look.is_first && !self.budget.allows(now_us) {
                continue;
            }
            let began = thread_cpu_us();
            let is_python = is_python(member.command());
            if let Some(exits) = exits.filter(|_| is_python || !look.is_first)
                && !member.is_held
            {
                member.is_held = exits.hold(member.key);
            }
            let mut is_new = false;
            let facts = self.facts_of(member, look, is_python, counters, &mut is_new);
            if let Some(guard) = guard.as_deref_mut().filter(|_| is_new) {
                guard.watch(&self.buffer_of_cgroup);
            }
            has_new_cgroup |= is_new;
            if facts != member.facts.told {
                member.facts.told = facts.clone();
                let (key, t_us) = (member.key, now_us);
                teller.tell(Seen::Facts { key, t_us, facts }.into());
            }
            member.facts.looked(now_us);
            if !look.is_first {
                self.budget.spend(now_us, thread_cpu_us() - began);
            }
        }
        has_new_cgroup
    }

    fn facts_of<T: From<Seen> + Tellable>(
        &mut self,
        member: &Member,
        look: LookAt,
        is_python: bool,
        counters: &Counters<T>,
        has_new_cgroup: &mut bool,
    ) -> Facts {
        let pid = member.key.pid;
        let mut facts = member.facts.told.clone();
        if look.is_first {
            let protector = self.protector.as_mut().filter(|_| member.is_sure);
            let raised = protector.and_then(|it| it.raise(member.key));
            facts.oom_score_adj = raised.or(facts.oom_score_adj);
            // Most that are no python are gone before anything is worth knowing of them.
            if !is_python {
                return facts;
            }
        }
        let path = self.procfs.path_of(pid, "cgroup");
        if let Ok(Some(())) = read_into(&path, &mut self.buffer)
            && let Some(home) = counters.watch(&self.buffer, is_python)
        {
            *has_new_cgroup |= home.is_new;
            if home.is_new {
                self.buffer_of_cgroup.clone_from(&self.buffer);
            }
            facts.cgroup = Some(home.name);
        }
        if is_python && let Ok(limits) = self.procfs.memory_limits(pid, &mut self.buffer) {
            let space = limits.address_space_bytes;
            facts.address_space_limit_bytes = space.or(facts.address_space_limit_bytes);
            facts.data_limit_bytes = limits.data_bytes.or(facts.data_limit_bytes);
        }
        if facts.address_space_limit_bytes.is_some()
            && let Ok(Some(status)) = self.procfs.status(pid, &mut self.buffer)
            && status.address_space_peak_bytes > 0
        {
            facts.address_space_peak_bytes =
                Some(status.address_space_peak_bytes).max(facts.address_space_peak_bytes);
        }
        facts
    }
}
