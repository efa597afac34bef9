//! From a page to its blocks.

use std::fs;
use std::path::Path;

use crate::support::made;

/// One block of a page.
#[derive(Debug)]
pub(crate) struct Block {
    /// The line of its fence; its text begins at the next.
    pub(crate) line: usize,
    pub(crate) lang: String,
    pub(crate) text: String,
    /// The place of the scene that it belongs to; none: the scene's own.
    pub(crate) place: Option<String>,
    /// Whether a time stands for any time, the name of a run for any.
    pub(crate) varies: bool,
    pub(crate) act: Act,
}

/// What becomes of a block.
#[derive(Debug, PartialEq)]
pub(crate) enum Act {
    Script,
    Console,
    File(String),
    NotRun(String),
    Shown,
}

/// The blocks of a page of this repository, in their order.
#[track_caller]
pub(crate) fn read(page: &str) -> Vec<Block> {
    let path = made::root().join(page);
    let text = fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    parse(Path::new(page), &text)
}

/// Panics at what nobody could have meant: a fence without an end, a comment that steers nothing.
#[track_caller]
pub(crate) fn parse(page: &Path, text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut said: Vec<&str> = Vec::new();
    let mut lines = text.lines().zip(1..);
    while let Some((raw, line)) = lines.next() {
        let at = format!("{}:{line}", page.display());
        if let Some(comment) = steering(raw) {
            said.push(comment);
            continue;
        }
        let Some((indent, marks, lang)) = fence(raw) else {
            if let Some(comment) = said.first() {
                panic!("{at}: `test: {comment}` steers no block");
            }
            continue;
        };
        let mut body = String::new();
        loop {
            let (raw, _) = lines
                .next()
                .unwrap_or_else(|| panic!("{at}: this block has no end"));
            if raw.trim() == marks {
                break;
            }
            // A block within a list is as far to the right as its fence.
            let blank = raw.len() - raw.trim_start_matches(' ').len();
            body += &raw[blank.min(indent)..];
            body.push('\n');
        }
        let said = std::mem::take(&mut said);
        blocks.push(steered(&at, line, lang, body, &said));
    }
    assert!(
        said.is_empty(),
        "{}: {said:?} steers no block",
        page.display()
    );
    blocks
}

/// What a comment for us says.
fn steering(line: &str) -> Option<&str> {
    let inner = line.trim().strip_prefix("<!--")?.strip_suffix("-->")?;
    inner.trim().strip_prefix("test:").map(str::trim)
}

/// How far a fence is indented, what ends its block, and the language.
fn fence(line: &str) -> Option<(usize, &str, &str)> {
    let inner = line.trim_start_matches(' ');
    let name = inner.trim_start_matches('`');
    let (marks, indent) = (inner.len() - name.len(), line.len() - inner.len());
    let lang = name.split_whitespace().next().unwrap_or_default();
    // Three marks and more within a line of text are no fence.
    (marks >= 3 && !name.contains('`')).then(|| (indent, &inner[..marks], lang))
}

#[track_caller]
fn steered(at: &str, line: usize, lang: &str, text: String, said: &[&str]) -> Block {
    let mut block = Block {
        line,
        lang: lang.to_owned(),
        text,
        place: None,
        varies: false,
        act: match lang {
            "sh" => Act::Script,
            "console" => Act::Console,
            _ => Act::Shown,
        },
    };
    for comment in said {
        if let Some(name) = comment.strip_prefix("in ") {
            block.place = Some(name.to_owned());
        } else if let Some(path) = comment.strip_prefix("file ") {
            block.act = Act::File(path.to_owned());
        } else if let Some(reason) = comment.strip_prefix("not run: ") {
            block.act = Act::NotRun(reason.to_owned());
        } else if *comment == "times and ids vary" {
            block.varies = true;
        } else {
            panic!("{at}: nobody knows what `test: {comment}` is");
        }
    }
    block
}
