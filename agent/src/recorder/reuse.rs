//! Parts of batches that were written, kept for the next: what is recorded second by second takes no memory anew.

use highwater_wire::v1::{Batch, Metric, Samples, Series};

/// A list keeps room for so many parts; what a busy second needed beyond is given back.
const MOST_KEPT: usize = 1 << 14;
/// And so many rows of ticks of a kind.
const MOST_SAMPLES: usize = 64;

/// Emptied batches and what they were made of.
#[derive(Debug, Default)]
pub(super) struct Reuse {
    batch: Option<Batch>,
    pub(super) grids: Shelf,
    pub(super) seconds: Shelf,
    pub(super) slow: Shelf,
    pub(super) rest: Shelf,
}

/// Parts of one kind, which are alike in size.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    samples: Vec<Samples>,
    series: Vec<Series>,
}

impl Reuse {
    /// An empty batch.
    pub(super) fn batch(&mut self) -> Batch {
        self.batch.take().unwrap_or_default()
    }

    /// Takes a batch apart that nobody needs any more.
    pub(super) fn put_back(&mut self, mut batch: Batch) {
        // Backwards, so that the next batch finds each part where the last had it.
        for samples in batch.samples.drain(..).rev() {
            let metric = samples.series.first().map(Series::metric);
            let shelf = match metric {
                Some(Metric::Rss | Metric::Anon) => &mut self.grids,
                Some(Metric::Pss | Metric::Swap) => &mut self.slow,
                Some(Metric::MachineOthers | Metric::OtherRss) => &mut self.rest,
                _ => &mut self.seconds,
            };
            shelf.put_back(samples);
        }
        batch.processes.clear();
        batch.sessions.clear();
        batch.marks.clear();
        batch.marks.shrink_to(MOST_KEPT);
        batch.notices.clear();
        batch.events.clear();
        self.batch = Some(batch);
    }
}

impl Shelf {
    /// Samples without ticks or series.
    pub(super) fn samples(&mut self) -> Samples {
        self.samples.pop().unwrap_or_default()
    }

    /// A series of a metric without values.
    pub(super) fn series(&mut self, metric: Metric) -> Series {
        let mut series = self.series.pop().unwrap_or_default();
        series.metric = metric.into();
        series
    }

    fn put_back(&mut self, mut samples: Samples) {
        for mut series in samples.series.drain(..).rev() {
            if self.series.len() >= MOST_KEPT {
                continue;
            }
            series.process = None;
            series.cgroup.clear();
            series.first = 0;
            series.value_delta.clear();
            self.series.push(series);
        }
        samples.t_us_delta.clear();
        samples.lateness_us.clear();
        if self.samples.len() < MOST_SAMPLES {
            self.samples.push(samples);
        }
    }
}
