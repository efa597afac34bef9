//! `lockkeeper lock clean`: removes the records of dead owners, and says what it left and why.

use std::os::fd::OwnedFd;

use serde_json::Value;

use super::list::survey;
use super::text::{Row, Table};
use super::{code, json, tell};
use crate::cli::LockArgs;
use crate::journal::Verbosity;
use crate::lock::scan::clean::{Cleaned, clean as remove};
use crate::lock::scan::look::{Judge, Lock, State};
use crate::run::start::Refused;

pub(super) fn clean(args: &LockArgs, report: Option<OwnedFd>) -> Result<u8, Refused> {
    let (roots, survey) = survey(args, &Judge::new())?;
    let cleaned: Vec<Option<Cleaned>> = survey
        .locks
        .iter()
        .map(|lock| (is_ours(lock) && !args.dry_run).then(|| remove(lock)))
        .collect();
    let is_removed = |at: usize| matches!(cleaned.get(at), Some(Some(Cleaned::Removed)));
    let left = |at: usize| match cleaned.get(at) {
        Some(Some(Cleaned::Left(left))) => Some(left.to_string()),
        _ => None,
    };
    let json = json::survey(&roots, &survey, &|at, lock| {
        lock.insert("removed".to_owned(), Value::from(is_removed(at)));
        if let Some(left) = left(at) {
            lock.insert("left".to_owned(), Value::from(left));
        }
    });
    tell(args, report, &json, &mut || {
        let all = args.verbosity != Verbosity::Quiet;
        let mut table = Table::new(all);
        for (at, lock) in survey.locks.iter().enumerate() {
            let mut row = Row::of(lock);
            match cleaned.get(at) {
                Some(Some(Cleaned::Removed)) => row.removed("removed"),
                Some(Some(Cleaned::Gone)) => row.removed("gone"),
                _ if is_ours(lock) && args.dry_run => row.removed("would go"),
                _ => row.left(left(at)),
            }
            if all || lock.state.needs_a_person() {
                table.row(&row);
            }
        }
        table.end(&roots, &survey)
    })?;
    let stays = |at: usize| matches!(cleaned.get(at), Some(None | Some(Cleaned::Left(_))));
    let mut locks = survey.locks.iter().enumerate();
    let needs = locks.any(|(at, lock)| lock.state.needs_a_person() && stays(at));
    Ok(code(needs || !survey.unread.is_empty()))
}

/// Whether it is for us to remove: agentctl's list is agentctl's.
const fn is_ours(lock: &Lock) -> bool {
    matches!(lock.state, State::Stale) && !lock.of_agentctl
}
