//! Who belongs to a job that is recorded beside the steps of a CI job.
//!
//! The word of a process's own environment counts first: `HIGHWATER_JOB`, as it was at its exec, names the job it belongs to. Where it
//! names none, ancestry decides: the first ancestor that is also one of whoever started a job gives the process to that job. Two agents
//! on one machine that share an ancestor see each other by their command lines, which name theirs; a process that both could claim belongs to the
//! one whose starter is closer, and to neither where both are as close.

use super::ProcessKey;

/// First word after the program's name of an agent that runs in the background, and how its chain is given there.
pub const BACKGROUND: &str = "background";
/// The flag that says which chain it watches.
pub const CHAIN_FLAG: &str = "--chain";

/// Which processes are members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The job, as `HIGHWATER_JOB` names it.
    pub job: String,
    /// Ancestors of whoever started it, from the parent up to the runner.
    pub chain: Vec<ProcessKey>,
    /// Whether a process without a parent here is below the runner.
    pub is_container: bool,
    /// Processes that began before this are members only by their environment, clock ticks since boot; 0 lets everybody in.
    pub since_ticks: u64,
    /// Other agents that run in the background, with their chains.
    pub rivals: Vec<(ProcessKey, Vec<ProcessKey>)>,
    /// Processes that were about to become such an agent when they were seen: a fork shows the command line of its parent until it calls exec.
    pub suspects: Vec<ProcessKey>,
}

/// Whose a process is that an ancestor tells nothing more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// Of this job.
    Ours,
    /// Of another job, or of two.
    Others,
    /// To be asked of its parent.
    Unclaimed,
}

impl Membership {
    /// Whose descendants of a process are, if that alone tells.
    pub(super) fn claim(&self, key: ProcessKey) -> Claim {
        let ours = self.chain.iter().position(|it| *it == key);
        let theirs = self.rivals.iter().filter_map(|(_, chain)| {
            // What stands in a chain is also below everything further up in it.
            chain.iter().position(|it| *it == key)
        });
        match (ours, theirs.min()) {
            (None, None) => Claim::Unclaimed,
            (Some(_), None) => Claim::Ours,
            (Some(ours), Some(theirs)) if ours < theirs => Claim::Ours,
            (_, Some(_)) => Claim::Others,
        }
    }

    /// Whose a process is that has no parent here.
    pub(super) fn claim_of_orphans(&self) -> Claim {
        if self.is_container && self.rivals.is_empty() {
            Claim::Ours
        } else {
            Claim::Others
        }
    }

    /// Takes note of another agent, or of what may become one.
    pub(super) fn meet(&mut self, agent: ProcessKey, words: &[String]) {
        if let Some(chain) = chain_of(words) {
            if !self.rivals.iter().any(|(known, _)| *known == agent) {
                self.rivals.push((agent, chain));
            }
        } else if !self.suspects.contains(&agent) {
            self.suspects.push(agent);
        }
    }
}

/// A chain as a word of a command line.
#[must_use]
pub fn chain_word(chain: &[ProcessKey]) -> String {
    let words: Vec<_> = chain
        .iter()
        .map(|key| format!("{}:{}", key.pid, key.start_ticks))
        .collect();
    words.join(",")
}

/// Reads what [`chain_word`] wrote; what makes no sense is left out.
#[must_use]
pub fn parse_chain(word: &str) -> Vec<ProcessKey> {
    word.split(',')
        .filter_map(|part| {
            let (pid, start_ticks) = part.split_once(':')?;
            Some(ProcessKey {
                pid: pid.parse().ok()?,
                start_ticks: start_ticks.parse().ok()?,
            })
        })
        .collect()
}

/// The chain of an agent that runs in the background, by its command line; `None` for any other program.
#[must_use]
pub fn chain_of(words: &[String]) -> Option<Vec<ProcessKey>> {
    let [_, subcommand, rest @ ..] = words else {
        return None;
    };
    let at = rest.iter().position(|word| word == CHAIN_FLAG)?;
    (subcommand == BACKGROUND).then(|| parse_chain(rest.get(at + 1).map_or("", String::as_str)))
}

/// The job that an environment names, as the kernel shows it: words ended by NUL.
pub(super) fn job_of(environment: &[u8]) -> Option<&str> {
    let named = environment
        .split(|byte| *byte == 0)
        .find_map(|word| word.strip_prefix(b"HIGHWATER_JOB="))?;
    std::str::from_utf8(named)
        .ok()
        .filter(|job| !job.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(pid: u32) -> ProcessKey {
        ProcessKey {
            pid,
            start_ticks: u64::from(pid) * 10,
        }
    }

    fn membership(chain: &[u32]) -> Membership {
        Membership {
            job: "a".to_owned(),
            chain: chain.iter().copied().map(key).collect(),
            is_container: false,
            since_ticks: 0,
            rivals: Vec::new(),
            suspects: Vec::new(),
        }
    }

    fn words(chain: &[u32]) -> Vec<String> {
        let chain: Vec<_> = chain.iter().copied().map(key).collect();
        let word = chain_word(&chain);
        ["highwater", BACKGROUND, CHAIN_FLAG, &word]
            .map(str::to_owned)
            .to_vec()
    }

    #[test]
    fn the_agent_whose_starter_is_closer_has_the_claim() {
        let mut ours = membership(&[50, 40, 10]);
        assert_eq!(ours.claim(key(40)), Claim::Ours);
        assert_eq!(ours.claim(key(60)), Claim::Unclaimed);
        ours.meet(key(900), &words(&[60, 10]));
        // 10 is above both: 2 steps from ours, 1 from theirs.
        assert_eq!(ours.claim(key(10)), Claim::Others);
        assert_eq!(ours.claim(key(60)), Claim::Others);
        assert_eq!(ours.claim(key(50)), Claim::Ours);
        let mut theirs = membership(&[60, 10]);
        theirs.meet(key(800), &words(&[50, 40, 10]));
        assert_eq!(theirs.claim(key(10)), Claim::Ours);
    }

    #[test]
    fn who_is_as_close_to_both_belongs_to_neither() {
        let mut one = membership(&[10]);
        one.meet(key(900), &words(&[10]));
        assert_eq!(one.claim(key(10)), Claim::Others);
    }

    #[test]
    fn a_number_used_again_is_no_ancestor() {
        let again = ProcessKey {
            pid: 10,
            start_ticks: 7,
        };
        assert_eq!(membership(&[10]).claim(again), Claim::Unclaimed);
    }

    #[test]
    fn other_commands_name_no_chain() {
        let split = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(chain_of(&split("highwater run -- x --chain 1:2")), None);
        assert_eq!(chain_of(&split("highwater")), None);
        assert_eq!(
            chain_of(&split("highwater background --chain 1:2,x,3"))
                .unwrap()
                .len(),
            1
        );
    }

    #[test]
    fn the_job_is_read_from_the_environment() {
        assert_eq!(job_of(b"A=1\0HIGHWATER_JOB=x\0B=2\0"), Some("x"));
        assert_eq!(job_of(b"HIGHWATER_JOB=\0"), None);
        assert_eq!(job_of(b"MY_HIGHWATER_JOB=x\0"), None);
    }
}
