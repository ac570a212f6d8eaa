//! Placeholders of colours: what a thing is, not how it looks.

use plotters::style::RGBColor;

pub(crate) const INK: RGBColor = RGBColor(0x11, 0x11, 0x11);
pub(crate) const FAINT: RGBColor = RGBColor(0x99, 0x99, 0x99);
pub(crate) const GRID: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);
pub(crate) const TREE: RGBColor = RGBColor(0x10, 0x20, 0x30);
pub(crate) const BAND: RGBColor = RGBColor(0x20, 0x30, 0x40);
pub(crate) const LIMIT: RGBColor = RGBColor(0xc0, 0x10, 0x10);
pub(crate) const PEAK: RGBColor = RGBColor(0xd0, 0x70, 0x10);
pub(crate) const BLOCK: RGBColor = RGBColor(0x30, 0x60, 0x90);
pub(crate) const BLOCK_OTHER: RGBColor = RGBColor(0x60, 0x90, 0xc0);
pub(crate) const BLOCK_FAILED: RGBColor = RGBColor(0xb0, 0x40, 0x40);
pub(crate) const LABEL: RGBColor = RGBColor(0xfe, 0xfe, 0xfe);
/// Lines of processes; told apart by dashes and labels as well.
pub(crate) const PROCESS: [RGBColor; 4] = [
    RGBColor(0x01, 0x71, 0xb1),
    RGBColor(0x02, 0x92, 0x62),
    RGBColor(0x93, 0x53, 0x03),
    RGBColor(0x84, 0x34, 0x84),
];

/// How many there are.
#[cfg(test)]
pub(crate) const ROLES: usize = 11 + PROCESS.len();
