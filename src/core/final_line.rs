//! Finds the final line in a stream of bytes that arrives in pieces, without keeping the line: an
//! agent's result can be megabytes long.

use super::bytes;
use crate::config::plan::FinalLine;

mod fields;

pub use fields::AgentResult;
use fields::Picker;

/// What a complete line was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Whether the line contained the text for a failure too.
    pub failed: bool,
    /// What else it says, where it is an agent's.
    pub result: AgentResult,
}

/// The state of the search within one line.
#[derive(Clone, Debug)]
pub struct Scanner {
    line: Search,
    failed: Option<Search>,
    fields: Picker,
}

impl Scanner {
    /// A search at the start of a line.
    pub fn new(plan: &FinalLine) -> Self {
        Self {
            line: Search::new(plan.line.as_bytes()),
            failed: plan
                .failed
                .as_ref()
                .map(|text| Search::new(text.as_bytes())),
            fields: Picker::default(),
        }
    }

    /// Takes the next piece; says what the last final line in it was, if one was completed.
    pub fn feed(&mut self, piece: &[u8]) -> Option<Found> {
        let mut found = None;
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.line.feed(part);
            self.fields.feed(part);
            if let Some(failed) = &mut self.failed {
                failed.feed(part);
            }
            if part.ends_with(b"\n") {
                found = self.end_of_line().or(found);
            }
        }
        found
    }

    /// The line ends here, also where the stream ends without a newline.
    pub fn end_of_line(&mut self) -> Option<Found> {
        let failed = self.failed.as_mut().is_some_and(Search::take);
        let result = self.fields.take();
        self.line.take().then_some(Found { failed, result })
    }
}

/// Whether one text stands in the current line; keeps as many bytes as could begin it.
#[derive(Clone, Debug)]
pub(super) struct Search {
    text: Vec<u8>,
    tail: Vec<u8>,
    found: bool,
}

impl Search {
    pub(super) fn new(text: &[u8]) -> Self {
        Self {
            text: text.to_vec(),
            tail: Vec::new(),
            found: false,
        }
    }

    pub(super) fn feed(&mut self, part: &[u8]) {
        if self.found {
            return;
        }
        let keep = self.text.len().saturating_sub(1);
        // The seam between the last piece and this one, then this one alone.
        self.tail
            .extend_from_slice(part.get(..keep.min(part.len())).unwrap_or_default());
        self.found = contains(&self.tail, &self.text) || contains(part, &self.text);
        if part.len() >= keep {
            self.tail.clear();
            self.tail
                .extend_from_slice(part.get(part.len() - keep..).unwrap_or_default());
        } else {
            let surplus = self.tail.len().saturating_sub(keep);
            self.tail.drain(..surplus);
        }
    }

    pub(super) fn take(&mut self) -> bool {
        self.tail.clear();
        std::mem::take(&mut self.found)
    }
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    let Some(&first) = wanted.first() else {
        return false;
    };
    let is_here = |at| text.get(at..).is_some_and(|here| here.starts_with(wanted));
    bytes::find_where(text, first, first, is_here).is_some()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn found(failed: bool) -> Found {
        Found {
            failed,
            result: AgentResult::default(),
        }
    }

    fn plan() -> FinalLine {
        FinalLine {
            line: "abcab".into(),
            grace: Duration::ZERO,
            failed: Some("xx".into()),
        }
    }

    #[test]
    fn a_line_counts_when_it_is_complete() {
        let mut scanner = Scanner::new(&plan());
        assert_eq!(scanner.feed(b"abcab"), None);
        assert_eq!(scanner.feed(b" x"), None);
        assert_eq!(scanner.feed(b"x\nnext"), Some(found(true)));
        assert_eq!(scanner.feed(b"\n"), None);
    }

    #[test]
    fn a_text_for_failure_on_another_line_does_not_count() {
        let mut scanner = Scanner::new(&plan());
        assert_eq!(scanner.feed(b"xx\nabcab\nxx\n"), Some(found(false)));
    }

    proptest! {
        #[test]
        fn where_the_pieces_are_cut_makes_no_difference(
            text in "[abcx\n]{0,60}",
            cuts in prop::collection::vec(0_usize..60, 0..6),
        ) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut scanner = Scanner::new(&plan());
            let mut all = Vec::new();
            for pair in cuts.windows(2) {
                all.extend(scanner.feed(&bytes[pair[0]..pair[1]]));
            }
            let complete = text.rfind('\n').map_or("", |end| &text[..end]);
            let expected = complete
                .split('\n')
                .rfind(|line| line.contains("abcab"))
                .map(|line| found(line.contains("xx")));
            prop_assert_eq!(all.last().cloned(), expected);
        }
    }
}
