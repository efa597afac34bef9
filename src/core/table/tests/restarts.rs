//! What follows on the end of a run.

use super::*;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn a_job_that_fails_at_once_is_started_after_1_2_4_seconds_up_to_5_minutes_and_never_in_between() {
    let mut desk = Desk::begun(&plan(vec![always("a")]));
    let mut now = 0;
    for delay in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300] {
        now += 5;
        assert_eq!(desk.ends_after(now, "a", 1, Some(ms(5))), NOTHING);
        assert_eq!(desk.state(now, "a"), RowState::BackingOff);
        // Nothing wakes init before that time.
        let due = u128::from(now + delay * 1000);
        assert_eq!(desk.deadline_us(), Some(due * 1000));
        assert_eq!(desk.at(now + delay * 1000 - 1, Event::Tick), NOTHING);
        now += delay * 1000;
        assert_eq!(desk.at(now, Event::Tick), ["start a"]);
        assert_eq!(desk.deadline_us(), None);
    }
    assert_eq!(
        desk.says(|note| matches!(note, Note::Restarting { .. })),
        12
    );
    assert_eq!(desk.table.view(BOOT)[0].restarts, 12);
}

#[test]
fn on_failure_ends_with_the_first_success_and_init_with_0() {
    let jobs = vec![restarted(When::OnFailure, job("a"))];
    let mut desk = Desk::begun(&plan(jobs));
    assert_eq!(desk.ends(5, "a", 3), NOTHING);
    assert_eq!(desk.at(1005, Event::Tick), ["start a"]);
    assert_eq!(desk.ends(1010, "a", 0), ["exit 0"]);
}

#[test]
fn a_success_or_a_long_run_ends_the_row_and_the_queue_of_a_lock_is_no_run() {
    let mut desk = Desk::begun(&plan(vec![always("a")]));
    let mut now = 0;
    for (code, ran, delay) in [
        (1, secs(0), 1),
        (1, secs(59), 2),
        // Ten minutes in the queue, and then at once.
        (75, secs(0), 4),
        (0, secs(0), 1),
        (1, secs(1), 2),
        (1, secs(60), 1),
    ] {
        now += 600_000;
        desk.ends_after(now, "a", code, Some(ran));
        assert_eq!(
            desk.deadline_us(),
            Some(u128::from(now + delay * 1000) * 1000)
        );
        now += delay * 1000;
        desk.at(now, Event::Tick);
    }
    // Whose guard was killed cannot say it: his time in the table counts.
    now += 60_000;
    desk.ends_after(now, "a", 125, None);
    assert_eq!(desk.deadline_us(), Some(u128::from(now + 1000) * 1000));
}

#[test]
fn a_pause_is_no_failure_of_a_job_which_is_tried_again_after_the_longest_time_and_never_given_up() {
    let jobs = vec![limited(2, Then::Exit, always("a"))];
    let mut desk = Desk::begun(&plan(jobs));
    let mut now = 0;
    for _ in 0..10 {
        now += 5;
        let (job, run) = desk.last_run("a");
        let paused = Event::RunEnded {
            job,
            run,
            code: 75,
            reason: Some(Reason::Paused),
            ran: Some(secs(0)),
        };
        assert_eq!(desk.at(now, paused), NOTHING);
        now += 300_000;
        assert_eq!(desk.deadline_us(), Some(u128::from(now) * 1000));
        assert_eq!(desk.at(now, Event::Tick), ["start a"]);
    }
    assert_eq!(desk.says(|note| matches!(note, Note::GivenUp { .. })), 0);
}

#[test]
fn when_there_were_enough_restarts_the_job_has_failed_and_the_others_go_on() {
    let jobs = vec![limited(2, Then::GiveUp, always("a")), job("b")];
    let mut desk = Desk::begun(&plan(jobs));
    desk.ends(0, "a", 3);
    desk.at(1000, Event::Tick);
    desk.ends(1000, "a", 4);
    assert_eq!(desk.at(3000, Event::Tick), ["start a"]);
    assert_eq!(desk.ends(3000, "a", 5), NOTHING);
    assert_eq!(desk.deadline_us(), None);
    assert_eq!(
        desk.says(|note| matches!(note, Note::GivenUp { code: 5, .. })),
        1
    );
    assert_eq!(desk.state(3000, "a"), RowState::GivenUp);
    // By hand it begins anew, with all its restarts.
    assert_eq!(desk.asks(4000, 1, start("a")), ["start a"]);
    desk.ends(4000, "a", 6);
    assert_eq!(desk.deadline_us(), Some(5_000_000));
    desk.at(5000, Event::Tick);
    desk.ends(5000, "a", 6);
    desk.at(7000, Event::Tick);
    desk.ends(7000, "a", 6);
    // The code of the job that has failed first.
    assert_eq!(desk.ends(8000, "b", 0), ["exit 5"]);
}

#[test]
fn with_exit_the_last_failure_stops_the_container_in_order_with_its_code() {
    let jobs = vec![
        limited(1, Then::Exit, always("a")),
        main("m"),
        every("t", 10_000, 0),
    ];
    let mut desk = Desk::begun(&plan(jobs));
    desk.ends(0, "t", 1);
    desk.ends(0, "a", 3);
    desk.at(1000, Event::Tick);
    assert_eq!(desk.ends(1001, "a", 4), ["stop m 7000"]);
    assert_eq!(desk.ends(1002, "m", 143), ["exit 4"]);
}

#[test]
fn a_stop_by_hand_is_followed_by_no_restart_and_keeps_the_container() {
    let mut desk = Desk::begun(&plan(vec![always("a")]));
    desk.asks(5, 1, stop("a"));
    desk.ends(6, "a", 1);
    assert_eq!(desk.deadline_us(), None);
    assert_eq!(desk.state(6, "a"), RowState::Stopped);
    assert_eq!(desk.asks(7, 2, start("a")), ["start a"]);
    desk.begins(7, "a");
    // Nor does one that has begun already.
    desk.ends(8, "a", 1);
    assert_eq!(desk.asks(9, 3, stop("a")), [told(3, &Answer::NotRunning)]);
    assert_eq!(desk.deadline_us(), None);
    // What is to run once is over when it was stopped.
    let mut desk = Desk::begun(&plan(vec![job("a")]));
    desk.asks(5, 1, stop("a"));
    assert_eq!(desk.ends(6, "a", 143)[1..], ["exit 0"]);
}

#[test]
fn with_a_rate_a_failure_is_tried_again_until_the_next_tick_and_a_success_waits_for_it() {
    let jobs = vec![limited(9, Then::GiveUp, always("a"))];
    let rate = Some(Every {
        period: secs(10),
        jitter: secs(0),
    });
    let jobs = jobs.into_iter().map(|job| JobPlan { every: rate, ..job });
    let mut desk = Desk::begun(&plan(jobs.collect()));
    desk.ends(0, "a", 1);
    assert_eq!(desk.at(1000, Event::Tick), ["start a"]);
    desk.ends(1000, "a", 1);
    assert_eq!(desk.at(3000, Event::Tick), ["start a"]);
    desk.ends(8000, "a", 1);
    // 4 s later would be after the tick, which comes first and begins a new row.
    assert_eq!(desk.deadline_us(), Some(10_000_000));
    assert_eq!(desk.at(10_000, Event::Tick), ["start a"]);
    desk.ends(10_000, "a", 1);
    assert_eq!(desk.at(11_000, Event::Tick), ["start a"]);
    desk.ends(11_000, "a", 0);
    assert_eq!(desk.deadline_us(), Some(20_000_000));
}

#[test]
fn a_job_with_a_rate_that_has_used_up_its_restarts_has_them_again_at_its_next_tick() {
    let jobs = vec![limited(
        1,
        Then::GiveUp,
        restarted(When::OnFailure, every("a", 10_000, 0)),
    )];
    let mut desk = Desk::begun(&plan(jobs));
    for tick in [0, 10_000] {
        desk.at(tick, Event::Tick);
        desk.ends(tick, "a", 1);
        assert_eq!(desk.at(tick + 1000, Event::Tick), ["start a"]);
        desk.ends(tick + 1000, "a", 1);
        assert_eq!(desk.deadline_us(), Some(u128::from(tick + 10_000) * 1000));
        assert_eq!(desk.state(tick + 1000, "a"), RowState::Idle);
    }
}

#[test]
fn a_guard_that_is_not_to_be_had_is_a_failure_that_is_tried_again() {
    let mut desk = Desk::begun(&plan(vec![limited(2, Then::GiveUp, always("a"))]));
    desk.has_no_guard(0, "a");
    assert_eq!(desk.at(1000, Event::Tick), ["start a"]);
    desk.has_no_guard(1000, "a");
    assert_eq!(desk.at(3000, Event::Tick), ["start a"]);
    assert_eq!(desk.has_no_guard(3000, "a"), ["exit 125"]);
}

#[test]
fn a_restart_to_come_keeps_init_and_a_stop_of_all_forgets_it() {
    let mut desk = Desk::begun(&plan(vec![always("a")]));
    assert_eq!(desk.ends(0, "a", 1), NOTHING);
    assert_eq!(desk.signal(5, SIGTERM), ["exit 0"]);
}
