//! From a recording to its figures.
