//! Signals, the main command, the orderly stop.

use super::*;

#[test]
fn a_stop_reaches_all_runs_at_once_and_leaves_a_reserve() {
    for (within, cut) in [(9000, 7000), (25_000, 23_000), (2000, 1500), (0, 0)] {
        let mut plan = plan(vec![job("a"), every("b", 10_000, 0), manual("c")]);
        plan.init.stop_within = ms(within);
        let mut desk = Desk::begun(&plan);
        let all = [format!("stop a {cut}"), format!("stop b {cut}")];
        assert_eq!(desk.signal(100, SIGTERM), all);
        assert_eq!(desk.deadline_us(), Some(u128::from(100 + within) * 1000));
        assert_eq!(desk.ends(100, "b", 143), NOTHING);
        assert_eq!(desk.ends(100, "a", 143), ["exit 0"]);
    }
}

#[test]
fn nothing_starts_once_a_stop_has_begun() {
    let mut desk = Desk::begun(&plan(vec![job("a"), every("b", 1000, 0), job("c")]));
    desk.ends(1, "b", 0);
    desk.has_no_guard(2, "c");
    assert_eq!(desk.signal(900, SIGINT), ["stop a 7000"]);
    assert_eq!(desk.at(1000, Event::Tick), NOTHING);
    assert_eq!(desk.at(1002, Event::Tick), NOTHING);
    assert_eq!(desk.has_no_guard(1003, "a"), ["exit 0"]);
}

#[test]
fn a_second_request_counts_from_one_second_after_the_first_and_once() {
    let mut desk = Desk::begun(&plan(vec![job("a")]));
    assert_eq!(desk.signal(100, SIGTERM), ["stop a 7000"]);
    assert_eq!(desk.signal(101, SIGTERM), NOTHING);
    assert_eq!(desk.signal(1099, SIGINT), NOTHING);
    assert_eq!(desk.signal(1100, SIGTERM), ["stop a 0"]);
    assert_eq!(desk.signal(9000, SIGTERM), NOTHING);
    assert_eq!(desk.deadline_us(), Some(9_100_000));
}

#[test]
fn a_stop_that_takes_too_long_ends_init_with_137() {
    let mut desk = Desk::begun(&plan(vec![job("a"), job("b")]));
    desk.signal(100, SIGTERM);
    desk.ends(200, "a", 0);
    assert_eq!(desk.at(9099, Event::Tick), NOTHING);
    assert_eq!(desk.at(9100, Event::Tick), ["exit 137"]);
    assert_eq!(desk.says(|note| *note == Note::StopOverdue { runs: 1 }), 1);
    assert_eq!(desk.table.next_deadline(), None);
}

#[test]
fn a_signal_before_begin_stops_before_anything_starts() {
    let mut desk = Desk::new(&plan(vec![job("a")]));
    assert_eq!(desk.signal(0, SIGTERM), ["exit 0"]);
    assert_eq!(desk.at(1, Event::Begin), NOTHING);

    let mut desk = Desk::new(&plan(vec![main("a")]));
    assert_eq!(desk.signal(0, SIGINT), ["exit 130"]);
}

#[test]
fn the_end_of_the_main_command_ends_init_with_its_code() {
    let mut desk = Desk::begun(&plan(vec![job("a"), main("m"), every("b", 1000, 0)]));
    desk.ends(1, "b", 9);
    assert_eq!(desk.ends(5, "m", 3), ["stop a 7000"]);
    assert_eq!(desk.says(|note| matches!(note, Note::StopAsked { .. })), 0);
    assert_eq!(desk.ends(6, "a", 143), ["exit 3"]);

    let mut plan = plan(vec![main("m")]);
    plan.init.stay = true;
    assert_eq!(Desk::begun(&plan).ends(5, "m", 0), ["exit 0"]);
}

#[test]
fn the_main_command_starts_and_runs_once_whatever_else_its_plan_says() {
    let odd = JobPlan {
        main: true,
        start: Start::Manual,
        ..every("m", 1000, 500)
    };
    let mut desk = Desk::new(&plan(vec![odd]));
    assert_eq!(desk.at(0, Event::Begin), ["start m"]);
    assert_eq!(desk.table.next_deadline(), None);
    assert_eq!(desk.ends(5, "m", 2), ["exit 2"]);
}

#[test]
fn a_stopped_main_command_gives_its_own_code() {
    let mut desk = Desk::begun(&plan(vec![main("m"), job("a")]));
    desk.signal(100, SIGTERM);
    assert_eq!(desk.ends(200, "m", 143), NOTHING);
    assert_eq!(desk.at(9100, Event::Tick), ["exit 143"]);

    let mut desk = Desk::begun(&plan(vec![main("m"), job("a")]));
    desk.signal(100, SIGTERM);
    assert_eq!(desk.ends(200, "a", 1), NOTHING);
    assert_eq!(desk.ends(200, "m", 143), ["exit 143"]);
}

#[test]
fn a_request_after_the_main_commands_end_is_the_first_one() {
    let mut desk = Desk::begun(&plan(vec![main("m"), job("a")]));
    assert_eq!(desk.ends(0, "m", 0), ["stop a 7000"]);
    assert_eq!(desk.signal(3000, SIGTERM), NOTHING);
    let asked = Note::StopAsked {
        signal: SIGTERM,
        runs: 1,
        within: ms(6000),
    };
    assert_eq!(desk.notes().last(), Some(&&asked));
    assert_eq!(desk.signal(3900, SIGTERM), NOTHING);
    assert_eq!(desk.signal(4000, SIGTERM), ["stop a 0"]);
}

#[test]
fn a_main_command_that_never_started_gives_the_code_of_the_signal() {
    let mut desk = Desk::begun(&plan(vec![main("m"), job("a")]));
    desk.has_no_guard(1, "m");
    assert_eq!(desk.signal(100, SIGTERM), ["stop a 7000"]);
    // It never will: nothing is kept for it.
    assert_eq!(desk.signal(101, 12), NOTHING);
    assert_eq!(desk.at(1001, Event::Tick), NOTHING);
    assert_eq!(desk.at(9100, Event::Tick), ["exit 143"]);
}

#[test]
fn other_signals_go_to_the_main_command_while_there_is_one() {
    let mut desk = Desk::new(&plan(vec![main("m"), job("a")]));
    assert_eq!(desk.signal(0, 10), ["signal 10"]);
    desk.at(0, Event::Begin);
    assert_eq!(desk.signal(1, 28), ["signal 28"]);
    desk.has_no_guard(2, "m");
    assert_eq!(desk.signal(3, 12), ["signal 12"]);
    desk.at(1002, Event::Tick);
    desk.ends(1003, "m", 0);
    assert_eq!(desk.signal(1004, 12), NOTHING);

    let mut desk = Desk::begun(&plan(vec![job("a")]));
    assert_eq!(desk.signal(1, 12), NOTHING);
}

#[test]
fn hup_is_passed_on_without_a_file_and_reads_it_again_with_one_until_the_stop() {
    let plan = plan(vec![main("m")]);
    let mut desk = Desk::with(&plan, true);
    desk.at(0, Event::Begin);
    assert_eq!(desk.signal(1, SIGHUP), ["signal 1"]);

    let mut desk = Desk::begun(&plan);
    assert_eq!(desk.signal(1, SIGHUP), ["read"]);
    desk.signal(2, SIGTERM);
    assert_eq!(desk.signal(3, SIGHUP), NOTHING);
}

#[test]
fn a_stop_does_not_wait_for_found_runs() {
    let mut desk = Desk::new(&plan(vec![job("a")]));
    desk.found(0, "a");
    desk.at(0, Event::Begin);
    assert_eq!(desk.signal(5, SIGTERM), ["exit 0"]);
}

#[test]
fn a_main_command_without_a_guard_is_not_tried_again_during_a_stop() {
    let mut desk = Desk::begun(&plan(vec![main("m")]));
    assert_eq!(desk.signal(1, SIGTERM), ["stop m 7000"]);
    assert_eq!(desk.has_no_guard(2, "m"), ["exit 125"]);
    assert_eq!(
        desk.says(|note| matches!(note, Note::RunEnded { code: 125, .. })),
        1
    );
}
