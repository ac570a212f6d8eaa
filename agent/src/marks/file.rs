//! One events file: how far it was read, and whose its lines are.

use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::PathBuf,
};

use highwater_wire::{
    codec::{MAX_BYTES, MAX_LINE_BYTES, MAX_NAME_BYTES, MAX_TEXT_BYTES, MAX_TIME_US},
    marks::{Header, Line, NoticeLine, SessionLine, parse},
    v1::{Mark, mark::What},
};

use super::{
    JobStart, QUIET_AFTER_US, Told,
    lines::{Lines, Piece},
    named,
};
use crate::{
    regular::{self, is_gone},
    tree::ProcessKey,
};

/// The wall clock may be set while the job runs, but not by so much, µs.
const CLOCK_SLACK_US: i64 = 3_600_000_000;
/// Bytes of one read.
const CHUNK_BYTES: usize = 64 << 10;
/// A line that goes on for so long, and so many lines in a row that say nothing, are not the plugin's.
const MOST_FOREIGN_BYTES: usize = 4 * MAX_LINE_BYTES;
const MOST_FOREIGN_LINES: u32 = 1_000;
/// So much of a file's begin tells it from another of its name: number and start of its writer are in it.
const HEAD_BYTES: usize = 64;

#[derive(Debug)]
pub(super) struct EventsFile {
    /// When it was last seen to have grown, or was found.
    pub(super) news_us: i64,
    /// The round in which it last had its turn among quiet files.
    pub(super) round: u32,
    path: PathBuf,
    /// Which file stood under the name, and how it begins.
    inode: Option<u64>,
    head: Vec<u8>,
    offset: u64,
    lines: Lines,
    writer: Option<Writer>,
    /// Whether the last that was heard of the writer was its last word.
    has_left: bool,
    /// What was read stands under the name no more.
    is_gone: bool,
    /// Set when a header of an unknown version was met, or what no plugin writes: nothing after it can be trusted, nor is it read.
    refused: bool,
    /// Lines since one was understood.
    foreign_lines: u32,
    /// Whether it was told that nothing more can be written to it.
    broke_off: bool,
}

/// The process that the last header named.
#[derive(Debug, Clone, Copy)]
struct Writer {
    key: ProcessKey,
    /// Added to an instant of its clock, gives µs since the job's start.
    shift_us: i64,
}

impl EventsFile {
    pub(super) fn new(path: PathBuf, now_us: i64) -> Self {
        Self {
            news_us: now_us,
            // None yet.
            round: u32::MAX,
            path,
            inode: None,
            head: Vec::new(),
            offset: 0,
            lines: Lines::default(),
            writer: None,
            has_left: false,
            is_gone: false,
            refused: false,
            foreign_lines: 0,
            broke_off: false,
        }
    }

    /// Whether nothing was written to it for long.
    pub(super) fn is_quiet(&self, now_us: i64) -> bool {
        now_us.saturating_sub(self.news_us) >= QUIET_AFTER_US
    }

    /// Who writes it, by its own word.
    pub(super) fn writer(&self) -> Option<ProcessKey> {
        self.writer.map(|writer| writer.key)
    }

    /// Who wrote it, where it was removed before that had left pytest.
    pub(super) fn cut_off(&self) -> Option<ProcessKey> {
        self.writer().filter(|_| self.is_gone && !self.has_left)
    }

    pub(super) fn read_news(
        &mut self,
        allowance: &mut usize,
        chunk: &mut Vec<u8>,
        start: &JobStart,
        told: &mut Vec<Told>,
    ) -> io::Result<()> {
        if self.refused {
            return Ok(());
        }
        let metadata = match fs::symlink_metadata(&self.path) {
            Ok(metadata) if metadata.is_file() => metadata,
            // Whoever runs in the tests can put a pipe or a link there.
            Ok(_) => return Ok(()),
            // A test suite may clear its temporary folders; what was read stays read.
            Err(error) if is_gone(&error) => {
                self.is_gone = true;
                return Ok(());
            }
            Err(error) => return Err(named(&self.path)(error)),
        };
        if !self.is_known(&metadata).map_err(named(&self.path))? {
            return Ok(());
        }
        if metadata.len() > self.offset {
            self.read_on(allowance, chunk, start, told)?;
        }
        if metadata.permissions().readonly() {
            self.tell_broken_off(told);
        }
        Ok(())
    }

    /// Whether what stands under the name can be read on. A plugin whose file was removed writes all of it again; what begins otherwise is
    /// another's, and is read from its begin.
    fn is_known(&mut self, metadata: &Metadata) -> io::Result<bool> {
        let inode = Some(metadata.ino());
        if self.inode == inode && !self.is_gone {
            return Ok(true);
        }
        // Also what stands there and has less than was read: unless it comes to have it, what the writer told since went elsewhere.
        self.is_gone = true;
        if !self.head.is_empty() {
            let mut head = vec![0; self.head.len()];
            let read = regular::open(&self.path)?.read_exact_at(&mut head, 0);
            match read {
                Ok(()) if head != self.head => {
                    *self = Self {
                        round: self.round,
                        ..Self::new(std::mem::take(&mut self.path), self.news_us)
                    };
                }
                Ok(()) if metadata.len() >= self.offset => {}
                // It is being written.
                Ok(()) => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.inode = inode;
        self.is_gone = false;
        Ok(true)
    }

    fn read_on(
        &mut self,
        allowance: &mut usize,
        chunk: &mut Vec<u8>,
        start: &JobStart,
        told: &mut Vec<Told>,
    ) -> io::Result<()> {
        let file = regular::open(&self.path).map_err(named(&self.path))?;
        chunk.resize(CHUNK_BYTES, 0);
        while *allowance > 0 && !self.refused {
            let most = CHUNK_BYTES.min(*allowance);
            let read = file
                .read_at(&mut chunk[..most], self.offset)
                .map_err(named(&self.path))?;
            if read == 0 {
                break;
            }
            let head = (HEAD_BYTES - self.head.len()).min(read);
            self.head.extend_from_slice(&chunk[..head]);
            self.offset += read as u64;
            *allowance -= read;
            self.take(&chunk[..read], start, told);
        }
        Ok(())
    }

    /// A plugin that can write no word any more takes the permission to write away.
    fn tell_broken_off(&mut self, told: &mut Vec<Told>) {
        let Some(writer) = self.writer else {
            return;
        };
        if !std::mem::replace(&mut self.broke_off, true) {
            let notice = NoticeLine {
                code: "plugin_stopped".to_owned(),
                message: "its events file could not be written any more".to_owned(),
            };
            told.push(Told::Notice(writer.key, notice));
        }
    }

    fn take(&mut self, bytes: &[u8], start: &JobStart, told: &mut Vec<Told>) {
        let Self {
            path,
            lines,
            writer,
            refused,
            foreign_lines,
            has_left,
            ..
        } = self;
        lines.push(bytes, |number, piece| {
            if *refused {
                return;
            }
            let heard = match piece {
                Piece::TooLong => Err("is longer than any line may be".to_owned()),
                Piece::Line(line) => hear(line, writer, refused, start, told),
            };
            let mut reason = match heard {
                Ok(true) => {
                    *foreign_lines = 0;
                    *has_left = is_last_word(told.last(), *has_left);
                    return;
                }
                Ok(false) => None,
                Err(reason) => Some(reason),
            };
            *foreign_lines += 1;
            if *foreign_lines >= MOST_FOREIGN_LINES {
                *refused = true;
                let last = "is one of too many that say nothing: the rest is not read";
                reason = Some(last.to_owned());
            }
            told.extend(reason.map(|reason| Told::Malformed {
                path: path.clone(),
                line: number,
                reason,
            }));
        });
        if lines.unended_bytes() > MOST_FOREIGN_BYTES && !*refused {
            *refused = true;
            told.push(Told::Malformed {
                path: path.clone(),
                line: lines.ended() + 1,
                reason: "has no end, so the rest is not read".to_owned(),
            });
        }
    }
}

/// Whether the writer may have said all that it has to say. A forked child leaves without a word, after a test.
fn is_last_word(told: Option<&Told>, before: bool) -> bool {
    match told {
        Some(Told::Mark(_, mark)) => match &mark.what {
            Some(What::Leave(_)) => true,
            Some(What::TestEnd(end)) => end.outcome == "unknown",
            _ => false,
        },
        Some(Told::Header(_) | Told::OtherBoot(_)) => false,
        _ => before,
    }
}

/// Takes in one line; false for one that a later plugin may understand.
fn hear(
    line: &[u8],
    writer: &mut Option<Writer>,
    refused: &mut bool,
    start: &JobStart,
    told: &mut Vec<Told>,
) -> Result<bool, String> {
    let line = parse(line).map_err(|error| {
        *refused = matches!(error, highwater_wire::marks::LineError::Version { .. });
        error.to_string()
    })?;
    match (line, *writer) {
        (Line::Unknown, _) => return Ok(false),
        (Line::Header(header), _) => {
            possible_header(&header)?;
            let (new, other_boot) = writer_of(&header, start);
            *writer = Some(new);
            told.push(Told::Header(header));
            if other_boot {
                told.push(Told::OtherBoot(new.key));
            }
        }
        (_, None) => return Err("stands before any header".to_owned()),
        (Line::Session(session), Some(writer)) => {
            possible_session(&session)?;
            told.push(Told::Session(writer.key, session));
        }
        (Line::Notice(notice), Some(writer)) => told.push(Told::Notice(writer.key, notice)),
        (Line::Mark(mut mark), Some(writer)) => {
            mark.t_us = mark.t_us.saturating_add(writer.shift_us);
            possible_mark(&mark)?;
            told.push(Told::Mark(writer.key, mark));
        }
    }
    Ok(true)
}

/// The file may be written by anybody who runs in the tests; what no server takes is not let in.
fn possible_header(header: &Header) -> Result<(), String> {
    if header.pid == 0 {
        return Err("names process 0".to_owned());
    }
    if header.peak_error_bytes > MAX_BYTES {
        return Err(format!(
            "says that peaks are off by {} bytes",
            header.peak_error_bytes
        ));
    }
    Ok(())
}

fn possible_mark(mark: &Mark) -> Result<(), String> {
    if mark.t_us.unsigned_abs() > MAX_TIME_US.unsigned_abs() {
        return Err("is years from the job's start".to_owned());
    }
    Ok(())
}

fn possible_session(session: &SessionLine) -> Result<(), String> {
    let longest = [
        (&session.session, MAX_NAME_BYTES),
        (&session.dist, MAX_NAME_BYTES),
        (&session.root, MAX_TEXT_BYTES),
    ];
    if session.session.is_empty() || longest.iter().any(|(text, most)| text.len() > *most) {
        return Err("is no session: a text is missing or too long".to_owned());
    }
    Ok(())
}

/// A time namespace has a monotonic clock of its own. Nobody begins to write before the job does, and the monotonic clock may stand
/// still beside the wall clock (a laptop asleep) but not run ahead of it.
fn is_other_clock(header: &Header, start: &JobStart) -> bool {
    let is_told = header.monotonic_us != 0 && header.unix_us != 0;
    let monotonic_us = header.monotonic_us.saturating_sub(start.monotonic_us);
    let wall_us = header.unix_us.saturating_sub(start.unix_us);
    is_told
        && (monotonic_us < -CLOCK_SLACK_US || monotonic_us > wall_us.saturating_add(CLOCK_SLACK_US))
}

fn writer_of(header: &Header, start: &JobStart) -> (Writer, bool) {
    let key = ProcessKey {
        pid: header.pid,
        start_ticks: header.start_ticks,
    };
    let other_boot = (!header.boot_id.is_empty()
        && !start.boot_id.is_empty()
        && header.boot_id != start.boot_id)
        || is_other_clock(header, start);
    let shift_us = if other_boot {
        header
            .unix_us
            .saturating_sub(start.unix_us)
            .saturating_sub(header.monotonic_us)
    } else {
        start.monotonic_us.saturating_neg()
    };
    (Writer { key, shift_us }, other_boot)
}
