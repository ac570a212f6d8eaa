//! Whether jobs are, in everything the API tells of them, as they are on a server that was sent each request once and was left alone.

use std::{sync::Arc, time::Duration};

use hyper::StatusCode;
use serde_json::Value;
use tokio::time::sleep;

use crate::{Failure, client::Client, ledger::Acknowledged, trace::Trace};

/// How many send at once.
const SENDERS: usize = 8;
/// What is compared, below the job's path.
const SHOWN: [&str; 6] = [
    "",
    "/processes",
    "/files",
    "/tests",
    "/fixtures",
    "/series?points=2000",
];

/// Sends everything that was acknowledged once more, and answers how often it was answered so.
pub(crate) async fn resend(
    address: &str,
    trace: &Arc<Trace>,
    jobs: &[Acknowledged],
    expected: StatusCode,
) -> Result<(u64, Vec<String>), Failure> {
    let mut sending = Vec::new();
    for share in jobs.chunks(jobs.len().div_ceil(SENDERS).max(1)) {
        let (share, trace, address) = (share.to_vec(), Arc::clone(trace), address.to_owned());
        sending.push(tokio::spawn(async move {
            let mut client = Client::new(&address);
            let (mut good, mut others) = (0, Vec::new());
            for job in &share {
                for sent in job.all(&trace)? {
                    let answer = client.put(&sent.path, sent.body.clone()).await?;
                    if answer.status == expected && answer.acknowledges(&sent.receipt) {
                        good += 1;
                    } else {
                        others.push(format!("{}: {}", sent.path, answer.status));
                    }
                }
            }
            Ok::<_, Failure>((good, others))
        }));
    }
    let (mut good, mut others) = (0, Vec::new());
    for share in sending {
        let (its, bad) = share.await??;
        good += its;
        others.extend(bad);
    }
    Ok((good, others))
}

/// Waits until a job is finalised and nothing of it is left to be.
pub(crate) async fn settled(client: &mut Client, job: &Acknowledged) -> Result<Value, Failure> {
    let mut looks = 0;
    loop {
        let told = shown(client, job, "").await?;
        if told["state"] == "finished" && told["revision"].as_u64() > Some(0) {
            return Ok(told);
        }
        looks += 1;
        if looks > 3_000 {
            return Err(format!("job {} ended and is not finalised: {told}", job.uuid).into());
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// What two servers tell of a job that is not the same.
pub(crate) async fn differences(
    one: &mut Client,
    other: &mut Client,
    job: &Acknowledged,
) -> Result<Vec<String>, Failure> {
    settled(one, job).await?;
    settled(other, job).await?;
    let mut found = Vec::new();
    for what in SHOWN {
        let mut told = (shown(one, job, what).await?, shown(other, job, what).await?);
        for told in [&mut told.0, &mut told.1] {
            // A batch that came again after a kill may have come when the job was already finalised without it.
            told.as_object_mut().map(|told| told.remove("revision"));
        }
        if told.0 != told.1 {
            found.push(format!("{}{what}", job.path()));
        }
    }
    Ok(found)
}

async fn shown(client: &mut Client, job: &Acknowledged, what: &str) -> Result<Value, Failure> {
    let answer = client.get(&format!("{}{what}", job.path())).await?;
    if !answer.status.is_success() {
        return Err(format!("{}{what}: {}", job.path(), answer.status).into());
    }
    Ok(serde_json::from_slice(&answer.body)?)
}
