//! What must be true of every contender as it ends, and of the lock when all have ended.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

use lockkeeper::lock::listing::{clear_dead, list};

use super::plan::{Aim, OTHER, PLAIN, SUBJECT};
use super::replay::replay;
use super::round::Round;
use super::space::hold;
use super::tally::Victim;
use super::tracer;

impl Round<'_, '_> {
    pub(super) fn ended(&mut self, pid: i32, code: i32) {
        self.trace.live.remove(&pid);
        self.trace.early.remove(&pid);
        let Some(contender) = self.contenders.iter_mut().find(|it| it.pid == pid) else {
            if self.lane.spaces.iter().any(|space| space.pid1 == pid) {
                self.lane.reaped.insert(pid);
            }
            return;
        };
        contender.ended = true;
        let (who, run) = (contender.who, contender.run.get());
        let init_dies = self.plan.aim.is_init() && who == SUBJECT;
        if self.lane.slot.fired.load(SeqCst) || init_dies || who == PLAIN {
            return;
        }
        let victim = self.victim.filter(|_| who == SUBJECT);
        let left = self.lane.page.alive().get(&run).copied().unwrap_or(0);
        if victim != Some(Victim::Guard) && left > 0 {
            self.tally.survivors += 1;
            self.tell(&format!("{left} processes outlive their run"));
        }
        let own = self.plan.work[who].status();
        let other = match victim {
            None => own,
            Some(Victim::Guard | Victim::Command) => 137,
            Some(Victim::Monitor) => 125,
        };
        // Deaf, or too slow for its grace of 10 ms: KILL.
        let asked = who == OTHER && self.plan.ask_other.is_some();
        let stopped = asked && [128 + libc::SIGTERM, 128 + libc::SIGKILL].contains(&code);
        self.tally.statuses += 1;
        if code != own && code != other && !stopped {
            self.tally.wrong_statuses += 1;
            self.tell(&format!("exit {code} in place of {own} or {other}"));
        }
    }

    pub(super) fn tell(&mut self, what: &str) {
        let (number, aim, work) = (self.number, self.plan.aim, self.plan.work[SUBJECT].job);
        let killed = self.trace.killed;
        self.tally.tell(format!(
            "round {number}: {what} ({aim:?}, the subject {work:?}, killed {killed:?})"
        ));
    }

    /// What must be true when all have ended.
    pub(super) fn judge(mut self, (overlaps_before, beating_before): (u32, u32)) {
        let begin = Instant::now();
        if let Some(orphan) = &self.orphan {
            orphan.await_end();
        }
        let held = hold(&self.lane.lock()).expect("the lock can be waited for");
        self.tally.longest_wait = self.tally.longest_wait.max(begin.elapsed());
        let stuck = self.lane.slot.fired.load(SeqCst);
        self.lane.slot.set(None);
        let mut alive = self.lane.page.alive();
        if !alive.is_empty() && self.plan.aim.is_pid1() {
            // The kernel is still at it: PID 1 can be reaped when all below it have gone.
            self.tally.late_deaths += 1;
            self.await_inits(false);
            alive = self.lane.page.alive();
        }
        let left = !alive.is_empty();
        if stuck {
            self.tally.stuck += 1;
            self.tell("the lock did not become free, or a contender did not end");
        } else if left {
            self.tally.survivors += 1;
            self.tell(&format!("the lock is free and these live: {alive:?}"));
        }
        drop(held);
        let (overlaps, pairs) = self.lane.page.overlaps();
        let new = overlaps - overlaps_before;
        if new > 0 {
            let longest = self.lane.page.take_longest();
            let beating = self.lane.page.beating() - beating_before;
            // Only what the killed run itself does beside another is told apart.
            let subject = self.contenders.iter().find(|it| it.who == SUBJECT);
            let subject = subject.map_or(0, |it| it.run.get());
            let kept = pairs.get(overlaps_before as usize..overlaps as usize);
            let its_own = kept.is_some_and(|new| new.iter().all(|pair| pair.beside == subject));
            if self.plan.aim.is_pid1() && its_own {
                self.tally.beating_in_pid1s += beating;
                self.tally.longest = self.tally.longest.max(longest);
                if self.has_own_init() {
                    self.tally.init_overlaps += 1;
                } else {
                    self.tally.space_overlaps += 1;
                }
            } else {
                self.tally.overlaps += 1;
                self.tally.beating += beating;
            }
            let last = pairs.last().copied();
            let runs = self.contenders.iter().map(|it| (it.who, it.run.get()));
            let runs: Vec<_> = runs.collect();
            self.tell(&format!(
                "{new} overlaps, up to {longest:?}, the last kept is {last:?} of {runs:?}"
            ));
        }
        if self.plan.aim.is_pid1() {
            self.await_inits(false);
        }
        self.judge_claims(stuck);
        self.tidy(stuck || left);
    }

    fn judge_claims(&mut self, stuck: bool) {
        let folder = self.lane.claims();
        let listing = list(&folder);
        if !stuck && let Some((record, _)) = listing.claims.iter().find(|(_, alive)| *alive) {
            self.tally.claims_stuck += 1;
            self.tell(&format!("a claim lives on: {record:?}"));
        }
        clear_dead(&folder);
    }

    /// `afresh`: with new namespaces, as something is left in them.
    fn tidy(mut self, afresh: bool) {
        if let Aim::At { phase, .. } = self.plan.aim
            && self.trace.killed.is_none()
        {
            self.tally.missed += 1;
            let stops = &self.lane.shared.stops[phase as usize];
            stops.fetch_max(self.trace.stops.min(300), SeqCst);
        }
        for who in [SUBJECT, OTHER] {
            let logs = self.lane.logs(self.number, who);
            replay(&logs, &mut self.tally.replayed);
            drop(fs::remove_dir_all(logs));
        }
        self.tally.rounds += 1;
        if afresh {
            self.lane.slot.kill();
        }
        if afresh || self.plan.aim.is_pid1() {
            self.own_init = None;
            self.await_inits(afresh);
            self.lane.reopen();
        }
    }

    /// PID 1s that were killed are reaped before their numbers are looked at.
    pub(super) fn await_inits(&mut self, all: bool) {
        let spaces = self.lane.spaces.iter().enumerate();
        let own = self.has_own_init();
        let mut dying: BTreeSet<i32> = spaces
            .filter(|(index, _)| all || *index == SUBJECT && !own)
            .map(|(_, space)| space.pid1)
            .collect();
        dying.retain(|pid| !self.lane.reaped.contains(pid));
        while !dying.is_empty() {
            let Some((pid, _)) = tracer::wait() else {
                return;
            };
            dying.remove(&pid);
            self.lane.reaped.insert(pid);
        }
    }
}
