//! Signals: which of them ask for the stop, which are the command's, and the stop of job control.
//!
//! The plan's `signals` change what the command is told, never what a stop is: one that is dropped is as
//! if it had not come; in the place of another the command is sent what the map says, wherever it would
//! have been sent that one. The stop signal is what the map says when the plan is made.

use super::{Command, Run, State};
use crate::core::event::{Action, Target};
use crate::core::outcome::Reason;
use crate::core::time::Time;

// The numbers that are the same on every architecture Linux runs on, but for MIPS and SPARC, which
// `sys::signals` refuses to build for (signal(7)).
pub(super) const SIGHUP: i32 = 1;
pub(super) const SIGINT: i32 = 2;
const SIGQUIT: i32 = 3;
pub(super) const SIGTERM: i32 = 15;
const SIGCHLD: i32 = 17;
pub(super) const SIGCONT: i32 = 18;
const SIGSTOP: i32 = 19;
pub(super) const SIGTSTP: i32 = 20;
pub(super) const SIGTTIN: i32 = 21;
pub(super) const SIGTTOU: i32 = 22;
/// From here on signals are real-time ones: each that is sent arrives (signal(7)).
const FIRST_REAL_TIME: i32 = 32;

impl Run {
    pub(super) fn signal(&mut self, now: Time, signo: i32, kernel: bool, out: &mut Vec<Action>) {
        // What a terminal sends, it sends to the whole foreground group: the command has it already.
        let command_has_it = kernel && !self.facts.own_session;
        let Some(sent) = self.facts.signals.of(signo) else {
            return;
        };
        match signo {
            SIGCHLD => {}
            SIGTERM | SIGINT | SIGHUP if self.facts.ignored.contains(&signo) => {}
            SIGINT if command_has_it => {}
            SIGHUP if !self.facts.hup_stops => self.pass(sent, out),
            SIGTERM | SIGINT | SIGHUP => self.stop_asked(now, Reason::Signal(signo), out),
            _ if command_has_it => {}
            SIGQUIT
                if matches!(
                    self.state,
                    State::Checking | State::Claiming | State::Queued
                ) =>
            {
                self.finish(now, Reason::Signal(signo), out);
            }
            SIGTSTP | SIGTTIN | SIGTTOU if self.facts.own_session && sent == signo => {
                self.suspend(out);
            }
            _ => self.pass(sent, out),
        }
    }

    /// The command's session has no shell that could continue it: its group is orphaned, and only
    /// SIGSTOP stops an orphaned group. Where a shell can continue us we stop once the command has; in
    /// the queue at once, and lose our place to those who want the lock now.
    pub(super) fn suspend(&mut self, out: &mut Vec<Action>) {
        match self.state {
            State::Checking | State::Claiming | State::Queued if self.facts.job_control => {
                out.push(Action::StopSelf);
            }
            State::Running => {
                self.stop_passed = true;
                self.pass(SIGSTOP, out);
            }
            State::New
            | State::Checking
            | State::Claiming
            | State::Queued
            | State::Stopping
            | State::Leftovers
            | State::Killing
            | State::Sweeping
            | State::Over => {}
        }
    }

    pub(super) fn pass(&mut self, signo: i32, out: &mut Vec<Action>) {
        if self.command == Command::Executed {
            if self.status.is_none() {
                out.push(Action::Signal {
                    to: self.target(),
                    signo,
                });
            }
        } else if signo >= FIRST_REAL_TIME || !self.early.contains(&signo) {
            self.early.push(signo);
        }
    }

    pub(super) fn executed(&mut self, out: &mut Vec<Action>) {
        self.command = Command::Executed;
        let to = self.target();
        out.extend(
            self.early
                .drain(..)
                .map(|signo| Action::Signal { to, signo }),
        );
    }

    /// Before its program runs, the command may not lead its group yet.
    pub(super) const fn target(&self) -> Target {
        if self.facts.own_session && matches!(self.command, Command::Executed) {
            Target::Group
        } else {
            Target::Command
        }
    }

    /// Whoever stops a command in a session of its own behind our back continues it there, too, and
    /// nobody would continue us: the lock would stay held by two stopped processes for ever.
    pub(super) fn command_stopped(&mut self, out: &mut Vec<Action>) {
        let through_us = std::mem::take(&mut self.stop_passed) || !self.facts.own_session;
        if through_us && self.facts.job_control && self.state == State::Running {
            out.push(Action::StopSelf);
        }
    }
}
