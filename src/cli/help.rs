//! `--help`, printed from the table of flags and the table of exit codes.

use std::fmt::Write as _;

use super::flags::{FLAGS, Flag, LOCK_VERBS, VERBS, Verb, VerbInfo};
use crate::exit;

/// The help of one verb, or of the whole program.
pub fn help(verb: Option<Verb>) -> String {
    let mut text = String::new();
    match verb.and_then(Verb::info) {
        Some(info) => of_verb(&mut text, info),
        None => of_program(&mut text),
    }
    section(&mut text, "Exit codes:");
    for (code, meaning) in exit::TABLE {
        row(&mut text, 6, code, meaning);
    }
    text
}

/// `lockkeeper 0.1.0`, with a line feed.
pub const fn version() -> &'static str {
    concat!("lockkeeper ", env!("CARGO_PKG_VERSION"), "\n")
}

fn of_program(text: &mut String) {
    text.push_str(
        "lockkeeper: a tiny init for agent containers. Batch jobs take turns on a shared\n\
         lock, interactive ones pass, and nobody is left behind.\n",
    );
    section(text, "Usage:");
    for info in VERBS {
        synopsis(text, info);
    }
    section(text, "Verbs:");
    for info in VERBS {
        row(text, 8, info.name, info.doc);
    }
    options(text, "Options:", |_| true);
}

fn of_verb(text: &mut String, info: &VerbInfo) {
    let _ = writeln!(text, "lockkeeper {}: {}", info.name, info.doc);
    section(text, "Usage:");
    synopsis(text, info);
    if info.verb == Verb::Lock {
        section(text, "Verbs:");
        for info in LOCK_VERBS {
            row(text, 12, info.name, info.doc);
        }
        options(text, "Everywhere:", |flag| flag.verbs.is_empty());
        return;
    }
    options(text, "Options:", |flag| {
        !flag.verbs.is_empty() && flag.belongs_to(info.verb)
    });
    options(text, "Everywhere:", |flag| flag.verbs.is_empty());
    if FLAGS
        .iter()
        .any(|flag| flag.value == Some("TIME") && flag.belongs_to(info.verb))
    {
        section(
            text,
            "A TIME is 90, 90s, 10m, 2h or 1h 30m; a bare number is seconds.",
        );
    }
}

fn synopsis(text: &mut String, info: &VerbInfo) {
    for line in info.synopsis {
        let _ = writeln!(text, "  lockkeeper {line}");
    }
}

fn options(text: &mut String, title: &str, which: impl Fn(&Flag) -> bool) {
    section(text, title);
    for flag in FLAGS.iter().filter(|&flag| which(flag)) {
        let short = flag
            .short
            .map_or_else(|| "    ".into(), |short| format!("-{short}, "));
        let value = flag
            .value
            .map_or_else(String::new, |value| format!(" {value}"));
        let name = format!("{short}--{}{value}", flag.long);
        row(text, 23, &name, flag.doc);
    }
}

// Writing to a string does not fail.
fn section(text: &mut String, title: &str) {
    let _ = writeln!(text, "\n{title}");
}

fn row(text: &mut String, width: usize, name: &str, doc: &str) {
    let _ = writeln!(text, "  {name:width$}  {doc}");
}

#[cfg(test)]
mod tests {
    use super::super::flags::PAUSE_VERBS;
    use super::*;

    fn every_help() -> Vec<String> {
        let verbs = VERBS.iter().chain(LOCK_VERBS).chain(PAUSE_VERBS);
        let verbs = verbs.map(|info| help(Some(info.verb)));
        verbs.chain([help(None)]).collect()
    }

    #[test]
    fn every_help_ends_with_the_table_of_exit_codes() {
        for text in every_help() {
            let (_, codes) = text.split_once("Exit codes:\n").unwrap();
            let lines: Vec<_> = codes.lines().collect();
            assert_eq!(lines.len(), exit::TABLE.len());
            for (line, (code, meaning)) in lines.iter().zip(exit::TABLE) {
                assert!(line.trim_start().starts_with(code), "{line}");
                assert!(line.ends_with(meaning), "{line}");
            }
        }
    }

    #[test]
    fn the_help_of_the_program_names_every_verb_and_every_flag() {
        let text = help(None);
        for info in VERBS {
            assert!(
                text.contains(&format!("\n  {:8}  ", info.name)),
                "{}",
                info.name
            );
        }
        for flag in FLAGS {
            assert!(text.contains(&format!("--{}", flag.long)), "{}", flag.long);
        }
    }

    #[test]
    fn the_help_of_a_verb_names_its_flags_and_those_of_everywhere_alone() {
        let text = help(Some(Verb::Check));
        assert!(text.contains("--json") && text.contains("--config") && text.contains("--report"));
        assert!(!text.contains("--lock ") && !text.contains("--dir "));
    }

    #[test]
    fn help_fits_a_terminal_of_eighty_columns() {
        for line in every_help().iter().flat_map(|text| text.lines()) {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
