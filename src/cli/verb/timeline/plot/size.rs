//! How large the parts of the picture are, and where they lie.

use crate::core::timeline::{Ms, Timeline};

/// Tenths of a pixel.
pub(in super::super) type Len = i64;

/// The width of the picture.
pub(in super::super) const WIDTH: Len = 10_000;
pub(super) const MARGIN: Len = 160;
pub(super) const NAMES: Len = 1800;
/// The plot, from and to.
pub(in super::super) const LEFT: Len = 2040;
pub(in super::super) const RIGHT: Len = 7960;
pub(super) const SUMS: Len = 1760;
/// The first row.
pub(super) const TOP: Len = 960;
/// A row's height beside its lanes', and a lane's.
pub(super) const ROW: Len = 80;
pub(super) const LANE: Len = 360;
/// From the top of a lane to its bars, and their height.
pub(super) const ABOVE: Len = 210;
pub(in super::super) const BAR: Len = 120;
/// The least width of a bar.
pub(super) const THIN: Len = 12;
/// The width of a mark, and between things.
pub(in super::super) const MARK: Len = 90;
pub(super) const GAP: Len = 40;
/// How many lanes a row has, and how many rows there are.
pub(super) const LANES: usize = 6;
pub(super) const ROWS: usize = 200;

/// Where a moment is.
pub(super) fn place(timeline: &Timeline, at: Ms) -> Len {
    let (from, to) = (timeline.from, timeline.to);
    let width = (RIGHT - LEFT).unsigned_abs();
    let x = at.clamp(from, to).saturating_sub(from) * width / (to - from);
    LEFT + Len::try_from(x).unwrap_or(0)
}
