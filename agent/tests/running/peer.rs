//! A server that answers by a script, and notes what it was asked.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use uuid::Uuid;

/// Where the certificate of the peer that speaks TLS is, its key, and that of the authority that signed it; they hold for a hundred years.
const TLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/running/tls");

/// What becomes of a request.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// The answer of a server of ours.
    Take,
    /// A status with headers, as lines, and a body.
    Say(u16, &'static str, String),
    /// The same after a while.
    Late(Duration, Box<Act>),
    /// The connection ends before the answer.
    Cut,
    /// The connection ends in the middle of the answer that `Take` gives.
    CutInside,
}

impl Act {
    pub(crate) fn status(status: u16) -> Self {
        Self::Say(status, "", String::new())
    }
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) at: Instant,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// Chooses by the path and how often it was asked before.
type Script = dyn Fn(&str, usize) -> Act + Send + Sync;

/// The server; its threads end with the test's process.
pub(crate) struct Peer {
    address: SocketAddr,
    scheme: &'static str,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Peer {
    pub(crate) fn new(script: impl Fn(&str, usize) -> Act + Send + Sync + 'static) -> Self {
        Self::listen(script, None)
    }

    /// One that speaks TLS as `localhost`, by the word of [`authority`].
    pub(crate) fn over_tls(script: impl Fn(&str, usize) -> Act + Send + Sync + 'static) -> Self {
        let certificate = CertificateDer::from_pem_file(format!("{TLS}/server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(format!("{TLS}/server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        Self::listen(script, Some(Arc::new(config)))
    }

    fn listen(
        script: impl Fn(&str, usize) -> Act + Send + Sync + 'static,
        tls: Option<Arc<ServerConfig>>,
    ) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (script, noted): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&asked));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Answers go in several small writes.
                drop(stream.set_nodelay(true));
                let (script, noted) = (Arc::clone(&script), Arc::clone(&noted));
                let tls = tls.clone();
                // An agent that leaves is no failure of the peer.
                thread::spawn(move || match tls.map(ServerConnection::new) {
                    None => drop(serve(stream, &*script, &noted)),
                    Some(connection) => {
                        let stream = StreamOwned::new(connection.unwrap(), stream);
                        drop(serve(stream, &*script, &noted));
                    }
                });
            }
        });
        Self {
            address,
            scheme,
            asked,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://localhost:{}", self.scheme, self.address.port())
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The last parts of the paths that were asked, each once.
    pub(crate) fn items(&self) -> Vec<String> {
        let mut items = Vec::new();
        for asked in self.asked() {
            let item = asked.path.rsplit('/').next().unwrap_or("").to_owned();
            if !items.contains(&item) {
                items.push(item);
            }
        }
        items
    }
}

/// The file that names who vouches for a peer that speaks TLS.
pub(crate) fn authority() -> String {
    format!("{TLS}/authority.pem")
}

fn serve(stream: impl Read + Write, script: &Script, noted: &Mutex<Vec<Asked>>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, path) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let (mut length, mut authorization) = (0, None);
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let Some((name, value)) = header.trim_end().split_once(": ") else {
                break;
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().map_err(io::Error::other)?,
                "authorization" => authorization = Some(value.to_owned()),
                _ => {}
            }
        }
        let mut body = Vec::new();
        reader.by_ref().take(length).read_to_end(&mut body)?;
        let times = {
            let mut noted = noted.lock().unwrap();
            let times = noted.iter().filter(|asked| asked.path == path).count();
            noted.push(Asked {
                at: Instant::now(),
                method,
                path: path.clone(),
                authorization,
                body,
            });
            times
        };
        if !act(reader.get_mut(), &script(&path, times), &path)? {
            return Ok(());
        }
    }
}

/// Does as the script says; false where the connection ends.
fn act(stream: &mut impl Write, what: &Act, path: &str) -> io::Result<bool> {
    let receipt = receipt(path);
    match what {
        Act::Take => say(stream, 201, "", &receipt),
        Act::Say(status, headers, body) => say(stream, *status, headers, body),
        Act::Late(pause, then) => {
            thread::sleep(*pause);
            return act(stream, then, path);
        }
        Act::Cut => return Ok(false),
        Act::CutInside => {
            let length = receipt.len() + 10;
            write!(
                stream,
                "HTTP/1.1 201 X\r\nContent-Length: {length}\r\n\r\n{receipt}"
            )?;
            return Ok(false);
        }
    }?;
    Ok(true)
}

fn say(stream: &mut impl Write, status: u16, headers: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
}

/// What a server of ours says of the item at a path.
fn receipt(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').collect();
    let uuid = |at: usize| -> Uuid {
        let text = parts.get(at).copied().unwrap_or_default();
        text.parse().unwrap_or_default()
    };
    match parts.as_slice() {
        ["", "api", "v1", "jobs", _] => {
            serde_json::json!({"acknowledged": "job", "job": uuid(4)})
        }
        ["", "api", "v1", "jobs", _, "end"] => {
            serde_json::json!({"acknowledged": "end", "job": uuid(4)})
        }
        [.., seq] => {
            let seq: u64 = seq.parse().unwrap_or_default();
            serde_json::json!({"acknowledged": "batch", "job": uuid(4), "stream": uuid(6), "seq": seq})
        }
        [] => serde_json::Value::Null,
    }
    .to_string()
}
