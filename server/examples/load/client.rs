//! A connection to the server, made anew where it broke.

use std::time::Duration;

use bytes::Bytes;
use highwater_wire::receipt::Receipt;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode, client::conn::http1::SendRequest, header};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use crate::Failure;

/// As the agent waits for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Client {
    address: String,
    /// What it says where it is asked for a token.
    authorization: Option<String>,
    connection: Option<SendRequest<Full<Bytes>>>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

impl Answer {
    /// Whether the server itself says that it has this, as the agent takes it.
    pub(crate) fn acknowledges(&self, expected: &Receipt) -> bool {
        self.status.is_success()
            && serde_json::from_slice::<Receipt>(&self.body)
                .is_ok_and(|receipt| receipt == *expected)
    }
}

impl Client {
    pub(crate) fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            authorization: std::env::var("HIGHWATER_TOKEN")
                .ok()
                .map(|token| format!("Bearer {token}")),
            connection: None,
        }
    }

    pub(crate) async fn put(&mut self, path: &str, body: Bytes) -> Result<Answer, Failure> {
        self.ask(Method::PUT, path, body).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Result<Answer, Failure> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    async fn ask(&mut self, method: Method, path: &str, body: Bytes) -> Result<Answer, Failure> {
        let answer = timeout(PATIENCE, self.try_to_ask(method, path, body)).await;
        let answer = answer.map_err(Failure::from).and_then(|answer| answer);
        if answer.is_err() {
            self.connection = None;
        }
        answer
    }

    async fn try_to_ask(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let connection = match &mut self.connection {
            Some(connection) if !connection.is_closed() => connection,
            slot => {
                let stream = TcpStream::connect(&self.address).await?;
                stream.set_nodelay(true)?;
                let (sender, driver) =
                    hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
                tokio::spawn(driver);
                slot.insert(sender)
            }
        };
        connection.ready().await?;
        let mut request = Request::builder()
            .method(&method)
            .uri(path)
            .header(header::HOST, &self.address);
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        if method == Method::PUT {
            request = request
                .header(header::CONTENT_TYPE, "application/x-protobuf")
                .header(header::CONTENT_ENCODING, "zstd");
        }
        let answer = connection
            .send_request(request.body(Full::new(body))?)
            .await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        Ok(Answer { status, body })
    }
}
