//! `signals`: what init takes a signal for, and what a command is sent in a signal's place.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::support::bin;
use super::support::child::{Tied, bare};
use super::support::dir::Dir;
use super::support::inherited::{Inherited, send};
use super::support::need::need;
use super::support::ns::own_run;

use libc::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGWINCH};

const HEARS: &str = "block TERM,INT,HUP,USR1,USR2,WINCH,QUIT,CONT,40,64 , out ready , signals";

/// A file with a job `dev` that does `script`, and `[init]` and the job with these lines.
fn file(dir: &Dir, init: &str, job: &str, script: &str) -> PathBuf {
    let puppet = bin::puppet().display().to_string();
    let command: Vec<&str> = [puppet.as_str()]
        .into_iter()
        .chain(script.split(' '))
        .collect();
    let text = format!(
        "[init]\n{init}\n[classes.keyed]\nkind = \"batch\"\nidentity = \"env:KEY\"\n\
         signals = {{ WINCH = \"drop\", INT = \"QUIT\" }}\n\
         [jobs.dev]\nclass = \"keyed\"\nenv = {{ KEY = \"k\" }}\n{job}\ncommand = {command:?}\n"
    );
    let file = dir.join("agents.toml");
    fs::write(&file, text).unwrap();
    file
}

fn start(command: &mut Command) -> Tied {
    let mut started = Inherited::default().start(command);
    assert_eq!(started.line().as_deref(), Some("ready"));
    started
}

fn run(file: &PathBuf) -> Tied {
    let mut command = Command::new(bin::lockkeeper());
    start(bare(&mut command).args(["run", "-c"]).arg(file).arg("dev"))
}

fn init(file: &PathBuf) -> Tied {
    let mut command = Command::new(bin::lockkeeper());
    start(own_run(bare(&mut command)).arg("-c").arg(file))
}

#[track_caller]
fn says(run: &mut Tied, word: &str) {
    let line = run.line();
    let said = line.as_deref().and_then(|line| line.split(' ').next());
    assert_eq!(said, Some(word));
}

#[test]
fn a_command_is_sent_what_stands_in_a_signals_place_also_for_its_stop() {
    let dir = Dir::new();
    let job = "signals = { TERM = \"INT\", USR1 = 12, \"RTMIN+6\" = \"RTMAX\", HUP = \"drop\" }";
    let script = format!("{HEARS} 5 , exit 9");
    let mut run = run(&file(&dir, "", job, &script));
    let pid = run.pid();
    for dropped in [SIGHUP, SIGWINCH] {
        assert!(send(pid, dropped));
        assert!(send(pid, SIGUSR1));
        says(&mut run, "USR2");
    }
    assert!(send(pid, 40));
    says(&mut run, "64");
    // A stop by another signal is the same stop.
    assert!(send(pid, SIGINT));
    says(&mut run, "INT");
    says(&mut run, "CONT");
    assert_eq!(run.wait().code(), Some(9));
}

#[test]
fn a_job_takes_back_what_its_class_says() {
    let dir = Dir::new();
    let job = "signals = { WINCH = \"WINCH\", TERM = \"drop\" }\nstop = { signal = \"HUP\" }";
    let script = format!("{HEARS} 4 , exit 9");
    let mut run = run(&file(&dir, "", job, &script));
    let pid = run.pid();
    assert!(send(pid, SIGTERM));
    assert!(send(pid, SIGWINCH));
    says(&mut run, "WINCH");
    assert!(send(pid, libc::SIGQUIT));
    says(&mut run, "QUIT");
    assert!(send(pid, SIGINT));
    says(&mut run, "HUP");
    says(&mut run, "CONT");
    assert_eq!(run.wait().code(), Some(9));
}

#[test]
fn init_takes_a_signal_for_another_before_anything_is_made_of_it() {
    need!("root");
    let dir = Dir::new();
    let map = "signals = { USR1 = \"TERM\", HUP = \"drop\", TERM = \"USR2\", INT = \"drop\" }";
    let script = format!("{HEARS} 2 , exit 9");
    let mut init = init(&file(&dir, map, "main = true", &script));
    let pid = init.pid();
    for dropped in [SIGHUP, SIGINT] {
        assert!(send(pid, dropped));
    }
    assert!(send(pid, SIGTERM));
    says(&mut init, "USR2");
    assert!(send(pid, SIGUSR1));
    says(&mut init, "TERM");
    assert_eq!(init.wait().code(), Some(9));
}

#[test]
fn the_stop_of_init_reaches_each_command_as_its_job_says() {
    need!("root");
    let dir = Dir::new();
    let script = format!("{HEARS} 2 , exit 9");
    let job = "main = true\nsignals = { TERM = \"USR2\", USR1 = \"USR2\" }";
    // Both maps apply, each once: init takes INT for TERM, the command hears USR2.
    let mut init = init(&file(&dir, "signals = { INT = \"TERM\" }", job, &script));
    assert!(send(init.pid(), SIGINT));
    says(&mut init, "USR2");
    says(&mut init, "CONT");
    assert_eq!(init.wait().code(), Some(9));
}

#[test]
fn a_run_that_drops_the_hang_up_keeps_its_place_in_the_queue() {
    use super::support::child;
    use super::support::locks::waiters;
    use super::support::wait::until;
    let dir = Dir::new();
    let lock = dir.join("lock");
    fs::File::create(&lock).unwrap();
    let text = format!(
        "[locks.l]\npath = \"{}\"\n[classes.batch]\nlock = \"l\"\nsignals = {{ HUP = \"drop\" }}\n\
         [jobs.dev]\nclass = \"batch\"\ncommand = [\"{}\", \"out\", \"mine\"]\n",
        lock.display(),
        bin::puppet().display()
    );
    let file = dir.join("agents.toml");
    fs::write(&file, text).unwrap();
    let mut holder = child::start(&mut Command::new(bin::puppet()));
    holder.ask(&format!("lock {}", lock.display()));
    let mut command = Command::new(bin::lockkeeper());
    bare(&mut command).args(["run", "-c"]).arg(&file).arg("dev");
    let mut run = Inherited::default().start(&mut command);
    until("it is in the queue", || waiters(&lock) == 1);
    assert!(send(run.pid(), SIGHUP));
    holder.wait();
    says(&mut run, "mine");
    assert_eq!(run.wait().code(), Some(0));
}
