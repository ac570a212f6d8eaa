//! Marks as they are kept: each word once, and of a mark the numbers. There are tens of thousands, and the agent reads them
//! all back when the tests have just ended.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use highwater_wire::v1::{self, Batch, mark};
use uuid::Uuid;

use super::ProcessKey;

/// A word in [`Texts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Text(u32);

/// What a diagnosis found, in [`Texts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found(u32);

/// Every word of the marks, once; and what their diagnoses found, which are few.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    all: Vec<Arc<str>>,
    known: HashMap<Arc<str>, Text>,
    found: Vec<v1::Diagnosis>,
}

impl Texts {
    fn keep(&mut self, text: &str) -> Text {
        if let Some(known) = self.known.get(text) {
            return *known;
        }
        let kept: Arc<str> = Arc::from(text);
        // More than four thousand million words are more than any recording holds.
        let new = Text(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
        self.all.push(Arc::clone(&kept));
        self.known.insert(kept, new);
        new
    }

    fn keep_found(&mut self, found: &v1::Diagnosis) -> Found {
        let at = Found(u32::try_from(self.found.len()).unwrap_or(u32::MAX));
        self.found.push(found.clone());
        at
    }

    pub(crate) fn found(&self, found: Found) -> Option<&v1::Diagnosis> {
        self.found.get(found.0 as usize)
    }

    pub(crate) fn get(&self, text: Text) -> &str {
        self.all.get(text.0 as usize).map_or("", |text| &**text)
    }
}

/// What happened at a mark; see `pytest-plugin/FORMAT.md`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum What {
    /// Of a kind that this version does not know.
    Unknown,
    SessionBegin,
    CollectBegin,
    CollectEnd {
        items: u64,
        files: Text,
    },
    ImportBegin {
        path: Text,
    },
    ImportEnd {
        outcome: Text,
        cause: Text,
    },
    ModuleBegin {
        module: Text,
    },
    ModuleEnd,
    ModuleGone {
        module: Text,
    },
    TestBegin {
        execution: u32,
        path: Text,
        nodeid: Text,
        time_limit_us: Option<u64>,
        time_limit_ends_process: Option<bool>,
    },
    TestPhase {
        phase: Text,
    },
    TestEnd {
        outcome: Text,
        setup: Text,
        call: Text,
        teardown: Text,
        cause: Text,
    },
    FixtureBegin {
        fixture: u64,
        name: Text,
        scope: Text,
        path: Text,
        base: Text,
    },
    FixtureEnd {
        fixture: u64,
        outcome: Text,
    },
    ReleaseBegin {
        fixture: u64,
    },
    ReleaseEnd {
        fixture: u64,
    },
    SessionEnd {
        exit_status: i32,
    },
    Leave {
        true_peak_bytes: Option<u64>,
    },
    Blocks {
        blocks: u64,
        cost_us: u64,
    },
    DiagnosisBegin,
    DiagnosisEnd {
        found: Found,
    },
}

/// One mark of a process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) t_us: i64,
    pub(crate) rss_bytes: u64,
    pub(crate) peak_bytes: Option<u64>,
    pub(crate) what: What,
    /// Which batch it came with, by the order of arrival, and its place there.
    source: u32,
    position: u32,
}

/// The marks of each process, by time and then by place in what arrived.
#[derive(Debug, Default)]
pub(super) struct Marks {
    of: BTreeMap<ProcessKey, Vec<Mark>>,
    texts: Texts,
    sources: Vec<(Uuid, u64)>,
}

impl Marks {
    /// Takes the marks of a batch; those of a process that it does not name are passed over: the codec refuses them.
    pub(super) fn add(&mut self, stream: Uuid, seq: u64, batch: &Batch) {
        let Self { of, texts, sources } = self;
        let source = u32::try_from(sources.len()).unwrap_or(u32::MAX);
        sources.push((stream, seq));
        let order = |mark: &Mark| {
            let source = sources.get(mark.source as usize);
            (mark.t_us, source.copied(), mark.position)
        };
        let mut unordered = BTreeSet::new();
        for (mark, position) in batch.marks.iter().zip(0..) {
            let Some(process) = batch.processes.get(mark.process as usize) else {
                continue;
            };
            let key = ProcessKey::of(process);
            let kept = Mark {
                t_us: mark.t_us,
                rss_bytes: mark.rss_bytes,
                peak_bytes: mark.peak_bytes,
                what: What::of(mark.what.as_ref(), texts),
                source,
                position,
            };
            let marks = of.entry(key).or_default();
            if marks.last().is_some_and(|last| order(last) > order(&kept)) {
                unordered.insert(key);
            }
            marks.push(kept);
        }
        for key in unordered {
            if let Some(marks) = of.get_mut(&key) {
                marks.sort_by_key(order);
            }
        }
    }

    pub(super) fn texts(&self) -> &Texts {
        &self.texts
    }

    pub(super) fn of_each(&self) -> impl Iterator<Item = (ProcessKey, &[Mark])> {
        self.of.iter().map(|(key, marks)| (*key, marks.as_slice()))
    }

    /// The marks of a process as they are sent.
    pub(super) fn sent(&self, key: ProcessKey, process: u32) -> impl Iterator<Item = v1::Mark> {
        let marks = self.of.get(&key).map_or(&[][..], Vec::as_slice);
        marks.iter().map(move |mark| v1::Mark {
            process,
            t_us: mark.t_us,
            rss_bytes: mark.rss_bytes,
            peak_bytes: mark.peak_bytes,
            what: mark.what.sent(&self.texts),
        })
    }
}

impl What {
    fn of(what: Option<&mark::What>, texts: &mut Texts) -> Self {
        use mark::What as Sent;
        match what {
            None => Self::Unknown,
            Some(Sent::SessionBegin(_)) => Self::SessionBegin,
            Some(Sent::CollectBegin(_)) => Self::CollectBegin,
            Some(Sent::CollectEnd(end)) => Self::CollectEnd {
                items: end.items,
                files: texts.keep(&end.files),
            },
            Some(Sent::ImportBegin(import)) => Self::ImportBegin {
                path: texts.keep(&import.path),
            },
            Some(Sent::ImportEnd(import)) => Self::ImportEnd {
                outcome: texts.keep(&import.outcome),
                cause: texts.keep(&import.cause),
            },
            Some(Sent::ModuleBegin(import)) => Self::ModuleBegin {
                module: texts.keep(&import.module),
            },
            Some(Sent::ModuleEnd(_)) => Self::ModuleEnd,
            Some(Sent::ModuleGone(gone)) => Self::ModuleGone {
                module: texts.keep(&gone.module),
            },
            Some(Sent::TestBegin(test)) => Self::TestBegin {
                execution: test.execution,
                path: texts.keep(&test.path),
                nodeid: texts.keep(&test.nodeid),
                time_limit_us: test.time_limit_us,
                time_limit_ends_process: test.time_limit_ends_process,
            },
            Some(Sent::TestPhase(test)) => Self::TestPhase {
                phase: texts.keep(&test.phase),
            },
            Some(Sent::TestEnd(test)) => Self::TestEnd {
                outcome: texts.keep(&test.outcome),
                setup: texts.keep(&test.setup),
                call: texts.keep(&test.call),
                teardown: texts.keep(&test.teardown),
                cause: texts.keep(&test.cause),
            },
            Some(Sent::FixtureBegin(fixture)) => Self::FixtureBegin {
                fixture: fixture.fixture,
                name: texts.keep(&fixture.name),
                scope: texts.keep(&fixture.scope),
                path: texts.keep(&fixture.path),
                base: texts.keep(&fixture.base),
            },
            Some(Sent::FixtureEnd(fixture)) => Self::FixtureEnd {
                fixture: fixture.fixture,
                outcome: texts.keep(&fixture.outcome),
            },
            Some(Sent::ReleaseBegin(release)) => Self::ReleaseBegin {
                fixture: release.fixture,
            },
            Some(Sent::ReleaseEnd(release)) => Self::ReleaseEnd {
                fixture: release.fixture,
            },
            Some(Sent::SessionEnd(end)) => Self::SessionEnd {
                exit_status: end.exit_status,
            },
            Some(Sent::Leave(leave)) => Self::Leave {
                true_peak_bytes: leave.true_peak_bytes,
            },
            Some(Sent::Blocks(blocks)) => Self::Blocks {
                blocks: blocks.blocks,
                cost_us: blocks.cost_us,
            },
            Some(Sent::DiagnosisBegin(_)) => Self::DiagnosisBegin,
            Some(Sent::DiagnosisEnd(found)) => Self::DiagnosisEnd {
                found: texts.keep_found(found),
            },
        }
    }

    fn sent(self, texts: &Texts) -> Option<mark::What> {
        use mark::What as Sent;
        let word = |text| texts.get(text).to_owned();
        Some(match self {
            Self::Unknown => return None,
            Self::SessionBegin => Sent::SessionBegin(v1::Empty {}),
            Self::CollectBegin => Sent::CollectBegin(v1::Empty {}),
            Self::CollectEnd { items, files } => Sent::CollectEnd(v1::CollectEnd {
                items,
                files: word(files),
            }),
            Self::ImportBegin { path } => Sent::ImportBegin(v1::ImportBegin { path: word(path) }),
            Self::ImportEnd { outcome, cause } => Sent::ImportEnd(v1::ImportEnd {
                outcome: word(outcome),
                cause: word(cause),
            }),
            Self::ModuleBegin { module } => Sent::ModuleBegin(v1::ModuleBegin {
                module: word(module),
            }),
            Self::ModuleEnd => Sent::ModuleEnd(v1::Empty {}),
            Self::ModuleGone { module } => Sent::ModuleGone(v1::ModuleGone {
                module: word(module),
            }),
            Self::TestBegin {
                execution,
                path,
                nodeid,
                time_limit_us,
                time_limit_ends_process,
            } => Sent::TestBegin(v1::TestBegin {
                execution,
                path: word(path),
                nodeid: word(nodeid),
                time_limit_us,
                time_limit_ends_process,
            }),
            Self::TestPhase { phase } => Sent::TestPhase(v1::TestPhase { phase: word(phase) }),
            Self::TestEnd {
                outcome,
                setup,
                call,
                teardown,
                cause,
            } => Sent::TestEnd(v1::TestEnd {
                outcome: word(outcome),
                setup: word(setup),
                call: word(call),
                teardown: word(teardown),
                cause: word(cause),
            }),
            Self::FixtureBegin {
                fixture,
                name,
                scope,
                path,
                base,
            } => Sent::FixtureBegin(v1::FixtureBegin {
                fixture,
                name: word(name),
                scope: word(scope),
                path: word(path),
                base: word(base),
            }),
            Self::FixtureEnd { fixture, outcome } => Sent::FixtureEnd(v1::FixtureEnd {
                fixture,
                outcome: word(outcome),
            }),
            Self::ReleaseBegin { fixture } => Sent::ReleaseBegin(v1::FixtureRef { fixture }),
            Self::ReleaseEnd { fixture } => Sent::ReleaseEnd(v1::FixtureRef { fixture }),
            Self::SessionEnd { exit_status } => Sent::SessionEnd(v1::SessionEnd { exit_status }),
            Self::Leave { true_peak_bytes } => Sent::Leave(v1::Leave { true_peak_bytes }),
            Self::Blocks { blocks, cost_us } => Sent::Blocks(v1::Blocks { blocks, cost_us }),
            Self::DiagnosisBegin => Sent::DiagnosisBegin(v1::Empty {}),
            Self::DiagnosisEnd { found } => {
                Sent::DiagnosisEnd(texts.found(found).cloned().unwrap_or_default())
            }
        })
    }
}
