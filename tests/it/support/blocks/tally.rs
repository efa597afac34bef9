//! What became of each block of a page, counted and named.

use std::fmt::Write as _;
use std::fs;

use super::read::{Act, Block};
use crate::support::bin;

/// The count of a page; told when it is [`Tally::tell`]ed, also into target/blocks, as a test
/// runner hides what a passing test says. tests/run.sh shows it at the end.
pub(crate) struct Tally {
    page: String,
    run: usize,
    files: usize,
    not_run: usize,
    shown: usize,
    named: Vec<String>,
}

impl Tally {
    pub(crate) fn new(page: &str) -> Self {
        Self {
            page: page.to_owned(),
            run: 0,
            files: 0,
            not_run: 0,
            shown: 0,
            named: Vec::new(),
        }
    }

    pub(crate) fn count(&mut self, block: &Block) {
        let Block { line, lang, .. } = block;
        match &block.act {
            Act::Script | Act::Console => self.run += 1,
            Act::File(_) => self.files += 1,
            Act::NotRun(reason) => {
                self.not_run += 1;
                self.named
                    .push(format!("line {line}, {lang}: not run: {reason}"));
            }
            Act::Shown => {
                self.shown += 1;
                let first = block.text.lines().next().unwrap_or_default();
                self.named
                    .push(format!("line {line}, {lang}: shown only: {first}"));
            }
        }
    }

    /// What else a reader of the count must know: what stands in for something.
    pub(crate) fn note(&mut self, text: &str) {
        self.named.push(text.to_owned());
    }

    pub(crate) fn text(&self) -> String {
        let Self { page, run, .. } = self;
        let blocks = if *run == 1 { "block" } else { "blocks" };
        let files = if self.files == 1 { "file" } else { "files" };
        let mut text = format!(
            "{page}: {run} {blocks} run, {} {files}, {} not run, {} shown only\n",
            self.files, self.not_run, self.shown
        );
        for line in &self.named {
            writeln!(text, "    {line}").unwrap();
        }
        text
    }

    pub(crate) fn tell(&self) {
        let text = self.text();
        eprint!("{text}");
        let folder = bin::target().join("blocks");
        fs::create_dir_all(&folder).expect("room in target");
        let name = format!("{}.txt", self.page.replace('/', "-"));
        fs::write(folder.join(name), text).expect("room in target");
    }
}
