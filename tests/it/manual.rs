//! The manual pages: made from the program's tables, and without a fault to mandoc.
//!
//! `UPDATE=1` writes them anew; look at them before they are committed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use lockkeeper::cli::flags::{FLAGS, LOCK_VERBS, PAUSE_VERBS, VERBS};
use lockkeeper::config::keys::{KEYS, Shape};
use lockkeeper::config::{Surroundings, parse};
use lockkeeper::exit;

use super::support::child::{bare, output, text};
use super::support::made::{root, stands};
use super::support::manual::{EXAMPLE, file, program};
use super::support::need::need;

const PROGRAM: &str = "packaging/man/lockkeeper.1";
const FILE: &str = "packaging/man/lockkeeper.toml.5";

/// What a person reads, with all blanks as one and no bold face.
fn shown(path: &str, width: usize) -> String {
    let mut command = Command::new("mandoc");
    let width = format!("width={width}");
    command
        .args(["-T", "ascii", "-O", &width])
        .arg(root().join(path));
    let told = output(bare(&mut command));
    assert!(told.status.success(), "{}", text(&told.stderr));
    let mut plain: Vec<u8> = Vec::new();
    for byte in told.stdout {
        // A terminal of its time prints a letter twice in one place for bold.
        if byte == 8 {
            plain.pop();
        } else {
            plain.push(byte);
        }
    }
    text(&plain)
}

/// In small letters, each blank as one.
fn small(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").to_ascii_lowercase()
}

#[test]
fn the_manual_pages_are_those_that_the_tables_make() {
    stands(PROGRAM, &program());
    stands(FILE, &file());
}

#[test]
fn mandoc_finds_no_fault_in_the_manual_pages() {
    need!("mandoc");
    for path in [PROGRAM, FILE] {
        let mut command = Command::new("mandoc");
        command
            .args(["-T", "lint", "-W", "warning"])
            .arg(root().join(path));
        let told = output(bare(&mut command));
        assert_eq!(text(&told.stdout) + &text(&told.stderr), "", "{path}");
        assert!(told.status.success(), "{path}");
    }
}

#[test]
fn the_manual_pages_show_every_verb_flag_exit_code_and_key_with_its_words() {
    need!("mandoc");
    let mut missing = String::new();
    let page = small(&shown(PROGRAM, 900));
    let mut wants = |page: &str, text: &str| {
        let text = small(&text.replace('`', "").replace('…', "..."));
        if !page.contains(&text) {
            writeln!(missing, "{text}").unwrap();
        }
    };
    for info in VERBS.iter().chain(LOCK_VERBS).chain(PAUSE_VERBS) {
        wants(&page, &format!("{} {}.", info.name, info.doc));
    }
    for line in VERBS.iter().flat_map(|info| info.synopsis) {
        wants(&page, &format!("lockkeeper {line}"));
    }
    for flag in FLAGS {
        let value = flag
            .value
            .map_or(String::new(), |value| format!(" {value}"));
        let whole = match flag.doc.strip_prefix("else ") {
            Some(_) => "the configuration; ",
            None => "",
        };
        wants(
            &page,
            &format!("--{}{value} {whole}{}.", flag.long, flag.doc),
        );
    }
    for (code, meaning) in exit::TABLE {
        wants(&page, &format!("{code} {meaning}"));
    }
    let page = small(&shown(FILE, 900));
    for key in KEYS.iter().filter(|key| key.shape != Shape::NotBuilt) {
        wants(&page, &format!("{} {}. value: ", key.name, key.doc));
        wants(&page, &format!("{}.", key.default));
    }
    assert!(missing.is_empty(), "{missing}");
}

#[test]
fn the_manual_fits_a_terminal_of_eighty_columns() {
    need!("mandoc");
    for path in [PROGRAM, FILE] {
        for line in shown(path, 78).lines() {
            assert!(line.len() <= 80, "{path}: {line}");
        }
    }
}

/// The names in all quotes of the sources that begin so.
fn variables(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            variables(&path, found);
            continue;
        }
        let code = fs::read_to_string(&path).unwrap();
        for rest in code.split("\"LOCKKEEPER_").skip(1) {
            let name = rest.split('"').next().unwrap_or_default();
            let is_name = |c: char| c.is_ascii_uppercase() || c == '_';
            if name.chars().all(is_name) && !name.starts_with("TEST_") {
                found.insert(format!("LOCKKEEPER_{name}"));
            }
        }
    }
}

#[test]
fn the_manual_names_every_variable_of_the_environment_that_the_program_reads_or_sets() {
    let mut names = BTreeSet::new();
    variables(&root().join("src"), &mut names);
    assert!(names.len() >= 7, "{names:?}");
    let page = program();
    for name in names {
        assert!(page.contains(&format!("Ev {name}")), "{name}");
    }
}

#[test]
fn the_example_of_the_manual_is_a_file_without_error_or_warning() {
    let around = Surroundings {
        env: &|name| (name == "ANTHROPIC_API_KEY").then(|| "key".into()),
        host_name: "host".to_owned(),
    };
    let loaded = parse("example", EXAMPLE.as_bytes(), &around);
    let loaded = loaded.map_err(|problems| format!("{problems}")).unwrap();
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert!(warnings.is_empty(), "{warnings:?}");
}
