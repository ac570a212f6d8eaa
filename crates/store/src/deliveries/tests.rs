use uuid::Uuid;

use super::*;
use crate::{
    Finalised, Moment, NewWebhook, News, Whole,
    tests::{batch, finalised, job, key_of, plan_of, store},
    webhooks,
};

const NOW: i64 = 1_000_000;

async fn webhook(store: &Store, created_unix_us: i64) -> i64 {
    let new = NewWebhook {
        project: "owner/repo".to_owned(),
        url: "https://receiver.example/".to_owned(),
        on_death: true,
        on_finding: true,
        format: "json".to_owned(),
        allow_private: false,
        secret: Uuid::new_v4().as_bytes().to_vec(),
        created_unix_us,
    };
    store.add_webhook(new).await.unwrap()
}

fn message(webhook: i64, job: Uuid, revision: u32, told: &str) -> Message {
    Message {
        webhook,
        id: Uuid::now_v7(),
        kind: "death".to_owned(),
        job: Some((job, revision)),
        told: told.to_owned(),
        takes_back: None,
        body: b"{}".to_vec(),
        created_unix_us: NOW,
    }
}

/// A job that ended at that moment and is finalised, to be told of where it ended since NOW.
async fn ended(store: &Store, ended_unix_us: i64) -> Uuid {
    let uuid = Uuid::now_v7();
    let at = Moment {
        started_unix_us: ended_unix_us - 1,
        heard_unix_us: NOW,
        clock_skew_us: None,
    };
    store.put_job(uuid, job("unit"), at).await.unwrap();
    let sent = batch(Uuid::new_v4(), 0, 1, 1);
    store.put_batch(uuid, sent, NOW).await.unwrap();
    finalise(store, uuid).await;
    uuid
}

async fn finalise(store: &Store, uuid: Uuid) {
    let key = key_of(store, uuid).await;
    let done = Finalised {
        news_since_unix_us: Some(NOW),
        ..finalised(&key, key.revision + 1, key.arrivals, Vec::new())
    };
    assert_eq!(store.put_finalised(done).await.unwrap(), Put::New);
}

/// Tells a webhook of a job that is news; all that it was told.
async fn tell(store: &Store, message: Message) -> Vec<DeliveryRow> {
    let (webhook, job) = (message.webhook, message.job.unwrap().0);
    let known = store.news().await.unwrap();
    let news = known.into_iter().find(|news| news.job_uuid == job);
    assert!(store.tell(news.unwrap(), vec![message]).await.unwrap());
    store.deliveries(Some(webhook), 9).await.unwrap()
}

#[tokio::test]
async fn only_a_job_that_ended_just_now_is_news_and_only_to_who_asked_before() {
    let (_folder, store) = store().await;
    ended(&store, NOW).await;
    assert_eq!(store.news().await.unwrap(), [], "nobody wants to know");
    webhook(&store, NOW + 1).await;
    ended(&store, NOW).await;
    assert_eq!(store.news().await.unwrap(), [], "it was heard of before");
    webhook(&store, NOW).await;
    ended(&store, NOW - 1).await;
    assert_eq!(store.news().await.unwrap(), [], "it ended long ago");
    let whole = Whole {
        job: v1_job(NOW),
        batches: Vec::new(),
        end: None,
    };
    let imported = Uuid::now_v7();
    store.put_whole(imported, whole, NOW).await.unwrap();
    finalise(&store, imported).await;
    assert_eq!(store.news().await.unwrap(), [], "it was imported");
    let job_uuid = ended(&store, NOW).await;
    let revision = 1;
    assert_eq!(store.news().await.unwrap(), [News { job_uuid, revision }]);
}

fn v1_job(started_unix_us: i64) -> highwater_wire::v1::Job {
    highwater_wire::v1::Job {
        started_unix_us,
        ..job("imported")
    }
}

#[tokio::test]
async fn a_job_is_told_of_once_and_again_only_where_something_else_is_told() {
    let (_folder, store) = store().await;
    let webhook = webhook(&store, NOW).await;
    let uuid = ended(&store, NOW).await;
    let first = store.news().await.unwrap()[0];
    finalise(&store, uuid).await;
    let stale = message(webhook, uuid, 1, "runner_lost");
    assert!(
        !store.tell(first, vec![stale]).await.unwrap(),
        "it was finalised again"
    );
    assert_eq!(
        tell(&store, message(webhook, uuid, 2, "runner_lost"))
            .await
            .len(),
        1
    );
    assert_eq!(store.news().await.unwrap(), []);
    for (revision, told, expected) in [
        (3, "runner_lost", 1),
        (4, "oom_cgroup", 2),
        (5, "oom_cgroup", 2),
    ] {
        finalise(&store, uuid).await;
        let rows = tell(&store, message(webhook, uuid, revision, told)).await;
        assert_eq!(rows.len(), expected, "{told}");
    }
}

#[tokio::test]
async fn a_try_is_one_servers_and_runs_out_by_itself() {
    let (_folder, store) = store().await;
    let webhook = webhook(&store, NOW).await;
    let uuid = ended(&store, NOW).await;
    let row = tell(&store, message(webhook, uuid, 1, "x")).await.remove(0);
    assert_eq!(store.due(NOW - 1).await.unwrap(), []);
    assert_eq!(store.due(NOW).await.unwrap(), [(row.id, webhook)]);
    let claimed = store.claim(row.id, NOW, NOW + 60).await.unwrap().unwrap();
    assert_eq!((claimed.tries, claimed.message), (1, row.message));
    assert_eq!(store.claim(row.id, NOW, NOW + 60).await.unwrap(), None);
    assert_eq!(store.due(NOW + 59).await.unwrap(), []);
    // Its server was killed: another goes on, and what the first one may still say counts no more.
    let again = store
        .claim(row.id, NOW + 60, NOW + 120)
        .await
        .unwrap()
        .unwrap();
    let delivered = Outcome {
        state: "delivered",
        next_unix_us: None,
        status: Some(204),
        problem: String::new(),
    };
    assert!(
        !store
            .delivery_tried(&claimed, delivered.clone())
            .await
            .unwrap()
    );
    assert!(store.delivery_tried(&again, delivered).await.unwrap());
    let row = store.deliveries(None, 9).await.unwrap().remove(0);
    assert_eq!(
        (row.state.as_str(), row.status, row.tries),
        ("delivered", Some(204), 2)
    );
    assert_eq!(store.due(i64::MAX).await.unwrap(), []);
    assert_eq!(store.claim(row.id, i64::MAX, i64::MAX).await.unwrap(), None);
    assert!(!store.forget_deliveries(NOW - 1).await.unwrap());
    assert_eq!(store.deliveries(None, 9).await.unwrap().len(), 1);
    assert!(!store.forget_deliveries(NOW).await.unwrap());
    assert_eq!(store.deliveries(None, 9).await.unwrap(), []);
}

#[tokio::test]
async fn what_was_told_is_taken_back_from_whoever_was_told() {
    let (_folder, store) = store().await;
    let told = webhook(&store, NOW).await;
    let other = webhook(&store, NOW).await;
    let uuid = ended(&store, NOW).await;
    tell(&store, message(told, uuid, 1, "x")).await;
    let again = ended(&store, NOW).await;
    let news = store.news().await.unwrap();
    assert_eq!(news[0].job_uuid, again);
    let back = |webhook| Message {
        kind: "refuted".to_owned(),
        takes_back: Some("death".to_owned()),
        ..message(webhook, uuid, 1, "x")
    };
    let messages = vec![back(told), back(told), back(other)];
    assert!(store.tell(news[0], messages).await.unwrap());
    let kinds = async |webhook| {
        let rows = store.deliveries(Some(webhook), 9).await.unwrap();
        rows.into_iter()
            .map(|row| row.kind)
            .collect::<Vec<String>>()
    };
    assert_eq!(kinds(told).await, ["refuted", "death"]);
    assert_eq!(kinds(other).await, [""; 0]);
}

#[tokio::test]
async fn a_full_queue_takes_no_more_and_counts_what_it_dropped() {
    let (_folder, store) = store().await;
    let webhook = webhook(&store, NOW).await;
    let other = self::webhook(&store, NOW).await;
    let uuid = ended(&store, NOW).await;
    let news = store.news().await.unwrap()[0];
    let of =
        |webhook| move |n: i64| message(webhook, Uuid::from_u128(n.cast_unsigned().into()), 1, "x");
    let mut messages: Vec<Message> = (0..MOST_WAITING + 2).map(of(webhook)).collect();
    messages.push(message(other, uuid, 1, "x"));
    assert!(store.tell(news, messages).await.unwrap());
    assert_eq!(
        store.delivery_counts().await.unwrap(),
        (MOST_WAITING + 1, 2)
    );
    let rows = store.webhooks().await.unwrap();
    let counts: Vec<(i64, i64)> = rows.iter().map(|row| (row.waiting, row.dropped)).collect();
    assert_eq!(counts, [(MOST_WAITING, 2), (1, 0)]);
    assert!(store.remove_webhook(webhook).await.unwrap());
    assert!(!store.remove_webhook(webhook).await.unwrap());
    assert_eq!(store.delivery_counts().await.unwrap(), (1, 0));
}

#[tokio::test]
async fn what_waits_is_found_by_an_index() {
    let (_folder, store) = store().await;
    for (statement, index) in [
        (DUE, "delivery_waiting"),
        (WAITING_FOR, "delivery_waiting"),
        (IS_TOLD, "delivery_once"),
        (WAS_TOLD, "delivery_once"),
        (FORGET, "delivery_done"),
    ] {
        let steps = plan_of(&store, statement).await;
        assert!(steps.iter().any(|step| step.contains(index)), "{steps:?}");
    }
}

#[tokio::test]
async fn statements_about_webhooks_can_be_prepared() {
    let (_folder, store) = store().await;
    for statement in [
        webhooks::INSERT,
        webhooks::LIST,
        webhooks::DELETE_DELIVERIES,
        webhooks::DELETE,
        webhooks::ADDED,
        webhooks::INSERT_NEWS,
        webhooks::NEWS,
        webhooks::DELETE_NEWS,
        DROP,
        INSERT,
        GET,
        GET_MESSAGE,
        CLAIM,
        DONE,
        LOG,
        COUNTS,
    ] {
        // SQLite explains only what it can prepare.
        plan_of(&store, statement).await;
    }
}
