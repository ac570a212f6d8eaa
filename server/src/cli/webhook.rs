//! `highwater-server webhook`, as clap reads it.

use clap::{Subcommand, ValueEnum};
use highwater_report::WebhookFormat;

use super::Places;
use crate::{
    commands::{Order, webhook},
    config::{self, ConfigError},
};

#[derive(Debug, Subcommand)]
pub(super) enum Webhook {
    /// Add an address that is told, and print the secret that posts to it are signed with: it is shown this once.
    Add {
        /// Of whose jobs it is told, `owner/repo`.
        #[arg(long, value_name = "PROJECT")]
        project: String,
        /// Where to post, such as https://receiver.example/highwater.
        #[arg(long, value_name = "URL")]
        url: String,
        /// What it is told of: jobs that died, figures that got worse.
        #[arg(
            long,
            value_name = "KIND",
            value_delimiter = ',',
            default_value = "death,finding"
        )]
        on: Vec<Kind>,
        /// `json` for a document, `slack` for a message that Slack and other chats take.
        #[arg(long, default_value = "json", value_parser = str::parse::<WebhookFormat>)]
        format: WebhookFormat,
        /// It may lead to this machine or into a private network, also without TLS.
        #[arg(long)]
        allow_private: bool,
        #[command(flatten)]
        places: Places,
    },
    /// List all webhooks: whom each tells of what, and how much waits.
    List {
        #[command(flatten)]
        places: Places,
    },
    /// Remove a webhook, with all that waits for it.
    Remove {
        /// Its number in the list.
        id: i64,
        #[command(flatten)]
        places: Places,
    },
    /// Post a test to a webhook now, and say what it answered.
    Test {
        /// Its number in the list.
        id: i64,
        #[command(flatten)]
        places: Places,
    },
    /// List what was sent, the newest first: when, how often, and what was answered.
    Deliveries {
        /// To this webhook only.
        id: Option<i64>,
        /// So many at most.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        #[command(flatten)]
        places: Places,
    },
}

/// What a webhook can be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    Death,
    Finding,
}

/// What is asked for; `database` resolves where.
pub(super) fn order(
    webhook: Webhook,
    database: impl FnOnce(Places) -> Result<String, ConfigError>,
) -> Result<Order, ConfigError> {
    let (places, order) = match webhook {
        Webhook::Add {
            project,
            url,
            on,
            format,
            allow_private,
            places,
        } => {
            let new = webhook::New {
                project: config::slug(project)?,
                url,
                on_death: on.contains(&Kind::Death),
                on_finding: on.contains(&Kind::Finding),
                format,
                allow_private,
            };
            (places, webhook::Order::Add(new))
        }
        Webhook::List { places } => (places, webhook::Order::List),
        Webhook::Remove { id, places } => (places, webhook::Order::Remove(id)),
        Webhook::Test { id, places } => (places, webhook::Order::Test(id)),
        Webhook::Deliveries { id, limit, places } => {
            (places, webhook::Order::Deliveries(id, limit))
        }
    };
    Ok(Order::Webhook(database(places)?, order))
}
