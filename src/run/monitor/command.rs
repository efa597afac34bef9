//! The command's process: made, its program run or not, signalled, reaped.
//!
//! Owns `Monitor::prepared`, `Monitor::command`, `Monitor::asked` and `Monitor::starting`. Invariant: `command` is
//! our own unreaped child, or `None`; so its number is nobody else's.

use std::io;

use nix::errno::Errno;

use super::{Monitor, Setup};
use crate::config::plan::RunPlan;
use crate::core::event::{Event, Target};
use crate::core::note::Note;
use crate::core::outcome::{SpawnStep, Status};
use crate::run::command::{Prepared, prepare};
use crate::run::message::Progress;
use crate::run::notify::NotifySocket;
use crate::run::output::Output;
use crate::sys::proc::Fault;
use crate::sys::pty::{self, Pty};
use crate::sys::wait::{self, Reaped};
use crate::sys::{fd, limits, process, spawn};

impl Monitor<'_> {
    pub(super) fn spawn(&mut self) -> Event {
        match self.try_spawn() {
            Ok(pid) => {
                self.command = Some(pid);
                self.dirs_running(pid);
                Event::Forked { pid }
            }
            Err((step, errno)) => {
                self.spawn_failed(step, errno);
                Event::SpawnFailed {
                    step,
                    errno,
                    forked: false,
                }
            }
        }
    }

    /// Tells others that the command runs.
    pub(super) fn claim(&mut self) {
        if let Some(pid) = self.command {
            let mut claims = std::mem::take(&mut self.setup.claims);
            let trouble = claims.running(self.owner(), pid);
            self.setup.claims = claims;
            self.note_all(trouble);
        }
        self.waited = None;
    }

    fn try_spawn(&mut self) -> Result<i32, spawn::Failure> {
        let pty = match &self.setup.plan.pty {
            Some(pty) => Some(Pty::open(pty.rows, pty.cols, pty.echo).map_err(|error| {
                let errno = error.raw_os_error();
                (SpawnStep::Terminal, errno.unwrap_or(Errno::ENOTTY as i32))
            })?),
            None => None,
        };
        let (output, ends) = Output::start(self.owner(), &self.setup.secrets, pty)
            .map_err(|error| stdio(&error))?
            .unzip();
        self.output = output;
        let prepared = self.prepared.take().unwrap_or_else(|| self.prepare())?;
        if let Some(socket) = &mut self.notify {
            socket.expect_user(prepared.user());
        }
        let spawned = prepared.spawn(ends.as_ref())?;
        let pid = spawned.pid;
        self.starting = Some(spawned);
        if fd::close_inherited() {
            self.tell(&Progress::Spawned);
        }
        Ok(pid)
    }

    pub(super) fn prepare(&mut self) -> Result<Prepared, spawn::Failure> {
        if self.setup.plan.listens() {
            self.notify = Some(NotifySocket::open().map_err(|error| stdio(&error))?);
        }
        let group = self.make_group();
        let Setup {
            plan,
            run_id,
            session,
            ref started_in,
            ..
        } = self.setup;
        let address = self.notify.as_ref().map(NotifySocket::address);
        prepare(
            plan,
            run_id,
            session,
            started_in.as_deref(),
            address,
            self.from_files.as_deref(),
            group,
        )
    }

    pub(super) fn exec_ended(&mut self) {
        let Some(starting) = self.starting.take() else {
            return;
        };
        let event = match starting.failure() {
            None => Event::Executed,
            Some((step, errno)) => {
                self.spawn_failed(step, errno);
                Event::SpawnFailed {
                    step,
                    errno,
                    forked: true,
                }
            }
        };
        self.step(event);
    }

    fn spawn_failed(&mut self, step: SpawnStep, errno: i32) {
        let command = self.setup.plan.command.first();
        let command = command
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let plan = self.setup.plan;
        let on = match step {
            SpawnStep::Dir => {
                let dir = plan.dir.as_ref().or(self.setup.started_in.as_ref());
                dir.map(|dir| dir.display().to_string())
            }
            SpawnStep::User => {
                let both = [plan.user.as_deref(), plan.group.as_deref()];
                Some(both.into_iter().flatten().collect::<Vec<_>>().join(":"))
            }
            SpawnStep::Terminal => Some(pty::MULTIPLEXER.to_owned()),
            SpawnStep::Limits => Some(refused_limit(plan).unwrap_or("").to_owned()),
            SpawnStep::Nice => plan.process.nice.map(|nice| nice.to_string()),
            SpawnStep::OomScore => plan.process.oom_score_adj.map(|score| score.to_string()),
            SpawnStep::Fork
            | SpawnStep::Stdio
            | SpawnStep::Session
            | SpawnStep::NoNewPrivs
            | SpawnStep::Group => None,
            SpawnStep::Exec => Some(&*command)
                .filter(|name| !name.contains('/'))
                .and_then(|_| searched(plan)),
        };
        self.setup.journal.note(Note::SpawnFailed {
            command,
            on,
            step,
            errno,
        });
    }

    pub(super) fn reap(&mut self) {
        self.read_notices();
        let mut command = None;
        let mut reaped = false;
        let empty = loop {
            match wait::reap() {
                Reaped::Child(pid, status) => {
                    reaped = true;
                    if self.command == Some(pid) {
                        command = Some(self.command_reaped(status));
                    }
                }
                Reaped::NoneYet => break false,
                Reaped::NoChild => break true,
            }
        };
        if reaped || empty {
            self.step(Event::Reaped { command, empty });
        }
        if self.command.is_some_and(wait::is_stopped) {
            self.step(Event::CommandStopped);
        }
    }

    /// Its process has gone, so what it told before, it has told by now.
    fn command_reaped(&mut self, status: Status) -> Status {
        self.command = None;
        self.exec_ended();
        status
    }

    /// The command is our own unreaped child, so neither its number nor its group's can be a stranger's.
    pub(super) fn signal(&self, to: Target, signo: i32) {
        let Some(pid) = self.command else { return };
        let whom = match to {
            Target::Command => pid,
            Target::Group => -pid,
        };
        let _ = process::kill(whom, signo);
    }

    /// The first to need /proc, and so the one to say what is wrong with it.
    pub(super) fn ask_descendants(&mut self) {
        let Some(fault) = self.asked.ask_descendants() else {
            return;
        };
        if std::mem::replace(&mut self.proc_fault_said, true) {
            return;
        }
        let (what, remedy) = match fault {
            Fault::Missing => ("it is not mounted", "mount it (mount -t proc proc /proc)"),
            Fault::Foreign => (
                "it belongs to another PID namespace",
                "mount that of this one (mount -t proc proc /proc)",
            ),
            Fault::Hiding => (
                "it hides the processes of other users",
                "mount it without hidepid",
            ),
        };
        let text = format!(
            "{what}, so that only our own children are asked to go before KILL, and not theirs; {remedy}"
        );
        self.setup.journal.note(Note::ProcUnusable { text });
    }
}

fn stdio(error: &io::Error) -> spawn::Failure {
    let errno = error.raw_os_error().unwrap_or(Errno::EAGAIN as i32);
    (SpawnStep::Stdio, errno)
}

/// The limit that the kernel refused, by what we have ourselves, as the command had it.
fn refused_limit(plan: &RunPlan) -> Option<&str> {
    let refused = plan.process.rlimits.iter().find(|limit| {
        let own = limits::number(&limit.name).and_then(|number| limits::own(number).ok());
        own.is_some_and(|(_, hard)| {
            limit.hard.is_some_and(|wanted| wanted > hard)
                || limit.soft > Some(limit.hard.unwrap_or(hard))
        })
    });
    // The kernel has a limit of its own for open files, also for root (proc_sys_fs(5), nr_open).
    let refused = refused.or_else(|| plan.process.rlimits.first());
    refused.map(|limit| limit.name.as_str())
}

/// The PATH in which the command was looked for; `None`: a file may have set another.
fn searched(plan: &RunPlan) -> Option<String> {
    if !plan.process.env_files.is_empty() || !plan.process.env_from.is_empty() {
        return None;
    }
    let set = plan.env.iter().rev().find(|(name, _)| name == "PATH");
    let own = || Some(std::env::var_os("PATH")?.to_string_lossy().into_owned());
    set.map(|(_, path)| path.clone()).or_else(own)
}
