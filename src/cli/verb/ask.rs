//! `lockkeeper status | start | stop | restart | reload | health`: what only the running init knows or
//! can do. Asks at its control socket, and says the answer.
//!
//! init is first asked who it is, in five seconds: one that hangs, or was stopped, is told from one that
//! takes its time, as a stop does until the run is over. All of `health` fits into these five seconds.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::time::Duration;

use super::start::{adopt_report, refused};
use super::status;
use crate::cli::flags::Verb;
use crate::cli::{AskArgs, print};
use crate::exit;
use crate::init::control::ask::{Conversation, HELLO, Silence};
use crate::init::control::words::{Changes, Done, Reply, Request};
use crate::init::reload;
use crate::journal::Verbosity;
use crate::run::start::Refused;
use crate::sys::{clock, signals};

/// How long init may take to say how its jobs stand.
const STATUS: Duration = Duration::from_secs(10);
/// How long it may take to read its file: for one that was asked just before, and then for us.
const RELOAD: Duration = reload::LIMIT.saturating_mul(3);

/// Asks what `args` say; gives the exit code.
pub fn ask(args: &AskArgs) -> Result<u8, Refused> {
    signals::let_through();
    let report = args.report.map(adopt_report).transpose()?;
    let begun = clock::now();
    let spoken = Conversation::begin(args.socket.as_deref(), begun + HELLO);
    let spoken = spoken.and_then(|mut conversation| {
        let until = match args.verb {
            Verb::Health => Some(begun + HELLO),
            Verb::Status => Some(clock::now() + STATUS),
            Verb::Reload => Some(clock::now() + RELOAD),
            // As long as the run takes.
            _ => None,
        };
        conversation.ask_line(request(args), until)
    });
    let line = spoken.map_err(|silence| refused(silent(args.verb), sentence(args, &silence)))?;
    if let Some(to) = report {
        // A descriptor that cannot be written is the caller's loss.
        let mut to = File::from(to);
        let _ = to.write_all(&line).and_then(|()| to.write_all(b"\n"));
    }
    let reply: Reply = serde_json::from_slice(&line).map_err(|_| {
        let text = format!("asking init to {}: its answer is none", args.verb.name());
        refused(silent(args.verb), text)
    })?;
    if !reply.ok {
        return Err(not_done(args, reply));
    }
    let (text, code) = done(args, &reply, &line);
    if args.verbosity != Verbosity::Quiet {
        print::out(&text)
            .map_err(|errno| refused(exit::FAILED, format!("printing the answer: {errno}")))?;
    }
    Ok(code)
}

fn request(args: &AskArgs) -> Request {
    Request {
        op: args.verb.name().to_owned(),
        job: args.job.clone(),
        wait: args.no_wait.then_some(false),
        dry_run: args.dry_run.then_some(true),
        ..Request::default()
    }
}

/// The exit code where init says nothing. Docker's HEALTHCHECK knows 0 and 1 alone.
const fn silent(verb: Verb) -> u8 {
    match verb {
        Verb::Health => exit::NOT_HEALTHY,
        _ => exit::UNAVAILABLE,
    }
}

fn sentence(args: &AskArgs, silence: &Silence) -> String {
    match (args.verb, silence) {
        (Verb::Start | Verb::Restart, Silence::Nobody) => {
            let job = args.job.as_deref().unwrap_or("JOB");
            format!("{silence}; one run without init: lockkeeper run {job}")
        }
        _ => silence.to_string(),
    }
}

fn not_done(args: &AskArgs, reply: Reply) -> Refused {
    let code = match args.verb {
        Verb::Health => exit::NOT_HEALTHY,
        _ => reply.code.unwrap_or(exit::UNAVAILABLE),
    };
    let text = reply.report.or(reply.error).unwrap_or_default();
    refused(code, shown(&text))
}

/// What to print, and the exit code.
fn done(args: &AskArgs, reply: &Reply, line: &[u8]) -> (String, u8) {
    let job = args.job.as_deref().unwrap_or_default();
    let run = reply
        .run_id
        .as_deref()
        .map_or_else(String::new, |run| format!(" {run}"));
    let text = match (args.verb, reply.result) {
        (Verb::Health, _) => return health(reply),
        (Verb::Status, _) if args.json => {
            return (String::from_utf8_lossy(line).into_owned() + "\n", exit::OK);
        }
        (Verb::Status, _) => status::table(reply),
        (Verb::Reload, _) => changes(args.dry_run, reply),
        (_, Some(Done::Started)) => format!("{job}: run{run} was started\n"),
        (_, Some(Done::Running)) => format!("{job}: run{run} is going already\n"),
        (_, Some(Done::Queued)) => {
            let before = reply.before.unwrap_or_default();
            format!("{job}: begins when its class has a place, after {before} others\n")
        }
        (_, Some(Done::Stopping)) => format!("{job}: its run was told to stop\n"),
        (_, Some(Done::NotRunning)) => format!("{job}: no run to stop\n"),
        (_, Some(Done::Stopped)) => {
            let mut text = format!("{job}: its run is over");
            if let Some(code) = reply.exit {
                let _ = write!(text, ", exit {code}");
            }
            if let Some(reason) = &reply.reason {
                let _ = write!(text, " ({reason})");
            }
            text + "\n"
        }
        _ => String::new(),
    };
    (shown(&text), exit::OK)
}

fn health(reply: &Reply) -> (String, u8) {
    if reply.healthy == Some(true) {
        return ("healthy\n".to_owned(), exit::OK);
    }
    let problems = reply.problems.as_deref().unwrap_or_default();
    let lines: Vec<String> = problems
        .iter()
        .map(|problem| shown(problem) + "\n")
        .collect();
    (lines.concat(), exit::NOT_HEALTHY)
}

/// A reload in words.
fn changes(dry_run: bool, reply: &Reply) -> String {
    let mut text = String::new();
    for warning in reply.warnings.as_deref().unwrap_or_default() {
        let _ = writeln!(text, "warning: {warning}");
    }
    let Some(diff) = reply
        .diff
        .as_ref()
        .filter(|diff| **diff != Changes::default())
    else {
        return text + "the file says what it said before: nothing changes\n";
    };
    let would = if dry_run { "would be " } else { "" };
    for (names, what) in [
        (&diff.added, "added"),
        (&diff.changed, "changed; a run that is going keeps its plan"),
        (
            &diff.removed,
            "removed; a run that is going goes on to its end",
        ),
    ] {
        for name in names {
            let _ = writeln!(text, "job {name}: {would}{what}");
        }
    }
    for key in &diff.init {
        let _ = writeln!(text, "[init] {key}");
    }
    text
}

/// Text that came over the socket, without what would steer a terminal.
pub(super) fn shown(text: &str) -> String {
    let safe = |c: char| if c.is_control() && c != '\n' { '?' } else { c };
    text.chars().map(safe).collect()
}
