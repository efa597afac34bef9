//! All blocks of a page, one after the other, in a scene.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::process::{Command, Stdio};

use super::console::{self, Exchange, Said};
use super::read::{Act, Block, read};
use super::tally::Tally;
use crate::support::child::{text, tie};
use crate::support::dir::Dir;

/// Where the blocks of a page run. `place` is what `<!-- test: in NAME -->` says, else none; a name
/// that the scene does not know is its panic.
pub(crate) trait Scene {
    /// Runs `sh -c SCRIPT`, with nothing on its standard input; what it said, standard output and
    /// error together, and its exit status.
    fn run(&mut self, place: Option<&str>, script: &str) -> Said;

    /// Writes a file, whose path is as the page has it.
    fn file(&mut self, place: Option<&str>, path: &str, text: &str);
}

/// Runs a command of a scene to its end. What it leaves in the background runs on, and is heard no
/// more: so it writes to a file, as a pipe would stay open.
pub(crate) fn hear(command: &mut Command) -> Said {
    let folder = Dir::new();
    let path = folder.join("heard");
    let out = File::create(&path).expect("room for what it says");
    command.stderr(out.try_clone().expect("a descriptor"));
    let tied = tie(command.stdin(Stdio::null()).stdout(out));
    let status = tied
        .status()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let bytes = fs::read(&path).expect("what it has said");
    Said {
        text: text(&bytes),
        status: status.code(),
    }
}

/// Runs all blocks of `page` in their order and tells the count, with the `notes` below it.
///
/// # Panics
/// With all differences at once, when the last block has run: each with the line of the page.
#[track_caller]
pub(crate) fn walk(page: &str, scene: &mut dyn Scene, notes: &[&str]) {
    let mut tally = Tally::new(page);
    let mut wrong = String::new();
    for block in read(page) {
        tally.count(&block);
        if let Err(error) = step(page, &block, scene) {
            wrong += &error;
        }
    }
    for note in notes {
        tally.note(note);
    }
    tally.tell();
    assert!(wrong.is_empty(), "{page} is not as it says:\n{wrong}");
}

/// One block; the error is what a person reads.
pub(crate) fn step(page: &str, block: &Block, scene: &mut dyn Scene) -> Result<(), String> {
    let place = block.place.as_deref();
    match &block.act {
        Act::Script => {
            let Said { text, status } = scene.run(place, &format!("set -eu; {}", block.text));
            if status == Some(0) {
                return Ok(());
            }
            let at = block.line + 1;
            Err(format!(
                "{page}:{at}: the block ended with {}, having said:\n{}",
                code(status),
                indented(&text)
            ))
        }
        Act::Console => {
            let at = |line| format!("{page}:{}", block.line + 1 + line);
            let mut exchanges =
                console::console(&block.text).map_err(|error| format!("{}: {error}\n", at(0)))?;
            let said = scene.run(place, &console::session(&exchanges));
            let mut heard = console::heard(&said.text);
            if block.varies {
                for exchange in &mut exchanges {
                    let expected = console::varying(&exchange.expected.join("\n"));
                    exchange.expected = expected.lines().map(str::to_owned).collect();
                }
                for said in &mut heard {
                    said.text = console::varying(&said.text);
                }
            }
            judge(&exchanges, &heard, said.status, at)
        }
        Act::File(path) => {
            scene.file(place, path, &block.text);
            Ok(())
        }
        Act::NotRun(_) | Act::Shown => Ok(()),
    }
}

fn judge(
    exchanges: &[Exchange],
    heard: &[Said],
    ended: Option<i32>,
    at: impl Fn(usize) -> String,
) -> Result<(), String> {
    let mut wrong = String::new();
    for (number, exchange) in exchanges.iter().enumerate() {
        let line = exchange.line;
        let command = exchange.command.replace('\n', "\n> ");
        let Some(Said { text, status }) = heard.get(number) else {
            writeln!(wrong, "{}: `{command}` was not reached", at(line)).unwrap();
            continue;
        };
        // Where the text of the block has the line that differs: behind the command's own lines.
        let first = line + exchange.command.lines().count();
        if let Err(difference) = console::matches(&exchange.expected, text) {
            let there = at(first + difference.expected);
            write!(
                wrong,
                "{there}: `{command}` says something else:\n{difference}"
            )
            .unwrap();
        }
        let next = exchanges.get(number + 1);
        let promised = next.is_some_and(|next| next.command.trim() == "echo $?");
        let how = match status {
            Some(0) => continue,
            Some(_) if promised => continue,
            Some(code) => format!("with {code}; where that is meant, `$ echo $?` follows"),
            None => format!("the shell, with {}", code(ended)),
        };
        writeln!(wrong, "{}: `{command}` ended {how}", at(line)).unwrap();
    }
    let late = heard.get(exchanges.len()).map_or("", |said| &said.text);
    if !late.is_empty() {
        let text = indented(late);
        writeln!(wrong, "{}: said behind the last command:\n{text}", at(0)).unwrap();
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn code(status: Option<i32>) -> String {
    status.map_or("a signal".to_owned(), |code| code.to_string())
}

fn indented(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    format!("    {}\n", lines.join("\n    "))
}
