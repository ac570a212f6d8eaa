//! What is asked of the server, and what identifies whoever asks.

use std::{cell::RefCell, path::Path};

use axum::http::{HeaderName, HeaderValue, Request, Uri};
use highwater_server::{
    commands::import::{Order, run},
    foreign::{Answering, IdentityTokens},
};
use highwater_wire::ids::ProjectSlug;
use tempfile::TempDir;

use crate::{import::waited, pieces};

const ISSUER: &str = "https://token.actions.githubusercontent.com";
const AUDIENCE: &str = "https://highwater.example";

/// The keys of an issuer, an identity token, and claims.
pub(crate) fn token(bytes: &[u8]) {
    let [keys, token, claims] = pieces::of(bytes);
    let Some(tokens) = IdentityTokens::with_keys(ISSUER, AUDIENCE, keys) else {
        return;
    };
    let granted = waited(tokens.project_of(&pieces::text(token)));
    assert_eq!(granted, None, "a token that nobody signed grants nothing");
    if let Ok(claims) = serde_json::from_slice(claims)
        && let Some(project) = tokens.project_of_claims(&claims)
    {
        assert!(project.starts_with("acme/"), "a token of another is taken");
    }
}

/// What a server is asked that holds a few jobs: an address, then lines `name: value` of the head.
pub(crate) fn request(bytes: &[u8]) {
    let text = pieces::text(bytes);
    let mut lines = text.lines();
    let Some(Ok(address)) = lines.next().map(str::parse::<Uri>) else {
        return;
    };
    let mut request = Request::get(address).header("host", "127.0.0.1");
    for line in lines {
        let Some((name, value)) = line.split_once(": ") else {
            continue;
        };
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            request = request.header(name, value);
        }
    }
    let Ok(request) = request.body(()) else {
        return;
    };
    let (status, body) = answer(request).expect("an answer is whole");
    assert!(status != 500, "{}", String::from_utf8_lossy(&body));
}

fn answer(request: Request<()>) -> Option<(u16, Vec<u8>)> {
    thread_local! {
        static SERVER: RefCell<Option<(TempDir, Answering)>> = const { RefCell::new(None) };
    }
    SERVER.with_borrow_mut(|kept| {
        let (_, server) = kept.get_or_insert_with(|| waited(server()));
        waited(server.get(request))
    })
}

/// A server with a job of mprof, one of pytest-monitor and one of our own agent.
async fn server() -> (TempDir, Answering) {
    let folder = TempDir::new().expect("a folder");
    let address = format!("sqlite://{}", folder.path().join("highwater.db").display());
    let store = highwater_server::open(&address).await;
    let store = store.expect("a database can be made");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../e2e/fixtures");
    for (path, project) in [
        ("foreign/children.dat", Some("owner/repo")),
        ("foreign/xdist.pymon", Some("owner/repo")),
        ("recorded/oom_worker", None),
    ] {
        let order = Order {
            paths: vec![fixtures.join(path)],
            project: project.map(|name| ProjectSlug::new(name).expect("a slug")),
            job: None,
        };
        let (mut out, mut notes) = (Vec::new(), Vec::new());
        let imported = run(&store, order, &mut out, &mut notes).await;
        imported.expect("the fixtures can be imported");
    }
    (folder, Answering::from(store))
}
