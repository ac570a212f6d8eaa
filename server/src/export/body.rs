//! An export on its way to an HTTP client.

use std::{
    io::{self, BufWriter, Write},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::{Body, Bytes, HttpBody};
use http_body::Frame;
use tokio::{runtime::Handle, sync::mpsc, time::timeout};

use super::{ExportError, Form, write};
use crate::{reading::Settled, state::AppState};

/// Bytes of a piece, and pieces that may lie ready.
const PIECE: usize = 64 << 10;
const READY: usize = 2;

/// The body of an answer, made while it is read, as soon as there is room for one more export.
pub(crate) fn body(state: &AppState, job: Settled, form: Form) -> Body {
    let (sender, receiver) = mpsc::channel(READY);
    let (room, weight) = (state.exporting.clone(), job.weight());
    let uuid = job.report().uuid;
    let pieces = Pieces {
        sender,
        patience: state.patience,
    };
    tokio::spawn(async move {
        let work = move || {
            let mut out = BufWriter::with_capacity(PIECE, pieces);
            write(&job, form, &mut out)?;
            let pieces = out.into_inner().map_err(io::IntoInnerError::into_error)?;
            Ok(pieces.end()?)
        };
        match room.run(weight, work).await {
            Ok(Ok(())) => {}
            Ok(Err(ExportError::Io(error))) => tracing::debug!(%uuid, %error, "an export was left"),
            Ok(Err(error)) => tracing::warn!(%uuid, %error, "an export broke off"),
            Err(error) => tracing::error!(%uuid, %error, "an export was given up"),
        }
    });
    Body::new(Arriving {
        receiver,
        is_whole: false,
    })
}

/// Hands what is written to the client; `None` says that it was all.
struct Pieces {
    sender: mpsc::Sender<Option<Bytes>>,
    /// How long a client may take for a piece.
    patience: Duration,
}

impl Pieces {
    fn send(&self, piece: Option<Bytes>) -> io::Result<()> {
        // Made within the runtime: a timeout looks for its clock there.
        let sent = async { timeout(self.patience, self.sender.send(piece)).await };
        match Handle::current().block_on(sent) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "the client is gone",
            )),
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client takes nothing",
            )),
        }
    }

    fn end(self) -> io::Result<()> {
        self.send(None)
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(Some(Bytes::copy_from_slice(bytes)))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The reading side. Where the writing side is gone without having said that it was all, the connection breaks off, so that nobody takes a
/// part for the whole.
struct Arriving {
    receiver: mpsc::Receiver<Option<Bytes>>,
    is_whole: bool,
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.is_whole {
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(self.receiver.poll_recv(context)) {
            Some(Some(piece)) => Some(Ok(Frame::data(piece))),
            Some(None) => {
                self.is_whole = true;
                None
            }
            None => Some(Err(io::Error::other("the export broke off"))),
        })
    }
}
