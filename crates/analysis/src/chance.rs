//! Chance that is the same each time, for tests and for what is drawn: the same recording has the same figures.

/// Numbers that look random and are the same each time (SplitMix64 by Steele, Lea and Flood).
#[derive(Debug)]
pub struct Chance(pub u64);

impl Chance {
    /// One from 0 to below 1.
    #[expect(
        clippy::should_implement_trait,
        reason = "it never ends, and is no iterator"
    )]
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One from `low` to below `high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.next()
    }

    /// A whole one from `low` to `high`, both included.
    pub fn whole(&mut self, low: usize, high: usize) -> usize {
        (self.between(low as f64, high as f64 + 1.0) as usize).min(high)
    }

    /// About normal: twelve uniform ones.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() - 6.0
    }

    /// A place among so many, of which there is one at least.
    pub fn place(&mut self, among: usize) -> usize {
        ((self.next() * among as f64) as usize).min(among - 1)
    }

    /// From a generalised Pareto distribution with mean 1 and a shape between 0 and 1.
    pub fn long(&mut self, shape: f64) -> f64 {
        let scale = 1.0 - shape;
        scale / shape * ((1.0 - self.next()).powf(-shape) - 1.0)
    }
}
