//! From the arguments that were typed to what they mean.
//!
//! The second of two steps: `typed` reads what stands there; [`Command`] is what it asks for, with
//! nothing left to check that does not need the file system.
//!
//! Where a command begins: behind `--`; and behind `run` with a flag that only a command has
//! (`--lock`, `--timeout`, …), at the first word that is no flag, as with flock(1) and timeout(1).
//! Without such a flag that word is a job's name.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::Parser;

use super::flags::{Id, Verb};
use super::typed::{Typed, quoted, text_of, time, usage};
use crate::config::plan::{LONGEST_PAUSE, Wait};
use crate::exit;
use crate::journal::Verbosity;

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `lockkeeper [init] …`.
    Init(InitArgs),
    /// `lockkeeper run …`.
    Run(RunArgs),
    /// `lockkeeper check …`.
    Check(CheckArgs),
    /// `lockkeeper lock …`.
    Lock(LockArgs),
    /// `lockkeeper pause …`.
    Pause(PauseArgs),
    /// `lockkeeper logs …`.
    Logs(LogsArgs),
    /// `lockkeeper status …`.
    Status(StatusArgs),
    /// `lockkeeper timeline …`.
    Timeline(TimelineArgs),
    /// `lockkeeper start | stop | restart | reload | health …`.
    Ask(AskArgs),
    /// `--help`, of the verb before it.
    Help(Option<Verb>),
    /// `--version`.
    Version,
}

/// `lockkeeper [init] [-c FILE] [--class CLASS] [-- COMMAND…]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InitArgs {
    /// `-c`.
    pub config: Option<PathBuf>,
    /// `--class`; only with a command.
    pub class: Option<String>,
    /// `--socket`.
    pub socket: Option<PathBuf>,
    /// The main command; empty: the file says what runs.
    pub command: Vec<OsString>,
    /// `-v`, `-q`.
    pub verbosity: Verbosity,
    /// `--report`: the number of a descriptor, open or not.
    pub report: Option<RawFd>,
}

/// `lockkeeper run …`: either a job or a command, never both, never neither.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunArgs {
    /// The job of the file.
    pub job: Option<String>,
    /// The command; empty with a job.
    pub command: Vec<OsString>,
    /// `-c`.
    pub config: Option<PathBuf>,
    /// `--class`; never with a lock.
    pub class: Option<String>,
    /// `--dir`.
    pub dir: Option<PathBuf>,
    /// `--lock`.
    pub lock: Option<PathBuf>,
    /// `--dir-lock`, each of them.
    pub dir_locks: Vec<PathBuf>,
    /// `--wait`; only with a lock, a directory or a class.
    pub wait: Option<Wait>,
    /// `--timeout`; more than zero.
    pub timeout: Option<Duration>,
    /// `--idle-timeout`; more than zero.
    pub idle_timeout: Option<Duration>,
    /// `--grace`.
    pub grace: Option<Duration>,
    /// `-v`, `-q`.
    pub verbosity: Verbosity,
    /// `--report`: the number of a descriptor, open or not.
    pub report: Option<RawFd>,
}

/// `lockkeeper check [-c FILE] [--json | --names]`, `lockkeeper check --toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckArgs {
    /// `-c`.
    pub config: Option<PathBuf>,
    /// What it prints.
    pub shows: Shows,
    /// `--no-versions`.
    pub no_versions: bool,
    /// `-v`, `-q`.
    pub verbosity: Verbosity,
    /// `--report`: the number of a descriptor, open or not.
    pub report: Option<RawFd>,
}

/// What `check` prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shows {
    /// What was found, for people.
    #[default]
    Text,
    /// The same for programs: `--json`.
    Json,
    /// The names of jobs and classes: `--names`.
    Names,
    /// A file that fits what is here; none is read: `--toml`.
    Toml,
}

/// `lockkeeper lock list | show | clean | hold | release …`. Each verb has its own of these, the
/// others are off or empty.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag as it was typed"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockArgs {
    /// Which of the five.
    pub verb: Verb,
    /// ROOTs, possibly none; exactly one PATH or DIR.
    pub paths: Vec<PathBuf>,
    /// `--json`.
    pub json: bool,
    /// `--skip`, as often as given.
    pub skip: Vec<OsString>,
    /// `--no-skip`.
    pub no_skip: bool,
    /// `--agentctl`.
    pub agentctl: Option<PathBuf>,
    /// `--dry-run`.
    pub dry_run: bool,
    /// `--by`.
    pub by: Option<String>,
    /// `--reason`; always there with `lock hold`.
    pub reason: Option<String>,
    /// `--force`.
    pub force: bool,
    /// `-v`, `-q`.
    pub verbosity: Verbosity,
    /// `--report`: the number of a descriptor, open or not.
    pub report: Option<RawFd>,
}

/// `lockkeeper pause [end] …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PauseArgs {
    /// Which of the two.
    pub verb: Verb,
    /// The locks; none: those of the file.
    pub locks: Vec<PathBuf>,
    /// `-c`.
    pub config: Option<PathBuf>,
    /// `--for`, of at most a day; never with `pause end`. `None`: nothing is set.
    pub length: Option<Duration>,
    /// `--by`; only with `--for`.
    pub by: Option<String>,
    /// `--reason`; only with `--for`.
    pub reason: Option<String>,
    /// `--json`.
    pub json: bool,
    /// `-v`, `-q`.
    pub verbosity: Verbosity,
    /// `--report`: the number of a descriptor, open or not.
    pub report: Option<RawFd>,
}

/// `lockkeeper logs [JOB] [-c FILE] [-f] [--since WHEN] [-- OPTION…]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogsArgs {
    /// The job; `None`: all of them, and init.
    pub job: Option<String>,
    /// `-c`.
    pub config: Option<PathBuf>,
    /// `-f`.
    pub follow: bool,
    /// `--since`, in journalctl's words.
    pub since: Option<OsString>,
    /// What journalctl is given besides.
    pub options: Vec<OsString>,
}

/// `lockkeeper status [LOCK…] [-c FILE] [--json | --metrics] [--watch] [--socket PATH]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusArgs {
    /// Further locks.
    pub locks: Vec<PathBuf>,
    /// `-c`.
    pub config: Option<PathBuf>,
    /// How it is written.
    pub form: Form,
    /// `--watch`; never with metrics.
    pub watch: bool,
    /// `--socket`.
    pub socket: Option<PathBuf>,
    /// `-v`, `-q`.
    pub verbosity: Verbosity,
    /// `--report`: the number of a descriptor, open or not.
    pub report: Option<RawFd>,
}

/// For whom something is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
    /// For Prometheus.
    Metrics,
    /// For a shell that completes a command line: the names of jobs alone.
    Names,
}

/// `lockkeeper timeline [JOB] [--since WHEN] …`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimelineArgs {
    /// The job, or `CONTAINER/JOB`; `None`: all of them.
    pub job: Option<String>,
    /// `--lock`.
    pub lock: Option<String>,
    /// `--since`, as it was typed.
    pub since: Option<OsString>,
    /// `--until`, likewise.
    pub until: Option<OsString>,
    /// `--from`; never with options.
    pub from: Option<PathBuf>,
    /// `--json`; never with a picture.
    pub json: bool,
    /// `--svg`.
    pub svg: Option<PathBuf>,
    /// What journalctl is given besides.
    pub options: Vec<OsString>,
}

/// `lockkeeper start | stop | restart | reload | health …`: what the running init is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskArgs {
    /// Which of the five.
    pub verb: Verb,
    /// The job: always there with `start`, `stop` and `restart`, sometimes with `health`.
    pub job: Option<String>,
    /// `--socket`.
    pub socket: Option<PathBuf>,
    /// `--no-wait`.
    pub no_wait: bool,
    /// `--dry-run`.
    pub dry_run: bool,
    /// `-v`, `-q`.
    pub verbosity: Verbosity,
    /// `--report`: the number of a descriptor, open or not.
    pub report: Option<RawFd>,
}

/// Why a command line could not be understood, and what to type instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError(pub(super) String);

impl UsageError {
    /// The exit code that goes with it.
    pub const CODE: u8 = exit::USAGE;
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// Understands `args`, which do not begin with the program's own name.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, UsageError> {
    let mut typed = Typed::default();
    let command = understood(&mut typed, Parser::from_args(args));
    command.map_err(|error| typed.explained(error))
}

fn understood(typed: &mut Typed, parser: Parser) -> Result<Command, UsageError> {
    if let Some(command) = typed.read(parser)? {
        return Ok(command);
    }
    match typed.verb.unwrap_or(Verb::Init) {
        Verb::Init => init(typed).map(Command::Init),
        Verb::Run => run(typed).map(Command::Run),
        Verb::Check => check(typed).map(Command::Check),
        verb @ (Verb::Pause | Verb::PauseEnd) => pause(typed, verb).map(Command::Pause),
        Verb::Logs => logs(typed).map(Command::Logs),
        Verb::Lock => Err(usage(
            "\"lock\" needs one of list, show, clean, hold and release: see \"lockkeeper lock --help\"",
        )),
        verb @ (Verb::LockList
        | Verb::LockShow
        | Verb::LockClean
        | Verb::LockHold
        | Verb::LockRelease) => lock(typed, verb).map(Command::Lock),
        Verb::Status => status(typed).map(Command::Status),
        verb @ (Verb::Start | Verb::Stop | Verb::Restart | Verb::Reload | Verb::Health) => {
            ask(typed, verb).map(Command::Ask)
        }
        Verb::Timeline => timeline(typed).map(Command::Timeline),
    }
}

fn init(typed: &mut Typed) -> Result<InitArgs, UsageError> {
    typed.no_foreign_flag(Verb::Init)?;
    let args = InitArgs {
        config: typed.path(Id::Config)?,
        class: typed.text(Id::Class)?,
        socket: typed.path(Id::Socket)?,
        command: typed.command()?,
        verbosity: typed.verbosity()?,
        report: typed.descriptor()?,
    };
    if args.class.is_some() && args.command.is_empty() {
        return Err(usage(
            "\"--class\" without a command: the file gives each job its class; \
             to run a command: lockkeeper --class CLASS -- COMMAND...",
        ));
    }
    Ok(args)
}

fn check(typed: &mut Typed) -> Result<CheckArgs, UsageError> {
    typed.no_foreign_flag(Verb::Check)?;
    if typed.command.is_some() {
        return Err(usage("\"check\" takes no command"));
    }
    let given = |id| typed.value(id).is_some();
    if given(Id::Toml) && given(Id::Config) {
        return Err(usage(
            "\"--toml\" reads no file and prints one: it does not go with \"--config\"",
        ));
    }
    let shows = match (given(Id::Json), given(Id::Names), given(Id::Toml)) {
        (false, false, false) => Shows::Text,
        (true, false, false) => Shows::Json,
        (false, true, false) => Shows::Names,
        (false, false, true) => Shows::Toml,
        _ => {
            return Err(usage(
                "\"--json\", \"--names\" and \"--toml\" exclude each other",
            ));
        }
    };
    Ok(CheckArgs {
        config: typed.path(Id::Config)?,
        shows,
        no_versions: given(Id::NoVersions),
        verbosity: typed.verbosity()?,
        report: typed.descriptor()?,
    })
}

fn logs(typed: &mut Typed) -> Result<LogsArgs, UsageError> {
    typed.no_foreign_flag(Verb::Logs)?;
    if typed.value(Id::Report).is_some() {
        return Err(usage(
            "\"--report\" does not go with \"logs\", which ends as journalctl does",
        ));
    }
    let job = typed.job.take();
    let since = typed.value(Id::Since).map(|(_, when)| for_journalctl(when));
    Ok(LogsArgs {
        job: job.map(|job| text_of("a job's name", job)).transpose()?,
        config: typed.path(Id::Config)?,
        follow: typed.value(Id::Follow).is_some(),
        since,
        options: typed.command.take().unwrap_or_default(),
    })
}

fn status(typed: &mut Typed) -> Result<StatusArgs, UsageError> {
    typed.no_foreign_flag(Verb::Status)?;
    // Behind "--" stand paths that begin with a dash.
    let more = typed.command.take().unwrap_or_default();
    let locks: Vec<PathBuf> = typed.words.drain(..).chain(more).map(Into::into).collect();
    if locks.iter().any(|path| path.as_os_str().is_empty()) {
        return Err(usage("a path behind \"status\" is empty"));
    }
    let given = |id| typed.value(id).is_some();
    let form = match (given(Id::Json), given(Id::Metrics), given(Id::Names)) {
        (true, true, _) => {
            return Err(usage("\"--json\" and \"--metrics\" exclude each other"));
        }
        (true, false, false) => Form::Json,
        (false, true, false) => Form::Metrics,
        (false, false, false) => Form::Table,
        (false, false, true) if !given(Id::Watch) && locks.is_empty() => Form::Names,
        (_, _, true) => {
            return Err(usage(
                "\"--names\" goes neither with a lock nor with another form or \"--watch\"",
            ));
        }
    };
    if given(Id::Watch) && form == Form::Metrics {
        return Err(usage(
            "\"--metrics\" does not go with \"--watch\": whoever scrapes it asks again",
        ));
    }
    Ok(StatusArgs {
        locks,
        config: typed.path(Id::Config)?,
        form,
        watch: given(Id::Watch),
        socket: typed.path(Id::Socket)?,
        verbosity: typed.verbosity()?,
        report: typed.descriptor()?,
    })
}

/// A time as journalctl takes it: it knows "10 minutes ago" and "-10m", and takes a bare "10m" for
/// nothing.
pub(super) fn for_journalctl(when: &OsStr) -> OsString {
    match when.to_str().and_then(time) {
        Some(ago) => format!("-{}s", ago.as_secs()).into(),
        None => when.to_owned(),
    }
}

fn timeline(typed: &mut Typed) -> Result<TimelineArgs, UsageError> {
    typed.no_foreign_flag(Verb::Timeline)?;
    if typed.value(Id::Report).is_some() {
        return Err(usage(
            "\"--report\" does not go with \"timeline\", which runs nothing",
        ));
    }
    let job = typed.job.take();
    let given = |id| typed.value(id).map(|(_, value)| value.clone());
    let args = TimelineArgs {
        job: job.map(|job| text_of("a job's name", job)).transpose()?,
        lock: typed.text(Id::Lock)?,
        since: given(Id::Since),
        until: given(Id::Until),
        from: typed.path(Id::From)?,
        json: typed.value(Id::Json).is_some(),
        svg: typed.path(Id::Svg)?,
        options: typed.command.take().unwrap_or_default(),
    };
    if args.json && args.svg.is_some() {
        return Err(usage("\"--json\" and \"--svg\" exclude each other"));
    }
    if args.from.is_some() && !args.options.is_empty() {
        return Err(usage(
            "what stands behind \"--\" is journalctl's, and \"--from\" asks no journal",
        ));
    }
    Ok(args)
}

fn ask(typed: &mut Typed, verb: Verb) -> Result<AskArgs, UsageError> {
    typed.no_foreign_flag(verb)?;
    let name = verb.name();
    if typed.command.is_some() {
        return Err(usage(format!("\"{name}\" takes no command")));
    }
    let job = typed.job.take();
    let of_job = matches!(verb, Verb::Start | Verb::Stop | Verb::Restart);
    if of_job && job.is_none() {
        return Err(usage(format!(
            "\"{name}\" needs a job: lockkeeper {name} JOB"
        )));
    }
    Ok(AskArgs {
        verb,
        job: job.map(|job| text_of("a job's name", job)).transpose()?,
        socket: typed.path(Id::Socket)?,
        no_wait: typed.value(Id::NoWait).is_some(),
        dry_run: typed.value(Id::DryRun).is_some(),
        verbosity: typed.verbosity()?,
        report: typed.descriptor()?,
    })
}

fn lock(typed: &mut Typed, verb: Verb) -> Result<LockArgs, UsageError> {
    typed.no_foreign_flag(verb)?;
    // Behind "--" stand paths that begin with a dash.
    let more = typed.command.take().unwrap_or_default();
    let paths: Vec<PathBuf> = typed.words.drain(..).chain(more).map(Into::into).collect();
    let name = verb.name();
    if paths.iter().any(|path| path.as_os_str().is_empty()) {
        return Err(usage(format!("a path behind \"{name}\" is empty")));
    }
    let many = matches!(verb, Verb::LockList | Verb::LockClean);
    let what = if verb == Verb::LockShow {
        "PATH"
    } else {
        "DIR"
    };
    match paths.get(1) {
        Some(second) if !many => {
            return Err(usage(format!(
                "unexpected argument {} behind \"{name}\": it takes one {what}",
                quoted(second.as_os_str())
            )));
        }
        _ => {}
    }
    if !many && paths.is_empty() {
        return Err(usage(format!(
            "\"{name}\" needs a {what}: lockkeeper {}",
            verb.info()
                .and_then(|info| info.synopsis.first())
                .unwrap_or(&name)
        )));
    }
    let args = LockArgs {
        verb,
        paths,
        json: typed.value(Id::Json).is_some(),
        skip: typed.names(Id::Skip)?,
        no_skip: typed.value(Id::NoSkip).is_some(),
        agentctl: typed.path(Id::Agentctl)?,
        dry_run: typed.value(Id::DryRun).is_some(),
        by: typed.text(Id::By)?,
        reason: typed.text(Id::Reason)?,
        force: typed.value(Id::Force).is_some(),
        verbosity: typed.verbosity()?,
        report: typed.descriptor()?,
    };
    if verb == Verb::LockHold && args.reason.is_none() {
        return Err(usage(
            "\"lock hold\" needs a --reason: whoever finds the directory held reads it",
        ));
    }
    Ok(args)
}

fn pause(typed: &mut Typed, verb: Verb) -> Result<PauseArgs, UsageError> {
    typed.no_foreign_flag(verb)?;
    let more = typed.command.take().unwrap_or_default();
    let locks: Vec<PathBuf> = typed.words.drain(..).chain(more).map(Into::into).collect();
    if locks.iter().any(|path| path.as_os_str().is_empty()) {
        return Err(usage(format!("a path behind \"{}\" is empty", verb.name())));
    }
    let args = PauseArgs {
        verb,
        locks,
        config: typed.path(Id::Config)?,
        length: typed.time(Id::For)?,
        by: typed.text(Id::By)?,
        reason: typed.text(Id::Reason)?,
        json: typed.value(Id::Json).is_some(),
        verbosity: typed.verbosity()?,
        report: typed.descriptor()?,
    };
    match args.length {
        None if args.by.is_some() || args.reason.is_some() => {
            Err(usage("\"pause\" sets one only with a time: add --for 1h"))
        }
        Some(Duration::ZERO) => Err(usage(
            "\"--for\" is zero: to end a pause, lockkeeper pause end",
        )),
        Some(length) if length > LONGEST_PAUSE => Err(usage(
            "\"--for\" is longer than 24h: no pause lasts longer, set it again then",
        )),
        _ => Ok(args),
    }
}

fn run(typed: &mut Typed) -> Result<RunArgs, UsageError> {
    typed.no_foreign_flag(Verb::Run)?;
    if let Some(job) = &typed.job {
        let job = quoted(job);
        if typed.command.is_some() {
            return Err(usage(format!(
                "job {job} and a command behind \"--\": run either the one or the other"
            )));
        }
        if let Some((flag, _)) = typed.flags.iter().find(|(flag, _)| flag.of_command) {
            return Err(usage(format!(
                "\"--{}\" goes with a command, and {job} is taken for a job of the file",
                flag.long
            )));
        }
    }
    let job = match typed.job.take() {
        Some(job) => Some(text_of("a job's name", job)?),
        None => None,
    };
    let args = RunArgs {
        job,
        command: typed.command()?,
        config: typed.path(Id::Config)?,
        class: typed.text(Id::Class)?,
        dir: typed.path(Id::Dir)?,
        lock: typed.path(Id::Lock)?,
        dir_locks: typed.paths(Id::DirLock)?,
        wait: typed.wait()?,
        timeout: typed.limit(Id::Timeout)?,
        idle_timeout: typed.limit(Id::IdleTimeout)?,
        grace: typed.time(Id::Grace)?,
        verbosity: typed.verbosity()?,
        report: typed.descriptor()?,
    };
    if args.job.is_none() && args.command.is_empty() {
        return Err(usage(
            "nothing to run: lockkeeper run JOB, or lockkeeper run [--lock PATH] -- COMMAND...",
        ));
    }
    if args.lock.is_some() && args.class.is_some() {
        return Err(usage(
            "\"--lock\" and \"--class\" exclude each other: the class says which lock its runs take",
        ));
    }
    let waits = args.lock.is_some() || args.class.is_some() || !args.dir_locks.is_empty();
    if args.wait.is_some() && !waits {
        return Err(usage(
            "\"--wait\" without a lock to wait for: add --lock PATH, --dir-lock DIR or --class CLASS",
        ));
    }
    Ok(args)
}

#[cfg(test)]
mod tests;
