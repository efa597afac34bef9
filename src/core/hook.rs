//! The command that is told of events (`on_event`), as a pure state machine: which event it is given when,
//! and when it has had its time.
//!
//! One process at a time, so that events come in their order; at most [`MOST`] wait, and what comes then is
//! dropped, the newest first, as the oldest tell how it began. A process that is late is killed, and the
//! next one starts when it has been reaped. Nothing waits for any of this, and nothing but the first
//! failure is said: of the same command, as long as init lives. (At its end, when all runs are over, init
//! gives it a moment.)

use std::collections::VecDeque;
use std::time::Duration;

use super::outcome::Status;
use super::time::Time;

/// The most events that wait.
pub const MOST: usize = 64;

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// There is an event to tell, as JSON.
    Said(String),
    /// The process that was asked for could not be started.
    NotStarted {
        /// Why.
        why: String,
    },
    /// It has gone.
    Gone(Status),
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start the command with this on its standard input.
    Start(String),
    /// Kill it.
    Kill,
    /// Say that it fails, and how.
    Complain(String),
}

/// The command and what it has not been told yet.
#[derive(Clone, Debug)]
pub struct Hook {
    limit: Duration,
    waiting: VecDeque<String>,
    going: bool,
    /// When the process that goes on has had its time; `None`: none goes on, or it has been killed.
    due: Option<Time>,
    late: bool,
    complained: bool,
}

impl Hook {
    /// One whose process may take `limit`.
    pub const fn new(limit: Duration) -> Self {
        Self {
            limit,
            waiting: VecDeque::new(),
            going: false,
            due: None,
            late: false,
            complained: false,
        }
    }

    /// When [`Event::Tick`] is wanted.
    pub const fn next_deadline(&self) -> Option<Time> {
        self.due
    }

    /// Whether it is being told something.
    pub const fn is_going(&self) -> bool {
        self.going
    }

    /// What follows from `event` at `now`; the actions are appended to `out`.
    pub fn handle(&mut self, now: Time, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::Said(text) if self.waiting.len() < MOST => self.waiting.push_back(text),
            Event::Said(_) => self.complain("is too slow: events are lost".to_owned(), out),
            Event::NotStarted { why } => {
                self.over();
                self.complain(format!("cannot be started: {why}"), out);
            }
            Event::Gone(status) => {
                if self.late {
                    let limit = humantime::format_duration(self.limit);
                    self.complain(format!("took longer than {limit} and was killed"), out);
                } else if let Some(how) = failure(status) {
                    self.complain(how, out);
                }
                self.over();
            }
            Event::Tick => {
                if self.due.is_some_and(|due| due <= now) {
                    self.due = None;
                    self.late = true;
                    out.push(Action::Kill);
                }
            }
        }
        if !self.going
            && let Some(text) = self.waiting.pop_front()
        {
            self.going = true;
            self.due = Some(now + self.limit);
            out.push(Action::Start(text));
        }
    }

    const fn over(&mut self) {
        self.going = false;
        self.late = false;
        self.due = None;
    }

    fn complain(&mut self, how: String, out: &mut Vec<Action>) {
        if !std::mem::replace(&mut self.complained, true) {
            out.push(Action::Complain(how));
        }
    }
}

fn failure(status: Status) -> Option<String> {
    match status {
        Status::Exited(0) => None,
        Status::Exited(code) => Some(format!("ended with exit code {code}")),
        Status::Killed(signo) | Status::Dumped(signo) => {
            Some(format!("was killed by signal {signo}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: Time = Time(5_000_000_000);

    fn second(n: u64) -> Time {
        BOOT + Duration::from_secs(n)
    }

    fn said(text: &str) -> Event {
        Event::Said(text.to_owned())
    }

    fn start(text: &str) -> Action {
        Action::Start(text.to_owned())
    }

    fn at(hook: &mut Hook, n: u64, event: Event) -> Vec<Action> {
        let mut out = Vec::new();
        hook.handle(second(n), event, &mut out);
        out
    }

    fn hook() -> Hook {
        Hook::new(Duration::from_secs(10))
    }

    const DONE: Event = Event::Gone(Status::Exited(0));

    #[test]
    fn events_are_told_in_their_order_by_one_process_at_a_time() {
        let mut hook = hook();
        assert_eq!(at(&mut hook, 0, said("a")), [start("a")]);
        assert_eq!(at(&mut hook, 1, said("b")), []);
        assert_eq!(at(&mut hook, 2, said("c")), []);
        assert_eq!(at(&mut hook, 3, DONE), [start("b")]);
        assert_eq!(hook.next_deadline(), Some(second(13)));
        assert_eq!(at(&mut hook, 4, DONE), [start("c")]);
        assert_eq!(at(&mut hook, 5, DONE), []);
        assert_eq!(hook.next_deadline(), None);
    }

    #[test]
    fn one_that_is_late_is_killed_once_and_the_next_starts_when_it_has_gone() {
        let mut hook = hook();
        at(&mut hook, 0, said("a"));
        at(&mut hook, 0, said("b"));
        assert_eq!(at(&mut hook, 9, Event::Tick), []);
        assert_eq!(at(&mut hook, 10, Event::Tick), [Action::Kill]);
        assert_eq!(at(&mut hook, 11, Event::Tick), []);
        assert_eq!(hook.next_deadline(), None);
        let complaint = Action::Complain("took longer than 10s and was killed".to_owned());
        let killed = Event::Gone(Status::Killed(9));
        assert_eq!(at(&mut hook, 12, killed), [complaint, start("b")]);
        assert_eq!(at(&mut hook, 13, DONE), []);
    }

    #[test]
    fn only_the_first_failure_is_said() {
        let mut hook = hook();
        at(&mut hook, 0, said("a"));
        let complaint = Action::Complain("ended with exit code 3".to_owned());
        let failed = || Event::Gone(Status::Exited(3));
        assert_eq!(at(&mut hook, 1, failed()), [complaint]);
        at(&mut hook, 2, said("b"));
        assert_eq!(at(&mut hook, 3, failed()), []);
        at(&mut hook, 4, said("c"));
        let why = "no".to_owned();
        assert_eq!(at(&mut hook, 4, Event::NotStarted { why }), []);
        assert_eq!(at(&mut hook, 5, said("d")), [start("d")]);
    }

    #[test]
    fn what_cannot_wait_any_more_is_dropped_and_that_is_said() {
        let mut hook = hook();
        at(&mut hook, 0, said("going"));
        for number in 0..MOST {
            assert_eq!(at(&mut hook, 0, said(&number.to_string())), []);
        }
        let complaint = Action::Complain("is too slow: events are lost".to_owned());
        assert_eq!(at(&mut hook, 0, said("dropped")), [complaint]);
        assert_eq!(at(&mut hook, 0, said("dropped")), []);
        for number in 0..MOST {
            assert_eq!(at(&mut hook, 1, DONE), [start(&number.to_string())]);
        }
        assert_eq!(at(&mut hook, 1, DONE), []);
    }
}
