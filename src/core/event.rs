//! What can happen to a run, what it can ask for, and the facts that its policy stands on: the
//! words between [`super::run::Run`] and the shell round it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::note::Note;
use super::notice::Notice;
use super::outcome::{Outcome, SpawnStep, Status};
use super::refusal::Refusal;
use super::time::Time;
use crate::config::plan::{Limits, OnConflict, RunPlan, SignalMap, StopPlan, Wait};

/// What the policy needs to know of a run, beside its plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Facts {
    /// Whether anything must hold before it starts, if only that there is no pause: else nobody is asked.
    pub conditions: bool,
    /// Whether it queues for a shared lock, and how long.
    pub wait: Option<Wait>,
    /// What it does where a directory that it locks is somebody else's; `None`: it locks none.
    pub dirs: Option<OnConflict>,
    /// The watchdogs.
    pub limits: Limits,
    /// The rungs.
    pub stop: StopPlan,
    /// Whether the command leads a session of its own; else it shares our process group, and what
    /// the terminal sends reaches it without us.
    pub own_session: bool,
    /// Whether we stop together with the command, for a shell with job control.
    pub job_control: bool,
    /// Whether HUP asks for the stop; else it is the command's own business, as under an init.
    pub hup_stops: bool,
    /// Whether the lock lies where nobody can know if it keeps two holders apart.
    pub unsure: bool,
    /// Stop signals that we were started with ignored, as by nohup(1): they stay ignored.
    pub ignored: Vec<i32>,
    /// What the command is sent in a signal's place, and which of them we do not hear.
    pub signals: SignalMap,
    /// How long lock directories are watched after the run; `None`: none are listed.
    pub sweep: Option<Duration>,
}

impl Facts {
    /// The facts of a plan, for a run in the foreground of nobody: a session of its own, no job
    /// control.
    pub fn new(plan: &RunPlan) -> Self {
        Self {
            conditions: plan.conditions.any()
                || plan.process.reads_files()
                || !plan.pause_locks().is_empty(),
            wait: plan.kind.lock().map(|lock| lock.wait),
            dirs: plan.dirs.any().then(|| plan.kind.on_conflict()),
            limits: plan.limits.clone(),
            stop: plan.stop,
            own_session: true,
            job_control: false,
            hup_stops: true,
            unsure: false,
            ignored: Vec::new(),
            signals: plan.signals.clone(),
            sweep: plan.kind.sweep().map(|sweep| sweep.refresh),
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The run begins.
    Begin {
        /// Since when it queues: earlier than now where the lock file was replaced meanwhile.
        queued_at: Time,
    },
    /// The answer to [`Action::CheckStart`]: nothing stands against the start.
    StartAllowed,
    /// The other answer, and that to [`Action::EndCheck`].
    StartRefused {
        /// What does not hold.
        refusal: Refusal,
    },
    /// All directories are ours.
    DirsGot,
    /// A directory is somebody else's.
    DirBusy {
        /// Whether that may end by itself, and nothing forbids to wait for it.
        may_end: bool,
    },
    /// What kept a directory from us may have ended.
    DirFreed,
    /// A directory's lock was replaced while we waited.
    DirReplaced,
    /// A directory could not be locked at all.
    DirFailed,
    /// Somebody else holds the lock; we are in the queue.
    LockBusy,
    /// The lock is ours, or an ancestor run holds it for us.
    LockGot,
    /// The lock file is another one than the one we queued for.
    LockReplaced,
    /// The lock could not be taken at all.
    LockFailed,
    /// The command's process exists.
    Forked {
        /// Its process id.
        pid: i32,
    },
    /// The command's program runs.
    Executed,
    /// The command's program could not be started; its process, if any, is about to exit.
    SpawnFailed {
        /// At which step.
        step: SpawnStep,
        /// The error number.
        errno: i32,
        /// Whether a process was made, which will be reaped.
        forked: bool,
    },
    /// Children were reaped.
    Reaped {
        /// The command's status, if it was among them.
        command: Option<Status>,
        /// Whether no child is left: the tree is empty.
        empty: bool,
    },
    /// The command, or somebody of its tree, has said something of itself.
    Noticed(Notice),
    /// The command was stopped (`SIGSTOP`, `SIGTSTP`).
    CommandStopped,
    /// A complete line on standard output contained the text of `final`.
    FinalLine {
        /// Whether it contained the text for a failure too.
        failed: bool,
    },
    /// The answer to [`Action::AskOutput`].
    LastOutput {
        /// When something was last read from the command, or written on for it.
        at: Time,
    },
    /// The answer to [`Action::AskSurvivors`].
    Survivors {
        /// Processes of the tree that KILL did not end; empty if only dead ones are left.
        pids: Vec<i32>,
    },
    /// The answer to [`Action::TouchClaim`]; none comes while the file system does not answer.
    ClaimsSeen {
        /// Each other claim beside the lock: its run, and a number that changes when it is touched.
        stamps: Vec<(String, i64)>,
    },
    /// The answer to [`Action::Sweep`], and again when owners have given a sign of life.
    Swept {
        /// Whether there are lock directories of which nobody knows yet.
        doubtful: bool,
    },
    /// A signal for us.
    Signal {
        /// Its number.
        signo: i32,
        /// Whether a terminal sent it, to a whole process group.
        kernel: bool,
    },
    /// init orders the stop, to be over within this time.
    StopWithin {
        /// The time for the whole ladder; `None`: the run's own graces.
        within: Option<Duration>,
    },
    /// The guard has died.
    GuardLost,
    /// A deadline may have been reached.
    Tick,
}

/// Whom a signal is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The command's own process.
    Command,
    /// The command's process group.
    Group,
}

/// What becomes of the lock directories that were watched without a sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Watched {
    /// They are removed: their owners are dead.
    ToTheEnd,
    /// They are left, as there was no time to watch them to the end.
    CutShort,
    /// They are left, as we were not running ourselves for a part of the time.
    Late,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Find out whether the command may start now: [`Event::StartAllowed`], [`Event::StartRefused`].
    CheckStart,
    /// Wait for the answer no longer: [`Event::StartRefused`] with what gave none.
    EndCheck,
    /// Take the directories that are not ours yet, in their order, up to the first that is not free.
    LockDirs,
    /// Wait for the end of what keeps that one from us: [`Event::DirFreed`].
    AwaitDir,
    /// Take the lock, or queue for it.
    Lock,
    /// Watch the lock's file from here on: it may be replaced while we hold it.
    WatchLock,
    /// Look at the lock directories, before there is a command.
    LookAtLockDirs,
    /// Start the command.
    Spawn,
    /// Send a signal.
    Signal {
        /// To whom.
        to: Target,
        /// Its number.
        signo: i32,
    },
    /// TERM and CONT, once, to every descendant that has not had them.
    TermDescendants,
    /// KILL to each of our children.
    KillChildren,
    /// Tell, as [`Event::LastOutput`], when something was last heard.
    AskOutput,
    /// Tell, as [`Event::Survivors`], what is still alive.
    AskSurvivors,
    /// Tell whoever started the run that its command has started up.
    TellReady,
    /// Tell him what the command does, in its own words.
    TellStatus {
        /// One line; empty: nothing.
        text: String,
    },
    /// Tell others that the command runs.
    Claim,
    /// Touch our claim beside the lock, and tell, as [`Event::ClaimsSeen`], how the others look.
    TouchClaim,
    /// This run is alive and holds the lock as we do: name both.
    ReportSplit {
        /// The other one.
        run_id: String,
    },
    /// Remove the lock directories of the dead, watch the doubtful ones, and tell, as
    /// [`Event::Swept`], whether there are any.
    Sweep,
    /// End the watch.
    EndWatch(Watched),
    /// Stop ourselves, as the command did.
    StopSelf,
    /// Write this down.
    Note(Note),
    /// Begin anew, with the file that now bears the lock's name.
    StartOver,
    /// Release everything and report; nothing comes after it.
    Finish(Outcome),
}
