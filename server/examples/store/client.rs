//! One connection to a server, kept open.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode, client::conn::http1::SendRequest, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::Failure;

pub(crate) struct Client {
    address: String,
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    /// Connects to `HOST:PORT`.
    pub(crate) async fn connect(address: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(driver);
        Ok(Self {
            address: address.to_owned(),
            sender,
        })
    }

    /// Sends a request, its body in the encoding that is named.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        encoding: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Failure> {
        // A server closes a connection that was idle for long.
        if self.sender.is_closed() {
            *self = Self::connect(&self.address).await?;
        }
        self.sender.ready().await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.address)
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .header(header::CONTENT_ENCODING, encoding)
            .body(Full::new(body))?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    }

    /// What is answered to a GET; anything but success is an error.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Bytes, Failure> {
        let (status, body) = self
            .send(Method::GET, path, "identity", Bytes::new())
            .await?;
        good(path, status, body)
    }

    /// Posts a body; anything but success is an error.
    pub(crate) async fn post(&mut self, path: &str, body: Bytes) -> Result<(), Failure> {
        let (status, answer) = self.send(Method::POST, path, "identity", body).await?;
        good(path, status, answer).map(|_| ())
    }
}

fn good(path: &str, status: StatusCode, body: Bytes) -> Result<Bytes, Failure> {
    if status.is_success() {
        return Ok(body);
    }
    let why = String::from_utf8_lossy(&body);
    Err(format!("{path} was answered {status}: {}", why.trim()).into())
}

/// Does a piece of work for each of so many numbers, on so many connections at once.
pub(crate) async fn on_connections<F>(
    address: &str,
    connections: u32,
    jobs: u32,
    work: impl Fn(Client, Vec<u32>) -> F,
) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let mut all = Vec::new();
    for connection in 0..connections {
        let client = Client::connect(address).await?;
        let share = (connection..jobs).step_by(connections as usize);
        all.push(tokio::spawn(work(client, share.collect())));
    }
    for one in all {
        one.await??;
    }
    Ok(())
}
