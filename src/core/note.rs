//! Every fact that lockkeeper tells the journal, as one closed enum.
//!
//! A note has a message id, a level, a text and named fields, all derived from it in one place
//! (`journal::render`). Which run it belongs to (`JOB`, `JOB_CLASS`, `RUN_ID`) is the business of
//! the process that writes it: a guard or a monitor serves one run; init names the job in the note.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::plan::Want;

use super::final_line::AgentResult;
use super::outcome::{Outcome, Reason, SpawnStep};
use super::refusal::Refusal;

/// Why the owner of a lock directory is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dead {
    /// He has not refreshed it for so long.
    Stale(Duration),
    /// Its time lies so far in the future.
    Ahead(Duration),
    /// Nobody else uses this login, and the run has not begun or is over.
    Alone,
    /// It is new, the run is over, and he has given no sign of life for so long since.
    Silent(Duration),
}

/// What has become of a lock directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Removed.
    Removed(Dead),
    /// Removed: a sweep that was killed had left it under our name.
    Remains,
    /// A sweep that was killed had left it under our name, and its owner may live: it is back.
    BroughtBack,
    /// Left: it was there before the run.
    Owned,
    /// Left: its owner has refreshed it.
    Refreshed,
    /// Left: there was no time to watch it.
    CutShort,
    /// Left: we woke too late ourselves to hold silence against its owner.
    Late,
    /// Left: there is something in it.
    NotEmpty,
    /// Left: it is no directory.
    NotAFolder,
    /// Left: it can be neither judged nor moved.
    Denied {
        /// The error number.
        errno: i32,
    },
    /// No inotify was to be had: it is compared once, when the watch is over.
    Unwatched {
        /// The error number.
        errno: i32,
    },
    /// It was refreshed in the instant in which it was moved.
    Disturbed {
        /// Whether it is back in its place; else somebody has made another there.
        back: bool,
    },
}

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// The lock is taken; this run now waits in the kernel's queue.
    Waiting {
        /// The lock file.
        lock: PathBuf,
        /// Who holds it, where a claim says so.
        holder: Option<String>,
        /// Whether the caller of the run is told of it, too.
        aloud: bool,
    },
    /// The lock is ours.
    Obtained {
        /// The lock file.
        lock: PathBuf,
        /// Time in the queue.
        waited: Duration,
        /// Whether the caller of the run is told of it, as he was told of the wait.
        aloud: bool,
    },
    /// An ancestor run holds the same lock for us: it is already ours.
    Nested {
        /// The lock file.
        lock: PathBuf,
        /// The run that holds it.
        holder: String,
    },
    /// The environment names a living run that holds the lock, and we are no part of it: we queue.
    NotNested {
        /// The lock file.
        lock: PathBuf,
        /// The run that holds it.
        holder: String,
    },
    /// `wait` is over and somebody else still holds the lock.
    WaitExpired {
        /// The lock file.
        lock: PathBuf,
        /// Time in the queue.
        waited: Duration,
        /// Who holds it, where a claim says so.
        holder: Option<String>,
    },
    /// The lock file was replaced while we waited; guard and monitor start over with the new one.
    LockReplacedWaiting {
        /// The lock file.
        lock: PathBuf,
    },
    /// The lock file was replaced or removed while we held it: others may hold the new one.
    LockReplacedHeld {
        /// The lock file.
        lock: PathBuf,
    },
    /// Two runs hold the lock, as its file system does not keep them apart.
    Split {
        /// The lock file, as this one of them names it.
        lock: PathBuf,
        /// This run and the other one, in words.
        holders: [String; 2],
    },
    /// No inotify instance was to be had: the lock file is compared once, at the end.
    LockUnwatched {
        /// The lock file.
        lock: PathBuf,
        /// The error number.
        errno: i32,
    },
    /// The lock could not be taken at all, or what else the run needs before it queues.
    LockFailed {
        /// What failed, and why.
        text: String,
    },
    /// A directory that this run locks is somebody else's: it waits for the end of that.
    DirWaiting {
        /// The directory.
        dir: PathBuf,
        /// Who has it.
        holder: String,
        /// Whether the caller of the run is told of it, too.
        aloud: bool,
    },
    /// A directory is ours.
    DirObtained {
        /// The directory.
        dir: PathBuf,
        /// Time since the run began to wait.
        waited: Duration,
        /// Whose dead claim was taken over.
        former: Option<String>,
        /// Whether the caller of the run is told of it, as he was told of the wait.
        aloud: bool,
    },
    /// A directory was not obtained.
    DirRefused {
        /// The directory.
        dir: PathBuf,
        /// Who has it, or what failed, and what to do.
        text: String,
        /// How long it was waited for, where it was.
        waited: Option<Duration>,
    },
    /// Something is wrong with the lock of a directory that we hold.
    DirTrouble {
        /// The directory.
        dir: PathBuf,
        /// What, and what to do.
        text: String,
    },
    /// A directory is free again.
    DirReleased {
        /// The directory.
        dir: PathBuf,
    },
    /// Something about the place of the lock that the user should know.
    Placement {
        /// The lock file.
        lock: PathBuf,
        /// What it is, and what to do.
        text: String,
        /// Whether it may exclude fewer than is hoped for.
        warning: bool,
    },
    /// A claim could not be written: it is information, the run goes on.
    ClaimFailed {
        /// The claim's folder or file.
        path: PathBuf,
        /// What failed, and why.
        text: String,
    },
    /// A condition of the command's start does not hold, and the run is over.
    StartRefused(Refusal),
    /// No batch run that uses the login starts for a while, in any container.
    PauseSet {
        /// The lock that the pause lies beside.
        lock: PathBuf,
        /// When it ends, in milliseconds since 1970.
        until: u64,
        /// How long that is.
        length: Duration,
        /// The person who set it; `None`: this run's command said so.
        by: Option<String>,
        /// What he, or the command, said.
        said: String,
    },
    /// A pause should have been set, and others do not know of it.
    PauseFailed {
        /// The lock that it should lie beside.
        lock: PathBuf,
        /// What failed, and what to do.
        text: String,
    },
    /// Something lies among the pauses that is none, and stops nobody.
    PauseIgnored {
        /// The lock that it lies beside.
        lock: PathBuf,
        /// What lies there.
        path: PathBuf,
        /// Why it is none.
        why: String,
    },
    /// Somebody has ended the pauses of a login.
    PauseEnded {
        /// The lock that they lay beside.
        lock: PathBuf,
        /// Who.
        by: String,
        /// How many there were.
        count: usize,
    },
    /// Something about the control group of the run is not as it was asked for.
    GroupTrouble {
        /// What, and why.
        text: String,
    },
    /// The kernel killed processes of the run for want of memory in its control group.
    OutOfMemory {
        /// How many.
        count: u64,
    },
    /// The command runs.
    Started {
        /// Its process id, as this PID namespace numbers it.
        pid: i32,
    },
    /// The command could not be started.
    SpawnFailed {
        /// The command's name.
        command: String,
        /// The folder or the user that the step was about, where it was one; the PATH in which a name
        /// was looked for.
        on: Option<String>,
        /// At which step.
        step: SpawnStep,
        /// The error number of that step.
        errno: i32,
    },
    /// The command has started up.
    Ready {
        /// How long it took.
        after: Duration,
    },
    /// Somebody who is no part of the run has spoken in its name; it was not heard.
    NoticeRefused {
        /// His process id, where it can be known.
        pid: i32,
        /// His user id.
        uid: u32,
    },
    /// The final line was seen; the command has `grace` to go by itself.
    FinalSeen {
        /// Whether the line says that the result is a failure.
        failed: bool,
        /// The time it has.
        grace: Duration,
    },
    /// We woke this much too late (a paused container): silence is not held against the job.
    WokeLate {
        /// How late.
        late: Duration,
    },
    /// The ladder begins.
    Stopping {
        /// Why.
        reason: Reason,
        /// The first signal.
        signal: i32,
        /// What the command has before the next rung.
        grace: Duration,
    },
    /// The command has gone, or its grace is over: every descendant is asked to go.
    Leftovers {
        /// Whether the command itself is still there.
        command_alive: bool,
        /// What they have before KILL.
        grace: Duration,
    },
    /// What is left is killed.
    Killing,
    /// KILL was sent and these are still there; the lock stays held.
    Unkillable {
        /// Their process ids, as this PID namespace numbers them.
        pids: Vec<i32>,
    },
    /// What could not be killed has gone.
    UnkillableGone,
    /// /proc is not that of our PID namespace, or hides processes.
    ProcUnusable {
        /// What follows from that.
        text: String,
    },
    /// Something has become of a lock directory.
    LockDir {
        /// The directory.
        path: PathBuf,
        /// What.
        fate: Fate,
    },
    /// The run is over, and a lock file of git is still there.
    GitLockLeft {
        /// The file.
        path: PathBuf,
    },
    /// A command's output cannot go where it should.
    OutputTrouble {
        /// Where to, why not, and where it goes instead.
        text: String,
    },
    /// The run is over: its tree is empty. With what the last final line said of itself.
    Ended(Outcome, AgentResult),
    /// The lock is free again.
    Released {
        /// The lock file.
        lock: PathBuf,
        /// How long it was held.
        held: Duration,
    },
    /// The monitor died; the guard ended the run's processes and freed the lock.
    GuardCleaned {
        /// How many processes it reaped.
        reaped: u32,
    },
    /// init is at work.
    InitStarted {
        /// How many jobs the file has.
        jobs: usize,
        /// Whether we are PID 1.
        pid1: bool,
        /// Another small init that is, and has started us.
        below: Option<String>,
    },
    /// A tick found the job's last run still going or waiting.
    TickSkipped {
        /// The job.
        job: String,
    },
    /// init starts a run.
    RunStarting {
        /// The job.
        job: String,
        /// The run.
        run_id: String,
    },
    /// A run that init started is over.
    RunEnded {
        /// The job.
        job: String,
        /// The run.
        run_id: String,
        /// Its exit code.
        code: u8,
        /// Why it ended, where the run could still say so.
        reason: Option<Reason>,
    },
    /// A run is over, and another one follows by `restart`.
    Restarting {
        /// The job.
        job: String,
        /// How the last one ended.
        code: u8,
        /// When the next one starts.
        delay: Duration,
        /// How many there were in a row, with this one.
        row: u32,
    },
    /// A run is over, and there were enough restarts.
    GivenUp {
        /// The job.
        job: String,
        /// How the last one ended.
        code: u8,
        /// How many restarts there were.
        limit: u64,
        /// In which time; `None`: in a row.
        within: Option<Duration>,
        /// Whether init stops for it.
        exits: bool,
    },
    /// A job waits for what can never come by itself.
    NeverStarts {
        /// The job.
        job: String,
        /// The one that it waits for.
        after: String,
        /// What it waits for.
        want: Want,
        /// How that one's last run ended.
        code: Option<u8>,
    },
    /// A job is due, and so many runs of its class are going as may.
    PlaceAwaited {
        /// The job.
        job: String,
        /// Its class.
        class: String,
        /// How many of it go at once.
        most: u64,
        /// How many wait before it.
        before: usize,
    },
    /// A guard could not be started; the job is tried again at its next tick.
    GuardFailed {
        /// The job.
        job: String,
        /// What failed, and why.
        text: String,
    },
    /// A run of this job lives on from an earlier init; it counts as running.
    RunFound {
        /// The job.
        job: String,
        /// The run.
        run_id: String,
    },
    /// The file was read again: these jobs are not what they were.
    Reloaded {
        /// New ones.
        added: Vec<String>,
        /// Those that the file does not name any more.
        removed: Vec<String>,
        /// Those that have the new plan from their next start on.
        changed: Vec<String>,
    },
    /// The file was read again and is not valid: nothing has changed.
    ReloadRefused {
        /// The first error, or why it could not be read.
        text: String,
        /// How many errors there are.
        errors: usize,
    },
    /// There is no control socket: nobody can ask this init for anything.
    ControlFailed {
        /// What failed, and what to do.
        text: String,
    },
    /// The orderly stop begins.
    StopAsked {
        /// The signal that asked for it.
        signal: i32,
        /// How many runs are going.
        runs: usize,
        /// The time it may take.
        within: Duration,
    },
    /// The stop was not over in time: what is left goes down with init.
    StopOverdue {
        /// How many runs are left.
        runs: usize,
    },
    /// init ends.
    InitEnded {
        /// Its exit code.
        code: u8,
    },
    /// No job can ever run again, and `stay` keeps init.
    Staying,
    /// There is no journal socket: from here on, lines on standard error.
    NoJournal {
        /// Why, and which mount to add.
        text: String,
    },
    /// So many notes were lost because nobody took them in time.
    NotesLost {
        /// How many.
        count: u64,
    },
    /// Something in the configuration that works, but not as meant.
    ConfigWarning {
        /// What, and what to do.
        text: String,
    },
    /// The command of `on_event` does not do what it is there for.
    EventFailed {
        /// The program.
        program: String,
        /// How it fails.
        how: String,
    },
}
