//! `lockkeeper lock list`: every directory lock below some roots, and how it stands.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use super::text::{Row, Table};
use super::{code, json, tell, unseen};
use crate::cli::LockArgs;
use crate::journal::Verbosity;
use crate::lock::scan::look::Judge;
use crate::lock::scan::skip::Skip;
use crate::lock::scan::survey::{Survey, real_roots};
use crate::run::start::Refused;

pub(super) fn list(args: &LockArgs, report: Option<OwnedFd>) -> Result<u8, Refused> {
    let (roots, survey) = survey(args, &Judge::new())?;
    let json = json::survey(&roots, &survey, |_, _| {});
    tell(args, report, &json, || {
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

/// The real roots, and all below them.
pub(super) fn survey(args: &LockArgs, judge: &Judge) -> Result<(Vec<PathBuf>, Survey), Refused> {
    let failed = |(path, error): (PathBuf, std::io::Error)| unseen(&path, &error);
    let roots = real_roots(&args.paths).map_err(failed)?;
    let skip = Skip::new(!args.no_skip, &args.skip);
    let survey = Survey::of(&roots, &skip, judge).map_err(failed)?;
    Ok((roots, survey))
}
