//! The command that is told of events: its process.
//!
//! Which event it is given when is told by [`crate::core::hook`]. An event lies in a memfd that is its
//! standard input, so that nobody waits for it to read; what it prints is thrown away, its errors go to
//! ours. It leads a session of its own, which is killed when its time is over; what has left that is an
//! orphan of the container like any other.
//!
//! Monitors send what they note over the wire that init has to each run. `lockkeeper run` in a shell tells
//! nobody: who called it sees it.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::fd::OwnedFd;

use crate::config::plan::EventPlan;
use crate::core::hook::{Action, Event, Hook as Policy};
use crate::core::note::Note;
use crate::core::outcome::Status;
use crate::core::time::Time;
use crate::run::command::{NOTIFY_SOCKET, WATCHDOG};
use crate::sys::spawn::{Command, Memory, Session};
use crate::sys::{memfd, process};
use crate::trouble;

use super::control::place;

/// The command, and its process where one goes on.
#[derive(Debug)]
pub struct Hook {
    plan: EventPlan,
    policy: Policy,
    pid: Option<i32>,
}

impl Hook {
    /// One that has been told nothing.
    pub const fn new(plan: EventPlan) -> Self {
        let policy = Policy::new(plan.timeout);
        Self {
            plan,
            policy,
            pid: None,
        }
    }

    /// What it was made from.
    pub const fn plan(&self) -> &EventPlan {
        &self.plan
    }

    /// When [`Event::Tick`] is wanted.
    pub const fn next_deadline(&self) -> Option<Time> {
        self.policy.next_deadline()
    }

    /// Whether it is being told something.
    pub const fn is_going(&self) -> bool {
        self.policy.is_going()
    }

    /// Its process was reaped; whether it was that.
    pub fn reaped(&mut self, now: Time, pid: i32, status: Status, notes: &mut Vec<Note>) -> bool {
        let is_ours = self.pid == Some(pid);
        if is_ours {
            self.pid = None;
            self.step(now, Event::Gone(status), notes);
        }
        is_ours
    }

    /// Hands `event` to the policy and does what that answers; what is to be said of it goes to `notes`.
    pub fn step(&mut self, now: Time, event: Event, notes: &mut Vec<Note>) {
        let mut next = Some(event);
        while let Some(event) = next.take() {
            let mut actions = Vec::new();
            self.policy.handle(now, event, &mut actions);
            for action in actions {
                match action {
                    Action::Start(text) => match self.start(&text) {
                        Ok(pid) => self.pid = Some(pid),
                        Err(why) => next = Some(Event::NotStarted { why }),
                    },
                    Action::Kill => self.kill(),
                    Action::Complain(how) => {
                        let program = self.plan.command.first();
                        let program = program.map(|word| word.to_string_lossy().into_owned());
                        notes.push(Note::EventFailed {
                            program: program.unwrap_or_default(),
                            how,
                        });
                    }
                }
            }
        }
    }

    /// Ends its process, if one goes on, and what is left in its group.
    pub fn kill(&mut self) {
        if let Some(pid) = self.pid {
            // It leads the group as long as it is our unreaped child.
            let _ = process::kill(-pid, libc::SIGKILL);
            let _ = process::kill(pid, libc::SIGKILL);
        }
    }

    fn start(&self, text: &str) -> Result<i32, String> {
        let written = || -> std::io::Result<OwnedFd> {
            let mut file = File::from(memfd::create()?);
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")?;
            file.rewind()?;
            Ok(file.into())
        };
        let input = written().map_err(|error| trouble::text_of(&error))?;
        let nowhere = File::options().write(true).open("/dev/null").ok();
        let nowhere = nowhere.map(OwnedFd::from);
        let spawn = || {
            let mut command = Command::new(&self.plan.command, &[])?;
            command
                .session(Session::Own)
                .unset(&[NOTIFY_SOCKET, place::VARIABLE])
                .unset(&WATCHDOG)
                .stdio(Some(&input), nowhere.as_ref(), None);
            // An exec that fails is told by its exit code.
            command.spawn(Memory::Copied)
        };
        let spawned = spawn().map_err(|(step, errno)| {
            let program = self.plan.command.first().map(|word| word.to_string_lossy());
            trouble::start(step, errno, &program.unwrap_or_default())
        })?;
        Ok(spawned.pid)
    }
}
