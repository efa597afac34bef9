//! `lockkeeper timeline`: what it makes of the notes that were written down, of those of real runs, and
//! what a browser makes of its picture.
//!
//! `UPDATE=1` writes the golden files anew, among them `packaging/timeline.svg`, which the README shows.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use lockkeeper::core::text::is_command;

use crate::support::bin;
use crate::support::child::{bare, output, read, text};
use crate::support::dir::Dir;
use crate::support::pty::Pty;

mod picture;
mod real;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn command(words: &[&str]) -> Command {
    let mut command = Command::new(bin::lockkeeper());
    bare(&mut command)
        .arg("timeline")
        .args(words)
        .current_dir(root());
    command
}

/// What it prints of what was written down.
fn told(words: &[&str]) -> String {
    let output = output(&mut command(words));
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn drawn(log: &str) -> String {
    told(&["--from", log, "--svg", "-"])
}

/// Its code, and what it complains of.
fn refused(words: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = output(&mut command(words));
    (status.code(), text(&stderr))
}

#[track_caller]
fn is_golden(path: &str, got: &str) {
    let path = root().join(path);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, got).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        got == expected,
        "{}: UPDATE=1 writes it anew\n{got}",
        path.display()
    );
}

#[test]
fn text_and_pictures_are_those_that_were_looked_at() {
    for (log, name) in [
        ("packaging/timeline.jsonl", "packaging/timeline.svg"),
        (
            "tests/golden/timeline/hostile.jsonl",
            "tests/golden/timeline/hostile.svg",
        ),
    ] {
        is_golden(name, &drawn(log));
    }
    let log = "packaging/timeline.jsonl";
    for (name, more) in [
        ("day", &[][..]),
        ("job", &["agents-1/dev"]),
        ("lock", &["--lock", "/home/agent/.claude/session.lock"]),
        (
            "edges",
            &[
                "--since",
                "2026-03-02T06:38:00Z",
                "--until",
                "2026-03-02T07:00:00Z",
            ],
        ),
    ] {
        let told = told(&[&["--from", log], more].concat());
        is_golden(&format!("tests/golden/timeline/{name}.txt"), &told);
    }
    let hostile = told(&["--from", "tests/golden/timeline/hostile.jsonl"]);
    is_golden("tests/golden/timeline/hostile.txt", &hostile);
    is_golden(
        "tests/golden/timeline/day.json",
        &told(&["--from", log, "--json"]),
    );
}

#[test]
fn the_picture_is_one_file_without_scripts_or_anything_from_elsewhere() {
    for log in [
        "packaging/timeline.jsonl",
        "tests/golden/timeline/hostile.jsonl",
    ] {
        let picture = drawn(log).replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
        for word in [
            "<script",
            "href",
            "url(",
            "http",
            "@import",
            "@font-face",
            "onload",
        ] {
            assert!(!picture.contains(word), "{log}: {word}");
        }
        assert!(picture.contains("prefers-color-scheme:dark"));
    }
}

#[test]
fn nothing_that_was_printed_steers_a_terminal_and_colours_are_for_one_that_wants_them() {
    let dir = Dir::new();
    let log = dir.join("log");
    let hostile = fs::read_to_string("tests/golden/timeline/hostile.jsonl").unwrap();
    // And what turns the text round.
    fs::write(&log, hostile.replace("\\u001b", "\\u202e\\u001b")).unwrap();
    let words = ["--from", log.to_str().unwrap()];
    for more in [&[][..], &["--json"], &["--svg", "-"]] {
        let told = told(&[&words, more].concat());
        let obeyed = |sign: char| is_command(sign) && sign != '\n';
        assert!(!told.contains(obeyed), "{told:?}");
    }
    let on_terminal = |name: &str, value: &str| {
        let mut command = command(&["--from", "packaging/timeline.jsonl"]);
        command.env(name, value);
        Pty::start(&mut command, Command::spawn).end().1
    };
    assert!(on_terminal("TERM", "xterm").contains("\u{1b}[34m"));
    assert!(!on_terminal("NO_COLOR", "1").contains('\u{1b}'));
    assert!(!on_terminal("TERM", "dumb").contains('\u{1b}'));
}

#[test]
fn a_log_comes_by_a_pipe_and_with_what_an_engine_puts_in_front_of_each_line() {
    let log = fs::read_to_string(root().join("packaging/timeline.jsonl")).unwrap();
    let dir = Dir::new();
    let mut prefixed = String::from("what a job has printed\n");
    for line in log.lines() {
        let before = "2026-03-02T06:30:00.000000000Z stderr F";
        writeln!(prefixed, "{before} {line}\n{{\"a\":1}}").unwrap();
    }
    let file = dir.join("log");
    fs::write(&file, prefixed).unwrap();
    let script = "exec \"$0\" timeline --from - < \"$1\"";
    let mut command = Command::new("sh");
    bare(&mut command)
        .args(["-c", script])
        .arg(bin::lockkeeper())
        .arg(&file);
    assert_eq!(
        read(&mut command),
        told(&["--from", "packaging/timeline.jsonl"]).trim()
    );
}

#[test]
fn a_log_in_words_is_no_source_and_the_refusal_says_how_to_get_one() {
    let dir = Dir::new();
    let file = dir.join("log");
    let path = file.to_str().unwrap();
    fs::write(&file, "lockkeeper: job dev: started (pid 7)\n").unwrap();
    let (code, told) = refused(&["--from", path]);
    assert_eq!(code, Some(125), "{told}");
    assert!(
        told.contains("which say no time") && told.contains("LOCKKEEPER_LOG=json"),
        "{told}"
    );
    fs::write(&file, "something else\n").unwrap();
    let (code, told) = refused(&["--from", path]);
    assert_eq!(code, Some(125), "{told}");
    assert!(told.contains("no note of lockkeeper"), "{told}");
    let (code, told) = refused(&["--from", "/nowhere/log"]);
    assert_eq!(code, Some(125), "{told}");
    assert!(
        told.contains("reading the log \"/nowhere/log\": no such file"),
        "{told}"
    );
    let (code, told) = refused(&["--from", path, "--since", "yesterday"]);
    assert_eq!(code, Some(64), "{told}");
    let log = ["--from", "packaging/timeline.jsonl"];
    let (code, told) = refused(&[&log[..], &["--svg", "/nowhere/picture"]].concat());
    assert_eq!(code, Some(125), "{told}");
    assert!(
        told.contains("writing the picture to \"/nowhere/picture\""),
        "{told}"
    );
    // Of what is not there, nothing is known, and that is no failure.
    assert_eq!(
        super::timeline::told(&[&log[..], &["nobody"]].concat())
            .lines()
            .last(),
        Some("no run is on record")
    );
}
