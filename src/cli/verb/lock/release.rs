//! `lockkeeper lock release`: a person gives a directory back.

use std::os::fd::OwnedFd;
use std::path::Path;

use super::super::start::refused;
use super::{json, tell, unseen};
use crate::cli::LockArgs;
use crate::exit;
use crate::journal::Verbosity;
use crate::lock::dir::conflict::Owner;
use crate::lock::dir::manual::{self, Refusal, Released};
use crate::lock::fault::Quoted;
use crate::run::start::Refused;

pub(super) fn release(args: &LockArgs, report: Option<OwnedFd>) -> Result<u8, Refused> {
    let named = args.paths.first().map_or(Path::new("."), |path| path);
    let dir = named
        .canonicalize()
        .map_err(|error| unseen(named, &error))?;
    let released = match manual::release(&dir, args.force) {
        Ok(released) => Some(released),
        // What was asked for is so.
        Err(Refusal::NotLocked) => None,
        Err(Refusal::Conflict(conflict)) => {
            let text = conflict.to_string();
            // The sentence begins with what a run would have attempted.
            let text = text.replacen("cannot lock", "cannot release", 1);
            return Err(refused(exit::NOT_OBTAINED, text));
        }
        Err(Refusal::Failed(error)) => {
            let text = error
                .to_string()
                .replacen("cannot lock", "cannot release", 1);
            return Err(refused(error.code(), text));
        }
    };
    let (word, what) = match &released {
        None => ("nothing", "it was not locked".to_owned()),
        Some(Released::Manual(record)) => ("manual", Owner(record).to_string()),
        Some(Released::Dead(record)) => ("dead", format!("{}, who is dead", Owner(record))),
        Some(Released::Foreign(record, verdict)) => (
            "foreign",
            format!("by force, of {} ({})", Owner(record), verdict.why),
        ),
        Some(Released::Corrupt(corrupt)) => (
            "corrupt",
            format!("by force, what was no record: {corrupt}"),
        ),
        Some(Released::NoRecord(what)) => ("corrupt", format!("by force, {what}")),
    };
    let mut whole = json::versioned();
    let removed = json::object(&mut [("dir", json::path(&dir)), ("released", word.into())]);
    whole.extend(removed);
    tell(args, report, &whole.into(), &mut || match args.verbosity {
        Verbosity::Quiet => String::new(),
        _ => format!("{} is free: {what}\n", Quoted(&dir)),
    })?;
    Ok(exit::OK)
}
