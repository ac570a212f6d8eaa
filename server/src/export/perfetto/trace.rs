//! Packets of a trace, written one after another.

use std::io::{self, Write};

use highwater_wire::report::ProcessRow;
use prost::Message;

use super::schema::{
    self, BuiltinClock, ClockSnapshot, CounterDescriptor, DebugAnnotation, ProcessDescriptor,
    TracePacket, TrackDescriptor, TrackEvent, clock_snapshot::Clock, counter_descriptor::Unit,
    debug_annotation::Value, trace_packet::Data, track_descriptor::ChildTracksOrdering,
    track_event::Type,
};

/// All packets are of one sequence, which begins with the first.
const SEQUENCE: u32 = 1;
const SEQUENCE_BEGINS: u32 = 1;

/// A track by its number in the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Track(u64);

/// A track of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counter(u64);

/// What is told of a slice.
pub(super) enum Note<'a> {
    Number(&'static str, i64),
    Text(&'static str, &'a str),
}

/// A trace being written.
pub(super) struct Trace<W> {
    out: W,
    /// The job's start, ns since 1970.
    started_ns: i64,
    tracks: u64,
    is_begun: bool,
    buffer: Vec<u8>,
}

impl<W: Write> Trace<W> {
    /// Begins with how its clock stands to the time of day. `started_at` is the job's start, RFC 3339.
    pub(super) fn begin(out: W, started_at: &str) -> io::Result<Self> {
        let started = started_at.parse::<jiff::Timestamp>();
        let started_us = started.map_or(0, jiff::Timestamp::as_microsecond);
        let mut trace = Self {
            out,
            started_ns: started_us.saturating_mul(1000),
            tracks: 0,
            is_begun: false,
            buffer: Vec::new(),
        };
        let at = Some(trace.at(0));
        let clock = |clock: BuiltinClock| Clock {
            clock_id: Some(clock as u32),
            timestamp: at,
        };
        let snapshot = ClockSnapshot {
            clocks: vec![clock(BuiltinClock::Boottime), clock(BuiltinClock::Realtime)],
            primary_trace_clock: Some(BuiltinClock::Boottime.into()),
        };
        trace.packet(Some(0), Data::ClockSnapshot(snapshot))?;
        Ok(trace)
    }

    /// Adds a track.
    pub(super) fn track(&mut self, name: &str, parent: Option<Track>) -> io::Result<Track> {
        self.describe(TrackDescriptor {
            name: Some(name.to_owned()),
            parent_uuid: parent.map(|parent| parent.0),
            ..TrackDescriptor::default()
        })
        .map(Track)
    }

    /// Adds the track of a process.
    pub(super) fn process(&mut self, process: &ProcessRow, name: &str) -> io::Result<Track> {
        let started_ns = self.at(process.started_us);
        self.describe(TrackDescriptor {
            process: Some(ProcessDescriptor {
                pid: Some(process.pid.cast_signed()),
                cmdline: vec![process.command.clone()],
                process_name: Some(name.to_owned()),
                start_timestamp_ns: Some(started_ns.cast_signed()),
            }),
            ..TrackDescriptor::default()
        })
        .map(Track)
    }

    /// Adds a track of numbers; those of bytes below one track share their scale.
    pub(super) fn counter(&mut self, name: &str, unit: &str, parent: Track) -> io::Result<Counter> {
        let counter = match unit {
            "bytes" => CounterDescriptor {
                unit: Some(Unit::SizeBytes.into()),
                y_axis_share_key: Some(unit.to_owned()),
                ..CounterDescriptor::default()
            },
            "count" => CounterDescriptor {
                unit: Some(Unit::Count.into()),
                ..CounterDescriptor::default()
            },
            _ => CounterDescriptor {
                unit_name: Some(unit.to_owned()),
                ..CounterDescriptor::default()
            },
        };
        self.describe(TrackDescriptor {
            name: Some(name.to_owned()),
            parent_uuid: Some(parent.0),
            counter: Some(counter),
            ..TrackDescriptor::default()
        })
        .map(Counter)
    }

    /// A counter has a value from now on.
    pub(super) fn count(&mut self, counter: Counter, t_us: i64, value: i64) -> io::Result<()> {
        let event = TrackEvent {
            r#type: Some(Type::Counter.into()),
            track_uuid: Some(counter.0),
            counter_value: Some(value),
            ..TrackEvent::default()
        };
        self.packet(Some(t_us), Data::TrackEvent(event))
    }

    /// A slice begins inside those of its track that are open.
    pub(super) fn open(
        &mut self,
        track: Track,
        t_us: i64,
        category: &str,
        name: &str,
        notes: &[Note<'_>],
    ) -> io::Result<()> {
        let event = TrackEvent {
            r#type: Some(Type::SliceBegin.into()),
            track_uuid: Some(track.0),
            categories: vec![category.to_owned()],
            name: Some(name.to_owned()),
            debug_annotations: notes.iter().map(annotation).collect(),
            ..TrackEvent::default()
        };
        self.packet(Some(t_us), Data::TrackEvent(event))
    }

    /// The innermost slice of a track ends.
    pub(super) fn close(&mut self, track: Track, t_us: i64) -> io::Result<()> {
        let event = TrackEvent {
            r#type: Some(Type::SliceEnd.into()),
            track_uuid: Some(track.0),
            ..TrackEvent::default()
        };
        self.packet(Some(t_us), Data::TrackEvent(event))
    }

    pub(super) fn end(mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn describe(&mut self, descriptor: TrackDescriptor) -> io::Result<u64> {
        self.tracks += 1;
        let descriptor = TrackDescriptor {
            uuid: Some(self.tracks),
            child_ordering: Some(ChildTracksOrdering::Explicit.into()),
            sibling_order_rank: i32::try_from(self.tracks).ok(),
            ..descriptor
        };
        self.packet(None, Data::TrackDescriptor(descriptor))?;
        Ok(self.tracks)
    }

    /// A time of the job on the trace's clock, ns; none lies before 1970.
    fn at(&self, t_us: i64) -> u64 {
        let ns = self.started_ns.saturating_add(t_us.saturating_mul(1000));
        u64::try_from(ns).unwrap_or(0)
    }

    fn packet(&mut self, t_us: Option<i64>, data: Data) -> io::Result<()> {
        let packet = TracePacket {
            timestamp: t_us.map(|t_us| self.at(t_us)),
            trusted_packet_sequence_id: Some(SEQUENCE),
            sequence_flags: (!self.is_begun).then_some(SEQUENCE_BEGINS),
            data: Some(data),
        };
        self.is_begun = true;
        // Traces one after another are one trace, so it is written packet by packet.
        let one = schema::Trace {
            packet: vec![packet],
        };
        self.buffer.clear();
        one.encode(&mut self.buffer).map_err(io::Error::other)?;
        self.out.write_all(&self.buffer)
    }
}

fn annotation(note: &Note<'_>) -> DebugAnnotation {
    let (name, value) = match note {
        Note::Number(name, value) => (name, Value::IntValue(*value)),
        Note::Text(name, value) => (name, Value::StringValue((*value).to_owned())),
    };
    DebugAnnotation {
        name: Some((*name).to_owned()),
        value: Some(value),
    }
}
