//! The table's rules, a sentence each ([`jobs`], [`stops`]): events at given times in, actions out.
//! Random worlds and a week of ticks ([`random`], [`ticks`]).
//!
//! Notes are compared where the sentence speaks of them; times in milliseconds after Begin, which
//! comes at [`BOOT`].

mod jobs;
mod random;
mod stops;
mod ticks;
mod world;

use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::config::plan::{
    DirPlan, Every, Format, InitPlan, JobPlan, Kind, Limits, LockPlan, OutputPlan, RunPlan,
    SharedMount, SignalMap, Start, Stdin, StopPlan, Wait,
};

const BOOT: Time = Time(7_000_000_000);

fn job(name: &str) -> JobPlan {
    JobPlan {
        start: Start::Boot,
        every: None,
        main: false,
        run: RunPlan {
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
        },
    }
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

    fn with(plan: &Plan, hup_passes: bool) -> Self {
        let names = plan.jobs.iter().map(|job| job.run.job.clone()).collect();
        let table = Table::new(
            plan,
            Facts {
                seed: 1,
                hup_passes,
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
        self.actions[from..]
            .iter()
            .filter_map(|action| self.word(action))
            .collect()
    }

    fn signal(&mut self, at_ms: u64, signo: i32) -> Vec<String> {
        self.at(at_ms, Event::Signal { signo })
    }

    fn ends(&mut self, at_ms: u64, name: &str, code: u8) -> Vec<String> {
        let (job, run) = self.last_run(name);
        self.at(
            at_ms,
            Event::RunEnded {
                job,
                run,
                code,
                reason: Some(Reason::Ended),
            },
        )
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
                Some(format!("stop {} {}", self.names[job.0], within.as_millis()))
            }
            Action::SignalMain { signo } => Some(format!("signal {signo}")),
            Action::Exit { code } => Some(format!("exit {code}")),
            Action::Note(_) => None,
        }
    }
}

const NOTHING: [&str; 0] = [];
