//! What was predicted of each shard, and what it took.

const MIB: f64 = 1_048_576.0;
/// A shard of one process is to come this close to its prediction.
const CLOSE: f64 = 0.1;

/// A shard that ran.
pub(super) struct Shard {
    pub(super) suite: &'static str,
    pub(super) workers: u32,
    pub(super) name: String,
    pub(super) files: usize,
    pub(super) base_bytes: i64,
    pub(super) budget_bytes: u64,
    pub(super) predicted_bytes: u64,
    pub(super) measured_bytes: u64,
    /// The prediction says how high it may come at most.
    pub(super) is_bound: bool,
}

impl Shard {
    pub(super) fn is_inside(&self) -> bool {
        self.measured_bytes <= self.budget_bytes
    }

    fn ratio(&self) -> f64 {
        self.measured_bytes as f64 / self.predicted_bytes.max(1) as f64
    }

    fn is_close(&self) -> bool {
        match self.is_bound {
            true => self.ratio() <= 1.0,
            false => (self.ratio() - 1.0).abs() <= CLOSE,
        }
    }
}

pub(super) fn print(shards: &[Shard]) {
    println!(
        "suite      workers  shard  files       base     budget    predicted   measured  ratio"
    );
    for shard in shards {
        let mib = |bytes: u64| bytes as f64 / MIB;
        println!(
            "{:<10} {:>7} {:>6} {:>6} {:>10.1} {:>10.1} {}{:>10.1} {:>10.1} {:>6.3}{}",
            shard.suite,
            shard.workers,
            shard.name,
            shard.files,
            shard.base_bytes as f64 / MIB,
            mib(shard.budget_bytes),
            if shard.is_bound { "≤ " } else { "  " },
            mib(shard.predicted_bytes),
            mib(shard.measured_bytes),
            shard.ratio(),
            if shard.is_inside() {
                ""
            } else {
                "  over the budget"
            },
        );
    }
    let inside = shards.iter().filter(|shard| shard.is_inside()).count();
    let close = shards.iter().filter(|shard| shard.is_close()).count();
    println!(
        "MiB; each test ran in one shard. Inside the budget: {inside} of {all}. Within 10 % of the prediction, or below it where that is a bound: {close} of {all}",
        all = shards.len()
    );
}
