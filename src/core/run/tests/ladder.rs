//! The rungs, who sets them off, and what can shorten them.

use super::*;

#[test]
fn the_rungs_follow_each_other_until_the_tree_is_empty() {
    let mut desk = Desk::running(facts());
    assert_eq!(desk.at(100, &term(SIGTERM)), ["group 15", "group 18"]);
    assert_eq!(desk.tick(), (10_100, vec!["term".to_owned()]));
    for n in 1..10 {
        assert_eq!(desk.tick(), (10_100 + n * 100, vec!["term".to_owned()]));
    }
    let kill = vec!["term".to_owned(), "kill".to_owned()];
    assert_eq!(desk.tick(), (11_100, kill));
    assert_eq!(desk.at(11_101, &gone(Status::Killed(9))), ["kill"]);
    let again = vec!["kill".to_owned(), "survivors?".to_owned()];
    assert_eq!(desk.tick(), (13_100, again));
    assert_eq!(desk.at(13_101, &EMPTY), ["finish 137"]);
    assert_eq!(desk.outcome().reason, Reason::Signal(SIGTERM));
}

#[test]
fn the_signal_of_the_plan_is_the_first_and_cont_goes_with_it() {
    let mut quits = facts();
    quits.stop.signal = SIGINT;
    let mut desk = Desk::running(quits);
    assert_eq!(desk.at(1, &term(SIGHUP)), ["group 2", "group 18"]);
    assert_eq!(desk.at(2, &last(Status::Exited(3))), ["finish 3"]);
}

#[test]
fn a_command_that_leaves_processes_has_them_asked_and_then_killed() {
    let mut desk = Desk::running(facts());
    assert_eq!(desk.at(50, &gone(Status::Exited(0))), ["term"]);
    let left =
        |note: &Note| matches!(note, Note::Leftovers { command_alive, .. } if !command_alive);
    assert_eq!(desk.says(left), 1);
    assert_eq!(desk.at(1050, &Event::Tick), ["term", "kill"]);
    assert_eq!(desk.at(1051, &EMPTY), ["finish 0"]);
    assert_eq!(desk.outcome().reason, Reason::Ended);
}

#[test]
fn a_command_that_goes_early_in_its_grace_leaves_its_own_the_next_rung_at_once() {
    let mut desk = Desk::running(facts());
    desk.at(100, &term(SIGTERM));
    assert_eq!(desk.at(200, &gone(Status::Exited(5))), ["term"]);
    assert_eq!(desk.at(1199, &Event::Tick), ["term"]);
    assert_eq!(desk.at(1200, &Event::Tick), ["kill"]);
    assert_eq!(desk.at(1201, &EMPTY), ["finish 5"]);
}

#[test]
fn each_level_that_dies_has_the_next_one_killed() {
    let mut desk = Desk::running(facts());
    assert_eq!(desk.at(1, &within(0)), ["group 15", "group 18", "kill"]);
    let level = Event::Reaped {
        command: None,
        empty: false,
    };
    for at in 2..50 {
        assert_eq!(desk.at(at, &level), ["kill"]);
    }
    assert_eq!(desk.at(50, &gone(Status::Killed(9))), ["kill"]);
    assert_eq!(desk.at(51, &EMPTY), ["finish 137"]);
}

#[test]
fn the_grace_that_is_told_is_the_one_that_the_command_has() {
    let told = |event: &Event| {
        let mut desk = Desk::running(facts());
        desk.at(100, event);
        let due = desk.deadline().expect("the end of the grace") - 100;
        let is_told =
            |note: &Note| matches!(note, Note::Stopping { grace, .. } if *grace == ms(due));
        (due, desk.says(is_told))
    };
    assert_eq!(told(&term(SIGTERM)), (10_000, 1));
    assert_eq!(told(&within(60_000)), (10_000, 1));
    assert_eq!(told(&within(4000)), (3000, 1));
}

#[test]
fn a_second_stop_within_a_second_changes_nothing() {
    for (first, second) in [(SIGTERM, SIGTERM), (SIGINT, SIGTERM), (SIGTERM, SIGHUP)] {
        let mut desk = Desk::running(facts());
        desk.at(0, &term(first));
        assert_eq!(desk.at(0, &term(second)), NOTHING);
        assert_eq!(desk.at(999, &term(second)), NOTHING);
        assert_eq!(desk.deadline(), Some(10_000));
    }
}

#[test]
fn a_second_stop_after_a_second_kills_at_once_and_a_third_adds_nothing() {
    let mut desk = Desk::running(facts());
    desk.at(0, &term(SIGTERM));
    assert_eq!(desk.at(1000, &term(SIGTERM)), ["kill"]);
    assert_eq!(desk.at(2500, &term(SIGTERM)), NOTHING);
    assert_eq!(desk.at(2501, &last(Status::Killed(9))), ["finish 137"]);
}

#[test]
fn a_stop_while_leftovers_have_their_grace_counts_as_the_first() {
    let mut desk = Desk::running(facts());
    desk.at(0, &gone(Status::Exited(0)));
    assert_eq!(desk.at(10, &term(SIGTERM)), NOTHING);
    assert_eq!(desk.deadline(), Some(100));
    assert_eq!(desk.at(1000, &Event::Tick), ["term", "kill"]);
    assert_eq!(desk.at(1001, &EMPTY), ["finish 0"]);
}

#[test]
fn a_stop_in_the_queue_ends_the_run_before_anything_was_started() {
    for (event, code) in [
        (term(SIGTERM), 143),
        (term(SIGINT), 130),
        (term(SIGHUP), 129),
        (within(5000), 143),
        (Event::StopWithin { within: None }, 143),
        (Event::GuardLost, 125),
    ] {
        let mut desk = Desk::begun(locked(Wait::Forever));
        desk.at(0, &Event::LockBusy);
        assert_eq!(desk.at(7, &event), [format!("finish {code}")]);
        assert_eq!(desk.at(8, &Event::LockGot), NOTHING);
        assert_eq!(desk.outcome().waited, ms(7));
    }
}

#[test]
fn the_first_reason_stands() {
    let mut limits = with_final(50);
    limits.timeout = Some(ms(100));
    let all = Facts { limits, ..facts() };
    let mut desk = Desk::running(all);
    desk.at(10, &Event::FinalLine { failed: false });
    assert_eq!(desk.tick().0, 60);
    desk.at(100, &Event::Tick);
    desk.at(110, &Event::FinalLine { failed: true });
    desk.at(120, &Event::GuardLost);
    desk.at(130, &within(9000));
    desk.at(140, &term(SIGTERM));
    assert_eq!(desk.says(|note| matches!(note, Note::Stopping { .. })), 1);
    assert_eq!(desk.at(150, &last(Status::Killed(15))), ["finish 0"]);
    assert_eq!(desk.outcome().reason, Reason::Final { failed: false });
}

#[test]
fn an_order_of_init_is_over_in_its_time_with_a_part_of_it_for_descendants() {
    for (within_ms, stop_grace, kill) in [
        (9000, 8000, 9000),
        (2000, 1500, 2000),
        (100, 75, 100),
        (60_000, 10_000, 11_000),
    ] {
        let mut desk = Desk::running(facts());
        assert_eq!(desk.at(0, &within(within_ms)), ["group 15", "group 18"]);
        assert_eq!(desk.tick(), (stop_grace, vec!["term".to_owned()]));
        let words = loop {
            let (at, words) = desk.tick();
            if at >= kill {
                assert_eq!(at, kill);
                break words;
            }
        };
        assert_eq!(words.last().unwrap(), "kill");
        assert_eq!(desk.at(kill, &last(Status::Killed(9))), ["finish 137"]);
        assert_eq!(desk.outcome().reason, Reason::InitStop);
    }
}

#[test]
fn an_order_shortens_a_ladder_that_has_begun_and_never_lengthens_it() {
    let mut desk = Desk::running(facts());
    desk.at(0, &term(SIGTERM));
    desk.at(1000, &within(2000));
    assert_eq!(desk.deadline(), Some(2500));
    desk.at(1100, &within(60_000));
    assert_eq!(desk.deadline(), Some(2500));
    desk.at(2500, &Event::Tick);
    // What the first order left for descendants.
    assert_eq!(desk.at(2999, &Event::Tick), ["term"]);
    assert_eq!(desk.at(3000, &Event::Tick), ["kill"]);
}

#[test]
fn an_order_shortens_the_grace_of_leftovers() {
    let mut desk = Desk::running(facts());
    desk.at(0, &gone(Status::Exited(0)));
    desk.at(100, &within(400));
    desk.at(150, &within(9000));
    assert_eq!(desk.at(199, &Event::Tick), ["term"]);
    assert_eq!(desk.at(200, &Event::Tick), ["kill"]);
}

#[test]
fn a_lost_guard_begins_the_ladder() {
    let mut desk = Desk::running(locked(Wait::Forever));
    assert_eq!(desk.at(5, &Event::GuardLost), ["group 15", "group 18"]);
    assert_eq!(desk.at(6, &last(Status::Killed(15))), ["finish 143"]);
    assert_eq!(desk.outcome().reason, Reason::GuardLost);
}

#[test]
fn survivors_of_kill_keep_the_run_and_are_named_once_and_when_they_go() {
    let mut desk = Desk::running(facts());
    desk.at(0, &within(0));
    let named = |note: &Note| matches!(note, Note::Unkillable { pids } if *pids == [7, 8]);
    for at in [2000, 4000, 6000] {
        assert_eq!(desk.at(at, &Event::Tick), ["kill", "survivors?"]);
        let pids = vec![7, 8];
        assert_eq!(desk.at(at, &Event::Survivors { pids }), NOTHING);
    }
    assert_eq!(desk.says(named), 1);
    assert_eq!(desk.at(6500, &last(Status::Killed(9))), ["finish 137"]);
    assert_eq!(desk.says(|note| *note == Note::UnkillableGone), 1);
}

#[test]
fn no_survivors_mean_nothing_where_nothing_was_killed() {
    let mut desk = Desk::running(facts());
    let pids = Vec::new();
    assert_eq!(desk.at(1, &Event::Survivors { pids }), NOTHING);
    assert_eq!(desk.at(2, &last(Status::Exited(4))), ["finish 4"]);
}

#[test]
fn dead_ones_that_an_outside_tracer_holds_do_not_keep_the_run() {
    let mut desk = Desk::running(facts());
    desk.at(0, &within(0));
    desk.at(1, &gone(Status::Killed(9)));
    desk.at(2000, &Event::Tick);
    let pids = Vec::new();
    assert_eq!(desk.at(2000, &Event::Survivors { pids }), ["finish 137"]);
    assert_eq!(desk.says(|note| *note == Note::UnkillableGone), 0);
}
