//! A stream as whole lines: what is complete is handed on in one go, however many lines it is, and the
//! beginning of the next line waits for its end.
//!
//! A line of more than [`LONGEST`] bytes is handed on in pieces, none of which ends within a character
//! of UTF-8.

use crate::core::bytes;

/// The longest line; journald's own limit for what it reads as a stream (`LineMax`, journald.conf(5)).
pub(super) const LONGEST: usize = 48 * 1024;

/// The beginning of a line that has no end yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// Takes a piece and hands on what is complete by now: whole lines, or pieces of a long one.
    pub(super) fn feed<E>(
        &mut self,
        piece: &[u8],
        mut hand_on: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let end = bytes::rfind(piece, b'\n').map_or(0, |last| last + 1);
        let (mut whole, begun) = piece.split_at(end);
        if !self.rest.is_empty() && !whole.is_empty() {
            // Only the line that began earlier is copied.
            let first = bytes::find(whole, b'\n', b'\n').map_or(end, |first| first + 1);
            let (line, others) = whole.split_at(first);
            self.rest.extend_from_slice(line);
            hand_on(&self.rest)?;
            self.rest.clear();
            whole = others;
        }
        if !whole.is_empty() {
            hand_on(whole)?;
        }
        self.rest.extend_from_slice(begun);
        while self.rest.len() > LONGEST {
            let (first, _) = cut(&self.rest);
            hand_on(first)?;
            let length = first.len();
            self.rest.drain(..length);
        }
        Ok(())
    }

    /// What has no end, at the end of the stream.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.rest)
    }
}

/// A line's first piece, and the rest of it.
pub(super) fn cut(line: &[u8]) -> (&[u8], &[u8]) {
    if line.len() <= LONGEST {
        return (line, &[]);
    }
    // A byte that goes on a character is 10xxxxxx; a character has three of them at most.
    let begins = |at: &usize| line.get(*at).is_none_or(|byte| byte & 0xc0 != 0x80);
    let end = (LONGEST - 3..=LONGEST).rev().find(begins);
    line.split_at(end.unwrap_or(LONGEST))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn fed(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Vec<u8>) {
        let mut lines = Lines::default();
        let mut all = Vec::new();
        for piece in pieces {
            let Ok(()) = lines.feed(piece, |whole| {
                all.push(whole.to_vec());
                Ok::<(), Infallible>(())
            });
        }
        (all, lines.take())
    }

    #[test]
    fn a_line_waits_for_its_end() {
        let (all, rest) = fed(&[b"a", b"b\nc\nd", b"", b"e\n", b"f"]);
        assert_eq!(
            all,
            ["ab\n", "c\n", "de\n"].map(|line| line.as_bytes().to_vec())
        );
        assert_eq!(rest, b"f");
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let line = "ab".to_owned() + &"\u{20ac}".repeat(40_000);
        let (all, rest) = fed(&[line.as_bytes()]);
        assert_eq!(all.len(), 2);
        for piece in all.iter().chain([&rest]) {
            assert!(piece.len() <= LONGEST && std::str::from_utf8(piece).is_ok());
        }
        assert_eq!([all.concat(), rest].concat(), line.as_bytes());
    }

    #[test]
    fn what_is_no_text_is_cut_all_the_same() {
        let line = vec![0x80; LONGEST * 2 + 1];
        let (all, rest) = fed(&[&line]);
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [LONGEST; 2]);
        assert_eq!(rest.len(), 1);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_every_piece_but_the_last_ends_a_line(
            pieces in prop::collection::vec(prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'a')], 0..9), 0..9),
        ) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let (all, rest) = fed(&pieces);
            prop_assert!(all.iter().all(|whole| whole.ends_with(b"\n")));
            prop_assert!(!rest.contains(&b'\n'));
            prop_assert_eq!([all.concat(), rest].concat(), pieces.concat());
        }
    }
}
