//! `highwater-server webhook`: who is told of deaths and findings.

use std::io::Write;

use highwater_analysis::time::rfc3339;
use highwater_report::{WebhookFormat, webhook_test};
use highwater_store::{DeliveryRow, Message, NewWebhook, Store, WebhookRow};
use highwater_wire::ids::ProjectSlug;
use uuid::Uuid;

use super::columns;
use crate::webhooks::{CLAIMED_FOR_US, Destination, Found, Secret, once, post};

/// What to do about webhooks.
#[derive(Debug)]
pub enum Order {
    /// Add one.
    Add(New),
    /// Show all.
    List,
    /// Remove one, by its number.
    Remove(i64),
    /// Post to one now, by its number.
    Test(i64),
    /// Show what was sent, to one or to all: so much at most.
    Deliveries(Option<i64>, u32),
}

/// A webhook that is added.
#[derive(Debug)]
pub struct New {
    /// Whose jobs it is told of.
    pub project: ProjectSlug,
    /// Where to post.
    pub url: String,
    /// Whether it is told of deaths.
    pub on_death: bool,
    /// Whether it is told of findings.
    pub on_finding: bool,
    /// In which form.
    pub format: WebhookFormat,
    /// Whether it may lead into a private network.
    pub allow_private: bool,
}

type Done = Result<(), Box<dyn std::error::Error>>;

/// Does it. A new secret is the only thing that goes to `out`, so that it can be kept by a script; what is said of it goes to `notes`.
///
/// # Errors
/// When the database fails, there is no such webhook, it may not or does not take a post, or nothing can be written.
pub async fn run(
    store: &Store,
    order: Order,
    now_unix_us: i64,
    out: &mut impl Write,
    notes: &mut impl Write,
) -> Done {
    match order {
        Order::Add(new) => add(store, new, now_unix_us, out, notes).await,
        Order::List => {
            for line in list(&store.webhooks().await?) {
                writeln!(out, "{line}")?;
            }
            Ok(())
        }
        Order::Remove(id) => {
            if !store.remove_webhook(id).await? {
                return Err(unknown(id));
            }
            writeln!(notes, "The webhook {id} is told of nothing any more.")?;
            Ok(())
        }
        Order::Test(id) => test(store, id, now_unix_us, out).await,
        Order::Deliveries(webhook, limit) => {
            if let Some(id) = webhook {
                find(store, id).await?;
            }
            for line in log(&store.deliveries(webhook, limit).await?) {
                writeln!(out, "{line}")?;
            }
            Ok(())
        }
    }
}

async fn add(
    store: &Store,
    new: New,
    now_unix_us: i64,
    out: &mut impl Write,
    notes: &mut impl Write,
) -> Done {
    let destination = Destination::parse(&new.url, new.allow_private)
        .map_err(|reason| format!("--url: {:?} {reason}", new.url))?;
    let found = destination
        .look()
        .map_err(|private| format!("--url: {private}; where that is meant, add --allow-private"))?;
    let secret = Secret::random()?;
    let revealed = secret.reveal();
    let webhook = NewWebhook {
        project: new.project.as_str().to_owned(),
        url: new.url,
        on_death: new.on_death,
        on_finding: new.on_finding,
        format: new.format.as_str().to_owned(),
        allow_private: new.allow_private,
        secret: secret.into_bytes(),
        created_unix_us: now_unix_us,
    };
    let id = store.add_webhook(webhook).await?;
    // One that nobody saw shall not count.
    if let Err(error) = writeln!(out, "{revealed}").and_then(|()| out.flush()) {
        store.remove_webhook(id).await?;
        return Err(error.into());
    }
    writeln!(
        notes,
        "This is the secret that posts to webhook {id} are signed with. Keep it: it is not shown again. `highwater-server webhook test {id}` tries it."
    )?;
    if let Found::Unknown(reason) = found {
        writeln!(notes, "Its host cannot be found now: {reason}.")?;
    }
    Ok(())
}

async fn test(store: &Store, id: i64, now_unix_us: i64, out: &mut impl Write) -> Done {
    let webhook = find(store, id).await?;
    let format: WebhookFormat = webhook.format.parse()?;
    let message = Message {
        webhook: id,
        id: Uuid::now_v7(),
        kind: "test".to_owned(),
        job: None,
        told: String::new(),
        takes_back: None,
        body: webhook_test(format, &webhook.project, &rfc3339(now_unix_us))?.into_bytes(),
        created_unix_us: now_unix_us,
    };
    let until = now_unix_us.saturating_add(CLAIMED_FOR_US);
    let begun = store.begin_delivery(message, until).await?;
    let delivery = begun.ok_or_else(|| unknown(id))?;
    let outcome = once(post(&delivery, now_unix_us / 1_000_000).await);
    store.delivery_tried(&delivery, outcome.clone()).await?;
    let status = outcome.status.map(|status| format!("answered {status}"));
    match (outcome.state, status) {
        ("delivered", Some(status)) => {
            writeln!(
                out,
                "The webhook {id} {status}: it took the message {}.",
                delivery.message
            )?;
            Ok(())
        }
        (_, Some(status)) => Err(format!("webhook {id} {status}: it {}", outcome.problem).into()),
        (_, None) => Err(format!("webhook {id} did not answer: {}", outcome.problem).into()),
    }
}

async fn find(store: &Store, id: i64) -> Result<WebhookRow, Box<dyn std::error::Error>> {
    let all = store.webhooks().await?;
    let found = all.into_iter().find(|webhook| webhook.id == id);
    found.ok_or_else(|| unknown(id))
}

fn unknown(id: i64) -> Box<dyn std::error::Error> {
    format!("there is no webhook {id}; `highwater-server webhook list` shows all").into()
}

const HEAD: [&str; 8] = [
    "id", "project", "address", "on", "format", "added", "waiting", "dropped",
];

fn list(webhooks: &[WebhookRow]) -> Vec<String> {
    if webhooks.is_empty() {
        let how =
            "add one with `highwater-server webhook add --project owner/repo --url https://…`";
        return vec![format!("There are no webhooks; {how}.")];
    }
    let rows = webhooks.iter().map(|webhook| {
        let address = Destination::parse(&webhook.url, webhook.allow_private);
        let kinds = [("death", webhook.on_death), ("finding", webhook.on_finding)];
        let on = kinds
            .iter()
            .filter(|(_, is_on)| *is_on)
            .map(|(kind, _)| *kind);
        [
            webhook.id.to_string(),
            webhook.project.clone(),
            address.map_or_else(|_| "(none)".to_owned(), |it| it.shown()),
            on.collect::<Vec<_>>().join(","),
            webhook.format.clone(),
            rfc3339(webhook.created_unix_us),
            webhook.waiting.to_string(),
            webhook.dropped.to_string(),
        ]
    });
    columns::lines(HEAD, rows)
}

const LOG_HEAD: [&str; 9] = [
    "webhook", "kind", "job", "made", "state", "tries", "last try", "status", "",
];

fn log(deliveries: &[DeliveryRow]) -> Vec<String> {
    if deliveries.is_empty() {
        return vec!["Nothing was sent in the last 30 days.".to_owned()];
    }
    let rows = deliveries.iter().map(|row| {
        let next = row.next_unix_us.filter(|_| row.tries > 0);
        let next = next.map_or_else(String::new, |at| format!("; next {}", rfc3339(at)));
        [
            row.webhook_id.to_string(),
            row.kind.clone(),
            row.job_uuid
                .map_or_else(|| "-".to_owned(), |job| job.to_string()),
            rfc3339(row.created_unix_us),
            row.state.clone(),
            row.tries.to_string(),
            row.tried_unix_us
                .map_or_else(|| "never".to_owned(), rfc3339),
            row.status
                .map_or_else(|| "-".to_owned(), |status| status.to_string()),
            format!("{}{next}", row.problem),
        ]
    });
    columns::lines(LOG_HEAD, rows)
}
