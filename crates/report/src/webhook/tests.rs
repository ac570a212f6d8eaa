use serde_json::{Value, json};

use super::*;
use crate::{
    remarks,
    tests::{HOSTILE, died, recorded},
};

const AT: &str = "2026-01-02T03:04:05Z";
const PAGE: &str = "https://highwater.example/jobs/1?a=<b>&c";

fn finding(sentence: &str, severity: Severity, n: u128) -> Remark {
    Remark {
        kind: RemarkKind::Finding,
        severity,
        subject: "retained of tests/test_a.py".to_owned(),
        path: Some("tests/test_a.py".to_owned()),
        sentence: sentence.to_owned(),
        fingerprint: Uuid::from_u128(n),
        is_refuted: false,
    }
}

fn body(telling: &Telling<'_>, format: WebhookFormat) -> Value {
    serde_json::from_str(&telling.body(format, Some(PAGE), AT).unwrap()).unwrap()
}

#[test]
fn a_death_is_told_with_what_held_the_memory() {
    let digest = died("tests/test_a.py");
    let remarks = remarks::of(&digest);
    let telling = Telling::of(Told::Death, &digest.job, &remarks).unwrap();
    assert_eq!(telling.in_short(), "oom_cgroup");
    let told = body(&telling, WebhookFormat::Json);
    assert_eq!(
        (&told["type"], &told["timestamp"]),
        (&json!("death"), &json!(AT))
    );
    let data = &told["data"];
    assert_eq!(data["verdict"], "oom_cgroup");
    assert_eq!(data["url"], PAGE);
    assert_eq!(data["uuid"], digest.job.uuid.to_string());
    let kinds: Vec<&str> = data["remarks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds[0], "death");
    assert!(
        kinds[1..].iter().all(|kind| *kind == "culprit") && kinds.len() > 1,
        "{kinds:?}"
    );
}

#[test]
fn only_what_is_new_is_told() {
    let digest = recorded("tests/test_a.py");
    let job = &digest.job;
    let of = |kind, remarks: &[Remark]| Telling::of(kind, job, remarks).map(|it| it.in_short());
    let before = finding("had it before", Severity::Notice, 1);
    assert_eq!(of(Told::Finding, std::slice::from_ref(&before)), None);
    assert_eq!(of(Told::Death, &remarks::of(&digest)), None);
    let [a, b] = [2, 3].map(|n| finding("retains more", Severity::Warning, n));
    let both = of(Told::Finding, &[a.clone(), before, b.clone()]);
    assert_eq!(both, of(Told::Finding, &[b, a.clone()]));
    assert_ne!(both, of(Told::Finding, &[a]));
}

#[test]
fn what_is_refuted_is_told_by_itself_and_makes_no_other_finding_of_the_rest() {
    let digest = recorded("tests/test_a.py");
    let job = &digest.job;
    let [wild, real] = [2, 3].map(|n| finding("retains more", Severity::Warning, n));
    let refuted = Remark {
        severity: Severity::Notice,
        sentence: "retained more. Not confirmed.".to_owned(),
        is_refuted: true,
        ..wild.clone()
    };
    let of = |told, remarks: &[Remark]| {
        Telling::of(told, job, remarks).map(|it| (it.in_short(), body(&it, WebhookFormat::Json)))
    };
    let before = [wild, real.clone()];
    assert_eq!(of(Told::Refuted, &before), None);
    assert_eq!(of(Told::Finding, std::slice::from_ref(&refuted)), None);
    let after = [real, refuted];
    let (told, finding) = of(Told::Finding, &after).unwrap();
    assert_eq!(told, of(Told::Finding, &before).unwrap().0);
    assert_eq!(finding["data"]["remarks"].as_array().unwrap().len(), 1);
    let (_, back) = of(Told::Refuted, &after).unwrap();
    assert_eq!(back["type"], "refuted");
    assert_eq!(
        back["data"]["remarks"],
        json!([serde_json::to_value(&after[1]).unwrap()])
    );
    let telling = Telling::of(Told::Refuted, job, &after).unwrap();
    let chat = body(&telling, WebhookFormat::Slack);
    let text = chat["text"].as_str().unwrap();
    assert!(
        text.contains(" has findings that a confirming run refuted") && text.contains("• retained"),
        "{text}"
    );
}

#[test]
fn names_in_a_chat_stay_text_and_call_nobody() {
    let mut digest = died(HOSTILE);
    digest.job.branch = "<!channel> @here <https://evil.example|click> `".to_owned();
    let remarks = remarks::of(&digest);
    let telling = Telling::of(Told::Death, &digest.job, &remarks).unwrap();
    let told = body(&telling, WebhookFormat::Slack);
    assert_eq!(told.as_object().unwrap().len(), 1);
    let text = told["text"].as_str().unwrap();
    let (above, link) = text.rsplit_once('\n').unwrap();
    assert_eq!(
        link,
        "<https://highwater.example/jobs/1?a=&lt;b&gt;&amp;c|The job's page>"
    );
    assert!(
        !above.contains(['<', '>', '`', '\r', '\u{202e}']),
        "{above}"
    );
    assert!(
        !above.contains("@here") && !above.contains("@org") && !above.contains("https://evil"),
        "{above}"
    );
    assert!(above.contains("&lt;script&gt;"), "{above}");
    assert_eq!(above.lines().count(), 1 + telling.remarks.len(), "{above}");
}

#[test]
fn what_is_sent_is_bounded() {
    let digest = recorded("tests/test_a.py");
    let long = "<".repeat(100_000);
    let remarks: Vec<Remark> = (0..20)
        .map(|n| finding(&long, Severity::Warning, n))
        .collect();
    let telling = Telling::of(Told::Finding, &digest.job, &remarks).unwrap();
    let document = telling.body(WebhookFormat::Json, None, AT).unwrap();
    assert!(document.len() < 64 << 10, "{}", document.len());
    let told = body(&telling, WebhookFormat::Slack);
    let text = told["text"].as_str().unwrap();
    assert!(
        text.len() < 12_000 && text.contains("… and 15 more"),
        "{}",
        text.len()
    );
}

#[test]
fn a_test_says_that_it_is_one() {
    let of = |format| webhook_test(format, "owner/repo", AT).unwrap();
    let expected = json!({"type": "test", "timestamp": AT, "data": {"project": "owner/repo"}});
    assert_eq!(
        serde_json::from_str::<Value>(&of(WebhookFormat::Json)).unwrap(),
        expected
    );
    assert!(of(WebhookFormat::Slack).starts_with("{\"text\":\"owner/repo: "));
}

/// The page on webhooks shows what is sent, field by field.
#[test]
fn the_documentation_shows_every_field() {
    let page = include_str!("../../../../docs/webhooks.md");
    let (_, shown) = page.split_once("```json\n").unwrap();
    let shown: Value = serde_json::from_str(shown.split_once("```").unwrap().0).unwrap();
    let digest = died("tests/test_a.py");
    let remarks = remarks::of(&digest);
    let telling = Telling::of(Told::Death, &digest.job, &remarks).unwrap();
    let sent = body(&telling, WebhookFormat::Json);
    let fields = |of: &Value| of.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&shown), fields(&sent));
    assert_eq!(fields(&shown["data"]), fields(&sent["data"]));
    assert_eq!(
        fields(&shown["data"]["remarks"][0]),
        fields(&sent["data"]["remarks"][0])
    );
}
