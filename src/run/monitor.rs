//! The monitor: the life of one run, from the queue of its lock to the empty tree.
//!
//! One thread waits ([`poll::wait`]) for signals, orders, the lock, the command's exec, its final
//! line and the next deadline; turns each into an [`Event`]; and performs the [`Action`]s that the
//! policy answers with. It is a subreaper, or PID 1: every descendant that loses its parent becomes
//! its child, whatever it closed, cleared or ignored, and the tree is empty when the kernel says
//! that no child is left. The job never has the lock's descriptor.
//!
//! | room | what is in it |
//! | --- | --- |
//! | this file | what a monitor is given, its loop, what it does for each action, its end |
//! | `checking` | whether the command may start |
//! | `dirs` | the directories: taken, waited for, told about, released |
//! | `group` | the control group of the run |
//! | `lock` | taking the shared lock, waiting for it, watching its file |
//! | `command` | the command's process: made, signalled, reaped |
//! | `sweep` | lock directories, before the command and after its tree |
//! | `notices` | what the command says of itself, and what init is told of it |
//! | `orders` | signals, the orders of guard or init, job control |
//! | `output` | what the command's output tells, and its end |
//! | `waits` | what the caller is told while the run waits |
//! | `pause` | the pause that the command's output asks for |
//! | `split` | a second holder of the lock, where its file system does not keep two apart |

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::cgroup::group::Group;
use super::claims::{Claims, Owner};
use super::command::Prepared;
use super::conditions::Asking;
use super::dirs::Dirs;
use super::env_file::FromFiles;
use super::event_log::{Entry, EventLog};
use super::look::Look;
use super::message::{Progress, send};
use super::notify::NotifySocket;
use super::output::Output;
use super::pause::Own;
use super::waiter::Waiter;
use crate::config::plan::RunPlan;
use crate::core::event::{Action, Event, Facts};
use crate::core::final_line::AgentResult;
use crate::core::mask::Secrets;
use crate::core::note::Note;
use crate::core::outcome::{Outcome, Reason};
use crate::core::pause::Course;
use crate::core::run::Run;
use crate::core::time::Time;
use crate::journal::Journal;
use crate::lock::record::By;
use crate::lock::shared::{SharedLock, Watch};
use crate::lock::sweep::listed::Listed;
use crate::lock::unclaimed::Effort;
use crate::sys::fd::Wire;
use crate::sys::signals::{self, Signals};
use crate::sys::spawn::{self, Session, Spawned};
use crate::sys::{clock, poll, process, tree};

mod checking;
mod command;
mod dirs;
mod group;
mod lock;
mod notices;
pub(super) mod orders;
pub(super) mod output;
mod pause;
mod split;
mod sweep;
mod waits;

/// How long the last notes may take to reach the journal.
const FLUSH: Duration = Duration::from_secs(1);
/// How long what a command has said last may keep the lock from the next: there may be a pause in it.
/// With what the leftovers have it is less than `released_after_end` allows.
const LAST_WORDS: Duration = Duration::from_millis(1500);

/// What a monitor is given.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Setup<'a> {
    /// What to run.
    pub plan: &'a RunPlan,
    /// The run's id.
    pub run_id: &'a str,
    /// `CONTAINER_NAME`.
    pub container: Option<&'a str>,
    /// Who has begun it.
    pub by: By,
    /// The open lock file; `None`: none is named, or an ancestor run holds it for us.
    pub lock: Option<Arc<SharedLock>>,
    /// The directories that the run locks, open.
    pub dirs: Arc<Dirs>,
    /// Whether nobody can know if the lock, where it lies, keeps two holders apart.
    pub unsure: bool,
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
    /// What the caller is told of a wait.
    pub telling: Telling,
    /// Whether HUP asks for the stop.
    pub hup_stops: bool,
    /// Whether we are PID 1, and what is in our PID namespace ends with this run.
    pub namespace: bool,
    /// The folder for a command whose plan names none, where we have left it ourselves.
    pub started_in: Option<PathBuf>,
    /// Since when the run queues.
    pub queued_at: Time,
    /// What is shown nowhere.
    pub secrets: Arc<Secrets>,
    /// Where notes go.
    pub journal: Journal,
    /// What the guard found before the fork.
    pub first_notes: Vec<Note>,
}

/// What the caller of a run is told while it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// A line on its terminal, which is gone afterwards.
    Line,
    /// A note when the wait begins, and one when it ends.
    Notes,
    /// Nothing.
    Nobody,
}

/// How the life of a run ended, for the process that it happened in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is over; and whether somebody wanted that, be it that nothing was left but to pass on what was
    /// said.
    Ended(Outcome, bool),
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
        unsure: setup.unsure,
        ignored: signals::started_ignored(),
        ..Facts::new(setup.plan)
    };
    if setup.lock.is_none() {
        facts.wait = None;
    }
    if setup.dirs.is_empty() {
        facts.dirs = None;
    }
    let log = EventLog::open(setup.run_id, &facts, &setup.secrets);
    let (plan, queued_at) = (setup.plan, setup.queued_at);
    let mut monitor = Monitor {
        setup,
        run: Run::new(facts),
        log,
        signals,
        asking: None,
        at_git: None,
        from_files: None,
        group: None,
        waiter: None,
        waited: None,
        locked: false,
        claiming: dirs::Claiming::default(),
        waits: waits::Waits::default(),
        prepared: None,
        watch: None,
        lock_dirs: sweep::listed(plan),
        replaced_said: false,
        look: None,
        command: None,
        starting: None,
        output: None,
        notify: None,
        result: AgentResult::default(),
        asked: tree::Asked::default(),
        proc_fault_said: false,
        course: Course::default(),
        pause: None,
        end: None,
    };
    let first_notes = std::mem::take(&mut monitor.setup.first_notes);
    monitor.note_all(first_notes);
    monitor.step(Event::Begin { queued_at });
    monitor.tell_events();
    while monitor.end.is_none() {
        monitor.turn();
        monitor.tell_events();
    }
    monitor.setup.journal.finish(FLUSH);
    let end = monitor.end.unwrap_or(End::StartOver);
    if let Some(above) = monitor.above() {
        let message = match end {
            End::Ended(outcome, _) => Progress::Ended(outcome),
            End::StartOver => Progress::StartOver,
        };
        send(above, &message);
        // It reads that when we have ended, which a thread that hangs may put off for ever.
        if monitor.hangs() && monitor.setup.guard.is_some() {
            let _ = process::kill(nix::unistd::getppid().as_raw(), libc::SIGCHLD);
        }
    }
    // The process ends next, and the kernel frees all of it in one go.
    std::mem::forget(monitor);
    Ok(end)
}

struct Monitor<'a> {
    setup: Setup<'a>,
    run: Run,
    log: EventLog,
    signals: Signals,
    /// The conditions of the start, while they are asked.
    asking: Option<Asking>,
    /// The thread that looks for git's lock file in the folder of the run, if it has not come back.
    at_git: Option<Waiter>,
    /// Variables that lie in files.
    from_files: Option<Arc<FromFiles>>,
    /// The control group of the command, where its plan asks for one.
    group: Option<Group>,
    waiter: Option<Waiter>,
    /// The same, when it has answered: its thread stays until the command is on its way.
    waited: Option<Waiter>,
    /// The lock is ours.
    locked: bool,
    claiming: dirs::Claiming,
    waits: waits::Waits,
    /// The command, made ready while we wait for the lock.
    prepared: Option<Result<Prepared, spawn::Failure>>,
    watch: Option<Watch>,
    lock_dirs: Option<Listed>,
    replaced_said: bool,
    /// A look at the claims beside the lock.
    look: Option<Look>,
    /// The command's process, until it is reaped.
    command: Option<i32>,
    /// Between fork and exec: comes to its end when the program runs.
    starting: Option<Spawned>,
    output: Option<Output>,
    /// Where the command says how it is.
    notify: Option<NotifySocket>,
    /// What the last final line said of itself.
    result: AgentResult,
    asked: tree::Asked,
    proc_fault_said: bool,
    /// When the command's output asks for a pause.
    course: Course,
    /// The pause that the run has set.
    pause: Option<Own>,
    end: Option<End>,
}

impl Monitor<'_> {
    /// Rests until something happens, and handles all that has happened.
    fn turn(&mut self) {
        // A wake-up for it would be in the way of the program's first instructions.
        let exec_wanted = self.run.awaits_exec();
        let [
            signal,
            order,
            _,
            asked,
            lock,
            dir,
            told,
            news,
            file,
            looked,
            signs,
            notices,
        ] = poll::wait(
            [
                Some(self.signals.as_fd()),
                self.above().map(AsFd::as_fd),
                self.starting
                    .as_ref()
                    .map(AsFd::as_fd)
                    .filter(|_| exec_wanted),
                self.asking.as_ref().map(AsFd::as_fd),
                self.waiter.as_ref().map(AsFd::as_fd),
                self.claiming.waiter.as_ref().map(AsFd::as_fd),
                self.claiming.telling.as_ref().map(AsFd::as_fd),
                self.output.as_ref().map(AsFd::as_fd),
                self.watch.as_ref().map(AsFd::as_fd),
                self.look.as_ref().map(AsFd::as_fd),
                self.lock_dirs.as_ref().and_then(Listed::as_fd),
                self.notify.as_ref().map(AsFd::as_fd),
            ],
            self.run.next_deadline(),
        );
        let starting = self.starting.as_ref().map(AsFd::as_fd);
        if starting.is_some_and(poll::is_ready) {
            self.exec_ended();
        }
        if notices {
            self.read_notices();
        }
        if news {
            self.output_told();
        }
        if signal {
            self.read_signals();
        }
        if order {
            self.read_orders();
        }
        // After what may have stopped the run: it would start for nothing.
        if asked {
            self.check_answered();
        }
        if lock {
            self.waiter_answered();
        }
        if dir {
            self.dir_freed();
        }
        if told {
            self.dirs_told();
        }
        if file {
            self.file_changed();
        }
        if looked {
            self.look_ended();
        }
        if signs {
            self.read_signs();
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
            Action::CheckStart => return self.check_start(),
            Action::EndCheck => return self.end_check(),
            Action::LockDirs => return Some(self.lock_dirs()),
            Action::AwaitDir => return self.await_dir(),
            Action::Lock => return Some(self.take_lock()),
            Action::WatchLock => self.watch_lock(),
            Action::LookAtLockDirs => self.look_at_lock_dirs(),
            Action::Spawn => return Some(self.spawn()),
            Action::Signal { to, signo } => self.signal(to, signo),
            Action::TermDescendants => self.ask_descendants(),
            Action::KillChildren => {
                if let Some(group) = &mut self.group {
                    group.kill();
                }
                if self.setup.namespace {
                    tree::kill_namespace();
                } else {
                    tree::kill_children();
                }
            }
            Action::AskOutput => {
                let at = self.output.as_ref().map_or_else(clock::now, Output::last);
                return Some(Event::LastOutput { at });
            }
            Action::AskSurvivors => {
                return Some(Event::Survivors {
                    pids: tree::survivors(),
                });
            }
            Action::TellReady => self.tell_init(&Progress::Ready),
            Action::TellStatus { text } => self.tell_init(&Progress::Status(text)),
            Action::Claim => self.claim(),
            Action::TouchClaim => self.touch_claim(),
            Action::ReportSplit { run_id } => self.report_split(&run_id),
            Action::Sweep => return Some(self.sweep()),
            Action::EndWatch(watched) => self.end_watch(watched),
            Action::StopSelf => return self.stop_self(),
            Action::Note(note) => self.setup.journal.note(note),
            Action::StartOver => self.start_over(),
            Action::Finish(outcome) => self.finish(outcome),
        }
        None
    }

    /// The tree is empty, or nothing was started: frees everything, the lock before the directories.
    fn finish(&mut self, outcome: Outcome) {
        self.wait_ends();
        if let Some(output) = &self.output {
            output.finish();
        }
        if self.claiming.is_blocked() {
            self.dir_not_obtained(&outcome);
        } else if outcome.reason == Reason::WaitExpired
            && let Some(lock) = &self.setup.lock
        {
            let holder = self.setup.claims.holder(self.owner(), Effort::All);
            let (lock, waited) = (lock.path().to_owned(), outcome.waited);
            self.setup.journal.note(Note::WaitExpired {
                lock,
                waited,
                holder,
            });
        } else if outcome.status.is_some() {
            self.check_file();
        }
        // The next in the queue asks when he has the lock.
        let goes_on = !self.may_pause() || self.drain_output(Some(LAST_WORDS));
        if let Some(lock) = self.setup.lock.take()
            && self.locked
        {
            let _ = lock.unlock();
            let (lock, held) = (lock.path().to_owned(), outcome.held);
            self.setup.journal.note(Note::Released { lock, held });
        }
        // From here on in folders that may lie elsewhere than the lock, and hang without it.
        if outcome.status.is_some() {
            self.name_git_lock();
        }
        self.leave_group();
        self.release_dirs();
        self.setup.claims.release();
        // Nobody waits for us any more, and the last line may be the one with the result.
        // A request to stop that came meanwhile was heard there.
        let goes_on = self.drain_output((!goes_on).then_some(output::BRIEF)) && goes_on;
        let result = std::mem::take(&mut self.result);
        self.setup.journal.note(Note::Ended(outcome, result));
        self.end = Some(End::Ended(outcome, !goes_on || self.run.is_unwanted()));
    }

    /// Whether a thread may hang in the kernel, and put off the end of this process.
    const fn hangs(&self) -> bool {
        self.claiming.hangs || self.asking.is_some() || self.at_git.is_some()
    }

    fn owner(&self) -> Owner<'_> {
        let Setup {
            plan,
            run_id,
            container,
            by,
            unsure,
            ..
        } = self.setup;
        Owner {
            plan,
            run_id,
            container,
            by,
            unsure,
        }
    }

    fn note_all(&self, notes: impl IntoIterator<Item = Note>) {
        for note in notes {
            self.setup.journal.note(note);
        }
    }
}
