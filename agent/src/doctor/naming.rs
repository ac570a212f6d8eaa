//! What a recording would be called.

use std::path::Path;

use highwater_wire::report::leg;

use super::Check;
use crate::{
    ci::Env,
    settings::{self, Given},
};

/// Which CI is recognised, and which project and job that makes; also what is wrong with a setting.
pub(super) fn naming(given: Given, env: &Env, folder: &Path) -> Check {
    const NAME: &str = "names";
    let settings = match settings::resolve(given, env, folder, &["pytest".to_owned()]) {
        Ok(settings) => settings,
        Err(error) => {
            return Check::missing(
                NAME,
                error.to_string(),
                "mend the setting: nothing is recorded with it",
            );
        }
    };
    let job = settings.job;
    let provider = match job.run.map(|run| run.provider) {
        Some(provider) if provider != "local" => format!("CI {provider}"),
        _ => "no CI".to_owned(),
    };
    let variant = leg(&job.variant);
    let variant = match variant.is_empty() {
        true => String::new(),
        false => format!(" ({})", variant.join(", ")),
    };
    let seen = format!(
        "{provider}; project {}, job {}{variant}",
        job.project, job.name
    );
    let problems = settings.places.problems;
    match problems.is_empty() {
        true => Check::works(NAME, seen),
        false => Check::limited(NAME, seen, format!("mend {}", problems.join("; "))),
    }
}
