//! The job table of init, pure: which job runs when, what a signal means, when init ends.
//!
//! State: one row a job, and the phase of init as a whole (begun, stopping since when, over). The
//! table owns when runs start and that they are asked to stop; a run's own life (queue, watchdogs,
//! ladder) is its monitor's business, processes and descriptors are the shell's.
//!
//! Invariants, each one a test:
//! - never two living runs of one job, found runs of an earlier init included;
//! - nothing starts once a stop has begun;
//! - ticks lie on the grid of the first one; a tick starts at most one run, and where it starts
//!   none that is said;
//! - after a [`Event::Tick`] the next deadline lies strictly in the future: no busy loop;
//! - [`Action::Exit`] comes once, is last, and comes at once when a stop has nothing left to wait
//!   for, or when `stop_within` is over.
//!
//! # The exit code
//!
//! | init ends | with a main command | without |
//! | --- | --- | --- |
//! | by itself | its code | 0, or the code of the job that failed first |
//! | stopped by TERM or INT, all in order | its code; 128+n if it never started | 0 |
//! | stopped, `stop_within` over | as above; 137 if it was still alive | 137 |
//!
//! A job without a rate that was refused a guard too often has the code 125. A stop that somebody
//! asked for and that went in order is a success, whatever single runs returned before: otherwise
//! each `docker stop` of agents that fail now and then would read as a crash. 137
//! is what the runtime itself reports where it has to kill.
//!
//! # What keeps init
//!
//! A tick to come, a run of its own, `stay`. Not a manual job: until somebody can ask init for
//! a run, it can never start here. Not a found run either: it is not ours to stop, and its guard
//! stops it anyway, as its own init has died; but a job that is to run once waits for it.

mod ask;
mod event;
mod outside;
mod reload;
mod row;
mod stop;
mod view;

use std::path::PathBuf;
use std::time::Duration;

use ask::refused;
pub use event::{Action, Answer, Ask, ClientId, Event, JobIndex, RunId};
pub use outside::Outside;
pub use reload::{Diff, diff};
use row::{Due, Last, Row, Run};
use stop::Stop;
pub use view::{LastView, RowState, RowView};

use crate::config::plan::{InitPlan, JobPlan, Plan};
use crate::core::note::Note;
use crate::core::outcome::Reason;
use crate::core::time::Time;
use crate::exit;

/// After a lock is freed, nobody of ours queues for it for so long: the kernel wakes the waiters
/// but does not hand them the lock, so a newcomer within that time overtakes them all.
const REQUEUE_AFTER: Duration = Duration::from_millis(1);
/// How long after a guard could not be had a job without a rate is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How many guards such a job is refused before it counts as failed.
const RETRIES: u8 = 5;
// The same on every Linux architecture (signal(7)).
const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// What the table cannot read in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Random: run ids and the spread of first ticks follow from it. The same seed, plan and
    /// events give the same actions.
    pub seed: u64,
    /// HUP goes to the main command, as there is no file to read again.
    pub hup_passes: bool,
    /// The main command stood on the command line: no file names it, and none removes it.
    pub main_typed: bool,
}

/// Where init stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// [`Event::Begin`] is still to come.
    Fresh,
    /// Jobs start and end; `staying`: it was said that only `stay` keeps init.
    Going { staying: bool },
    /// Every living run was told to stop.
    Stopping(Stop),
    /// [`Action::Exit`] was given.
    Ended,
}

/// The job table. Feed it events in the order of their times, do its actions in their order.
#[derive(Debug)]
pub struct Table {
    /// By slot; `None`: free.
    rows: Vec<Option<Row>>,
    init: InitPlan,
    phase: Phase,
    facts: Facts,
    /// The locks that were freed within the last millisecond, and from when on to queue for them.
    freed: Vec<(PathBuf, Time)>,
    /// Runs of no job.
    outside: Vec<outside::Known>,
    runs_begun: u64,
    main_code: Option<u8>,
    first_failure: Option<u8>,
}

impl Table {
    /// A table of the plan's jobs, in which nothing has begun.
    pub fn new(plan: Plan, facts: Facts) -> Self {
        let rows = plan.jobs.into_iter().map(|job| Some(Row::new(job)));
        Self {
            rows: rows.collect(),
            init: plan.init,
            phase: Phase::Fresh,
            facts,
            freed: Vec::new(),
            outside: Vec::new(),
            runs_begun: 0,
            main_code: None,
            first_failure: None,
        }
    }

    /// What the next run of that job will be; `None`: no job has that slot.
    pub fn plan(&self, job: JobIndex) -> Option<&JobPlan> {
        Some(&self.rows.get(job.0)?.as_ref()?.plan)
    }

    /// The plans of all jobs that it knows.
    pub fn plans(&self) -> impl Iterator<Item = &JobPlan> {
        self.rows.iter().flatten().map(|row| &row.plan)
    }

    /// Whether init stops, or has ended.
    pub const fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Stopping(_) | Phase::Ended)
    }

    /// The `[init]` table as it stands now.
    pub const fn init(&self) -> &InitPlan {
        &self.init
    }

    /// Whether jobs still start: a stop of everything has not begun.
    pub const fn is_going(&self) -> bool {
        matches!(self.phase, Phase::Fresh | Phase::Going { .. })
    }

    /// Takes one event, which happened at `now`, and adds what follows from it to `out`.
    ///
    /// `now` never goes back. Ends of runs that the table does not know as living are dropped, as
    /// is everything after [`Action::Exit`].
    pub fn handle(&mut self, now: Time, event: Event, out: &mut Vec<Action>) {
        match (self.phase, event) {
            (Phase::Ended, _) | (Phase::Going { .. } | Phase::Stopping(_), Event::Begin) => return,
            (Phase::Fresh, Event::Begin) => self.begin(now, out),
            (Phase::Fresh, Event::Tick) => {}
            (Phase::Going { .. }, Event::Tick) => self.serve_due(now, out),
            (Phase::Stopping(stop), Event::Tick) => self.check_overdue(now, stop, out),
            (
                _,
                Event::RunEnded {
                    job,
                    run,
                    code,
                    reason,
                    ran: _,
                },
            ) => {
                self.run_ended(now, job, run, (code, reason), out);
            }
            (_, Event::RunBegun { job, run }) => {
                if let Some(row) = self.living(job, run) {
                    row.answer_begun(run, out);
                }
            }
            (_, Event::RunReady { job, run }) => {
                if let Some(run) = self.living(job, run).and_then(|row| row.run.as_mut()) {
                    run.ready.get_or_insert(now);
                }
            }
            (_, Event::RunStatus { job, run, text }) => {
                if let Some(run) = self.living(job, run).and_then(|row| row.run.as_mut()) {
                    run.status = Some(text);
                }
            }
            (_, Event::Asked { client, ask }) => self.asked(now, client, &ask, out),
            (_, Event::Reload { plan }) => self.reload(now, plan, out),
            (_, Event::GuardFailed { job, run, text }) => {
                self.guard_failed(now, job, run, text, out);
            }
            (_, Event::RunFound { job, run_id }) => self.run_found(job, run_id, out),
            (_, Event::FoundGone { job, run_id }) => self.found_gone(now, job, &run_id),
            (_, Event::OutsideRun { run }) => self.outside_run(now, run),
            (_, Event::OutsideGone { run_id }) => self.outside_gone(now, &run_id),
            (
                phase,
                Event::Signal {
                    signo: signo @ (SIGTERM | SIGINT),
                },
            ) => match phase {
                Phase::Stopping(stop) => self.stop_again(now, stop, signo, out),
                _ => self.stop(now, Some(signo), out),
            },
            (_, Event::Signal { signo: SIGHUP }) if !self.facts.hup_passes => {
                if matches!(self.phase, Phase::Going { .. }) {
                    out.push(Action::ReadFile);
                }
            }
            (_, Event::Signal { signo }) => self.pass_to_main(signo, out),
        }
        self.settle(now, out);
    }

    /// When [`Event::Tick`] is due next; `None`: not until something else has happened.
    pub fn next_deadline(&self) -> Option<Time> {
        match self.phase {
            Phase::Fresh | Phase::Ended => None,
            Phase::Going { .. } => {
                let wake = |row: &Row| row.wake(freed_at(&self.freed, row));
                self.rows().filter_map(wake).min()
            }
            Phase::Stopping(stop) => Some(stop.until),
        }
    }

    fn begin(&mut self, now: Time, out: &mut Vec<Action>) {
        self.phase = Phase::Going { staying: false };
        for row in self.rows.iter_mut().flatten() {
            let share = share(self.facts.seed, row.name());
            row.begin(now, share);
        }
        if !self.init.stay && self.rows().all(Row::over) {
            out.push(Action::Note(nothing_to_start()));
        }
        self.serve_due(now, out);
    }

    fn serve_due(&mut self, now: Time, out: &mut Vec<Action>) {
        let mut latest = None;
        self.freed.retain(|(_, at)| *at > now);
        for (index, row) in self.rows.iter_mut().enumerate() {
            let Some(row) = row else { continue };
            let freed = freed_at(&self.freed, row);
            let Some((due, late)) = row.take_due(now, freed) else {
                continue;
            };
            latest = latest.max(late);
            let job = row.name().to_owned();
            match due {
                Due::Skip => out.push(Action::Note(Note::TickSkipped { job })),
                Due::Start => {
                    self.runs_begun = self.runs_begun.wrapping_add(1);
                    let run = run_id(self.facts.seed, self.runs_begun);
                    row.run = Some(Run {
                        id: run,
                        begun: now,
                        lock: row.lock().cloned(),
                        ready: None,
                        status: None,
                        stopping: None,
                    });
                    let run_id = run.to_string();
                    out.push(Action::Note(Note::RunStarting { job, run_id }));
                    let job = JobIndex(index);
                    out.push(Action::StartRun { job, run });
                }
            }
        }
        if let Some(late) = latest {
            out.push(Action::Note(Note::WokeLate { late }));
        }
    }

    fn run_ended(
        &mut self,
        now: Time,
        job: JobIndex,
        run: RunId,
        (code, reason): (u8, Option<Reason>),
        out: &mut Vec<Action>,
    ) {
        let Some(row) = self.living(job, run) else {
            return;
        };
        let last = Last {
            code,
            reason,
            at: now,
        };
        row.last = Some(last);
        let asked_for = row.run.as_ref().is_some_and(|run| run.stopping.is_some());
        let lock = row.run.take().and_then(|run| run.lock);
        let main = row.plan.main;
        out.push(Action::Note(Note::RunEnded {
            job: row.name().to_owned(),
            run_id: run.to_string(),
            code,
            reason,
        }));
        row.answer_ended(last, out);
        self.lock_freed(now, lock);
        if main || !asked_for {
            self.count(main, code);
        }
        self.forget(job);
        // Somebody waited for this end, to start it anew.
        if self.row_mut(job).is_some_and(|row| row.asked) {
            self.serve_due(now, out);
        }
    }

    /// A job with a rate is tried again at its next tick; one without after a second, a few times,
    /// and then counts as failed. Nothing is tried again once a stop has begun.
    fn guard_failed(
        &mut self,
        now: Time,
        job: JobIndex,
        run: RunId,
        text: String,
        out: &mut Vec<Action>,
    ) {
        let stopping = matches!(self.phase, Phase::Stopping(_));
        let Some(row) = self.living(job, run) else {
            return;
        };
        row.run = None;
        let by_hand = row.answer_starts(&refused(&text), out);
        row.failed_starts = row.failed_starts.saturating_add(1);
        let has_rate = row.rate().is_some();
        let retry = !stopping && !row.removed && !by_hand && row.failed_starts < RETRIES;
        if !has_rate {
            row.next = retry.then(|| now + RETRY_AFTER);
        }
        let (name, main) = (row.name().to_owned(), row.plan.main);
        let given_up = !retry && !has_rate && !by_hand;
        out.push(Action::Note(Note::GuardFailed {
            job: name.clone(),
            text,
        }));
        if given_up {
            out.push(Action::Note(Note::RunEnded {
                job: name,
                run_id: run.to_string(),
                code: exit::FAILED,
                reason: Some(Reason::Failed),
            }));
            self.count(main, exit::FAILED);
        }
        self.forget(job);
    }

    fn run_found(&mut self, job: JobIndex, run_id: String, out: &mut Vec<Action>) {
        let Some(row) = self.row_mut(job) else {
            return;
        };
        if row.add_found(&run_id) {
            let job = row.name().to_owned();
            out.push(Action::Note(Note::RunFound { job, run_id }));
        }
    }

    fn found_gone(&mut self, now: Time, job: JobIndex, run_id: &str) {
        let Some(row) = self.row_mut(job) else {
            return;
        };
        if row.remove_found(run_id) {
            let lock = row.lock().cloned();
            self.lock_freed(now, lock);
            self.forget(job);
        }
    }

    /// Before Begin the main command is still to come, so its signals are not lost.
    fn pass_to_main(&self, signo: i32, out: &mut Vec<Action>) {
        let fresh = self.phase == Phase::Fresh;
        if self
            .rows()
            .any(|row| row.plan.main && (fresh || !row.over()))
        {
            out.push(Action::SignalMain { signo });
        }
    }

    /// What follows from the state alone: the main command's end, the last run's end.
    fn settle(&mut self, now: Time, out: &mut Vec<Action>) {
        if self.main_code.is_some() && matches!(self.phase, Phase::Going { .. }) {
            self.stop(now, None, out);
        }
        match self.phase {
            Phase::Going { staying } if self.rows().all(Row::over) => {
                if !self.init.stay {
                    self.exit(self.first_failure.unwrap_or(exit::OK), out);
                } else if !staying {
                    self.phase = Phase::Going { staying: true };
                    out.push(Action::Note(Note::Staying));
                }
            }
            Phase::Stopping(stop) if self.runs().next().is_none() => {
                self.exit(self.code_in_order(stop), out);
            }
            Phase::Fresh | Phase::Going { .. } | Phase::Stopping(_) | Phase::Ended => {}
        }
    }

    fn exit(&mut self, code: u8, out: &mut Vec<Action>) {
        self.phase = Phase::Ended;
        out.push(Action::Note(Note::InitEnded { code }));
        out.push(Action::Exit { code });
    }

    fn count(&mut self, main: bool, code: u8) {
        if main {
            self.main_code = Some(code);
        } else if code != exit::OK {
            self.first_failure.get_or_insert(code);
        }
    }

    fn rows(&self) -> impl Iterator<Item = &Row> + '_ {
        self.rows.iter().flatten()
    }

    fn row_mut(&mut self, job: JobIndex) -> Option<&mut Row> {
        self.rows.get_mut(job.0)?.as_mut()
    }

    fn living(&mut self, job: JobIndex, run: RunId) -> Option<&mut Row> {
        let lives = |row: &&mut Row| row.run.as_ref().is_some_and(|living| living.id == run);
        self.row_mut(job).filter(lives)
    }

    fn runs(&self) -> impl Iterator<Item = (JobIndex, RunId)> + '_ {
        let rows = self.rows.iter().enumerate();
        rows.filter_map(|(index, row)| Some((JobIndex(index), row.as_ref()?.run.as_ref()?.id)))
    }

    fn lock_freed(&mut self, now: Time, lock: Option<PathBuf>) {
        let Some(lock) = lock else { return };
        self.freed.retain(|(other, at)| *at > now && *other != lock);
        self.freed.push((lock, now + REQUEUE_AFTER));
    }
}

/// From when on the lock of `row` may be queued for, where it was freed just now.
fn freed_at(freed: &[(PathBuf, Time)], row: &Row) -> Option<Time> {
    let lock = row.lock().filter(|_| !freed.is_empty())?;
    let (_, at) = freed.iter().find(|(freed, _)| freed == lock)?;
    Some(*at)
}

fn nothing_to_start() -> Note {
    Note::ConfigWarning {
        text: "no job starts by itself, so init has nothing to do and ends: give a job `start = \
               \"boot\"`, or set `stay = true` under [init]"
            .to_owned(),
    }
}

/// The nth run: one to one in `n`, so no two runs of one init share an id.
fn run_id(seed: u64, n: u64) -> RunId {
    RunId(mix(seed.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15))))
}

/// A part of 2^64 that follows from the seed and the job's name.
fn share(seed: u64, name: &str) -> u64 {
    name.bytes()
        .fold(mix(seed), |hash, byte| mix(hash ^ u64::from(byte)))
}

/// The finaliser of splitmix64 (Steele, Lea, Flood 2014): one to one, every bit depends on all.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
