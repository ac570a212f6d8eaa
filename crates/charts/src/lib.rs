//! Plain data in, SVG out.
//!
//! Colours are placeholders, one for each role, given as presentation attributes; the style sheet gives each its colour in
//! light and dark. Nothing here is styled inline, so a strict content policy holds.

mod history;
mod theme;
mod ticks;
mod timeline;

pub use history::{HistoryBar, history};
pub use ticks::{bytes_label, time_label};
pub use timeline::{Band, Block, BlockKind, Lane, Limit, Line, Outlook, Timeline, timeline};

#[cfg(test)]
mod tests;
