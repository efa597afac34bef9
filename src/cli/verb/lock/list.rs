//! `lockkeeper lock list`: every directory lock below some roots, and how it stands.

use std::env;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use super::text::{Row, Table};
use super::{code, json, tell, unseen};
use crate::cli::LockArgs;
use crate::journal::Verbosity;
use crate::lock::dir::agentctl::{self, Entry};
use crate::lock::scan::look::{Judge, Lock};
use crate::lock::scan::skip::Skip;
use crate::lock::scan::survey::{Survey, real_roots};
use crate::run::start::Refused;
use crate::trouble;

pub(super) fn list(args: &LockArgs, report: Option<OwnedFd>) -> Result<u8, Refused> {
    let (roots, survey) = survey(args, &Judge::new())?;
    let json = json::survey(&roots, &survey, &|_, _| {});
    tell(args, report, &json, &mut || {
        let all = args.verbosity != Verbosity::Quiet;
        let mut table = Table::new(all);
        for lock in &survey.locks {
            if all || lock.state.needs_a_person() {
                table.row(&Row::of(lock));
            }
        }
        table.end(&roots, &survey)
    })?;
    Ok(code(survey.needs_a_person()))
}

/// The real roots, and all below them, agentctl's list included.
pub(super) fn survey(args: &LockArgs, judge: &Judge) -> Result<(Vec<PathBuf>, Survey), Refused> {
    let failed = |(path, error): (PathBuf, io::Error)| unseen(&path, &error);
    let roots = real_roots(&args.paths).map_err(failed)?;
    let (entries, broken) = agentctl(args.agentctl.as_deref())?;
    let is_below = |entry: &Entry| roots.iter().any(|root| entry.directory.starts_with(root));
    let entries = entries.into_iter().filter(is_below);
    let more = entries
        .map(|entry| Lock::of_agentctl(entry, judge))
        .collect();
    let skip = Skip::new(!args.no_skip, &args.skip);
    let mut survey = Survey::of(&roots, &skip, judge, more).map_err(failed)?;
    survey.broken.extend(broken);
    Ok((roots, survey))
}

/// The entries of a list, and what in it is none, and why.
type List = (Vec<Entry>, Vec<(PathBuf, String)>);

/// The entries of agentctl's list, and what in it is none. Where nobody names a file, one that is not
/// in this home is no list.
fn agentctl(named: Option<&Path>) -> Result<List, Refused> {
    let home = || Some(Path::new(&env::var_os("HOME")?).join(agentctl::FILE));
    let Some(path) = named.map(Path::to_owned).or_else(home) else {
        return Ok(List::default());
    };
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let opened = File::options()
        .read(true)
        .custom_flags(flags.bits())
        .open(&path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if named.is_some() => return Err(unseen(&path, &error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(List::default()),
        Err(error) => return Ok((Vec::new(), vec![(path, trouble::text_of(&error))])),
    };
    if !file.metadata().is_ok_and(|meta| meta.is_file()) {
        return Ok((Vec::new(), vec![(path, "it is no file".to_owned())]));
    }
    let list = match agentctl::read(&file) {
        Ok(list) => list,
        Err(corrupt) => return Ok((Vec::new(), vec![(path, corrupt.to_string())])),
    };
    let (mut entries, mut broken) = (Vec::new(), Vec::new());
    for (number, entry) in (1..).zip(list) {
        match entry {
            Ok(entry) => entries.push(entry),
            Err(corrupt) => broken.push((path.clone(), format!("entry {number}: {corrupt}"))),
        }
    }
    Ok((entries, broken))
}
