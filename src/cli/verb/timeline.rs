//! `lockkeeper timeline`: who held the lock when, who waited how long, and how each run ended.
//!
//! The records come from journalctl, or with `--from` from the log of a container that writes JSON; either
//! is read line by line (`source`, `sign`) into the one account of it ([`crate::core::timeline`]), and
//! that is shown as text (`text`), as JSON (`json`) or as a picture (`plot`, `svg`). All times are
//! UTC.
//!
//! Names and reasons come from the journal, into which many may write: what is shown of them goes through
//! `label`, so that nothing steers a terminal or breaks the picture.

mod axis;
mod json;
mod label;
mod plot;
mod sign;
mod source;
mod svg;
mod text;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::errno::Errno;
use nix::unistd::dup;

use super::start::refused;
use crate::cli::typed::time;
use crate::cli::{TimelineArgs, print};
use crate::core::timeline::{Builder, Ms, Question, Timeline};
use crate::exit;
use crate::lock::dir::record::time_of;
use crate::lock::fault::Quoted;
use crate::run::start::Refused;
use crate::sys::{clock, signals};
use crate::trouble;
use source::Read;

/// What is shown where nothing is known, before now.
const HOUR: Ms = 3_600_000;

/// Reads, and shows.
pub fn timeline(args: &TimelineArgs) -> Result<u8, Refused> {
    signals::let_through();
    let now = clock::unix_ms();
    let mut builder = Builder::default();
    let mut question = Question {
        from: None,
        to: None,
        job: args.job.clone(),
        lock: args.lock.clone(),
    };
    if let Some(path) = &args.from {
        question.from = edge(args.since.as_deref(), now)?;
        question.to = edge(args.until.as_deref(), now)?;
        let taken = log(path, &mut |sign| builder.take(sign))?;
        judge(path, &taken)?;
    } else {
        question.from = args.since.as_deref().and_then(|when| ago(when, now));
        // What is going goes on until now.
        question.to = match &args.until {
            Some(when) => ago(when, now),
            None => Some(now),
        };
        source::journal(args, &mut |sign| builder.take(sign))?;
    }
    let known = builder.finish(&question);
    let known = known.unwrap_or_else(|| {
        let to = question.to.unwrap_or(now);
        let from = question.from.unwrap_or(to.saturating_sub(HOUR)).min(to);
        Timeline {
            from,
            to: to.max(from + 1),
            rows: Vec::new(),
            overlaps: Vec::new(),
            forgotten: 0,
        }
    });
    if args.json {
        said(&json::render(&known))
    } else if let Some(path) = &args.svg {
        let picture = svg::render(&plot::plot(&known));
        if path == Path::new("-") {
            return said(&picture);
        }
        let failed = |error| {
            let (shown, why) = (Quoted(path), trouble::text_of(&error));
            refused(
                exit::FAILED,
                format!("writing the picture to {shown}: {why}"),
            )
        };
        fs::write(path, picture).map_err(failed)?;
        Ok(exit::OK)
    } else {
        said(&text::render(&known, text::colours()))
    }
}

fn said(text: &str) -> Result<u8, Refused> {
    let failed = |errno: Errno| {
        let why = trouble::why(errno);
        refused(exit::FAILED, format!("writing to standard output: {why}"))
    };
    print::out(text).map_err(failed)?;
    Ok(exit::OK)
}

/// A time that lies so long before now.
fn ago(when: &OsStr, now: Ms) -> Option<Ms> {
    let ago = time(when.to_str()?)?;
    Some(now.saturating_sub(Ms::try_from(ago.as_millis()).unwrap_or(Ms::MAX)))
}

/// An edge that journalctl is not asked about.
fn edge(when: Option<&OsStr>, now: Ms) -> Result<Option<Ms>, Refused> {
    let Some(when) = when else { return Ok(None) };
    let stamp = |text: &str| {
        let since = time_of(text)?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Ms::try_from(since.as_millis()).ok()
    };
    let at = ago(when, now).or_else(|| when.to_str().and_then(stamp));
    at.map(Some).ok_or_else(|| {
        let text = format!(
            "{:?} is no time: with \"--from\" write 10m, 2h, or 2026-01-31T12:00:00Z",
            when.to_string_lossy()
        );
        refused(exit::USAGE, text)
    })
}

/// Reads the log of a container; `-` is standard input.
fn log(path: &PathBuf, take: source::Take<'_>) -> Result<Read, Refused> {
    let failed = |error: io::Error| {
        let (shown, why) = (Quoted(path), trouble::text_of(&error));
        refused(exit::FAILED, format!("reading the log {shown}: {why}"))
    };
    let input = if path == Path::new("-") {
        File::from(dup(io::stdin()).map_err(|errno| failed(errno.into()))?)
    } else {
        File::open(path).map_err(failed)?
    };
    source::lines(input, take).map_err(failed)
}

/// Says honestly what could not be used; a log in which nothing can be is no empty one.
fn judge(path: &Path, taken: &Read) -> Result<(), Refused> {
    let shown = Quoted(path);
    let remedy = "have it write JSON: log = \"json\" in [init], or LOCKKEEPER_LOG=json";
    if taken.texts > 0 {
        let lines = super::check::count(taken.texts, "note");
        let text = format!("{lines} in {shown} in words, which say no time; {remedy}");
        if taken.notes == 0 {
            return Err(refused(exit::FAILED, format!("reading the log: {text}")));
        }
        print::complain(&text);
    } else if taken.notes == 0 && taken.lines > 0 {
        let text = format!("reading the log: no note of lockkeeper in {shown}; {remedy}");
        return Err(refused(exit::FAILED, text));
    }
    Ok(())
}

/// As journalctl takes it.
fn words(args: &TimelineArgs) -> impl Iterator<Item = OsString> {
    let word = |name, when: &Option<OsString>| {
        let when = when.as_deref().map(crate::cli::parse::for_journalctl);
        when.map(|when| super::journal::option(name, &when))
    };
    let edges = [word("--since=", &args.since), word("--until=", &args.until)];
    edges.into_iter().flatten().chain(args.options.clone())
}
