//! Each refusal once, for the API's document.

use std::time::Duration;

use highwater_store::Trouble;
use highwater_wire::{VERSION, codec::Problem};
use uuid::Uuid;

use super::AppError;

/// The job that the document's examples speak of.
pub(crate) const JOB: Uuid = Uuid::from_u128(0x0197_a7d4_0000_7000_8000_0000_0000_0001);

impl AppError {
    /// One of each.
    pub(crate) fn samples() -> Vec<Self> {
        let field = Problem::Field {
            field: "attempt".to_owned(),
            reason: "counts from 1".to_owned(),
        };
        vec![
            Self::bad_request(
                "limit 0 is not between 1 and 1000",
                "ask for fewer rows and follow `next`",
            ),
            Problem::Compression(std::io::Error::other("incomplete frame")).into(),
            Problem::Version { found: VERSION + 1 }.into(),
            field.into(),
            Self::unauthorised("this server asks for a token"),
            Self::forbidden("this token is for read of owner/repo, not for ingest of owner/repo"),
            Self::cross_origin(),
            Self::forbidden_host(),
            Self::not_found(
                format!("there is no job {JOB}"),
                "check the uuid, or upload the job's spool",
            ),
            Self::method_not_allowed(format!("POST does not go with /api/v1/jobs/{JOB}")),
            Self::too_slow(),
            Self::conflict(format!("job {JOB} is already stored with other content")),
            Self::unsettled(JOB),
            Self::removed(
                format!("retention removed what was within job {JOB}"),
                "the job's own figures are still there",
            ),
            Self::infeasible(
                "no plan fits into 100.0 MiB: a job stands at 40.0 MiB before its first file, and test_example.py alone brings it to 120.0 MiB, \
                 so that is the least budget (125829120 bytes)",
            ),
            Self::too_few_jobs("no plan of so few jobs was found that fits into 100.0 MiB; 3 do"),
            Self::unplannable("it ran no test file, so there is nothing to plan"),
            Self::too_large(),
            Self::job_full("batch 7"),
            Self::too_many_failures(Duration::from_secs(5)),
            Self::busy(),
            Self::failed(),
            Self::unavailable(),
            Self::unwritten(Trouble::DiskFull),
            Self::unwritten(Trouble::Failing),
            Self::issuer_unavailable(),
        ]
    }
}
