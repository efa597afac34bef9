//! The split: two holders of one lock, as their file system does not keep them apart.
//!
//! Where nobody can know that ([`Facts::unsure`](crate::core::event::Facts::unsure)) each holder
//! touches its claim every [`TOUCH_EVERY`] and looks when those of the others were touched. The rules:
//! - a rival is alive when its stamp is seen to *change*; a stamp is compared with itself alone and
//!   never with a clock, as two hosts have two, and a claim that is merely old may be a dead one's;
//! - once is not enough: where attributes are cached, the last touch of a dead one is seen late;
//! - a rival is reported once;
//! - it goes on until the tree is empty, as long as the lock is held.

use std::time::Duration;

use super::Run;
use crate::core::event::Action;
use crate::core::time::Time;
use crate::core::timers::Timer;

/// How often a holder shows that it lives.
pub(super) const TOUCH_EVERY: Duration = Duration::from_secs(1);
/// So many changes of its stamp show that a rival lives.
const ALIVE: u32 = 2;

/// Another claim beside the lock, as far as we have watched it.
#[derive(Clone, Debug)]
pub(super) struct Rival {
    run_id: String,
    stamp: i64,
    changes: u32,
}

impl Run {
    pub(super) fn touch_due(&mut self, now: Time, out: &mut Vec<Action>) {
        self.timers.arm(Timer::Touch, now + TOUCH_EVERY);
        out.push(Action::TouchClaim);
    }

    pub(super) fn claims_seen(&mut self, stamps: &[(String, i64)], out: &mut Vec<Action>) {
        self.rivals
            .retain(|rival| stamps.iter().any(|(run_id, _)| *run_id == rival.run_id));
        for (run_id, stamp) in stamps {
            let known = self.rivals.iter_mut().find(|rival| rival.run_id == *run_id);
            let Some(rival) = known else {
                self.rivals.push(Rival {
                    run_id: run_id.clone(),
                    stamp: *stamp,
                    changes: 0,
                });
                continue;
            };
            if rival.stamp != *stamp {
                rival.stamp = *stamp;
                rival.changes = rival.changes.saturating_add(1);
                if rival.changes == ALIVE {
                    let run_id = run_id.clone();
                    out.push(Action::ReportSplit { run_id });
                }
            }
        }
    }
}
