//! The document of a plan, made alike by server and agent.

use highwater_wire::report::{
    Bound, BudgetLimit, JobReport, JobState, PlanReport, PlannedJob, Predicted, Together,
};

use super::{
    Each, Facts, File, Ground, Group, Heaviest, Plan, Refusal, Shard, Wanted, alternatives, cut,
    eased, fit, groups, heaviest, hint,
};

/// What is asked of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// What a job may take at its peak, bytes; what the job's limit bears where nothing is named.
    pub budget_bytes: Option<i64>,
    /// How many jobs; the fewest that fit where none is named.
    pub jobs: Option<usize>,
    /// Processes of each job that run tests; one where none is named.
    pub workers: Option<u32>,
    /// Globs: the files that look like one stay together.
    pub together: Vec<String>,
}

/// The files of a job as they are to be cut, with what each process stands on.
struct Suite {
    files: Vec<File>,
    /// Whose names can stand in no plan.
    odd: Vec<File>,
    groups: Vec<Group>,
    ground: Ground,
}

impl Suite {
    fn of(job: &JobReport, facts: &Facts, asked: &Asked) -> Result<Self, Refusal> {
        if facts.files.is_empty() {
            return Err(Refusal::Nothing);
        }
        let mut sessions = job.sessions.iter();
        if let Some(session) = sessions.find(|it| it.sampled && it.tests > 0) {
            return Err(Refusal::Sampled(session.ordinal));
        }
        let is_odd = |text: &str| text.is_empty() || text.contains(char::is_control);
        let (odd, files): (Vec<File>, Vec<File>) = facts
            .files
            .iter()
            .cloned()
            .partition(|file| is_odd(&file.path));
        if let Some(file) = odd.first().filter(|_| files.is_empty()) {
            return Err(Refusal::OddPath(file.path.clone()));
        }
        if let Some(glob) = asked.together.iter().find(|glob| is_odd(glob)) {
            return Err(Refusal::OddGlob(glob.clone()));
        }
        let groups =
            groups(&asked.together, &files).map_err(|glob| Refusal::Unmatched(glob.to_owned()))?;
        let ground = Ground {
            base_bytes: facts.base_bytes,
            set_up_bytes: facts.set_up_bytes,
            controller_bytes: facts.controller_bytes,
            workers: asked.workers.unwrap_or(1).max(1),
        };
        Ok(Self {
            files,
            odd,
            groups,
            ground,
        })
    }

    /// Whether each file is found to fit, alone or behind those that give back: then there are jobs that do.
    fn fits(&self, budget_bytes: i64) -> bool {
        let units = fit::units(&self.files, &self.groups);
        eased::eased(self.ground, units, budget_bytes).is_some()
    }

    /// What a job may take, with the limit that this was taken of where nothing is named: the usual share of what it leaves, or where not all files fit into
    /// that the least that bears them. All of what it leaves where that is less.
    fn budget(
        &self,
        job: &JobReport,
        asked: &Asked,
    ) -> Result<(i64, Option<BudgetLimit>), Refusal> {
        if let Some(budget_bytes) = asked.budget_bytes {
            return Ok((budget_bytes, None));
        }
        let limit = hint::limit(job).ok_or(Refusal::NoLimit)?;
        let left_bytes = i64::try_from(limit.left_bytes).unwrap_or(i64::MAX);
        let usual_bytes = hint::usual_bytes(&limit);
        let budget_bytes = match self.fits(usual_bytes) {
            true => usual_bytes,
            false => {
                let units = fit::units(&self.files, &self.groups);
                let least_bytes = eased::least_budget(self.ground, &units);
                hint::rounded_up(least_bytes).min(left_bytes)
            }
        };
        Ok((budget_bytes, Some(limit)))
    }

    /// Why nothing fits.
    fn infeasible(
        &self,
        facts: &Facts,
        (budget_bytes, limit): (i64, Option<BudgetLimit>),
        heaviest: Heaviest,
    ) -> Refusal {
        let bare = Ground {
            base_bytes: facts.controller_bytes.min(facts.base_bytes),
            set_up_bytes: 0,
            ..self.ground
        };
        let units = fit::units(&self.files, &self.groups);
        let bare_bytes = units.iter().map(|unit| bare.peak(unit.files())).max();
        Refusal::Infeasible {
            bare_bytes: bare_bytes.unwrap_or(0),
            is_guessed: facts.not_run.contains(&heaviest.path),
            path: heaviest.path,
            with: u32::try_from(heaviest.with).unwrap_or(u32::MAX),
            budget_bytes,
            limit,
            idle_bytes: self.ground.idle_bytes(),
            each: Each {
                workers: self.ground.workers,
                imported_bytes: facts.imported_bytes,
                shared_bytes: facts.shared.iter().map(|(_, bytes)| bytes).sum(),
            },
            alone_bytes: heaviest.alone_bytes,
            least_bytes: heaviest.least_bytes,
        }
    }
}

/// What a job of a plan may take where no budget is named, bytes: there is such a plan then, and it is for that.
///
/// # Errors
/// When there is none.
pub(super) fn feasible(job: &JobReport, facts: &Facts, asked: &Asked) -> Result<i64, Refusal> {
    let suite = Suite::of(job, facts, asked)?;
    let (budget_bytes, limit) = suite.budget(job, asked)?;
    if suite.fits(budget_bytes) {
        return Ok(budget_bytes);
    }
    let units = fit::units(&suite.files, &suite.groups);
    let heaviest = heaviest(suite.ground, &units);
    Err(suite.infeasible(facts, (budget_bytes, limit), heaviest))
}

/// Makes the plan of a job from the facts of its recording.
///
/// # Errors
/// When there is none.
pub fn report(job: &JobReport, facts: &Facts, asked: &Asked) -> Result<PlanReport, Refusal> {
    let suite = Suite::of(job, facts, asked)?;
    let (budget_bytes, limit) = suite.budget(job, asked)?;
    let wanted = Wanted {
        budget_bytes,
        jobs: asked.jobs,
    };
    let shards = match cut(suite.ground, &suite.files, &suite.groups, wanted) {
        Plan::Shards(shards) => shards,
        Plan::Infeasible {
            path,
            with,
            alone_bytes,
            least_bytes,
        } => {
            let heaviest = Heaviest {
                path,
                with,
                alone_bytes,
                least_bytes,
            };
            return Err(suite.infeasible(facts, (budget_bytes, limit), heaviest));
        }
        Plan::TooFew { least_jobs } => {
            return Err(Refusal::TooFew {
                budget_bytes,
                least_jobs,
            });
        }
    };
    let Suite {
        files,
        odd,
        groups,
        ground,
    } = suite;
    let jobs = shards.into_iter().zip(1..);
    let has_cut_short = |shard: &Shard| {
        let mut files = shard.files.iter();
        files.any(|file| facts.cut_short.contains(&file.path))
    };
    let surely = |shard: &Shard| {
        let files = shard.files.iter().map(|file| facts.surely_of(file));
        ground.peak(&files.collect::<Vec<_>>())
    };
    let jobs = jobs.map(|(shard, index)| {
        let is_least = has_cut_short(&shard);
        PlannedJob {
            bound: is_least.then_some(match ground.workers {
                1 => Bound::AtLeast,
                // What all need at once is not reached, what one needs is not known.
                _ => Bound::About,
            }),
            index,
            predicted: Predicted {
                // There is room in it for what such a file may keep.
                peak_bytes: match is_least && ground.workers == 1 {
                    true => surely(&shard),
                    false => shard.peak_bytes,
                },
                duration_us: shard.duration_us,
            },
            files: shard.files.into_iter().map(|file| file.path).collect(),
        }
    });
    let mut report = PlanReport {
        id: job.uuid,
        of: job.uuid,
        budget_bytes,
        limit,
        base_bytes: facts.base_bytes,
        workers: ground.workers,
        jobs_asked: asked.jobs,
        jobs: jobs.collect(),
        bound: match ground.workers {
            1 => Bound::About,
            _ => Bound::AtMost,
        },
        together: Vec::new(),
        alternatives: alternatives::of(job, facts, ground, budget_bytes),
        is_partial: job.censored || job.state == JobState::Running,
        is_diagnosed: job.diagnosis.is_some(),
        not_run: facts.not_run.clone(),
        cut_short: facts.cut_short.clone(),
        recalled: facts.recalled.clone(),
        elsewhere: facts.elsewhere.clone(),
        no_tests: facts.no_tests.clone(),
        left_out: odd.into_iter().map(|file| file.path).collect(),
        shard: job.shard.filter(|shard| shard.total > 1),
    };
    let group = |group: Group| {
        let first = group.files.first().and_then(|at| files.get(*at))?;
        let has = |job: &&PlannedJob| job.files.contains(&first.path);
        let job = report.jobs.iter().find(has)?.index;
        Some(Together {
            globs: group.globs,
            job,
        })
    };
    report.together = groups.into_iter().filter_map(group).collect();
    report.id = report.digest();
    Ok(report)
}

/// Files of one process in an order, with what they lead to.
pub(super) fn predicted(ground: Ground, files: &[File]) -> Predicted {
    Predicted {
        peak_bytes: ground.peak(files),
        duration_us: ground.duration_us(files),
    }
}
