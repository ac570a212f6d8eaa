//! What cannot be is answered by `{error: {code, message, hint}}`, whatever is wrong.

use uuid::Uuid;

use crate::app::{Answer, App, batch, job};

fn assert_envelope(what: &str, answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.text);
    let error = &answer.json()["error"];
    assert_eq!(error["code"], code, "{what}: {}", answer.text);
    for part in ["message", "hint"] {
        let text = error[part].as_str().unwrap_or("");
        assert!(!text.is_empty(), "{what}: {part}: {}", answer.text);
    }
}

#[test]
fn every_wrong_question_is_answered_in_the_same_form() {
    let app = App::start();
    let uuid = Uuid::now_v7();
    app.put_new(&format!("/api/v1/jobs/{uuid}"), &job("unit"));
    let cases = [
        ("/api/v1/jobs/nouuid".to_owned(), 400, "bad_request"),
        (format!("/api/v1/jobs/{}", Uuid::now_v7()), 404, "not_found"),
        (
            format!("/api/v1/jobs/{uuid}/files?limit=0"),
            400,
            "bad_request",
        ),
        (
            format!("/api/v1/jobs/{uuid}/files?limit=many"),
            400,
            "bad_request",
        ),
        (
            format!("/api/v1/jobs/{uuid}/tests?after=x"),
            400,
            "bad_request",
        ),
        (
            format!("/api/v1/jobs/{uuid}/series?points=0"),
            400,
            "bad_request",
        ),
        (
            format!("/api/v1/jobs/{uuid}/series?from=9&to=1"),
            400,
            "bad_request",
        ),
        (
            "/api/v1/projects/owner~repo/jobs?verdict=nonsense".to_owned(),
            400,
            "bad_request",
        ),
        (
            "/api/v1/projects/owner~repo/jobs?after=1-2".to_owned(),
            400,
            "bad_request",
        ),
        (
            "/api/v1/projects/nobody~nothing/jobs".to_owned(),
            404,
            "not_found",
        ),
        (
            "/api/v1/projects/owner~repo/files/none.py".to_owned(),
            404,
            "not_found",
        ),
        ("/api/v1/nothing".to_owned(), 404, "not_found"),
    ];
    for (path, status, code) in cases {
        assert_envelope(&path, &app.get(&path), status, code);
    }
    let path = format!("/api/v1/jobs/{uuid}");
    assert_envelope("DELETE", &app.delete(&path), 405, "method_not_allowed");
    let foreign = app.get_as("/api/v1/projects", "evil.example");
    assert_envelope("foreign host", &foreign, 403, "foreign_host");
}

#[test]
fn every_wrong_body_is_told_and_changes_nothing() {
    let app = App::start();
    let (uuid, stream) = (Uuid::now_v7(), Uuid::new_v4());
    let path = format!("/api/v1/jobs/{uuid}/streams/{stream}/batches/0");
    assert_envelope(
        "no job",
        &app.put(&path, &batch(0, "a.py")),
        404,
        "not_found",
    );
    app.put_new(&format!("/api/v1/jobs/{uuid}"), &job("unit"));
    let json = "application/json";
    let proto = "application/x-protobuf";
    let bomb = zstd::bulk::compress(&vec![0; 256 << 20], 3).unwrap();
    let parts = [
        &[0x08, 0x01][..],
        &[0x22, 0x02, 0x08, 0x01].repeat(4_000_000),
    ]
    .concat();
    let parts = zstd::bulk::compress(&parts, 1).unwrap();
    assert!(parts.len() < 5_000);
    type Case<'a> = (&'a str, &'a str, &'a str, &'a [u8], u16, &'a str);
    let cases: &[Case<'_>] = &[
        ("no JSON", json, "", b"{", 400, "malformed"),
        ("no text", json, "", &[0xff, 0xfe], 400, "malformed"),
        ("no protobuf", proto, "", &[0xff; 40], 400, "malformed"),
        ("no zstd", proto, "zstd", b"plain", 400, "malformed"),
        ("unknown encoding", json, "br", b"{}", 400, "bad_request"),
        ("unknown type", "text/plain", "", b"{}", 400, "bad_request"),
        (
            "later version",
            json,
            "",
            br#"{"version":9}"#,
            400,
            "unknown_version",
        ),
        ("no version", json, "", b"{}", 400, "unknown_version"),
        ("a bomb", proto, "zstd", &bomb, 413, "too_large"),
        ("parts", proto, "zstd", &parts, 400, "invalid_field"),
        (
            "process out of range",
            json,
            "",
            br#"{"version":1,"marks":[{"process":3,"tUs":"1","rssBytes":"1","sessionBegin":{}}]}"#,
            400,
            "invalid_field",
        ),
    ];
    for (what, kind, encoding, body, status, code) in cases {
        let answer = app.put_bytes(&path, kind, encoding, body);
        assert_envelope(what, &answer, *status, code);
    }
    let bad_stream = format!("/api/v1/jobs/{uuid}/streams/none/batches/0");
    assert_envelope(
        "stream",
        &app.put(&bad_stream, &batch(0, "a.py")),
        400,
        "bad_request",
    );
    app.put_new(&path, &batch(0, "a.py"));
    let other = app.put(&path, &batch(1, "a.py"));
    assert_envelope("contradiction", &other, 409, "conflict");
}
