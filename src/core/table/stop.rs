//! The orderly stop of everything: what starts it, what hastens it, when it is given up.
//!
//! - The first TERM or INT, or the end of the main command: no start from here on; every living
//!   run is told to stop, all at once, each in the same time.
//! - TERM or INT again, less than a second after the first: the same request, delivered twice.
//! - Later than that: every living run is killed at once; once only.
//! - `stop_within` over: init ends, and what is left goes down with it.
//!
//! State: [`Stop`], held in the table's phase from the first of these on.

use std::time::Duration;

use super::event::Answer;
use super::{Action, Phase, Table};
use crate::core::note::Note;
use crate::core::time::Time;
use crate::exit;

/// A second request to stop counts only so long after the first: terminals, make(1) and runtimes
/// deliver one request twice within milliseconds, and a kill in the middle of a token refresh
/// burns the token.
const SECOND_STOP_AFTER: Duration = Duration::from_secs(1);
/// What is kept of `stop_within` for what follows the last KILL: the trees empty, the locks are
/// freed, the guards report, init ends. At most a quarter of it.
const STOP_RESERVE: Duration = Duration::from_secs(2);

/// The same on every Linux architecture (signal(7)).
const SIGKILL: i32 = 9;

/// A stop under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stop {
    /// `stop_within` is over: init ends whatever lives.
    pub(super) until: Time,
    /// The first signal that asked for it, and when; `None`: the main command's end did.
    asked: Option<(i32, Time)>,
    /// A second request cut all graces: a third changes nothing.
    hurried: bool,
}

impl Table {
    /// The orderly stop: no start from here on, all ladders at once, each cut to fit.
    pub(super) fn stop(&mut self, now: Time, signo: Option<i32>, out: &mut Vec<Action>) {
        self.phase = Phase::Stopping(Stop {
            until: now + self.init.stop_within,
            asked: signo.map(|signo| (signo, now)),
            hurried: false,
        });
        for row in self.rows.iter_mut().flatten() {
            row.forgo();
            row.answer_starts(&Answer::Ending, out);
        }
        if let Some(signal) = signo {
            self.say_stop(signal, self.init.stop_within, out);
        }
        let reserve = STOP_RESERVE.min(self.init.stop_within / 4);
        self.stop_runs(now, self.init.stop_within.saturating_sub(reserve), out);
    }

    pub(super) fn stop_again(&mut self, now: Time, stop: Stop, signo: i32, out: &mut Vec<Action>) {
        let Some((_, first)) = stop.asked else {
            self.phase = Phase::Stopping(Stop {
                asked: Some((signo, now)),
                ..stop
            });
            self.say_stop(signo, stop.until.since(now), out);
            return;
        };
        if stop.hurried || now.since(first) < SECOND_STOP_AFTER {
            return;
        }
        self.phase = Phase::Stopping(Stop {
            hurried: true,
            ..stop
        });
        self.say_stop(signo, Duration::ZERO, out);
        self.stop_runs(now, Duration::ZERO, out);
    }

    fn say_stop(&self, signal: i32, within: Duration, out: &mut Vec<Action>) {
        out.push(Action::Note(Note::StopAsked {
            signal,
            runs: self.runs().count(),
            within,
        }));
    }

    fn stop_runs(&mut self, now: Time, within: Duration, out: &mut Vec<Action>) {
        for run in self
            .rows
            .iter_mut()
            .flatten()
            .filter_map(|row| row.run.as_mut())
        {
            run.stopping.get_or_insert(now);
        }
        let within = Some(within);
        out.extend(
            self.runs()
                .map(|(job, run)| Action::StopRun { job, run, within }),
        );
    }

    pub(super) fn check_overdue(&mut self, now: Time, stop: Stop, out: &mut Vec<Action>) {
        if now < stop.until {
            return;
        }
        let runs = self.runs().count();
        out.push(Action::Note(Note::StopOverdue { runs }));
        let code = match self.rows().find(|row| row.plan.main) {
            // It never ran: nothing of it is killed.
            Some(main) if main.run.is_none() => self.code_in_order(stop),
            _ => exit::by_signal(SIGKILL),
        };
        self.exit(code, out);
    }

    /// The exit code of a stop in which every run has ended.
    pub(super) fn code_in_order(&self, stop: Stop) -> u8 {
        let has_main = self.rows().any(|row| row.plan.main);
        match (self.fatal.or(self.main_code), stop.asked) {
            (Some(code), _) => code,
            (None, Some((signo, _))) if has_main => exit::by_signal(signo),
            (None, _) => exit::OK,
        }
    }
}
