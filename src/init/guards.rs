//! Starting a guard for a run, and being one.
//!
//! A guard is a fresh image of our own program and not a bare fork: init has a log thread, and what
//! a thread holds at the instant of a fork stays locked in the copy for ever. The plan goes along in
//! a memfd, so that a running run keeps it whatever happens to the file; the wire tells the guard
//! by its end that init has died.

use std::env;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::control::place;
use crate::config::plan::RunPlan;
use crate::core::outcome::{Outcome, Reason, SpawnStep, Status};
use crate::core::table::{JobIndex, RunId};
use crate::journal::{Context, Format, Speaker, Verbosity};
use crate::lock::record::By;
use crate::run::command::{NOTIFY_SOCKET, WATCHDOG};
use crate::run::message::{Incoming, Order, Progress, receive, send};
use crate::run::packed::{pack, unpack};
use crate::run::secrets;
use crate::run::start::{Caller, Refused, guarded};
use crate::sys::fd::{self, Wire};
use crate::sys::spawn::{Command, Memory, Session};
use crate::sys::{memfd, process, program};
use crate::trouble;

/// The word that makes the program a guard; no verb, as nobody types it.
pub const WORD: &str = "@guard";

/// All that a guard is told.
#[derive(Debug, Serialize, Deserialize)]
struct Charge {
    plan: RunPlan,
    run_id: String,
    container: Option<String>,
    file: Option<PathBuf>,
    terminal: bool,
    started_in: Option<PathBuf>,
    runtime: Option<PathBuf>,
    verbosity: Verbosity,
    format: Format,
    /// How long the run may go on when init has died.
    stop_within: Duration,
    /// Which notes init's command is told of.
    events: Option<Vec<String>>,
    /// The descriptor for the report.
    report: Option<RawFd>,
}

/// What is the same for every guard of one init.
#[derive(Debug)]
pub struct Guards {
    /// Our own program.
    pub program: OwnedFd,
    /// `CONTAINER_NAME`.
    pub container: Option<String>,
    /// The folder that init was started in.
    pub started_in: Option<PathBuf>,
    /// Where the runs of this container are claimed.
    pub runtime: Option<PathBuf>,
    /// How much standard error is told.
    pub verbosity: Verbosity,
    /// What a line on it looks like.
    pub format: Format,
    /// How long a run may go on when we have died: an init that crashes waits no longer.
    pub stop_within: Duration,
    /// The file, where there is one: it is init then who tells whoever started us how it stands, and no
    /// job.
    pub file: Option<PathBuf>,
    /// Which notes are events; `None`: none are.
    pub events: Option<Vec<String>>,
}

/// A living guard, as init knows it.
#[derive(Debug)]
pub struct Guard {
    /// Its job.
    pub job: JobIndex,
    /// Its run.
    pub run: RunId,
    /// Its process.
    pub pid: i32,
    /// Its monitor has a copy of the other end: silence means that both have gone.
    wire: Wire,
    silent: bool,
    /// The secrets of its plan, which the file may name no more.
    secrets: Vec<Vec<u8>>,
    /// What its command has said of itself, and nobody has asked for yet.
    said: Vec<Progress>,
    /// How the guard's process ended.
    status: Option<Status>,
    outcome: Option<Outcome>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Its exit code.
    pub code: u8,
    /// Why, where the run could still say so.
    pub reason: Option<Reason>,
    /// From the command's start to its tree empty, likewise.
    pub ran: Option<Duration>,
}

impl Guards {
    /// Opens our own program and keeps what every guard is told.
    pub fn new(
        container: Option<String>,
        started_in: Option<PathBuf>,
        runtime: Option<PathBuf>,
        verbosity: Verbosity,
        format: Format,
        stop_within: Duration,
        file: Option<PathBuf>,
    ) -> io::Result<Self> {
        Ok(Self {
            program: program::open_own()?,
            container,
            started_in,
            runtime,
            verbosity,
            format,
            stop_within,
            file,
            events: None,
        })
    }

    /// Starts a guard for one run. It leads a session of its own, so that what a terminal sends
    /// reaches init alone. `report` is where it is to write how the run ended. The text says what failed.
    pub fn start(
        &self,
        plan: &RunPlan,
        job: JobIndex,
        run: RunId,
        terminal: bool,
        report: Option<&OwnedFd>,
    ) -> Result<Guard, String> {
        let report_fd = report.map(AsRawFd::as_raw_fd);
        let charge = Charge {
            plan: plan.clone(),
            run_id: run.to_string(),
            container: self.container.clone(),
            file: self.file.clone(),
            terminal,
            started_in: self.started_in.clone(),
            runtime: self.runtime.clone(),
            verbosity: self.verbosity,
            format: self.format,
            stop_within: self.stop_within,
            events: self.events.clone(),
            report: report_fd,
        };
        let charge = written(&charge)
            .map_err(|error| format!("writing its plan: {}", trouble::text_of(&error)))?;
        let (wire, its_end) = Wire::pair()
            .map_err(|error| format!("making its wire: {}", trouble::text_of(&error)))?;
        let pid = self
            .spawn(its_end.as_fd().as_raw_fd(), charge.as_raw_fd(), report_fd)
            .map_err(|(step, errno)| {
                let why = trouble::start(step, errno, "lockkeeper");
                format!("starting its guard: {why}")
            })?;
        Ok(Guard {
            job,
            run,
            pid,
            wire,
            silent: false,
            secrets: secrets::values(plan),
            said: Vec::new(),
            status: None,
            outcome: None,
        })
    }

    fn spawn(
        &self,
        wire: RawFd,
        charge: RawFd,
        report: Option<RawFd>,
    ) -> Result<i32, (SpawnStep, i32)> {
        let words = [
            "lockkeeper".into(),
            WORD.into(),
            wire.to_string().into(),
            charge.to_string().into(),
        ];
        let pass: Vec<RawFd> = [wire, charge].into_iter().chain(report).collect();
        let mut command = Command::new(&words, &[])?;
        command
            .program(&self.program)?
            .pass(&pass)
            .session(Session::Own);
        if self.file.is_some() {
            command.unset(&[NOTIFY_SOCKET]).unset(&WATCHDOG);
        }
        // Who can ask init is for its user to say, job by job.
        if env::var_os(place::VARIABLE).is_some() {
            command.unset(&[place::VARIABLE]);
        }
        // The exec of our own open program does not fail in ways that the guard's end would not tell.
        Ok(command.spawn(Memory::Copied)?.pid)
    }
}

impl Guard {
    /// Sends an order.
    pub fn order(&self, order: Order) {
        send(&self.wire, &order);
    }

    /// Reads what the guard, or its monitor after its death, has told.
    pub fn read(&mut self) {
        while !self.silent {
            match receive(&self.wire) {
                Incoming::Message(Progress::Ended(outcome)) => self.outcome = Some(outcome),
                Incoming::Message(
                    word @ (Progress::Ready | Progress::Status(_) | Progress::Event(_)),
                ) => {
                    self.said.push(word);
                }
                Incoming::Message(Progress::Spawned | Progress::Stopped | Progress::StartOver) => {}
                Incoming::Nothing => return,
                Incoming::Gone => self.silent = true,
            }
        }
    }

    /// What is shown nowhere as long as it is going.
    pub fn secrets(&self) -> &[Vec<u8>] {
        &self.secrets
    }

    /// What its command has said of itself since this was last asked.
    pub fn said(&mut self) -> Vec<Progress> {
        std::mem::take(&mut self.said)
    }

    /// Its process was reaped, and its number is no longer its own. Its monitor may live on, and
    /// with it the run.
    pub const fn reaped(&mut self, status: Status) {
        self.pid = 0;
        self.status = Some(status);
    }

    /// How the run ended; `None`: somebody of it may still do something.
    pub fn ended(&self) -> Option<End> {
        // Its end is told when its tree is empty and its locks are free. A monitor that hangs in a file
        // server then holds its end of the wire for as long as that does not answer.
        let status = self
            .status
            .filter(|_| self.silent || self.outcome.is_some())?;
        Some(End {
            // A guard that was killed took nothing but its own status with it.
            code: self.outcome.map_or(status.code(), |outcome| outcome.code),
            reason: self.outcome.map(|outcome| outcome.reason),
            ran: self.outcome.map(|outcome| outcome.ran),
        })
    }

    /// What to poll; `None`: it has said all.
    pub fn wire(&self) -> Option<BorrowedFd<'_>> {
        (!self.silent).then(|| self.wire.as_fd())
    }
}

fn written(charge: &Charge) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd::create()?);
    file.write_all(&pack(charge).map_err(io::Error::other)?)?;
    file.rewind()?;
    Ok(file.into())
}

/// Is the guard of the run that `words` (the two numbers behind [`WORD`]) hand over.
pub fn be_one(words: &[std::ffi::OsString]) -> Result<u8, Refused> {
    process::set_name(c"lockkeeper");
    let refused = |text: String| Refused {
        code: crate::exit::FAILED,
        text,
    };
    let number = |index: usize| -> Option<RawFd> { words.get(index)?.to_str()?.parse().ok() };
    let (Some(wire), Some(charge)) = (number(0), number(1)) else {
        return Err(Refused {
            code: crate::exit::USAGE,
            text: format!("\"{WORD}\" is how init starts a guard; people say \"lockkeeper run\""),
        });
    };
    let adopt =
        |fd| fd::adopt(fd).map_err(|errno| refused(format!("adopting descriptor {fd}: {errno}")));
    let wire = Wire::from_fd(adopt(wire)?);
    let mut bytes = Vec::new();
    File::from(adopt(charge)?)
        .read_to_end(&mut bytes)
        .map_err(|error| refused(format!("reading the plan of a run: {error}")))?;
    let charge: Charge = unpack(&bytes)
        .map_err(|error| refused(format!("understanding the plan of a run: {error}")))?;
    let report = charge.report.map(adopt).transpose()?;
    let plan = charge.plan;
    let caller = Caller {
        context: Context {
            container_name: charge.container,
            job: Some(plan.job.clone()),
            class: Some(plan.class.clone()),
            run_id: Some(charge.run_id.clone()),
            file: charge.file,
            speaker: Speaker::InitRun,
            format: charge.format,
            secrets: secrets::of([&plan]),
        },
        run_id: charge.run_id,
        verbosity: charge.verbosity,
        report,
        init: Some(wire),
        // KILL is sent a while before an init that crashes ends.
        init_lost_within: charge.stop_within / 4 * 3,
        terminal: charge.terminal,
        started_in: charge.started_in,
        runtime: charge.runtime,
        events: charge.events,
        by: By::Init,
    };
    guarded(&plan, &caller)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::message::send;

    fn guard() -> (Guard, Wire) {
        let (wire, its_end) = Wire::pair().unwrap();
        let guard = Guard {
            job: JobIndex(0),
            run: RunId(7),
            pid: 4711,
            wire,
            silent: false,
            secrets: Vec::new(),
            said: Vec::new(),
            status: None,
            outcome: None,
        };
        (guard, its_end)
    }

    fn told() -> Outcome {
        Outcome {
            code: 3,
            reason: Reason::Timeout,
            status: Some(Status::Exited(0)),
            waited: Duration::ZERO,
            held: Duration::ZERO,
            ran: Duration::from_secs(5),
        }
    }

    const LIKE_TOLD: Option<End> = Some(End {
        code: 3,
        reason: Some(Reason::Timeout),
        ran: Some(Duration::from_secs(5)),
    });

    #[test]
    fn a_run_whose_end_was_told_is_over_with_its_guard_though_a_thread_hangs_and_keeps_the_wire() {
        let (mut guard, monitors) = guard();
        send(&monitors, &Progress::Ended(told()));
        guard.read();
        assert_eq!(guard.ended(), None, "its guard is there");
        guard.reaped(Status::Exited(3));
        assert_eq!(guard.ended(), LIKE_TOLD);
        assert!(guard.wire().is_some(), "somebody holds the other end");
    }

    #[test]
    fn a_run_whose_guard_was_killed_is_over_when_its_monitor_has_told_so_or_has_gone() {
        let (mut guard, monitors) = guard();
        guard.reaped(Status::Killed(9));
        guard.read();
        assert_eq!(guard.ended(), None, "its monitor is there");
        send(&monitors, &Progress::Ended(told()));
        guard.read();
        assert_eq!(guard.ended(), LIKE_TOLD);
        let (mut guard, monitors) = self::guard();
        guard.reaped(Status::Killed(9));
        drop(monitors);
        guard.read();
        let end = guard.ended().map(|end| (end.code, end.reason));
        assert_eq!(end, Some((137, None)));
    }
}
