//! One run, as its signs tell it.

use super::{Fact, Ms, Sign};

/// What a run needs to take a lock that is free is less than this, and no wait, in milliseconds. Who waited
/// for less has said so when he began to.
const FREE: Ms = 100;

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It runs, and has no shared lock.
    Running,
    /// It waits for a lock or a directory.
    Waiting,
    /// It has the shared lock.
    Holding,
    /// It is being stopped; what it holds it holds on.
    Stopping,
}

impl Phase {
    /// The word for it in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Holding => "holding",
            Self::Stopping => "stopping",
        }
    }
}

/// A time in one phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Which.
    pub phase: Phase,
    /// Since when.
    pub from: Ms,
    /// Until when; behind `from`.
    pub to: Ms,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It has not, as far as it is told.
    Open,
    /// It must have, and nobody said so.
    Lost,
    /// So.
    Told {
        /// The journal's word for it.
        reason: String,
        /// The exit code of the run.
        code: Option<u8>,
        /// The signal that killed its command.
        signal: String,
    },
}

/// What kind of end that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// None yet.
    Open,
    /// By itself, with 0.
    Good,
    /// By `final`, with 0.
    Final,
    /// Somebody asked for it.
    Stopped,
    /// It had no chance to start.
    NotRun,
    /// Not told.
    Lost,
    /// By itself, or of something that went wrong.
    Failed,
    /// By a watchdog.
    Watchdog,
}

impl End {
    /// Of which kind it is.
    pub fn mark(&self) -> Mark {
        let Self::Told { reason, code, .. } = self else {
            return match self {
                Self::Open => Mark::Open,
                _ => Mark::Lost,
            };
        };
        match reason.as_str() {
            "ended" if *code == Some(0) => Mark::Good,
            "final" => Mark::Final,
            "timeout" | "idle_timeout" | "ready_timeout" | "heartbeat" => Mark::Watchdog,
            "signal" | "init_stop" => Mark::Stopped,
            "wait_expired" | "dir_not_locked" | "start_refused" | "paused" => Mark::NotRun,
            _ => Mark::Failed,
        }
    }
}

/// One run.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, told by a sign of its own"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its container.
    pub container: String,
    /// Its job.
    pub job: String,
    /// Its id.
    pub run_id: String,
    /// Its class; empty: not told.
    pub class: String,
    /// The path of its shared lock; empty: it has none.
    pub lock: String,
    /// For whom it waited last; empty: not told.
    pub holder: String,
    /// Whether a run that it is part of held the lock for it.
    pub nested: bool,
    /// Whether its file system let another one hold the same lock.
    pub split: bool,
    /// Whether memory ran out.
    pub out_of_memory: bool,
    /// What it did, in order, apart from each other; nothing else is known to lie between.
    pub spans: Vec<Span>,
    /// Its first moment that is known.
    pub from: Ms,
    /// The last one.
    pub last: Ms,
    /// It began before `from`.
    pub open_left: bool,
    /// How it ended.
    pub end: End,
    /// What it does now, and since when.
    now: Option<(Phase, Ms)>,
    /// Whether it held the lock for less than the millisecond that the records can tell.
    brief: bool,
}

impl Run {
    /// One of which nothing was told before `sign`.
    pub(super) fn new(sign: &Sign) -> Self {
        Self {
            container: sign.container.clone(),
            job: sign.job.clone(),
            run_id: sign.run_id.clone(),
            class: String::new(),
            lock: String::new(),
            holder: String::new(),
            nested: false,
            split: false,
            out_of_memory: false,
            spans: Vec::new(),
            from: sign.at,
            last: sign.at,
            open_left: false,
            end: End::Open,
            now: None,
            brief: false,
        }
    }

    /// Whether the sign is about it.
    pub(super) fn is_of(&self, sign: &Sign) -> bool {
        self.run_id == sign.run_id && self.job == sign.job && self.container == sign.container
    }

    /// Takes in what is told next.
    pub(super) fn take(&mut self, sign: &Sign) {
        if matches!(self.end, End::Told { .. }) {
            return;
        }
        // Whoever speaks lives.
        self.end = End::Open;
        let at = sign.at.max(self.last);
        self.last = at;
        keep(&mut self.class, &sign.class);
        match sign.fact {
            Fact::Waits => {
                keep(&mut self.lock, &sign.lock);
                self.holder.clone_from(&sign.holder);
                if !self.does(Phase::Waiting) {
                    self.enter(Phase::Waiting, at);
                }
            }
            Fact::Obtained(waited) => {
                self.lock.clone_from(&sign.lock);
                self.waited(waited, at);
                self.enter(Phase::Holding, at);
            }
            Fact::DirObtained(waited) => {
                self.waited(waited, at);
                self.close(at);
            }
            Fact::Nested => {
                self.nested = true;
                keep(&mut self.lock, &sign.lock);
                keep(&mut self.holder, &sign.holder);
            }
            Fact::Starts if !self.does(Phase::Holding) => self.enter(Phase::Running, at),
            Fact::Runs => self.ran(Phase::Running, at),
            Fact::OutOfMemory => {
                self.out_of_memory = true;
                self.ran(Phase::Running, at);
            }
            Fact::Split => {
                self.split = true;
                self.lock.clone_from(&sign.lock);
                self.ran(Phase::Holding, at);
            }
            Fact::Stops => {
                self.ran(Phase::Running, at);
                if !self.does(Phase::Stopping) {
                    self.enter(Phase::Stopping, at);
                }
            }
            Fact::Released(held) => {
                self.lock.clone_from(&sign.lock);
                self.held_since(at.saturating_sub(held));
                self.close(at);
                self.brief = self.held().is_none();
            }
            Fact::Ended { waited, held, ran } => {
                self.close(at);
                if self.spans.is_empty() && !self.brief {
                    self.guess(at, waited, held, ran);
                }
                self.ends(sign);
            }
            Fact::Seen => {
                self.close(at);
                self.ends(sign);
            }
            Fact::Starts | Fact::Told | Fact::Init => {}
        }
    }

    fn does(&self, phase: Phase) -> bool {
        self.now.is_some_and(|(now, _)| now == phase)
    }

    /// Whether it has the lock now.
    pub(super) fn holds(&self) -> bool {
        self.end == End::Open && self.now.is_some() && self.held().is_some()
    }

    /// Since and until when it had the lock.
    pub fn held(&self) -> Option<(Ms, Ms)> {
        let now = self.now.map(|(phase, from)| Span {
            phase,
            from,
            to: self.last,
        });
        let mut held = self.spans.iter().chain(&now);
        let first = held.find(|span| span.phase == Phase::Holding)?;
        Some((first.from, held.last().unwrap_or(first).to))
    }

    /// Whether it held the lock for less than the millisecond that the records can tell.
    pub const fn held_briefly(&self) -> bool {
        self.brief
    }

    fn enter(&mut self, phase: Phase, at: Ms) {
        self.close(at);
        self.now = Some((phase, at));
    }

    fn close(&mut self, to: Ms) {
        if let Some((phase, from)) = self.now.take() {
            self.span(phase, from, to);
        }
    }

    /// Adds what it did behind what is known.
    fn span(&mut self, phase: Phase, from: Ms, to: Ms) {
        let from = from.max(self.spans.last().map_or(0, |span| span.to));
        if from < to {
            self.from = self.from.min(from);
            self.spans.push(Span { phase, from, to });
        }
    }

    fn is_new(&self) -> bool {
        self.now.is_none() && self.spans.is_empty()
    }

    /// It has waited so long, and who began to wait was perhaps not told.
    fn waited(&mut self, waited: Ms, at: Ms) {
        if !self.does(Phase::Waiting) && waited >= FREE {
            self.span(Phase::Waiting, at.saturating_sub(waited), at);
        }
    }

    /// It has been at it since before the window, if nothing is known.
    fn ran(&mut self, phase: Phase, at: Ms) {
        if self.is_new() {
            self.open_left = true;
            self.from = 0;
            self.enter(phase, 0);
            self.last = at;
        }
    }

    /// It had the lock since then, and who obtained it was perhaps not told: what seemed to run without one
    /// held it.
    fn held_since(&mut self, since: Ms) {
        if self.held().is_some() {
            return;
        }
        // Behind what it did before, whatever that was.
        let mut before = 0;
        for span in &mut self.spans {
            if span.phase == Phase::Running {
                let from = since.max(before).min(span.to);
                (span.phase, span.from) = (Phase::Holding, from);
            }
            before = span.to;
        }
        let since = since.max(before);
        match &mut self.now {
            Some((Phase::Waiting, from)) => {
                let since = since.max(*from);
                self.enter(Phase::Holding, since);
            }
            Some((phase @ Phase::Running, from)) => (*phase, *from) = (Phase::Holding, since),
            None if self.spans.is_empty() => self.now = Some((Phase::Holding, since)),
            _ => {}
        }
        self.spans.retain(|span| span.from < span.to);
        self.open_left = false;
        let now = self.now.map(|(_, from)| from);
        self.from = self
            .spans
            .first()
            .map(|span| span.from)
            .or(now)
            .unwrap_or(since);
    }

    /// What it did, of which only the end was told.
    fn guess(&mut self, at: Ms, waited: Ms, held: Ms, ran: bool) {
        let since = at.saturating_sub(held);
        let queued = since.saturating_sub(waited);
        self.span(Phase::Waiting, queued, since);
        if held > 0 {
            // The lock would have been released, and that told.
            self.span(Phase::Running, since, at);
        } else if ran && waited == 0 {
            self.open_left = true;
            self.span(Phase::Running, 0, at);
        }
    }

    fn ends(&mut self, sign: &Sign) {
        self.end = End::Told {
            reason: sign.reason.clone(),
            code: sign.code,
            signal: sign.signal.clone(),
        };
    }

    /// It ended without a word, if it has not told its end; `heard`: its container lived then.
    pub(super) fn lose(&mut self, heard: Ms) {
        if self.end == End::Open {
            self.end = End::Lost;
            self.last = self.last.max(heard);
        }
    }

    /// The first moment that is known of it.
    pub(super) fn begin(&self) -> Ms {
        let now = self.now.map(|(_, from)| from);
        let first = self.spans.first();
        let known = [
            Some(self.from),
            first.map(|span| span.from),
            first.map(|span| span.to),
            now,
        ];
        // What began before all is known began at 0.
        let known = known.into_iter().flatten().filter(|at| *at > 0);
        known.min().unwrap_or(self.last)
    }

    /// Cuts it to the window, and closes what is open; whether anything of it is left.
    pub(super) fn cut(&mut self, from: Ms, to: Ms) -> bool {
        if self.end == End::Open {
            self.last = self.last.max(to);
        }
        self.close(self.last);
        let begin = self.from;
        if begin > to || self.last < from {
            return false;
        }
        self.open_left |= begin < from;
        self.from = begin.max(from);
        if self.last > to {
            self.last = to;
            self.end = End::Open;
        }
        for span in &mut self.spans {
            span.from = span.from.max(from);
            span.to = span.to.min(to);
        }
        self.spans.retain(|span| span.from < span.to);
        true
    }

    /// How long it was in this phase.
    pub fn time_in(&self, phase: Phase) -> Ms {
        let spans = self.spans.iter().filter(|span| span.phase == phase);
        spans.map(|span| span.to - span.from).sum()
    }
}

fn keep(known: &mut String, told: &str) {
    if known.is_empty() {
        told.clone_into(known);
    }
}
