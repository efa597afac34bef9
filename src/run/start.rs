//! The beginning of a run: what is checked before anything is held, then guard and monitor, or the
//! monitor alone where there is nothing to guard.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::cgroup::group;
use super::claims::{self, Claims, Owner};
use super::dirs::Dirs;
use super::guard::{self, Watched};
use super::message::{Order, Progress, send, send_event};
use super::monitor::orders::is_stop;
use super::monitor::{self, End, Setup, Telling};
use super::report::{self, Report};
use super::{nested, secrets};
use crate::config::plan::{Kind, LockPlan, RunPlan};
use crate::core::mask::Secrets;
use crate::core::note::Note;
use crate::core::outcome::{Outcome, Reason};
use crate::core::shell::Command;
use crate::exit;
use crate::journal::route;
use crate::journal::{Context, Format, Journal, Speaker, Verbosity};
use crate::lock::placement::{self, Severity};
use crate::lock::record::By;
use crate::lock::shared::SharedLock;
use crate::sys::fd::Wire;
use crate::sys::spawn::Session;
use crate::sys::{clock, crash, process, tty};
use crate::trouble;

/// How long the last notes may take to reach the journal.
const FLUSH: Duration = Duration::from_secs(1);

/// What a run may take beyond the graces of its ladder, until a guard that has crashed waits no longer.
const REST: Duration = Duration::from_secs(10);

/// Who starts a run, and from where.
#[derive(Debug)]
pub struct Caller {
    /// The run's id.
    pub run_id: String,
    /// Whose notes these are.
    pub context: Context,
    /// How much of them standard error is told.
    pub verbosity: Verbosity,
    /// Where to write the report.
    pub report: Option<OwnedFd>,
    /// The wire to the init that starts this run.
    pub init: Option<Wire>,
    /// How long the run may go on when that init has died.
    pub init_lost_within: Duration,
    /// Whether the run has the terminal of standard input for its own, as PID 1's main command has.
    pub terminal: bool,
    /// The folder that the command starts in, where its plan names none and we have left it.
    pub started_in: Option<PathBuf>,
    /// The folder of this container's runs; `None`: there is none, or none is needed.
    pub runtime: Option<PathBuf>,
    /// Which notes are events for init; `None`: none are.
    pub events: Option<Vec<String>>,
    /// Who that is.
    pub by: By,
}

/// A run that ended before anything was started: the text for the caller, and the exit code.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// The exit code.
    pub code: u8,
    /// What was attempted, on what, why it failed, and what to do.
    pub text: String,
}

impl Refused {
    fn without(self, secrets: &Arc<Secrets>) -> Self {
        let text = secrets.hide(&self.text);
        Self { text, ..self }
    }
}

/// Runs `plan` in the foreground, under a guard; says the exit code. What it says instead shows no secret
/// of the run.
pub fn guarded(plan: &RunPlan, caller: &Caller) -> Result<u8, Refused> {
    let refused = match live_guarded(plan, caller) {
        Err(refused) => refused.without(&caller.context.secrets),
        ended => return ended,
    };
    match &caller.init {
        Some(init) => Ok(noted(caller, init, refused)),
        None => Err(refused),
    }
}

/// Behind init there is nobody whom it could be said to: it is a note as any other, and init is told that
/// nothing was started.
fn noted(caller: &Caller, init: &Wire, refused: Refused) -> u8 {
    let Refused { code, text } = refused;
    let journal = caller.journal();
    journal.note(Note::LockFailed { text });
    journal
        .events()
        .into_iter()
        .for_each(|event| send_event(init, event));
    journal.finish(FLUSH);
    let reason = if code == exit::FAILED {
        Reason::Failed
    } else {
        Reason::StartRefused
    };
    let outcome = Outcome {
        code,
        reason,
        ..lost()
    };
    send(init, &Progress::Ended(outcome));
    code
}

fn live_guarded(plan: &RunPlan, caller: &Caller) -> Result<u8, Refused> {
    process::become_subreaper();
    let session = session(plan, caller);
    let job_control = job_control(caller);
    let queued_at = clock::now();
    // The log thread must not exist when the monitor is forked, so the monitor says these.
    let mut notes = Vec::new();
    let needed = plan.kind.lock();
    let needed = needed.filter(|lock| !nested::passes(&lock.path, &mut notes));
    let unsure = match needed {
        Some(lock) => place(lock, caller, &mut notes)?,
        None => false,
    };
    let owner = Owner {
        plan,
        run_id: &caller.run_id,
        container: caller.container(),
        by: caller.by,
        unsure,
    };
    let mut opened: Option<Arc<Dirs>> = None;
    let mut orders = Vec::new();
    loop {
        // Those that an earlier monitor took are still ours: the latches are open here, too.
        let dirs = match opened.take() {
            Some(dirs) if dirs.are_current() => dirs,
            former => {
                // Their records name this process, which lives: behind it we would wait for ourselves.
                if let Some(former) = former {
                    former.release();
                }
                let opened = open_dirs(owner, caller, &mut notes);
                let clear = |_: &Refused| claims::clear(owner, caller.runtime.as_deref());
                Arc::new(opened.inspect_err(clear)?)
            }
        };
        opened = Some(Arc::clone(&dirs));
        let lock = needed.map(open).transpose();
        let lock = lock.inspect_err(|_| give_up(owner, caller, &dirs))?;
        let lock = lock.map(Arc::new);
        let claims = Claims::open(owner, caller.runtime.as_deref(), &dirs, &mut notes);
        let held = lock.clone();
        let first_notes = std::mem::take(&mut notes);
        let (init, init_lost) = (caller.init.as_ref(), caller.init_lost_within);
        let graces = plan.stop.grace.saturating_add(plan.stop.leftover_grace);
        let crashed = graces.saturating_add(REST);
        let watched = guard::watch(init, init_lost, crashed, &mut orders, |wire| {
            let setup = Setup {
                plan,
                run_id: &caller.run_id,
                container: caller.container(),
                by: caller.by,
                lock,
                dirs,
                unsure,
                claims,
                guard: Some(wire),
                init: caller.init.as_ref(),
                session,
                job_control,
                telling: telling(caller),
                hup_stops: caller.init.is_none(),
                namespace: false,
                started_in: caller.started_in.clone(),
                queued_at,
                secrets: Arc::clone(&caller.context.secrets),
                journal: caller.journal(),
                first_notes,
            };
            match monitor::live(setup) {
                Ok(End::Ended(outcome, _)) => outcome.code,
                Ok(End::StartOver) => exit::OK,
                Err(_) => exit::FAILED,
            }
        });
        let is_stop = |order: &Order| is_stop(*order, &plan.signals);
        let unwanted = orders.iter().any(is_stop);
        match watched {
            Ok(Watched::StartOver) => {}
            Ok(Watched::Ended(outcome)) => {
                std::mem::forget(held);
                return Ok(ended(plan, caller, outcome, unwanted));
            }
            Ok(Watched::Died { reaped }) => {
                if let Some(lock) = held {
                    let _ = lock.unlock();
                }
                if let Some(dirs) = opened {
                    let _ = dirs.release_in_time();
                }
                clean(owner, caller, reaped);
                return Ok(ended(plan, caller, lost(), unwanted));
            }
            Err(error) => {
                if let Some(dirs) = &opened {
                    give_up(owner, caller, dirs);
                }
                return Err(not_started("starting the monitor of job", plan, &error));
            }
        }
    }
}

/// Runs `plan` in this very process: for a command without a lock. As PID 1, all that lives in the
/// namespace ends with it.
pub fn alone(plan: &RunPlan, caller: &Caller) -> Result<u8, Refused> {
    let namespace = process::own_pid() == 1;
    if namespace {
        crash::arm(plan.stop.grace, Some(plan.stop.signal));
    } else {
        crash::spare_log();
    }
    let mut first_notes = Vec::new();
    let owner = Owner {
        plan,
        run_id: &caller.run_id,
        container: caller.container(),
        by: caller.by,
        unsure: false,
    };
    let claims = Claims::open(owner, None, &Dirs::default(), &mut first_notes);
    let setup = Setup {
        plan,
        run_id: &caller.run_id,
        container: caller.container(),
        by: caller.by,
        lock: None,
        dirs: Arc::default(),
        unsure: false,
        claims,
        guard: None,
        init: None,
        session: session(plan, caller),
        job_control: job_control(caller),
        telling: telling(caller),
        hup_stops: !namespace,
        namespace,
        started_in: caller.started_in.clone(),
        queued_at: clock::now(),
        secrets: Arc::clone(&caller.context.secrets),
        journal: caller.journal(),
        first_notes,
    };
    match monitor::live(setup) {
        Ok(End::Ended(outcome, unwanted)) => Ok(ended(plan, caller, outcome, unwanted)),
        Ok(End::StartOver) => Ok(exit::FAILED),
        Err(error) => {
            let refused = not_started("starting job", plan, &error);
            Err(refused.without(&caller.context.secrets))
        }
    }
}

impl Caller {
    /// Whoever typed the command or wrote the script: `plan` runs where we are, at the terminal of
    /// standard input if there is one, is not claimed among the container's runs, and no file names it.
    pub fn person(
        plan: &RunPlan,
        container_name: Option<String>,
        verbosity: Verbosity,
        report: Option<OwnedFd>,
    ) -> Self {
        let run_id = process::random_hex::<8>();
        Self {
            context: Context {
                container_name,
                job: Some(plan.job.clone()),
                class: Some(plan.class.clone()),
                run_id: Some(run_id.clone()),
                file: None,
                speaker: Speaker::Run,
                format: route::format(Format::Text),
                secrets: secrets::of([plan]),
            },
            run_id,
            verbosity,
            report,
            init: None,
            init_lost_within: Duration::ZERO,
            terminal: true,
            started_in: None,
            runtime: None,
            events: None,
            by: By::Command,
        }
    }

    fn container(&self) -> Option<&str> {
        self.context.container_name.as_deref()
    }

    fn journal(&self) -> Journal {
        let journal = Journal::new(self.context.clone(), self.verbosity);
        journal.want(self.events.clone());
        journal
    }
}

/// Refuses a lock that would exclude nobody; whether nobody can know that of this one.
fn place(lock: &LockPlan, caller: &Caller, notes: &mut Vec<Note>) -> Result<bool, Refused> {
    let verdict = placement::check(&lock.path, lock.shared_mount).map_err(|refusal| Refused {
        code: exit::CONFIG,
        text: format!(
            "{refusal}; to see more: {}",
            match &caller.context.file {
                Some(file) => Command::on("lockkeeper check -c", file),
                None => Command::on("lockkeeper lock show", &lock.path),
            }
        ),
    })?;
    for remark in verdict.remarks {
        notes.push(Note::Placement {
            lock: lock.path.clone(),
            text: remark.text,
            warning: remark.severity == Severity::Warning,
        });
    }
    Ok(verdict.is_unsure)
}

/// Opens the directories' locks. One on a container's own file system is as private as the directory.
fn open_dirs(owner: Owner<'_>, caller: &Caller, notes: &mut Vec<Note>) -> Result<Dirs, Refused> {
    let dirs = Dirs::open(owner, caller.started_in.as_deref()).map_err(|error| Refused {
        code: error.code(),
        text: error.to_string(),
    })?;
    for lock in dirs.locks() {
        if placement::is_unsure(&lock.latch_path()) {
            notes.push(Note::Placement {
                lock: lock.dir().to_owned(),
                text: "nobody can know whether a lock on this file system keeps two containers \
                       apart; a copy on a local disk, bind-mounted, would"
                    .to_owned(),
                warning: true,
            });
        }
    }
    Ok(dirs)
}

fn open(lock: &LockPlan) -> Result<SharedLock, Refused> {
    SharedLock::open(&lock.path).map_err(|error| Refused {
        code: exit::CONFIG,
        text: error.to_string(),
    })
}

/// A batch command leads a session of its own, and so does one with a terminal of its own. An interactive one shares the caller's group, so
/// that the shell's job control works; behind init or as PID 1 there is no shell, and it takes the
/// terminal over, unless that belongs to a session outside, which PID 1 does not lead.
fn session(plan: &RunPlan, caller: &Caller) -> Session {
    if plan.pty.is_some() {
        return Session::OwnPty;
    }
    if plan.kind != Kind::Interactive {
        return Session::Own;
    }
    let behind_init = caller.init.is_some();
    if !behind_init && process::own_pid() != 1 {
        return Session::Shared;
    }
    if !caller.terminal || !tty::is_terminal(io::stdin().as_fd()) {
        return Session::Own;
    }
    if !behind_init && !tty::give_up_terminal() && tty::has_controlling_terminal() {
        return Session::Shared;
    }
    Session::OwnWithTerminal
}

/// Only a shell that gave us a terminal can continue what stops.
fn job_control(caller: &Caller) -> bool {
    caller.init.is_none() && process::own_pid() != 1 && tty::has_controlling_terminal()
}

/// Whoever calls a run sees why nothing happens; behind init nobody sits there.
fn telling(caller: &Caller) -> Telling {
    if caller.init.is_some() || caller.verbosity == Verbosity::Quiet {
        return Telling::Nobody;
    }
    let is_smart = || std::env::var_os("TERM").is_none_or(|term| term != "dumb");
    let is_text = caller.context.format == Format::Text;
    if is_text && tty::is_terminal(io::stderr().as_fd()) && is_smart() {
        Telling::Line
    } else {
        Telling::Notes
    }
}

fn not_started(what: &str, plan: &RunPlan, error: &io::Error) -> Refused {
    Refused {
        code: exit::FAILED,
        text: format!("{what} \"{}\": {}", plan.job, trouble::text_of(error)),
    }
}

/// Takes back what was claimed for a run that cannot go on: it holds nothing, but an earlier monitor, which
/// has asked to start over, has taken `dirs` and said that it waits.
fn give_up(owner: Owner<'_>, caller: &Caller, dirs: &Arc<Dirs>) {
    let _ = Arc::clone(dirs).release_in_time();
    claims::clear(owner, caller.runtime.as_deref());
}

/// Removes what a monitor that died has left beside its locks.
fn clean(owner: Owner<'_>, caller: &Caller, reaped: u32) {
    // The latches were the fork's, and are closed by now: what is left of our claims is dead.
    claims::clear(owner, caller.runtime.as_deref());
    if !owner.plan.process.cgroup.is_empty() {
        group::remove(&caller.run_id);
    }
    let journal = caller.journal();
    journal.note(Note::GuardCleaned { reaped });
    if let Some(init) = &caller.init {
        journal
            .events()
            .into_iter()
            .for_each(|event| send_event(init, event));
    }
    journal.finish(FLUSH);
}

/// What is known of a run whose monitor died.
const fn lost() -> Outcome {
    Outcome {
        code: exit::FAILED,
        reason: Reason::Failed,
        status: None,
        waited: Duration::ZERO,
        held: Duration::ZERO,
        ran: Duration::ZERO,
    }
}

fn ended(plan: &RunPlan, caller: &Caller, outcome: Outcome, unwanted: bool) -> u8 {
    if let Some(init) = &caller.init {
        send(init, &Progress::Ended(outcome));
    }
    if let Some(report) = caller.report.as_ref().and_then(|fd| fd.try_clone().ok()) {
        let report = Report {
            to: report,
            init: caller.init.as_ref(),
            map: &plan.signals,
            unwanted,
        };
        report::write(report, &caller.run_id, &plan.job, &outcome);
    }
    outcome.code
}
