//! The monitor: the life of one run, from the queue of its lock to the empty tree.
//!
//! One thread waits ([`poll::wait`]) for signals, orders, the lock, the command's exec, its final
//! line and the next deadline; turns each into an [`Event`]; and performs the [`Action`]s that the
//! policy answers with. It is a subreaper, or PID 1: every descendant that loses its parent becomes
//! its child, whatever it closed, cleared or ignored, and the tree is empty when the kernel says
//! that no child is left. The job never has the lock's descriptor.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;

use super::claims::{Claims, Owner};
use super::command::{Prepared, prepare};
use super::event_log::{Entry, EventLog};
use super::message::{Incoming, Order, Progress, receive, send};
use super::output::Output;
use super::waiter::Waiter;
use crate::config::plan::RunPlan;
use crate::core::event::{Action, Event, Facts, Target};
use crate::core::note::Note;
use crate::core::outcome::{Outcome, Reason, SpawnStep, Status};
use crate::core::run::Run;
use crate::core::time::Time;
use crate::journal::Journal;
use crate::lock::shared::{Attempt, SharedLock, Watch};
use crate::sys::fd::{self, Wire};
use crate::sys::signals::{self, Signals};
use crate::sys::spawn::{self, Session};
use crate::sys::wait::{self, Reaped};
use crate::sys::{clock, poll, process, tree, tty};
use crate::trouble;

/// How long the last notes may take to reach the journal.
const FLUSH: Duration = Duration::from_secs(1);

/// What a monitor is given.
#[derive(Debug)]
pub struct Setup<'a> {
    /// What to run.
    pub plan: &'a RunPlan,
    /// The run's id.
    pub run_id: &'a str,
    /// `CONTAINER_NAME`.
    pub container: Option<&'a str>,
    /// The open lock file; `None`: none is named, or an ancestor run holds it for us.
    pub lock: Option<Arc<SharedLock>>,
    /// What tells others of this run.
    pub claims: Claims,
    /// The way to the guard, where there is one.
    pub guard: Option<Wire>,
    /// The guard's way to the init that started this run: ours, when the guard has died. Init takes
    /// the run for over when nobody holds this end any more.
    pub init: Option<&'a Wire>,
    /// Where the command stands among sessions.
    pub session: Session,
    /// Whether we stop together with the command.
    pub job_control: bool,
    /// Whether HUP asks for the stop.
    pub hup_stops: bool,
    /// Whether we are PID 1, and what is in our PID namespace ends with this run.
    pub namespace: bool,
    /// The folder for a command whose plan names none, where we have left it ourselves.
    pub started_in: Option<PathBuf>,
    /// Since when the run queues.
    pub queued_at: Time,
    /// Where notes go.
    pub journal: Journal,
    /// What the guard found before the fork.
    pub first_notes: Vec<Note>,
}

/// How the life of a run ended, for the process that it happened in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is over.
    Ended(Outcome),
    /// The lock file was replaced: begin anew.
    StartOver,
}

/// Runs `setup` to its end. Fails only before anything was started.
pub fn live(setup: Setup<'_>) -> io::Result<End> {
    // Not inherited over a fork (PR_SET_CHILD_SUBREAPER, prctl(2)): the guard's own does not serve.
    process::become_subreaper();
    let signals = Signals::open()?;
    let mut facts = Facts {
        own_session: setup.session != Session::Shared,
        job_control: setup.job_control,
        hup_stops: setup.hup_stops,
        ignored: signals::started_ignored(),
        ..Facts::new(setup.plan)
    };
    if setup.lock.is_none() {
        facts.wait = None;
    }
    let log = EventLog::open(setup.run_id, &facts);
    let queued_at = setup.queued_at;
    let mut monitor = Monitor {
        setup,
        run: Run::new(facts),
        log,
        signals,
        waiter: None,
        prepared: None,
        watch: None,
        replaced_said: false,
        command: None,
        progress: None,
        output: None,
        asked: tree::Asked::default(),
        end: None,
    };
    let first_notes = std::mem::take(&mut monitor.setup.first_notes);
    monitor.note_all(first_notes);
    monitor.step(Event::Begin { queued_at });
    while monitor.end.is_none() {
        monitor.turn();
    }
    monitor.drain_output();
    monitor.setup.journal.flush(FLUSH);
    let end = monitor.end.unwrap_or(End::StartOver);
    if let Some(above) = monitor.above() {
        let message = match end {
            End::Ended(outcome) => Progress::Ended(outcome),
            End::StartOver => Progress::StartOver,
        };
        send(above, &message);
    }
    Ok(end)
}

struct Monitor<'a> {
    setup: Setup<'a>,
    run: Run,
    log: EventLog,
    signals: Signals,
    waiter: Option<Waiter>,
    /// The command, made ready while we wait for the lock.
    prepared: Option<Result<Prepared, spawn::Failure>>,
    watch: Option<Watch>,
    replaced_said: bool,
    /// The command's process, until it is reaped.
    command: Option<i32>,
    /// Between fork and exec: comes to its end when the program runs.
    progress: Option<OwnedFd>,
    output: Option<Output>,
    asked: tree::Asked,
    end: Option<End>,
}

impl Monitor<'_> {
    /// Rests until something happens, and handles all that has happened.
    fn turn(&mut self) {
        let [signal, order, exec, lock, news, file] = poll::wait(
            [
                Some(self.signals.as_fd()),
                self.above().map(AsFd::as_fd),
                self.progress.as_ref().map(AsFd::as_fd),
                self.waiter.as_ref().map(AsFd::as_fd),
                self.output.as_ref().map(AsFd::as_fd),
                self.watch.as_ref().map(AsFd::as_fd),
            ],
            self.run.next_deadline(),
        );
        if exec {
            self.exec_ended();
        }
        if news && let Some(found) = self.output.as_ref().and_then(Output::final_line) {
            self.step(Event::FinalLine {
                failed: found.failed,
            });
        }
        if signal {
            self.read_signals();
        }
        if order {
            self.read_orders();
        }
        // After what may have stopped the run: it would start for nothing.
        if lock {
            self.waiter_answered();
        }
        if file {
            self.file_changed();
        }
        if self
            .run
            .next_deadline()
            .is_some_and(|due| due <= clock::now())
        {
            self.step(Event::Tick);
        }
    }

    /// Hands `event` to the policy and performs what it answers, and so on with what that brings.
    fn step(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let at = clock::now();
            let mut actions = Vec::new();
            self.run.handle(at, &event, &mut actions);
            if self.log.is_on() {
                self.log.record(&Entry {
                    at,
                    event,
                    actions: actions.clone(),
                });
            }
            for action in actions {
                events.extend(self.perform(action));
            }
        }
    }

    fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Lock => return Some(self.take_lock()),
            Action::WatchLock => self.watch_lock(),
            Action::Spawn => return Some(self.spawn()),
            Action::Signal { to, signo } => self.signal(to, signo),
            Action::TermDescendants => self.asked.ask_descendants(),
            Action::KillChildren if self.setup.namespace => tree::kill_namespace(),
            Action::KillChildren => tree::kill_children(),
            Action::AskOutput => {
                let at = self.output.as_ref().map_or_else(clock::now, Output::last);
                return Some(Event::LastOutput { at });
            }
            Action::AskSurvivors => {
                return Some(Event::Survivors {
                    pids: tree::survivors(),
                });
            }
            Action::StopSelf => return self.stop_self(),
            Action::Note(note) => self.setup.journal.note(note),
            Action::StartOver => self.start_over(),
            Action::Finish(outcome) => self.finish(outcome),
        }
        None
    }

    fn take_lock(&mut self) -> Event {
        let Some(lock) = self.setup.lock.clone() else {
            return Event::LockGot;
        };
        match lock.try_lock() {
            Ok(Attempt::Got) => self.lock_got(),
            Ok(Attempt::Busy) => {
                let (holder, trouble) = self.setup.claims.waiting(self.owner());
                let path = lock.path().to_owned();
                self.setup.journal.note(Note::Waiting {
                    lock: path.clone(),
                    holder,
                });
                self.note_all(trouble);
                match Waiter::start(lock) {
                    Ok(waiter) => self.waiter = Some(waiter),
                    Err(error) => {
                        let why = trouble::text_of(&error);
                        let path = path.display();
                        return self
                            .lock_failed(&format!("cannot wait for the lock \"{path}\": {why}"));
                    }
                }
                self.prepared = Some(self.prepare());
                Event::LockBusy
            }
            Err(error) => self.lock_failed(&error.to_string()),
        }
    }

    fn waiter_answered(&mut self) {
        let Some(answer) = self.waiter.as_ref().and_then(Waiter::answer) else {
            return;
        };
        self.waiter = None;
        let event = match answer {
            Ok(()) => self.lock_got(),
            Err(error) => self.lock_failed(&error.to_string()),
        };
        self.step(event);
    }

    /// The kernel gave us a lock; it is *the* lock only while its file still bears the name.
    fn lock_got(&mut self) -> Event {
        let Some(lock) = self.setup.lock.clone() else {
            return Event::LockGot;
        };
        match lock.is_current() {
            Ok(true) => {}
            Ok(false) => return Event::LockReplaced,
            Err(error) => return self.lock_failed(&error.to_string()),
        }
        let waited = clock::now().since(self.setup.queued_at);
        self.setup.journal.note(Note::Obtained {
            lock: lock.path().to_owned(),
            waited,
        });
        Event::LockGot
    }

    fn watch_lock(&mut self) {
        let Some(lock) = self.setup.lock.clone() else {
            return;
        };
        match lock.watch() {
            Ok(watch) => self.watch = Some(watch),
            Err(errno) => {
                let path = lock.path().to_owned();
                self.setup.journal.note(Note::LockUnwatched {
                    lock: path,
                    errno: errno as i32,
                });
            }
        }
        // What happened before the watch began.
        self.check_file();
    }

    fn lock_failed(&mut self, text: &str) -> Event {
        self.setup.journal.note(Note::LockFailed {
            text: text.to_owned(),
        });
        Event::LockFailed
    }

    fn start_over(&mut self) {
        if let Some(lock) = &self.setup.lock {
            let path = lock.path().to_owned();
            let _ = lock.unlock();
            self.setup
                .journal
                .note(Note::LockReplacedWaiting { lock: path });
        }
        self.end = Some(End::StartOver);
    }

    fn spawn(&mut self) -> Event {
        match self.try_spawn() {
            Ok(pid) => {
                self.command = Some(pid);
                let trouble = self.setup.claims.running(self.owner(), pid);
                self.note_all(trouble);
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

    fn try_spawn(&mut self) -> Result<i32, spawn::Failure> {
        let stdio = |error: io::Error| {
            (
                SpawnStep::Stdio,
                error.raw_os_error().unwrap_or(Errno::EAGAIN as i32),
            )
        };
        let (output, ends) = Output::start(&self.setup.plan.limits)
            .map_err(stdio)?
            .unzip();
        self.output = output;
        let prepared = self.prepared.take().unwrap_or_else(|| self.prepare())?;
        let spawned = prepared.spawn(ends.as_ref())?;
        self.progress = Some(spawned.progress);
        if fd::close_inherited() {
            self.tell(Progress::Spawned);
        }
        Ok(spawned.pid)
    }

    fn prepare(&self) -> Result<Prepared, spawn::Failure> {
        let Setup {
            plan,
            run_id,
            session,
            ref started_in,
            ..
        } = self.setup;
        prepare(plan, run_id, session, started_in.as_deref())
    }

    fn exec_ended(&mut self) {
        let Some(progress) = self.progress.take() else {
            return;
        };
        let event = match spawn::failure(&progress) {
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
            SpawnStep::Fork | SpawnStep::Stdio | SpawnStep::Session | SpawnStep::Exec => None,
        };
        self.setup.journal.note(Note::SpawnFailed {
            command,
            on,
            step,
            errno,
        });
    }

    fn read_signals(&mut self) {
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

    fn reap(&mut self) {
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
    fn signal(&self, to: Target, signo: i32) {
        let Some(pid) = self.command else { return };
        let whom = match to {
            Target::Command => pid,
            Target::Group => -pid,
        };
        let _ = process::kill(whom, signo);
    }

    /// Whose orders count: the guard's, and when it has died those of the init above it.
    fn above(&self) -> Option<&Wire> {
        self.setup.guard.as_ref().or(self.setup.init)
    }

    fn read_orders(&mut self) {
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
    fn stop_self(&self) -> Option<Event> {
        let stops = tty::has_shell_above();
        if stops {
            self.tell(Progress::Stopped);
            signals::stop_self();
        }
        let still_stopped = self.command.is_some_and(wait::is_stopped);
        let goes_on = match self.setup.session {
            Session::Shared => stops && !signals::is_pending(libc::SIGTSTP),
            Session::Own | Session::OwnWithTerminal => true,
        };
        (still_stopped && goes_on).then_some(Event::Signal {
            signo: libc::SIGCONT,
            kernel: false,
        })
    }

    fn file_changed(&mut self) {
        let changed = self.watch.as_ref().is_some_and(Watch::drain);
        if changed {
            self.check_file();
        }
    }

    /// Says, once, that others may hold a lock of the same name by now.
    fn check_file(&mut self) {
        let Some(lock) = &self.setup.lock else { return };
        if self.replaced_said || matches!(lock.is_current(), Ok(true)) {
            return;
        }
        self.replaced_said = true;
        let lock = lock.path().to_owned();
        self.setup.journal.note(Note::LockReplacedHeld { lock });
    }

    /// The tree is empty, or nothing was started: frees everything, the lock last.
    fn finish(&mut self, outcome: Outcome) {
        if let Some(output) = &self.output {
            output.finish();
        }
        if outcome.reason == Reason::WaitExpired
            && let Some(lock) = &self.setup.lock
        {
            let holder = self.setup.claims.holder(self.setup.run_id);
            let (lock, waited) = (lock.path().to_owned(), outcome.waited);
            self.setup.journal.note(Note::WaitExpired {
                lock,
                waited,
                holder,
            });
        } else if outcome.status.is_some() {
            self.check_file();
        }
        if let Some(lock) = self.setup.lock.take()
            && self.waiter.is_none()
        {
            let _ = lock.unlock();
            let (lock, held) = (lock.path().to_owned(), outcome.held);
            self.setup.journal.note(Note::Released { lock, held });
        }
        self.setup.claims.release();
        self.setup.journal.note(Note::Ended(outcome));
        self.end = Some(End::Ended(outcome));
    }

    /// Waits until the last output is written on; only a request to stop, or the end of our guard,
    /// cuts it off.
    fn drain_output(&mut self) {
        while let Some(output) = &self.output {
            if output.is_finished() {
                return;
            }
            let above = self.above();
            let [_, signal, order] = poll::wait(
                [
                    Some(output.as_fd()),
                    Some(self.signals.as_fd()),
                    above.map(AsFd::as_fd),
                ],
                None,
            );
            if (signal && self.stop_is_pending()) || (order && above.is_some_and(stop_is_ordered)) {
                return;
            }
        }
    }

    /// Whether a request to stop is among the signals that have come; the others have no addressee
    /// any more.
    fn stop_is_pending(&self) -> bool {
        std::iter::from_fn(|| self.signals.next().ok().flatten()).any(|signal| asks(signal.signo))
    }

    fn owner(&self) -> Owner<'_> {
        let Setup {
            plan,
            run_id,
            container,
            ..
        } = self.setup;
        Owner {
            plan,
            run_id,
            container,
        }
    }

    fn note_all(&self, notes: impl IntoIterator<Item = Note>) {
        for note in notes {
            self.setup.journal.note(note);
        }
    }

    fn tell(&self, progress: Progress) {
        if let Some(guard) = &self.setup.guard {
            send(guard, &progress);
        }
    }
}

/// Whether `above` has gone, or one of the orders that have come is to stop.
fn stop_is_ordered(above: &Wire) -> bool {
    loop {
        match receive(above) {
            Incoming::Message(Order::Signal(signo)) if !asks(signo) => {}
            Incoming::Nothing => return false,
            Incoming::Message(_) | Incoming::Gone => return true,
        }
    }
}

fn asks(signo: i32) -> bool {
    matches!(signo, libc::SIGTERM | libc::SIGINT | libc::SIGHUP)
        && !signals::started_ignored().contains(&signo)
}
