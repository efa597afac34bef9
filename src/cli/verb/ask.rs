//! `lockkeeper start | stop | restart | reload | health`: what only the running init knows or
//! can do. Asks at its control socket, and says the answer.
//!
//! init is first asked who it is, in five seconds: one that hangs, or was stopped, is told from one that
//! takes its time, as a stop does until the run is over. All of `health` fits into these five seconds.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::time::Duration;

use serde_json::Value;

use super::start::{adopt_report, refused};
use crate::cli::flags::Verb;
use crate::cli::{AskArgs, print};
use crate::core::shell::Command;
use crate::core::text::plain;
use crate::exit;
use crate::init::control::ask::{Conversation, HELLO, Silence};
use crate::init::control::words::Request;
use crate::init::reload;
use crate::journal::Verbosity;
use crate::run::start::Refused;
use crate::sys::{clock, signals};

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
            Verb::Reload => Some(clock::now() + RELOAD),
            // As long as the run takes.
            _ => None,
        };
        conversation.ask(request(args), until)
    });
    let line = spoken.map_err(|silence| refused(silent(args.verb), sentence(args, &silence)))?;
    if let Some(to) = report {
        // A descriptor that cannot be written is the caller's loss.
        let mut to = File::from(to);
        let _ = to.write_all(&line).and_then(|()| to.write_all(b"\n"));
    }
    let reply: Value = serde_json::from_slice(&line).map_err(|_| {
        let text = format!("asking init to {}: its answer is none", args.verb.name());
        refused(silent(args.verb), text)
    })?;
    if reply.get("ok").and_then(Value::as_bool) != Some(true) {
        return Err(not_done(args, &reply));
    }
    let (text, code) = done(args, &reply);
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
    let more = "what can be known without it: `lockkeeper status`";
    match (args.verb, &args.job, silence) {
        (Verb::Start | Verb::Restart, Some(job), Silence::Nobody) => {
            let run = Command::on("lockkeeper run", job.as_ref());
            format!("{silence}; one run without init: {run}; {more}")
        }
        _ => format!("{silence}; {more}"),
    }
}

fn not_done(args: &AskArgs, reply: &Value) -> Refused {
    let code = number(reply, "code").and_then(|code| u8::try_from(code).ok());
    let code = match args.verb {
        Verb::Health => exit::NOT_HEALTHY,
        _ => code.unwrap_or(exit::UNAVAILABLE),
    };
    let text = text(reply, "report").or_else(|| text(reply, "error"));
    refused(code, shown(text.unwrap_or_default()))
}

/// What to print, and the exit code.
fn done(args: &AskArgs, reply: &Value) -> (String, u8) {
    let job = args.job.as_deref().unwrap_or_default();
    let run = text(reply, "run_id").unwrap_or_default();
    let said = match (args.verb, text(reply, "result").unwrap_or_default()) {
        (Verb::Health, _) => return health(reply),
        (Verb::Reload, _) => changes(args.dry_run, reply),
        (_, "started") => format!("{job}: run {run} was started\n"),
        (_, "running") => format!("{job}: run {run} is going already\n"),
        (_, "queued") => {
            let before = number(reply, "before").unwrap_or_default();
            format!("{job}: begins when its class has a place, after {before} others\n")
        }
        (_, "stopping") => format!("{job}: its run was told to stop\n"),
        (_, "not_running") => format!("{job}: no run to stop\n"),
        (_, "stopped") => {
            let code = number(reply, "exit").map_or_else(String::new, |code| code.to_string());
            let reason = text(reply, "reason").map_or_else(String::new, |why| format!(" ({why})"));
            format!("{job}: its run is over, exit {code}{reason}\n")
        }
        _ => String::new(),
    };
    (shown(&said), exit::OK)
}

fn health(reply: &Value) -> (String, u8) {
    if reply.get("healthy").and_then(Value::as_bool) == Some(true) {
        return ("healthy\n".to_owned(), exit::OK);
    }
    let problems = list(reply, "problems").map(|problem| shown(problem) + "\n");
    (problems.collect(), exit::NOT_HEALTHY)
}

/// A reload in words.
fn changes(dry_run: bool, reply: &Value) -> String {
    let mut said = String::new();
    for warning in list(reply, "warnings") {
        let _ = writeln!(said, "warning: {warning}");
    }
    let before = said.len();
    let would = if dry_run { "would be " } else { "" };
    let diff = reply.get("diff").unwrap_or(&Value::Null);
    for (names, what) in [
        ("added", "added"),
        ("changed", "changed; a run that is going keeps its plan"),
        ("removed", "removed; a run that is going goes on to its end"),
    ] {
        for name in list(diff, names) {
            let _ = writeln!(said, "job {name}: {would}{what}");
        }
    }
    for key in list(diff, "init") {
        let _ = writeln!(said, "[init] {key}: {would}changed");
    }
    if said.len() == before {
        said.push_str("the file says what it said before: nothing changes\n");
    }
    said
}

fn text<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str()
}

fn number(object: &Value, key: &str) -> Option<u64> {
    object.get(key)?.as_u64()
}

/// The texts of a list.
fn list<'a>(object: &'a Value, key: &str) -> impl Iterator<Item = &'a str> {
    let all = object.get(key).and_then(Value::as_array);
    all.into_iter().flatten().filter_map(Value::as_str)
}

/// Text that came over the socket, without what would steer a terminal.
fn shown(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(plain).collect();
    lines.join("\n")
}
