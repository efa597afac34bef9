//! `lockkeeper lock clean`: removes the records of dead owners, and says what it left and why.

use std::os::fd::OwnedFd;

use serde_json::Value;

use super::list::survey;
use super::text::{Row, Table};
use super::{code, json, tell};
use crate::cli::LockArgs;
use crate::journal::Verbosity;
use crate::lock::scan::clean::{Cleaned, clean as remove};
use crate::lock::scan::look::{Judge, State};
use crate::run::start::Refused;

pub(super) fn clean(args: &LockArgs, report: Option<OwnedFd>) -> Result<u8, Refused> {
    let judge = Judge::new();
    let (roots, survey) = survey(args, &judge)?;
    let cleaned: Vec<Option<Cleaned>> = survey
        .locks
        .iter()
        .map(|lock| match (lock.state, args.dry_run) {
            (State::Stale, false) => Some(remove(lock, &judge)),
            _ => None,
        })
        .collect();
    let is_removed = |at: usize| matches!(cleaned.get(at), Some(Some(Cleaned::Removed)));
    let left = |at: usize| match cleaned.get(at) {
        Some(Some(Cleaned::Left(left))) => Some(left.to_string()),
        _ => None,
    };
    let json = json::survey(&roots, &survey, |at, lock| {
        lock.insert("removed".to_owned(), Value::from(is_removed(at)));
        if let Some(left) = left(at) {
            lock.insert("left".to_owned(), Value::from(left));
        }
    });
    tell(args, report, &json, || {
        let all = args.verbosity != Verbosity::Quiet;
        let mut table = Table::new(all);
        for (at, lock) in survey.locks.iter().enumerate() {
            let mut row = Row::of(lock);
            match (&cleaned.get(at), lock.state) {
                (Some(Some(Cleaned::Removed)), _) => row.removed("removed"),
                (Some(Some(Cleaned::Gone)), _) => row.removed("gone"),
                (_, State::Stale) if args.dry_run => row.removed("would go"),
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
