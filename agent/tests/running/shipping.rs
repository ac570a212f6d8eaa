//! How a recording goes to a server, whatever the server and the way to it do.

use std::{
    fs,
    io::{self, Write},
    net::{TcpListener, TcpStream},
    sync::atomic::AtomicBool,
    thread,
    time::{Duration, Instant},
};

use highwater_agent::{
    ci::Env,
    settings::Token,
    shipper::{Answer, Client, Item, Outcome, Shipper, Timeouts, send_whole},
    spool::{self, Handoff, Spool, Unwritten},
};
use highwater_wire::{VERSION, codec, v1};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    harness::Place,
    leftovers::{recorded, upload},
    peer::{self, Act, Peer},
};

/// Long enough for a slow machine; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

fn sent(peer: &Peer, patience: Duration) -> Outcome {
    sent_with(peer, patience, None, &Env::new())
}

fn sent_with(peer: &Peer, patience: Duration, token: Option<&Token>, env: &Env) -> Outcome {
    let root = TempDir::new().unwrap();
    let folder = recorded(root.path());
    let uuid = spool::uuid_of(&folder).unwrap();
    let client = Client::new(&peer.url(), token, env, uuid);
    send_whole(client, &folder, Unwritten::default(), patience)
}

#[test]
fn each_thing_goes_once_where_nothing_fails() {
    let peer = Peer::new(|_, _| Act::Take);
    let outcome = sent(&peer, PATIENCE);
    assert!(outcome.complete, "{outcome:?}");
    assert_eq!(
        (outcome.batches, outcome.announced, outcome.missing),
        (3, 3, 0)
    );
    assert_eq!(peer.items()[1..], ["0", "1", "2", "end"]);
    assert_eq!(peer.asked().len(), 5);
    assert!(peer.asked().iter().all(|asked| asked.method == "PUT"));
}

#[test]
fn what_fails_for_a_moment_is_tried_again() {
    let faults: [fn() -> Act; 6] = [
        || Act::status(500),
        || Act::status(503),
        || Act::status(429),
        || Act::status(408),
        || Act::Cut,
        || Act::CutInside,
    ];
    for fault in faults {
        let peer = Peer::new(move |_, times| if times == 0 { fault() } else { Act::Take });
        let outcome = sent(&peer, PATIENCE);
        assert!(outcome.complete, "{:?}: {outcome:?}", fault());
        assert_eq!(peer.asked().len(), 10, "{:?}", fault());
    }
}

#[test]
fn whoever_is_no_highwater_server_ends_the_sending_and_acknowledges_nothing() {
    let login = "Location: http://127.0.0.1:9/login\r\n";
    let page = || "<html>please log in</html>".to_owned();
    for (status, headers, body, told) in [
        (
            301,
            login,
            String::new(),
            "answered 301 Moved Permanently to http://127.0.0.1:9/login: is this a highwater-server?",
        ),
        (
            302,
            login,
            page(),
            "answered 302 Found to http://127.0.0.1:9/login: is this a highwater-server?",
        ),
        (
            303,
            login,
            String::new(),
            "answered 303 See Other to http://127.0.0.1:9/login: is this a highwater-server?",
        ),
        (
            307,
            login,
            String::new(),
            "answered 307 Temporary Redirect to http://127.0.0.1:9/login: is this a highwater-server?",
        ),
        (
            200,
            "",
            page(),
            "answered 200 OK: is this a highwater-server?",
        ),
        (
            200,
            "",
            "x".repeat(100_000),
            "answered 200 OK: is this a highwater-server?",
        ),
        (
            204,
            "",
            String::new(),
            "answered 204 No Content: is this a highwater-server?",
        ),
    ] {
        let peer = Peer::new(move |_, _| Act::Say(status, headers, body.clone()));
        let outcome = sent(&peer, PATIENCE);
        assert!(!outcome.complete);
        assert_eq!(outcome.problem.as_deref(), Some(told));
        assert_eq!(peer.asked().len(), 1, "{status}");
    }
}

#[test]
fn a_receipt_for_something_else_is_none() {
    let other = Uuid::now_v7();
    let receipt = serde_json::json!({"acknowledged": "job", "job": other}).to_string();
    let peer = Peer::new(move |_, _| Act::Say(201, "", receipt.clone()));
    assert!(!sent(&peer, PATIENCE).complete);
    assert_eq!(peer.asked().len(), 1);
}

#[test]
fn who_is_not_let_in_stops_and_is_told_about_the_token() {
    for status in [401, 403] {
        let peer = Peer::new(move |_, _| Act::status(status));
        let problem = sent(&peer, PATIENCE).problem.unwrap();
        assert!(problem.ends_with("HIGHWATER_TOKEN is not set"), "{problem}");
        let token = Token::new("s3cret\n").unwrap();
        let outcome = sent_with(&peer, PATIENCE, Some(&token), &Env::new());
        let problem = outcome.problem.unwrap();
        assert!(
            problem.ends_with("HIGHWATER_TOKEN is not the right one"),
            "{problem}"
        );
        let authorizations = peer.asked().into_iter().map(|asked| asked.authorization);
        let expected = [None, Some("Bearer s3cret".to_owned())];
        assert_eq!(authorizations.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_batch_that_is_refused_stays_and_the_rest_goes_on() {
    let peer = Peer::new(|path, _| {
        if path.ends_with("/1") {
            Act::status(413)
        } else {
            Act::Take
        }
    });
    let outcome = sent(&peer, PATIENCE);
    assert!(
        !outcome.complete && outcome.refused.len() == 1,
        "{outcome:?}"
    );
    assert!(
        outcome.refused[0].starts_with("batch 1 of stream "),
        "{outcome:?}"
    );
    assert!(
        outcome.refused[0].contains("413 Payload Too Large for "),
        "{outcome:?}"
    );
    assert_eq!(peer.items()[1..], ["0", "1", "2", "end"]);
}

#[test]
fn a_pause_that_the_server_names_is_kept_and_one_beyond_the_patience_is_not_waited_for() {
    let peer = Peer::new(|path, times| match (path.ends_with("/1"), times) {
        (true, 0) => Act::Say(429, "Retry-After: 1\r\n", String::new()),
        _ => Act::Take,
    });
    assert!(sent(&peer, PATIENCE).complete);
    let asked = peer.asked();
    let at: Vec<Instant> = asked
        .iter()
        .filter(|asked| asked.path.ends_with("/1"))
        .map(|asked| asked.at)
        .collect();
    assert!(at[1] - at[0] >= Duration::from_secs(1));

    let peer = Peer::new(|_, _| Act::Say(503, "Retry-After: 50\r\n", String::new()));
    let began = Instant::now();
    let outcome = sent(&peer, Duration::from_secs(30));
    assert_eq!(outcome.problem.as_deref(), Some("503 Service Unavailable"));
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn patience_is_renewed_by_progress_and_ends_without() {
    // Each batch needs a second try; all of them together take longer than the patience.
    let slow = |path: &str, times| {
        let then = if times == 0 {
            Act::status(503)
        } else {
            Act::Take
        };
        match path.contains("/batches/") {
            true => Act::Late(Duration::from_millis(400), Box::new(then)),
            false => Act::Take,
        }
    };
    let peer = Peer::new(slow);
    let outcome = sent(&peer, Duration::from_secs(2));
    assert!(outcome.complete, "{outcome:?}");
    let peer = Peer::new(|path, _| {
        if path.contains("/batches/") {
            Act::status(503)
        } else {
            Act::Take
        }
    });
    let outcome = sent(&peer, Duration::from_secs(1));
    assert_eq!(outcome.problem.as_deref(), Some("503 Service Unavailable"));
}

#[test]
fn a_server_that_forgot_the_job_gets_all_of_it_again() {
    let peer = Peer::new(|path, times| match (path.ends_with("/2"), times) {
        (true, 0) => Act::status(404),
        _ => Act::Take,
    });
    let outcome = sent(&peer, PATIENCE);
    assert!(outcome.complete && outcome.batches == 3, "{outcome:?}");
    assert_eq!(peer.asked().len(), 4 + 5);
}

#[test]
fn a_server_on_this_machine_is_asked_past_any_proxy_and_a_proxy_that_fails_is_named() {
    let dead = "http://user:secret@127.0.0.1:9".to_owned();
    let names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
    let env: Env = names.map(|name| (name.to_owned(), dead.clone())).into();
    let peer = Peer::new(|_, _| Act::Take);
    assert!(sent_with(&peer, PATIENCE, None, &env).complete);
    let root = TempDir::new().unwrap();
    let folder = recorded(root.path());
    let client = Client::new("http://server.invalid", None, &env, Uuid::now_v7());
    let patience = Duration::from_secs(1);
    let outcome = send_whole(client, &folder, Unwritten::default(), patience);
    let problem = outcome.problem.unwrap();
    let named = "through the proxy 127.0.0.1:9 of HTTP_PROXY";
    assert!(problem.ends_with(named), "{problem}");
}

#[test]
fn what_a_server_says_does_not_steer_the_terminal() {
    let place = Place::new();
    recorded(&place.spool());
    let body = r#"{"error":{"message":"\u001b[2J\u0007\nhighwater: all was sent"}}"#;
    let peer = Peer::new(|_, _| Act::Say(403, "", body.to_owned()));
    let ended = upload(&place, &peer);
    assert_eq!(ended.code(), 2);
    assert!(ended.stderr.lines().count() == 2, "{ended:?}");
    assert!(!ended.stderr.contains(['\u{1b}', '\u{7}']), "{ended:?}");
}

#[test]
fn a_redirect_leaves_the_recording_in_the_spool() {
    let place = Place::new();
    let folder = recorded(&place.spool());
    let peer = Peer::new(|_, _| Act::Say(302, "Location: /login\r\n", String::new()));
    let ended = upload(&place, &peer);
    assert_eq!(ended.code(), 2);
    assert!(
        ended
            .stderr
            .contains("answered 302 Found to /login: is this a highwater-server?")
    );
    assert!(spool::is_job(&folder));
    let peer = Peer::new(|_, _| Act::Take);
    let ended = upload(&place, &peer);
    assert!(
        ended.code() == 0 && ended.stdout.contains("sent (3 batches): "),
        "{ended:?}"
    );
    assert!(!folder.exists());
}

#[test]
fn an_end_that_found_no_room_is_sent_from_memory() {
    let root = TempDir::new().unwrap();
    let folder = recorded(root.path());
    let end = spool::read_end(&folder).unwrap().unwrap();
    fs::remove_file(folder.join("end")).unwrap();
    let peer = Peer::new(|_, _| Act::Take);
    let uuid = spool::uuid_of(&folder).unwrap();
    let client = Client::new(&peer.url(), None, &Env::new(), uuid);
    let shipper = Shipper::start(client, &folder, Handoff::default()).unwrap();
    let unwritten = Unwritten {
        batches: Vec::new(),
        end: Some(codec::encode(&end).unwrap()),
    };
    let outcome = shipper.finish(unwritten, PATIENCE, &AtomicBool::new(false));
    assert!(outcome.complete && outcome.announced == 3, "{outcome:?}");
    assert_eq!(peer.items()[1..], ["0", "1", "2", "end"]);
}

/// Batches count from 0 in each stream.
#[test]
fn what_an_agent_before_wrote_does_not_count_as_the_writers() {
    let root = TempDir::new().unwrap();
    let folder = recorded(root.path());
    let mut end = spool::read_end(&folder).unwrap().unwrap();
    let mut spool = Spool::another_stream(&folder).unwrap();
    let batch = v1::Batch {
        version: VERSION,
        ..v1::Batch::default()
    };
    for seq in 0..2 {
        spool.append(seq, &batch).unwrap();
    }
    end.streams.push(v1::StreamCount {
        stream: spool.stream().to_string(),
        batches: 2,
    });
    spool::write_end(&folder, &end).unwrap();
    // The last of the writer's own is refused; nothing of the others is.
    let last = format!("/streams/{}/batches/1", spool.stream());
    let peer = Peer::new(move |path, _| match path.ends_with(&last) {
        true => Act::status(400),
        false => Act::Take,
    });
    let uuid = spool::uuid_of(&folder).unwrap();
    let client = Client::new(&peer.url(), None, &Env::new(), uuid);
    let handoff = spool.handoff();
    let shipper = Shipper::start(client, &folder, handoff.clone()).unwrap();
    let outcome = shipper.finish(Unwritten::default(), PATIENCE, &AtomicBool::new(false));
    assert_eq!((outcome.batches, outcome.refused.len()), (5, 1));
    assert_eq!(handoff.acknowledged(), 1);
}

#[test]
fn an_https_server_is_taken_at_the_word_of_the_named_authority_alone() {
    let peer = Peer::over_tls(|_, _| Act::Take);
    let trusting = |name: &str| Env::from([(name.to_owned(), peer::authority())]);
    for name in ["HIGHWATER_CA_FILE", "SSL_CERT_FILE"] {
        assert!(sent_with(&peer, PATIENCE, None, &trusting(name)).complete);
    }
    let asked = peer.asked().len();
    let problem = sent(&peer, PATIENCE).problem.unwrap();
    assert!(problem.contains("invalid peer certificate"), "{problem}");
    assert!(problem.contains("HIGHWATER_CA_FILE"), "{problem}");
    assert_eq!(peer.asked().len(), asked);
}

#[test]
fn a_peer_that_does_not_speak_tls_is_not_asked_again() {
    let root = TempDir::new().unwrap();
    let folder = recorded(root.path());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("https://{}", listener.local_addr().unwrap());
    let plain = thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")?;
        // Until the agent is gone: a connection that ends first would be another fault.
        io::copy(&mut stream, &mut io::sink())
    });
    let client = Client::new(&server, None, &Env::new(), Uuid::now_v7());
    let outcome = send_whole(client, &folder, Unwritten::default(), PATIENCE);
    let problem = outcome.problem.unwrap();
    assert!(problem.contains("HIGHWATER_CA_FILE"), "{problem}");
    plain.join().unwrap().unwrap();
}

/// What comes of one request to an address under timeouts.
fn answer_of(url: &str, connecting: Duration, whole: Duration) -> Answer {
    let timeouts = Timeouts { connecting, whole };
    Client::with_timeouts(url, None, &Env::new(), Uuid::now_v7(), timeouts).put(Item::Job, b"")
}

#[test]
fn a_server_that_does_not_answer_in_time_is_tried_again_later() {
    let (short, long) = (Duration::from_millis(100), Duration::from_secs(600));
    let peer = Peer::new(move |_, _| Act::Late(long, Box::new(Act::Take)));
    let answer = answer_of(&peer.url(), long, short);
    assert!(
        matches!(&answer, Answer::Again(None, why) if why == "no answer within 0.1 s"),
        "{answer:?}"
    );
    // Nobody takes connections, and no more can wait to be taken: what comes now is left without a word.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let address = listener.local_addr().unwrap();
    let fill = || TcpStream::connect_timeout(&address, short);
    let waiting: Vec<_> = std::iter::from_fn(|| fill().ok()).collect();
    let answer = answer_of(&format!("http://{address}"), short, long);
    assert!(
        matches!(&answer, Answer::Again(None, why) if why == "no connection within 0.1 s"),
        "{answer:?}"
    );
    drop(waiting);
}

#[test]
fn an_upload_to_a_server_that_takes_connections_and_never_answers_has_its_end() {
    let long = Duration::from_secs(600);
    let peer = Peer::new(move |_, _| Act::Late(long, Box::new(Act::Take)));
    let outcome = sent(&peer, Duration::from_secs(5));
    assert!(!outcome.complete && outcome.nothing_taken, "{outcome:?}");
    let told = "given up after 0.5 s: no answer within 0.5 s";
    assert_eq!(outcome.problem.as_deref(), Some(told));
}
