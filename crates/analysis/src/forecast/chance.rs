//! Numbers that look random and are the same each time, so that the same recording has the same forecast (SplitMix64: Steele, Lea and Flood 2014).

#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Default for Chance {
    fn default() -> Self {
        Self(0x5eed)
    }
}

impl Chance {
    #[cfg(test)]
    pub(super) fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// From 0 to below 1.
    pub(super) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A place among so many, of which there is one at least.
    pub(super) fn place(&mut self, among: usize) -> usize {
        ((self.next() * among as f64) as usize).min(among - 1)
    }

    /// From a generalised Pareto distribution with mean 1 and a shape between 0 and 1.
    pub(super) fn long(&mut self, shape: f64) -> f64 {
        let scale = 1.0 - shape;
        scale / shape * ((1.0 - self.next()).powf(-shape) - 1.0)
    }

    /// About normal: twelve uniform ones.
    pub(super) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() - 6.0
    }
}
