//! `lockkeeper lock …`: directory locks, seen and set right by people and by programs.
//!
//! Invariants:
//! - `list` and `show` change nothing; `clean` removes what is judged dead under the kernel's locks
//!   and nothing else; only `hold` and `release` do what a person says.
//! - What stands in a record, or what a folder is called, reaches a terminal without a byte that it
//!   would obey.

mod clean;
mod hold;
pub(super) mod json;
mod list;
mod release;
mod show;
mod text;

pub(super) use hold::user;

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use serde_json::Value;

use super::start::{adopt_report, refused};
use crate::cli::flags::Verb;
use crate::cli::{LockArgs, print};
use crate::core::text::json as one_line;
use crate::exit;
use crate::lock::fault::Quoted;
use crate::run::start::Refused;
use crate::sys::signals;
use crate::trouble;

/// Does what `args` ask for; says the exit code.
pub fn lock(args: &LockArgs) -> Result<u8, Refused> {
    // Nobody here is init: what ends other programs may end this one, at any moment.
    signals::let_through();
    let report = args.report.map(adopt_report).transpose()?;
    match args.verb {
        Verb::LockShow => show::show(args, report),
        Verb::LockClean => clean::clean(args, report),
        Verb::LockHold => hold::hold(args, report),
        Verb::LockRelease => release::release(args, report),
        _ => list::list(args, report),
    }
}

/// Tells the result, once as JSON to `--report` and once as was asked for.
fn tell(
    args: &LockArgs,
    report: Option<OwnedFd>,
    json: &Value,
    say: &mut dyn FnMut() -> String,
) -> Result<(), Refused> {
    let json = one_line(json);
    if let Some(report) = report {
        // A descriptor that cannot be written is the caller's loss.
        let _ = File::from(report).write_all(json.as_bytes());
    }
    let said = if args.json { json } else { say() };
    print::out(&said).map_err(|errno| {
        let why = trouble::why(errno);
        refused(exit::FAILED, format!("printing the result: {why}"))
    })
}

/// A path that cannot be looked at.
fn unseen(path: &Path, error: &io::Error) -> Refused {
    let what_to_do = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT) => "; name one that exists",
        Some(Errno::ENOTDIR) => "; name a folder",
        Some(Errno::EACCES) => "; do it as a user who may",
        _ => "",
    };
    let (path, why) = (Quoted(path), trouble::text_of(error).to_ascii_lowercase());
    let text = format!("cannot look at {path}: {why}{what_to_do}");
    refused(exit::FAILED, text)
}

/// 1 where somebody has to do something, else 0.
const fn code(needs_a_person: bool) -> u8 {
    if needs_a_person {
        exit::NEEDS_A_PERSON
    } else {
        exit::OK
    }
}
