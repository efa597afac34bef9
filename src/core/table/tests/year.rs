//! A year of ticks in simulated time, with a machine that is suspended and a container that is paused,
//! against a calculation that knows nothing of the table and steps through no time.
//!
//! Two clocks, in whole nanoseconds since Begin: true time, which people have, and the one of the table,
//! which stands still in a suspend. A pause is a jump of the latter: it goes on, and nobody looks. Setting
//! the wall clock is not simulated, as nothing of init asks it.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 24 * 3600 * SECOND;
const YEAR: u64 = 365 * DAY;

/// What befalls a container in a year. Times are of the clock that stands still in a suspend.
#[derive(Clone, Debug, Default)]
struct Year {
    /// The machine is suspended then, for so long.
    suspends: Vec<(u64, u64)>,
    /// The container is paused from then on, for so long, while the machine goes on.
    pauses: Vec<(u64, u64)>,
}

impl Year {
    fn sorted(mut self) -> Self {
        self.suspends.sort_unstable();
        self.pauses.sort_unstable();
        // Pauses do not overlap.
        let mut end = 0;
        self.pauses.retain(|(at, length)| {
            let apart = *at > end;
            end = end.max(at + length);
            apart
        });
        self
    }

    /// When init gets to see what is due at `at`.
    fn seen(&self, at: u64) -> u64 {
        let pause = self.pauses.partition_point(|(begin, _)| *begin <= at);
        let pause = pause.checked_sub(1).map(|n| self.pauses[n]);
        pause.map_or(at, |(begin, length)| at.max(begin + length))
    }

    /// What the clock of the table shows at a true time: hour by hour of the machine's life.
    fn clock(&self, true_time: u64) -> u64 {
        let (mut clock, mut passed) = (0, 0);
        for (at, length) in &self.suspends {
            let awake = at - clock;
            if passed + awake >= true_time {
                break;
            }
            clock = *at;
            passed = (passed + awake + length).min(true_time);
        }
        clock + (true_time - passed)
    }

    /// The true time at which the clock of the table comes to `clock`: a timer that is set to then.
    fn timer(&self, clock: u64) -> u64 {
        let (mut low, mut high) = (clock, clock + 20 * 30 * DAY);
        while low < high {
            let middle = low.midpoint(high);
            if self.clock(middle) < clock {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The same, by sums: all suspends before are added.
    fn true_time(&self, clock: u64) -> u64 {
        let before = self.suspends.iter().filter(|(at, _)| *at < clock);
        clock + before.map(|(_, length)| length).sum::<u64>()
    }
}

/// What one job did.
#[derive(Debug, Default, PartialEq, Eq)]
struct Diary {
    starts: Vec<u64>,
    skips: Vec<u64>,
}

/// How long the nth run of a job takes: mostly less than its period, sometimes several of them.
fn takes(n: usize, period: u64) -> u64 {
    match n % 13 {
        4 => period,
        7 => period * 2 + period / 3,
        11 => period * 3 - 1,
        _ => (n as u64).wrapping_mul(7_919_000_003) % (period * 9 / 10),
    }
}

/// Lets a table live through the year. With each job's diary, in true time: when init said how late
/// it was.
fn lived(jobs: &[JobPlan], year: &Year) -> (Vec<Diary>, Vec<(u64, u64)>) {
    let mut table = Table::new(
        plan(jobs.to_vec()),
        Facts {
            seed: 42,
            hup_passes: false,
            main_typed: false,
        },
    );
    let mut diaries: Vec<Diary> = jobs.iter().map(|_| Diary::default()).collect();
    let mut late_notes = Vec::new();
    let mut ends: Vec<(u64, JobIndex, RunId)> = Vec::new();
    let (mut now, mut events) = (0, vec![Event::Begin]);
    while year.clock(now) < YEAR {
        for event in events.drain(..) {
            let ticked = event == Event::Tick;
            let mut out = Vec::new();
            table.handle(Time(year.clock(now)), event, &mut out);
            for action in out {
                match action {
                    Action::StartRun { job, run } => {
                        let period = jobs[job.0].every.unwrap().period.as_nanos();
                        let diary = &mut diaries[job.0];
                        let long = takes(diary.starts.len(), u64::try_from(period).unwrap());
                        ends.push((year.clock(now) + long, job, run));
                        diary.starts.push(now);
                    }
                    Action::Note(Note::TickSkipped { job }) => {
                        let index = jobs.iter().position(|plan| plan.run.job == job).unwrap();
                        diaries[index].skips.push(now);
                    }
                    Action::Note(Note::WokeLate { late }) => {
                        late_notes.push((now, u64::try_from(late.as_nanos()).unwrap()));
                    }
                    Action::Note(_) => {}
                    other => panic!("a year of ticks needs no {other:?}"),
                }
            }
            assert!(!ticked || table.next_deadline().unwrap().0 > year.clock(now));
        }
        ends.sort_unstable_by_key(|(at, job, _)| (*at, job.0));
        let tick = table.next_deadline().unwrap().0;
        let first = ends.first().map_or(tick, |(at, ..)| tick.min(*at));
        now = now.max(year.timer(year.seen(first)));
        let clock = year.clock(now);
        // As the shell does: first who has ended, then what is due.
        let over = ends.partition_point(|(at, ..)| *at <= clock);
        events.extend(ends.drain(..over).map(|(_, job, run)| Event::RunEnded {
            job,
            run,
            code: 0,
            reason: None,
            ran: None,
        }));
        if tick <= clock {
            events.push(Event::Tick);
        }
    }
    (diaries, late_notes)
}

/// What a job has to do, by numbers: the nth tick is at first + n · period; those that are seen at one
/// time are one, the others of them are lost.
fn calculated(first: u64, period: u64, year: &Year) -> (Diary, Vec<(u64, u64)>) {
    let (mut diary, mut lates) = (Diary::default(), Vec::new());
    let (mut n, mut free) = (0, 0);
    loop {
        let tick = first + n * period;
        let seen = year.seen(tick);
        if seen >= YEAR {
            return (diary, lates);
        }
        // All up to that time are dealt with; the next one is the first after it.
        let dealt_with = (seen - first) / period;
        if dealt_with > n {
            lates.push((year.true_time(seen), seen - tick));
        }
        n = dealt_with + 1;
        if free <= seen {
            free = year.seen(seen + takes(diary.starts.len(), period));
            diary.starts.push(year.true_time(seen));
        } else {
            diary.skips.push(year.true_time(seen));
        }
    }
}

#[track_caller]
fn compare(jobs: &[JobPlan], year: &Year) {
    let (diaries, mut late_notes) = lived(jobs, year);
    let mut wanted_lates: Vec<(u64, u64)> = Vec::new();
    for (job, diary) in jobs.iter().zip(&diaries) {
        let every = job.every.unwrap();
        let period = u64::try_from(every.period.as_nanos()).unwrap();
        let (wanted, lates) = calculated(first_tick(job), period, year);
        assert_eq!(*diary, wanted, "{}", job.run.job);
        wanted_lates.extend(lates);
    }
    // Of all jobs at one time the latest is told.
    wanted_lates.sort_unstable_by_key(|(at, late)| (*at, std::cmp::Reverse(*late)));
    wanted_lates.dedup_by_key(|(at, _)| *at);
    late_notes.sort_unstable();
    assert_eq!(late_notes, wanted_lates);
}

/// Where the spread of the seed puts the first tick of a job; the rules test that it is a fair one.
fn first_tick(job: &JobPlan) -> u64 {
    let share = u128::from(share(42, &job.run.job));
    let jitter = job.every.unwrap().jitter.as_nanos();
    u64::try_from((share * jitter) >> 64).unwrap()
}

fn ticking(n: usize, period: u64, jitter: u64) -> JobPlan {
    JobPlan {
        every: Some(Every {
            period: Duration::from_nanos(period),
            jitter: Duration::from_nanos(jitter),
        }),
        ..job(&format!("job{n}"))
    }
}

prop_compose! {
    fn some_year()(
        suspends in vec((0..YEAR, 0..30 * DAY), 0..20),
        pauses in vec((0..YEAR, prop_oneof![0..SECOND, 0..3600 * SECOND, 0..5 * DAY]), 0..60),
    ) -> Year {
        Year { suspends, pauses }.sorted()
    }
}

/// From twenty minutes to two days, and to the nanosecond.
fn some_ticking() -> impl Strategy<Value = (u64, u64)> {
    let period = prop_oneof![1200 * SECOND..7200 * SECOND, 7200 * SECOND..2 * DAY];
    period.prop_flat_map(|period| (Just(period), 0..=period))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn a_year_with_suspends_and_pauses_has_no_drift_no_double_and_no_tick_that_is_lost_untold(
        year in some_year(),
        specs in vec(some_ticking(), 1..5),
    ) {
        let jobs: Vec<JobPlan> = specs
            .iter()
            .enumerate()
            .map(|(n, (period, jitter))| ticking(n, *period, *jitter))
            .collect();
        compare(&jobs, &year);
    }
}

#[test]
fn a_quiet_year_of_a_factory_has_each_tick_where_it_belongs() {
    let minutes = [5, 20, 15, 12 * 60, 24 * 60];
    let jobs: Vec<JobPlan> = minutes
        .iter()
        .enumerate()
        .map(|(n, minutes)| ticking(n, minutes * 60 * SECOND, 60 * SECOND))
        .collect();
    compare(&jobs, &Year::default());
    // By hand: a year has so many ticks of five minutes, and each is a start or a skip.
    let (diaries, lates) = lived(&jobs, &Year::default());
    assert_eq!(diaries[0].starts.len() + diaries[0].skips.len(), 105_120);
    assert!(lates.is_empty());
}
