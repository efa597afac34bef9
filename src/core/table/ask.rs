//! What people ask of the table: a run, its end, both.
//!
//! - `start`: a run begins now, whatever the row says of its next one, and the job counts as one that
//!   has not failed yet. A living run is left alone; one that is being stopped is waited for. Refused
//!   is what has to wait for other jobs ([`super::after`]). Where its class has no place it queues, and
//!   who asked need not wait for that.
//! - `stop`: the living run is stopped with its own graces, and the job is held: neither a tick nor
//!   a restart starts it until somebody does. Its ticks of the meantime are lost and not told. Who asked for the end is answered at the end.
//! - `restart`: as `stop`, and then a run begins, at once and in the same place; the job is not held.
//!   The main command is not restarted: its end is the container's.
//! - Once a stop of everything has begun nobody is served any more.
//!
//! State: in each row, who waits for what. Invariant: each client gets one answer, and a row keeps no
//! more than [`MOST_CLIENTS`].

use super::event::{Action, Answer, Ask, ClientId, JobIndex, RunId};
use super::row::{Last, Row};
use super::{Phase, Table};
use crate::config::nearest;
use crate::config::plan::{After, Want};
use crate::core::time::Time;

/// How many may wait for one job: a client that goes away is not taken out.
const MOST_CLIENTS: usize = 256;

/// Somebody who waits for a job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    id: ClientId,
    /// For a run to begin; else for one to end.
    for_start: bool,
}

impl Table {
    pub(super) fn asked(&mut self, now: Time, client: ClientId, ask: &Ask, out: &mut Vec<Action>) {
        if let Some(answer) = self.answer_now(now, client, ask, out) {
            out.push(Action::Answer { client, answer });
        }
    }

    /// Does what is asked; `None`: the answer comes later.
    fn answer_now(
        &mut self,
        now: Time,
        client: ClientId,
        ask: &Ask,
        out: &mut Vec<Action>,
    ) -> Option<Answer> {
        match self.phase {
            Phase::Fresh => return Some(refused("init is still starting: ask again")),
            Phase::Stopping(_) | Phase::Ended => return Some(Answer::Ending),
            Phase::Going { .. } => {}
        }
        let (Ask::Start(name) | Ask::Stop(name) | Ask::Restart(name)) = ask;
        let Some(job) = self.find(name) else {
            let known = self.rows().filter(|row| !row.removed).map(Row::name);
            let near = nearest(name, known).map(str::to_owned);
            return Some(Answer::NoSuchJob { near });
        };
        let answer = match ask {
            Ask::Start(_) => self.start_by_hand(now, job, client),
            Ask::Stop(_) => self.stop_by_hand(now, job, client, out),
            Ask::Restart(_) => self.restart_by_hand(now, job, client, out),
        };
        self.changed(now, job, out);
        self.to_serve = true;
        answer
    }

    fn start_by_hand(&mut self, now: Time, job: JobIndex, client: ClientId) -> Option<Answer> {
        let row = self.row_mut(job)?;
        let ends = row.run.as_ref().is_some_and(|run| run.stopping.is_some());
        if let Some(run_id) = row.living_id().filter(|_| !ends) {
            return Some(Answer::Running { run_id });
        }
        if let Some(refused) = row.cannot_wait().or_else(|| row.cannot_start()) {
            return Some(refused);
        }
        if ends && row.plan.main {
            return Some(main_restart());
        }
        row.release(now);
        if row.queued.is_some() {
            let class = row.class;
            let before = self.places.before(class, job.0);
            return Some(Answer::Queued { before });
        }
        row.want_run(client);
        None
    }

    fn restart_by_hand(
        &mut self,
        now: Time,
        job: JobIndex,
        client: ClientId,
        out: &mut Vec<Action>,
    ) -> Option<Answer> {
        let row = self.row_mut(job)?;
        if row.run.is_none() {
            return match row.living_id() {
                Some(run_id) => Some(not_ours(&run_id)),
                None => self.start_by_hand(now, job, client),
            };
        }
        if row.plan.main {
            return Some(main_restart());
        }
        if let Some(refused) = row.cannot_wait() {
            return Some(refused);
        }
        row.release(now);
        row.want_run(client);
        self.stop_run(now, job, out);
        None
    }

    fn stop_by_hand(
        &mut self,
        now: Time,
        job: JobIndex,
        client: ClientId,
        out: &mut Vec<Action>,
    ) -> Option<Answer> {
        let row = self.row_mut(job)?;
        if let Some(refused) = row.cannot_wait() {
            return Some(refused);
        }
        row.hold();
        row.answer_starts(&refused("somebody else has stopped this job"), out);
        let (class, lives) = (row.class, row.run.is_some());
        let found = row.living_id();
        if lives {
            row.clients.push(Client {
                id: client,
                for_start: false,
            });
        }
        self.places.give_up(class, job.0);
        if lives {
            self.stop_run(now, job, out);
            return None;
        }
        Some(found.map_or(Answer::NotRunning, |run_id| not_ours(&run_id)))
    }

    /// Tells the living run to stop, once.
    fn stop_run(&mut self, now: Time, job: JobIndex, out: &mut Vec<Action>) {
        let run = self.row_mut(job).and_then(|row| row.run.as_mut());
        if let Some(run) = run.filter(|run| run.stopping.is_none()) {
            run.stopping = Some(now);
            let (run, within) = (run.id, None);
            out.push(Action::StopRun { job, run, within });
        }
    }

    /// The row of that name. A name that two have, as the main command's may be, is the job's.
    pub fn find(&self, name: &str) -> Option<JobIndex> {
        let named = |main: bool| {
            self.rows.iter().position(|row| {
                row.as_ref()
                    .is_some_and(|row| row.name() == name && row.plan.main == main && !row.removed)
            })
        };
        named(false).or_else(|| named(true)).map(JobIndex)
    }
}

impl Row {
    fn want_run(&mut self, client: ClientId) {
        self.asked = true;
        self.by_hand = true;
        self.failed_starts = 0;
        self.backoff.reset();
        self.clients.push(Client {
            id: client,
            for_start: true,
        });
    }

    /// A client that goes away is not taken out of the row.
    fn cannot_wait(&self) -> Option<Answer> {
        let text = "too many wait for this job: ask again when some of them have been answered";
        (self.clients.len() >= MOST_CLIENTS).then(|| refused(text))
    }

    fn cannot_start(&self) -> Option<Answer> {
        let After { job, want } = self.gate.first()?;
        let does = match want {
            Want::Started => "has started",
            Want::Succeeded => "has succeeded",
            Want::Ready => "is ready",
        };
        Some(refused(&format!(
            "it starts only after \"{job}\" {does}: see to that first, or run it beside init with \
             \"lockkeeper run\""
        )))
    }

    /// A run that lives.
    fn living_id(&self) -> Option<String> {
        let own = self.run.as_ref().map(|run| run.id.to_string());
        own.or_else(|| self.found.first().cloned())
    }

    /// A run has begun.
    pub(super) fn answer_begun(&mut self, run: RunId, out: &mut Vec<Action>) {
        let run_id = run.to_string();
        self.answer_starts(&Answer::Started { run_id }, out);
    }

    /// Tells all who wait for a run; whether there was one.
    pub(super) fn answer_starts(&mut self, answer: &Answer, out: &mut Vec<Action>) -> bool {
        self.answer(true, answer, out)
    }

    /// A run is over.
    pub(super) fn answer_ended(&mut self, Last { code, reason, .. }: Last, out: &mut Vec<Action>) {
        self.answer(false, &Answer::Stopped { code, reason }, out);
    }

    fn answer(&mut self, for_start: bool, answer: &Answer, out: &mut Vec<Action>) -> bool {
        let before = self.clients.len();
        self.clients.retain(|client| {
            if client.for_start == for_start {
                let answer = answer.clone();
                out.push(Action::Answer {
                    client: client.id,
                    answer,
                });
            }
            client.for_start != for_start
        });
        self.clients.len() < before
    }
}

pub(super) fn refused(text: &str) -> Answer {
    Answer::Refused {
        text: text.to_owned(),
    }
}

fn main_restart() -> Answer {
    refused("it is the main command, whose end is the container's: restart the container")
}

fn not_ours(run_id: &str) -> Answer {
    refused(&format!(
        "run {run_id} was not started by this init, which cannot stop it"
    ))
}
