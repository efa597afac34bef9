//! `lockkeeper lock hold`: a person keeps agents out of a directory.

use std::env;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::unistd::{User, geteuid};

use super::{json, tell, unseen};
use crate::cli::LockArgs;
use crate::core::shell::Command;
use crate::exit;
use crate::journal::Verbosity;
use crate::lock::dir::claim::Obstacle;
use crate::lock::dir::manual;
use crate::lock::fault::Quoted;
use crate::run::start::Refused;

use super::super::start::refused;

pub(super) fn hold(args: &LockArgs, report: Option<OwnedFd>) -> Result<u8, Refused> {
    let named = args.paths.first().map_or(Path::new("."), |path| path);
    let dir = named
        .canonicalize()
        .map_err(|error| unseen(named, &error))?;
    let by = args.by.clone().unwrap_or_else(user);
    let shown = Quoted(&dir);
    let record = match manual::hold(&dir, &by, args.reason.as_deref()) {
        Ok(record) => record,
        Err(Obstacle::Conflict(conflict, _)) => {
            return Err(refused(exit::NOT_OBTAINED, conflict.to_string()));
        }
        Err(Obstacle::Failed(error)) => return Err(refused(error.code(), error.to_string())),
        Err(Obstacle::Replaced) => {
            let text = format!(
                "cannot lock the directory {shown}: its .runtime is removed again and again; \
                 find out by whom"
            );
            return Err(refused(exit::FAILED, text));
        }
    };
    let mut whole = json::versioned();
    whole.extend(json::object(&mut [
        ("dir", json::path(&dir)),
        ("state", "manual".into()),
        ("record", json::record(&record)),
    ]));
    tell(args, report, &whole.into(), &mut || {
        if args.verbosity == Verbosity::Quiet {
            return String::new();
        }
        format!(
            "{shown} is held; give it back with: {}\n",
            Command::on("lockkeeper lock release", &dir)
        )
    })?;
    Ok(exit::OK)
}

/// The name of who asks, as the machine has it.
pub(in crate::cli::verb) fn user() -> String {
    let known = User::from_uid(geteuid()).ok().flatten();
    let told = || env::var("USER").ok().filter(|name| !name.is_empty());
    known
        .map(|user| user.name)
        .or_else(told)
        .unwrap_or_else(|| format!("user {}", geteuid()))
}
