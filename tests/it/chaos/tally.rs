//! What a campaign counted, and how it is shown.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::phase::{PHASES, Phase};
use super::replay::Replayed;

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Victim {
    Guard,
    Monitor,
    Command,
}

/// How many faults are kept with their story.
const STORIES: usize = 12;

/// What a campaign, or a part of it, counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) rounds: u32,
    /// Kills of a run's processes, and whether they were placed or came by chance.
    pub(crate) kills: BTreeMap<(Phase, Victim, bool), u32>,
    /// Kills of `flock(1)` itself, of PID 1s with a run of their own, of other PID 1s above a run,
    /// and of lockkeeper as init without being PID 1.
    pub(crate) plain_kills: u32,
    pub(crate) init_kills: u32,
    pub(crate) space_kills: u32,
    pub(crate) subreaper_kills: u32,
    /// Runs that were asked to stop by TERM.
    pub(crate) asked: u32,
    /// Rounds whose kill found nobody any more.
    pub(crate) missed: u32,

    pub(crate) marks: u64,
    pub(crate) overlaps: u32,
    /// Overlaps of those in which the earlier run was seen to execute: only some jobs show it.
    pub(crate) beating: u32,
    /// Rounds with overlaps in which a PID 1 was killed, and with it guard and monitor at once:
    /// lockkeeper's own, another one.
    pub(crate) init_overlaps: u32,
    pub(crate) space_overlaps: u32,
    /// Rounds in which a process of the killed namespace still stood in the page when the lock was
    /// free.
    pub(crate) late_deaths: u32,
    /// Overlaps of those in which the killed run was seen to execute.
    pub(crate) beating_in_pid1s: u32,
    /// The longest overlap of those.
    pub(crate) longest: Duration,
    pub(crate) stuck: u32,
    /// The longest wait of the last in the queue, `flock(1)`'s way, once all contenders have ended.
    pub(crate) longest_wait: Duration,
    pub(crate) survivors: u32,
    pub(crate) statuses: u32,
    pub(crate) wrong_statuses: u32,
    pub(crate) claims_seen: u32,
    /// A run lives, and its claim says that nobody does.
    pub(crate) claims_lost: u32,
    /// No run lives, and a claim says that one does.
    pub(crate) claims_stuck: u32,
    pub(crate) replayed: Replayed,
    stories: Vec<String>,
}

impl Tally {
    pub(crate) fn tell(&mut self, story: String) {
        if self.stories.len() < STORIES {
            self.stories.push(story);
        }
    }

    pub(crate) fn killed(&mut self, phase: Phase, victim: Victim, placed: bool) {
        *self.kills.entry((phase, victim, placed)).or_default() += 1;
    }

    /// How many kills fell into `phase`.
    pub(crate) fn in_phase(&self, phase: Phase) -> u32 {
        let here = self.kills.iter().filter(|((at, ..), _)| *at == phase);
        here.map(|(_, count)| count).sum()
    }

    /// What must not be. At the death of a PID 1 the kernel kills guard, monitor and job at once and
    /// buries them in any order: that is told apart, unless the job executes beside the next.
    pub(crate) fn faults(&self) -> u32 {
        self.overlaps
            + self.beating_in_pid1s
            + self.stuck
            + self.survivors
            + self.wrong_statuses
            + self.claims_lost
            + self.claims_stuck
            + u32::try_from(self.replayed.different.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.rounds += other.rounds;
        for (key, count) in other.kills {
            *self.kills.entry(key).or_default() += count;
        }
        self.plain_kills += other.plain_kills;
        self.init_kills += other.init_kills;
        self.space_kills += other.space_kills;
        self.subreaper_kills += other.subreaper_kills;
        self.asked += other.asked;
        self.late_deaths += other.late_deaths;
        self.beating += other.beating;
        self.beating_in_pid1s += other.beating_in_pid1s;
        self.missed += other.missed;
        self.marks += other.marks;
        self.overlaps += other.overlaps;
        self.init_overlaps += other.init_overlaps;
        self.space_overlaps += other.space_overlaps;
        self.longest = self.longest.max(other.longest);
        self.stuck += other.stuck;
        self.longest_wait = self.longest_wait.max(other.longest_wait);
        self.survivors += other.survivors;
        self.statuses += other.statuses;
        self.wrong_statuses += other.wrong_statuses;
        self.claims_seen += other.claims_seen;
        self.claims_lost += other.claims_lost;
        self.claims_stuck += other.claims_stuck;
        self.replayed.runs += other.replayed.runs;
        self.replayed.events += other.replayed.events;
        self.replayed.different.extend(other.replayed.different);
        for story in other.stories {
            self.tell(story);
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:40} {:>7} {:>7} {:>7}   placed, by chance: {:>6} {:>7} {:>7}",
            "kills in phase", "guard", "monitor", "command", "guard", "monitor", "command"
        )?;
        for phase in PHASES {
            write!(f, "{:40}", phase.name())?;
            for placed in [true, false] {
                for victim in [Victim::Guard, Victim::Monitor, Victim::Command] {
                    let count = self.kills.get(&(phase, victim, placed)).unwrap_or(&0);
                    write!(f, " {count:>7}")?;
                }
                f.write_str(if placed { "                     " } else { "" })?;
            }
            writeln!(f, "  = {}", self.in_phase(phase))?;
        }
        let longest = u64::try_from(self.longest.as_micros()).unwrap_or(u64::MAX);
        let wait = u64::try_from(self.longest_wait.as_micros()).unwrap_or(u64::MAX);
        let rows = [
            ("rounds", u64::from(self.rounds)),
            ("kills of flock(1)", self.plain_kills.into()),
            ("kills of PID 1, lockkeeper", self.init_kills.into()),
            ("kills of PID 1, another", self.space_kills.into()),
            (
                "kills of lockkeeper, a subreaper",
                self.subreaper_kills.into(),
            ),
            ("runs asked to stop by TERM", self.asked.into()),
            ("kills that came too late", self.missed.into()),
            ("processes marked", self.marks),
            ("exit statuses compared", self.statuses.into()),
            ("claims of living runs read", self.claims_seen.into()),
            ("event logs replayed", self.replayed.runs.into()),
            ("events replayed", self.replayed.events.into()),
            ("OVERLAPS", self.overlaps.into()),
            (
                "  of these, the earlier seen executing",
                self.beating.into(),
            ),
            (
                "OVERLAPS as lockkeeper's PID 1 dies",
                self.init_overlaps.into(),
            ),
            ("OVERLAPS as another PID 1 dies", self.space_overlaps.into()),
            (
                "  of these, the killed seen executing",
                self.beating_in_pid1s.into(),
            ),
            ("  the longest of these, µs", longest),
            (
                "dead later than the lock, as PID 1 dies",
                self.late_deaths.into(),
            ),
            ("STUCK LOCKS", self.stuck.into()),
            ("  longest wait for a free lock, µs", wait),
            ("SURVIVORS", self.survivors.into()),
            ("WRONG EXIT STATUSES", self.wrong_statuses.into()),
            ("CLAIMS LOST", self.claims_lost.into()),
            ("CLAIMS STUCK", self.claims_stuck.into()),
            ("REPLAYS DIFFERENT", self.replayed.different.len() as u64),
        ];
        for (name, count) in rows {
            writeln!(f, "{name:40} {count:>7}")?;
        }
        for story in self.stories.iter().chain(&self.replayed.different) {
            writeln!(f, "  {story}")?;
        }
        Ok(())
    }
}
