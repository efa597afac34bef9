//! Completions: made from the tables of verbs and flags, read by each shell, and those of bash tried.
//!
//! `UPDATE=1` writes them anew.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use lockkeeper::cli::flags::{FLAGS, LOCK_VERBS, PAUSE_VERBS, VERBS};
use nix::sys::signal::Signal::{SIGCONT, SIGSTOP, SIGTERM};

use super::support::bin::lockkeeper;
use super::support::child::{Tied, bare, output, signal, start, text};
use super::support::completions::{bash, fish, zsh};
use super::support::dir::Dir;
use super::support::made::{root, stands};
use super::support::need::need;
use super::support::wait::until;
use super::wrong_use::FILE;

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
    bash_offers(Path::new("no-such-program"), None, words)
}

/// The same of this program, with this file in use.
fn bash_offers(program: &Path, file: Option<&Path>, words: &[&str]) -> Vec<String> {
    let script = "source \"$0\" && complete -p lockkeeper >/dev/null || exit
        COMP_WORDS=(\"$@\") COMP_CWORD=$(($# - 1))
        _lockkeeper
        [ ${#COMPREPLY[@]} = 0 ] || printf '%s\\n' \"${COMPREPLY[@]}\"";
    let mut command = Command::new("bash");
    command
        .args(["--norc", "-c", script])
        .arg(root().join(BASH));
    command.arg(program).args(words).current_dir(root());
    let file = file.map(|file| ("LOCKKEEPER_CONFIG", file));
    let told = output(bare(&mut command).envs(file));
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

/// An init at a socket of its own, whose job is not that of the file in use.
struct Running {
    dir: Dir,
    init: Tied,
}

impl Running {
    fn new() -> Self {
        let dir = Dir::new();
        fs::write(dir.join("other.toml"), FILE).unwrap();
        let file = dir.join("init.toml");
        let live = FILE.replace("jobs.dev", "jobs.live");
        fs::write(
            &file,
            format!("{live}start = \"manual\"\n[init]\nstay = true\n"),
        )
        .unwrap();
        let mut command = Command::new(lockkeeper());
        bare(&mut command).args(["init", "-c"]).arg(file);
        command.arg("--socket").arg(dir.join("socket"));
        let init = start(command.env("XDG_RUNTIME_DIR", &*dir));
        let this = Self { dir, init };
        until("it listens", || UnixStream::connect(this.socket()).is_ok());
        this
    }

    fn socket(&self) -> String {
        self.dir.join("socket").display().to_string()
    }

    fn file(&self) -> PathBuf {
        self.dir.join("other.toml")
    }

    /// What `lockkeeper status --names` says.
    fn names(&self) -> String {
        let mut command = Command::new(lockkeeper());
        bare(&mut command).args(["status", "--names", "--socket", &self.socket()]);
        let told = output(command.env("LOCKKEEPER_CONFIG", self.file()));
        assert_eq!(
            (told.status.code(), text(&told.stderr)),
            (Some(0), String::new())
        );
        text(&told.stdout)
    }

    fn shows(&self, job: &str) -> bool {
        let mut command = Command::new(lockkeeper());
        bare(&mut command).args(["status", "--json", "--socket", &self.socket()]);
        let told = output(&mut command);
        text(&told.stdout).contains(&format!("\"job\":\"{job}\""))
    }

    fn end(mut self) {
        signal(self.init.pid(), SIGTERM);
        assert_eq!(self.init.wait().code(), Some(0));
    }
}

#[test]
fn the_names_of_a_running_init_are_its_own_and_where_it_hangs_or_is_gone_those_of_the_file() {
    let running = Running::new();
    assert_eq!(running.names(), "jobs.live\n");
    // A run by hand, which init shows and does not have.
    let mut command = Command::new(lockkeeper());
    let words = [
        "run",
        "--timeout",
        "1h",
        "--",
        "sh",
        "-c",
        "echo begun; read x",
    ];
    let by_hand = bare(&mut command).args(words);
    let mut by_hand = start(by_hand.env("XDG_RUNTIME_DIR", &*running.dir));
    assert_eq!(by_hand.line().as_deref(), Some("begun"));
    until("init has seen it", || running.shows("sh"));
    assert_eq!(running.names(), "jobs.live\n");
    assert_eq!(by_hand.wait().code(), Some(1));
    let of_file = "classes.batch\nclasses.interactive\njobs.dev\n";
    signal(running.init.pid(), SIGSTOP);
    assert_eq!(running.names(), of_file);
    signal(running.init.pid(), SIGCONT);
    let socket = running.dir.join("socket");
    fs::rename(&socket, running.dir.join("moved")).unwrap();
    assert_eq!(running.names(), of_file);
    fs::rename(running.dir.join("moved"), socket).unwrap();
    running.end();
}

#[test]
fn a_shell_offers_the_jobs_of_the_running_init_to_those_verbs_that_ask_it() {
    need!("bash", "fish");
    let running = Running::new();
    let (file, socket) = (running.file(), running.socket());
    let program = lockkeeper();
    for (verb, job) in [
        ("start", "live"),
        ("stop", "live"),
        ("restart", "live"),
        ("health", "live"),
    ] {
        let words = [verb, "--socket", &socket, ""];
        let offered = bash_offers(program, Some(&file), &words);
        assert_eq!(offered, [job], "{verb}");
        for socket in [format!("--socket {socket}"), format!("--socket={socket}")] {
            let line = format!("{} {verb} {socket} ", program.display());
            assert_eq!(fish_offers_of(Some(&file), &line), [job], "{line}");
        }
    }
    for verb in ["run", "logs", "timeline"] {
        assert_eq!(
            bash_offers(program, Some(&file), &[verb, ""]),
            ["dev"],
            "{verb}"
        );
        let line = format!("{} {verb} ", program.display());
        assert_eq!(fish_offers_of(Some(&file), &line), ["dev"], "{verb}");
    }
    let words = ["stop", "--socket", "/no/such", ""];
    assert_eq!(bash_offers(program, Some(&file), &words), ["dev"]);
    running.end();
}

/// What fish offers behind this line.
fn fish_offers(line: &str) -> Vec<String> {
    fish_offers_of(None, line)
}

/// The same with this file in use.
fn fish_offers_of(file: Option<&Path>, line: &str) -> Vec<String> {
    let mut command = Command::new("fish");
    command.args(["--no-config", "-c", "source $argv[1]; complete -C $argv[2]"]);
    command.arg(root().join(FISH)).arg(line).current_dir(root());
    let file = file.map(|file| ("LOCKKEEPER_CONFIG", file));
    let told = output(bare(&mut command).envs(file));
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
