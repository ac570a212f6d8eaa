//! Sends one thing after another, until all is acknowledged or it is over.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    },
    thread,
    time::Duration,
};

use uuid::Uuid;

use super::{
    Answer, Client, Item, Outcome,
    deadline::{Deadline, Over},
    pause,
    source::Source,
};
use crate::{
    bell::Bell,
    spool::{Handoff, SpoolError},
};

/// How often the spool is looked at for new batches, should nobody ring.
const LOOK: Duration = Duration::from_secs(1);
/// What a request has at least.
const LAST_TRY: Duration = Duration::from_millis(500);
/// A pause that a server named is drawn out by up to this share, so that those whom it told the same do not return together.
const SPREAD: f64 = 0.2;

pub(super) struct Sending {
    client: Client,
    source: Source,
    asked: Receiver<Over>,
    handoff: Handoff,
    deadline: Option<Deadline>,
    outcome: Outcome,
    /// The server answered at least once.
    reached: Arc<AtomicBool>,
    failures: u32,
    /// All batches of the writer's stream below this number are acknowledged.
    acknowledged: u64,
}

/// Nothing more will be sent.
struct Stop;

/// What became of one item.
enum Delivered {
    /// Acknowledged, or refused for good.
    Settled,
    /// The server does not know the job, or not any more.
    JobUnknown,
}

impl Sending {
    pub(super) fn new(
        client: Client,
        source: Source,
        asked: Receiver<Over>,
        handoff: Handoff,
    ) -> Self {
        Self {
            client,
            source,
            asked,
            handoff,
            deadline: None,
            outcome: Outcome::default(),
            reached: Arc::default(),
            failures: 0,
            acknowledged: 0,
        }
    }

    /// Raised once the server has answered.
    pub(super) fn reached(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.reached)
    }

    pub(super) fn run(mut self) -> Outcome {
        let everything = self.send_everything();
        self.outcome.complete = everything.is_ok() && self.outcome.refused.is_empty();
        self.outcome
    }

    fn send_everything(&mut self) -> Result<(), Stop> {
        while let Delivered::JobUnknown = self.send_from_the_beginning()? {
            // What the server acknowledged before is not there any more, so all of it is sent again.
            self.source.rewind();
            self.outcome.batches = 0;
            self.acknowledged = 0;
            self.handoff.set_acknowledged(0);
            self.outcome.refused.clear();
            self.back_off(None)?;
        }
        Ok(())
    }

    fn send_from_the_beginning(&mut self) -> Result<Delivered, Stop> {
        let job = self.source.job();
        let job = self.read(job)?;
        if let Delivered::JobUnknown = self.deliver(Item::Job, &job)? {
            return Ok(Delivered::JobUnknown);
        }
        loop {
            // Asked before looking: what was written before the question is seen by the look after it.
            let over = self.deadline.is_some();
            if let Some(folder) = self.handoff.moved() {
                self.source.move_to(folder);
            }
            loop {
                let next = self.source.next_batch();
                let Some((stream, record)) = self.read(next)? else {
                    break;
                };
                self.in_time()?;
                let item = Item::Batch(stream, record.seq);
                let refused = self.outcome.refused.len();
                if let Delivered::JobUnknown = self.deliver(item, &record.payload)? {
                    return Ok(Delivered::JobUnknown);
                }
                self.outcome.batches += 1;
                // What was refused is kept in full.
                if self.outcome.refused.len() == refused {
                    self.tell_writer(stream, record.seq);
                }
                // Another look would find nothing, each second of a job.
                if !over && self.is_newest(stream, record.seq) {
                    break;
                }
            }
            if over {
                break;
            }
            // It may have rung while an answer was waited for.
            self.listen();
            if self.deadline.is_none() {
                self.handoff.bell.wait(LOOK);
                self.listen();
            }
        }
        let end = self.source.end();
        let end = self.read(end)?;
        let delivered = self.deliver(Item::End, &end)?;
        if let Delivered::Settled = delivered {
            self.account(&end)?;
        }
        Ok(delivered)
    }

    /// Lets the writer of the stream that is being recorded know what need not be kept in full any more: all before the first batch that is not
    /// acknowledged. What agents before it wrote has the same numbers and does not count.
    fn tell_writer(&mut self, stream: Uuid, seq: u64) {
        if self.handoff.is_of(stream) && seq == self.acknowledged {
            self.acknowledged += 1;
            self.handoff.set_acknowledged(self.acknowledged);
        }
    }

    /// Whether nothing comes behind a batch yet.
    fn is_newest(&self, stream: Uuid, seq: u64) -> bool {
        self.source.is_at_the_last() && self.handoff.is_last(stream, seq)
    }

    /// What the answer to an item may wait for. That to the newest batch is read when there is another or when it is over: whoever slept for each
    /// answer would be woken twice a second.
    fn leisure(&self, item: Item) -> Option<Bell> {
        let has_time = self.deadline.is_none() && self.failures == 0;
        match item {
            Item::Batch(stream, seq) if has_time && self.is_newest(stream, seq) => {
                Some(self.handoff.bell.clone())
            }
            _ => None,
        }
    }

    /// A server that takes everything, but slowly, keeps nobody waiting beyond the patience either.
    fn in_time(&mut self) -> Result<(), Stop> {
        self.listen();
        if self
            .deadline
            .is_some_and(|deadline| deadline.is_over_for_a_slow_server())
        {
            self.outcome.problem = Some("the server is too slow".to_owned());
            return Err(Stop);
        }
        Ok(())
    }

    /// What could not be read from the spool is not on the server. Where bytes of it are left, the spool is the only place where it may still
    /// be found.
    fn account(&mut self, end: &[u8]) -> Result<(), Stop> {
        let shortfall = self.source.shortfall(end);
        self.outcome.announced = shortfall.announced;
        self.outcome.missing = shortfall.missing;
        if !shortfall.left_out.is_empty() {
            self.outcome.problem = Some(format!(
                "{}; what else is whole was sent, and the folder is kept until you remove it",
                shortfall.left_out.join("; ")
            ));
            return Err(Stop);
        }
        if !shortfall.damaged {
            return Ok(());
        }
        self.outcome.problem = Some(match shortfall.missing {
            0 => "the spool holds damaged records; all that was announced was sent, so its folder can be removed".to_owned(),
            missing => format!(
                "{missing} of {} announced batches are missing or damaged in the spool; what is whole was sent, and the rest is kept until you remove its folder",
                shortfall.announced
            ),
        });
        Err(Stop)
    }

    fn read<T>(&mut self, read: Result<T, SpoolError>) -> Result<T, Stop> {
        read.map_err(|error| {
            self.outcome.problem = Some(error.to_string());
            Stop
        })
    }

    /// Sends one item until it is acknowledged or refused for good, or the server turns out not to know the job.
    fn deliver(&mut self, item: Item, payload: &[u8]) -> Result<Delivered, Stop> {
        loop {
            self.listen();
            // A moment more than is left, for an answer that is on its way.
            let patience = self.left().map_or(Duration::MAX, |left| left.max(LAST_TRY));
            self.client.set_leisure(self.leisure(item));
            match self.client.put_within(item, payload, patience) {
                Answer::Acknowledged => {
                    self.reached.store(true, Ordering::Relaxed);
                    self.outcome.problem = None;
                    if let Some(deadline) = &mut self.deadline {
                        deadline.progress();
                    }
                    // A server that takes the job and then does not know it would be asked without pause.
                    if item != Item::Job {
                        self.failures = 0;
                    }
                    return Ok(Delivered::Settled);
                }
                Answer::Refused(why) => {
                    self.reached.store(true, Ordering::Relaxed);
                    self.outcome.refused.push(format!("{item}: {why}"));
                    if item == Item::Job {
                        self.outcome.problem = Some(why);
                        return Err(Stop);
                    }
                    return Ok(Delivered::Settled);
                }
                Answer::Closed(why) => {
                    self.outcome.problem = Some(why);
                    return Err(Stop);
                }
                Answer::Unknown(why) => {
                    self.outcome.problem = Some(why);
                    return Ok(Delivered::JobUnknown);
                }
                Answer::Again(wait, why) => {
                    self.outcome.problem = Some(why);
                    // Whoever names a time is there and means to take it then.
                    if wait.is_some() {
                        self.reached.store(true, Ordering::Relaxed);
                    }
                    self.back_off(wait)?;
                }
            }
        }
    }

    /// Waits before the next try; gives up where that would come too late.
    fn back_off(&mut self, named: Option<Duration>) -> Result<(), Stop> {
        let chance = f64::from(Uuid::new_v4().as_bytes()[0]) / 255.0;
        let wait = match named {
            Some(named) => named.max(pause(0, chance)).mul_f64(1.0 + SPREAD * chance),
            None => pause(self.failures, chance),
        };
        self.failures += 1;
        if self.left().is_none_or(|left| wait < left) {
            self.wait(wait);
            if self.left().is_none_or(|left| !left.is_zero()) {
                return Ok(());
            }
        }
        self.outcome.nothing_taken = !self.reached.load(Ordering::Relaxed);
        Err(Stop)
    }

    /// Time until it is over; none while the recording goes on.
    fn left(&self) -> Option<Duration> {
        let reached = self.reached.load(Ordering::Relaxed);
        self.deadline.map(|deadline| deadline.left(reached))
    }

    /// Waits, but no longer than until the recording is over.
    fn wait(&mut self, time: Duration) {
        if self.deadline.is_some() {
            thread::sleep(time);
            return;
        }
        match self.asked.recv_timeout(time) {
            Ok(over) => self.hear(over),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.be_alone(),
        }
    }

    /// Hears a deadline that came while something was sent.
    fn listen(&mut self) {
        match self.asked.try_recv() {
            Ok(over) => self.hear(over),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => self.be_alone(),
        }
    }

    /// Whoever recorded is gone: what is there is sent, and that is all.
    fn be_alone(&mut self) {
        self.deadline
            .get_or_insert_with(|| Deadline::fixed(Duration::ZERO, 1));
    }

    fn hear(&mut self, over: Over) {
        self.deadline = Some(over.deadline);
        if let Some(unwritten) = over.unwritten {
            self.source.set_unwritten(unwritten);
        }
        self.failures = self.failures.min(1);
    }
}
