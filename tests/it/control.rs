//! The control socket and its verbs, at a real init: as PID 1 of a namespace of its own, with a /run of
//! its own, where the verbs are started as `docker exec` starts them.

#![expect(clippy::indexing_slicing, reason = "a test may panic: it fails then")]

mod found;
mod hostile;
mod place;
mod reload;
mod shown;
mod verbs;
mod watched;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use crate::support::bin;
use crate::support::child::{bare, output, text};
use crate::support::ns::{Inside, Ns};
use crate::support::scene::Scene;
use crate::support::wait::until;

/// An init, and the scene that its file is about. `need!("root")` comes before.
pub(crate) struct Desk {
    pub(crate) scene: Scene,
    pub(crate) init: Inside,
}

impl Desk {
    pub(crate) fn new(toml: &str) -> Self {
        Self::with(Ns::root(), toml)
    }

    fn with(ns: Ns, toml: &str) -> Self {
        Self::of(bin::lockkeeper(), ns, toml)
    }

    /// With that build of the program for init.
    fn of(program: &Path, ns: Ns, toml: &str) -> Self {
        let scene = Scene::new();
        let file = scene.config(toml);
        let errors = scene.path("errors");
        let ns = ns
            .shell("mount -t tmpfs none /run")
            .shell(&format!("exec 2>>'{}'", errors.display()));
        let init = ns.start(program, &["init", "-vv", "-c", &file.display().to_string()]);
        let desk = Self { scene, init };
        until("it listens", || {
            desk.listens() || desk.errors().contains("nobody can ask")
        });
        desk
    }

    pub(crate) fn pid(&self) -> i32 {
        self.init.pid1()
    }

    /// What init has said.
    pub(crate) fn errors(&self) -> String {
        fs::read_to_string(self.scene.path("errors")).unwrap_or_default()
    }

    /// How often it has said that.
    pub(crate) fn said(&self, what: &str) -> usize {
        self.errors()
            .lines()
            .filter(|line| line.contains(what))
            .count()
    }

    fn socket_name(&self) -> Option<String> {
        names(&self.init.path("/run/lockkeeper"), ".sock").pop()
    }

    /// A socket has a name before anybody listens.
    fn listens(&self) -> bool {
        self.socket_name().is_some() && UnixStream::connect(self.socket()).is_ok()
    }

    /// Where the test itself can reach the socket.
    fn socket(&self) -> PathBuf {
        let name = self.socket_name().expect("it has one");
        self.init.path("/run/lockkeeper").join(name)
    }

    /// A verb, as `docker exec` starts it.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.init.enter(bin::lockkeeper());
        bare(&mut command).args(args);
        command
    }

    pub(crate) fn ask(&self, args: &[&str]) -> Asked {
        Asked::of(&output(&mut self.command(args)))
    }

    pub(crate) fn status(&self) -> Value {
        let asked = self.ask(&["status", "--json"]);
        assert_eq!(asked.code, 0, "{asked:?}");
        serde_json::from_str(&asked.out).expect("one JSON object")
    }

    /// The row of that job; the first, where there are several.
    pub(crate) fn row(&self, job: &str) -> Value {
        let status = self.status();
        let rows = status["jobs"].as_array().expect("a list").clone();
        let row = rows.into_iter().find(|row| row["job"] == job);
        row.unwrap_or(Value::Null)
    }

    pub(crate) fn state(&self, job: &str) -> String {
        self.row(job)["state"].as_str().unwrap_or("none").to_owned()
    }

    fn connect(&self) -> Talk {
        Talk::at(&self.socket())
    }

    /// Lines of a file in the scene's folder.
    pub(crate) fn lines(&self, name: &str) -> usize {
        let text = fs::read_to_string(self.scene.path(name));
        text.map_or(0, |text| text.lines().count())
    }

    /// init answers, its ticks come, and it rests then.
    #[track_caller]
    fn is_well(&self) {
        assert_eq!(self.ask(&["health"]).out, "healthy\n", "{}", self.errors());
        let ticks = self.lines("ticks");
        until("a tick", || self.lines("ticks") > ticks);
    }

    /// The time that it has used, in ticks of the clock (`proc_pid_stat(5)`, fields 14 and 15).
    fn used(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("it lives");
        let fields = stat.rsplit(") ").next().expect("a name before it");
        let fields = fields.split(' ').skip(11).take(2);
        fields.filter_map(|field| field.parse::<u64>().ok()).sum()
    }

    /// The memory that no file stands behind, in kB, shared with a child that is about to exec or not (`proc_pid_smaps(5)`).
    fn own_kb(&self) -> u64 {
        let path = format!("/proc/{}/smaps_rollup", self.pid());
        let smaps = fs::read_to_string(path).expect("it lives");
        let of = |name: &str| {
            let line = smaps.lines().find(|line| line.starts_with(name));
            let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
            number.expect("a number")
        };
        of("Anonymous:") + of("Swap:")
    }
}

/// What a verb said, and how it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Asked {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }
}

/// A client that speaks for itself.
struct Talk(BufReader<UnixStream>);

impl Talk {
    fn at(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("init listens");
        // What ends a hung test, and judges nothing.
        let limit = Some(Duration::from_secs(30));
        stream.set_read_timeout(limit).expect("a time");
        Self(BufReader::new(stream))
    }

    fn stream(&self) -> &UnixStream {
        self.0.get_ref()
    }

    /// Sends bytes; false: nobody takes them.
    fn send(&self, bytes: &[u8]) -> bool {
        self.stream().write_all(bytes).is_ok()
    }

    /// The next line; none: it is over.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let got = self.0.read_line(&mut line).unwrap_or(0);
        (got > 0).then_some(line)
    }

    fn ask(&mut self, request: &str) -> Value {
        assert!(self.send(format!("{request}\n").as_bytes()));
        let line = self.line().expect("an answer");
        serde_json::from_str(&line).expect("a JSON object a line")
    }
}

/// The files in a folder whose names end so.
fn names(folder: &Path, end: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.ends_with(end)).collect()
}

/// A job every second that leaves a line; one that is started by hand; one that is always there.
const JOBS: &str = r#"
[init]
stay = true
[classes.quick]
kind = "interactive"
stdin = "null"
stop = { grace = "100ms", leftover_grace = "100ms" }
[jobs.tick]
class = "quick"
every = "1s"
script = append DIR/ticks x
[jobs.dev]
class = "quick"
start = "manual"
script = append DIR/devs x , mark PAGE 1 , hang
[jobs.chat]
class = "quick"
script = mark PAGE 2 , ignore TERM , hang
"#;
