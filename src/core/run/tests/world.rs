//! A simulated machine for one run: a lock that comes, fails or never comes; a command and its
//! descendants that obey, are deaf, fork on or cannot be killed; wake-ups that come late, signals
//! that come twice; and the rules, watched after every single event.

mod tree;

use std::collections::{BTreeMap, VecDeque};

use super::*;

/// How the world treats the run.
#[derive(Clone, Debug)]
pub(super) struct Climate {
    /// What becomes of the question whether it may start: the first time, and after a wait.
    pub(super) checks: [Check; 2],
    /// Each directory that is somebody else's: milliseconds until it may be free.
    pub(super) busy: Vec<u64>,
    /// What becomes of the wish for the directories after that.
    pub(super) dirs: Dirs,
    /// What becomes of the wish for the lock.
    pub(super) lock: Lock,
    /// What becomes of the command's start.
    pub(super) start: Start,
    /// Milliseconds until the command ends by itself; `None`: never.
    pub(super) ends_after: Option<u64>,
    /// One in so many processes does not hear TERM; 0: none.
    pub(super) deaf: u64,
    /// One in so many does not die of KILL for a while; 0: none.
    pub(super) stuck: u64,
    /// One in so many, when killed, stays as a dead one that an outside tracer holds; 0: none.
    pub(super) traced: u64,
    /// How many descendants the command makes, each out of any that lives.
    pub(super) descendants: u64,
    /// Ticks come up to so many milliseconds late.
    pub(super) late_ms: u64,
    /// What becomes of lock directories after the run.
    pub(super) doubt: Doubt,
    /// Everything else that the world decides.
    pub(super) seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    Allows,
    AllowsAfter(u64),
    Refuses,
    RefusesAfter(u64),
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dirs {
    Free,
    Never,
    /// Of somebody for whom nobody may wait.
    Held,
    Replaced,
    Fail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lock {
    Free,
    After(u64),
    Never,
    ReplacedAfter(u64),
    FailsAfter(u64),
}

/// Whether there are lock directories of which nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    None,
    /// Until each has given a sign of life, after so many milliseconds.
    EndsAfter(u64),
    Stays,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Works,
    NotForked(SpawnStep),
    NotExecuted(i32),
}

/// What happens in the world at a time.
#[derive(Clone, Debug)]
enum Happening {
    /// The run is told this as it is.
    Told(Event),
    /// The command's exec has succeeded or failed.
    ExecEnds,
    /// SIGCHLD.
    Chld,
    /// A process ends with this status.
    Ends(usize, Status),
    /// A process forks, if it lives.
    Forks,
}

/// One process of the tree.
#[derive(Clone, Debug)]
struct Process {
    /// Living parent within the tree; `None`: it is our child.
    parent: Option<usize>,
    hears: bool,
    life: Life,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Alive,
    /// Dead, and to be reaped by us.
    Zombie(Status),
    /// Dead, and held by a tracer.
    Held,
    Reaped,
}

const LEADER_INDEX: usize = 0;

#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct World {
    facts: Facts,
    climate: Climate,
    run: Run,
    now: Time,
    agenda: BTreeMap<(Time, u64), Happening>,
    filed: u64,
    dice: u64,
    tree: Vec<Process>,
    to_fork: u64,
    exec_told: bool,
    last_output: Time,
    last_result: Option<(Time, bool)>,
    last_sign: Option<Time>,
    last_status: Option<String>,
    told_status_at: Option<Time>,
    stopping_said: Option<Time>,
    ready_at: Option<Time>,
    // What the run has been told, and did.
    checks: usize,
    /// How many questions were answered with yes.
    allowed: usize,
    /// Something that it wants was somebody else's.
    waited: bool,
    tried: usize,
    dirs_got: bool,
    queued: bool,
    locked_at: Option<Time>,
    started_at: Option<Time>,
    spawned: bool,
    watched: bool,
    split: bool,
    empty_at: Option<Time>,
    looked: bool,
    /// Since when doubtful lock directories are watched.
    swept_at: Option<Time>,
    watch_ended: Option<Watched>,
    told_status: Option<Status>,
    stop_told: bool,
    first_reason: Option<Reason>,
    kill_by: Option<Time>,
    killed: bool,
    named: bool,
    named_gone: bool,
    early: Vec<i32>,
    pub(super) end: Option<Action>,
    pub(super) log: Vec<(Time, Event)>,
    pub(super) actions: Vec<Action>,
}

impl World {
    pub(super) fn new(facts: Facts, climate: Climate) -> Self {
        Self {
            run: Run::new(facts.clone()),
            facts,
            now: BOOT,
            agenda: BTreeMap::new(),
            filed: 0,
            dice: climate.seed,
            tree: Vec::new(),
            to_fork: climate.descendants,
            climate,
            exec_told: false,
            last_output: BOOT,
            last_result: None,
            last_sign: None,
            last_status: None,
            told_status_at: None,
            stopping_said: None,
            ready_at: None,
            checks: 0,
            allowed: 0,
            waited: false,
            tried: 0,
            dirs_got: false,
            queued: false,
            locked_at: None,
            started_at: None,
            spawned: false,
            watched: false,
            split: false,
            empty_at: None,
            looked: false,
            swept_at: None,
            watch_ended: None,
            told_status: None,
            stop_told: false,
            first_reason: None,
            kill_by: None,
            killed: false,
            named: false,
            named_gone: false,
            early: Vec::new(),
            end: None,
            log: Vec::new(),
            actions: Vec::new(),
        }
    }

    /// Runs to the end, which somebody asks for after ten minutes at the latest.
    pub(super) fn run(&mut self, script: &[(u64, Event)]) {
        self.tell(Event::Begin { queued_at: BOOT });
        for (at_ms, event) in script {
            self.file(BOOT + ms(*at_ms), Happening::Told(event.clone()));
        }
        self.file(BOOT + ms(600_000), Happening::Told(term(SIGTERM)));
        for _ in 0..20_000 {
            let Some((at, happening)) = self.next() else {
                break;
            };
            self.now = at;
            match happening {
                None => self.tell(Event::Tick),
                Some(happening) => self.happen(happening),
            }
        }
        assert!(self.end.is_some(), "the world stands still without an end");
        assert_eq!(self.run.next_deadline(), None);
    }

    fn next(&mut self) -> Option<(Time, Option<Happening>)> {
        let filed = self.agenda.first_key_value().map(|((at, _), _)| *at);
        let tick = self.run.next_deadline().map(|at| {
            // Lateness is a function of the deadline, so that asking twice answers the same.
            let late = mix(self.climate.seed ^ at.0) % (self.climate.late_ms + 1);
            self.now.max(at + ms(late))
        });
        match (filed, tick) {
            (None, None) => None,
            (Some(at), Some(tick)) if tick < at => Some((tick, None)),
            (None, Some(tick)) => Some((tick, None)),
            _ => self
                .agenda
                .pop_first()
                .map(|((at, _), happening)| (at.max(self.now), Some(happening))),
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Told(Event::LockGot) if self.locked_at.is_some() => {}
            Happening::Told(event) => {
                if let Event::FinalLine { failed } = event
                    && self.started_at.is_some()
                    && self.told_status.is_none()
                {
                    self.last_output = self.now;
                    self.last_result = Some((self.now, failed));
                }
                self.tell(event);
            }
            Happening::ExecEnds => self.exec_ends(),
            Happening::Chld => self.reap(),
            Happening::Ends(index, status) => self.die(index, status),
            Happening::Forks => self.fork(),
        }
    }

    /// As the shell does: an answer to an action is handled right after the actions of its event.
    fn tell(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let over = self.end.is_some();
            self.witness(&event);
            self.log.push((self.now, event.clone()));
            let mut out = Vec::new();
            self.run.handle(self.now, &event, &mut out);
            if event == Event::Tick {
                let deadline = self.run.next_deadline();
                assert!(
                    deadline.is_none_or(|at| at > self.now),
                    "a tick that is due again at once"
                );
            }
            assert!(!over || out.is_empty(), "{out:?} after the end");
            for action in &out {
                assert!(self.end.is_none(), "{action:?} after the end");
                events.extend(self.perform(action, &event));
            }
            self.actions.append(&mut out);
            if let Some(by) = self.kill_by
                && self.end.is_none()
            {
                assert!(self.killed || self.now <= by, "no KILL in time");
            }
        }
    }

    /// What the world itself knows of an event, before the run sees it.
    fn witness(&mut self, event: &Event) {
        match event {
            Event::StartAllowed => self.allowed += 1,
            Event::LockBusy => self.waited |= self.queued && self.locked_at.is_none(),
            Event::DirBusy { may_end } => self.waited |= may_end,
            Event::DirsGot if self.end.is_none() => {
                self.dirs_got = true;
                if self.facts.wait.is_none() {
                    self.locked_at.get_or_insert(self.now);
                }
            }
            Event::LockGot if self.queued && self.end.is_none() => {
                self.locked_at.get_or_insert(self.now);
            }
            Event::Forked { .. } => self.started_at = Some(self.now),
            Event::SpawnFailed {
                step,
                errno,
                forked,
            } => {
                let (step, errno) = (*step, *errno);
                self.first_reason
                    .get_or_insert(Reason::SpawnFailed { step, errno });
                if !forked {
                    self.told_empty();
                }
            }
            Event::Reaped { command, empty } => {
                if *empty && self.spawned {
                    self.told_empty();
                }
                if let Some(status) = command {
                    self.told_status = Some(*status);
                    self.first_reason.get_or_insert(Reason::Ended);
                }
            }
            Event::Survivors { pids } if pids.is_empty() => self.told_empty(),
            Event::Signal { signo, kernel } => {
                let passed_by = self.facts.ignored.contains(signo)
                    || (*kernel && !self.facts.own_session && *signo == SIGINT)
                    || (!self.facts.hup_stops && *signo == SIGHUP);
                self.stop_told |= [SIGTERM, SIGINT, SIGHUP].contains(signo) && !passed_by;
            }
            Event::StopWithin { within } => {
                self.stop_told = true;
                if let Some(within) = within
                    && self.spawned
                {
                    if within.is_zero() {
                        self.kill_by = Some(self.now);
                    } else {
                        self.kill_within(*within);
                    }
                }
            }
            Event::GuardLost => self.stop_told = true,
            Event::Noticed(notice) if self.started_at.is_some() && self.end.is_none() => {
                if let Some(status) = &notice.status {
                    self.last_status = Some(status.clone());
                }
                if notice.alive {
                    self.last_sign = Some(self.now);
                }
                self.stopping_said = self.stopping_said.or(notice.stopping.then_some(self.now));
            }
            _ => {}
        }
    }

    fn told_empty(&mut self) {
        self.empty_at.get_or_insert(self.now);
        self.kill_by = None;
    }

    /// KILL is due within `time`, plus what two wake-ups may be late; at once needs none.
    fn kill_within(&mut self, time: Duration) {
        let slack = ms(2 * self.climate.late_ms);
        let by = self.now + time + slack;
        self.kill_by = Some(self.kill_by.map_or(by, |old| old.min(by)));
    }

    /// Checks an action and lets the world answer it.
    #[expect(clippy::too_many_lines, reason = "one arm for each action")]
    fn perform(&mut self, action: &Action, event: &Event) -> Option<Event> {
        match action {
            Action::CheckStart => return self.check(),
            Action::EndCheck => {
                assert_eq!(self.checks, self.allowed + 1, "nobody was asked");
                return Some(refused());
            }
            Action::LockDirs => return Some(self.lock_dirs()),
            Action::AwaitDir => self.await_dir(event),
            Action::Lock => {
                assert!(self.facts.wait.is_some() && !self.queued);
                assert_eq!(self.allowed, usize::from(self.facts.conditions));
                assert_eq!(self.facts.dirs.is_some(), self.dirs_got);
                self.queued = true;
                return Some(self.queue());
            }
            Action::WatchLock => {
                assert!(!std::mem::replace(&mut self.watched, true), "watched twice");
                assert!(self.locked_at.is_some_and(|at| at < self.now));
            }
            Action::Spawn => {
                self.judge_spawn();
                return Some(self.spawn());
            }
            Action::Signal { to, signo } => {
                assert!(self.started_at.is_some());
                assert_eq!(self.told_status, None, "a signal to a dead command");
                let group = self.facts.own_session && self.exec_told;
                assert_eq!(*to == Target::Group, group);
                if *event == Event::Executed {
                    assert!(!self.early.contains(signo), "a held signal twice");
                    self.early.push(*signo);
                }
                self.signal_leader(*signo);
            }
            Action::TermDescendants => {
                assert!(self.started_at.is_some());
                for index in 0..self.tree.len() {
                    if self.tree[index].hears {
                        self.dies_soon(index, Status::Killed(SIGTERM));
                    }
                }
            }
            Action::KillChildren => {
                assert!(self.started_at.is_some());
                assert!(self.first_reason.is_some(), "a kill for no reason");
                self.killed = true;
                self.kill_children();
            }
            Action::AskOutput => {
                assert!(self.facts.limits.idle_timeout.is_some());
                let at = self.last_output;
                return Some(Event::LastOutput { at });
            }
            Action::AskSurvivors => {
                assert!(self.killed);
                return Some(Event::Survivors {
                    pids: self.survivors(),
                });
            }
            Action::TellReady => {
                assert!(self.started_at.is_some());
                assert_eq!(self.ready_at.replace(self.now), None, "ready twice");
            }
            Action::TellStatus { text } => {
                let last = self.told_status_at.replace(self.now);
                assert!(
                    last.is_none_or(|at| self.now.since(at) >= ms(1000)),
                    "told too often"
                );
                assert_eq!(Some(text), self.last_status.as_ref(), "an old status");
            }
            Action::Claim => assert!(self.spawned),
            Action::TouchClaim => {
                assert!(self.facts.unsure && self.locked_at.is_some());
                let stamp = i64::try_from(self.roll(3)).unwrap();
                let stamps = vec![("rival".to_owned(), stamp)];
                return Some(Event::ClaimsSeen { stamps });
            }
            Action::ReportSplit { run_id } => {
                assert_eq!(run_id, "rival");
                assert!(!std::mem::replace(&mut self.split, true), "reported twice");
            }
            Action::LookAtLockDirs => {
                assert!(!self.spawned && !std::mem::replace(&mut self.looked, true));
            }
            Action::Sweep => {
                assert!(self.looked && self.empty_at == Some(self.now));
                assert_eq!(self.swept_at.replace(self.now), None, "swept twice");
                if let Doubt::EndsAfter(after) = self.climate.doubt {
                    let end = Event::Swept { doubtful: false };
                    self.file(self.now + ms(after), Happening::Told(end));
                }
                let doubtful = self.climate.doubt != Doubt::None;
                return Some(Event::Swept { doubtful });
            }
            Action::EndWatch(watched) => self.judge_watch(*watched),
            Action::StopSelf => assert!(self.facts.job_control),
            Action::Note(note) => self.hear(note, event),
            Action::StartOver => {
                assert!((self.queued || self.facts.dirs.is_some()) && !self.spawned);
                self.end = Some(action.clone());
            }
            Action::Finish(outcome) => {
                self.judge_finish(outcome, event);
                self.end = Some(action.clone());
            }
        }
        None
    }

    fn hear(&mut self, note: &Note, event: &Event) {
        match note {
            Note::Stopping { reason, .. } => {
                assert_eq!(self.first_reason, None, "a second reason");
                assert!(self.is_due(*reason, event), "{reason:?} at {event:?}");
                self.first_reason = Some(*reason);
                let StopPlan {
                    grace,
                    leftover_grace,
                    ..
                } = self.facts.stop;
                self.kill_within(grace + leftover_grace);
            }
            Note::Leftovers { command_alive, .. } => {
                assert_eq!(*command_alive, self.told_status.is_none());
                self.kill_within(self.facts.stop.leftover_grace);
            }
            Note::Unkillable { pids } => {
                assert!(!self.named && !pids.is_empty());
                self.named = true;
            }
            Note::UnkillableGone => {
                assert!(self.named && !self.named_gone);
                self.named_gone = true;
            }
            _ => {}
        }
    }

    /// Whether `event` gives the run this reason to stop a command, by the plan and the clock.
    fn is_due(&self, reason: Reason, event: &Event) -> bool {
        let Some(started) = self.started_at else {
            return false;
        };
        match (reason, event) {
            (Reason::Timeout, Event::Tick) => {
                self.now >= started + self.facts.limits.timeout.unwrap()
            }
            (Reason::IdleTimeout, Event::LastOutput { at }) => {
                self.now >= *at + self.facts.limits.idle_timeout.unwrap()
            }
            (Reason::Final { failed }, Event::Tick) => {
                let (at, last) = self.last_result.unwrap();
                let grace = self.facts.limits.final_line.as_ref().unwrap().grace;
                last == failed && self.now >= at + grace
            }
            (Reason::ReadyTimeout, Event::Tick) => {
                let limit = self.facts.limits.ready_timeout.unwrap();
                self.ready_at.is_none()
                    && self.stopping_said.is_none()
                    && self.now >= started + limit
            }
            (Reason::Heartbeat, Event::Noticed(notice)) => notice.trigger,
            (Reason::Heartbeat, Event::Tick) => {
                if let Some(said) = self.stopping_said {
                    return self.now >= said + self.facts.stop.grace;
                }
                let limits = &self.facts.limits;
                let from = limits
                    .ready_timeout
                    .map_or(started, |_| self.ready_at.unwrap());
                let last = self.last_sign.map_or(from, |sign| sign.max(from));
                self.now >= last + limits.heartbeat.unwrap()
            }
            (Reason::Signal(signo), Event::Signal { signo: told, .. }) => signo == *told,
            (Reason::GuardLost, Event::GuardLost)
            | (Reason::InitStop, Event::StopWithin { .. }) => true,
            _ => false,
        }
    }

    fn judge_finish(&self, outcome: &Outcome, event: &Event) {
        assert_eq!(outcome.code, code(outcome.reason, outcome.status));
        if self.spawned {
            assert!(
                self.empty_at.is_some(),
                "the end of a tree that is not empty"
            );
            assert_eq!(
                self.swept_at.is_some(),
                self.looked && self.started_at.is_some()
            );
            if self.climate.doubt == Doubt::Stays {
                assert_eq!(self.swept_at.is_some(), self.watch_ended.is_some());
            }
            assert_eq!(Some(outcome.reason), self.first_reason);
            assert_eq!(self.named, self.named_gone);
        } else {
            let fits = match (outcome.reason, event) {
                (Reason::WaitExpired, Event::Tick) => {
                    let wait = match (self.facts.dirs, self.dirs_got) {
                        (Some(OnConflict::Wait(wait)), false) => Some(wait),
                        _ => self.facts.wait,
                    };
                    matches!(wait, Some(Wait::AtMost(wait)) if self.now >= BOOT + wait)
                }
                (Reason::DirNotLocked, Event::DirBusy { may_end }) => {
                    !may_end || self.facts.dirs == Some(OnConflict::Fail)
                }
                (Reason::StartRefused, Event::StartRefused { .. })
                | (Reason::DirNotLocked, Event::DirFailed)
                | (Reason::Failed, Event::LockFailed)
                | (Reason::GuardLost, Event::GuardLost)
                | (Reason::InitStop, Event::StopWithin { .. }) => true,
                (Reason::Signal(signo), Event::Signal { signo: told, .. }) => signo == *told,
                _ => false,
            };
            assert!(fits, "{outcome:?} at {event:?}");
        }
        let ran = matches!(self.climate.start, Start::Works) || !self.failed_exec();
        let status = self.told_status.filter(|_| ran);
        assert_eq!(outcome.status, status);
        let since = |from: Option<Time>| from.map_or(ms(0), |from| self.now.since(from));
        assert_eq!(outcome.held, since(self.locked_at));
        let empty_at = self.empty_at.unwrap_or(self.now);
        let ran = self.started_at.map_or(ms(0), |at| empty_at.since(at));
        assert_eq!(outcome.ran, ran);
        let waited = self.locked_at.unwrap_or(self.now).since(BOOT);
        let queues = self.facts.wait.is_some() || self.facts.dirs.is_some();
        assert_eq!(outcome.waited, if queues { waited } else { ms(0) });
    }

    fn judge_spawn(&mut self) {
        assert!(!self.spawned, "spawned twice");
        assert!(!self.stop_told, "spawned after a stop");
        let checks = usize::from(self.facts.conditions) * (1 + usize::from(self.waited));
        assert_eq!(self.allowed, checks);
        assert!(self.facts.wait.is_none() || self.locked_at.is_some());
        assert_eq!(self.facts.dirs.is_some(), self.dirs_got);
        assert_eq!(self.looked, self.facts.sweep.is_some());
        self.spawned = true;
    }

    fn check(&mut self) -> Option<Event> {
        assert!(self.facts.conditions && !self.spawned && !self.stop_told);
        assert_eq!(self.checks, self.allowed, "asked twice");
        let claimed = self.queued || self.tried > 0;
        assert_eq!(claimed, self.checks == 1, "asked at a wrong time");
        let check = self.climate.checks[self.checks];
        self.checks += 1;
        let (after, event) = match check {
            Check::Allows => return Some(Event::StartAllowed),
            Check::Refuses => return Some(refused()),
            Check::Never => return None,
            Check::AllowsAfter(after) => (after, Event::StartAllowed),
            Check::RefusesAfter(after) => (after, refused()),
        };
        self.file(self.now + ms(after), Happening::Told(event));
        None
    }

    fn await_dir(&mut self, event: &Event) {
        assert!(matches!(self.facts.dirs, Some(OnConflict::Wait(_))));
        assert!(matches!(event, Event::DirBusy { may_end: true }));
        if let Some(after) = self.climate.busy.get(self.tried - 1) {
            self.file(self.now + ms(*after), Happening::Told(Event::DirFreed));
        }
    }

    fn lock_dirs(&mut self) -> Event {
        assert!(self.facts.dirs.is_some() && !self.dirs_got);
        assert!(!self.queued, "a directory wanted in the queue of the lock");
        assert!(!self.stop_told, "directories wanted after a stop");
        let busy = self.tried < self.climate.busy.len();
        self.tried += 1;
        if busy {
            return Event::DirBusy { may_end: true };
        }
        match self.climate.dirs {
            Dirs::Free => Event::DirsGot,
            Dirs::Never => Event::DirBusy { may_end: true },
            Dirs::Held => Event::DirBusy { may_end: false },
            Dirs::Replaced => Event::DirReplaced,
            Dirs::Fail => Event::DirFailed,
        }
    }

    /// A watch that removes anything was as long as the plan says, and not much longer.
    fn judge_watch(&mut self, watched: Watched) {
        assert_eq!(
            self.watch_ended.replace(watched),
            None,
            "two ends of a watch"
        );
        let (began, refresh) = (self.swept_at.unwrap(), self.facts.sweep.unwrap());
        match watched {
            Watched::ToTheEnd => {
                assert!(self.now >= began + refresh);
                let again = self.now >= began + refresh + refresh;
                assert!(
                    again || self.now.since(began + refresh) <= ms(500),
                    "proves nothing"
                );
            }
            Watched::CutShort => assert!(self.stop_told),
            Watched::Late => {
                assert!(self.climate.late_ms > 500 && self.now >= began + refresh + refresh);
            }
        }
    }

    fn queue(&mut self) -> Event {
        let (after, event) = match self.climate.lock {
            Lock::Free => return Event::LockGot,
            Lock::Never => return Event::LockBusy,
            Lock::After(after) => (after, Event::LockGot),
            Lock::ReplacedAfter(after) => (after, Event::LockReplaced),
            Lock::FailsAfter(after) => (after, Event::LockFailed),
        };
        if after == 0 {
            return event;
        }
        self.file(self.now + ms(after), Happening::Told(event));
        Event::LockBusy
    }

    /// The events of the log, fed to a fresh run.
    pub(super) fn replayed(&self, log: &[(Time, Event)]) -> Vec<Action> {
        let mut run = Run::new(self.facts.clone());
        let mut actions = Vec::new();
        for (at, event) in log {
            run.handle(*at, event, &mut actions);
        }
        actions
    }

    fn file(&mut self, at: Time, happening: Happening) {
        self.filed += 1;
        // Of what happens at one time any may come first.
        let order = mix(self.climate.seed ^ self.filed) << 20 | self.filed;
        self.agenda.insert((at, order), happening);
    }

    fn one_in(&mut self, chances: u64) -> bool {
        chances > 0 && self.roll(chances) == 0
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.dice) % sides
    }
}

fn refused() -> Event {
    let refusal = Refusal::NotAsked { errno: 11 };
    Event::StartRefused { refusal }
}

/// Spreads a number over all numbers (the finalizer of splitmix64).
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
