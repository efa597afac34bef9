//! `status --watch`: shown anew when something changes, at rest in between, and gone without a trace.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal::{SIGCONT, SIGKILL, SIGTERM};
use serde_json::Value;

use super::{Desk, JOBS, names};
use crate::support::bin;
use crate::support::child::{Tied, bare, halt, output, signal, start, text};
use crate::support::need::need;
use crate::support::ns::Ns;
use crate::support::pty::{CTRL_C, CTRL_Z, Pty};
use crate::support::scene::{Scene, child_of, ended, state, waits_in};
use crate::support::wait::until;

const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l";
const LEAVE: &str = "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l";

/// Nothing happens by itself.
const STILL: &str = r#"
[init]
stay = true
[classes.batch]
identity = "DIR"
stop = { grace = "100ms", leftover_grace = "100ms" }
[jobs.dev]
class = "batch"
start = "manual"
script = mark PAGE 1 , hang
"#;

fn next(watch: &mut Tied) -> Value {
    let line = watch.line().expect("it goes on");
    serde_json::from_str(&line).expect("one object a line")
}

/// The next one for which this is so; there may be steps in between.
fn next_with(watch: &mut Tied, is: impl Fn(&Value) -> bool) -> Value {
    loop {
        let shown = next(watch);
        if is(&shown) {
            return shown;
        }
    }
}

/// Whether it rests in ppoll(2) with no time after which it would wake by itself: the third argument is
/// null (`proc_pid_syscall(5)`).
fn rests_for_good(pid: i32) -> bool {
    let call = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap();
    let mut words = call.split(' ');
    let number = words.next().and_then(|number| number.parse().ok());
    number == Some(libc::SYS_ppoll) && words.nth(2) == Some("0x0")
}

/// How often the process has gone to rest (`proc_pid_status(5)`).
fn rests(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("voluntary_ctxt"));
    line.unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn each_change_is_a_line_and_nothing_happens_in_between() {
    need!("root");
    let desk = Desk::new(STILL);
    let mut watch = start(&mut desk.command(&["status", "--watch", "--json"]));
    assert_eq!(next(&mut watch)["jobs"][0]["state"], "idle");
    assert_eq!(desk.ask(&["start", "dev"]).code, 0);
    let holds = |shown: &Value| shown["locks"][0]["holders"][0]["job"] == "dev";
    let shown = next_with(&mut watch, holds);
    assert_eq!(shown["jobs"][0]["state"], "running");
    // A run of another's, which init does not see.
    let mut other = desk.scene.run("", "mark PAGE 2 , hang");
    let shown = next_with(&mut watch, |shown| {
        shown["locks"][0]["waiting"][0].is_object()
    });
    assert!(holds(&shown));
    // Whatever else asks is no change: after what was changed has settled, it rests.
    let pid = child_of(watch.pid());
    until("it rests", || rests_for_good(pid));
    let before = rests(pid);
    for _ in 0..20 {
        assert_eq!(desk.ask(&["health"]).code, 0);
    }
    assert_eq!(rests(pid), before);
    assert!(rests_for_good(pid));
    // Killed, guard first, so that nobody takes its claims away.
    let monitor = child_of(other.pid());
    signal(other.pid(), SIGKILL);
    signal(monitor, SIGKILL);
    let shown = next_with(&mut watch, |shown| {
        shown["locks"][0]["waiting"] == Value::Array(vec![])
    });
    assert!(holds(&shown));
    assert_eq!(desk.ask(&["stop", "dev"]).code, 0);
    next_with(&mut watch, |shown| shown["jobs"][0]["last"]["code"] == 143);
    other.wait();
}

#[test]
fn an_init_that_goes_and_one_that_comes_are_seen() {
    need!("root");
    let desk = Desk::new(STILL);
    let folder = desk.init.path("/run/lockkeeper");
    let named = desk.scene.path("new.sock").display().to_string();
    let mut watch = start(&mut desk.command(&["status", "--watch", "--json", "--socket", &named]));
    let shown = next(&mut watch);
    assert_eq!(shown["ok"], false);
    let file = desk.scene.path("lockkeeper.toml").display().to_string();
    let args = ["init", "-c", &file, "--socket", &named];
    let mut other = start(desk.command(&args).stderr(std::process::Stdio::null()));
    next_with(&mut watch, |shown| shown["ok"] == true);
    signal(child_of(other.pid()), SIGTERM);
    next_with(&mut watch, |shown| shown["ok"] == false);
    other.wait();
    assert!(folder.is_dir());
}

#[test]
fn who_no_longer_reads_ends_it() {
    need!("root");
    let desk = Desk::new(STILL);
    let mut watch = start(&mut desk.command(&["status", "--watch", "--json"]));
    next(&mut watch);
    let pid = child_of(watch.pid());
    // Its end of the pipe is closed with it.
    drop(watch);
    until("it ends", || state(pid).is_none_or(|state| state == 'Z'));
}

/// A tmux of the test's own; gone with it.
struct Tmux(PathBuf);

impl Tmux {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        bare(&mut command)
            .arg("-S")
            .arg(&self.0)
            .args(["-f", "/dev/null"]);
        command.args(args);
        command
    }

    fn screen(&self) -> String {
        text(&output(&mut self.command(&["capture-pane", "-p"])).stdout)
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        drop(output(&mut self.command(&["kill-server"])));
    }
}

#[test]
fn on_a_real_terminal_of_eighty_columns_no_letter_is_lost() {
    need!("root", "tmux");
    let desk = Desk::new(STILL);
    assert_eq!(desk.ask(&["start", "dev"]).code, 0);
    assert_eq!(desk.ask(&["stop", "dev"]).code, 0);
    let table = desk.ask(&["status"]).out;
    let full = |text: &str| {
        text.lines()
            .filter(|line| line.chars().count() == 80)
            .count()
    };
    assert_eq!(
        full(&table),
        2,
        "its last result and the lock are cut off: {table}"
    );
    let tmux = Tmux(desk.scene.path("tmux"));
    let watch = desk.command(&["status", "--watch"]);
    let mut start = tmux.command(&["new-session", "-d", "-x", "80", "-y", "30"]);
    output(
        start
            .env("NO_COLOR", "1")
            .arg(watch.get_program())
            .args(watch.get_args()),
    );
    until("it is drawn whole", || full(&tmux.screen()) == 2);
}

#[test]
fn on_a_terminal_it_is_drawn_anew_fits_and_is_gone_with_ctrl_c() {
    need!("root", "bash");
    let scene = Scene::new();
    let file = scene.config(JOBS);
    let ns = Ns::root().shell("mount -t tmpfs none /run");
    let init = ns.start(
        bin::lockkeeper(),
        &["init", "-c", &file.display().to_string()],
    );
    until("it runs", || scene.page.alive().get(&2) == Some(&1));
    let socket = names(&init.path("/run/lockkeeper"), ".sock").pop().unwrap();
    // Its mounts are init's, and its shell is ours.
    let line = format!(
        "nsenter --target {} --mount -- {} status --watch --socket /run/lockkeeper/{socket}",
        init.pid1(),
        bin::lockkeeper().display()
    );
    let mut bash = Command::new("bash");
    bare(&mut bash).args(["--norc", "--noprofile", "-i"]);
    bash.env("TERM", "xterm")
        .env("NO_COLOR", "1")
        .env("PS1", "$ ");
    let mut pty = Pty::start(&mut bash, Command::spawn);
    pty.line(&line);
    pty.until(ENTER);
    pty.until("chat           quick       running");
    // `tick` ends every second: drawn without a word of ours.
    pty.until("\u{1b}[H");
    pty.resize(4, 120);
    pty.until("more lines");
    pty.resize(50, 120);
    pty.until("RUN              NEXT");
    pty.keys(CTRL_Z);
    pty.until(LEAVE);
    pty.until("Stopped");
    pty.line("fg");
    pty.until(ENTER);
    pty.until("chat                     quick");
    pty.keys(CTRL_C);
    pty.until(LEAVE);
    // Ended by INT, as a shell expects it.
    pty.line("echo co''de $?");
    pty.until("code 130");
}

#[test]
fn an_init_that_hangs_keeps_nobody_at_the_screen() {
    need!("root");
    let desk = Desk::new(STILL);
    halt(desk.pid());
    // Who asked before still waits for his answer.
    let mut before = start(&mut desk.command(&["health"]));
    let asks = child_of(before.pid());
    until("he waits", || waits_in(asks, libc::SYS_ppoll));
    let mut watch = Pty::start(&mut desk.command(&["status", "--watch"]), Command::spawn);
    watch.until(ENTER);
    watch.keys(CTRL_C);
    let (code, shown) = watch.end();
    assert!(
        before.try_wait().is_none(),
        "he has waited as long: {shown}"
    );
    signal(desk.pid(), SIGCONT);
    assert_eq!(code, None, "by the signal");
    assert!(shown.ends_with(LEAVE), "{shown:?}");
    ended(&mut before);
}
