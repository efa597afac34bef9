//! The table in packaging/reference/signals.md of what each signal does, walked: each of the 64 signals is sent to the real
//! program in each of its roles, and does what the cell says.
//!
//! A cell with a slash says what holds for a PID 1, and what else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use lockkeeper::config::plan::DEFAULT_GRACE;

use super::support::bin;
use super::support::child::{self, Tied};
use super::support::dir::Dir;
use super::support::inherited::{Inherited, send};
use super::support::locks::waiters;
use super::support::need::need;
use super::support::ns::{Inside, Ns, own_run};
use super::support::stat::{descendants, stat};
use super::support::wait::{until, until_some};

use libc::{SIGCONT, SIGKILL, SIGUSR1};

const LAST: i32 = 64;
/// The signals that libraries keep to themselves: no set of theirs takes them, so whoever gets one ends.
const HIDDEN: [i32; 2] = [32, 33];

/// What a signal does, in the words of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Stop,
    Kill,
    GiveUp,
    Pass,
    Hold,
    Suspend,
    Nothing,
    Crash,
    Left,
    Orphan,
    All,
    Freeze,
}

fn word(text: &str) -> Does {
    match text {
        "stop" => Does::Stop,
        "kill" => Does::Kill,
        "give up" => Does::GiveUp,
        "pass" => Does::Pass,
        "hold" => Does::Hold,
        "suspend" => Does::Suspend,
        // Nothing that a command could see.
        "nothing" | "reload" => Does::Nothing,
        "crash" => Does::Crash,
        "left" => Does::Left,
        "orphan" => Does::Orphan,
        "all" => Does::All,
        "freeze" => Does::Freeze,
        other => panic!("\"{other}\" is no word of the table"),
    }
}

/// A column of the table, and who is sent the signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Waiting,
    Run,
    Alone { pid1: bool },
    Main { pid1: bool },
    Jobs { pid1: bool },
}

impl Role {
    fn column(self) -> (usize, bool) {
        match self {
            Self::Waiting => (1, false),
            Self::Run => (2, false),
            Self::Alone { pid1 } => (3, pid1),
            Self::Main { pid1 } => (4, pid1),
            Self::Jobs { pid1 } => (5, pid1),
        }
    }
}

/// What the first signal of that number does, and another one a second later.
struct Column {
    first: BTreeMap<i32, Does>,
    again: BTreeMap<i32, Does>,
}

fn number(name: &str) -> i32 {
    let known = (1..32).find(|signo| {
        let known = lockkeeper_name(*signo);
        known.as_deref() == Some(name)
    });
    known.unwrap_or_else(|| name.parse().unwrap_or_else(|_| panic!("{name}")))
}

fn lockkeeper_name(signo: i32) -> Option<String> {
    let signal = nix::sys::signal::Signal::try_from(signo).ok()?;
    Some(signal.as_str().trim_start_matches("SIG").to_owned())
}

/// As the puppet calls it.
fn name(signo: i32) -> String {
    lockkeeper_name(signo).unwrap_or_else(|| signo.to_string())
}

fn column(role: Role) -> Column {
    let page = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/packaging/reference/signals.md"
    );
    let page = fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once("<!-- signals:").unwrap();
    let (table, _) = rest.split_once("<!-- /signals -->").unwrap();
    let (at, pid1) = role.column();
    let mut read = Column {
        first: BTreeMap::new(),
        again: BTreeMap::new(),
    };
    for line in table.lines().filter(|line| line.starts_with("| ")).skip(2) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let (Some(signals), Some(cell), 6) = (cells.first(), cells.get(at), cells.len()) else {
            panic!("{line}");
        };
        let does = match cell.split_once(" / ") {
            Some((first, other)) => word(if pid1 { first } else { other }),
            None => word(cell),
        };
        let (signals, into) = match signals.strip_suffix(" again") {
            Some(signals) => (signals, &mut read.again),
            None => (*signals, &mut read.first),
        };
        for signal in signals.split(", ") {
            let (from, to) = signal.split_once(" to ").unwrap_or((signal, signal));
            for signo in number(from)..=number(to) {
                assert_eq!(
                    into.insert(signo, does),
                    None,
                    "{signal} stands there twice"
                );
            }
        }
    }
    assert!(
        read.first.keys().copied().eq(1..=LAST),
        "all 64 stand there"
    );
    read
}

/// Where runs lock, and their configuration.
struct Place {
    dir: Dir,
    lock: PathBuf,
    file: PathBuf,
}

/// A run in one of the roles, whose command has said that it is ready, unless it waits.
struct Started {
    /// What ends when the namespace does.
    inside: Option<Inside>,
    own: Option<Tied>,
    /// Where it waits for the lock, who holds that.
    holder: Option<Tied>,
}

impl Started {
    fn process(&mut self) -> &mut Tied {
        match (&mut self.inside, &mut self.own) {
            (Some(inside), _) => &mut inside.process,
            (None, Some(own)) => own,
            (None, None) => panic!("it was started"),
        }
    }

    fn pid(&mut self) -> i32 {
        match &self.inside {
            Some(inside) => inside.pid1(),
            None => self.process().pid(),
        }
    }

    /// The command's next word.
    fn says(&mut self) -> Option<String> {
        let line = self.process().line()?;
        Some(line.split(' ').next()?.to_owned())
    }

    fn ended(&mut self, what: &str) -> ExitStatus {
        until_some(&format!("{what}: it ends"), || self.process().try_wait())
    }

    fn command(&mut self) -> i32 {
        *descendants(self.pid()).last().expect("a command")
    }
}

impl Drop for Started {
    /// What a failed test leaves may have an hour to go.
    fn drop(&mut self) {
        if let Some(own) = &self.own {
            for pid in descendants(own.pid()) {
                send(pid, SIGKILL);
            }
        }
    }
}

/// A script that hears every signal that can be blocked.
const HEARS: &str = "block ALL , out ready , signals";

impl Place {
    fn new() -> Self {
        let dir = Dir::new();
        let (lock, file) = (dir.join("lock"), dir.join("agents.toml"));
        File::create(&lock).unwrap();
        Self { dir, lock, file }
    }

    fn start(&self, role: Role, script: &str) -> Started {
        let all: Vec<String> = (1..=LAST).map(|signo| signo.to_string()).collect();
        let script = script.replace("ALL", &all.join(","));
        let puppet = bin::puppet().display().to_string();
        let command = format!("{puppet} {script}");
        let patient =
            "[init]\nstop_within = \"2h\"\n[classes.interactive]\nstop = { grace = \"1h\" }\n";
        let args = match role {
            Role::Waiting | Role::Run => {
                format!("run --grace=1h --lock {} -- {command}", self.lock.display())
            }
            Role::Alone { .. } => format!("-- {command}"),
            Role::Main { .. } => {
                fs::write(&self.file, patient).unwrap();
                format!("-c {} -- {command}", self.file.display())
            }
            Role::Jobs { .. } => {
                let words: Vec<&str> = command.split(' ').collect();
                let job = "[jobs.one]\nclass = \"interactive\"\nstdin = \"null\"\ncommand = ";
                fs::write(&self.file, format!("{patient}{job}{words:?}\n")).unwrap();
                format!("-c {}", self.file.display())
            }
        };
        let args: Vec<&str> = args.split(' ').collect();
        let holder = (role == Role::Waiting).then(|| {
            let mut holder = child::start(&mut Command::new(bin::puppet()));
            holder.ask(&format!("lock {}", self.lock.display()));
            holder
        });
        // What was held comes at once, before a script could block it.
        let blocked = if role == Role::Waiting {
            (1..=LAST).collect()
        } else {
            Vec::new()
        };
        let inherited = Inherited {
            blocked,
            ..Inherited::default()
        };
        let mut started = if role.column().1 {
            let inside = Ns::root()
                .inherited(&inherited)
                .shell("mount -t tmpfs none /run")
                .start(bin::lockkeeper(), &args);
            Started {
                inside: Some(inside),
                own: None,
                holder,
            }
        } else {
            let mut command = Command::new(bin::lockkeeper());
            if matches!(role, Role::Main { .. } | Role::Jobs { .. }) {
                own_run(&mut command);
            }
            let own = inherited.start(child::bare(&mut command).args(&args));
            Started {
                inside: None,
                own: Some(own),
                holder,
            }
        };
        if role == Role::Waiting {
            until("it is in the queue", || waiters(&self.lock) == 1);
        } else {
            assert_eq!(started.says().as_deref(), Some("ready"), "{role:?}");
        }
        started
    }
}

fn state(pid: i32) -> Option<char> {
    stat(pid).map(|stat| stat.state)
}

/// Whether a signal waits to be read by the process itself (`proc_pid_status(5)`: `ShdPnd`).
fn has_pending(pid: i32, signo: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
    let pending = pending.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    pending.is_some_and(|set| set & (1 << (signo - 1)) != 0)
}

fn send_and_read(pid: i32, signo: i32) {
    assert!(send(pid, signo));
    until(&format!("{} is read", name(signo)), || {
        !has_pending(pid, signo)
    });
}

/// Sends each signal that ends nothing to one run, and looks at each what comes of it.
fn walk_without_end(place: &Place, role: Role, column: &Column) {
    let mut run = place.start(role, HEARS);
    let pid = run.pid();
    let passes = column.first.get(&SIGUSR1) == Some(&Does::Pass);
    let mut held = BTreeSet::new();
    for (&signo, &does) in &column.first {
        let what = format!("{} to {role:?}", name(signo));
        match does {
            Does::Nothing => {
                send_and_read(pid, signo);
                if passes {
                    // What comes through next was sent later.
                    assert!(send(pid, SIGUSR1));
                    assert_eq!(run.says().as_deref(), Some("USR1"), "{what}");
                }
            }
            Does::Pass | Does::Hold if HIDDEN.contains(&signo) => {}
            Does::Pass => {
                assert!(send(pid, signo));
                assert_eq!(run.says(), Some(name(signo)), "{what}");
            }
            Does::Hold => {
                send_and_read(pid, signo);
                held.insert(name(signo));
            }
            Does::Suspend => {
                let command = run.command();
                assert!(send(pid, signo));
                until(&what, || state(command) == Some('T'));
                assert!(send(pid, SIGCONT));
                assert_eq!(run.says().as_deref(), Some("CONT"), "{what}");
            }
            Does::Freeze => {
                assert!(send(pid, signo));
                until(&what, || state(pid) == Some('T'));
                assert!(send(pid, SIGCONT));
                until(&what, || state(pid) != Some('T'));
                match (role, passes) {
                    (Role::Waiting, _) => {
                        held.insert("CONT".to_owned());
                    }
                    (_, true) => assert_eq!(run.says().as_deref(), Some("CONT"), "{what}"),
                    (_, false) => {}
                }
            }
            Does::Stop | Does::GiveUp | Does::Crash | Does::Left | Does::Orphan | Does::All => {}
            Does::Kill => panic!("{what}: no first signal kills"),
        }
    }
    if let Some(mut holder) = run.holder.take() {
        holder.wait();
        assert_eq!(run.says().as_deref(), Some("ready"));
        let said: BTreeSet<String> = held.iter().filter_map(|_| run.says()).collect();
        assert_eq!(said, held);
    }
    // Had any of those that do nothing come through, it would stand before the last one.
    assert!(send(pid, libc::SIGTERM));
    assert_eq!(run.says().as_deref(), Some("TERM"), "{role:?}");
    assert!(send(run.command(), SIGKILL));
    run.ended("the walk");
}

/// The code of an init's end in order: its main job's, else 0.
const fn code(role: Role, commands: i32) -> i32 {
    match role {
        Role::Jobs { .. } => 0,
        _ => commands,
    }
}

fn see_the_end(place: &Place, role: Role, signo: i32, does: Does) {
    let what = format!("{} to {role:?}", name(signo));
    let mut run = place.start(role, "block ALL , out ready , signals 1 , exit 9");
    let pid = run.pid();
    let command = if role == Role::Waiting {
        0
    } else {
        run.command()
    };
    assert!(send(pid, signo));
    let stopped = |run: &mut Started| {
        if role != Role::Waiting {
            assert_eq!(run.says().as_deref(), Some("TERM"), "{what}");
        }
    };
    let died = |run: &mut Started| {
        let status = run.ended(&what);
        let by = std::os::unix::process::ExitStatusExt::signal(&status);
        assert_eq!(by, Some(signo), "{what}: {status}");
    };
    match does {
        Does::Stop => {
            stopped(&mut run);
            assert_eq!(run.ended(&what).code(), Some(code(role, 9)), "{what}");
        }
        Does::GiveUp => assert_eq!(run.ended(&what).code(), Some(128 + signo), "{what}"),
        Does::Crash => {
            stopped(&mut run);
            assert_eq!(run.ended(&what).code(), Some(125), "{what}");
        }
        Does::Left => {
            died(&mut run);
            stopped(&mut run);
        }
        Does::Orphan => {
            died(&mut run);
            until(&format!("{what}: the command lives on, and rests"), || {
                state(command) == Some('S')
            });
            assert!(send(command, SIGKILL));
        }
        Does::All => {
            died(&mut run);
            until("the command is dead", || {
                state(command).is_none_or(|state| state == 'Z')
            });
        }
        other => panic!("{what}: {other:?} is no end"),
    }
    // The kernel ends PID 1 first, and those who see its end may still say so.
    if does != Does::All {
        assert_eq!(run.says(), None, "{what}");
    }
    until("nobody waits", || waiters(&place.lock) == 0);
}

/// Those that no set can hold end the command, by the very number.
fn see_a_hidden_one(place: &Place, role: Role, signo: i32) {
    let mut run = place.start(role, "out ready , hang");
    assert!(send(run.pid(), signo));
    if let Some(mut holder) = run.holder.take() {
        until("it is read", || !has_pending(run.pid(), signo));
        holder.wait();
    }
    let what = format!("{signo} to {role:?}");
    let status = run.ended(&what);
    assert_eq!(status.code(), Some(128 + signo), "{what}");
}

fn see_the_second(place: &Place, role: Role, signo: i32) {
    let mut run = place.start(role, "ignore TERM , out ready , hang");
    let (pid, begin) = (run.pid(), Instant::now());
    let mut status = None;
    // The first of these asks, the others count as soon as they may.
    until("it is killed", || {
        send(pid, signo);
        status = run.process().try_wait();
        status.is_some()
    });
    assert!(
        begin.elapsed() >= Duration::from_secs(1),
        "{signo} to {role:?}"
    );
    assert!(begin.elapsed() < DEFAULT_GRACE, "by the grace");
    let code = code(role, 128 + SIGKILL);
    assert_eq!(status.unwrap().code(), Some(code), "{signo} to {role:?}");
}

fn walk(role: Role) {
    let place = Place::new();
    let column = column(role);
    walk_without_end(&place, role, &column);
    for (&signo, &does) in &column.first {
        let passes = matches!(does, Does::Pass | Does::Hold);
        if passes && HIDDEN.contains(&signo) {
            see_a_hidden_one(&place, role, signo);
        }
        if !passes && !matches!(does, Does::Nothing | Does::Suspend | Does::Freeze) {
            see_the_end(&place, role, signo, does);
        }
    }
    for (&signo, &does) in &column.again {
        if does == Does::Kill {
            see_the_second(&place, role, signo);
        }
    }
    drop(place.dir);
}

#[test]
fn each_signal_does_to_a_waiting_run_what_its_page_says() {
    walk(Role::Waiting);
}

#[test]
fn each_signal_does_to_a_run_what_its_page_says() {
    walk(Role::Run);
}

#[test]
fn each_signal_does_to_a_single_command_what_its_page_says() {
    walk(Role::Alone { pid1: false });
}

#[test]
fn each_signal_does_to_a_single_command_of_a_pid_1_what_its_page_says() {
    need!("root");
    walk(Role::Alone { pid1: true });
}

#[test]
fn each_signal_does_to_an_init_with_a_main_job_what_its_page_says() {
    need!("root");
    walk(Role::Main { pid1: true });
}

#[test]
fn each_signal_does_to_a_subreaper_with_a_main_job_what_its_page_says() {
    need!("root");
    walk(Role::Main { pid1: false });
}

#[test]
fn each_signal_does_to_an_init_without_a_main_job_what_its_page_says() {
    need!("root");
    walk(Role::Jobs { pid1: true });
}

#[test]
fn each_signal_does_to_a_subreaper_without_a_main_job_what_its_page_says() {
    need!("root");
    walk(Role::Jobs { pid1: false });
}
