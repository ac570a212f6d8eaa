//! What is no HTTP, or HTTP that lies, written by hand.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use fastrand::Rng;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{Failure, Play, texts::text};

/// Connections that never get to the end of a request.
const DRIPPING: usize = 64;
/// A byte of these each.
const DRIP: Duration = Duration::from_millis(200);
/// An answer to what is broken comes at once, or the server waits for more.
const WAIT: Duration = Duration::from_millis(100);

/// Sends one, reads what comes, and goes.
pub(crate) async fn send(play: &Play, random: &mut Rng) {
    let bytes = bytes(play, random);
    match exchange(play, &bytes).await {
        Ok(answer) => play.tally.said("bad HTTP", &bytes, &answer),
        Err(_) => play.tally.broken("bad HTTP"),
    }
}

async fn exchange(play: &Play, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut stream = TcpStream::connect(&play.address).await?;
    stream.write_all(bytes).await?;
    let mut answer = Vec::new();
    // Whether it closes or waits, the connection is over for us.
    let _ = timeout(WAIT, (&mut stream).take(1 << 20).read_to_end(&mut answer)).await;
    Ok(answer)
}

fn bytes(play: &Play, random: &mut Rng) -> Vec<u8> {
    let hostile = text(random);
    let host = format!("Host: {}\r\n", play.address);
    let token = format!("Authorization: Bearer {}\r\n", play.setting.ingest);
    let put = format!(
        "PUT /api/v1/jobs/{} HTTP/1.1\r\n{host}{token}Content-Type: application/json\r\n",
        play.setting.mine
    );
    let other = format!(
        "GET /api/v1/jobs/{} HTTP/1.1\r\n{host}\r\n",
        play.setting.others
    );
    match random.u8(..15) {
        0 => hostile.into_bytes(),
        1 => format!("GET {hostile} HTTP/1.1\r\n{host}\r\n").into_bytes(),
        2 => format!("{hostile} / HTTP/1.1\r\n{host}\r\n").into_bytes(),
        3 => format!("GET / HTTP/{hostile}\r\n{host}\r\n").into_bytes(),
        4 => format!("GET / HTTP/1.1\r\nX: {hostile}\r\n{host}\r\n").into_bytes(),
        5 => b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        6 => format!("GET / HTTP/1.1\n{host}\n\n").into_bytes(),
        // Bodies that are not what is said of them.
        7 => format!("{put}Content-Length: 1000000000\r\n\r\n{{").into_bytes(),
        8 => format!("{put}Content-Length: 3\r\n\r\n{{}}{other}").into_bytes(),
        9 => format!("{put}Content-Length: -1\r\n\r\n{{}}").into_bytes(),
        10 => format!("{put}Content-Length: 5\r\nContent-Length: 500\r\n\r\n{{}}").into_bytes(),
        // One of two requests, whoever reads it otherwise.
        11 => {
            format!("{put}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n{other}")
                .into_bytes()
        }
        12 => {
            format!("{put}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{{}}").into_bytes()
        }
        13 => format!(
            "GET / HTTP/1.1\r\n{host}{}\r\n",
            "X: y\r\n".repeat(random.usize(90..2_000))
        )
        .into_bytes(),
        _ => (0..random.usize(1..500)).map(|_| random.u8(..)).collect(),
    }
}

/// Keeps connections busy that send a byte now and then: heads that never end, and bodies.
pub(crate) async fn drip(play: Arc<Play>) {
    let head = format!("GET / HTTP/1.1\r\nHost: {}\r\nX: ", play.address);
    let body = format!(
        "PUT /api/v1/jobs/{} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: 4000000\r\n\r\n",
        play.setting.mine, play.address, play.setting.ingest
    );
    let mut streams = Vec::new();
    for number in 0..DRIPPING {
        if let Ok(mut stream) = TcpStream::connect(&play.address).await {
            let begin = if number % 2 == 0 { &head } else { &body };
            if stream.write_all(begin.as_bytes()).await.is_ok() {
                streams.push(stream);
            }
        }
    }
    while !play.is_over.load(Relaxed) {
        for stream in &mut streams {
            // The server may have given up on it: that is what it should do in time.
            let _ = stream.try_write(b"a");
        }
        sleep(DRIP).await;
    }
}
