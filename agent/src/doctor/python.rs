//! Which Python and pytest a command would find, and whether that pytest would find the plugin.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde::Deserialize;

use super::{Check, spool::Trial};
use crate::{
    ci::Env,
    plugin_files,
    program::{Unanswered, ask, find},
};

/// What a Python may take to answer: a cold disk takes seconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// The plugin is made for this Python and newer ones; below, its first module does nothing.
const OLDEST_PYTHON: (u32, u32) = (3, 8);
/// Longest head of a script that is looked at for its interpreter, bytes.
const MOST_HEAD_BYTES: u64 = 4096;

const PYTHON: &str = "python";
const PYTEST: &str = "pytest";
const PLUGIN: &str = "plugin";

const OWN_ENVIRONMENT: &str =
    "nothing, where the command brings its own (tox, nox, uv); else install it";

const SLOW: &str = "nothing, if the machine is busy: it is there and was slow; run `highwater doctor` again when there is less to do";

/// Looks as pytest does, by the entry points on the path; modules of the working folder must not stand in for those of Python.
const PROBE: &str = r#"
import sys
sys.path = [part for part in sys.path if part]
import json
found = {"python": "%d.%d.%d" % sys.version_info[:3], "pytest": None, "plugin": None}
try:
    import pytest
    found["pytest"] = pytest.__version__
    from importlib.metadata import distributions
    for distribution in distributions():
        for entry in distribution.entry_points:
            if entry.group == "pytest11" and entry.name == "highwater_pytest" and not found["plugin"]:
                found["plugin"] = entry.load().__file__
except ImportError:
    pass
except Exception as error:
    found["error"] = "%s: %s" % (type(error).__name__, error)
print(json.dumps(found))
"#;

/// What a Python says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Probed {
    /// Its version.
    pub(super) python: String,
    /// Version of its pytest.
    pub(super) pytest: Option<String>,
    /// Where the plugin was found.
    pub(super) plugin: Option<String>,
    /// Why it could not be looked for.
    #[serde(default)]
    pub(super) error: Option<String>,
}

/// Python, pytest, and the plugin in that pytest.
pub(super) fn all(plugin_root: &Path, env: &Env, folder: &Path) -> Vec<Check> {
    let path = env.get("PATH").map_or("", String::as_str);
    let python = ["python3", "python"]
        .into_iter()
        .find_map(|name| find(name, path, folder));
    let pytest = find("pytest", path, folder);
    let trial = Trial::below(plugin_root);
    let plugin = trial
        .as_ref()
        .map_err(|error| format!("{}: {error}", plugin_root.display()))
        .and_then(|trial| plugin_files::unpack(trial.folder()).map_err(|error| error.to_string()));
    let probed = |python: &Path| probe(python, plugin.as_deref().ok(), folder);
    let of_python = python.as_deref().map(&probed);
    // The script's own Python is the one that counts: a `pytest` on the PATH often belongs to another environment than `python3`.
    let of_pytest = match &pytest {
        Some(script) => match interpreter(script, path, folder) {
            Some(other) if Some(&other) != python.as_ref() => Some(probed(&other)),
            Some(_) => of_python.clone(),
            None => None,
        },
        None => of_python.clone(),
    };
    let mut checks = vec![
        python_check(python.as_deref(), of_python.as_ref()),
        pytest_check(pytest.as_deref(), of_pytest.as_ref()),
    ];
    checks.push(match &plugin {
        Err(why) => Check::missing(
            PLUGIN,
            why,
            "name a folder that can be written by --spool or HIGHWATER_SPOOL",
        ),
        Ok(plugin) => plugin_check(plugin, of_pytest.as_ref(), env),
    });
    checks
}

fn probe(python: &Path, plugin: Option<&Path>, folder: &Path) -> Result<Probed, Unanswered> {
    let mut command = Command::new(python);
    command.args(["-B", "-c", PROBE]).current_dir(folder);
    if let Some(plugin) = plugin {
        let present = std::env::var_os("PYTHONPATH");
        command.env("PYTHONPATH", plugin_files::python_path(plugin, present));
    }
    let said = ask(&mut command, PATIENCE)?;
    // A `sitecustomize` may have said something before.
    let last = said.lines().last().unwrap_or_default();
    serde_json::from_str(last).map_err(|_| "is no Python that answers".to_owned().into())
}

pub(super) fn python_check(
    path: Option<&Path>,
    probed: Option<&Result<Probed, Unanswered>>,
) -> Check {
    let Some((path, probed)) = path.zip(probed) else {
        return Check::limited(PYTHON, "no python3 is on PATH", OWN_ENVIRONMENT);
    };
    match probed {
        Ok(probed) => Check::works(PYTHON, format!("{} at {}", probed.python, path.display())),
        Err(none) => unanswered(PYTHON, path, none),
    }
}

/// One that was slow is there all the same.
fn unanswered(name: &'static str, path: &Path, none: &Unanswered) -> Check {
    let seen = format!("{}: {}", path.display(), none.why);
    match none.was_slow {
        true => Check::not_checked(name, seen, SLOW),
        false => Check::limited(name, seen, OWN_ENVIRONMENT),
    }
}

pub(super) fn pytest_check(
    script: Option<&Path>,
    probed: Option<&Result<Probed, Unanswered>>,
) -> Check {
    match (script, probed) {
        (Some(script), None) => Check::not_checked(
            PYTEST,
            format!(
                "{} starts another program, which is not looked into",
                script.display()
            ),
            "run `highwater doctor` inside the environment of the tests",
        ),
        (_, Some(Ok(probed))) => match (&probed.pytest, script) {
            (Some(version), Some(script)) if is_old(version) => Check::limited(
                PYTEST,
                format!("{version} at {}", script.display()),
                "install pytest 7 or newer: the plugin is made for it",
            ),
            (Some(version), Some(script)) => {
                Check::works(PYTEST, format!("{version} at {}", script.display()))
            }
            (Some(version), None) => Check::works(
                PYTEST,
                format!("{version} as `python3 -m pytest`; no script on PATH"),
            ),
            (None, _) => Check::limited(
                PYTEST,
                "neither on PATH nor a module of python3",
                OWN_ENVIRONMENT,
            ),
        },
        (Some(script), Some(Err(none))) => unanswered(PYTEST, script, none),
        (None, _) => Check::limited(PYTEST, "is not on PATH", OWN_ENVIRONMENT),
    }
}

fn is_too_old(python: &str) -> bool {
    let mut parts = python.split('.').map(str::parse);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < OLDEST_PYTHON,
        _ => false,
    }
}

fn is_old(version: &str) -> bool {
    let major = version.split('.').next().and_then(|part| part.parse().ok());
    major.is_some_and(|major: u32| major < 7)
}

pub(super) fn plugin_check(
    folder: &Path,
    probed: Option<&Result<Probed, Unanswered>>,
    env: &Env,
) -> Check {
    let autoload = "PYTEST_DISABLE_PLUGIN_AUTOLOAD";
    if let Some(Err(none)) = probed
        && none.was_slow
    {
        return Check::not_checked(PLUGIN, &none.why, SLOW);
    }
    let Some(Ok(probed)) = probed else {
        return Check::not_checked(
            PLUGIN,
            "no pytest was found that could load it",
            "run `highwater doctor` inside the environment of the tests",
        );
    };
    if probed.pytest.is_none() && probed.error.is_none() {
        return Check::not_checked(
            PLUGIN,
            "no pytest was found that could load it",
            "run `highwater doctor` inside the environment of the tests",
        );
    }
    if env.get(autoload).is_some_and(|value| !value.is_empty()) {
        return Check::missing(
            PLUGIN,
            format!("{autoload} keeps pytest from loading it"),
            format!("unset {autoload}, or add `-p highwater_pytest` to the pytest command"),
        );
    }
    if is_too_old(&probed.python) {
        let (major, minor) = OLDEST_PYTHON;
        return Check::limited(
            PLUGIN,
            format!(
                "Python {} is older than {major}.{minor}: its tests are read from memory at each sample",
                probed.python
            ),
            format!("use Python {major}.{minor} and pytest 7 or newer for exact figures"),
        );
    }
    match (&probed.plugin, &probed.error) {
        (Some(found), _) if Path::new(found).starts_with(folder) => {
            Check::works(PLUGIN, "pytest would find the agent's own")
        }
        (Some(found), _) => Check::works(PLUGIN, format!("pytest would find {found}")),
        (None, Some(why)) => Check::missing(
            PLUGIN,
            why,
            "use Python 3.8 and pytest 7 or newer, and see what the error says",
        ),
        (None, None) => Check::missing(
            PLUGIN,
            "this Python does not look at PYTHONPATH",
            "install the package `highwater-pytest` where pytest is",
        ),
    }
}

/// The Python that runs a script, by its first lines; `None` for a script of something else. A path too long for a first line is in the second,
/// in words that a shell and a Python read alike.
pub(super) fn interpreter(script: &Path, path: &str, folder: &Path) -> Option<PathBuf> {
    let head = BufReader::new(File::open(script).ok()?.take(MOST_HEAD_BYTES));
    let mut lines = head.lines().map_while(Result::ok);
    let first = lines.next()?;
    let mut words = first.strip_prefix("#!")?.split_ascii_whitespace();
    let program = words.next()?;
    let program = match Path::new(program).file_name()?.to_str()? {
        "env" => find(words.find(|word| !word.starts_with('-'))?, path, folder)?,
        "sh" => {
            let second = lines.next()?;
            let rest = second.strip_prefix("'''exec'")?.trim_start();
            let quoted = rest
                .strip_prefix('"')
                .and_then(|rest| rest.split('"').next());
            PathBuf::from(quoted.or_else(|| rest.split(' ').next())?)
        }
        _ => PathBuf::from(program),
    };
    let name = program.file_name()?.to_str()?;
    (name.starts_with("python") || name.starts_with("pypy")).then_some(program)
}
