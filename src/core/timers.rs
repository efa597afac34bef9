//! The timers of one run: a fixed table, each with the one line that says when it fires.

use serde::{Deserialize, Serialize};

use super::time::Time;

/// What can fall due in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Timer {
    /// Nobody has answered whether the command may start.
    Check,
    /// The time in the queue of the lock is over.
    LockWait,
    /// The lock has been held long enough for its file to be worth watching.
    Watch,
    /// The command has run for long enough to be worth telling others of.
    Claim,
    /// It is time to show that we hold the lock, and to look who else does.
    Touch,
    /// The command has run for `timeout`.
    Timeout,
    /// Nothing has been heard of the command for `idle_timeout`, unless the shell knows better.
    Idle,
    /// The command has not said `READY=1` within `ready_timeout`.
    Ready,
    /// The command has not said `WATCHDOG=1` for `heartbeat`.
    Heartbeat,
    /// The command said `STOPPING=1`, and has not gone within `stop.grace`.
    Leave,
    /// A status that came soon after another one can be told.
    Status,
    /// The final line was there, and the command has not gone within `final.grace`.
    FinalGrace,
    /// The command had its stop signal and has not gone within `stop.grace`.
    StopGrace,
    /// Descendants are looked for again, as new ones appear without an event.
    Rescan,
    /// The descendants had their TERM and are not gone within `stop.leftover_grace`.
    LeftoverGrace,
    /// KILL was sent and something is still there.
    KillRetry,
    /// Lock directories were watched for `refresh`.
    Refresh,
}

/// Every timer, in the order in which those that fall due together are handled.
pub const ALL: [Timer; 17] = [
    Timer::Check,
    Timer::LockWait,
    Timer::Claim,
    Timer::Watch,
    Timer::Touch,
    Timer::Timeout,
    Timer::Idle,
    Timer::Ready,
    Timer::Heartbeat,
    Timer::Leave,
    Timer::Status,
    Timer::FinalGrace,
    Timer::StopGrace,
    Timer::Rescan,
    Timer::LeftoverGrace,
    Timer::KillRetry,
    Timer::Refresh,
];

/// Which timers are armed, and for when.
#[derive(Clone, Debug, Default)]
pub struct Timers {
    armed: Vec<(Timer, Time)>,
}

impl Timers {
    /// Arms `timer` for `due`, in place of what it was armed for.
    pub fn arm(&mut self, timer: Timer, due: Time) {
        self.disarm(timer);
        self.armed.push((timer, due));
    }

    /// Arms `timer` for `due` unless it is armed for an earlier time.
    pub fn arm_by(&mut self, timer: Timer, due: Time) {
        let due = self.due(timer).map_or(due, |now| now.min(due));
        self.arm(timer, due);
    }

    /// Arms `timer` for `due` if it is armed for an earlier time.
    pub fn put_off(&mut self, timer: Timer, due: Time) {
        if self.due(timer).is_some_and(|now| now < due) {
            self.arm(timer, due);
        }
    }

    /// Disarms `timer`.
    pub fn disarm(&mut self, timer: Timer) {
        self.armed.retain(|(other, _)| *other != timer);
    }

    /// Disarms every timer.
    pub fn clear(&mut self) {
        self.armed.clear();
    }

    /// Disarms every timer but those `kept`.
    pub fn clear_but(&mut self, kept: &[Timer]) {
        self.armed.retain(|(timer, _)| kept.contains(timer));
    }

    /// What `timer` is armed for.
    pub fn due(&self, timer: Timer) -> Option<Time> {
        self.armed
            .iter()
            .find(|(other, _)| *other == timer)
            .map(|(_, due)| *due)
    }

    /// The earliest time for which any timer is armed.
    pub fn next(&self) -> Option<Time> {
        self.armed.iter().map(|(_, due)| *due).min()
    }

    /// Takes `timer` out if it is due at `now`, and says for when it was armed.
    pub fn take_due(&mut self, timer: Timer, now: Time) -> Option<Time> {
        let due = self.due(timer).filter(|due| *due <= now)?;
        self.disarm(timer);
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const fn at(millis: u64) -> Time {
        Time(millis * 1_000_000)
    }

    #[test]
    fn nothing_is_due_where_nothing_is_armed() {
        let mut timers = Timers::default();
        assert_eq!(timers.next(), None);
        for timer in ALL {
            assert_eq!(timers.take_due(timer, Time(u64::MAX)), None);
        }
    }

    #[test]
    fn a_timer_is_due_from_its_very_instant_on_and_only_once() {
        let mut timers = Timers::default();
        timers.arm(Timer::Idle, at(10));
        assert_eq!(
            timers.take_due(Timer::Idle, at(10) - Duration::from_nanos(1)),
            None
        );
        assert_eq!(timers.take_due(Timer::Idle, at(10)), Some(at(10)));
        assert_eq!(timers.take_due(Timer::Idle, at(10)), None);
    }

    #[test]
    fn arming_replaces_and_arming_by_a_time_only_shortens_and_putting_off_only_lengthens() {
        let mut timers = Timers::default();
        timers.arm(Timer::Idle, at(10));
        timers.arm(Timer::Idle, at(20));
        assert_eq!(timers.due(Timer::Idle), Some(at(20)));
        timers.arm_by(Timer::Idle, at(30));
        assert_eq!(timers.due(Timer::Idle), Some(at(20)));
        timers.arm_by(Timer::Idle, at(5));
        assert_eq!(timers.due(Timer::Idle), Some(at(5)));
        timers.arm_by(Timer::Timeout, at(7));
        assert_eq!(timers.due(Timer::Timeout), Some(at(7)));
        timers.put_off(Timer::Timeout, at(6));
        assert_eq!(timers.due(Timer::Timeout), Some(at(7)));
        timers.put_off(Timer::Timeout, at(8));
        assert_eq!(timers.due(Timer::Timeout), Some(at(8)));
        timers.put_off(Timer::Ready, at(8));
        assert_eq!(timers.due(Timer::Ready), None);
    }

    #[test]
    fn every_timer_stands_in_the_list_once() {
        for (n, timer) in ALL.into_iter().enumerate() {
            // Exhaustive, so that a new one is missed by the compiler and not by a user.
            let place = match timer {
                Timer::Check => 0,
                Timer::LockWait => 1,
                Timer::Claim => 2,
                Timer::Watch => 3,
                Timer::Touch => 4,
                Timer::Timeout => 5,
                Timer::Idle => 6,
                Timer::Ready => 7,
                Timer::Heartbeat => 8,
                Timer::Leave => 9,
                Timer::Status => 10,
                Timer::FinalGrace => 11,
                Timer::StopGrace => 12,
                Timer::Rescan => 13,
                Timer::LeftoverGrace => 14,
                Timer::KillRetry => 15,
                Timer::Refresh => 16,
            };
            assert_eq!(n, place);
        }
    }

    #[derive(Clone, Debug)]
    enum Do {
        Arm(usize, u64),
        ArmBy(usize, u64),
        Disarm(usize),
        TakeDue(usize, u64),
        Clear,
        ClearBut(usize),
    }

    fn some_do() -> impl Strategy<Value = Do> {
        let timer = || 0..ALL.len();
        prop_oneof![
            4 => (timer(), 0..50_u64).prop_map(|(timer, due)| Do::Arm(timer, due)),
            4 => (timer(), 0..50_u64).prop_map(|(timer, due)| Do::ArmBy(timer, due)),
            2 => timer().prop_map(Do::Disarm),
            4 => (timer(), 0..50_u64).prop_map(|(timer, now)| Do::TakeDue(timer, now)),
            1 => Just(Do::Clear),
            1 => timer().prop_map(Do::ClearBut),
        ]
    }

    proptest! {
        #[test]
        fn the_table_is_a_map_from_timers_to_times(steps in prop::collection::vec(some_do(), 0..60)) {
            let mut timers = Timers::default();
            let mut map: BTreeMap<usize, Time> = BTreeMap::new();
            for step in steps {
                match step {
                    Do::Arm(timer, due) => {
                        timers.arm(ALL[timer], at(due));
                        map.insert(timer, at(due));
                    }
                    Do::ArmBy(timer, due) => {
                        timers.arm_by(ALL[timer], at(due));
                        let armed = map.entry(timer).or_insert(at(due));
                        *armed = (*armed).min(at(due));
                    }
                    Do::Disarm(timer) => {
                        timers.disarm(ALL[timer]);
                        map.remove(&timer);
                    }
                    Do::TakeDue(timer, now) => {
                        let due = map.get(&timer).copied().filter(|due| *due <= at(now));
                        if due.is_some() {
                            map.remove(&timer);
                        }
                        prop_assert_eq!(timers.take_due(ALL[timer], at(now)), due);
                    }
                    Do::Clear => {
                        timers.clear();
                        map.clear();
                    }
                    Do::ClearBut(timer) => {
                        timers.clear_but(&[ALL[timer]]);
                        map.retain(|other, _| *other == timer);
                    }
                }
                prop_assert_eq!(timers.next(), map.values().min().copied());
                for (index, timer) in ALL.into_iter().enumerate() {
                    prop_assert_eq!(timers.due(timer), map.get(&index).copied());
                }
            }
        }
    }
}
