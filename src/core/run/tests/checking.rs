//! What must hold before the command.

use super::*;

fn conditional(facts: Facts) -> Facts {
    Facts {
        conditions: true,
        ..facts
    }
}

fn refused() -> Event {
    let path = "/data".into();
    let refusal = Refusal::NoPath { path, errno: 2 };
    Event::StartRefused { refusal }
}

#[test]
fn a_run_without_conditions_asks_nobody() {
    let mut desk = Desk::new(facts());
    assert_eq!(desk.at(0, &Event::Begin { queued_at: BOOT }), ["spawn"]);
}

#[test]
fn conditions_are_asked_before_directories_and_before_the_lock() {
    let mut desk = Desk::new(conditional(claiming(OnConflict::Fail)));
    assert_eq!(desk.at(0, &Event::Begin { queued_at: BOOT }), ["check"]);
    assert_eq!(desk.at(5, &Event::StartAllowed), ["dirs"]);
    assert_eq!(desk.at(6, &Event::DirsGot), ["spawn"]);
    let mut desk = Desk::begun(conditional(locked(Wait::Forever)));
    assert_eq!(desk.at(5, &Event::StartAllowed), ["lock"]);
    assert_eq!(desk.at(6, &Event::LockGot), ["spawn"]);
}

#[test]
fn a_condition_that_does_not_hold_ends_the_run_with_75_and_says_which() {
    let mut desk = Desk::begun(conditional(locked(Wait::Forever)));
    assert_eq!(desk.at(5, &refused()), ["finish 75"]);
    assert_eq!(desk.outcome().reason, Reason::StartRefused);
    let said = |note: &Note| matches!(note, Note::StartRefused(Refusal::NoPath { path, .. }) if path.ends_with("data"));
    assert_eq!(desk.says(said), 1);
}

#[test]
fn who_had_to_wait_for_the_lock_asks_once_more_and_gives_it_back_when_refused() {
    let mut desk = Desk::begun(conditional(locked(Wait::Forever)));
    desk.at(1, &Event::StartAllowed);
    desk.at(1, &Event::LockBusy);
    assert_eq!(desk.at(9000, &Event::LockGot), ["check"]);
    let mut other = desk.clone();
    assert_eq!(desk.at(9001, &Event::StartAllowed), ["spawn"]);
    assert_eq!(other.at(9003, &refused()), ["finish 75"]);
    assert_eq!(
        (other.outcome().waited, other.outcome().held),
        (ms(9000), ms(3))
    );
}

#[test]
fn who_had_to_wait_for_a_directory_asks_once_more() {
    let mut desk = Desk::begun(conditional(claiming(OnConflict::Wait(Wait::Forever))));
    desk.at(1, &Event::StartAllowed);
    desk.at(1, &Event::DirBusy { may_end: true });
    desk.at(500, &Event::DirFreed);
    assert_eq!(desk.at(500, &Event::DirsGot), ["check"]);
    assert_eq!(desk.at(501, &Event::StartAllowed), ["spawn"]);
}

#[test]
fn a_stop_and_the_loss_of_the_guard_are_heard_while_nobody_answers() {
    for (event, code) in [
        (term(SIGTERM), 143),
        (term(SIGINT), 130),
        (term(3), 131),
        (Event::StopWithin { within: None }, 143),
        (Event::GuardLost, 125),
    ] {
        let mut desk = Desk::begun(conditional(locked(Wait::Forever)));
        assert_eq!(desk.at(50, &event), [format!("finish {code}")]);
        assert_eq!(desk.at(60, &Event::StartAllowed), NOTHING);
        let mut desk = Desk::begun(conditional(locked(Wait::Forever)));
        desk.at(1, &Event::StartAllowed);
        desk.at(1, &Event::LockBusy);
        desk.at(9, &Event::LockGot);
        assert_eq!(desk.at(50, &event), [format!("finish {code}")]);
    }
}

#[test]
fn no_answer_within_ten_seconds_is_a_refusal_unless_we_were_not_running_ourselves() {
    let mut desk = Desk::begun(conditional(facts()));
    assert_eq!(desk.deadline(), Some(10_000));
    let mut late = desk.clone();
    assert_eq!(desk.at(10_000, &Event::Tick), ["end check"]);
    assert_eq!(desk.at(10_000, &refused()), ["finish 75"]);
    assert_eq!(late.at(15_001, &Event::Tick), NOTHING);
    assert_eq!(late.deadline(), Some(25_001));
}

#[test]
fn an_answer_that_comes_when_nobody_waits_for_it_changes_nothing() {
    let mut desk = Desk::running(facts());
    assert_eq!(desk.at(5, &Event::StartAllowed), NOTHING);
    assert_eq!(desk.at(5, &refused()), NOTHING);
}
