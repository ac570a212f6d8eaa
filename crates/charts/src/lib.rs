//! Plain data in, SVG out.
