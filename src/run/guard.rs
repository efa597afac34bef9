//! The guard: the process that the caller sees. It exists for one case, that the monitor dies.
//!
//! It opens the lock file before it forks the monitor, so that both own one open file description,
//! and holds it without ever using it. When the monitor dies without a report, the orphans of
//! exactly this run become the guard's children: it kills until none is left, and only then frees
//! the lock. It has one thread and rests in one poll; what reaches it is passed on.
//!
//! The residue: a monitor that is killed while one of its threads has a request at a file system whose
//! server has hung (FUSE lets no signal end such a wait) is not dead for the kernel before the answer,
//! its children have not become ours, and the lock stays held, as by any process that cannot be killed.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use super::message::{Incoming, Order, Progress, receive, send};
use crate::core::outcome::Outcome;
use crate::core::time::Time;
use crate::sys::fd::{self, Wire};
use crate::sys::process::{self, Forked};
use crate::sys::signals::{self, Signal, Signals};
use crate::sys::wait::{self, Reaped};
use crate::sys::{clock, crash, poll, tree};

/// How often survivors of KILL are killed anew and looked at.
const KILL_RETRY: Duration = Duration::from_secs(2);

/// How long a monitor that has reported the end of its run may take to be gone. One of its threads may
/// hang in the kernel, with a file system that does not answer: all its run held but the latch of a
/// directory there is free by then.
const GONE_WITHIN: Duration = Duration::from_secs(1);

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
/// back, and watches it to its end. `init` is the wire to the init that started this run.
///
/// `orders` are those that an earlier monitor of this run was sent and may not have read, as it asked
/// to start over meanwhile: this one gets them first. When it starts over itself, its own stand there.
///
/// What `monitor` owns, the lock and the latches of claims and directories, stays open here until the watch is over:
/// dropping it earlier would leave them to the monitor alone.
///
/// Should this process itself crash, it waits `crashed_within` for the end of the run.
///
/// Must be called while the process has one thread. Fails where nothing could be forked.
pub fn watch(
    init: Option<&Wire>,
    init_lost_within: Duration,
    crashed_within: Duration,
    orders: &mut Vec<Order>,
    monitor: impl FnOnce(Wire) -> u8,
) -> io::Result<Watched> {
    let signals = Signals::open()?;
    let (own_end, its_end) = Wire::pair()?;
    // What a shell started before it became us by exec is no part of the run.
    let strangers = if wait::has_child() {
        tree::children()
    } else {
        Vec::new()
    };
    // Before the fork: while we have not run again since, the command may already.
    crash::arm(crashed_within, None);
    match process::fork()? {
        Forked::Child => {
            drop((own_end, signals));
            crash::disarm();
            process::exit_now(monitor(its_end))
        }
        Forked::Parent(pid) => {
            drop(its_end);
            let keeps_inherited = fd::has_inherited();
            if !keeps_inherited {
                fd::close_inherited();
            }
            for order in &*orders {
                send(&own_end, order);
            }
            let guard = Guard {
                pid,
                monitor: own_end,
                keeps_inherited,
                strangers,
                init,
                init_lost_within,
                init_gone: false,
                orders,
                signals,
                stopping: false,
                over_at: None,
                last: None,
            };
            Ok(guard.watch())
        }
    }
}

struct Guard<'a> {
    /// The monitor's process.
    pid: i32,
    /// Read when the kernel says that something has become of the monitor, so that its words wake
    /// nobody; with one exception, the next field.
    monitor: Wire,
    /// Children of ours that were there before the monitor, and are not reaped yet.
    strangers: Vec<i32>,
    /// We still have what was inherited for the command, as the next monitor needs it if this one
    /// starts over; until the command is there.
    keeps_inherited: bool,
    init: Option<&'a Wire>,
    /// The time for the stop when init has died.
    init_lost_within: Duration,
    init_gone: bool,
    /// What this monitor was sent, each once: until the command is there, the next one may need it.
    orders: &'a mut Vec<Order>,
    signals: Signals,
    /// The monitor is about to stop, and we with it.
    stopping: bool,
    /// When it was seen that the monitor has reported the end of the run.
    over_at: Option<Time>,
    /// The monitor's last word.
    last: Option<Watched>,
}

impl Guard<'_> {
    fn watch(mut self) -> Watched {
        loop {
            let init = self.init.filter(|_| !self.init_gone).map(AsFd::as_fd);
            let monitor = self.keeps_inherited.then(|| self.monitor.as_fd());
            let due = self.over_at.map(|at| at + GONE_WITHIN);
            let [signal, ordered, told] =
                poll::wait([Some(self.signals.as_fd()), init, monitor], due);
            if told {
                self.read_monitor();
            }
            if ordered {
                self.read_init();
            }
            if signal && self.read_signals() {
                return self.monitor_gone();
            }
            if due.is_some_and(|due| due <= clock::now()) {
                return self.monitor_gone();
            }
            self.stop_with_monitor();
        }
    }

    fn read_monitor(&mut self) {
        loop {
            match receive(&self.monitor) {
                Incoming::Message(Progress::Spawned) => self.let_go_of_inherited(),
                Incoming::Message(Progress::Ended(outcome)) => {
                    self.last = Some(Watched::Ended(outcome));
                    self.over_at = Some(clock::now());
                }
                Incoming::Message(Progress::StartOver) => self.last = Some(Watched::StartOver),
                Incoming::Message(Progress::Stopped) => self.stopping = true,
                Incoming::Message(Progress::Ready | Progress::Status(_) | Progress::Event(_)) => {}
                Incoming::Nothing => return,
                // It exits, or was killed: the kernel says so next.
                Incoming::Gone => {
                    self.keeps_inherited = false;
                    return;
                }
            }
        }
    }

    fn let_go_of_inherited(&mut self) {
        if std::mem::take(&mut self.keeps_inherited) {
            fd::close_inherited();
        }
    }

    /// Once the monitor has stopped, and not when it is about to: the caller's shell continues its
    /// job as soon as it sees us stopped, and a stop that comes after that would stand for ever.
    fn stop_with_monitor(&mut self) {
        while self.stopping && wait::is_stopped(self.pid) {
            self.stopping = false;
            signals::stop_self();
            self.continue_monitor();
        }
    }

    /// Who continues us alone means the whole run; whether the monitor was stopped. One that has
    /// stopped anew by then has said so before.
    fn continue_monitor(&mut self) -> bool {
        let stopped = wait::is_stopped(self.pid);
        self.read_monitor();
        if stopped && !self.stopping {
            let _ = process::kill(self.pid, libc::SIGCONT);
        }
        stopped
    }

    fn read_init(&mut self) {
        while let Some(init) = self.init.filter(|_| !self.init_gone) {
            match receive::<Order>(init) {
                Incoming::Message(order) => self.pass(order),
                Incoming::Nothing => return,
                Incoming::Gone => {
                    self.init_gone = true;
                    self.pass(Order::Stop(Some(self.init_lost_within)));
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
                // It has ended, or was stopped (SIGCHLD, signal(7)).
                libc::SIGCHLD => {
                    ended |= self.reap();
                    self.read_monitor();
                }
                libc::SIGCONT if self.continue_monitor() => {}
                // A terminal that hangs up tells the leader of its session alone, which may be us.
                libc::SIGHUP => self.pass(Order::Signal(signo)),
                // The monitor has it as well; one that is about to end may not read it any more.
                libc::SIGINT | libc::SIGQUIT if kernel => self.keep(Order::Signal(signo)),
                _ if kernel => {}
                _ => self.pass(Order::Signal(signo)),
            }
        }
        ended
    }

    fn pass(&mut self, order: Order) {
        send(&self.monitor, &order);
        self.keep(order);
    }

    /// The stop and the continuing of a job are over when they have been done once.
    fn keep(&mut self, order: Order) {
        const JOB_CONTROL: [i32; 4] = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU, libc::SIGCONT];
        let over = matches!(order, Order::Signal(signo) if JOB_CONTROL.contains(&signo));
        if !over && !self.orders.contains(&order) {
            self.orders.push(order);
        }
    }

    /// Reaps all that have ended; whether the monitor was among them. As PID 1 a guard inherits
    /// strangers too.
    fn reap(&mut self) -> bool {
        let mut ended = false;
        while let Reaped::Child(pid, _) = wait::reap() {
            ended |= pid == self.pid;
            self.strangers.retain(|stranger| *stranger != pid);
        }
        ended
    }

    fn monitor_gone(mut self) -> Watched {
        self.read_monitor();
        match self.last {
            // What comes next is the end of this process, which frees all in one go.
            Some(word @ Watched::Ended(_)) => {
                std::mem::forget(self);
                word
            }
            Some(word) => word,
            None => Watched::Died {
                reaped: empty_the_tree(&self.signals, self.strangers),
            },
        }
    }
}

/// Kills our children but `strangers`, level by level, until none is left that could run; says how
/// many were reaped.
fn empty_the_tree(signals: &Signals, mut strangers: Vec<i32>) -> u32 {
    let mut count = 0;
    let mut retried = false;
    loop {
        // First: in a storm most are dead already, and need nothing but this.
        loop {
            match wait::reap() {
                Reaped::Child(pid, _) if strangers.contains(&pid) => {
                    strangers.retain(|stranger| *stranger != pid);
                }
                Reaped::Child(..) => count += 1,
                Reaped::NoneYet => break,
                Reaped::NoChild => return count,
            }
        }
        let left = if retried {
            tree::survivors_but(&strangers)
        } else {
            tree::children()
        };
        // Without strangers, a child that cannot be seen is waited for until the kernel names none.
        let judged = retried || !strangers.is_empty();
        if judged && left.iter().all(|pid| strangers.contains(pid)) {
            return count;
        }
        tree::kill_children_but(&strangers);
        let until = clock::now() + KILL_RETRY;
        let [signal] = poll::wait([Some(signals.as_fd())], Some(until));
        while let Ok(Some(_)) = signals.next() {}
        retried |= !signal;
    }
}
