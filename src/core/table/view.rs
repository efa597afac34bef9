//! How each job stands, in numbers that mean the same to every reader: the source of `status` and
//! `health`.

use serde::Serialize;

use super::row::Row;
use super::{Phase, Table};
use crate::core::time::Time;

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowState {
    /// Nothing of it runs; a tick will start it, or somebody who asks.
    Idle,
    /// It waits for jobs that it is to start after.
    WaitingForAfter,
    /// It is due, and its class has no place for it.
    Queued,
    /// A run was begun: it waits for its lock, or its command runs.
    Running,
    /// Its run has said that it is ready.
    Ready,
    /// Its run was asked to stop.
    Stopping,
    /// It failed, and is started again in a while.
    BackingOff,
    /// It failed too often, or what it is to start after can never come.
    GivenUp,
    /// Somebody has stopped it: it starts when somebody asks.
    Stopped,
    /// It has ended, and does not start again by itself.
    Over,
}

/// How its last run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastView {
    /// Its exit code.
    pub code: u8,
    /// Why, in one word; `None`: it could not say so any more.
    pub reason: Option<String>,
    /// How long ago, in milliseconds.
    pub ago_ms: u64,
}

/// A job and how it stands. Its fields only grow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct RowView {
    /// Its name.
    pub job: String,
    /// Its class.
    pub class: String,
    /// `batch` or `interactive`.
    pub kind: String,
    /// Where it stands.
    pub state: RowState,
    /// The shared lock that its runs queue for; of an interactive job the one of its login, which they
    /// pass.
    pub lock: Option<String>,
    /// Its living run.
    pub run_id: Option<String>,
    /// Whether that run was begun by somebody else than this init: by hand, or by an earlier one.
    pub outside: bool,
    /// For how long it has stood there, in milliseconds, where that is known.
    pub since_ms: Option<u64>,
    /// In how many milliseconds it starts next by itself.
    pub next_ms: Option<u64>,
    /// How its last run ended.
    pub last: Option<LastView>,
    /// How often it was started again after it had failed, or ended.
    pub restarts: u64,
    /// What its run says of itself.
    pub status: Option<String>,
    /// The file does not name it any more; its last run goes on to its end.
    pub removed: bool,
    /// Whether it is no job at all, but a run of a command that the file does not name.
    pub of_no_job: bool,
    /// Whether it is the main command, whose end is the container's.
    pub main: bool,
}

impl Table {
    /// How each job stands at `now`, in the order of the table; then the runs that belong to none.
    pub fn view(&self, now: Time) -> Vec<RowView> {
        let going = matches!(self.phase, Phase::Going { .. });
        let of_jobs = self.rows().map(|row| view(row, now, going));
        of_jobs.chain(self.view_outside(now)).collect()
    }
}

fn view(row: &Row, now: Time, going: bool) -> RowView {
    let ms = |from: Time, to: Time| u64::try_from(to.since(from).as_millis()).unwrap_or(u64::MAX);
    let (state, since) = row.stands(going);
    let run = row.run.as_ref();
    let next = row.next.filter(|_| !row.held).into_iter().chain(row.again);
    let next = next.min().filter(|_| going);
    RowView {
        job: row.name().to_owned(),
        class: row.plan.run.class.clone(),
        kind: row.plan.run.kind.name().to_owned(),
        state,
        lock: row
            .plan
            .run
            .shared_lock()
            .map(|lock| lock.display().to_string()),
        run_id: run
            .map(|run| run.id.to_string())
            .or_else(|| row.found.first().cloned()),
        outside: run.is_none() && !row.found.is_empty(),
        since_ms: since.map(|since| ms(since, now)),
        next_ms: next.map(|next| ms(now, next)),
        last: row.last.map(|last| LastView {
            code: last.code,
            reason: last.reason.map(|reason| reason.word().to_owned()),
            ago_ms: ms(last.at, now),
        }),
        restarts: row.backoff.total,
        status: run.and_then(|run| run.status.clone()),
        removed: row.removed,
        of_no_job: false,
        main: row.plan.main,
    }
}

impl Row {
    fn stands(&self, going: bool) -> (RowState, Option<Time>) {
        let ended = self.last.map(|last| last.at);
        match &self.run {
            Some(run) => match (run.stopping, run.ready) {
                (Some(since), _) => (RowState::Stopping, Some(since)),
                (None, Some(since)) => (RowState::Ready, Some(since)),
                (None, None) => (RowState::Running, Some(run.begun)),
            },
            None if !self.found.is_empty() => (RowState::Running, None),
            None if self.queued.is_some() => (RowState::Queued, self.queued),
            None if self.held => (RowState::Stopped, ended),
            None if going && self.again.is_some() => (RowState::BackingOff, ended),
            None if self.given_up || self.gate.is_lost() => (RowState::GivenUp, ended),
            None if going && self.gate.is_shut() => (RowState::WaitingForAfter, None),
            None if going && !self.over() => (RowState::Idle, ended),
            None if self.last.is_some() => (RowState::Over, ended),
            None => (RowState::Idle, None),
        }
    }
}
