//! `max_parallel`: who has a place, and who is next.

use super::*;

#[test]
fn no_more_runs_of_a_class_begin_than_it_has_places_and_who_was_due_first_is_first() {
    let jobs = vec![
        placed("k", 2, job("a")),
        placed("k", 2, job("b")),
        placed("k", 2, every("late", 20_000, 0)),
        placed("k", 2, job("c")),
        job("other"),
    ];
    let mut desk = Desk::begun(&plan(jobs));
    assert_eq!(
        desk.says(|note| matches!(note, Note::PlaceAwaited { .. })),
        2
    );
    assert_eq!(desk.state(0, "c"), RowState::Queued);
    assert_eq!(desk.ends(5, "other", 0), NOTHING);
    assert_eq!(desk.ends(6, "b", 0), ["start late"]);
    assert_eq!(desk.ends(7, "late", 0), ["start c"]);
    assert_eq!(desk.deadline_us(), Some(20_000_000));
    assert_eq!(desk.at(20_000, Event::Tick), NOTHING);
    assert_eq!(desk.ends(20_001, "a", 0), ["start late"]);
}

#[test]
fn those_that_are_served_late_in_one_go_queue_in_the_order_in_which_they_were_due() {
    let later = |name, period| placed("k", 1, every(name, period, 0));
    let jobs = vec![
        later("slow", 9_000),
        later("quick", 7_000),
        placed("k", 1, job("x")),
    ];
    let mut desk = Desk::begun(&plan(jobs));
    desk.ends(1, "slow", 0);
    desk.ends(1, "quick", 0);
    assert_eq!(desk.at(9_500, Event::Tick), NOTHING);
    assert_eq!(desk.ends(9_600, "x", 0), ["start quick"]);
    assert_eq!(desk.ends(9_700, "quick", 0), ["start slow"]);
}

#[test]
fn a_tick_that_finds_its_job_in_the_queue_is_skipped_and_said() {
    let jobs = vec![
        placed("k", 1, job("a")),
        placed("k", 1, every("t", 10_000, 0)),
    ];
    let mut desk = Desk::begun(&plan(jobs));
    assert_eq!(desk.at(10_000, Event::Tick), NOTHING);
    assert_eq!(
        desk.says(|note| matches!(note, Note::TickSkipped { .. })),
        1
    );
    assert_eq!(desk.ends(11_000, "a", 0), ["start t"]);
    assert_eq!(desk.deadline_us(), Some(20_000_000));
}

#[test]
fn a_place_whose_next_run_wants_the_lock_that_was_freed_is_given_a_millisecond_later() {
    let in_turn = |name| placed("k", 1, locked("/l", job(name)));
    let mut desk = Desk::begun(&plan(vec![in_turn("a"), in_turn("b")]));
    assert_eq!(desk.ends(5, "a", 0), NOTHING);
    assert_eq!(desk.deadline_us(), Some(6_000));
    assert_eq!(desk.at(6, Event::Tick), ["start b"]);
}

#[test]
fn the_main_command_waits_for_nobody_and_has_a_place() {
    let jobs = vec![
        placed("k", 1, every("a", 10_000, 0)),
        placed("k", 1, job("b")),
        placed("k", 1, main("m")),
    ];
    let mut desk = Desk::new(&plan(jobs));
    desk.found(0, "a");
    assert_eq!(desk.at(0, Event::Begin), ["start m"]);
    // Two go where one place is: the next one waits for both.
    assert_eq!(desk.found_gone(1, "a"), NOTHING);
    assert_eq!(desk.ends(2, "m", 0), ["exit 0"]);
}

#[test]
fn a_found_run_has_a_place() {
    let jobs = vec![
        placed("k", 1, every("a", 10_000, 0)),
        placed("k", 1, job("b")),
    ];
    let mut desk = Desk::new(&plan(jobs));
    desk.found(0, "a");
    assert_eq!(desk.at(0, Event::Begin), NOTHING);
    assert_eq!(desk.found_gone(5, "a"), ["start b"]);
    desk.ends(6, "b", 0);
    assert_eq!(desk.at(10_000, Event::Tick), ["start a"]);
}

#[test]
fn who_is_restarted_by_hand_keeps_his_place_and_who_asks_for_a_start_is_told_that_it_waits() {
    let jobs = vec![
        placed("k", 1, job("a")),
        placed("k", 1, job("b")),
        placed("k", 1, manual("c")),
    ];
    let mut desk = Desk::begun(&staying(jobs));
    assert_eq!(
        desk.asks(1, 1, start("c")),
        [told(1, &Answer::Queued { before: 1 })]
    );
    assert_eq!(
        desk.asks(2, 2, start("c")),
        [told(2, &Answer::Queued { before: 1 })]
    );
    assert_eq!(desk.asks(3, 3, restart("a")), ["stop a own"]);
    assert_eq!(desk.ends(4, "a", 143), ["start a"]);
    let run_id = desk.last_run("a").1.to_string();
    assert_eq!(desk.begins(4, "a"), [told(3, &Answer::Started { run_id })]);
    // Who is stopped in the queue leaves it.
    assert_eq!(desk.asks(5, 4, stop("b")), [told(4, &Answer::NotRunning)]);
    assert_eq!(desk.ends(6, "a", 0), ["start c"]);
    assert_eq!(desk.ends(7, "c", 0), NOTHING);
}

#[test]
fn a_guard_that_is_not_to_be_had_gives_its_place_back() {
    let jobs = vec![
        placed("k", 1, every("a", 10_000, 0)),
        placed("k", 1, job("b")),
    ];
    let mut desk = Desk::begun(&plan(jobs));
    assert_eq!(desk.has_no_guard(1, "a"), ["start b"]);
}

#[test]
fn what_is_found_of_a_job_in_the_queue_lets_it_wait_for_that_end_instead() {
    let jobs = vec![
        placed("k", 2, job("a")),
        placed("k", 2, job("b")),
        placed("k", 2, job("c")),
    ];
    let mut desk = Desk::begun(&plan(jobs));
    desk.found(1, "c");
    assert_eq!(desk.ends(2, "a", 0), NOTHING);
    assert_eq!(desk.ends(3, "b", 0), NOTHING);
    assert_eq!(desk.found_gone(4, "c"), ["start c"]);
    // Nor does one that is to be restarted start beside it.
    desk.asks(5, 1, restart("c"));
    desk.found(6, "c");
    assert_eq!(desk.ends(7, "c", 0), NOTHING);
    assert_eq!(desk.found_gone(8, "c"), ["start c"]);
}
