//! What a server says of cutting a job that just ended: it knows what other jobs saw of files that this one did not come to, or not to the end of.

use std::time::Duration;

use highwater_analysis::{
    digest::Digest,
    plan::{self, Facts},
};
use highwater_wire::report::{PlanHint, ReportDocument};

use super::answers::understood;
use crate::{ci::Env, settings::Token, shipper::Client, terminal};

/// Nobody waits longer for it.
const PATIENCE: Duration = Duration::from_secs(5);
/// What an answer may weigh, bytes.
const MOST_BYTES: u64 = 16 << 20;

/// Tells of a job that was sent how it is to be cut by all that its server knows, where that differs from what its summary said. Whatever keeps the server from
/// answering is no matter.
pub(super) fn tell(digest: &Digest, server: Option<&str>, token: Option<&Token>, env: &Env) {
    let job = &digest.job;
    if !plan::is_due(job) {
        return;
    }
    let facts = Facts::of(&job.sessions, &digest.files, &digest.fixtures);
    let Some(server) = server.filter(|_| !facts.to_recall().is_empty()) else {
        return;
    };
    let client = Client::new(server, token, env, job.uuid);
    let path = format!("/api/v1/jobs/{}/report?format=json", job.uuid);
    let answer = client.read_report(&path, PATIENCE, MOST_BYTES);
    let document = answer.and_then(|text| understood::<ReportDocument>(&text));
    let known = document.ok().and_then(|document| document.plan_hint);
    let own = plan::hint(job, &facts, Some(&client.page()));
    if let Some(known) = known
        && own.as_ref().map(told) != Some(told(&known))
    {
        terminal::tell(words(&known));
    }
}

/// What it says, by whatever address the server is known.
fn told(hint: &PlanHint) -> &str {
    match hint {
        PlanHint::Command(command) => command.split(" --server ").next().unwrap_or(command),
        PlanHint::Nothing(why) => why,
    }
}

fn words(hint: &PlanHint) -> String {
    match hint {
        PlanHint::Command(command) => {
            format!(
                "by what other jobs saw of its files it is cut into jobs that fit by: {command}"
            )
        }
        PlanHint::Nothing(why) => format!("other jobs saw more of its files. {why}"),
    }
}
