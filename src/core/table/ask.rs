//! What people ask of the table: a run, its end, both.
//!
//! - `start`: a run begins now, whatever the row says of its next one; a living run is left alone.
//! - `stop`: the living run is stopped with its own graces, and the job is held: neither a tick nor
//!   a restart starts it until somebody does. Who asked for the end is answered at the end.
//! - `restart`: as `stop`, and then a run begins; the job is not held.
//! - Once a stop of everything has begun nobody is served any more.
//!
//! State: in each row, who waits for what. Invariant: each client gets one answer, and a row keeps no
//! more than [`MOST_CLIENTS`].

use super::event::{Action, Answer, Ask, ClientId, JobIndex, RunId};
use super::row::{Last, Row};
use super::{Phase, Table};
use crate::config::nearest;
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
        let row = self.row_mut(job)?;
        if row.clients.len() >= MOST_CLIENTS {
            return Some(refused(
                "too many wait for this job: ask again when some of them have been answered",
            ));
        }
        match ask {
            Ask::Start(_) => {
                if let Some(run_id) = row.living_id() {
                    return Some(Answer::Running { run_id });
                }
                row.want_run(client);
                self.serve_due(now, out);
                None
            }
            Ask::Stop(_) => self.stop_by_hand(now, job, client, out),
            Ask::Restart(_) => {
                if row.run.is_none()
                    && let Some(run_id) = row.living_id()
                {
                    return Some(refused(&format!(
                        "run {run_id} was not started by this init, which cannot stop it"
                    )));
                }
                row.want_run(client);
                self.stop_run(now, job, out);
                self.serve_due(now, out);
                None
            }
        }
    }

    fn stop_by_hand(
        &mut self,
        now: Time,
        job: JobIndex,
        client: ClientId,
        out: &mut Vec<Action>,
    ) -> Option<Answer> {
        let row = self.row_mut(job)?;
        row.held = true;
        row.asked = false;
        row.answer_starts(&refused("somebody else has stopped this job"), out);
        if row.run.is_none() {
            return Some(match row.living_id() {
                Some(run_id) => refused(&format!(
                    "run {run_id} was not started by this init, which cannot stop it"
                )),
                None => Answer::NotRunning,
            });
        }
        row.clients.push(Client {
            id: client,
            for_start: false,
        });
        self.stop_run(now, job, out);
        None
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
    fn find(&self, name: &str) -> Option<JobIndex> {
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
        self.held = false;
        self.asked = true;
        self.clients.push(Client {
            id: client,
            for_start: true,
        });
    }

    /// A run that lives and is not being stopped for another one.
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
