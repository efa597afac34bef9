//! When a job starts again after a run: `delay`, twice that, and so on, up to `max_delay`.
//!
//! State: the length of the row, and where `within` counts them the times of the last restarts. A good
//! run ends the row: one that succeeded, or whose command ran for `reset_after`. The time in the queue
//! of a lock does not count: who waits ten minutes and then fails at once has not run well.

use std::collections::VecDeque;
use std::time::Duration;

use crate::config::plan::RestartPlan;
use crate::core::time::Time;
use crate::exit;

/// The restarts of one job.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    row: u32,
    /// No more than `limit`, and only with `within`.
    recent: VecDeque<Time>,
    /// All of them, for people.
    pub(super) total: u64,
}

impl Backoff {
    /// The row begins anew: somebody has taken the job in hand, or a tick came.
    pub(super) fn reset(&mut self) {
        self.row = 0;
        self.recent.clear();
    }

    /// How many restarts in a row there were.
    pub(super) const fn row(&self) -> u32 {
        self.row
    }

    /// A run has ended that is to be followed by another one. The time to it; `None`: there were
    /// enough.
    pub(super) fn again(
        &mut self,
        plan: &RestartPlan,
        now: Time,
        (code, ran): (u8, Duration),
    ) -> Option<Duration> {
        if code == exit::OK || ran >= plan.reset_after {
            self.row = 0;
        }
        if let Some(limit) = plan.limit {
            let used = match plan.within {
                None => u64::from(self.row),
                Some(within) => {
                    self.recent.retain(|at| now.since(*at) < within);
                    self.recent.len() as u64
                }
            };
            if used >= limit {
                return None;
            }
        }
        let times = 1_u32.checked_shl(self.row).unwrap_or(u32::MAX);
        let delay = plan.delay.saturating_mul(times).min(plan.max_delay);
        self.row = self.row.saturating_add(1);
        self.total = self.total.saturating_add(1);
        if plan.within.is_some() {
            self.recent.push_back(now);
        }
        Some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan::When;

    const FAILED_AT_ONCE: (u8, Duration) = (1, Duration::ZERO);

    const fn plan() -> RestartPlan {
        RestartPlan {
            when: When::Always,
            ..RestartPlan::NEVER
        }
    }

    #[test]
    fn the_time_to_a_restart_doubles_up_to_the_longest() {
        let mut backoff = Backoff::default();
        let delays: Vec<u64> = (0..100)
            .map(|_| {
                backoff
                    .again(&plan(), Time(0), FAILED_AT_ONCE)
                    .unwrap()
                    .as_secs()
            })
            .collect();
        assert_eq!(delays[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert!(delays[10..].iter().all(|delay| *delay == 300));
        assert_eq!(backoff.total, 100);
    }

    #[test]
    fn a_success_and_a_long_run_end_the_row() {
        for good in [(0, Duration::ZERO), (1, Duration::from_mins(1))] {
            let mut backoff = Backoff::default();
            backoff.again(&plan(), Time(0), FAILED_AT_ONCE);
            backoff.again(&plan(), Time(0), (1, Duration::from_secs(59)));
            let delay = backoff.again(&plan(), Time(0), good);
            assert_eq!(delay, Some(Duration::from_secs(1)), "{good:?}");
        }
    }

    #[test]
    fn the_limit_counts_a_row_or_those_within_a_time() {
        let limited = RestartPlan {
            limit: Some(2),
            ..plan()
        };
        let mut backoff = Backoff::default();
        let mut again = |plan: &RestartPlan, at, run| backoff.again(plan, Time(at), run).is_some();
        assert!(again(&limited, 0, FAILED_AT_ONCE));
        assert!(again(&limited, 0, FAILED_AT_ONCE));
        assert!(!again(&limited, 0, FAILED_AT_ONCE));
        assert!(again(&limited, 0, (0, Duration::ZERO)));

        let within = RestartPlan {
            within: Some(Duration::from_nanos(10)),
            ..limited
        };
        let mut backoff = Backoff::default();
        let mut again = |at, run| backoff.again(&within, Time(at), run).is_some();
        assert!(again(0, (0, Duration::ZERO)));
        assert!(again(5, (0, Duration::ZERO)));
        assert!(!again(9, (0, Duration::ZERO)));
        // The first one is no longer within the time.
        assert!(again(10, FAILED_AT_ONCE));
        assert!(!again(14, FAILED_AT_ONCE));
    }
}
