//! The guard: the process that the caller sees. It exists for one case, that the monitor dies.
//!
//! It opens the lock file before it forks the monitor, so that both own one open file description,
//! and holds it without ever using it. When the monitor dies without a report, the orphans of
//! exactly this run become the guard's children: it kills until none is left, and only then frees
//! the lock. It has one thread and rests in one poll; what reaches it is passed on.

use std::io;
use std::os::fd::{AsFd, RawFd};
use std::time::Duration;

use super::message::{Incoming, Order, Progress, receive, send};
use crate::core::outcome::Outcome;
use crate::sys::fd::{self, Wire};
use crate::sys::process::{self, Forked};
use crate::sys::signals::{self, Signal, Signals};
use crate::sys::wait::{self, Reaped};
use crate::sys::{clock, poll, tree};

/// How often survivors of KILL are killed anew and looked at.
const KILL_RETRY: Duration = Duration::from_secs(2);

/// How a monitor's life ended, as its guard sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// It reported the end of the run.
    Ended(Outcome),
    /// It asks to begin anew, with the file that now bears the lock's name.
    StartOver,
    /// It died; so many processes of the run were ended here.
    Died {
        /// How many children were reaped after it.
        reaped: u32,
    },
}

/// Forks a monitor, which runs `monitor` with its end of a wire and exits with the code that comes
/// back, and watches it to its end. `init` is the wire to the init that started this run; `inherited`
/// are the descriptors that are the job's and not ours.
///
/// Must be called while the process has one thread. Fails where nothing could be forked.
pub fn watch(
    init: Option<&Wire>,
    inherited: &[RawFd],
    monitor: impl FnOnce(Wire) -> u8,
) -> io::Result<Watched> {
    let signals = Signals::open()?;
    let (own_end, its_end) = Wire::pair()?;
    match process::fork()? {
        Forked::Child => {
            drop((own_end, signals));
            process::exit_now(monitor(its_end))
        }
        Forked::Parent(pid) => {
            drop(its_end);
            fd::close(inherited);
            let guard = Guard {
                pid,
                monitor: own_end,
                monitor_silent: false,
                init,
                init_gone: false,
                signals,
                stopping: false,
                last: None,
            };
            Ok(guard.watch())
        }
    }
}

struct Guard<'a> {
    /// The monitor's process.
    pid: i32,
    monitor: Wire,
    /// Nothing more will come from it.
    monitor_silent: bool,
    init: Option<&'a Wire>,
    init_gone: bool,
    signals: Signals,
    /// The monitor is about to stop, and we with it.
    stopping: bool,
    /// The monitor's last word.
    last: Option<Watched>,
}

impl Guard<'_> {
    fn watch(mut self) -> Watched {
        loop {
            let init = self.init.filter(|_| !self.init_gone).map(AsFd::as_fd);
            let monitor = (!self.monitor_silent).then(|| self.monitor.as_fd());
            let fds = [monitor, Some(self.signals.as_fd()), init];
            let [told, signal, ordered] = poll::wait(fds, None);
            if told {
                self.read_monitor();
            }
            if ordered {
                self.read_init();
            }
            if signal && self.read_signals() {
                return self.monitor_gone();
            }
            self.stop_with_monitor();
        }
    }

    fn read_monitor(&mut self) {
        loop {
            match receive(&self.monitor) {
                Incoming::Message(Progress::Ended(outcome)) => {
                    self.last = Some(Watched::Ended(outcome));
                }
                Incoming::Message(Progress::StartOver) => self.last = Some(Watched::StartOver),
                Incoming::Message(Progress::Stopped) => self.stopping = true,
                Incoming::Message(progress @ (Progress::Waiting | Progress::Running(_))) => {
                    if let Some(init) = self.init {
                        send(init, &progress);
                    }
                }
                Incoming::Nothing => return,
                // It exits, or was killed: the kernel says so next, by SIGCHLD.
                Incoming::Gone => {
                    self.monitor_silent = true;
                    return;
                }
            }
        }
    }

    /// Once the monitor has stopped, and not when it is about to: the caller's shell continues its
    /// job as soon as it sees us stopped, and a stop that comes after that would stand for ever.
    fn stop_with_monitor(&mut self) {
        if self.stopping && wait::is_stopped(self.pid) {
            self.stopping = false;
            signals::stop_self();
            self.continue_monitor();
        }
    }

    /// Who continues us alone means the whole run; whether the monitor was stopped.
    fn continue_monitor(&self) -> bool {
        let stopped = wait::is_stopped(self.pid);
        if stopped {
            let _ = process::kill(self.pid, libc::SIGCONT);
        }
        stopped
    }

    fn read_init(&mut self) {
        while let Some(init) = self.init.filter(|_| !self.init_gone) {
            match receive::<Order>(init) {
                Incoming::Message(order) => send(&self.monitor, &order),
                Incoming::Nothing => return,
                Incoming::Gone => {
                    self.init_gone = true;
                    send(&self.monitor, &Order::Stop(None));
                }
            }
        }
    }

    /// Passes on what a process sent us; whether the monitor has ended. What a terminal sends, it
    /// sends to the monitor too, which is in our process group.
    fn read_signals(&mut self) -> bool {
        let mut ended = false;
        while let Ok(Some(Signal { signo, kernel })) = self.signals.next() {
            match signo {
                libc::SIGCHLD => ended |= self.reap(),
                libc::SIGCONT if self.continue_monitor() => {}
                // A terminal that hangs up tells the leader of its session alone, which may be us.
                libc::SIGHUP => send(&self.monitor, &Order::Signal(signo)),
                _ if kernel => {}
                _ => send(&self.monitor, &Order::Signal(signo)),
            }
        }
        ended
    }

    /// Reaps all that have ended; whether the monitor was among them. As PID 1 a guard inherits
    /// strangers too.
    fn reap(&self) -> bool {
        let mut ended = false;
        while let Reaped::Child(pid, _) = wait::reap() {
            ended |= pid == self.pid;
        }
        ended
    }

    fn monitor_gone(mut self) -> Watched {
        self.read_monitor();
        self.last.unwrap_or_else(|| Watched::Died {
            reaped: empty_the_tree(&self.signals),
        })
    }
}

/// Kills our children, level by level, until none is left that could run; says how many were reaped.
fn empty_the_tree(signals: &Signals) -> u32 {
    let mut count = 0;
    let mut retried = false;
    loop {
        tree::kill_children();
        loop {
            match wait::reap() {
                Reaped::Child(..) => count += 1,
                Reaped::NoneYet => break,
                Reaped::NoChild => return count,
            }
        }
        if retried && tree::survivors().is_empty() {
            return count;
        }
        let until = clock::now() + KILL_RETRY;
        let [signal] = poll::wait([Some(signals.as_fd())], Some(until));
        while let Ok(Some(_)) = signals.next() {}
        retried |= !signal;
    }
}
