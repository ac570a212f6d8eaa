"""The suites that can be written: each case turns options into files, path to text."""

from . import monolith, small

CASES = {
    "monolith": monolith.monolith,
    "exact": small.exact,
    "kinds": small.kinds,
    "spikes": small.spikes,
    "reuse": small.reuse,
    "plateaus": small.plateaus,
    "outcomes": small.outcomes,
}
