//! The run's rules, a sentence each ([`checking`], [`life`], [`ladder`], [`notices`], [`signals`], [`split`],
//! [`sweep`], [`watchdogs`]): events at given times in, actions out. Random worlds and random events ([`random`]).
//!
//! Notes are compared where the sentence speaks of them; times in milliseconds after Begin, which
//! comes at [`BOOT`].

mod checking;
mod ladder;
mod life;
mod notices;
mod random;
mod signals;
mod split;
mod sweep;
mod watchdogs;
mod world;

use crate::config::plan::{FinalLine, Limits, OnConflict, SignalMap, StopPlan};
use crate::core::event::Target;
use crate::core::event::Watched;
use crate::core::notice::Notice;
use crate::core::outcome::SpawnStep;
use crate::core::refusal::Refusal;

use super::signals::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU};
use super::*;

const BOOT: Time = Time(7_000_000_000);
const LEADER: i32 = 4711;
const NOTHING: [&str; 0] = [];

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A run without a lock or limits, in a session of its own: 10 s and 1 s of grace.
fn facts() -> Facts {
    Facts {
        conditions: false,
        wait: None,
        dirs: None,
        limits: Limits::default(),
        stop: StopPlan {
            signal: SIGTERM,
            grace: ms(10_000),
            leftover_grace: ms(1000),
        },
        own_session: true,
        job_control: false,
        hup_stops: true,
        unsure: false,
        ignored: Vec::new(),
        signals: SignalMap::default(),
        sweep: None,
    }
}

/// The same, in the queue of a lock.
fn locked(wait: Wait) -> Facts {
    Facts {
        wait: Some(wait),
        ..facts()
    }
}

/// The same, with directories to lock.
fn claiming(dirs: OnConflict) -> Facts {
    Facts {
        dirs: Some(dirs),
        ..facts()
    }
}

fn with_final(grace_ms: u64) -> Limits {
    Limits {
        final_line: Some(FinalLine {
            line: "result".to_owned(),
            grace: ms(grace_ms),
            failed: None,
        }),
        ..Limits::default()
    }
}

const fn term(signo: i32) -> Event {
    Event::Signal {
        signo,
        kernel: false,
    }
}

const fn by_terminal(signo: i32) -> Event {
    Event::Signal {
        signo,
        kernel: true,
    }
}

const fn within(millis: u64) -> Event {
    Event::StopWithin {
        within: Some(ms(millis)),
    }
}

/// The command has ended, and others of its tree have not.
const fn gone(status: Status) -> Event {
    Event::Reaped {
        command: Some(status),
        empty: false,
    }
}

/// The command has ended, and it was the last of its tree.
const fn last(status: Status) -> Event {
    Event::Reaped {
        command: Some(status),
        empty: true,
    }
}

const EMPTY: Event = Event::Reaped {
    command: None,
    empty: true,
};

/// A run, what it did so far, and short words for it.
#[derive(Clone)]
struct Desk {
    run: Run,
    actions: Vec<Action>,
}

impl Desk {
    fn new(facts: Facts) -> Self {
        let run = Run::new(facts);
        let actions = Vec::new();
        Self { run, actions }
    }

    /// Begun at 0.
    fn begun(facts: Facts) -> Self {
        let mut desk = Self::new(facts);
        desk.at(0, &Event::Begin { queued_at: BOOT });
        desk
    }

    /// Its program runs since 0.
    fn running(facts: Facts) -> Self {
        let mut desk = Self::begun(facts);
        if desk.run.facts.wait.is_some() {
            desk.at(0, &Event::LockGot);
        }
        desk.at(0, &Event::Forked { pid: LEADER });
        desk.at(0, &Event::Executed);
        desk
    }

    /// One event; the actions but the notes, as words.
    fn at(&mut self, at_ms: u64, event: &Event) -> Vec<String> {
        let from = self.actions.len();
        self.run.handle(BOOT + ms(at_ms), event, &mut self.actions);
        if let Event::Forked { .. } = event {
            // Others are told at once, so that this deadline is in the way of no other.
            let told = BOOT + ms(at_ms) + CLAIM_AFTER;
            self.run.handle(told, &Event::Tick, &mut self.actions);
        }
        self.actions[from..].iter().filter_map(word).collect()
    }

    /// Ticks at the next deadline; when that was, and what followed.
    fn tick(&mut self) -> (u64, Vec<String>) {
        let at = self.deadline().unwrap();
        (at, self.at(at, &Event::Tick))
    }

    /// The next deadline, in milliseconds after Begin.
    fn deadline(&self) -> Option<u64> {
        let after = self.run.next_deadline()?.since(BOOT);
        u64::try_from(after.as_millis()).ok()
    }

    fn says(&self, wanted: impl Fn(&Note) -> bool) -> usize {
        self.actions
            .iter()
            .filter(|action| matches!(action, Action::Note(note) if wanted(note)))
            .count()
    }

    fn outcome(&self) -> Outcome {
        match self.actions.last() {
            Some(Action::Finish(outcome)) => *outcome,
            other => panic!("the run is not over: {other:?}"),
        }
    }
}

fn word(action: &Action) -> Option<String> {
    Some(match action {
        Action::CheckStart => "check".to_owned(),
        Action::EndCheck => "end check".to_owned(),
        Action::LockDirs => "dirs".to_owned(),
        Action::AwaitDir => "await dir".to_owned(),
        Action::Lock => "lock".to_owned(),
        Action::WatchLock => "watch".to_owned(),
        Action::Spawn => "spawn".to_owned(),
        Action::Signal {
            to: Target::Group,
            signo,
        } => format!("group {signo}"),
        Action::Signal {
            to: Target::Command,
            signo,
        } => format!("command {signo}"),
        Action::TermDescendants => "term".to_owned(),
        Action::KillChildren => "kill".to_owned(),
        Action::AskOutput => "output?".to_owned(),
        Action::AskSurvivors => "survivors?".to_owned(),
        Action::TellReady => "ready".to_owned(),
        Action::TellStatus { text } => format!("status {text}"),
        Action::TouchClaim => "touch".to_owned(),
        Action::ReportSplit { run_id } => format!("split {run_id}"),
        Action::LookAtLockDirs => "look".to_owned(),
        Action::Sweep => "sweep".to_owned(),
        Action::EndWatch(watched) => format!("end watch {watched:?}"),
        Action::StopSelf => "stop self".to_owned(),
        Action::StartOver => "start over".to_owned(),
        Action::Finish(outcome) => format!("finish {}", outcome.code),
        Action::Claim | Action::Note(_) => return None,
    })
}
