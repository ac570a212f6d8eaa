//! The server over HTTP: a database of its own, a real listener, real requests.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod access;
mod acknowledgements;
mod app;
mod arrival;
mod backup;
mod changes;
mod check;
mod compare;
mod errors;
mod export;
mod fresh;
mod kept_plans;
mod load;
mod pages;
mod pins;
mod plan;
mod reference;
mod report;
mod retention;
mod start;
mod versions;

/// The document that programs are written against: a change of it is a change for them.
#[test]
fn the_openapi_document_is_the_one_that_was_reviewed() {
    let document = serde_json::to_string_pretty(highwater_server::openapi()).unwrap();
    assert_eq!(highwater_server::openapi()["openapi"], "3.1.0");
    insta::assert_snapshot!("openapi", document);
}
