//! Records of other programs, judged against real processes, namespaces and tmux servers.
//!
//! Some must be judged from another place than the test's: there the test's own program runs
//! `judges_what_it_is_told_to` alone, and says what it found.

mod gastown;
mod processes;
mod tmux;
mod workers;

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use lockkeeper::lock::dir::in_use;
use lockkeeper::lock::dir::judge::{Here, Life, Why, judge};
use lockkeeper::lock::dir::record::{DirRecord, now};
use lockkeeper::lock::dir::sessions::Sessions;
use lockkeeper::lock::record::{Origin, start_time};

use crate::support::child::{bare, output, text};
use crate::support::dir::Dir;

/// No process has the highest number of all.
const NOBODY: i32 = i32::MAX;

/// As gastown writes it.
fn gastown(pid: i32) -> DirRecord {
    DirRecord {
        pid,
        acquired_at: now(),
        hostname: Here::read().hostname,
        ..DirRecord::default()
    }
}

/// The same with all that can be known of a process of here.
fn exact(pid: i32) -> DirRecord {
    let Origin { boot_id, pid_ns } = Origin::read();
    DirRecord {
        start_time: start_time(pid),
        boot_id,
        pid_ns,
        ..gastown(pid)
    }
}

/// What it is worth here, where tmux has no sessions.
fn why(record: &DirRecord) -> Why {
    let nobody = Sessions::ask(&[], std::iter::empty(), std::time::Duration::ZERO);
    let verdict = judge(record, None, &|| false, &Here::read(), &nobody);
    let dead = matches!(
        verdict.why,
        Why::ProcessGone | Why::Zombie | Why::Recycled | Why::Rebooted | Why::SessionGone
    );
    assert_eq!(verdict.life == Life::Dead, dead);
    verdict.why
}

/// Another place, as lines of shell: `judge` there is the program that judges.
struct Place {
    /// How to get there: `unshare …`, or `env`.
    way: Vec<String>,
    /// What is done there; it ends with a word that starts `judge`.
    script: String,
    env: Vec<(String, String)>,
}

impl Place {
    fn new(way: &str, script: &str) -> Self {
        Self {
            way: way.split_whitespace().map(String::from).collect(),
            script: script.into(),
            env: Vec::new(),
        }
    }

    fn env(mut self, name: &str, value: impl AsRef<Path>) -> Self {
        let value = value.as_ref().to_str().expect("it is text");
        self.env.push((name.into(), value.into()));
        self
    }

    /// What `record` is worth there.
    fn why(self, record: &DirRecord) -> String {
        self.ask("RECORD", &record.render())
    }

    /// Who works in `dir`, seen from there.
    fn in_use(self, dir: &Path) -> String {
        self.ask("DIR", dir.to_str().expect("it is text"))
    }

    fn ask(self, what: &str, value: &str) -> String {
        let folder = Dir::new();
        // By a mount of its own, as whoever runs it there may not enter the folder that it lies in.
        let program = folder.join("judge");
        fs::write(&program, "").unwrap();
        let own = env::current_exe().unwrap();
        let mut command = Command::new("unshare");
        command.args(["--mount", "--", "sh", "-ec"]);
        command.arg("mount --bind \"$1\" \"$2\"; export judge=\"$2\"; shift 2; exec \"$@\"");
        command.arg("sh").arg(own).arg(&program);
        command.args(&self.way).args(["sh", "-ec"]);
        let call = "\"$judge\" --exact foreign::judges_what_it_is_told_to --ignored --nocapture";
        command.arg(format!("judge() {{ \"$@\" {call}; }}\n{}", self.script));
        bare(&mut command).env(what, value).envs(self.env);
        let output = output(&mut command);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        let mut said = out.lines().filter_map(|line| line.split_once("said: "));
        let (_, said) = said.next().unwrap_or_else(|| panic!("{out}{err}"));
        said.to_owned()
    }
}

#[test]
#[ignore = "the half of the other tests that runs elsewhere; they start it"]
fn judges_what_it_is_told_to() {
    if let Ok(record) = env::var("RECORD") {
        let record = DirRecord::parse(record.as_bytes()).unwrap();
        let verdict = judge(&record, None, &|| false, &Here::read(), &Sessions::new());
        println!("said: {:?}", verdict.why);
    }
    if let Ok(dir) = env::var("DIR") {
        println!("said: {}", in_use::look(Path::new(&dir)).unwrap());
    }
}
