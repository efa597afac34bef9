//! A lock, a marker page and a puppet of a test's own, and runs of the program on them.
//!
//! Scripts are one text: PAGE, DIR and LOCK in them stand for the scene's paths, HERMIT for the
//! options of a process that left everything: a double fork, two sessions, no descriptor, no
//! environment, deaf to TERM, HUP and INT.
//!
//! The scene's puppet is a copy under a path that nothing else has. By it the processes of a run
//! are found (`living`), whatever they did to their names, environments and parents.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use fs2::FileExt as _;
use lockkeeper::lock::folders::claims_folder;
use lockkeeper::lock::listing::list;
use lockkeeper::lock::record::{Record, State};
use nix::sys::signal::Signal::SIGKILL;

use super::bin;
use super::child::{self, Tied, signal};
use super::dir::Dir;
use super::ns::children;
use super::page::Page;
use super::wait::{until, until_some};

const HERMIT: &str = "daemon setsid clearenv closefds ignore=TERM,HUP,INT";

pub(crate) struct Scene {
    dir: Dir,
    pub(crate) page: Page,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let dir = Dir::new();
        let page = Page::open(&dir.join("page")).expect("room for a page");
        // Not by ourselves: a child that another test's thread forks meanwhile would inherit the open
        // file, and what is open for writing cannot be executed (ETXTBSY, execve(2)).
        child::read(Command::new("cp").arg(bin::puppet()).arg(&*dir));
        Self { dir, page }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.dir
    }

    /// A file in the scene's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.path("session.lock")
    }

    pub(crate) fn puppet(&self) -> PathBuf {
        self.path("puppet")
    }

    /// The words of `text`, as seen where the scene's folder is `folder`.
    pub(crate) fn words_at(folder: &Path, text: &str) -> Vec<String> {
        let at = |name: &str| folder.join(name).display().to_string();
        let words = text.replace("HERMIT", HERMIT);
        let words = words.replace("PAGE", &at("page"));
        let words = words.replace("LOCK", &at("session.lock"));
        let words = words.replace("DIR", &folder.display().to_string());
        words.split_whitespace().map(String::from).collect()
    }

    pub(crate) fn words(&self, text: &str) -> Vec<String> {
        Self::words_at(&self.dir, text)
    }

    /// `lockkeeper run --lock LOCK OPTIONS -- puppet SCRIPT`, not yet started.
    pub(crate) fn run_command(&self, options: &str, script: &str) -> Command {
        let mut command = Command::new(bin::lockkeeper());
        child::bare(&mut command)
            .args(["run", "--lock"])
            .arg(self.lock())
            .args(self.words(options))
            .arg("--")
            .arg(self.puppet())
            .args(self.words(script));
        command
    }

    /// The same, started: its process is the guard.
    #[track_caller]
    pub(crate) fn run(&self, options: &str, script: &str) -> Tied {
        child::start(&mut self.run_command(options, script))
    }

    /// The same, and its script has said `begun`.
    #[track_caller]
    pub(crate) fn begun(&self, options: &str, script: &str) -> Tied {
        let mut run = self.run(options, script);
        assert_eq!(run.line().as_deref(), Some("begun"));
        run
    }

    /// Writes a configuration, in which the words stand for what they do in a script, and returns
    /// its path. A line `script = …` becomes the puppet's command.
    pub(crate) fn config(&self, text: &str) -> PathBuf {
        let path = self.path("lockkeeper.toml");
        fs::write(&path, Self::toml_at(&self.dir, text)).expect("room for a file");
        path
    }

    pub(crate) fn toml_at(folder: &Path, text: &str) -> String {
        let at = |name: &str| folder.join(name).display().to_string();
        let mut toml = String::new();
        for line in text.lines() {
            let line = if let Some(script) = line.trim().strip_prefix("script = ") {
                let words = Self::words_at(folder, script);
                let command: Vec<String> = [at("puppet")].into_iter().chain(words).collect();
                format!("command = {command:?}")
            } else {
                let line = line.replace("LOCK", &at("session.lock"));
                line.replace("DIR", &folder.display().to_string())
            };
            toml += &line;
            toml.push('\n');
        }
        toml
    }

    /// Holds the lock as any user of flock(2) does, until dropped.
    #[track_caller]
    pub(crate) fn hold(&self) -> File {
        let file = self.open_lock();
        file.lock_exclusive().expect("flock works here");
        file
    }

    /// Whether nobody holds the lock. Not while somebody waits for it: he might be overtaken.
    pub(crate) fn is_free(&self) -> bool {
        self.open_lock().try_lock_exclusive().is_ok()
    }

    fn open_lock(&self) -> File {
        let mut options = File::options();
        let file = options
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.lock());
        file.expect("the lock can be opened")
    }

    /// A plain user of flock(2) in the queue, who stands in the page as `run` as soon as the lock
    /// is his, says `mine`, and ends soon. Its program is not the scene's.
    #[track_caller]
    pub(crate) fn waiter(&self, run: u32) -> Tied {
        let script = format!("lock LOCK , mark PAGE {run} , out mine , sleep 5");
        let mut waiter = child::start(Command::new(bin::puppet()).args(self.words(&script)));
        until("it queues", || {
            waits_in(waiter.pid(), libc::SYS_flock) || waiter.try_wait().is_some()
        });
        waiter
    }

    /// The waiter gets the lock, and nobody of another run lives then.
    #[track_caller]
    pub(crate) fn gets_its_turn(&self, mut waiter: Tied) {
        let status = ended(&mut waiter);
        assert!(status.success() && waiter.line().as_deref() == Some("mine"));
        assert_eq!(
            self.page.overlaps(),
            (0, vec![]),
            "the lock was free too early"
        );
    }

    /// The runs of the claims beside the lock whose owners live.
    pub(crate) fn claims(&self) -> Vec<Record> {
        let claims = list(&claims_folder(&self.lock())).claims.into_iter();
        claims
            .filter(|(_, lives)| *lives)
            .map(|(record, _)| record)
            .collect()
    }

    /// How many runs of the program wait for the lock, as their claims tell.
    pub(crate) fn waiting(&self) -> usize {
        let claims = self.claims();
        claims
            .iter()
            .filter(|claim| claim.state == State::Waiting)
            .count()
    }

    /// Every process whose program is the scene's puppet, whatever its namespace. (A zombie has no
    /// program; one with a living thread stands in the page.)
    pub(crate) fn living(&self) -> Vec<i32> {
        // Not by its path, which reads otherwise in another mount namespace.
        let identity = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
        let own = identity(&self.puppet());
        let runs_it = |pid: &i32| identity(format!("/proc/{pid}/exe").as_ref()) == own;
        all().filter(runs_it).collect()
    }

    /// Nobody of a run lives: neither in the page nor by his program.
    #[track_caller]
    pub(crate) fn assert_empty(&self) {
        assert_eq!((self.living(), self.page.alive()), (vec![], [].into()));
        assert_eq!(self.page.marks().1, 0, "the page had room for all");
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // What a failed test leaves; a storm takes several looks.
        for _ in 0..1000 {
            let living = self.living();
            if living.is_empty() {
                return;
            }
            for pid in living {
                signal(pid, SIGKILL);
            }
        }
    }
}

fn all() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Waits for the end of `process`, for as long as a test may wait for anything.
#[track_caller]
pub(crate) fn ended(process: &mut Tied) -> ExitStatus {
    process.hang_up();
    until_some("it ends", || process.try_wait())
}

/// The first child of `pid`: the monitor of a guard, the command of a monitor.
#[track_caller]
pub(crate) fn child_of(pid: i32) -> i32 {
    until_some("a child", || children(pid).first().copied())
}

/// Whether a thread of `pid` rests in this system call (`proc_pid_syscall(5)`).
pub(crate) fn waits_in(pid: i32, call: i64) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    tasks
        .filter_map(|task| fs::read_to_string(task.path().join("syscall")).ok())
        .any(|text| text.split(' ').next() == Some(&call.to_string()))
}

/// The state letter of a process (`proc_pid_stat(5)`); none if it is gone.
pub(crate) fn state(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}
