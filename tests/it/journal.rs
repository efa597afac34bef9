//! The journal: what is told to the real journald, and what becomes of it where journald does not
//! take it. None of it may be waited for.

use std::fmt::Write as _;
use std::path::PathBuf;

use lockkeeper::core::note::Note;

use crate::support::dir::Dir;

mod away;
mod kinds;
mod logs;
mod stalled;
mod startover;

/// A file of these notes, JSON a line, as the puppet's `notes` takes it.
fn file_of(dir: &Dir, notes: &[Note]) -> PathBuf {
    let mut text = String::new();
    for note in notes {
        let note = serde_json::to_string(note).expect("a note is JSON");
        writeln!(text, "{note}").expect("a text grows");
    }
    let path = dir.join("notes");
    std::fs::write(&path, text).expect("room for a file");
    path
}

/// So many notes, each of its own.
fn many(count: usize) -> Vec<Note> {
    (1..=count)
        .map(|pid| Note::Started {
            pid: i32::try_from(pid).expect("a small number"),
        })
        .collect()
}
