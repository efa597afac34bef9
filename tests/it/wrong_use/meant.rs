//! A command where a job, a verb or an option is expected, and the other way round: what was meant is
//! given back as a command, and that command is run here.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use super::{FILE, bare_machine, flat, has, offered};
use crate::support::bin::lockkeeper;
use crate::support::child::{bare, output, text};
use crate::support::dir::Dir;
use crate::support::need::need;

/// A folder with a program `claude`, which says what it was given, and a file with the job `dev`.
fn yard() -> Dir {
    let dir = Dir::new();
    let claude = dir.join("claude");
    fs::write(&claude, "#!/bin/sh\nprintf '%s|' claude \"$@\"\n").unwrap();
    fs::set_permissions(&claude, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(dir.join("jobs.toml"), FILE).unwrap();
    dir
}

/// A line of shell in that folder, which is in PATH, too.
fn line(dir: &Path, line: &str) -> Output {
    let folder = lockkeeper().parent().unwrap().display();
    let path = format!("{}:{folder}:/usr/bin:/bin", dir.display());
    let mut shell = Command::new("sh");
    bare(&mut shell).args(["-c", line]).current_dir(dir);
    output(shell.env("PATH", path))
}

/// What was typed is refused, and the command that is offered says this when it is run.
#[track_caller]
fn meant(typed: &str, says: &str) {
    let dir = yard();
    let refused = line(&dir, typed);
    let said = flat(&refused);
    assert!(
        matches!(refused.status.code(), Some(64 | 78)),
        "{typed}: {said}"
    );
    let done = line(&dir, offered(&said, "lockkeeper "));
    assert_eq!(text(&done.stdout), says, "{typed}: {said}");
    assert_eq!(done.status.code(), Some(0), "{typed}: {said}");
}

#[test]
fn a_command_in_the_place_of_a_job_is_given_back_ready_to_be_run() {
    meant("lockkeeper run claude -p 'a b'", "claude|-p|a b|");
    meant("lockkeeper run -c jobs.toml claude -p x", "claude|-p|x|");
    meant("lockkeeper run claude x --lock l", "claude|x|--lock|l|");
    meant("lockkeeper run claude -- -p x", "claude|-p|x|");
    meant("lockkeeper run claude --json", "claude|--json|");
    meant("lockkeeper run claude --lock l -p x", "claude|-p|x|");
    meant("lockkeeper run claude --timeout 5m", "claude|");
    meant("lockkeeper --lock l -- claude x", "claude|x|");
    meant("lockkeeper --lock l claude x", "claude|x|");
    meant("lockkeeper init claude -p x", "claude|-p|x|");
    meant("lockkeeper --class batch claude -p x", "claude|-p|x|");
}

#[test]
fn a_program_that_is_no_job_is_found_in_path_and_given_back_ready_to_be_run() {
    need!("root", "unshare");
    meant("lockkeeper run -c jobs.toml claude", "claude|");
    meant("lockkeeper run -c jobs.toml 'claude -p x'", "claude|-p|x|");
    meant("lockkeeper run -c jobs.toml ./claude", "claude|");
    let dir = yard();
    let said = flat(&line(&dir, "lockkeeper run -c jobs.toml codex"));
    has(
        &said,
        &["no job in \"jobs.toml\" is named \"codex\": there are \"dev\""],
    );
    assert!(!said.contains('`'), "{said}");
    // Also where there is no file at all.
    let path = format!("PATH={}:$PATH", dir.display());
    let missing = ["lockkeeper", "run", "claude"];
    let said = flat(&output(&mut bare_machine(
        &dir,
        &format!("export {path}"),
        &missing,
    )));
    has(
        &said,
        &["/etc/lockkeeper.toml does not exist", "`lockkeeper check`"],
    );
    let done = line(&dir, offered(&said, "lockkeeper run"));
    assert_eq!(text(&done.stdout), "claude|");
    // And where it lies elsewhere.
    let lines = "mv jobs.toml lockkeeper.toml; mount -t tmpfs none /run";
    let said = flat(&output(&mut bare_machine(
        &dir,
        lines,
        &["lockkeeper", "run", "dev"],
    )));
    let done = line(&dir, offered(&said, "lockkeeper run -c"));
    assert_eq!(text(&done.stdout), "mine\n", "{said}");
}

#[test]
fn a_job_with_a_slip_in_its_name_is_understood() {
    let dir = yard();
    let said = flat(&line(&dir, "lockkeeper run -c jobs.toml dve"));
    has(&said, &["there are \"dev\"; did you mean \"dev\"?"]);
    fs::write(dir.join("jobs.toml"), "[init]\nstay = true\n").unwrap();
    let said = flat(&line(&dir, "lockkeeper run -c jobs.toml dev"));
    has(&said, &["is named \"dev\": there are none"]);
}

#[test]
fn a_file_that_a_variable_names_and_that_is_missing_is_told_also_to_a_command_with_a_class() {
    let dir = yard();
    let typed = "LOCKKEEPER_CONFIG=missing.toml lockkeeper run --class batch -- claude";
    let done = line(&dir, typed);
    assert_eq!(done.status.code(), Some(78));
    has(&flat(&done), &["missing.toml", "no such file"]);
}

#[test]
fn a_file_that_is_named_without_its_option_is_given_back_with_it() {
    meant("lockkeeper jobs.toml", "mine\n");
    meant("lockkeeper init jobs.toml", "mine\n");
    let dir = yard();
    let said = flat(&line(&dir, "lockkeeper check jobs.toml"));
    let done = line(&dir, offered(&said, "lockkeeper check"));
    has(&flat(&done), &["can be read: jobs dev (interactive)"]);
    let said = flat(&line(&dir, "lockkeeper -c jobs.toml dev"));
    let done = line(&dir, offered(&said, "lockkeeper run"));
    assert_eq!(text(&done.stdout), "mine\n", "{said}");
}

#[test]
fn a_command_that_cannot_be_one_says_why() {
    let dir = yard();
    for (typed, code, told) in [
        ("lockkeeper -- ''", 127, "is it a variable that is not set?"),
        (
            "lockkeeper run --lock l ''",
            127,
            "is it a variable that is not set?",
        ),
        ("lockkeeper -- 'claude -p x'", 127, "write the words apart"),
        (
            "lockkeeper -- --lock l claude",
            127,
            "options of lockkeeper stand before --",
        ),
    ] {
        let done = line(&dir, typed);
        assert_eq!(done.status.code(), Some(code), "{typed}");
        has(&flat(&done), &[told]);
    }
}

#[test]
fn an_empty_variable_names_no_file() {
    need!("root", "unshare");
    let dir = yard();
    let run = |words: &[&str]| {
        let lines = "cp jobs.toml /etc/lockkeeper.toml; mount -t tmpfs none /run";
        let mut machine = bare_machine(&dir, lines, words);
        output(machine.env("LOCKKEEPER_CONFIG", ""))
    };
    for words in [&["lockkeeper"][..], &["lockkeeper", "run", "dev"]] {
        assert_eq!(text(&run(words).stdout), "mine\n");
    }
    has(
        &flat(&run(&["lockkeeper", "check"])),
        &["can be read: jobs dev"],
    );
}
