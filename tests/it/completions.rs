//! Completions: made from the tables of verbs and flags, read by each shell, and those of bash tried.
//!
//! `UPDATE=1` writes them anew.

use std::process::Command;

use lockkeeper::cli::flags::{FLAGS, LOCK_VERBS, PAUSE_VERBS, VERBS};

use super::support::child::{bare, output, text};
use super::support::completions::{bash, fish, zsh};
use super::support::made::{root, stands};
use super::support::need::need;

const BASH: &str = "packaging/completions/lockkeeper.bash";
const ZSH: &str = "packaging/completions/_lockkeeper";
const FISH: &str = "packaging/completions/lockkeeper.fish";

#[test]
fn the_completions_are_those_that_the_tables_make() {
    stands(BASH, &bash());
    stands(ZSH, &zsh());
    stands(FISH, &fish());
}

/// The shell reads the file and finds no fault.
#[track_caller]
fn is_read_by(shell: &str, path: &str) {
    let mut command = Command::new(shell);
    command.arg("-n").arg(root().join(path));
    let told = output(bare(&mut command));
    assert_eq!(text(&told.stdout) + &text(&told.stderr), "");
    assert!(told.status.success());
}

#[test]
fn bash_reads_its_completions() {
    need!("bash");
    is_read_by("bash", BASH);
}

#[test]
fn zsh_reads_its_completions() {
    need!("zsh");
    is_read_by("zsh", ZSH);
}

#[test]
fn fish_reads_its_completions() {
    need!("fish");
    is_read_by("fish", FISH);
}

/// What bash offers behind these words, of which the last one is being typed.
fn offered(words: &[&str]) -> Vec<String> {
    let script = "source \"$0\" && complete -p lockkeeper >/dev/null || exit
        COMP_WORDS=(lockkeeper \"$@\") COMP_CWORD=$#
        _lockkeeper
        [ ${#COMPREPLY[@]} = 0 ] || printf '%s\\n' \"${COMPREPLY[@]}\"";
    let mut command = Command::new("bash");
    command
        .args(["--norc", "-c", script])
        .arg(root().join(BASH));
    command.args(words).current_dir(root());
    let told = output(bare(&mut command));
    assert_eq!(text(&told.stderr), "");
    assert!(told.status.success());
    text(&told.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn bash_offers_each_verb_and_behind_it_its_flags_and_no_others() {
    need!("bash");
    let verbs: Vec<&str> = VERBS.iter().map(|info| info.name).collect();
    assert_eq!(offered(&[""]), verbs);
    assert_eq!(offered(&["-v", "--config", "x", ""]), verbs);
    for info in VERBS.iter().chain(LOCK_VERBS).chain(PAUSE_VERBS) {
        let mut words: Vec<&str> = info.name.split(' ').collect();
        words.push("--");
        let own = FLAGS.iter().filter(|flag| flag.belongs_to(info.verb));
        let mut own: Vec<String> = own.map(|flag| format!("--{}", flag.long)).collect();
        own.push("--".to_owned());
        assert_eq!(offered(&words), own, "{}", info.name);
    }
}

#[test]
fn bash_offers_second_words_values_of_flags_and_commands_in_their_places() {
    need!("bash");
    assert_eq!(offered(&["lock", "re"]), ["release"]);
    assert_eq!(offered(&["pause", "en"]), ["end"]);
    assert_eq!(offered(&["check", "-c", "Cargo.t"]), ["Cargo.toml"]);
    assert_eq!(offered(&["run", "--dir", "packagin"]), ["packaging"]);
    assert_eq!(offered(&["run", "--dir", "Cargo.t"]), Vec::<String>::new());
    assert_eq!(offered(&["run", "--wait", ""]), Vec::<String>::new());
    assert_eq!(offered(&["lock", "list", "packagin"]), ["packaging"]);
    assert_eq!(
        offered(&["check", "--config", "=", "Cargo.t"]),
        ["Cargo.toml"]
    );
    // A value is no verb, and a command's words are its own.
    assert_eq!(offered(&["--class", "run", "check", "--js"]), ["--json"]);
    assert_eq!(offered(&["run", "--", "ls", "Cargo.t"]), ["Cargo.toml"]);
    assert!(offered(&["run", "--", "bas"]).contains(&"bash".to_owned()));
}

/// What fish offers behind this line.
fn fish_offers(line: &str) -> Vec<String> {
    let mut command = Command::new("fish");
    command.args(["--no-config", "-c", "source $argv[1]; complete -C $argv[2]"]);
    command.arg(root().join(FISH)).arg(line).current_dir(root());
    let told = output(bare(&mut command));
    assert_eq!(text(&told.stderr), "");
    let told = text(&told.stdout);
    let name = |line: &str| line.split('\t').next().unwrap_or_default().to_owned();
    told.lines().map(name).collect()
}

#[test]
fn fish_offers_each_verb_and_behind_it_its_flags_and_no_others() {
    need!("fish");
    let mut verbs: Vec<&str> = VERBS.iter().map(|info| info.name).collect();
    verbs.sort_unstable();
    assert_eq!(fish_offers("lockkeeper "), verbs);
    assert_eq!(fish_offers("lockkeeper lock re"), ["release"]);
    assert_eq!(fish_offers("lockkeeper check -c Cargo.t"), ["Cargo.toml"]);
    assert_eq!(fish_offers("lockkeeper run -- ls Cargo.t"), ["Cargo.toml"]);
    for info in VERBS.iter().chain(LOCK_VERBS).chain(PAUSE_VERBS) {
        let own = FLAGS.iter().filter(|flag| flag.belongs_to(info.verb));
        let mut own: Vec<String> = own.map(|flag| format!("--{}", flag.long)).collect();
        own.sort();
        let line = format!("lockkeeper {} --", info.name);
        assert_eq!(fish_offers(&line), own, "{}", info.name);
    }
}
