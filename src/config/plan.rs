//! What a configuration means, whole and valid: the types that the rest of the program runs on.
//!
//! Rules that a type can carry stand in the type: an interactive class has no lock ([`Kind`]), a
//! lock without a file does not exist. A [`RunPlan`] is all that one run needs to know; init hands
//! it to the guard, so that a running run keeps its plan whatever happens to the file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

mod conditions;
mod pause;
mod process;

pub use super::signals::SignalMap;
pub use conditions::Conditions;
pub use pause::{DEFAULT_PAUSE, LONGEST_PAUSE, PausePlan};
pub use process::{KEPT, ProcessPlan, Rlimit, UNLIMITED};

/// How long a command gets between its stop signal and the next rung: a token refresh takes seconds.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(15);
/// How long descendants that outlive their command get after their TERM.
pub const DEFAULT_LEFTOVER_GRACE: Duration = Duration::from_secs(1);
/// How long the command of `on_event` may take.
pub const DEFAULT_EVENT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a command may take to go after its final line.
pub const DEFAULT_FINAL_GRACE: Duration = Duration::from_secs(30);
/// How long a batch run waits in the queue of its lock.
pub const DEFAULT_WAIT: Duration = Duration::from_mins(10);
/// The time for an orderly stop of everything; below the 10 s after which Docker and podman kill.
pub const DEFAULT_STOP_WITHIN: Duration = Duration::from_secs(9);

/// The time from a failure to the first restart.
pub const DEFAULT_RESTART_DELAY: Duration = Duration::from_secs(1);
/// The longest time to a restart.
pub const DEFAULT_MAX_DELAY: Duration = Duration::from_mins(5);
/// How long a command must have run for its failure to be a new one.
pub const DEFAULT_RESET_AFTER: Duration = Duration::from_mins(1);

/// How long a new lock directory is watched: longer than its owner takes to refresh it.
pub const DEFAULT_REFRESH: Duration = Duration::from_secs(6);
/// After how long without a sign of life the owner of a lock directory is dead.
pub const DEFAULT_STALE_AFTER: Duration = Duration::from_mins(1);
/// Where the files of jobs lie whose output goes to files.
pub const DEFAULT_LOG_DIR: &str = "/var/log/lockkeeper";
/// From how many bytes on such a file is set aside.
pub const DEFAULT_LOG_SIZE: u64 = 10 << 20;
/// How many that were set aside are kept.
pub const DEFAULT_LOG_FILES: u64 = 5;
/// The fewest bytes of a value that can be masked: a shorter one stands in too many other words.
pub const LEAST_SECRET: usize = 4;
/// The lock's name in the folder of an identity.
pub const LOCK_NAME: &str = "session.lock";

/// A whole configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The `[init]` table.
    pub init: InitPlan,
    /// The jobs, in the order of the file.
    pub jobs: Vec<JobPlan>,
}

/// The `[init]` table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitPlan {
    /// `CONTAINER_NAME` in the journal: `name`, else the host name.
    pub name: String,
    /// Time for the orderly stop of all runs, from the first stop signal.
    pub stop_within: Duration,
    /// Whether init lives on when no job can ever run again.
    pub stay: bool,
    /// What a line on standard error looks like.
    pub log: Format,
    /// What init takes a signal for that it gets.
    pub signals: SignalMap,
    /// The command that is told of events.
    pub on_event: Option<EventPlan>,
}

/// A command that is told what happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPlan {
    /// The command and its arguments; never empty.
    pub command: Vec<OsString>,
    /// Of what it is told, by the names of the manual; empty: of all warnings and errors.
    pub kinds: Vec<String>,
    /// How long it may take for one event.
    pub timeout: Duration,
}

/// What a note looks like on standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Words.
    #[default]
    Text,
    /// One JSON object a line, with the names and values that `journalctl --output=json` shows.
    Json,
}

impl Format {
    /// The words for it.
    pub const WORDS: &'static [&'static str] = &["text", "json"];

    /// What `word` means; `None`: it is none of [`Self::WORDS`].
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// A job: what runs, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPlan {
    /// When it starts of itself.
    pub start: Start,
    /// At which rate it starts again; `None`: it runs once.
    pub every: Option<Every>,
    /// Whether it is *the* main command, whose exit code is the container's.
    pub main: bool,
    /// Whether it starts again when a run of it is over.
    pub restart: RestartPlan,
    /// What must have come true before it starts for the first time: all of it.
    pub after: Vec<After>,
    /// How many runs of its class go at once; the same in all jobs of a class.
    pub max_parallel: Option<u64>,
    /// What one run of it does.
    pub run: RunPlan,
}

impl JobPlan {
    /// A job that starts with init and runs once.
    pub const fn once(run: RunPlan) -> Self {
        Self {
            start: Start::Boot,
            every: None,
            main: false,
            restart: RestartPlan::NEVER,
            after: Vec::new(),
            max_parallel: None,
            run,
        }
    }
}

/// Whether, when and how often a job starts again that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartPlan {
    /// After which ends.
    pub when: When,
    /// The time to the first restart in a row; it doubles with each one.
    pub delay: Duration,
    /// What it doubles up to.
    pub max_delay: Duration,
    /// A command that ran for so long was a good one, as one that succeeded: the row begins anew.
    pub reset_after: Duration,
    /// How many restarts there are; `None`: as many as it takes.
    pub limit: Option<u64>,
    /// The time in which they are counted; `None`: those in a row.
    pub within: Option<Duration>,
    /// What follows when there are no more.
    pub then: Then,
}

impl RestartPlan {
    /// No restart; the numbers hold where only `when` is said.
    pub const NEVER: Self = Self {
        when: When::Never,
        delay: DEFAULT_RESTART_DELAY,
        max_delay: DEFAULT_MAX_DELAY,
        reset_after: DEFAULT_RESET_AFTER,
        limit: None,
        within: None,
        then: Then::GiveUp,
    };
}

/// After which ends a job starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// After none.
    Never,
    /// When the exit code is not 0.
    OnFailure,
    /// After each; a job with a rate only when it failed, as its next tick is its next start.
    Always,
}

impl When {
    /// The words for it.
    pub const WORDS: &'static [&'static str] = &["never", "on-failure", "always"];

    /// What `word` means; `None`: it is none of [`Self::WORDS`].
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "never" => Some(Self::Never),
            "on-failure" => Some(Self::OnFailure),
            "always" => Some(Self::Always),
            _ => None,
        }
    }
}

/// What follows when a job has used up its restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// It has failed; the others go on.
    GiveUp,
    /// init stops all, and its exit code is that of the job.
    Exit,
}

/// Something that must have come true before a job starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct After {
    /// The job it is about.
    pub job: String,
    /// What.
    pub want: Want,
}

/// What a job waits for in another one. Once it was true it stays true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Want {
    /// A run of it was begun.
    Started,
    /// A run of it has ended with 0.
    Succeeded,
    /// A run of it has said that it is ready.
    Ready,
}

impl Want {
    /// The words for it.
    pub const WORDS: &'static [&'static str] = &["started", "succeeded", "ready"];

    /// What `word` means; `None`: it is none of [`Self::WORDS`].
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "started" => Some(Self::Started),
            "succeeded" => Some(Self::Succeeded),
            "ready" => Some(Self::Ready),
            _ => None,
        }
    }
}

/// When a job starts of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// When init starts.
    Boot,
    /// Only when somebody asks: `lockkeeper run JOB`.
    Manual,
}

/// A fixed rate: the first tick at boot, no drift, no second run beside a living one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Every {
    /// The time between two ticks; at least one second.
    pub period: Duration,
    /// The first tick is spread over this time, so that many jobs do not start at once.
    pub jitter: Duration,
}

/// A class: what its jobs have in common, and all that a run without a job needs besides a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassPlan {
    /// Its name: `batch`, `interactive`, or one of the user's own.
    pub name: String,
    /// Batch or interactive, and what goes with it.
    pub kind: Kind,
    /// As in [`RunPlan`].
    pub dir: Option<PathBuf>,
    /// As in [`RunPlan`].
    pub user: Option<String>,
    /// As in [`RunPlan`].
    pub group: Option<String>,
    /// As in [`RunPlan`].
    pub env: Vec<(String, String)>,
    /// As in [`RunPlan`]; `None`: what suits the kind.
    pub stdin: Option<Stdin>,
    /// As in [`RunPlan`].
    pub pty: Option<PtyPlan>,
    /// As in [`RunPlan`].
    pub signals: SignalMap,
    /// As in [`RunPlan`].
    pub limits: Limits,
    /// As in [`RunPlan`].
    pub stop: StopPlan,
    /// As in [`RunPlan`].
    pub identity: Option<Identity>,
    /// As in [`RunPlan`].
    pub dirs: DirPlan,
    /// As in [`RunPlan`].
    pub output: OutputPlan,
    /// As in [`RunPlan`].
    pub notify: bool,
    /// As in [`JobPlan`].
    pub restart: RestartPlan,
    /// As in [`JobPlan`].
    pub max_parallel: Option<u64>,
    /// As in [`RunPlan`].
    pub conditions: Conditions,
    /// As in [`RunPlan`].
    pub process: ProcessPlan,
}

impl ClassPlan {
    /// A class of that kind in which nothing else is said.
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self {
            name: name.into(),
            kind,
            dir: None,
            user: None,
            group: None,
            env: Vec::new(),
            stdin: None,
            pty: None,
            signals: SignalMap::default(),
            limits: Limits::default(),
            stop: StopPlan::default(),
            identity: None,
            dirs: DirPlan::default(),
            output: OutputPlan::default(),
            notify: false,
            restart: RestartPlan::NEVER,
            max_parallel: None,
            conditions: Conditions::default(),
            process: ProcessPlan::default(),
        }
    }

    /// Where standard input comes from.
    pub const fn stdin(&self) -> Stdin {
        match (self.stdin, self.pty, &self.kind) {
            (Some(stdin), ..) => stdin,
            (None, Some(_), _) => Stdin::Pty,
            (None, None, Kind::Interactive) => Stdin::Inherit,
            (None, None, Kind::Batch { .. }) => Stdin::Null,
        }
    }

    /// The plan of one run of this class.
    pub fn run(self, job: String, command: Vec<OsString>) -> RunPlan {
        let stdin = self.stdin();
        let signal = self.signals.of(self.stop.signal);
        let stop = StopPlan {
            signal: signal.unwrap_or(self.stop.signal),
            ..self.stop
        };
        RunPlan {
            job,
            class: self.name,
            kind: self.kind,
            command,
            dir: self.dir,
            user: self.user,
            group: self.group,
            env: self.env,
            stdin,
            pty: self.pty,
            signals: self.signals,
            limits: self.limits,
            stop,
            identity: self.identity,
            dirs: self.dirs,
            output: self.output,
            notify: self.notify,
            conditions: self.conditions,
            process: self.process,
        }
    }
}

/// All that one run needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunPlan {
    /// The job's name; the command's base name where there is no file.
    pub job: String,
    /// The class's name, as users see it.
    pub class: String,
    /// Batch or interactive, and what goes with it.
    pub kind: Kind,
    /// The command and its arguments; never empty.
    pub command: Vec<OsString>,
    /// The working directory; `None`: the one that lockkeeper was started in.
    pub dir: Option<PathBuf>,
    /// The user to run as; `None`: ours.
    pub user: Option<String>,
    /// The group to run as; `None`: the user's own, or ours.
    pub group: Option<String>,
    /// Variables that are added to, or replace, those that we were started with.
    pub env: Vec<(String, String)>,
    /// Where standard input comes from.
    pub stdin: Stdin,
    /// A terminal of its own for the command.
    pub pty: Option<PtyPlan>,
    /// What the command is sent in a signal's place; one that is dropped the run does not hear either.
    pub signals: SignalMap,
    /// The watchdogs.
    pub limits: Limits,
    /// How the run is stopped; its signal is what `signals` says.
    pub stop: StopPlan,
    /// The folder whose tokens rotate, or the variable that holds a login of its own.
    pub identity: Option<Identity>,
    /// The directories that it locks.
    pub dirs: DirPlan,
    /// Where its output goes, and what must not be shown.
    pub output: OutputPlan,
    /// Whether somebody waits for its `READY=1` or shows its `STATUS=`.
    pub notify: bool,
    /// What must hold before it starts.
    pub conditions: Conditions,
    /// What its process is given.
    pub process: ProcessPlan,
}

/// The lock beside which runs of such a class claim: their own, or else the one of their login, which
/// they pass.
pub fn shared_lock(kind: &Kind, identity: Option<&Identity>) -> Option<PathBuf> {
    let own = kind.lock().map(|lock| lock.path.clone());
    own.or_else(|| match identity? {
        Identity::Folder(folder) => Some(folder.join(LOCK_NAME)),
        Identity::Env(_) => None,
    })
}

impl RunPlan {
    /// [`shared_lock`] of its runs.
    pub fn shared_lock(&self) -> Option<PathBuf> {
        shared_lock(&self.kind, self.identity.as_ref())
    }

    /// Whether the command gets a `NOTIFY_SOCKET`: only where something is done with what it says.
    pub const fn listens(&self) -> bool {
        self.notify || self.limits.heartbeat.is_some() || self.limits.ready_timeout.is_some()
    }
}

/// Where a command's standard output and standard error go, and what is shown nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputPlan {
    /// Whether it goes to the journal, a record a line.
    pub journal: bool,
    /// Whether it goes to a file. To neither: where ours goes; then nothing of it passes through us
    /// unless a watchdog or `redact` needs that.
    pub file: bool,
    /// The folder of the file.
    pub log_dir: PathBuf,
    /// The size of the file from which on it is set aside, in bytes.
    pub log_size: u64,
    /// How many that were set aside are kept; at least one.
    pub log_files: u64,
    /// The variables whose values are shown nowhere.
    pub redact: Vec<String>,
}

impl Default for OutputPlan {
    fn default() -> Self {
        Self {
            journal: false,
            file: false,
            log_dir: DEFAULT_LOG_DIR.into(),
            log_size: DEFAULT_LOG_SIZE,
            log_files: DEFAULT_LOG_FILES,
            redact: Vec::new(),
        }
    }
}

impl OutputPlan {
    /// Whether it is kept, and not just handed on to a reader of ours.
    pub const fn is_kept(&self) -> bool {
        self.journal || self.file
    }

    /// The file of that job.
    pub fn path(&self, job: &str) -> PathBuf {
        self.log_dir.join(format!("{job}.log"))
    }
}

/// Which directories a run locks: each for one agent at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirPlan {
    /// Whether its own working directory is one of them.
    pub own: bool,
    /// Others, or the only ones.
    pub also: Vec<PathBuf>,
    /// Whether a lock covers the folders below its directory.
    pub subtree: bool,
}

impl DirPlan {
    /// Whether it locks any directory.
    pub const fn any(&self) -> bool {
        self.own || !self.also.is_empty()
    }
}

/// What a run does where a directory that it wants is somebody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// It ends at once.
    Fail,
    /// It waits; the time is that for the shared lock, and both waits together have no more.
    Wait(Wait),
}

/// The two kinds of classes. Only one of them can name a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Somebody waits at it: it never opens, waits for or holds a shared lock.
    Interactive,
    /// It takes its turn on the lock, where one is named.
    Batch {
        /// The shared lock; `None` where the identity needs none (nothing rotates).
        lock: Option<LockPlan>,
        /// What it does where a directory is locked. An interactive kind can only fail.
        on_conflict: OnConflict,
    },
}

impl Kind {
    /// A batch kind that waits for directories as long as for its lock.
    pub fn batch(lock: Option<LockPlan>) -> Self {
        let wait = lock
            .as_ref()
            .map_or(Wait::AtMost(DEFAULT_WAIT), |lock| lock.wait);
        let on_conflict = OnConflict::Wait(wait);
        Self::Batch { lock, on_conflict }
    }

    /// What a run of this kind does where a directory is locked.
    pub const fn on_conflict(&self) -> OnConflict {
        match self {
            Self::Interactive => OnConflict::Fail,
            Self::Batch { on_conflict, .. } => *on_conflict,
        }
    }

    /// The word for it in files and in the journal.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Batch { .. } => "batch",
        }
    }

    /// The shared lock, which only a batch kind can have.
    pub const fn lock(&self) -> Option<&LockPlan> {
        match self {
            Self::Interactive => None,
            Self::Batch { lock, .. } => lock.as_ref(),
        }
    }

    /// The lock directories to sweep, which only a run with a shared lock can have.
    pub fn sweep(&self) -> Option<&SweepPlan> {
        self.lock()?.sweep.as_ref()
    }
}

/// A shared lock and how long to queue for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockPlan {
    /// The lock file; absolute in a plan.
    pub path: PathBuf,
    /// How much is asked of the place it lies in.
    pub shared_mount: SharedMount,
    /// The time in the queue.
    pub wait: Wait,
    /// What is swept before and after each run, while the lock is held; `None`: nothing.
    pub sweep: Option<SweepPlan>,
    /// What sets a pause for all who use the login; `None`: nothing does.
    pub pause: Option<PausePlan>,
}

/// Lock directories, which a killed agent leaves and the next one waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepPlan {
    /// The directories; never empty.
    pub dirs: Vec<PathBuf>,
    /// How long a new one is watched for a sign of life after the run.
    pub refresh: Duration,
    /// One without a sign of life for so long is dead; longer than `refresh`.
    pub stale_after: Duration,
    /// Whether all who use the login run under lockkeeper.
    pub exclusive: bool,
}

impl SweepPlan {
    /// The lock directories that Claude Code makes for the login in `identity`, as strace(1) shows
    /// (2.1.197): `.oauth_refresh.lock` in it, and an older one beside it; that of `.claude.json`,
    /// which lies in `$CLAUDE_CONFIG_DIR`, and without that variable beside `~/.claude`.
    pub fn dirs_of(identity: &Path) -> Vec<PathBuf> {
        let mut beside = identity.as_os_str().to_owned();
        beside.push(".lock");
        let mut dirs = vec![
            identity.join(".oauth_refresh.lock"),
            beside.into(),
            identity.join(".claude.json.lock"),
        ];
        // Beside a login of another name it is that of another login.
        if identity.ends_with(".claude") {
            dirs.push(identity.with_file_name(".claude.json.lock"));
        }
        dirs
    }
}

/// How much is asked of the mount that a lock lies on (crate documentation, placement).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SharedMount {
    /// Refuse a lock that is private to this container; say so where it is private to this machine.
    Auto,
    /// Refuse whatever is not a mount of its own.
    Require,
    /// Ask nothing.
    Off,
}

/// The time that a run may spend in the queue of its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// At most this long.
    AtMost(Duration),
    /// As long as it takes.
    Forever,
}

/// Where a command's standard input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stdin {
    /// Ours.
    Inherit,
    /// `/dev/null`: agents hang on an open pipe.
    Null,
    /// The command's own terminal, on which nobody types ([`PtyPlan`]).
    Pty,
}

/// A pseudo-terminal of a command's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PtyPlan {
    /// Its height, in lines.
    pub rows: u16,
    /// Its width, in columns.
    pub cols: u16,
    /// Whether it echoes what is typed.
    pub echo: bool,
}

impl Default for PtyPlan {
    fn default() -> Self {
        Self {
            rows: 24,
            cols: 80,
            echo: false,
        }
    }
}

/// The watchdogs of a run. A limit that is absent never fires.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The longest a command may run, from its start.
    pub timeout: Option<Duration>,
    /// The longest it may be silent on both standard output and standard error.
    pub idle_timeout: Option<Duration>,
    /// The longest time between two signs of life (`WATCHDOG=1`, `sd_notify(3)`).
    pub heartbeat: Option<Duration>,
    /// The longest time from its start to `READY=1`.
    pub ready_timeout: Option<Duration>,
    /// The line after which it should go by itself.
    pub final_line: Option<FinalLine>,
}

/// A line on standard output that says: the result is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalLine {
    /// The text that the line contains; never empty.
    pub line: String,
    /// How long the command may take to go after it.
    pub grace: Duration,
    /// If the same line contains this text, the result is a failure.
    pub failed: Option<String>,
}

/// How a run is stopped: the rungs of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopPlan {
    /// The first signal; TERM where nothing else is said.
    pub signal: i32,
    /// How long the command has after it.
    pub grace: Duration,
    /// How long descendants have after their TERM.
    pub leftover_grace: Duration,
}

impl Default for StopPlan {
    fn default() -> Self {
        Self {
            signal: 15,
            grace: DEFAULT_GRACE,
            leftover_grace: DEFAULT_LEFTOVER_GRACE,
        }
    }
}

/// Which login the jobs of a class use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// A folder whose tokens rotate on use.
    Folder(PathBuf),
    /// A variable that holds a key or a long-lived token: nothing rotates.
    Env(String),
}
