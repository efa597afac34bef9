//! When jobs start, when they do not, and when init ends by itself.

use super::*;

#[test]
fn boot_jobs_start_at_begin_and_manual_ones_do_not() {
    let mut desk = Desk::new(&plan(vec![job("a"), manual("b"), job("c")]));
    assert_eq!(desk.table.next_deadline(), None);
    assert_eq!(desk.at(0, Event::Begin), ["start a", "start c"]);
    assert_eq!(desk.at(1, Event::Begin), NOTHING);
}

#[test]
fn a_failing_job_never_ends_the_others_and_its_code_is_the_last_word() {
    let mut desk = Desk::begun(&plan(vec![job("a"), job("b"), job("c")]));
    assert_eq!(desk.ends(5, "b", 3), NOTHING);
    assert_eq!(desk.ends(6, "a", 4), NOTHING);
    assert_eq!(desk.ends(7, "c", 0), ["exit 3"]);
    assert_eq!(desk.at(8, Event::Tick), NOTHING);
    assert_eq!(desk.signal(9, SIGTERM), NOTHING);
}

#[test]
fn init_ends_with_zero_when_all_jobs_ended_well() {
    let mut desk = Desk::begun(&plan(vec![job("a"), manual("b")]));
    assert_eq!(desk.ends(5, "a", 0), ["exit 0"]);
    assert_eq!(desk.notes().last(), Some(&&Note::InitEnded { code: 0 }));
}

#[test]
fn a_job_with_a_rate_keeps_init() {
    let mut desk = Desk::begun(&plan(vec![every("a", 60_000, 0), job("b")]));
    assert_eq!(desk.ends(5, "a", 1), NOTHING);
    assert_eq!(desk.ends(5, "b", 1), NOTHING);
    assert_eq!(desk.deadline_us(), Some(60_000_000));
}

#[test]
fn with_stay_init_lives_on_and_says_so_once() {
    let mut plan = plan(vec![job("a")]);
    plan.init.stay = true;
    let mut desk = Desk::begun(&plan);
    assert_eq!(desk.ends(5, "a", 3), NOTHING);
    assert_eq!(desk.at(6, Event::Tick), NOTHING);
    assert_eq!(desk.says(|note| *note == Note::Staying), 1);
    assert_eq!(desk.table.next_deadline(), None);
    assert_eq!(desk.signal(7, SIGTERM), ["exit 0"]);
}

#[test]
fn nothing_to_start_is_said_and_ends_init() {
    let mut desk = Desk::new(&plan(vec![manual("a")]));
    assert_eq!(desk.at(0, Event::Begin), ["exit 0"]);
    assert_eq!(
        desk.says(|note| matches!(note, Note::ConfigWarning { .. })),
        1
    );

    let mut stays = plan(vec![manual("a")]);
    stays.init.stay = true;
    assert_eq!(Desk::new(&stays).at(0, Event::Begin), NOTHING);
}

#[test]
fn a_tick_that_finds_the_job_going_is_skipped_and_said() {
    let mut desk = Desk::begun(&plan(vec![every("a", 10_000, 0)]));
    assert_eq!(desk.at(10_000, Event::Tick), NOTHING);
    assert_eq!(
        desk.says(|note| *note
            == Note::TickSkipped {
                job: "a".to_owned()
            }),
        1
    );
    assert_eq!(desk.ends(12_000, "a", 0), NOTHING);
    assert_eq!(desk.deadline_us(), Some(20_000_000));
    assert_eq!(desk.at(20_000, Event::Tick), ["start a"]);
}

#[test]
fn a_late_wake_starts_once_says_so_and_stays_on_the_grid() {
    let mut desk = Desk::begun(&plan(vec![every("a", 10_000, 0)]));
    desk.ends(1, "a", 0);
    assert_eq!(desk.at(47_000, Event::Tick), ["start a"]);
    assert_eq!(
        desk.says(|note| *note == Note::WokeLate { late: ms(37_000) }),
        1
    );
    assert_eq!(desk.deadline_us(), Some(50_000_000));
    desk.ends(47_500, "a", 0);
    assert_eq!(desk.at(50_200, Event::Tick), ["start a"]);
    assert_eq!(desk.says(|note| matches!(note, Note::WokeLate { .. })), 1);
    assert_eq!(desk.deadline_us(), Some(60_000_000));
}

#[test]
fn an_early_tick_starts_nothing() {
    let mut desk = Desk::begun(&plan(vec![every("a", 10_000, 0)]));
    desk.ends(1, "a", 0);
    assert_eq!(desk.at(9_999, Event::Tick), NOTHING);
    assert_eq!(desk.deadline_us(), Some(10_000_000));
}

#[test]
fn the_first_tick_is_spread_by_seed_and_name_within_the_jitter() {
    let jobs: Vec<_> = (0..50)
        .map(|n| every(&format!("job{n}"), 60_000, 10_000))
        .collect();
    let plan = plan(jobs);
    let firsts = |seed| {
        let mut table = Table::new(
            plan.clone(),
            Facts {
                seed,
                hup_passes: false,
                main_typed: false,
            },
        );
        table.handle(BOOT, Event::Begin, &mut Vec::new());
        let first = |row: &Row| row.wake(None).unwrap();
        table.rows().map(first).collect::<Vec<_>>()
    };
    let spread = firsts(1);
    assert!(
        spread
            .iter()
            .all(|at| *at >= BOOT && *at < BOOT + ms(10_000))
    );
    // 50 jobs over ten seconds: every half is hit, no two coincide.
    assert!(spread.iter().any(|at| *at < BOOT + ms(5_000)));
    assert!(spread.iter().any(|at| *at >= BOOT + ms(5_000)));
    let mut distinct = spread.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), spread.len());
    assert_eq!(spread, firsts(1));
    assert_ne!(spread, firsts(2));
}

#[test]
fn a_freed_lock_is_not_queued_for_again_within_a_millisecond() {
    let mut slow = every("b", 10_000, 0);
    slow.run.job = "other".to_owned();
    let jobs = vec![
        locked("/l", every("a", 10_000, 0)),
        locked("/l", every("b", 10_000, 0)),
        every("chat", 10_000, 0),
        locked("/m", slow),
    ];
    let mut desk = Desk::begun(&plan(jobs));
    desk.ends(2, "b", 0);
    desk.ends(3, "chat", 0);
    desk.ends(4, "other", 0);
    desk.ends(9_999, "a", 0);
    assert_eq!(desk.deadline_us(), Some(10_000_000));
    // Exactly one millisecond is enough.
    assert_eq!(desk.at(10_000, Event::Tick).len(), 4);
    // Who shares the lock waits as well; another lock and no lock wait for nobody.
    for name in ["b", "chat", "other"] {
        desk.ends(10_003, name, 0);
    }
    desk.ends(20_000, "a", 0);
    assert_eq!(desk.at(20_000, Event::Tick), ["start chat", "start other"]);
    assert_eq!(desk.at(20_001, Event::Tick), ["start a", "start b"]);

    let mut desk = Desk::begun(&plan(vec![locked("/l", every("a", 10_000, 0))]));
    let (job, run) = desk.last_run("a");
    let late = BOOT + Duration::from_micros(9_999_600);
    let event = Event::RunEnded {
        job,
        run,
        code: 0,
        reason: None,
        ran: None,
    };
    desk.table.handle(late, event, &mut Vec::new());
    assert_eq!(desk.deadline_us(), Some(10_000_600));
    assert_eq!(desk.at(10_000, Event::Tick), NOTHING);
    assert_eq!(desk.at(10_001, Event::Tick), ["start a"]);
    // The tick after it is on the grid again.
    desk.ends(10_500, "a", 0);
    assert_eq!(desk.deadline_us(), Some(20_000_000));
}

#[test]
fn a_failed_guard_waits_for_the_next_tick() {
    let mut desk = Desk::begun(&plan(vec![every("a", 10_000, 0)]));
    assert_eq!(desk.has_no_guard(1, "a"), NOTHING);
    assert_eq!(
        desk.says(|note| matches!(note, Note::GuardFailed { .. })),
        1
    );
    assert_eq!(desk.deadline_us(), Some(10_000_000));
    assert_eq!(desk.at(10_000, Event::Tick), ["start a"]);
}

#[test]
fn a_failed_guard_without_a_rate_is_tried_five_times_and_then_counts_as_failed() {
    let mut desk = Desk::begun(&plan(vec![job("a")]));
    for attempt in 0..4 {
        assert_eq!(desk.has_no_guard(attempt * 1000, "a"), NOTHING);
        assert_eq!(desk.at(attempt * 1000 + 999, Event::Tick), NOTHING);
        assert_eq!(desk.at((attempt + 1) * 1000, Event::Tick), ["start a"]);
    }
    assert_eq!(desk.has_no_guard(4001, "a"), ["exit 125"]);
    assert_eq!(
        desk.says(|note| matches!(note, Note::GuardFailed { .. })),
        5
    );
    assert_eq!(
        desk.says(|note| matches!(note, Note::RunEnded { code: 125, .. })),
        1
    );
}

#[test]
fn a_living_run_of_an_earlier_init_counts_as_running() {
    let jobs = vec![locked("/l", job("once")), locked("/l", every("a", 1000, 0))];
    let mut desk = Desk::new(&plan(jobs));
    desk.found(0, "once");
    desk.found(0, "a");
    desk.found(0, "a");
    assert_eq!(desk.says(|note| matches!(note, Note::RunFound { .. })), 2);
    assert_eq!(desk.at(0, Event::Begin), NOTHING);
    assert_eq!(
        desk.says(|note| matches!(note, Note::TickSkipped { .. })),
        1
    );
    assert_eq!(desk.deadline_us(), Some(1_000_000));
    // The start that waited for it comes a millisecond after the lock is free.
    assert_eq!(desk.found_gone(500, "once"), NOTHING);
    assert_eq!(desk.deadline_us(), Some(501_000));
    assert_eq!(desk.at(501, Event::Tick), ["start once"]);
    assert_eq!(desk.found_gone(600, "a"), NOTHING);
    assert_eq!(desk.at(1000, Event::Tick), ["start a"]);
}

#[test]
fn an_end_that_the_table_does_not_expect_changes_nothing() {
    let mut desk = Desk::begun(&plan(vec![every("a", 1000, 0), job("b")]));
    let (job, first) = desk.last_run("a");
    let end = |job, run| Event::RunEnded {
        job,
        run,
        code: 0,
        reason: None,
        ran: None,
    };
    desk.at(1, end(job, first));
    desk.at(1000, Event::Tick);
    let notes = desk.notes().len();
    desk.at(1001, end(job, first));
    desk.at(1002, end(JobIndex(99), first));
    desk.at(
        1003,
        Event::GuardFailed {
            job,
            run: first,
            text: String::new(),
        },
    );
    assert_eq!(desk.notes().len(), notes);
    // The second run still counts as living.
    assert_eq!(desk.at(2000, Event::Tick), NOTHING);
}

#[test]
fn a_thousand_jobs_start_at_one_tick_and_stop_at_one_word() {
    let name = |n: u64| format!("job{n}");
    let jobs = (0..1000).map(|n| every(&name(n), 60_000, 0));
    let mut desk = Desk::begun(&plan(jobs.collect()));
    for minute in 0..5 {
        let at = minute * 60_000;
        if minute > 0 {
            assert_eq!(desk.at(at, Event::Tick).len(), 1000);
        }
        let runs: Vec<_> = desk.table.runs().collect();
        assert_eq!(runs.len(), 1000);
        for (job, run) in runs.into_iter().filter(|_| minute < 4) {
            let end = Event::RunEnded {
                job,
                run,
                code: 0,
                reason: None,
                ran: None,
            };
            assert_eq!(desk.at(at + 1, end), NOTHING);
        }
    }
    let view = desk.table.view(BOOT + ms(240_000));
    assert_eq!(view.len(), 1000);
    assert!(view.iter().all(|row| row.state == RowState::Running));
    assert_eq!(desk.signal(250_000, SIGTERM).len(), 1000);
    for n in 0..999 {
        assert_eq!(desk.ends(250_001, &name(n), 143), NOTHING);
    }
    assert_eq!(desk.ends(250_001, &name(999), 143), ["exit 0"]);
}
