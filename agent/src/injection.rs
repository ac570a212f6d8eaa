//! The environment of the tests: what makes every pytest below it load the plugin and write to this job.
//!
//! The plugin comes by `PYTHONPATH` alone, where its entry point is found. `PYTEST_PLUGINS` would make a pytest fail whose
//! `PYTHONPATH` was replaced on the way; this way it merely runs unrecorded, and the recording says so.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use crate::{diagnose::Diagnose, plugin_files::python_path, settings, spool};

/// The variables of a job that is being recorded.
#[derive(Debug)]
pub struct Injection<'a> {
    /// Folder of the plugin's files.
    pub events: &'a Path,
    /// Folder with the plugin, for `PYTHONPATH`.
    pub plugin: &'a Path,
    /// Root of the repository.
    pub repo_root: Option<&'a Path>,
    /// Whether the plugin may reset the kernel's high-water mark.
    pub exact: bool,
    /// Whether the plugin takes apart why memory stays.
    pub diagnose: Diagnose,
}

/// Tells pytest its plan.
pub const PLAN_VARIABLE: &str = "HIGHWATER_PLAN";

/// Sections in which the versions and file formats of tox 4 keep what a test environment may see.
const TOX_SECTIONS: [&str; 3] = ["testenv", "env_run_base", "tool.tox.env_run_base"];
/// What must come through tox, which drops what it does not know.
const TOX_PASSES: [&str; 2] = ["HIGHWATER_*", "PYTHONPATH"];

impl Injection<'_> {
    /// The variables to set, given those that are set.
    #[must_use]
    pub fn variables(
        &self,
        present: impl Fn(&str) -> Option<OsString>,
    ) -> Vec<(&'static str, OsString)> {
        // What else is on the path was not for the tests that tox runs: then its own rules stand, and a plugin that does not come
        // through costs the recording instead of changing what the tests import.
        let is_else = |path: &OsString| !path.is_empty() && path != self.plugin.as_os_str();
        let passes = match present("PYTHONPATH").filter(is_else) {
            Some(_) => &TOX_PASSES[..1],
            None => &TOX_PASSES,
        };
        let mut variables = vec![
            ("HIGHWATER_EVENTS", self.events.into()),
            (
                "PYTHONPATH",
                python_path(self.plugin, present("PYTHONPATH")),
            ),
            ("TOX_OVERRIDE", tox_4(passes, present("TOX_OVERRIDE"))),
            (
                "TOX_TESTENV_PASSENV",
                tox_3(passes, present("TOX_TESTENV_PASSENV")),
            ),
        ];
        if let Some(root) = self.repo_root {
            variables.push(("HIGHWATER_ROOT", root.into()));
        }
        if !self.exact {
            variables.push(("HIGHWATER_EXACT", "0".into()));
        }
        // What is there already may be a wish that a flag took back.
        let is_said = present("HIGHWATER_DIAGNOSE").is_some_and(|said| !said.is_empty());
        if self.diagnose != Diagnose::No || is_said {
            variables.push(("HIGHWATER_DIAGNOSE", self.diagnose.word().into()));
        }
        variables
    }
}

/// The variables by which pytest runs one shard of a plan. A variable that was set before stays where no flag says otherwise.
#[must_use]
pub fn of_plan(plan: Option<&Path>, shard: Option<(u32, u32)>) -> Vec<(&'static str, OsString)> {
    let Some(plan) = plan else {
        return Vec::new();
    };
    // Tests are run in other folders too.
    let whole = match settings::plan_id(plan) {
        Some(_) => plan.to_owned(),
        None => std::path::absolute(plan).unwrap_or_else(|_| plan.to_owned()),
    };
    let shard = shard.map(|(index, total)| ("HIGHWATER_SHARD", format!("{index}/{total}").into()));
    let plan = (PLAN_VARIABLE, whole.into_os_string());
    [plan].into_iter().chain(shard).collect()
}

/// What is there, and behind it those of ours that are not there: a job that is begun again adds nothing.
fn joined(there: Option<OsString>, separator: u8, ours: &[String]) -> OsString {
    let mut whole = there.unwrap_or_default();
    for part in ours {
        let mut parts = whole.as_bytes().split(|byte| *byte == separator);
        if parts.any(|known| known == part.as_bytes()) {
            continue;
        }
        if !whole.is_empty() {
            whole.push(OsStr::from_bytes(&[separator]));
        }
        whole.push(part);
    }
    whole
}

fn tox_4(passes: &[&str], present: Option<OsString>) -> OsString {
    let ours = TOX_SECTIONS.map(|section| format!("{section}.pass_env+={}", passes.join(",")));
    joined(present, b';', &ours)
}

/// tox 3 has no overrides but a list of its own, apart by blanks.
fn tox_3(passes: &[&str], present: Option<OsString>) -> OsString {
    let ours: Vec<String> = passes.iter().map(|name| (*name).to_owned()).collect();
    joined(present, b' ', &ours)
}

/// What the environment says of a job around this command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outer {
    /// There is none.
    None,
    /// Its agent records everything already.
    Recorded,
    /// It is named, and no agent records it here: it has ended, or its agent was killed.
    Over(String),
}

/// The job that this agent runs inside, by the variables that another gave to what it records. They outlive it, and so does its folder.
#[must_use]
pub fn outer_job(present: impl Fn(&str) -> Option<OsString>) -> Outer {
    let given = |name| present(name).filter(|value: &OsString| !value.is_empty());
    let (Some(job), Some(events)) = (given("HIGHWATER_JOB"), given("HIGHWATER_EVENTS")) else {
        return Outer::None;
    };
    let events = PathBuf::from(events);
    match events.is_dir() && events.parent().is_some_and(spool::is_locked) {
        true => Outer::Recorded,
        false => Outer::Over(job.to_string_lossy().into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use highwater_wire::v1;
    use uuid::Uuid;

    use super::*;
    use crate::spool::Spool;

    fn variables(present: &[(&str, &str)]) -> HashMap<&'static str, String> {
        let injection = Injection {
            events: Path::new("/spool/events"),
            plugin: Path::new("/cache/plugin"),
            repo_root: None,
            exact: true,
            diagnose: Diagnose::No,
        };
        let find = |name: &str| {
            present
                .iter()
                .find(|(other, _)| *other == name)
                .map(|(_, value)| value.into())
        };
        let variables = injection.variables(find);
        variables
            .into_iter()
            .map(|(name, value)| (name, value.into_string().unwrap()))
            .collect()
    }

    #[test]
    fn what_is_there_is_kept() {
        let with = variables(&[
            ("PYTHONPATH", "src:lib"),
            ("TOX_OVERRIDE", "testenv.deps=a"),
            ("TOX_TESTENV_PASSENV", "X"),
        ]);
        assert_eq!(with["PYTHONPATH"], "/cache/plugin:src:lib");
        assert!(
            with["TOX_OVERRIDE"].starts_with("testenv.deps=a;testenv.pass"),
            "{}",
            with["TOX_OVERRIDE"]
        );
        assert_eq!(with["TOX_TESTENV_PASSENV"], "X HIGHWATER_*");
    }

    #[test]
    fn tox_lets_the_plugin_through_but_no_path_that_it_would_have_dropped() {
        let alone = variables(&[]);
        assert_eq!(alone["TOX_TESTENV_PASSENV"], "HIGHWATER_* PYTHONPATH");
        let passed = "testenv.pass_env+=HIGHWATER_*,PYTHONPATH;";
        assert!(alone["TOX_OVERRIDE"].starts_with(passed), "{alone:?}");
        let beside = variables(&[("PYTHONPATH", "src")]);
        assert!(!beside["TOX_OVERRIDE"].contains("PYTHONPATH"), "{beside:?}");
    }

    #[test]
    fn what_a_job_before_left_is_added_to_once() {
        for present in [
            &[][..],
            &[
                ("PYTHONPATH", "src"),
                ("TOX_OVERRIDE", "testenv.deps=a"),
                ("TOX_TESTENV_PASSENV", "X"),
            ],
        ] {
            let once = variables(present);
            let there: Vec<(&str, &str)> = once
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            assert_eq!(variables(&there), once);
        }
    }

    #[test]
    fn a_plan_is_named_by_its_whole_path_or_its_id() {
        let id = "20ae0677-d026-5218-8f01-9ba3b2a9777e";
        let named = |plan: &str| of_plan(Some(Path::new(plan)), Some((1, 3)));
        assert_eq!(
            named(id),
            [
                (PLAN_VARIABLE, id.into()),
                ("HIGHWATER_SHARD", "1/3".into())
            ]
        );
        for file in ["plan.json", &format!("./{id}"), &id.replace('-', "")] {
            let (_, path) = &named(file)[0];
            assert!(Path::new(path).is_absolute(), "{path:?}");
        }
    }

    #[test]
    fn an_empty_path_does_not_add_the_working_folder() {
        for present in [&[][..], &[("PYTHONPATH", "")]] {
            assert_eq!(variables(present)["PYTHONPATH"], "/cache/plugin");
        }
    }

    #[test]
    fn only_a_job_that_is_being_recorded_is_joined() {
        let root = tempfile::tempdir().unwrap();
        let spool = Spool::create(root.path(), &v1::Job::default(), Uuid::nil()).unwrap();
        let here = spool.events().into_os_string();
        let check = |job: &'static str, events: OsString| {
            outer_job(|name| match name {
                "HIGHWATER_JOB" => Some(job.into()),
                _ => Some(events.clone()),
            })
        };
        assert_eq!(check("id", here.clone()), Outer::Recorded);
        assert_eq!(check("", here.clone()), Outer::None);
        assert_eq!(check("id", OsString::new()), Outer::None);
        let over = Outer::Over("id".to_owned());
        assert_eq!(check("id", spool.folder().join("gone").into()), over);
        // The folder stays where no server took it.
        drop(spool);
        assert_eq!(check("id", here), over);
    }
}
