//! The loop of init: rests until a signal, a word of a guard or a deadline comes; turns it into an
//! [`Event`] for the table; and does what the table answers.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use super::found::Found;
use super::guards::{Guard, Guards};
use super::{crash, farewell};
use crate::config::plan::{JobPlan, Kind, Plan, Stdin};
use crate::core::note::Note;
use crate::core::table::{Action, Event, Facts, JobIndex, RunId, Table};
use crate::journal::Journal;
use crate::run::message::Order;
use crate::sys::signals::Signals;
use crate::sys::wait::{self, Reaped};
use crate::sys::{clock, poll, process, tty};

/// How long the last notes may take to reach the journal.
const FLUSH: Duration = Duration::from_millis(200);

/// What init is started with.
#[derive(Debug)]
pub struct Setup {
    /// What to run.
    pub plan: Plan,
    /// What guards are told.
    pub guards: Guards,
    /// Where notes go.
    pub journal: Journal,
    /// HUP is for the main command, as there is no file.
    pub hup_passes: bool,
    /// What to say before anything else.
    pub first_notes: Vec<Note>,
    /// Where the main command's guard writes its report.
    pub report: Option<OwnedFd>,
}

/// Runs init to its end; says its exit code. Fails only before anything was started.
pub fn run(setup: Setup) -> io::Result<u8> {
    let signals = Signals::open()?;
    process::become_subreaper();
    crash::prepare(setup.plan.init.stop_within);
    let pid1 = process::own_pid() == 1;
    // Neither the folder that we were started in nor what we inherited is ours to pin.
    let _ = std::env::set_current_dir("/");
    if wants_terminal(&setup.plan) && pid1 {
        tty::give_up_terminal();
    }
    for note in setup.first_notes {
        setup.journal.note(note);
    }
    setup.journal.note(Note::InitStarted {
        jobs: setup.plan.jobs.len(),
        pid1,
    });
    let seed = u64::from_str_radix(&process::random_hex::<8>(), 16).unwrap_or(1);
    let table = Table::new(
        &setup.plan,
        Facts {
            seed,
            hup_passes: setup.hup_passes,
        },
    );
    let found = Found::look(setup.guards.runtime.as_deref(), &setup.plan);
    let mut shell = Shell {
        plan: setup.plan,
        guards: setup.guards,
        journal: setup.journal,
        signals,
        table,
        running: Vec::new(),
        found,
        report: setup.report,
        exit: None,
    };
    for (job, run_id) in shell.found.living() {
        shell.step(Event::RunFound { job, run_id });
    }
    shell.step(Event::Begin);
    while shell.exit.is_none() {
        shell.turn();
    }
    let guards: Vec<i32> = shell.running.iter().map(|guard| guard.pid).collect();
    farewell::say(&shell.signals, &guards);
    shell.journal.finish(FLUSH);
    Ok(shell.exit.unwrap_or(crate::exit::FAILED))
}

/// Whether a job is to have the terminal of standard input.
fn wants_terminal(plan: &Plan) -> bool {
    plan.jobs.iter().any(is_for_terminal) && tty::is_terminal(io::stdin().as_fd())
}

fn is_for_terminal(job: &JobPlan) -> bool {
    job.run.kind == Kind::Interactive && job.run.stdin == Stdin::Inherit
}

struct Shell {
    plan: Plan,
    guards: Guards,
    journal: Journal,
    signals: Signals,
    table: Table,
    running: Vec<Guard>,
    found: Found,
    /// Until the main command's guard has it: we write to nothing that could make us wait.
    report: Option<OwnedFd>,
    exit: Option<u8>,
}

impl Shell {
    fn turn(&mut self) {
        let mut fds = vec![Some(self.signals.as_fd()), self.found.as_fd()];
        fds.extend(self.running.iter().map(Guard::wire));
        let ready = poll::wait_many(&fds, self.table.next_deadline());
        let mut ready = ready.into_iter();
        let (signal, found) = (ready.next() == Some(true), ready.next() == Some(true));
        for (guard, ready) in self.running.iter_mut().zip(ready) {
            if ready {
                guard.read();
            }
        }
        if signal {
            self.read_signals();
        }
        self.count_ended();
        if found {
            for (job, run_id) in self.found.gone() {
                self.step(Event::FoundGone { job, run_id });
            }
        }
        if self
            .table
            .next_deadline()
            .is_some_and(|due| due <= clock::now())
        {
            self.step(Event::Tick);
        }
    }

    fn step(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let mut actions = Vec::new();
            self.table.handle(clock::now(), event, &mut actions);
            for action in actions {
                events.extend(self.perform(action));
            }
        }
    }

    fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::StartRun { job, run } => return self.start(job, run),
            Action::StopRun { run, within, .. } => {
                if let Some(guard) = self.running.iter().find(|guard| guard.run == run) {
                    guard.order(Order::Stop(Some(within)));
                }
            }
            Action::SignalMain { signo } => {
                for guard in self.running.iter().filter(|guard| self.is_main(guard.job)) {
                    guard.order(Order::Signal(signo));
                }
            }
            Action::Note(note) => self.journal.note(note),
            Action::Exit { code } => self.exit = Some(code),
        }
        None
    }

    fn is_main(&self, job: JobIndex) -> bool {
        self.plan.jobs.get(job.0).is_some_and(|job| job.main)
    }

    fn start(&mut self, job: JobIndex, run: RunId) -> Option<Event> {
        let plan = self.plan.jobs.get(job.0)?;
        let report = if plan.main { self.report.take() } else { None };
        match self
            .guards
            .start(&plan.run, job, run, is_for_terminal(plan), report.as_ref())
        {
            Ok(guard) => {
                self.running.push(guard);
                None
            }
            Err(text) => Some(Event::GuardFailed { job, run, text }),
        }
    }

    fn read_signals(&mut self) {
        let mut children = false;
        while let Ok(Some(signal)) = self.signals.next() {
            if signal.signo == libc::SIGCHLD {
                children = true;
            } else if let Some(signo) = self.plan.init.signals.of(signal.signo) {
                self.step(Event::Signal { signo });
            }
        }
        if children {
            self.reap();
        }
    }

    /// Reaps all that have ended, our guards and strangers.
    fn reap(&mut self) {
        while let Reaped::Child(pid, status) = wait::reap() {
            let guard = self.running.iter_mut().find(|guard| guard.pid == pid);
            if let Some(guard) = guard {
                guard.reaped(status);
                guard.read();
            }
        }
    }

    /// A run is over when its guard and its monitor have gone, in whatever order.
    fn count_ended(&mut self) {
        while let Some((index, code, reason)) =
            self.running.iter().enumerate().find_map(|(index, guard)| {
                let (code, reason) = guard.ended()?;
                Some((index, code, reason))
            })
        {
            let Guard { job, run, .. } = self.running.swap_remove(index);
            self.step(Event::RunEnded {
                job,
                run,
                code,
                reason,
            });
        }
    }
}
