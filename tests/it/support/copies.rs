//! Working copies with directory locks of every kind, made by those who make them: real runs, real
//! processes, and records as other tools write them.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lockkeeper::lock::dir::judge::Here;
use lockkeeper::lock::dir::place::Place;
use lockkeeper::lock::dir::record::{DirRecord, now};
use nix::sys::signal::Signal::{SIGKILL, SIGSTOP};
use serde_json::Value;

use super::bin;
use super::child::{self, Tied, bare, output, signal};
use super::dir::Dir;
use super::scene::child_of;
use super::wait::until;

/// No process has the highest number of all.
pub(crate) const NOBODY: i32 = i32::MAX;

/// A root with working copies below.
pub(crate) struct Copies {
    pub(crate) root: Dir,
    /// A home without anything of other tools.
    home: Dir,
}

/// A record, its bytes and the file that it is.
pub(crate) type Seen = Option<(Vec<u8>, u64)>;

impl Copies {
    pub(crate) fn new() -> Self {
        Self {
            root: Dir::new(),
            home: Dir::new(),
        }
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// A working copy, made where it is missing.
    pub(crate) fn copy(&self, name: &str) -> PathBuf {
        let copy = self.root.join(name);
        fs::create_dir_all(&copy).unwrap();
        copy
    }

    pub(crate) fn record_path(&self, name: &str) -> PathBuf {
        self.root.join(name).join(".runtime/agent.lock")
    }

    /// A copy with these bytes for a record.
    pub(crate) fn write(&self, name: &str, record: impl AsRef<[u8]>) -> PathBuf {
        let copy = self.copy(name);
        fs::create_dir_all(copy.join(".runtime")).unwrap();
        fs::write(self.record_path(name), record).unwrap();
        copy
    }

    /// A copy with a record as gastown writes it here.
    pub(crate) fn gastown(&self, name: &str, pid: i32) -> PathBuf {
        self.write(name, gastown(pid).render())
    }

    pub(crate) fn seen(&self, name: &str) -> Seen {
        let path = self.record_path(name);
        let bytes = fs::read(&path).ok()?;
        Some((bytes, fs::metadata(&path).ok()?.ino()))
    }

    /// A living run that has locked the copy.
    pub(crate) fn run(&self, name: &str) -> Tied {
        let mut command = Command::new(bin::lockkeeper());
        bare(&mut command)
            .args(["run", "--dir-lock"])
            .arg(self.copy(name))
            .args(["--", "sh", "-c", "echo begun; exec sleep 1000"])
            .current_dir(self.root.join(name));
        let mut run = child::start(&mut command);
        assert_eq!(run.line().as_deref(), Some("begun"));
        // The record says so a moment later.
        until("the record says that it runs", || {
            fs::read_to_string(self.record_path(name)).is_ok_and(|text| text.contains("running"))
        });
        let command = child_of(child_of(run.pid()));
        until("the command is sleep", || {
            fs::read_to_string(format!("/proc/{command}/comm")).is_ok_and(|name| name == "sleep\n")
        });
        run
    }

    /// What a run leaves of which guard, monitor and command were killed at once.
    pub(crate) fn killed_run(&self, name: &str) {
        let mut run = self.run(name);
        let guard = run.pid();
        let monitor = child_of(guard);
        let command = child_of(monitor);
        let all = [guard, monitor, command];
        for sent in [SIGSTOP, SIGKILL] {
            for pid in all {
                signal(pid, sent);
            }
        }
        run.wait();
        until("all of it is gone", || {
            [monitor, command].iter().all(|pid| {
                let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
                stat.is_err() || stat.is_ok_and(|stat| stat.contains(") Z "))
            })
        });
        // A zombie's other threads may still be on their way out, and have its files.
        until("nobody holds its latch", || {
            Place::existing(&self.root.join(name)).unwrap().latch_held() == Some(false)
        });
    }

    /// `lockkeeper lock ARGS`, with the root for ROOT and what lies below it for ROOT/….
    pub(crate) fn command(&self, args: &str) -> Command {
        let mut command = Command::new(bin::lockkeeper());
        let root = self.root.display().to_string();
        let args = args
            .split_whitespace()
            .map(|arg| arg.replace("ROOT", &root));
        bare(&mut command)
            .arg("lock")
            .args(args)
            .env("HOME", &*self.home)
            .env("TMUX_TMPDIR", &*self.home);
        command
    }

    pub(crate) fn lock(&self, args: &str) -> Output {
        output(&mut self.command(args))
    }

    /// What `lock list` says of the copy.
    #[track_caller]
    pub(crate) fn of(&self, name: &str) -> Value {
        let json = json(&self.lock("list --json ROOT"));
        let dir = self.root.join(name).display().to_string();
        let locks = json.get("locks").and_then(Value::as_array).unwrap();
        let is_it = |lock: &&Value| lock.get("dir").unwrap() == dir.as_str();
        let found: Vec<_> = locks.iter().filter(is_it).collect();
        match found[..] {
            [found] => found.clone(),
            _ => panic!("{name}: {json:#}"),
        }
    }
}

/// A record as gastown writes it on this host.
pub(crate) fn gastown(pid: i32) -> DirRecord {
    DirRecord {
        pid,
        acquired_at: now(),
        hostname: Here::read().hostname,
        ..DirRecord::default()
    }
}

#[track_caller]
pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}
