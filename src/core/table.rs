//! The job table of init, pure: which job runs when, what a signal means, when init ends.
//!
//! State: one row a job, with its plan, in a slot of its own; the places of the classes that have a
//! limit; and the phase of init as a whole (begun, stopping since when, over). The table owns the
//! plans, when runs start and that they are asked to stop; a run's own life (queue, watchdogs,
//! ladder) is its monitor's business, processes and descriptors are the shell's.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `row` | one job: its next tick, and whether it is busy |
//! | `start` | what is due, and who has a place |
//! | `ended` | the end of a run, and what follows: `restart` |
//! | `backoff` | how long until a restart, and whether there is one |
//! | `after` | who waits for what has come true of others |
//! | `places` | `max_parallel` |
//! | `ask` | what people ask for, and what they are told |
//! | `reload` | a new plan for a table at work |
//! | `stop` | the orderly stop of everything |
//! | `view` | how each job stands |
//!
//! Invariants, each one a test:
//! - never two living runs of one job, found runs of an earlier init included;
//! - nothing starts once a stop has begun;
//! - ticks lie on the grid of the first one; a tick starts at most one run, and where it starts
//!   none that is said;
//! - no run of a class begins beyond its `max_parallel`, but the main command's;
//! - no job starts for the first time before all that it is to start after has come true;
//! - a job that somebody has stopped starts when somebody asks, and not before;
//! - each client is answered once;
//! - after a [`Event::Tick`] the next deadline lies strictly in the future: no busy loop;
//! - slots are bounded by the jobs and the runs there are, whatever was read from the file before;
//! - [`Action::Exit`] comes once, is last, and comes at once when a stop has nothing left to wait
//!   for, or when `stop_within` is over.
//!
//! # Time
//!
//! Ticks lie on a grid of the monotonic clock. Setting the wall clock moves none of them. It stands
//! still while the machine is suspended, and so does the grid: a suspend makes the next tick later by
//! the wall clock, and loses none. A container that is paused while its machine goes on wakes late:
//! one run starts, the ticks that went by are lost, and that is said ([`Note::WokeLate`]).
//!
//! # The exit code
//!
//! | init ends | with a main command | without |
//! | --- | --- | --- |
//! | by itself | its code | 0, or the code of the job that failed first |
//! | a job has used up its restarts, `then = "exit"` | the code of that job | the same |
//! | stopped by TERM or INT, all in order | its code; 128+n if it never started | 0 |
//! | stopped, `stop_within` over | as above; 137 if it was still alive | 137 |
//!
//! A job has failed when its run did and no restart follows. One that was refused a guard too often
//! without a rate has the code 125, and so has one that can never start. A run that somebody has stopped
//! by hand has not failed. A stop of everything that somebody asked for and that went in order is a
//! success, whatever single runs returned before: otherwise each `docker stop` of agents that fail
//! now and then would read as a crash. 137 is what the runtime itself reports where it has to kill.
//!
//! # What keeps init
//!
//! A tick or a restart to come, a run of its own, `stay`. Not a manual job: somebody could ask for it,
//! but a container whose other jobs are all over is expected to end, and one that is there to be asked
//! says `stay`. A job that would go on and was stopped by hand does: who stops the only job of a
//! container for a while does not mean the container. Not a found run either: it is not ours to
//! stop, and its guard stops it anyway, as its own init has died; but a job that is to run once waits
//! for it.

mod after;
mod ask;
mod backoff;
mod ended;
mod event;
mod outside;
mod places;
mod reload;
mod row;
mod start;
mod stop;
mod view;

use std::path::PathBuf;

pub use event::{Action, Answer, Ask, ClientId, Event, JobIndex, RunId};
pub use outside::Outside;
use places::Places;
pub use reload::{Diff, diff};
use row::Row;
use start::freed_at;
use stop::Stop;
pub use view::{LastView, RowState, RowView};

use crate::config::plan::{InitPlan, JobPlan, Plan};
use crate::core::note::Note;
use crate::core::time::Time;
use crate::exit;

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
    places: Places,
    /// Something may be due that was not at the last look.
    to_serve: bool,
    runs_begun: u64,
    main_code: Option<u8>,
    /// The code of the job whose failure ends init.
    fatal: Option<u8>,
    first_failure: Option<u8>,
}

impl Table {
    /// A table of the plan's jobs, in which nothing has begun.
    pub fn new(plan: Plan, facts: Facts) -> Self {
        let rows = plan.jobs.into_iter().map(|job| Some(Row::new(job)));
        let mut table = Self {
            rows: rows.collect(),
            init: plan.init,
            phase: Phase::Fresh,
            facts,
            freed: Vec::new(),
            outside: Vec::new(),
            places: Places::default(),
            to_serve: false,
            runs_begun: 0,
            main_code: None,
            fatal: None,
            first_failure: None,
        };
        table.link(|_| true);
        table.place();
        table
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
            // Of a run that goes on: nothing else follows from these.
            (_, Event::RunBegun { job, run }) => {
                self.run_begun(now, job, run, out);
                self.serve(now, out);
                return;
            }
            (_, Event::RunReady { job, run }) => {
                self.run_ready(now, job, run, out);
                self.serve(now, out);
                return;
            }
            (_, Event::RunStatus { job, run, text }) => {
                if let Some(run) = self.living(job, run).and_then(|row| row.run.as_mut()) {
                    run.status = Some(text);
                }
                return;
            }
            (Phase::Fresh, Event::Begin) => self.begin(now, out),
            (Phase::Fresh, Event::Tick) => {}
            (Phase::Going { .. }, Event::Tick) => self.to_serve = true,
            (Phase::Stopping(stop), Event::Tick) => self.check_overdue(now, stop, out),
            (
                _,
                Event::RunEnded {
                    job,
                    run,
                    code,
                    reason,
                    ran,
                },
            ) => self.run_ended(now, (job, run), (code, reason, ran), out),
            (_, Event::GuardFailed { job, run, text }) => {
                self.guard_failed(now, job, run, text, out);
            }
            (_, Event::RunFound { job, run_id }) => self.run_found(now, job, run_id, out),
            (_, Event::FoundGone { job, run_id }) => self.found_gone(now, job, &run_id),
            (_, Event::OutsideRun { run }) => self.outside_run(now, run),
            (_, Event::OutsideGone { run_id }) => self.outside_gone(now, &run_id),
            (_, Event::Asked { client, ask }) => self.asked(now, client, &ask, out),
            (_, Event::Reload { plan }) => self.reload(now, plan, out),
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
        self.serve(now, out);
        self.settle(now, out);
    }

    fn serve(&mut self, now: Time, out: &mut Vec<Action>) {
        let going = matches!(self.phase, Phase::Going { .. });
        if std::mem::take(&mut self.to_serve) && going && !self.ends() {
            self.serve_due(now, out);
        }
    }

    /// Whether a job has ended whose end is that of init.
    const fn ends(&self) -> bool {
        self.main_code.is_some() || self.fatal.is_some()
    }

    /// When [`Event::Tick`] is due next; `None`: not until something else has happened.
    pub fn next_deadline(&self) -> Option<Time> {
        match self.phase {
            Phase::Fresh | Phase::Ended => None,
            Phase::Going { .. } => {
                let wake = |row: &Row| row.wake(freed_at(&self.freed, row));
                self.rows().filter_map(wake).chain(self.front()).min()
            }
            Phase::Stopping(stop) => Some(stop.until),
        }
    }

    fn begin(&mut self, now: Time, out: &mut Vec<Action>) {
        self.phase = Phase::Going { staying: false };
        for row in self.rows.iter_mut().flatten() {
            if !row.gate.is_shut() {
                let share = share(self.facts.seed, row.name());
                row.begin(now, share);
            }
        }
        for job in (0..self.rows.len()).map(JobIndex) {
            self.changed(now, job, out);
        }
        if !self.init.stay && self.rows().all(Row::over) {
            out.push(Action::Note(nothing_to_start()));
        }
        self.to_serve = true;
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
        if self.ends() && matches!(self.phase, Phase::Going { .. }) {
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

    /// The names of those rows, and their slots.
    fn names(&self, which: impl Fn(&Row) -> bool) -> Vec<(&str, usize)> {
        let rows = self.rows.iter().zip(0..);
        let named = rows.filter_map(|(row, at)| Some((row.as_ref().filter(|row| which(row))?, at)));
        named.map(|(row, at)| (row.name(), at)).collect()
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
