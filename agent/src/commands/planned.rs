//! The plan of which a command runs a shard: it is had, and has that shard, before anything runs.

use std::{
    io,
    path::{Path, PathBuf},
};

use highwater_analysis::plan::notes::of_shard;
use highwater_wire::report::PlanReport;

use super::{CommandError, kept, working_folder};
use crate::{
    ci::Env,
    injection::PLAN_VARIABLE,
    regular,
    settings::{self, Given, said},
    terminal,
};

/// Puts the file of a plan in the place of its id, and looks whether the plan has the shard that is to run.
///
/// # Errors
/// Where a flag names a plan that cannot be had, or that has no such shard. Where a variable names one it is told, and what is no pytest runs: the pytest in
/// it refuses the plan.
pub(super) fn settle(given: &mut Given, env: &Env) -> Result<(), CommandError> {
    let of_variable = || said(env.get(PLAN_VARIABLE)?.trim()).map(PathBuf::from);
    let by_flag = given.plan.clone();
    let Some(named) = by_flag.clone().or_else(of_variable) else {
        return Ok(());
    };
    match had(&named, given, env) {
        Ok(file) => given.plan = Some(file),
        Err(error) if by_flag.is_some() => return Err(error),
        Err(error) => terminal::tell(format_args!("{PLAN_VARIABLE}: {error}")),
    }
    Ok(())
}

/// The file of a plan that has the shard.
fn had(named: &Path, given: &Given, env: &Env) -> Result<PathBuf, CommandError> {
    let file = match settings::plan_id(named) {
        Some(id) => {
            let places = settings::places(given.clone(), env, &working_folder())?;
            kept::file(id, &places, env)?
        }
        None => named.to_owned(),
    };
    let shard = settings::shard(given, env);
    let plan = read(&file)
        .and_then(|plan| has_shard(&plan, shard).map(|()| plan))
        .map_err(|why| CommandError::NoShard(named.to_owned(), why))?;
    if let Some(what) = warning(&plan) {
        terminal::tell(what);
    }
    Ok(file)
}

/// What is wrong with running a shard of a plan that knows one shard of the suite alone.
fn warning(plan: &PlanReport) -> Option<String> {
    let what = of_shard(plan)?;
    Some(format!("warning: plan {}: {what}", plan.id))
}

/// The plan in a file, as it was made.
fn read(file: &Path) -> Result<PlanReport, String> {
    const MAKE: &str = "`highwater plan --write DIR` writes one to DIR/plan.json";
    let unread = |error: io::Error| format!("it cannot be read: {error}; {MAKE}");
    // pytest reads it again, and what is no regular file may be read but once.
    let text = regular::read(file).map_err(unread)?;
    let plan: PlanReport = serde_json::from_slice(&text)
        .map_err(|error| format!("this is no plan that `highwater plan` made: {error}; {MAKE}"))?;
    match kept::changed(&plan) {
        None => Ok(plan),
        Some(digest) => Err(format!(
            "this plan was changed after it was made: its id is {}, and that of its content {digest}; make a new one with `highwater plan`",
            plan.id
        )),
    }
}

fn has_shard(plan: &PlanReport, shard: Option<(u32, u32)>) -> Result<(), String> {
    let (id, jobs) = (plan.id, plan.jobs.len());
    match shard {
        Some((_, total)) if total as usize == jobs => Ok(()),
        Some((index, total)) => Err(format!(
            "plan {id} has {jobs} jobs, so the shards are 1/{jobs} to {jobs}/{jobs}, and not {index}/{total}"
        )),
        None => Err(format!(
            "which of the {jobs} jobs of plan {id} is to run is not said; give --shard 1/{jobs} to {jobs}/{jobs}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use highwater_wire::report::ShardReport;
    use tempfile::TempDir;

    use super::*;
    use crate::commands::kept::tests::plan_of;

    fn plan() -> PlanReport {
        plan_of(&["test_1.py", "test_2.py"])
    }

    fn settled(
        file: &Path,
        shard: Option<(u32, u32)>,
        env: &[(&str, &str)],
    ) -> Result<Given, String> {
        let mut given = Given {
            plan: Some(file.to_owned()),
            shard,
            ..Given::default()
        };
        let env = env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        settle(&mut given, &env.collect()).map_err(|error| error.to_string())?;
        Ok(given)
    }

    #[test]
    fn a_plan_that_has_the_shard_is_taken_wherever_the_shard_is_named() {
        let root = TempDir::new().unwrap();
        let file = root.path().join("plan.json");
        fs::write(&file, serde_json::to_vec(&plan()).unwrap()).unwrap();
        let link = root.path().join("link.json");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let gitlab = [
            ("GITLAB_CI", "true"),
            ("CI_NODE_INDEX", "2"),
            ("CI_NODE_TOTAL", "2"),
        ];
        for (file, shard, env) in [
            (&file, Some((1, 2)), &[][..]),
            (&link, Some((2, 2)), &[("HIGHWATER_SHARD", "1/9")]),
            (&file, None, &[("HIGHWATER_SHARD", "2/2")]),
            (&file, None, &gitlab),
        ] {
            let given = settled(file, shard, env).unwrap();
            assert_eq!(given.plan.as_deref(), Some(file.as_path()));
        }
    }

    #[test]
    fn what_is_no_plan_with_that_shard_is_told_with_what_to_do() {
        let root = TempDir::new().unwrap();
        let at = |name: &str| root.path().join(name);
        let text = serde_json::to_string(&plan()).unwrap();
        fs::write(at("plan.json"), &text).unwrap();
        fs::write(at("broken.json"), &text[..40]).unwrap();
        fs::write(at("changed.json"), text.replace("test_1.py", "test_3.py")).unwrap();
        for (name, shard, says) in [
            (
                "none.json",
                Some((1, 2)),
                "none.json: it cannot be read: No such file or directory",
            ),
            (
                ".",
                Some((1, 2)),
                "it cannot be read: is no regular file; `highwater plan --write DIR`",
            ),
            (
                "broken.json",
                Some((1, 2)),
                "this is no plan that `highwater plan` made: EOF",
            ),
            (
                "changed.json",
                Some((1, 2)),
                "this plan was changed after it was made: its id is ",
            ),
            (
                "plan.json",
                Some((1, 3)),
                "has 2 jobs, so the shards are 1/2 to 2/2, and not 1/3",
            ),
            (
                "plan.json",
                None,
                "is to run is not said; give --shard 1/2 to 2/2",
            ),
        ] {
            let why = settled(&at(name), shard, &[]).unwrap_err();
            assert!(why.contains(says), "{why}");
        }
    }

    #[test]
    fn a_plan_of_one_shard_is_warned_of_where_it_is_run_as_if_it_had_all_files() {
        let mut plan = plan();
        assert_eq!(warning(&plan), None);
        plan.shard = Some(ShardReport { index: 2, total: 3 });
        let told = warning(&plan).unwrap();
        let says = "the recorded job was shard 2 of 3: files of the other shards are in none of these jobs, which would take them for new ones";
        assert!(
            told.starts_with("warning: ") && told.contains(says),
            "{told}"
        );
    }

    #[test]
    fn what_a_variable_names_keeps_nothing_from_running() {
        let mut given = Given::default();
        let env = Env::from([(PLAN_VARIABLE.to_owned(), " nowhere.json ".to_owned())]);
        settle(&mut given, &env).unwrap();
        assert_eq!(given, Given::default());
    }
}
