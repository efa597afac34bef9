//! The loop of init: rests until a signal, a word of a guard or a deadline comes; turns it into an
//! [`Event`] for the table; and does what the table answers.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use super::control::server::Control;
use super::found::Found;
use super::guards::{Guard, Guards};
use super::hook::Hook;
use super::outer::{Outer, Standing};
use super::reload::Reader;
use super::{crash, farewell};
use crate::config::plan::{JobPlan, Kind, Plan, Stdin};
use crate::core::note::Note;
use crate::core::table::{Action, Event, Facts, JobIndex, RunId, Table};
use crate::journal::Journal;
use crate::run::message::{Order, Progress};
use crate::sys::signals::Signals;
use crate::sys::wait::{self, Reaped};
use crate::sys::{clock, poll, process, tty};

mod asks;
mod events;
mod outside;

use asks::HUP;

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
    /// The file, to be read again; `None`: there is none, and HUP is for the main command.
    pub file: Option<PathBuf>,
    /// Where to listen for those who ask; `None`: among the claims of this container's runs.
    pub socket: Option<PathBuf>,
    /// The main command stood on the command line.
    pub main_typed: bool,
    /// Another small init that has started us.
    pub below: Option<String>,
    /// Who wants to know how init stands.
    pub outer: Option<Outer>,
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
    let events = setup.plan.init.on_event.as_ref();
    let events = events.map(|plan| plan.kinds.clone());
    let guards = Guards {
        events: events.clone(),
        ..setup.guards
    };
    setup.journal.want(events);
    for note in setup.first_notes {
        setup.journal.note(note);
    }
    setup.journal.note(Note::InitStarted {
        jobs: setup.plan.jobs.len(),
        pid1,
        below: setup.below,
    });
    let hook = setup.plan.init.on_event.clone().map(Hook::new);
    let seed = u64::from_str_radix(&process::random_hex::<8>(), 16).unwrap_or(1);
    let runtime = guards.runtime.as_deref();
    let (found, living) = Found::look(runtime, &setup.plan.init.name);
    let control = match asks::listen(setup.socket, runtime) {
        Ok(control) => Some(control),
        Err(text) => {
            setup.journal.note(Note::ControlFailed { text });
            None
        }
    };
    let table = Table::new(
        setup.plan,
        Facts {
            seed,
            hup_passes: setup.file.is_none(),
            main_typed: setup.main_typed,
        },
    );
    let mut shell = Shell {
        guards,
        journal: setup.journal,
        signals,
        table,
        running: Vec::new(),
        found,
        outside: Vec::new(),
        control,
        reader: setup.file.map(Reader::new),
        reloads: 0,
        report: setup.report,
        outer: setup.outer,
        hook,
        heard: Vec::new(),
        main_ready: false,
        seen: 0,
        watchers: Vec::new(),
        exit: None,
    };
    for record in living {
        shell.run_lives(record);
    }
    shell.step(Event::Begin);
    shell.tell_outer();
    shell.tell_events();
    while shell.exit.is_none() {
        shell.turn();
        shell.tell_outer();
        shell.tell_events();
    }
    if let Some(control) = shell.control.take() {
        control.close();
    }
    let guards: Vec<i32> = shell.running.iter().map(|guard| guard.pid).collect();
    if guards.is_empty() {
        shell.tell_last_events();
    }
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
    guards: Guards,
    journal: Journal,
    signals: Signals,
    table: Table,
    running: Vec<Guard>,
    found: Found,
    /// Living runs that we did not start, and their jobs.
    outside: Vec<(String, Option<JobIndex>)>,
    control: Option<Control>,
    reader: Option<Reader>,
    /// How often somebody has wanted the file read again, to have it in force.
    reloads: u64,
    /// Until the main command's guard has it: we write to nothing that could make us wait.
    report: Option<OwnedFd>,
    outer: Option<Outer>,
    /// The command that is told of events.
    hook: Option<Hook>,
    /// Events of runs that it is to be told of.
    heard: Vec<String>,
    /// The main command has said that it is ready.
    main_ready: bool,
    /// How often something has happened to the table.
    seen: u64,
    /// The requests that wait for that number to change, each with the one that it has seen.
    watchers: Vec<(u64, u64)>,
    exit: Option<u8>,
}

impl Shell {
    fn turn(&mut self) {
        let due = self.next_deadline(clock::now());
        let [names, news] = self.found.fds();
        let control = self.control.as_ref().map(AsFd::as_fd);
        let mut fds = vec![Some(self.signals.as_fd()), names, news, control];
        fds.extend(self.running.iter().map(Guard::wire));
        let ready = poll::wait_many(&fds, due);
        let mut ready = ready.into_iter();
        let [signal, names, news, asked] = [(); 4].map(|()| ready.next() == Some(true));
        for (guard, ready) in self.running.iter_mut().zip(ready) {
            if ready {
                guard.read();
            }
        }
        if signal {
            self.read_signals();
        }
        self.hear_commands();
        self.count_ended();
        if names || news {
            self.look_outside();
        }
        self.listen(asked);
        if self
            .table
            .next_deadline()
            .is_some_and(|due| due <= clock::now())
        {
            self.step(Event::Tick);
        }
        self.tell_watchers();
    }

    fn step(&mut self, event: Event) {
        self.seen += 1;
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
                    guard.order(Order::Stop(within));
                }
            }
            Action::SignalMain { signo } => {
                for guard in self.running.iter().filter(|guard| self.is_main(guard.job)) {
                    guard.order(Order::Signal(signo));
                }
            }
            Action::Answer { client, answer } => self.answer(client, answer),
            Action::ReadFile => self.read_file(HUP),
            Action::Note(note) => self.journal.note(note),
            Action::Exit { code } => self.exit = Some(code),
        }
        None
    }

    fn is_main(&self, job: JobIndex) -> bool {
        self.table.plan(job).is_some_and(|job| job.main)
    }

    fn start(&mut self, job: JobIndex, run: RunId) -> Option<Event> {
        let plan = self.table.plan(job)?;
        let report = if plan.main { self.report.take() } else { None };
        match self
            .guards
            .start(&plan.run, job, run, is_for_terminal(plan), report.as_ref())
        {
            Ok(guard) => {
                self.running.push(guard);
                Some(Event::RunBegun { job, run })
            }
            Err(text) => Some(Event::GuardFailed { job, run, text }),
        }
    }

    fn read_signals(&mut self) {
        let mut children = false;
        while let Ok(Some(signal)) = self.signals.next() {
            if signal.signo == libc::SIGCHLD {
                children = true;
            } else if let Some(signo) = self.table.init().signals.of(signal.signo) {
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
            } else if !self.hook_reaped(pid, status)
                && let Some(reader) = &mut self.reader
                && let Some((wishes, content)) = reader.reaped(pid, status)
            {
                self.was_read(&wishes, content);
            }
        }
    }

    /// What the commands have said of themselves.
    fn hear_commands(&mut self) {
        let mut events = Vec::new();
        for guard in &mut self.running {
            let (job, run) = (guard.job, guard.run);
            for word in guard.said() {
                match word {
                    Progress::Ready => {
                        self.main_ready |= self.table.plan(job).is_some_and(|job| job.main);
                        events.push(Event::RunReady { job, run });
                    }
                    Progress::Status(text) => events.push(Event::RunStatus { job, run, text }),
                    Progress::Event(text) => self.heard.push(text),
                    Progress::Spawned
                    | Progress::Stopped
                    | Progress::StartOver
                    | Progress::Ended(_) => {}
                }
            }
        }
        for event in events {
            self.step(event);
        }
    }

    /// Tells whoever started us how we stand. We are up when what starts by itself has begun; where the
    /// main job says itself when it is ready, then.
    fn tell_outer(&mut self) {
        let Some(outer) = &mut self.outer else { return };
        let mut plans = self.table.plans();
        let waits = plans.any(|plan| plan.main && plan.run.listens());
        let standing = Standing {
            is_up: self.main_ready || !waits,
            is_ending: self.table.is_ending(),
            reloads: self.reloads,
            is_reloading: self.reader.as_ref().is_some_and(Reader::is_at_work),
            runs: self.running.len(),
            jobs: self.table.plans().count(),
        };
        outer.tell(clock::now(), &standing);
    }

    /// A run is over when its guard has gone, and its monitor, too, or one of the two has told the end.
    fn count_ended(&mut self) {
        while let Some((index, end)) = self
            .running
            .iter()
            .enumerate()
            .find_map(|(index, guard)| Some((index, guard.ended()?)))
        {
            let Guard { job, run, .. } = self.running.swap_remove(index);
            self.step(Event::RunEnded {
                job,
                run,
                code: end.code,
                reason: end.reason,
                ran: end.ran,
            });
        }
    }
}
