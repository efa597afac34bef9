//! A line of text, and what it covers: estimated, as who shows the picture chooses the font.

#[cfg(test)]
use super::super::label::columns;
use super::size::Len;

/// What a column of text takes, in hundredths of the size of its font. Of the fonts that are asked for none
/// takes more than 62.
const ADVANCE: Len = 64;
/// How far signs reach above and below the line, likewise.
#[cfg(test)]
const ASCENT: Len = 116;
#[cfg(test)]
const DESCENT: Len = 30;

/// The sizes of fonts.
pub(in super::super) const TITLE: Len = 150;
pub(in super::super) const NAME: Len = 120;
pub(in super::super) const SMALL: Len = 110;

/// In what ink a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Ink {
    /// What is to be read.
    Full,
    /// What is to be found.
    Mute,
    /// What somebody must look at.
    Bad,
}

/// Which end of a text stands at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A line of text.
#[derive(Clone, Debug)]
pub(in super::super) struct Text {
    pub(in super::super) x: Len,
    /// The line that it stands on.
    pub(in super::super) y: Len,
    pub(in super::super) size: Len,
    pub(in super::super) anchor: Anchor,
    pub(in super::super) ink: Ink,
    /// In front of it, and mute.
    pub(in super::super) lead: String,
    pub(in super::super) words: String,
}

/// Left, top, right, bottom.
#[cfg(test)]
pub(in super::super) type Area = [Len; 4];

#[cfg(test)]
impl Text {
    fn width(&self) -> Len {
        wide(columns(&self.lead) + columns(&self.words), self.size)
    }

    /// What it may cover.
    pub(in super::super) fn area(&self) -> Area {
        let width = self.width();
        let left = match self.anchor {
            Anchor::Start => self.x,
            Anchor::Middle => self.x - width / 2,
            Anchor::End => self.x - width,
        };
        let (up, down) = (self.size * ASCENT / 100, self.size * DESCENT / 100);
        [left, self.y - up, left + width, self.y + down]
    }
}

pub(super) fn wide(columns: usize, size: Len) -> Len {
    Len::try_from(columns).unwrap_or(Len::MAX / size / ADVANCE) * size * ADVANCE / 100
}

/// How many columns fit.
pub(super) fn fit(width: Len, size: Len) -> usize {
    usize::try_from(width * 100 / (size * ADVANCE)).unwrap_or(0)
}
