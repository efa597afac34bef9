//! What the policy may not name. Clippy's disallowed methods forbid the clocks of std everywhere;
//! this forbids, here, also our own clock and all else that knows the world outside.

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms of the crate, and modules of std, that no file of the policy may use.
const FOREIGN: [&str; 15] = [
    "crate::cli",
    "crate::init",
    "crate::journal",
    "crate::lock",
    "crate::run",
    "crate::sys",
    "nix::",
    "libc::",
    "std::env",
    "std::fs",
    "std::io",
    "std::process",
    "std::thread",
    "Instant",
    "SystemTime",
];

#[test]
fn the_policy_names_no_clock_no_process_and_no_other_room_but_the_plan() {
    let mut files = Vec::new();
    collect(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src/core"),
        &mut files,
    );
    assert!(files.len() > 8, "{files:?}");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        // The bytes of a path are no world outside.
        for line in code.map(|line| line.replace("std::os::unix::ffi", "")) {
            let foreign = FOREIGN.iter().find(|name| line.contains(**name));
            assert_eq!(foreign, None, "{}: {line}", file.display());
            let allowed = [
                "crate::core",
                "crate::config::plan",
                "crate::config::names",
                "crate::config::nearest",
                "crate::exit",
            ];
            for used in line.match_indices("crate::").map(|(at, _)| &line[at..]) {
                let known = allowed.iter().any(|room| used.starts_with(room));
                assert!(known, "{}: {line}", file.display());
            }
        }
    }
}

/// The files of the policy but its tests, which read files and roll dice.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_stem().is_some_and(|stem| stem == "tests") {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
