//! The table's rules, a sentence each, by what they are about: events at given times in, actions out.
//! Random worlds and a year of ticks ([`random`], [`ticks`]).
//!
//! Notes are compared where the sentence speaks of them; times in milliseconds after Begin, which
//! comes at [`BOOT`].

mod after;
mod asks;
mod jobs;
mod places;
mod random;
mod reloads;
mod restarts;
mod stops;
mod ticks;
mod world;
mod year;

use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::config::plan::{
    After, Conditions, DirPlan, Every, Format, InitPlan, JobPlan, Kind, Limits, LockPlan,
    OutputPlan, ProcessPlan, RestartPlan, RunPlan, SharedMount, SignalMap, Start, Stdin, StopPlan,
    Then, Wait, Want, When,
};
use crate::core::outcome::Reason;

const BOOT: Time = Time(7_000_000_000);

fn job(name: &str) -> JobPlan {
    JobPlan::once(RunPlan {
        conditions: Conditions::default(),
        process: ProcessPlan::default(),
        job: name.to_owned(),
        class: "batch".to_owned(),
        kind: Kind::Interactive,
        command: vec!["true".into()],
        dir: None,
        user: None,
        group: None,
        env: Vec::new(),
        stdin: Stdin::Null,
        pty: None,
        signals: SignalMap::default(),
        limits: Limits::default(),
        stop: StopPlan::default(),
        identity: None,
        dirs: DirPlan::default(),
        output: OutputPlan::default(),
        notify: false,
    })
}

fn manual(name: &str) -> JobPlan {
    JobPlan {
        start: Start::Manual,
        ..job(name)
    }
}

fn main(name: &str) -> JobPlan {
    JobPlan {
        main: true,
        ..job(name)
    }
}

fn every(name: &str, period_ms: u64, jitter_ms: u64) -> JobPlan {
    let (period, jitter) = (ms(period_ms), ms(jitter_ms));
    JobPlan {
        every: Some(Every { period, jitter }),
        ..job(name)
    }
}

fn locked(lock: &str, mut job: JobPlan) -> JobPlan {
    job.run.kind = Kind::batch(Some(LockPlan {
        path: PathBuf::from(lock),
        shared_mount: SharedMount::Off,
        wait: Wait::Forever,
        sweep: None,
        pause: None,
    }));
    job
}

fn plan(jobs: Vec<JobPlan>) -> Plan {
    let init = InitPlan {
        name: "test".to_owned(),
        stop_within: ms(9000),
        stay: false,
        log: Format::Text,
        signals: SignalMap::default(),
    };
    Plan { init, jobs }
}

/// A job that is restarted after each end.
fn always(name: &str) -> JobPlan {
    restarted(When::Always, job(name))
}

fn restarted(when: When, job: JobPlan) -> JobPlan {
    let restart = RestartPlan {
        when,
        ..job.restart
    };
    JobPlan { restart, ..job }
}

fn limited(limit: u64, then: Then, mut job: JobPlan) -> JobPlan {
    job.restart.limit = Some(limit);
    job.restart.then = then;
    job
}

/// A job that starts after others: `["a", "b:ready"]`.
fn after(others: &[&str], job: JobPlan) -> JobPlan {
    let after = others.iter().map(|other| {
        let (job, word) = other.split_once(':').unwrap_or((other, "started"));
        let (job, want) = (job.to_owned(), Want::of(word).unwrap());
        After { job, want }
    });
    JobPlan {
        after: after.collect(),
        ..job
    }
}

/// A job of a class that has so many places.
fn placed(class: &str, places: u64, mut job: JobPlan) -> JobPlan {
    job.run.class = class.to_owned();
    job.max_parallel = Some(places);
    job
}

/// A container that stays, whatever its jobs do.
fn staying(jobs: Vec<JobPlan>) -> Plan {
    let mut plan = plan(jobs);
    plan.init.stay = true;
    plan
}

fn start(name: &str) -> Ask {
    Ask::Start(name.to_owned())
}

fn stop(name: &str) -> Ask {
    Ask::Stop(name.to_owned())
}

fn restart(name: &str) -> Ask {
    Ask::Restart(name.to_owned())
}

fn told(client: u64, answer: &Answer) -> String {
    format!("tell {client} {answer:?}")
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A table, what it did so far, and short words for what happens to it.
struct Desk {
    table: Table,
    names: Vec<String>,
    actions: Vec<Action>,
}

impl Desk {
    fn new(plan: &Plan) -> Self {
        Self::with(plan, false)
    }

    /// A main command of the command line.
    fn typed(plan: &Plan) -> Self {
        let mut desk = Self::new(plan);
        desk.table.facts.main_typed = true;
        desk.at(0, Event::Begin);
        desk
    }

    fn with(plan: &Plan, hup_passes: bool) -> Self {
        let names = plan.jobs.iter().map(|job| job.run.job.clone()).collect();
        let table = Table::new(
            plan.clone(),
            Facts {
                seed: 1,
                hup_passes,
                main_typed: false,
            },
        );
        Self {
            table,
            names,
            actions: Vec::new(),
        }
    }

    fn begun(plan: &Plan) -> Self {
        let mut desk = Self::new(plan);
        desk.at(0, Event::Begin);
        desk
    }

    /// One event; the actions but the notes, as words.
    fn at(&mut self, at_ms: u64, event: Event) -> Vec<String> {
        let from = self.actions.len();
        self.table
            .handle(BOOT + ms(at_ms), event, &mut self.actions);
        self.name_slots();
        self.actions[from..]
            .iter()
            .filter_map(|action| self.word(action))
            .collect()
    }

    fn signal(&mut self, at_ms: u64, signo: i32) -> Vec<String> {
        self.at(at_ms, Event::Signal { signo })
    }

    fn ends(&mut self, at_ms: u64, name: &str, code: u8) -> Vec<String> {
        self.ends_after(at_ms, name, code, None)
    }

    fn ends_after(
        &mut self,
        at_ms: u64,
        name: &str,
        code: u8,
        ran: Option<Duration>,
    ) -> Vec<String> {
        let (job, run) = self.last_run(name);
        self.at(
            at_ms,
            Event::RunEnded {
                job,
                run,
                code,
                reason: Some(Reason::Ended),
                ran,
            },
        )
    }

    fn is_ready(&mut self, at_ms: u64, name: &str) -> Vec<String> {
        let (job, run) = self.last_run(name);
        self.at(at_ms, Event::RunReady { job, run })
    }

    fn reloads(&mut self, at_ms: u64, plan: &Plan) -> Vec<String> {
        let plan = plan.clone();
        self.at(at_ms, Event::Reload { plan })
    }

    fn name_slots(&mut self) {
        self.names.resize(self.table.rows.len(), String::new());
        for (name, row) in self.names.iter_mut().zip(&self.table.rows) {
            *name = row
                .as_ref()
                .map_or_else(String::new, |row| row.name().to_owned());
        }
    }

    /// How a job stands.
    fn state(&self, at_ms: u64, name: &str) -> RowState {
        let view = self.table.view(BOOT + ms(at_ms));
        view.into_iter().find(|row| row.job == name).unwrap().state
    }

    fn asks(&mut self, at_ms: u64, client: u64, ask: Ask) -> Vec<String> {
        let client = ClientId(client);
        self.at(at_ms, Event::Asked { client, ask })
    }

    /// The guard of its last run is there.
    fn begins(&mut self, at_ms: u64, name: &str) -> Vec<String> {
        let (job, run) = self.last_run(name);
        self.at(at_ms, Event::RunBegun { job, run })
    }

    fn has_no_guard(&mut self, at_ms: u64, name: &str) -> Vec<String> {
        let (job, run) = self.last_run(name);
        let text = "cannot fork: out of processes".to_owned();
        self.at(at_ms, Event::GuardFailed { job, run, text })
    }

    fn found(&mut self, at_ms: u64, name: &str) -> Vec<String> {
        self.at(
            at_ms,
            Event::RunFound {
                job: self.index(name),
                run_id: "old".to_owned(),
            },
        )
    }

    fn found_gone(&mut self, at_ms: u64, name: &str) -> Vec<String> {
        self.at(
            at_ms,
            Event::FoundGone {
                job: self.index(name),
                run_id: "old".to_owned(),
            },
        )
    }

    fn last_run(&self, name: &str) -> (JobIndex, RunId) {
        let of_job = self.actions.iter().rev().find_map(|action| match action {
            Action::StartRun { job, run } if self.names[job.0] == name => Some((*job, *run)),
            _ => None,
        });
        of_job.unwrap_or((self.index(name), RunId(0)))
    }

    fn index(&self, name: &str) -> JobIndex {
        JobIndex(self.names.iter().position(|known| known == name).unwrap())
    }

    /// The next deadline, in microseconds after Begin.
    fn deadline_us(&self) -> Option<u128> {
        self.table
            .next_deadline()
            .map(|at| at.since(BOOT).as_micros())
    }

    fn notes(&self) -> Vec<&Note> {
        let mut notes = Vec::new();
        for action in &self.actions {
            if let Action::Note(note) = action {
                notes.push(note);
            }
        }
        notes
    }

    fn says(&self, wanted: impl Fn(&Note) -> bool) -> usize {
        self.notes().into_iter().filter(|note| wanted(note)).count()
    }

    fn word(&self, action: &Action) -> Option<String> {
        match action {
            Action::StartRun { job, .. } => Some(format!("start {}", self.names[job.0])),
            Action::StopRun { job, within, .. } => {
                let within =
                    within.map_or("own".to_owned(), |within| within.as_millis().to_string());
                Some(format!("stop {} {within}", self.names[job.0]))
            }
            Action::SignalMain { signo } => Some(format!("signal {signo}")),
            Action::Exit { code } => Some(format!("exit {code}")),
            Action::Answer { client, answer } => Some(format!("tell {} {answer:?}", client.0)),
            Action::ReadFile => Some("read".to_owned()),
            Action::Note(_) => None,
        }
    }
}

const NOTHING: [&str; 0] = [];
