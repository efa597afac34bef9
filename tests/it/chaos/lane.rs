//! One lane of a campaign: a shared folder with its lock, bound into several PID namespaces that
//! live over many rounds, a marker page, and the thread that plays round after round.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::campaign::{Options, Program};
use super::phase::PHASES;
use super::plan::{PLAIN, Work};
use super::space::{Bind, Handle, Space};
use crate::support::bin::puppet;
use crate::support::child;
use crate::support::dir::Dir;
use crate::support::page::{Page, Run};

/// How many namespaces live on from round to round; one more is for PID 1s of a round's own.
pub(crate) const SPACES: usize = 3;

/// What all lanes share.
pub(crate) struct Shared<'a> {
    pub(crate) options: &'a Options,
    /// How many stops each phase has had, at most: where a kill can be placed.
    pub(crate) stops: [AtomicU32; PHASES.len()],
    pub(crate) next_round: AtomicU32,
}

/// What the watchdog needs of a lane: the present round's beginning, and whom to kill to free it.
#[derive(Default)]
pub(crate) struct Slot {
    pub(crate) since: Mutex<Option<Instant>>,
    pub(crate) inits: Mutex<Vec<Handle>>,
    pub(crate) fired: AtomicBool,
}

impl Slot {
    pub(crate) fn set(&self, since: Option<Instant>) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// Kills what is in the lane's namespaces, if its round began too long ago.
    pub(crate) fn check(&self, options: &Options) {
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if since.is_some_and(|since| since.elapsed() > options.limit)
            && !self.fired.swap(true, SeqCst)
        {
            self.kill();
        }
    }

    /// Kills all that is in the lane's namespaces.
    pub(crate) fn kill(&self) {
        let inits = self.inits.lock().unwrap_or_else(PoisonError::into_inner);
        for init in inits.iter() {
            init.signal(libc::SIGKILL);
        }
    }
}

/// One lane.
pub(crate) struct Lane<'a> {
    pub(crate) shared: &'a Shared<'a>,
    pub(crate) slot: &'a Slot,
    pub(crate) dir: Dir,
    pub(crate) page: Page,
    pub(crate) spaces: Vec<Space>,
    /// PID 1s that were reaped: their numbers mean nothing any more.
    pub(crate) reaped: BTreeSet<i32>,
}

impl<'a> Lane<'a> {
    pub(crate) fn new(shared: &'a Shared<'a>, slot: &'a Slot) -> Self {
        let dir = Dir::new();
        fs::create_dir(dir.join("share")).expect("room for a folder");
        fs::write(dir.join("share/session.lock"), "").expect("room for a file");
        for space in 0..=SPACES {
            let folder = dir.join(format!("login{space}"));
            fs::create_dir(&folder).expect("room for a folder");
            let text = format!(
                "[locks.shared]\npath = \"{}/session.lock\"\n[classes.batch]\nlock = \"shared\"\n\
                 stop = {{ grace = \"10ms\", leftover_grace = \"10ms\" }}\n",
                folder.display()
            );
            fs::write(dir.join(format!("config{space}.toml")), text).expect("room for a file");
        }
        let page = Page::open(&dir.join("page")).expect("the page can be mapped");
        let mut lane = Self {
            shared,
            slot,
            dir,
            page,
            spaces: Vec::new(),
            reaped: BTreeSet::new(),
        };
        lane.reopen();
        lane
    }

    /// The lock as the harness sees it, outside of all namespaces.
    pub(crate) fn lock(&self) -> PathBuf {
        self.dir.join("share/session.lock")
    }

    pub(crate) fn claims(&self) -> PathBuf {
        self.dir.join("share/session.lock.d")
    }

    pub(crate) fn logs(&self, round: u32, who: usize) -> PathBuf {
        self.dir.join(format!("log-{round}-{who}"))
    }

    pub(crate) fn bind(&self, space: usize) -> Bind {
        Bind {
            from: self.dir.join("share"),
            to: self.dir.join(format!("login{space}")),
        }
    }

    /// Makes the namespaces whose PID 1 has gone anew. One of them has the program itself as PID 1,
    /// so that it adopts strangers.
    pub(crate) fn reopen(&mut self) {
        let mut old: BTreeMap<usize, Space> = std::mem::take(&mut self.spaces)
            .into_iter()
            .enumerate()
            .filter(|(_, space)| !self.reaped.contains(&space.pid1))
            .collect();
        self.reaped.clear();
        for space in 0..SPACES {
            let kept = old.remove(&space).unwrap_or_else(|| {
                let mut init;
                match &self.shared.options.program {
                    Program::Lockkeeper(program) if space == 1 => {
                        init = self.command(program);
                        init.args(["-q", "--"]).arg(puppet()).arg("hang");
                    }
                    _ => {
                        init = self.command(&puppet());
                        init.args(["ignore", "CHLD", ",", "hang"]);
                    }
                }
                Space::open(init, &self.bind(space)).expect("root may make a namespace")
            });
            self.spaces.push(kept);
        }
        self.watch(None);
    }

    /// Tells the watchdog whom to kill, `extra` among them.
    pub(crate) fn watch(&self, extra: Option<i32>) {
        let inits = self.spaces.iter().map(|space| space.pid1).chain(extra);
        let handles = inits.filter_map(|pid| Handle::of(pid, 0)).collect();
        *self
            .slot
            .inits
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = handles;
    }

    pub(crate) fn new_run(&self) -> Run {
        self.page.new_run()
    }

    /// A program with nothing of the test's environment; what it says against somebody is kept.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        child::bare(&mut command);
        let told = fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.join("stderr"));
        if let Ok(told) = told {
            command.stderr(told);
        }
        command
    }

    /// The command of contender `who` for its place in namespace `space`.
    pub(crate) fn contender(
        &self,
        round: u32,
        who: usize,
        space: usize,
        work: &Work,
        run: Run,
        as_init: bool,
    ) -> Command {
        let page = self.dir.join("page").display().to_string();
        let script = work.script(&page, run.get());
        let lock = self.dir.join(format!("login{space}/session.lock"));
        let mut command;
        match &self.shared.options.program {
            Program::Lockkeeper(program) if who != PLAIN => {
                let logs = self.logs(round, who);
                fs::create_dir(&logs).expect("room for a folder");
                command = self.command(program);
                command.env("LOCKKEEPER_EVENT_LOG", logs);
                let config = self.dir.join(format!("config{space}.toml"));
                command.args(if as_init { &["-q"][..] } else { &["run", "-q"] });
                command.arg("-c").arg(config).args(["--class", "batch"]);
                if !as_init {
                    command.args(work.limits());
                }
                command.arg("--");
            }
            Program::Chain if who != PLAIN => {
                command = self.command(Path::new("flock"));
                command.args(["-w", "60"]).arg(lock).args(["timeout", "60"]);
            }
            _ => {
                command = self.command(Path::new("flock"));
                command.arg(lock);
            }
        }
        command.arg(puppet()).args(script);
        command
    }
}
