//! Wrong use gets help: what is typed badly, mounted badly, or started in a bad place says what was
//! meant, and what to type. Commands in the answers are given to a shell.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use lockkeeper::cli::flags::{FLAGS, LOCK_VERBS, VERBS};
use lockkeeper::config::keys::{Scope, Shape, of};

use crate::support::bin::lockkeeper;
use crate::support::child::{bare, output, text};
use crate::support::dir::Dir;
use crate::support::need::need;
use crate::support::ns::{Ns, children};
use crate::support::pty::Pty;

mod containers;
mod meant;
mod places;

/// One interactive job that says `mine` and nothing else.
pub(crate) const FILE: &str =
    "[jobs.dev]\nclass = \"interactive\"\nstdin = \"null\"\ncommand = [\"echo\", \"mine\"]\n";

/// All that it says, on one line.
pub(crate) fn flat(output: &Output) -> String {
    let said = text(&output.stdout) + &text(&output.stderr);
    let words: Vec<&str> = said.split_whitespace().collect();
    words.join(" ")
}

#[track_caller]
pub(crate) fn has(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "\"{word}\" is not in: {said}");
    }
}

/// The program in `dir`, on a machine whose /etc is empty, after some lines of shell.
pub(crate) fn bare_machine(dir: &Path, lines: &str, command: &[&str]) -> Command {
    let script = format!("mount -t tmpfs none /etc; cd \"$0\"; {lines}\nexec \"$@\"");
    let mut unshare = Command::new("unshare");
    bare(&mut unshare).args(["--mount", "sh", "-ec", &script]);
    unshare.arg(dir).args(command);
    let path = std::env::var("PATH").unwrap_or_default();
    let folder = lockkeeper().parent().unwrap().display();
    unshare.env("PATH", format!("{folder}:{path}"));
    unshare
}

/// The first command between backticks in `said` that begins with `words`.
#[track_caller]
pub(crate) fn offered<'a>(said: &'a str, words: &str) -> &'a str {
    let mut pieces = said.split('`').skip(1).step_by(2);
    let found = pieces.find(|piece| piece.starts_with(words));
    found.unwrap_or_else(|| panic!("no `{words}…` in: {said}"))
}

#[track_caller]
fn suggested(args: &[&str], meant: &str) {
    let mut command = Command::new(lockkeeper());
    let refused = output(bare(&mut command).args(args));
    let said = flat(&refused);
    assert_eq!(refused.status.code(), Some(64), "{args:?}: {said}");
    assert!(
        said.contains(&format!("did you mean \"{meant}\"?")),
        "{args:?}: {said}"
    );
}

/// With its last two letters swapped, or the last one doubled where they are the same.
fn slip(word: &str) -> String {
    let (head, last) = word.split_at(word.len() - 1);
    let (head, before) = head.split_at(head.len() - 1);
    if before == last {
        return format!("{word}{last}");
    }
    format!("{head}{last}{before}")
}

#[test]
fn each_verb_and_each_flag_with_two_letters_swapped_is_understood() {
    for info in VERBS {
        suggested(&[&slip(info.name)], info.name);
    }
    for info in LOCK_VERBS {
        let (_, word) = info.name.split_once(' ').unwrap();
        suggested(&["lock", &slip(word)], word);
    }
    for flag in FLAGS {
        let verbs: Vec<&str> = match flag.verbs.first() {
            Some(verb) => verb.name().split(' ').collect(),
            None => vec!["check"],
        };
        let slip = format!("--{}", slip(flag.long));
        suggested(
            &[&verbs, &[&*slip][..]].concat(),
            &format!("--{}", flag.long),
        );
    }
}

#[test]
fn each_key_with_two_letters_swapped_is_understood() {
    let dir = Dir::new();
    let file = dir.join("jobs.toml");
    for (scope, head) in [
        (Scope::Init, "[init]"),
        (Scope::Lock, "[locks.l]"),
        (Scope::Class, "[classes.batch]"),
        (Scope::Job, "[jobs.dev]"),
    ] {
        for key in of(scope).filter(|key| key.shape != Shape::NotBuilt) {
            let slip = slip(key.name);
            fs::write(&file, format!("{head}\n{slip} = 1\n")).unwrap();
            let mut command = Command::new(lockkeeper());
            let told = output(bare(&mut command).args(["check", "-c"]).arg(&file));
            let said = flat(&told);
            assert_eq!(told.status.code(), Some(78), "{said}");
            let meant = format!("did you mean `{}`?", key.name);
            assert!(said.contains(&meant), "{head} {slip}: {said}");
        }
    }
}

#[test]
fn a_command_in_the_place_of_a_verb_is_given_back_ready_to_be_run() {
    let dir = Dir::new();
    let shown = [
        "printf",
        "%s|",
        "a b",
        "it's $HOME",
        "-x",
        "",
        "`",
        "\u{1b}[1m",
    ];
    let mut command = Command::new(lockkeeper());
    let refused = output(bare(&mut command).args(shown));
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(64), "{said}");
    assert!(!said.contains('\u{1b}'), "{said:?}");
    let ready = said.split_once('`').unwrap().1.rsplit_once('`').unwrap().0;
    let mut shell = Command::new("sh");
    let folder = lockkeeper().parent().unwrap().display().to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    bare(&mut shell).current_dir(&*dir).args(["-c", ready]);
    let done = output(shell.env("PATH", format!("{folder}:{path}")));
    let expected = shown.split_at(2).1.join("|");
    assert_eq!(text(&done.stdout), expected + "|", "{ready}");
    // Also who put the dashes a word too late.
    let mut command = Command::new(lockkeeper());
    let said = flat(&output(bare(&mut command).args(["true", "--", "x"])));
    has(&said, &["`lockkeeper -- true x`"]);
}

#[test]
fn a_command_that_is_not_found_is_told_with_the_path_in_which_it_was_looked_for() {
    let dir = Dir::new();
    let run = |args: &[&str]| {
        let mut command = Command::new(lockkeeper());
        bare(&mut command).env("PATH", "/no/such:/usr/no");
        let failed = output(command.args(args));
        assert_eq!(failed.status.code(), Some(127));
        flat(&failed)
    };
    has(
        &run(&["--", "claude"]),
        &["install it, or correct the name or PATH, which is \"/no/such:/usr/no\""],
    );
    assert!(!run(&["--", "/no/such/claude"]).contains("PATH"));
    let file = dir.join("jobs.toml");
    let of_job = "env = { PATH = \"/of/the/job\" }\n";
    fs::write(&file, FILE.to_owned() + of_job).unwrap();
    let said = run(&["run", "-c", file.to_str().unwrap(), "dev"]);
    has(&said, &["which is \"/of/the/job\""]);
}

#[test]
fn who_pauses_an_end_is_asked_whether_he_means_the_end_of_a_pause() {
    let dir = Dir::new();
    let mut command = Command::new(lockkeeper());
    let said = flat(&output(
        bare(&mut command).current_dir(&*dir).args(["pause", "ned"]),
    ));
    has(&said, &["did you mean `lockkeeper pause end`?"]);
}

#[test]
fn no_arguments_on_a_terminal_say_what_to_type_and_each_of_it_works() {
    need!("root", "unshare");
    let dir = Dir::new();
    let program = lockkeeper().to_str().unwrap();
    let mut command = bare_machine(&dir, "", &[program]);
    let pty = Pty::start(&mut command, Command::spawn);
    let (code, said) = pty.end();
    assert_eq!(code, Some(78), "{said}");
    let said = said.replace('\r', "");
    for line in said.lines() {
        assert!(line.len() < 120, "{line}");
    }
    has(
        &said,
        &["nothing to run", "/etc/lockkeeper.toml does not exist"],
    );
    has(&said, &["lockkeeper -- COMMAND"]);
    for (words, code) in [("lockkeeper check", 0), ("lockkeeper --help", 0)] {
        let command = offered(&said, words);
        let done = output(&mut bare_machine(&dir, "", &["sh", "-c", command]));
        assert_eq!(done.status.code(), Some(code), "{command}");
    }
    // And in the end a file that can be read.
    let save = offered(&said, "lockkeeper check --toml");
    let both = format!("{save} && lockkeeper check --json");
    let done = output(&mut bare_machine(&dir, "", &["sh", "-c", &both]));
    has(&text(&done.stdout), &["can be read: jobs dev (batch)"]);
}

#[test]
fn a_pid_1_without_arguments_says_where_it_looked() {
    need!("root", "unshare");
    let mut inside = Ns::root()
        .shell("mount -t tmpfs none /etc; exec 2>&1")
        .start(lockkeeper(), &[]);
    let first = inside.process.line().unwrap();
    has(
        &first,
        &["neither -c nor $LOCKKEEPER_CONFIG", "/etc/lockkeeper.toml"],
    );
    assert_eq!(inside.process.wait().code(), Some(78));
}

#[test]
fn an_init_that_is_not_pid_1_does_its_work_and_says_so() {
    need!("root", "unshare");
    let dir = Dir::new();
    fs::write(dir.join("lockkeeper.toml"), FILE).unwrap();
    let run = ["lockkeeper", "-v", "-c", "lockkeeper.toml"];
    let done = output(&mut bare_machine(&dir, "mount -t tmpfs none /run", &run));
    assert_eq!(done.status.code(), Some(0));
    assert_eq!(text(&done.stdout), "mine\n");
    has(&flat(&done), &["init is at work as a subreaper, 1 job"]);
}

#[test]
fn below_a_shell_as_pid_1_it_is_told_what_that_costs() {
    need!("root", "unshare");
    let dir = Dir::new();
    let file = dir.join("lockkeeper.toml");
    let read = FILE.replace("\"null\"", "\"inherit\"");
    let read = read.replace(
        "\"echo\", \"mine\"",
        "\"sh\", \"-c\", \"echo begun; read x; exit 0\"",
    );
    fs::write(&file, read).unwrap();
    // Not the shell's last command: that one it would become.
    let script = "exec 2>&1; \"$0\" -c \"$1\"; exit $?";
    let (program, file) = (lockkeeper().to_str().unwrap(), file.to_str().unwrap());
    let sh = fs::canonicalize("/bin/sh").unwrap();
    let args = ["-c", script, program, file];
    let mut inside = Ns::root()
        .shell("mount -t tmpfs none /run")
        .start(&sh, &args);
    let mut said = String::new();
    while let Some(line) = inside.process.line().filter(|line| line != "begun") {
        said += &line;
    }
    has(
        &said,
        &[
            "lockkeeper is not PID 1, but ",
            "ENTRYPOINT [\"/usr/bin/lockkeeper\"]",
        ],
    );
    assert_eq!(children(inside.pid1()).len(), 1);
    let check = output(inside.enter(program).args(["check", "-c", file]));
    has(&flat(&check), &["warning: PID 1 is ", "passes no stop on"]);
    assert_eq!(inside.process.wait().code(), Some(0));

    // A shell of a person's own is none.
    let inside = Ns::root().start(&sh, &[]);
    let check = output(inside.enter(program).args(["check", "-c", file]));
    assert!(!flat(&check).contains("PID 1"), "{}", flat(&check));
}

#[test]
fn a_link_that_leads_nowhere_is_no_missing_file() {
    need!("root", "unshare");
    let dir = Dir::new();
    symlink("/no/such", dir.join("link")).unwrap();
    let lines = "cp -P link /etc/lockkeeper.toml";
    let said = flat(&output(&mut bare_machine(&dir, lines, &["lockkeeper"])));
    has(&said, &["cannot open the configuration: no such file"]);
}
