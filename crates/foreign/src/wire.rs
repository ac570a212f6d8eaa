//! What agents send, and what becomes of it.

use std::fmt::Debug;

use highwater_analysis::{
    digest::{Context, Digest},
    recording::Recording,
};
use highwater_server::foreign;
use highwater_wire::{
    codec::{self, Checked, MAX_BATCH_BYTES},
    mask,
    report::JobState,
    v1::{Batch, End, Job, Mark, Process, Session, TestBegin, mark::What},
};
use uuid::Uuid;

use crate::pieces;

/// What a decoder may take before it has looked at anything.
const ROOM: u64 = 256 << 10;
/// What it may take for each byte of protobuf: two bytes can become a message of hundreds.
const ROOM_A_BYTE: u64 = 512;

/// A message in protobuf: a batch, a job or an end.
pub(crate) fn batch(bytes: &[u8]) {
    if let Some(mut batch) = decoded::<Batch>(bytes) {
        assert!(
            codec::weight(&batch) >= bytes.len() as u64 / 2,
            "a batch weighs what it holds"
        );
        mask::batch(&mut batch);
        let masked = batch.clone();
        mask::batch(&mut batch);
        assert_eq!(batch, masked, "what is masked is masked once");
    }
    if let Some(mut job) = decoded::<Job>(bytes) {
        mask::job(&mut job);
        let masked = job.clone();
        mask::job(&mut job);
        assert_eq!(job, masked, "what is masked is masked once");
    }
    decoded::<End>(bytes);
}

/// Decodes, and holds what is taken to be taken again as the same, in every form.
fn decoded<M: Checked + PartialEq + Debug>(bytes: &[u8]) -> Option<M> {
    let mut decoded = None;
    let taken = allocation_counter::measure(|| decoded = codec::decode_plain::<M>(bytes).ok());
    let most = ROOM + ROOM_A_BYTE * bytes.len() as u64;
    assert!(
        taken.bytes_max <= most,
        "{} bytes for {}",
        taken.bytes_max,
        bytes.len()
    );
    let message = decoded?;
    message.check().expect("what is decoded is checked");
    let frame = codec::encode(&message).expect("zstd compresses");
    assert_eq!(
        codec::decode::<M>(&frame).expect("it is taken again"),
        message
    );
    let put = foreign::body::<M>("application/x-protobuf", "zstd", &frame);
    assert_eq!(put.as_ref(), Some(&message), "the server takes it");
    hold_json(&message);
    Some(message)
}

/// In JSON less is taken, and a role or an end of a later agent cannot be said at all.
fn hold_json<M: Checked + PartialEq + Debug>(message: &M) {
    let json = match serde_json::to_vec(message) {
        Ok(json) => json,
        Err(error) => {
            let said = error.to_string();
            assert!(said.starts_with("Invalid variant"), "{said}");
            return;
        }
    };
    if let Ok(again) = codec::decode_json::<M>(&json) {
        assert_eq!(again, *message, "JSON says the same");
    }
}

/// A body under zstd.
pub(crate) fn frame(bytes: &[u8]) {
    let announced = codec::announced_bytes(bytes);
    let mut plain = None;
    let taken = allocation_counter::measure(|| plain = codec::decompress(bytes).ok());
    // A buffer that grows doubles.
    let most = announced.map_or(2 * MAX_BATCH_BYTES, |bytes| bytes.min(MAX_BATCH_BYTES));
    assert!(
        taken.bytes_max <= most as u64 + ROOM,
        "{} bytes",
        taken.bytes_max
    );
    let put = foreign::body::<Batch>("application/x-protobuf", "zstd", bytes);
    let Some(plain) = plain else {
        assert!(
            put.is_none(),
            "the server takes what cannot be decompressed"
        );
        return;
    };
    assert!(plain.len() <= MAX_BATCH_BYTES);
    if let Some(announced) = announced {
        assert_eq!(plain.len(), announced, "a frame is what it announces");
    }
    assert_eq!(codec::decode_plain::<Batch>(&plain).ok(), put);
}

/// A body in JSON.
pub(crate) fn json(bytes: &[u8]) {
    said::<Batch>(bytes);
    said::<Job>(bytes);
    said::<End>(bytes);
}

fn said<M: Checked + PartialEq + Debug>(bytes: &[u8]) {
    if let Some(message) = foreign::body::<M>("application/json", "", bytes) {
        let plain = message.encode_to_vec();
        let again = codec::decode_plain::<M>(&plain).expect("what JSON may say protobuf may");
        assert_eq!(again, message);
    }
}

/// A job, its end, and batches: what is worked out of them.
pub(crate) fn digest(bytes: &[u8]) {
    let [job, end, batches] = pieces::of(bytes);
    let job = codec::decode_plain(job).unwrap_or_else(|_| a_job());
    let end = codec::decode_plain::<End>(end).ok();
    let batches: Vec<Batch> = pieces::all(batches)
        .into_iter()
        .filter_map(|batch| codec::decode_plain(batch).ok())
        .collect();
    work_out(job, end, &batches);
}

fn a_job() -> Job {
    Job {
        version: highwater_wire::VERSION,
        project: "owner/repo".to_owned(),
        name: "job".to_owned(),
        interval_us: 50_000,
        ..Job::default()
    }
}

/// Works out the figures of a recording; what it says must not rest on the order in which it came, nor on whether it was kept meanwhile.
pub(crate) fn work_out(job: Job, end: Option<End>, batches: &[Batch]) {
    let stream = Uuid::from_u128(1);
    let numbered: Vec<(u64, &Batch)> = (0..).zip(batches).collect();
    let mut straight = Recording::new(job.clone());
    for (seq, batch) in &numbered {
        straight.add(stream, *seq, batch);
    }
    let mut backwards = Recording::new(job.clone());
    for (seq, batch) in numbered.iter().rev() {
        backwards.add(stream, *seq, batch);
    }
    for recording in [&mut straight, &mut backwards] {
        if let Some(end) = &end {
            recording.set_end(end.clone());
        }
    }
    let figures = figures_of(&straight);
    assert_eq!(figures, figures_of(&backwards), "the order changes nothing");
    let restored = Recording::restore(job, end, straight.groups(), &straight.residue());
    assert_eq!(figures, figures_of(&restored), "what is kept says the same");
    for process in &figures.processes {
        let balance = process.books.is_none_or(|books| books.balance());
        assert!(balance, "the books of {process:?} balance");
    }
    serde_json::to_vec(&figures.job).expect("figures are JSON");
}

fn figures_of(recording: &Recording) -> Digest {
    let context = Context {
        uuid: Uuid::from_u128(2),
        state: JobState::Finished,
        revision: 1,
        clock_skew_us: None,
    };
    highwater_analysis::digest::digest(recording, &context)
}

/// Texts in which there may be secrets.
pub(crate) fn mask(bytes: &[u8]) {
    let text = pieces::text(bytes);
    let mut words: Vec<String> = text.split('\n').map(str::to_owned).collect();
    hold_once(
        &mut words,
        |words| mask::words(words),
        |words| words.join("\n"),
    );
    let mut batch = Batch {
        processes: vec![Process {
            command: text.clone(),
            ..Process::default()
        }],
        sessions: vec![Session {
            args: text.split('\n').map(str::to_owned).collect(),
            ..Session::default()
        }],
        marks: vec![Mark {
            what: Some(What::TestBegin(TestBegin {
                nodeid: text.clone(),
                ..TestBegin::default()
            })),
            ..Mark::default()
        }],
        ..Batch::default()
    };
    hold_once(&mut batch, mask::batch, |batch| {
        batch.processes[0].command.clone()
    });
}

/// Masks twice: the second time changes nothing, and the first makes no more than twice as much of a text as it was.
fn hold_once<T: Clone + PartialEq + Debug>(
    what: &mut T,
    mask: impl Fn(&mut T),
    text: impl Fn(&T) -> String,
) {
    let before = text(what);
    mask(what);
    let once = what.clone();
    mask(what);
    assert_eq!(*what, once, "what is masked is masked once");
    assert!(text(what).len() <= 2 * before.len() + 8, "a mask is short");
}
