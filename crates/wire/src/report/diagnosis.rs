use serde::{Deserialize, Serialize};

/// Why memory stayed, where the job was recorded with `--diagnose`: what test files left, taken apart at their ends. The figures of a diagnosed
/// job differ from those of others: garbage is collected and the allocator told to give back at the end of each file.
///
/// `garbage_bytes + allocator_bytes + live_bytes + tracing_bytes + rest_bytes = retained_bytes`, to the byte. A part is negative where a file used
/// what was kept free, or let go of what others had left.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Diagnosis {
    /// It in a plain sentence.
    pub sentence: String,
    /// What to do about each part that matters, the largest first.
    pub advice: Vec<Advice>,
    /// Visits that were taken apart: of a file those whose end was looked at alone, of the job also several at once.
    pub visits: u64,
    /// From the begin of these visits to the diagnoses after them; bytes: `end_bytes` minus `start_bytes`. What fixtures took that files share is in here, unlike in what a file retained.
    #[serde(alias = "retained_bytes")]
    pub stayed_bytes: i64,
    /// RSS at the begin of the first visit that each diagnosis looks back at; summed over diagnoses, as all that follows.
    #[serde(default)]
    pub start_bytes: i64,
    /// RSS where the diagnosis began.
    #[serde(default)]
    pub end_bytes: i64,
    /// RSS after the C library had given back what it could.
    #[serde(default)]
    pub trimmed_bytes: i64,
    /// RSS after garbage had been collected and the C library had given back once more.
    #[serde(default)]
    pub collected_bytes: i64,
    /// Growth of what is free in the C library's heap and cannot be given back, since a live block lies on the same page, up to the collection.
    #[serde(default)]
    pub pinned_bytes: i64,
    /// Growth of what is free in pymalloc and in the C library's heap by the collection.
    #[serde(default)]
    pub freed_bytes: i64,
    /// The part of `stayed_bytes` that fixtures took that are set up where the diagnosis begins: a file that asks for a session's fixture first sets it up, and has not to answer for it.
    #[serde(default)]
    pub fixture_bytes: i64,
    /// Garbage that nobody had collected yet, such as cycles.
    pub garbage_bytes: i64,
    /// Freed, but kept by the allocators: the C library's and pymalloc.
    pub allocator_bytes: i64,
    /// The part of `allocator_bytes` that pymalloc keeps; the heap of the C library the other.
    pub pymalloc_bytes: i64,
    /// Python objects that live.
    pub live_bytes: i64,
    /// What tracemalloc took itself, under `--diagnose=tracemalloc`.
    pub tracing_bytes: i64,
    /// The rest: native memory. What the C library's heap keeps is in here where there is no `malloc_trim`, as on macOS and with musl, and what other threads' heaps pin.
    pub rest_bytes: i64,
    /// What pytest itself keeps; part of `live_bytes`.
    pub pytest: PytestKeeps,
    /// Growth of `sys.getallocatedblocks()`.
    pub live_blocks: i64,
    /// Objects that were garbage.
    pub collected: u64,
    /// Types that took most of the garbage.
    pub garbage: Vec<Grown>,
    /// Types of live objects that grew most.
    pub types: Vec<Grown>,
    /// Lines that allocated most of what the files left, garbage too, under `--diagnose=tracemalloc`.
    pub lines: Vec<Grown>,
    /// Whether the C library could be told to give back what it keeps.
    pub trim: bool,
    /// The CPU time that the diagnoses took.
    pub cost_us: u64,
}

impl Diagnosis {
    /// Whether tracemalloc traced the job, so that its tests were larger than those of other diagnosed ones.
    #[must_use]
    pub const fn is_traced(&self) -> bool {
        self.tracing_bytes != 0
    }
}

/// What pytest keeps to the end of a session, by growth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PytestKeeps {
    /// What tests printed and logged, bytes.
    pub captured_bytes: i64,
    /// The rest of their reports, bytes.
    pub reports_bytes: i64,
    /// Coverage's data, bytes.
    pub coverage_bytes: i64,
}

/// A type of objects or a line of the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Grown {
    /// The type with its module, or `file:line`.
    pub name: String,
    /// By so many objects or blocks.
    pub count: i64,
    /// By so many bytes.
    pub bytes: i64,
}

/// What to do about a part of what stayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Advice {
    /// Why that part stayed.
    pub why: Why,
    /// Its size.
    pub bytes: i64,
    /// What to do.
    pub sentence: String,
}

/// Why memory stayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Garbage that nobody had collected.
    Garbage,
    /// The heap of the C library keeps it.
    Heap,
    /// pymalloc keeps it.
    Pymalloc,
    /// Python objects live.
    Live,
    /// pytest itself keeps it.
    Pytest,
    /// The rest.
    Rest,
}

impl Why {
    /// The word that every form uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Garbage => "garbage",
            Self::Heap => "heap",
            Self::Pymalloc => "pymalloc",
            Self::Live => "live",
            Self::Pytest => "pytest",
            Self::Rest => "rest",
        }
    }
}
