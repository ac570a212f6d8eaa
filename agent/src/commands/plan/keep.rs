//! Has the server make a plan and keep it.

use highwater_analysis::plan::Asked;
use highwater_wire::report::PlanReport;
use uuid::Uuid;

use crate::{
    ci::Env,
    commands::{CommandError, kept},
    settings::Places,
    shipper::Client,
};

/// The server makes it of the recording that it has: what it keeps rests on nobody's word.
pub(super) fn keep(
    job: Uuid,
    asked: &Asked,
    places: &Places,
    env: &Env,
) -> Result<PlanReport, CommandError> {
    let server = places.server.as_ref().ok_or(CommandError::NoServer)?;
    let client = Client::new(server, places.token.as_ref(), env, job);
    let path = format!("/api/v1/jobs/{job}/plan?{}", in_address(asked));
    let not_kept = |why| CommandError::PlanNotKept(job, why);
    let answer = client.post_up_to(&path, "", kept::MOST_BYTES);
    kept::checked(&answer.map_err(not_kept)?, None).map_err(not_kept)
}

/// What is asked, as part of an address.
fn in_address(asked: &Asked) -> String {
    let mut fields = form_urlencoded::Serializer::new(String::new());
    if let Some(budget_bytes) = asked.budget_bytes {
        fields.append_pair("budget", &budget_bytes.to_string());
    }
    if let Some(jobs) = asked.jobs {
        fields.append_pair("jobs", &jobs.to_string());
    }
    if let Some(workers) = asked.workers {
        fields.append_pair("workers", &workers.to_string());
    }
    if !asked.together.is_empty() {
        fields.append_pair("together", &asked.together.join("\n"));
    }
    fields.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_asks_for_what_was_asked_for_alone() {
        let mut asked = Asked::default();
        assert_eq!(in_address(&asked), "");
        asked.budget_bytes = Some(3_000_000_000);
        assert_eq!(in_address(&asked), "budget=3000000000");
        asked.jobs = Some(3);
        asked.workers = Some(2);
        asked.together = vec!["tests/db/*".to_owned(), "a b&c".to_owned()];
        assert_eq!(
            in_address(&asked),
            "budget=3000000000&jobs=3&workers=2&together=tests%2Fdb%2F*%0Aa+b%26c"
        );
    }
}
