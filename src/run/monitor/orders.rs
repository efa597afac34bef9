//! What others want of the run: signals, the orders of the guard or of init, the stop of job control.

use super::Monitor;
use crate::config::plan::SignalMap;
use crate::core::event::Event;
use crate::run::message::{Incoming, Order, Progress, receive, send};
use crate::sys::fd::Wire;
use crate::sys::signals::{self, Signals};
use crate::sys::spawn::Session;
use crate::sys::{tty, wait};

impl Monitor<'_> {
    pub(super) fn read_signals(&mut self) {
        let mut children = false;
        while let Ok(Some(signal)) = self.signals.next() {
            if signal.signo == libc::SIGCHLD {
                children = true;
            } else {
                self.step(Event::Signal {
                    signo: signal.signo,
                    kernel: signal.kernel,
                });
            }
        }
        if children {
            self.reap();
        }
    }

    pub(super) fn read_orders(&mut self) {
        while let Some(above) = self.above() {
            match receive(above) {
                Incoming::Message(Order::Signal(signo)) => {
                    self.step(Event::Signal {
                        signo,
                        kernel: false,
                    });
                }
                Incoming::Message(Order::Stop(within)) => self.step(Event::StopWithin { within }),
                Incoming::Nothing => return,
                Incoming::Gone => {
                    if self.setup.guard.take().is_none() {
                        self.setup.init = None;
                    }
                    self.step(Event::GuardLost);
                }
            }
        }
    }

    /// Stops with the command, where a shell could continue us. Who continues us alone, and not our
    /// whole group as a shell does, means the command too; one in a session of its own was stopped for
    /// us to stop, and goes on also where we cannot. A command that the terminal has stopped anew by
    /// then is left stopped: its TSTP came to us as well.
    pub(super) fn stop_self(&self) -> Option<Event> {
        let stops = tty::has_shell_above();
        if stops {
            self.tell(&Progress::Stopped);
            signals::stop_self();
        }
        let still_stopped = self.command.is_some_and(wait::is_stopped);
        let goes_on = match self.setup.session {
            Session::Shared => stops && !signals::is_pending(libc::SIGTSTP),
            Session::Own | Session::OwnWithTerminal | Session::OwnPty => true,
        };
        (still_stopped && goes_on).then_some(Event::Signal {
            signo: libc::SIGCONT,
            kernel: false,
        })
    }

    /// Whose orders count: the guard's, and when it has died those of the init above it.
    pub(super) fn above(&self) -> Option<&Wire> {
        self.setup.guard.as_ref().or(self.setup.init)
    }

    pub(super) fn tell(&self, progress: &Progress) {
        if let Some(guard) = &self.setup.guard {
            send(guard, progress);
        }
    }
}

/// Whether a request to stop is among the signals that have come; the others have no addressee any more.
pub(in crate::run) fn stop_is_pending(signals: &Signals, map: &SignalMap) -> bool {
    let mut pending = std::iter::from_fn(|| signals.next().ok().flatten());
    pending.any(|signal| asks(signal.signo, map))
}

/// Whether `above` has gone, or one of the orders that have come is to stop.
pub(in crate::run) fn stop_is_ordered(above: &Wire, map: &SignalMap) -> bool {
    loop {
        match receive(above) {
            Incoming::Message(order) if !is_stop(order, map) => {}
            Incoming::Nothing => return false,
            Incoming::Message(_) | Incoming::Gone => return true,
        }
    }
}

/// Whether that is a request to stop.
pub(in crate::run) fn is_stop(order: Order, map: &SignalMap) -> bool {
    match order {
        Order::Signal(signo) => asks(signo, map),
        Order::Stop(_) => true,
    }
}

fn asks(signo: i32, map: &SignalMap) -> bool {
    matches!(signo, libc::SIGTERM | libc::SIGINT | libc::SIGHUP)
        && !map.drops(signo)
        && !signals::started_ignored().contains(&signo)
}
