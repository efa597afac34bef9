//! What a round is to be, drawn from the seed: who contends in which order, what each job does, and
//! who is killed when.

use std::time::Duration;

use super::phase::{PHASES, Phase};
use super::rng::Rng;
use super::tally::Victim;

/// The kill of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// None: what ends by itself must be right, too.
    Nobody,
    /// A process of the subject's, at a stop within a phase (counted in the round).
    At { phase: Phase, victim: Victim },
    /// A process of the subject's, after a time.
    After { victim: Victim, delay: Duration },
    /// `flock(1)`, and not what it started.
    Plain { delay: Duration },
    /// The init above the subject.
    Init { kind: Init, delay: Duration },
}

/// An init to be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Init {
    /// lockkeeper as PID 1, with the subject as its main job.
    Own,
    /// Another program as PID 1, with the subject below it.
    Stranger,
    /// lockkeeper as a subreaper, with the subject as its main job.
    Subreaper,
}

/// What a job does. Every process of it marks the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    /// Works a while.
    Simple,
    /// Leaves a daemon that closed everything, cleared its environment and hears no signal.
    Daemon,
    /// Leaves a daemon that keeps all descriptors that it was given.
    Keeper,
    /// Leaves a child that does the same as the daemon, and works a while.
    Family,
    /// Leaves a storm of processes that fork and exit for ever.
    Storm,
    /// Executes without a pause, as does its child, until both are ended.
    Busy,
    /// Hears no stop, and has a child that does not, either; ends by its time limit.
    Deaf,
}

/// One contender's job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    pub(crate) job: Job,
    pub(crate) millis: u32,
    pub(crate) code: i32,
    /// Whether its silence is watched, and so its output goes through the monitor.
    pub(crate) watched: bool,
}

/// One round.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) aim: Aim,
    /// Of the subject, of the other run, of the plain user.
    pub(crate) work: [Work; 3],
    /// In which order they begin: indices of `work`.
    pub(crate) order: [usize; 3],
    /// Whether the other run is asked to stop after this time.
    pub(crate) ask_other: Option<Duration>,
    /// Where in the phase: scaled by how many stops a phase has.
    pub(crate) place: u32,
}

/// The subject's index: the contender whose processes are killed.
pub(crate) const SUBJECT: usize = 0;
/// The other run's.
pub(crate) const OTHER: usize = 1;
/// The plain `flock(1)` user's.
pub(crate) const PLAIN: usize = 2;

impl Plan {
    /// Draws a round; `traced`: kills can be placed.
    pub(crate) fn draw(rng: &mut Rng, traced: bool) -> Self {
        let aim = aim(rng, traced);
        let mut work = [work(rng), work(rng), work(rng)];
        // A daemon with its descriptors closed would leave flock(1)'s lock: that is known.
        work[PLAIN].job = Job::Simple;
        for (who, work) in work.iter_mut().enumerate() {
            // An init's main job is told of no limit here, and the chain has but one rung.
            let limited = traced && !(who == SUBJECT && aim.is_init());
            if work.job == Job::Deaf && !limited {
                work.job = Job::Simple;
            }
        }
        let busy = match (aim.is_init(), traced) {
            (true, _) => 50,
            (false, true) => 5,
            (false, false) => 25,
        };
        if rng.below(100) < busy {
            work[SUBJECT].job = Job::Busy;
        }
        let mut order = rng.pick(&[[0, 1, 2], [0, 2, 1], [1, 0, 2], [2, 0, 1], [1, 2, 0]]);
        if let Aim::At { phase, .. } = aim {
            match phase {
                Phase::Waiting => {
                    order = rng.pick(&[[1, 2, 0], [2, 1, 0], [2, 0, 1]]);
                    work[order[0]].millis += 6;
                }
                Phase::Stop | Phase::Kill => work[SUBJECT].job = Job::Deaf,
                Phase::Leftovers => {
                    work[SUBJECT].job = rng.pick(&[Job::Deaf, Job::Daemon, Job::Family]);
                }
                _ => {}
            }
        }
        Self {
            aim,
            work,
            order,
            ask_other: (traced && rng.below(100) < 15)
                .then(|| Duration::from_micros(rng.below(20_000).into())),
            place: rng.below(1 << 16),
        }
    }
}

impl Aim {
    /// Whether an init is killed.
    pub(crate) fn is_init(&self) -> bool {
        matches!(self, Self::Init { .. })
    }

    /// Whether a PID 1 is killed, and guard, monitor and command with it.
    pub(crate) fn is_pid1(&self) -> bool {
        matches!(
            self,
            Self::Init {
                kind: Init::Own | Init::Stranger,
                ..
            }
        )
    }

    /// Whether the subject is the main job of a lockkeeper that is init.
    pub(crate) fn is_own(&self) -> bool {
        matches!(
            self,
            Self::Init {
                kind: Init::Own | Init::Subreaper,
                ..
            }
        )
    }
}

fn aim(rng: &mut Rng, traced: bool) -> Aim {
    let victim = rng.pick(&[Victim::Guard, Victim::Monitor, Victim::Command]);
    let delay = Duration::from_micros(rng.below(25_000).into());
    match rng.below(100) {
        0..60 if traced => {
            let phase = rng.pick(&PHASES);
            // Before the command is there, and after it has gone, only the other two can be killed.
            let victim = if (Phase::Spawning..=Phase::Kill).contains(&phase) {
                victim
            } else {
                rng.pick(&[Victim::Guard, Victim::Monitor])
            };
            Aim::At { phase, victim }
        }
        0..84 => Aim::After { victim, delay },
        84..89 => Aim::Plain { delay },
        89..98 if traced => Aim::Init {
            kind: rng.pick(&[Init::Own, Init::Stranger, Init::Subreaper]),
            delay,
        },
        _ => Aim::Nobody,
    }
}

fn work(rng: &mut Rng) -> Work {
    Work {
        job: match rng.below(100) {
            0..50 => Job::Simple,
            50..62 => Job::Daemon,
            62..65 => Job::Keeper,
            65..85 => Job::Family,
            85..95 => Job::Storm,
            _ => Job::Deaf,
        },
        millis: rng.below(6),
        code: rng.pick(&[0, 0, 7, 75, 124]),
        watched: rng.below(4) == 0,
    }
}

impl Work {
    /// The status that the caller of an undisturbed run sees.
    pub(crate) fn status(&self) -> i32 {
        match self.job {
            Job::Simple | Job::Family | Job::Storm => self.code,
            Job::Daemon | Job::Keeper => 0,
            Job::Deaf | Job::Busy => 124,
        }
    }

    /// The options of lockkeeper that limit the job.
    pub(crate) fn limits(&self) -> Vec<String> {
        let short = format!("{}ms", 2 + self.millis);
        match (self.job, self.watched) {
            (Job::Deaf, true) => vec!["--idle-timeout".into(), short],
            (Job::Deaf | Job::Busy, _) => vec!["--timeout".into(), short],
            (_, true) => vec!["--idle-timeout".into(), "10m".into()],
            (_, false) => Vec::new(),
        }
    }

    /// The puppet's words.
    pub(crate) fn script(&self, page: &str, run: u32) -> Vec<String> {
        const DEAF: &str = "closefds clearenv setsid ignore=TERM,INT,HUP";
        let Self { millis, code, .. } = self;
        let mark = format!("mark {page} {run}");
        let text = match self.job {
            Job::Simple if self.watched => {
                format!("{mark} , lines 3 1 , sleep {millis} , exit {code}")
            }
            Job::Simple => format!("{mark} , sleep {millis} , exit {code}"),
            Job::Keeper => format!("{mark} daemon setsid ignore=TERM,INT,HUP , hang"),
            Job::Daemon => format!("{mark} daemon {DEAF} , hang"),
            Job::Family => {
                format!("{mark} , child {{ {mark} {DEAF} , hang }} , sleep {millis} , exit {code}")
            }
            Job::Storm => format!("{mark} , storm 3 {page} {run} 1 , sleep {millis} , exit {code}"),
            Job::Busy => {
                format!(
                    "{mark} closefds , child {{ {mark} , beat {page} {run} }} , beat {page} {run}"
                )
            }
            Job::Deaf => {
                format!("ignore TERM,INT,HUP , {mark} , child {{ {mark} {DEAF} , hang }} , hang")
            }
        };
        text.split(' ').map(String::from).collect()
    }
}
