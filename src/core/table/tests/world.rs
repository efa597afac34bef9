//! A simulated container for the table: runs that take their time, obey or do not, events that
//! come late, twice or not at all; and the invariants, watched after every single event.

use std::collections::BTreeMap;

use super::*;

/// What happens from outside, at a time after Begin.
#[derive(Clone, Debug)]
pub(super) enum Outside {
    Signal(i32),
    SpuriousTick,
    Begin,
    Found(usize),
    FoundGone(usize),
    StaleEnd(usize),
}

/// How the world treats the table.
#[derive(Clone, Debug)]
pub(super) struct Climate {
    /// One in so many guards cannot be had; 0: none.
    pub(super) no_guard: u64,
    /// One in so many runs never ends, whatever is asked of it; 0: none.
    pub(super) deaf: u64,
    /// One in so many ends is told twice.
    pub(super) twice: u64,
    /// Ticks come up to so many milliseconds late.
    pub(super) late_ms: u64,
    /// Everything else that the world decides.
    pub(super) seed: u64,
}

/// Runs the plan to its Exit and checks every invariant on the way; gives the log.
pub(super) struct World<'a> {
    plan: &'a Plan,
    facts: Facts,
    climate: Climate,
    table: Table,
    now: Time,
    agenda: BTreeMap<(Time, u64), Event>,
    filed: u64,
    dice: u64,
    living: BTreeMap<usize, RunId>,
    found: BTreeMap<usize, usize>,
    freed: BTreeMap<PathBuf, Time>,
    seen: Vec<RunId>,
    stops: BTreeMap<RunId, usize>,
    stop_begun: Option<Time>,
    main_code: Option<u8>,
    pub(super) exit: Option<(Time, u8)>,
    pub(super) overdue: bool,
    pub(super) log: Vec<(Time, Event)>,
    pub(super) actions: Vec<Action>,
}

impl<'a> World<'a> {
    pub(super) fn new(plan: &'a Plan, facts: Facts, climate: Climate) -> Self {
        let dice = climate.seed;
        Self {
            plan,
            facts,
            climate,
            table: Table::new(plan.clone(), facts),
            now: BOOT,
            agenda: BTreeMap::new(),
            filed: 0,
            dice,
            living: BTreeMap::new(),
            found: BTreeMap::new(),
            freed: BTreeMap::new(),
            seen: Vec::new(),
            stops: BTreeMap::new(),
            stop_begun: None,
            main_code: None,
            exit: None,
            overdue: false,
            log: Vec::new(),
            actions: Vec::new(),
        }
    }

    pub(super) fn run(&mut self, script: &[(u64, Outside)]) {
        for (at_ms, outside) in script {
            let job = |n: usize| JobIndex(n % (self.plan.jobs.len() + 1));
            let run_id = "of an earlier init".to_owned();
            let event = match *outside {
                Outside::Signal(signo) => Event::Signal { signo },
                Outside::SpuriousTick => Event::Tick,
                Outside::Begin => Event::Begin,
                Outside::Found(n) => Event::RunFound {
                    job: job(n),
                    run_id,
                },
                Outside::FoundGone(n) => Event::FoundGone {
                    job: job(n),
                    run_id,
                },
                Outside::StaleEnd(n) => {
                    let (job, run) = (job(n), RunId(n as u64));
                    Event::RunEnded {
                        job,
                        run,
                        code: 1,
                        reason: None,
                        ran: None,
                    }
                }
            };
            self.file(BOOT + ms(*at_ms), event);
        }
        // Whatever the script holds, somebody begins and in the end somebody asks to stop.
        self.file(BOOT + ms(100), Event::Begin);
        self.file(BOOT + ms(120_000), Event::Signal { signo: SIGTERM });
        for _ in 0..5_000 {
            let Some((at, event)) = self.next() else {
                break;
            };
            self.now = at;
            self.step(event);
        }
        assert!(
            self.exit.is_some(),
            "the world stands still without an exit"
        );
        assert_eq!(self.table.next_deadline(), None);
    }

    /// The events of the log, fed to a fresh table.
    pub(super) fn replayed(&self, log: &[(Time, Event)]) -> Vec<Action> {
        let mut table = Table::new(self.plan.clone(), self.facts);
        let mut actions = Vec::new();
        for (at, event) in log {
            table.handle(*at, event.clone(), &mut actions);
        }
        actions
    }

    fn next(&mut self) -> Option<(Time, Event)> {
        let filed = self.agenda.first_key_value().map(|((at, _), _)| *at);
        let tick = self.table.next_deadline().map(|at| {
            // Lateness is a function of the deadline, so that asking twice answers the same.
            let late = mix(self.climate.seed ^ at.0) % (self.climate.late_ms + 1);
            self.now.max(at + ms(late))
        });
        match (filed, tick) {
            (None, None) => None,
            (Some(at), Some(tick)) if tick < at => Some((tick, Event::Tick)),
            (None, Some(tick)) => Some((tick, Event::Tick)),
            _ => self
                .agenda
                .pop_first()
                .map(|((at, _), event)| (at.max(self.now), event)),
        }
    }

    fn step(&mut self, event: Event) {
        let over = self.exit.is_some();
        let ticked = event == Event::Tick;
        self.witness(&event);
        self.log.push((self.now, event.clone()));
        let mut out = Vec::new();
        self.table.handle(self.now, event, &mut out);
        assert!(!over || out.is_empty(), "{out:?} after the exit");
        for (n, action) in out.iter().enumerate() {
            assert!(self.exit.is_none(), "{action:?} after the exit");
            self.judge(action, &out[..n]);
        }
        let deadline = self.table.next_deadline();
        if ticked {
            assert!(
                deadline.is_none_or(|at| at > self.now),
                "a tick that is due again at once"
            );
        }
        if let Some(begun) = self.stop_begun {
            let over = self.exit.is_some();
            assert!(
                over || !self.living.is_empty(),
                "a stop that waits for nobody"
            );
            let until = begun + self.plan.init.stop_within + ms(self.climate.late_ms);
            assert!(over || self.now <= until, "a stop that takes too long");
        }
        self.actions.append(&mut out);
    }

    /// What the world itself knows of an event, before the table sees it.
    fn witness(&mut self, event: &Event) {
        match event {
            Event::RunEnded { job, run, .. } | Event::GuardFailed { job, run, .. } => {
                if self.living.get(&job.0) != Some(run) {
                    return;
                }
                self.living.remove(&job.0);
                let plan = &self.plan.jobs[job.0];
                if let Event::RunEnded { code, .. } = event {
                    self.free(job.0);
                    if plan.main {
                        self.main_code = Some(*code);
                        self.stop_begun.get_or_insert(self.now);
                    }
                }
            }
            Event::Signal {
                signo: SIGTERM | SIGINT,
            } if self.exit.is_none() => {
                self.stop_begun.get_or_insert(self.now);
            }
            Event::RunFound { job, .. } => {
                self.found.insert(job.0, 1);
            }
            Event::FoundGone { job, .. } => {
                if self.found.remove(&job.0).is_some() {
                    self.free(job.0);
                }
            }
            Event::Begin
            | Event::Tick
            | Event::Signal { .. }
            | Event::RunBegun { .. }
            | Event::RunReady { .. }
            | Event::RunStatus { .. }
            | Event::Asked { .. }
            | Event::Reload { .. } => {}
        }
    }

    fn free(&mut self, job: usize) {
        if let Some(lock) = self.plan.jobs.get(job).and_then(|job| job.run.kind.lock()) {
            self.freed.insert(lock.path.clone(), self.now);
        }
    }

    /// Checks an action and lets the world answer it.
    fn judge(&mut self, action: &Action, before: &[Action]) {
        match action {
            Action::StartRun { job, run } => self.judge_start(*job, *run),
            Action::StopRun { job, run, within } => {
                assert!(self.stop_begun.is_some() || self.main_given_up(before));
                self.stop_begun.get_or_insert(self.now);
                assert_eq!(
                    self.living.get(&job.0),
                    Some(run),
                    "a dead run is told to stop"
                );
                let count = self.stops.entry(*run).or_default();
                *count += 1;
                let within = within.expect("nobody stops a run by hand");
                assert!(*count <= 2 && (*count == 1 || within.is_zero()));
                self.obey(*job, *run, within);
            }
            Action::SignalMain { signo } => {
                assert!(self.plan.jobs.iter().any(|job| job.main));
                assert!(self.main_code.is_none());
                assert!(![SIGTERM, SIGINT].contains(signo));
            }
            Action::Exit { code } => {
                assert!(self.exit.is_none());
                assert!(
                    self.overdue || self.living.is_empty(),
                    "living runs left behind"
                );
                if let (Some(main), false) = (self.main_code, self.overdue) {
                    assert_eq!(main, *code);
                }
                self.exit = Some((self.now, *code));
            }
            Action::Note(Note::StopOverdue { runs }) => {
                assert_eq!(*runs, self.living.len());
                let begun = self.stop_begun.unwrap();
                assert!(self.now >= begun + self.plan.init.stop_within);
                self.overdue = true;
            }
            Action::Note(Note::TickSkipped { job }) => {
                let index = self
                    .plan
                    .jobs
                    .iter()
                    .position(|plan| plan.run.job == *job)
                    .unwrap();
                let busy = self.living.contains_key(&index) || self.found.contains_key(&index);
                assert!(busy, "a tick skipped for nothing");
            }
            Action::ReadFile => assert!(!self.facts.hup_passes),
            Action::Answer { .. } => panic!("nobody has asked"),
            Action::Note(_) => {}
        }
    }

    fn judge_start(&mut self, job: JobIndex, run: RunId) {
        assert!(self.stop_begun.is_none(), "a start after a stop has begun");
        assert!(
            !self.living.contains_key(&job.0),
            "two living runs of one job"
        );
        assert!(
            !self.found.contains_key(&job.0),
            "a start beside a found run"
        );
        assert!(!self.seen.contains(&run), "a run id given twice");
        let plan = &self.plan.jobs[job.0];
        if let Some(freed) = plan
            .run
            .kind
            .lock()
            .and_then(|lock| self.freed.get(&lock.path))
        {
            assert!(
                self.now >= *freed + ms(1),
                "queued within a millisecond of a release"
            );
        }
        self.seen.push(run);
        self.living.insert(job.0, run);
        if self.one_in(self.climate.no_guard) {
            let at = self.now + ms(self.roll(50));
            let text = "no guard".to_owned();
            self.file(at, Event::GuardFailed { job, run, text });
        } else if !self.one_in(self.climate.deaf) {
            let at = self.now + Duration::from_micros(self.roll(30_000_000));
            self.end(at, job, run);
        }
    }

    /// A monitor ends its run within the time it was given, and a little for the reaping after.
    fn obey(&mut self, job: JobIndex, run: RunId, within: Duration) {
        let known = |event: &Event| match event {
            Event::RunEnded { run: ends, .. } | Event::GuardFailed { run: ends, .. } => {
                *ends == run
            }
            _ => false,
        };
        // A run with no end on the agenda is a deaf one.
        if self.agenda.values().any(known) {
            let ladder =
                within.mul_f64(f64::from(u32::try_from(self.roll(1001)).unwrap()) / 1000.0);
            let reaping = ms(self.roll(200)).min(self.plan.init.stop_within / 5);
            self.end(self.now + ladder + reaping, job, run);
        }
    }

    fn end(&mut self, at: Time, job: JobIndex, run: RunId) {
        let code = u8::try_from(self.roll(3)).unwrap();
        let event = Event::RunEnded {
            job,
            run,
            code,
            reason: Some(Reason::Ended),
            ran: None,
        };
        if self.one_in(self.climate.twice) {
            let again = at + ms(self.roll(5000));
            self.file(again, event.clone());
        }
        self.file(at, event);
    }

    /// Whether the main command counted as failed in this very step.
    fn main_given_up(&self, before: &[Action]) -> bool {
        before.iter().any(|action| match action {
            Action::Note(Note::RunEnded { job, code: 125, .. }) => self
                .plan
                .jobs
                .iter()
                .any(|plan| plan.main && plan.run.job == *job),
            _ => false,
        })
    }

    fn file(&mut self, at: Time, event: Event) {
        self.filed += 1;
        // Of events at one time any may come first.
        let order = mix(self.climate.seed ^ self.filed) << 20 | self.filed;
        self.agenda.insert((at, order), event);
    }

    fn one_in(&mut self, chances: u64) -> bool {
        chances > 0 && self.roll(chances) == 0
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.dice) % sides
    }
}
