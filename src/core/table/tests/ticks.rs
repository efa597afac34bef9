//! A week of ticks in simulated time, against a calculation that knows nothing of the table.

use super::*;

const WEEK: u64 = 7 * 24 * 3600 * 1_000_000_000;

/// What one job did: starts, and skips that were said, as times in nanoseconds.
#[derive(Debug, Default, PartialEq, Eq)]
struct Diary {
    starts: Vec<u64>,
    skips: Vec<u64>,
}

/// How long the nth run of a job takes: mostly well under its period, sometimes several of them,
/// sometimes ending in the very millisecond before a tick.
fn takes(n: usize, period: u64) -> u64 {
    match n % 11 {
        3 => period * 2 + period / 3,
        5 => period - 400_000,
        7 => period,
        9 => period * 3 - 1,
        _ => (n as u64 * 7_919_000_003) % (period * 9 / 10),
    }
}

/// Walks the grid from the first tick.
fn expected(first: u64, period: u64) -> Diary {
    let mut diary = Diary::default();
    let mut free_from = 0;
    for tick in (0..)
        .map(|k| first + k * period)
        .take_while(|tick| *tick < WEEK)
    {
        // A run that ends at the tick itself has ended.
        let busy_until: u64 = free_from;
        if busy_until > tick {
            diary.skips.push(tick);
            continue;
        }
        let start = if diary.starts.is_empty() {
            tick
        } else {
            tick.max(busy_until + 1_000_000)
        };
        free_from = start + takes(diary.starts.len(), period);
        diary.starts.push(start);
    }
    diary.starts.retain(|start| *start < WEEK);
    diary
}

/// Jumps from deadline to end of run to deadline.
fn simulated(jobs: &[JobPlan], periods: &[u64]) -> Vec<Diary> {
    let mut table = Table::new(
        plan(jobs.to_vec()),
        Facts {
            seed: 42,
            hup_passes: false,
            main_typed: false,
        },
    );
    let mut diaries: Vec<Diary> = jobs.iter().map(|_| Diary::default()).collect();
    let mut ends: Vec<(u64, JobIndex, RunId)> = Vec::new();
    let (mut now, mut event) = (0, Event::Begin);
    loop {
        let mut out = Vec::new();
        table.handle(Time(now), event, &mut out);
        for action in out {
            match action {
                Action::StartRun { job, run } => {
                    let diary = &mut diaries[job.0];
                    ends.push((now + takes(diary.starts.len(), periods[job.0]), job, run));
                    diary.starts.push(now);
                }
                Action::Note(Note::TickSkipped { job }) => {
                    let index = jobs.iter().position(|plan| plan.run.job == job).unwrap();
                    diaries[index].skips.push(now);
                }
                Action::Note(_) => {}
                other => panic!("a week of ticks needs no {other:?}"),
            }
        }
        ends.sort_unstable_by_key(|(at, job, _)| (*at, job.0));
        let tick = table.next_deadline().unwrap().0;
        assert!(tick > now || ends.first().is_some_and(|(at, ..)| *at <= now));
        match ends.first() {
            Some((at, job, run)) if *at <= tick => {
                (now, event) = (
                    *at,
                    Event::RunEnded {
                        job: *job,
                        run: *run,
                        code: 1,
                        reason: None,
                        ran: None,
                    },
                );
                ends.remove(0);
            }
            _ => (now, event) = (tick, Event::Tick),
        }
        if now >= WEEK {
            return diaries;
        }
    }
}

#[test]
fn a_week_of_ticks_has_no_drift_and_loses_none_but_those_skipped_and_said() {
    let spec = [
        (300_000, 30_000),
        (61_000, 0),
        (420_007, 420_000),
        (1000 * 3600, 600_000),
    ];
    let name = |n| format!("job{n}");
    let jobs: Vec<_> = (0..)
        .zip(spec)
        .map(|(n, (period, jitter))| locked(&format!("/lock{n}"), every(&name(n), period, jitter)))
        .collect();
    let periods = spec.map(|(period, _)| period * 1_000_000);
    let diaries = simulated(&jobs, &periods);
    for ((diary, period), (_, jitter)) in diaries.iter().zip(periods).zip(spec) {
        let first = diary.starts[0];
        assert!(first <= jitter * 1_000_000);
        let wanted = expected(first, period);
        assert_eq!(*diary, wanted);
        // Every tick of the week is either a start or a skip.
        let ticks = (WEEK - first).div_ceil(period);
        assert_eq!((diary.starts.len() + diary.skips.len()) as u64, ticks);
        assert!(!diary.skips.is_empty());
    }
}
