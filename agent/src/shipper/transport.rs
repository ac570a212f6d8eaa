//! How a request goes over the wire, below HTTP: in few steps, since each wakes somebody, and a core that was idle is slow for its first moments.
//!
//! What is sent waits until an answer is asked for, so head and body go out as one. An answer for which nobody is in a hurry is not slept for: it lies
//! there when the next bell rings.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use ureq::{
    Error,
    unversioned::transport::{
        Buffers, ConnectionDetails, Connector, DefaultConnector, NextTimeout, Transport, time,
    },
};

use crate::bell::Bell;

/// So many bytes wait for more at most.
const MOST_HELD_BYTES: usize = 64 << 10;
/// So long an answer waits for a bell at most.
const UNHURRIED: Duration = Duration::from_secs(1);

/// The bell until which the next answer may wait, if it may; set by who sends, taken by the connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Leisure(Arc<Mutex<Option<Bell>>>);

impl Leisure {
    /// Lets the next answer wait for a bell, or for none.
    pub(super) fn set(&self, bell: Option<Bell>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = bell;
    }

    fn take(&self) -> Option<Bell> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Connects as ureq does by itself.
#[derive(Debug, Default)]
pub(super) struct Connections {
    usual: DefaultConnector,
    leisure: Leisure,
}

impl Connections {
    /// What says whether the next answer may wait.
    pub(super) fn leisure(&self) -> Leisure {
        self.leisure.clone()
    }
}

impl Connector for Connections {
    type Out = Connection<Box<dyn Transport>>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        let usual = self.usual.connect(details, chained)?;
        Ok(usual.map(|way| Connection::over(way, self.leisure.clone())))
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection<W> {
    way: W,
    held: Vec<u8>,
    leisure: Leisure,
}

impl<W: Transport> Connection<W> {
    fn over(way: W, leisure: Leisure) -> Self {
        Self {
            way,
            held: Vec::new(),
            leisure,
        }
    }

    /// Sends what is held.
    fn send(&mut self, timeout: NextTimeout) -> Result<(), Error> {
        let mut rest = self.held.as_slice();
        while !rest.is_empty() {
            let output = self.way.buffers().output();
            let (piece, later) = rest.split_at(rest.len().min(output.len()));
            output[..piece.len()].copy_from_slice(piece);
            self.way.transmit_output(piece.len(), timeout)?;
            rest = later;
        }
        self.held.clear();
        Ok(())
    }
}

impl<W: Transport> Transport for Connection<W> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.way.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let output = self.way.buffers().output();
        self.held.extend_from_slice(&output[..amount]);
        match self.held.len() > MOST_HELD_BYTES {
            true => self.send(timeout),
            false => Ok(()),
        }
    }

    fn await_input(&mut self, mut timeout: NextTimeout) -> Result<bool, Error> {
        self.send(timeout)?;
        if let Some(bell) = self.leisure.take() {
            let began = Instant::now();
            bell.wait(UNHURRIED.min(*timeout.after));
            if let time::Duration::Exact(after) = &mut timeout.after {
                *after = after.saturating_sub(began.elapsed());
            }
        }
        self.way.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.way.is_open()
    }

    fn is_tls(&self) -> bool {
        self.way.is_tls()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use ureq::unversioned::transport::LazyBuffers;

    use super::*;

    /// Notes what goes over it.
    #[derive(Debug)]
    struct Notes {
        buffers: LazyBuffers,
        noted: Arc<Mutex<Vec<String>>>,
    }

    impl Transport for Notes {
        fn buffers(&mut self) -> &mut dyn Buffers {
            &mut self.buffers
        }

        fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), Error> {
            let sent = String::from_utf8_lossy(&self.buffers.output()[..amount]).into_owned();
            self.noted.lock().unwrap().push(sent);
            Ok(())
        }

        fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
            let how = match timeout.after {
                time::Duration::Exact(left) if left.is_zero() => "(no time to read)",
                _ => "(read)",
            };
            self.noted.lock().unwrap().push(how.to_owned());
            Ok(true)
        }

        fn is_open(&mut self) -> bool {
            true
        }
    }

    struct Scene {
        connection: Connection<Notes>,
        noted: Arc<Mutex<Vec<String>>>,
    }

    fn scene() -> Scene {
        let noted = Arc::<Mutex<Vec<String>>>::default();
        let way = Notes {
            buffers: LazyBuffers::new(1 << 10, 40 << 10),
            noted: Arc::clone(&noted),
        };
        Scene {
            connection: Connection::over(way, Leisure::default()),
            noted,
        }
    }

    impl Scene {
        fn transmit(&mut self, text: &str) {
            let output = self.connection.buffers().output();
            output[..text.len()].copy_from_slice(text.as_bytes());
            let timeout = NextTimeout::default();
            self.connection
                .transmit_output(text.len(), timeout)
                .unwrap();
        }

        fn read(&mut self) {
            assert!(self.connection.await_input(NextTimeout::default()).unwrap());
        }

        fn noted(&self) -> Vec<String> {
            std::mem::take(&mut *self.noted.lock().unwrap())
        }
    }

    #[test]
    fn head_and_body_go_out_as_one_when_the_answer_is_asked_for() {
        let mut scene = scene();
        for (head, body) in [("HEAD", "body"), ("AGAIN", "more")] {
            scene.transmit(head);
            scene.transmit(body);
            assert!(scene.noted().is_empty());
            scene.read();
            assert_eq!(
                scene.noted(),
                [format!("{head}{body}"), "(read)".to_owned()]
            );
        }
    }

    #[test]
    fn what_is_long_goes_out_in_pieces_and_in_its_order() {
        let mut scene = scene();
        let pieces = ["a", "b", "c"].map(|letter| letter.repeat(30 << 10));
        for piece in &pieces {
            scene.transmit(piece);
        }
        scene.transmit("end");
        let sent = scene.noted();
        assert!(sent.len() > 1);
        scene.read();
        let all = sent.concat() + &scene.noted().concat();
        assert_eq!(all, pieces.concat() + "end(read)");
    }

    #[test]
    fn an_answer_that_may_wait_is_read_once_the_bell_has_rung_and_the_next_at_once() {
        let mut scene = scene();
        let bell = Bell::default();
        scene.connection.leisure.set(Some(bell.clone()));
        scene.transmit("batch");
        let noted = Arc::clone(&scene.noted);
        let ringer = thread::spawn(move || {
            noted.lock().unwrap().push("(rung)".to_owned());
            bell.ring();
        });
        scene.read();
        ringer.join().unwrap();
        // Sent before or after the thread came to ring, but read after it.
        let noted = scene.noted();
        assert_eq!(noted.last().unwrap(), "(read)");
        assert_eq!(noted.len(), 3);
        scene.read();
        assert_eq!(scene.noted(), ["(read)"]);
    }

    #[test]
    fn what_an_answer_waited_is_taken_off_what_its_request_may_take() {
        let mut scene = scene();
        scene.connection.leisure.set(Some(Bell::default()));
        let timeout = NextTimeout {
            after: time::Duration::from_millis(1),
            ..NextTimeout::default()
        };
        assert!(scene.connection.await_input(timeout).unwrap());
        assert_eq!(scene.noted(), ["(no time to read)"]);
    }
}
