//! A simulated container for the table: runs that take their time, obey or do not, people who ask,
//! files that change, events that come late, twice or not at all; and the invariants, watched after
//! every single event. What the world knows of a job it knows from the plans and from what it has seen
//! itself, but for the slot that the table gives a name.

use std::collections::{BTreeMap, BTreeSet};

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
    /// The nth living run says that it is ready.
    Ready(usize),
    /// Start, stop or restart the nth job.
    Ask(u8, usize),
    /// The nth plan is read.
    Reload(usize),
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

/// A living run, with what of its plan stays with it.
#[derive(Clone, Debug)]
struct Living {
    run: RunId,
    plan: JobPlan,
    stopped_by_hand: bool,
}

/// What has come true of a job.
#[derive(Clone, Debug, Default)]
struct Known {
    name: String,
    true_now: BTreeSet<&'static str>,
    was_begun: bool,
    /// Somebody has stopped it.
    held: bool,
    /// Somebody wants a run.
    wanted: bool,
}

/// Runs the plan to its Exit and checks every invariant on the way; gives the log.
pub(super) struct World<'a> {
    plans: &'a [Plan],
    plan: Plan,
    facts: Facts,
    climate: Climate,
    table: Table,
    now: Time,
    agenda: BTreeMap<(Time, u64), Event>,
    filed: u64,
    dice: u64,
    living: BTreeMap<usize, Living>,
    found: BTreeSet<usize>,
    known: BTreeMap<usize, Known>,
    freed: BTreeMap<PathBuf, Time>,
    seen: BTreeSet<RunId>,
    stops: BTreeMap<RunId, usize>,
    clients: u64,
    waiting: BTreeSet<u64>,
    begun: bool,
    stop_begun: Option<Time>,
    main_code: Option<u8>,
    pub(super) exit: Option<(Time, u8)>,
    pub(super) overdue: bool,
    pub(super) log: Vec<(Time, Event)>,
    pub(super) actions: Vec<Action>,
}

impl<'a> World<'a> {
    pub(super) fn new(plans: &'a [Plan], facts: Facts, climate: Climate) -> Self {
        let dice = climate.seed;
        let plan = plans[0].clone();
        Self {
            plans,
            facts,
            climate,
            table: Table::new(plan.clone(), facts),
            plan,
            now: BOOT,
            agenda: BTreeMap::new(),
            filed: 0,
            dice,
            living: BTreeMap::new(),
            found: BTreeSet::new(),
            known: BTreeMap::new(),
            freed: BTreeMap::new(),
            seen: BTreeSet::new(),
            stops: BTreeMap::new(),
            clients: 0,
            waiting: BTreeSet::new(),
            begun: false,
            stop_begun: None,
            main_code: None,
            exit: None,
            overdue: false,
            log: Vec::new(),
            actions: Vec::new(),
        }
    }

    pub(super) fn run(&mut self, script: &[(u64, Outside)]) {
        self.meet_jobs();
        let mut script: Vec<_> = script.to_vec();
        // Whatever the script holds, somebody begins and in the end somebody asks to stop.
        script.push((100, Outside::Begin));
        script.push((120_000, Outside::Signal(SIGTERM)));
        script.sort_by_key(|(at, _)| *at);
        let mut script = script.into_iter().peekable();
        for _ in 0..20_000 {
            let outside = script.peek().map(|(at, _)| BOOT + ms(*at));
            let next = self.next();
            match (outside, next) {
                (None, None) => break,
                (Some(at), next) if next.as_ref().is_none_or(|(next, _)| at <= *next) => {
                    if let Some((at, event)) = next {
                        self.file_back(at, event);
                    }
                    self.now = self.now.max(at);
                    if let Some((_, outside)) = script.next() {
                        self.happen(&outside);
                    }
                }
                (_, Some((at, event))) => {
                    self.now = at;
                    self.step(event);
                }
                (Some(_), None) => unreachable!(),
            }
        }
        assert!(
            self.exit.is_some(),
            "the world stands still without an exit"
        );
        assert_eq!(self.table.next_deadline(), None);
        assert!(
            self.overdue || self.waiting.is_empty(),
            "clients that were never answered: {:?}",
            self.waiting
        );
    }

    /// The events of the log, fed to a fresh table.
    pub(super) fn replayed(&self, log: &[(Time, Event)]) -> Vec<Action> {
        let mut table = Table::new(self.plans[0].clone(), self.facts);
        let mut actions = Vec::new();
        for (at, event) in log {
            table.handle(*at, event.clone(), &mut actions);
        }
        actions
    }

    fn happen(&mut self, outside: &Outside) {
        let slots = self.table.rows.len();
        let job = |n: usize| JobIndex(n % (slots + 1));
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
            Outside::StaleEnd(n) => Event::RunEnded {
                job: job(n),
                run: RunId(n as u64),
                code: 1,
                reason: None,
                ran: None,
            },
            Outside::Ready(n) => {
                let Some((job, living)) = self.living.iter().nth(n) else {
                    return;
                };
                let (job, run) = (JobIndex(*job), living.run);
                Event::RunReady { job, run }
            }
            Outside::Ask(what, n) => {
                self.clients += 1;
                let name = format!("job{n}");
                let ask = [start(&name), stop(&name), restart(&name)];
                Event::Asked {
                    client: ClientId(self.clients),
                    ask: ask[usize::from(what) % 3].clone(),
                }
            }
            Outside::Reload(n) => Event::Reload {
                plan: self.plans[n % self.plans.len()].clone(),
            },
        };
        self.step(event);
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

    /// What was not its turn yet.
    fn file_back(&mut self, at: Time, event: Event) {
        if event != Event::Tick {
            self.agenda.insert((at, 0), event);
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
        self.meet_jobs();
        let mut begun = Vec::new();
        for (n, action) in out.iter().enumerate() {
            assert!(self.exit.is_none(), "{action:?} after the exit");
            begun.extend(self.judge(action, &out[..n]));
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
        let most = self.plans.iter().map(|plan| plan.jobs.len()).sum::<usize>();
        assert!(self.table.rows.len() <= most, "slots without a job");
        let view = self.table.view(self.now);
        assert!(view.len() <= self.table.rows.len());
        self.actions.append(&mut out);
        // The shell answers a start before anything else happens.
        for event in begun {
            self.step(event);
        }
    }

    /// The slots that the table has given to names.
    fn meet_jobs(&mut self) {
        for slot in 0..self.table.rows.len() {
            let name = self.table.plan(JobIndex(slot)).map(|plan| &plan.run.job);
            let Some(name) = name else {
                self.known.remove(&slot);
                continue;
            };
            if self
                .known
                .get(&slot)
                .is_none_or(|known| known.name != *name)
            {
                let known = Known {
                    name: name.clone(),
                    ..Known::default()
                };
                self.known.insert(slot, known);
            }
        }
    }

    fn named(&self, name: &str) -> Option<&JobPlan> {
        self.plan.jobs.iter().find(|job| job.run.job == name)
    }

    fn slot_of(&self, name: &str) -> Option<usize> {
        let mut known = self.known.iter();
        known
            .find(|(_, known)| known.name == name)
            .map(|(slot, _)| *slot)
    }

    /// What the world itself knows of an event, before the table sees it.
    fn witness(&mut self, event: &Event) {
        let going = self.begun && self.stop_begun.is_none() && self.exit.is_none();
        match event {
            Event::Begin => self.begun = true,
            Event::RunEnded { job, run, .. } | Event::GuardFailed { job, run, .. } => {
                let lives = self.living.get(&job.0);
                let Some(living) = lives.filter(|living| living.run == *run).cloned() else {
                    return;
                };
                self.living.remove(&job.0);
                if let Event::RunEnded { code, .. } = event {
                    self.free(&living.plan);
                    let known = self.known.get_mut(&job.0).unwrap();
                    known.was_begun = true;
                    if *code == 0 && !living.stopped_by_hand {
                        known.true_now.insert("succeeded");
                    }
                    if living.plan.main {
                        self.main_code = Some(*code);
                        self.stop_begun.get_or_insert(self.now);
                    }
                }
            }
            Event::RunBegun { job, .. } => {
                self.known
                    .get_mut(&job.0)
                    .unwrap()
                    .true_now
                    .insert("started");
            }
            Event::RunReady { job, .. } => {
                self.known.get_mut(&job.0).unwrap().true_now.insert("ready");
            }
            Event::Signal {
                signo: SIGTERM | SIGINT,
            } if self.exit.is_none() => {
                self.stop_begun.get_or_insert(self.now);
            }
            Event::RunFound { job, .. } => {
                if let Some(known) = self.known.get_mut(&job.0) {
                    known.true_now.insert("started");
                    self.found.insert(job.0);
                }
            }
            Event::FoundGone { job, .. } => {
                if self.found.remove(&job.0)
                    && let Some(plan) = self.table.plan(*job).cloned()
                {
                    self.free(&plan);
                }
            }
            Event::Asked { client, ask } => {
                if self.exit.is_none() {
                    self.waiting.insert(client.0);
                }
                self.hear(ask, going);
            }
            Event::Reload { plan } if going => {
                let main = self.plan.jobs.iter().find(|job| job.main).cloned();
                self.plan = plan.clone();
                // The main command stays what it was, and none becomes one.
                let name = main.as_ref().map(|main| main.run.job.clone());
                for job in &mut self.plan.jobs {
                    job.main = name.as_ref() == Some(&job.run.job);
                }
                if let Some(main) = main.filter(|main| self.named(&main.run.job).is_none()) {
                    self.plan.jobs.push(main);
                }
            }
            Event::Tick
            | Event::Signal { .. }
            | Event::RunStatus { .. }
            | Event::OutsideRun { .. }
            | Event::OutsideGone { .. }
            | Event::Reload { .. } => {}
        }
    }

    /// Who asks for a stop holds the job, and who asks for a start lets it go where he is served.
    fn hear(&mut self, ask: &Ask, going: bool) {
        let (Ask::Start(name) | Ask::Stop(name) | Ask::Restart(name)) = ask;
        if !going || self.named(name).is_none() {
            return;
        }
        let Some(slot) = self.slot_of(name) else {
            return;
        };
        if let (Ask::Stop(_) | Ask::Restart(_), Some(living)) = (ask, self.living.get_mut(&slot))
            && !(matches!(ask, Ask::Restart(_)) && living.plan.main)
        {
            living.stopped_by_hand = true;
        }
        let known = self.known.get_mut(&slot).unwrap();
        known.held = matches!(ask, Ask::Stop(_));
        known.wanted = !known.held;
    }

    fn free(&mut self, plan: &JobPlan) {
        if let Some(lock) = plan.run.kind.lock() {
            self.freed.insert(lock.path.clone(), self.now);
        }
    }

    /// Checks an action and lets the world answer it; what the shell says at once.
    fn judge(&mut self, action: &Action, before: &[Action]) -> Option<Event> {
        match action {
            Action::StartRun { job, run } => return Some(self.judge_start(*job, *run)),
            Action::StopRun { job, run, within } => {
                let living = &self.living[&job.0];
                assert_eq!(living.run, *run, "a dead run is told to stop");
                let Some(within) = *within else {
                    assert!(living.stopped_by_hand && self.stop_begun.is_none());
                    self.obey(*job, *run, ms(20_000));
                    return None;
                };
                assert!(self.stop_begun.is_some() || self.main_is_lost(before));
                self.stop_begun.get_or_insert(self.now);
                let count = self.stops.entry(*run).or_default();
                *count += 1;
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
                let fatal = self.actions.iter().chain(before).any(is_fatal);
                if let (Some(main), false) = (self.main_code, self.overdue || fatal) {
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
                let slot = self.slot_of(job).unwrap();
                let view = self.table.view(self.now);
                let row = view.iter().find(|row| row.job == *job).unwrap();
                let busy = self.living.contains_key(&slot) || self.found.contains(&slot);
                assert!(
                    busy || row.state == RowState::Queued,
                    "a tick skipped for nothing"
                );
            }
            Action::Note(Note::GivenUp { exits: true, .. }) => {
                self.stop_begun.get_or_insert(self.now);
            }
            Action::ReadFile => assert!(!self.facts.hup_passes),
            Action::Answer { client, .. } => {
                assert!(self.waiting.remove(&client.0), "answered twice");
            }
            Action::Note(_) => {}
        }
        None
    }

    fn judge_start(&mut self, job: JobIndex, run: RunId) -> Event {
        assert!(self.stop_begun.is_none(), "a start after a stop has begun");
        assert!(
            !self.living.contains_key(&job.0),
            "two living runs of one job"
        );
        assert!(!self.found.contains(&job.0), "a start beside a found run");
        assert!(self.seen.insert(run), "a run id given twice");
        let known = self.known[&job.0].clone();
        let plan = self.named(&known.name).cloned();
        let plan = plan.expect("a start of a job that was taken out");
        assert_eq!(self.table.plan(job), Some(&plan));
        assert!(!known.held, "a start of what somebody has stopped");
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
        if !known.was_begun && !known.wanted && !known.true_now.contains("started") {
            for after in &plan.after {
                let slot = self.slot_of(&after.job).unwrap();
                let word = match after.want {
                    Want::Started => "started",
                    Want::Succeeded => "succeeded",
                    Want::Ready => "ready",
                };
                assert!(
                    self.known[&slot].true_now.contains(word),
                    "a start before {after:?}"
                );
            }
        }
        let class = &plan.run.class;
        let going = self
            .living
            .values()
            .filter(|living| living.plan.run.class == *class);
        let found = self
            .found
            .iter()
            .filter_map(|slot| self.table.plan(JobIndex(*slot)));
        let going = going.count() + found.filter(|plan| plan.run.class == *class).count();
        let room = plan.max_parallel.is_none_or(|most| (going as u64) < most);
        assert!(room || plan.main, "more runs of a class than places");
        let known = self.known.get_mut(&job.0).unwrap();
        known.wanted = false;
        known.was_begun = true;
        let living = Living {
            run,
            plan,
            stopped_by_hand: false,
        };
        self.living.insert(job.0, living);
        if self.one_in(self.climate.no_guard) {
            let text = "no guard".to_owned();
            return Event::GuardFailed { job, run, text };
        }
        if !self.one_in(self.climate.deaf) {
            let at = self.now + Duration::from_micros(self.roll(30_000_000));
            self.end(at, job, run);
        }
        Event::RunBegun { job, run }
    }

    /// A monitor ends its run within the time it was given, and a little for the reaping after.
    fn obey(&mut self, job: JobIndex, run: RunId, within: Duration) {
        let known = |event: &Event| match event {
            Event::RunEnded { run: ends, .. } => *ends == run,
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
        let ran = Some(Duration::from_millis(self.roll(120_000))).filter(|_| code < 2);
        let event = Event::RunEnded {
            job,
            run,
            code,
            reason: Some(Reason::Ended),
            ran,
        };
        if self.one_in(self.climate.twice) {
            let again = at + ms(self.roll(5000));
            self.file(again, event.clone());
        }
        self.file(at, event);
    }

    /// Whether the main command counted as failed in this very step, without a run that ended.
    fn main_is_lost(&self, before: &[Action]) -> bool {
        let is_main = |name: &str| self.named(name).is_some_and(|job| job.main);
        before.iter().any(|action| match action {
            Action::Note(Note::RunEnded { job, code: 125, .. } | Note::NeverStarts { job, .. }) => {
                is_main(job)
            }
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

/// Whether a job has ended init with its failure.
fn is_fatal(action: &Action) -> bool {
    matches!(action, Action::Note(Note::GivenUp { exits: true, .. }))
}
