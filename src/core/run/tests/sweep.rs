//! Lock directories: looked at before the command, swept after its tree, watched while in doubt.

use super::*;

const DOUBT: Event = Event::Swept { doubtful: true };
const NO_DOUBT: Event = Event::Swept { doubtful: false };

/// With lock directories, watched for 6 s.
fn sweeping() -> Facts {
    Facts {
        sweep: Some(ms(6000)),
        ..facts()
    }
}

/// Its command has ended at 100, and lock directories are in doubt.
fn doubtful() -> Desk {
    let mut desk = Desk::running(sweeping());
    assert_eq!(desk.at(100, &last(Status::Exited(3))), ["sweep"]);
    assert_eq!(desk.at(100, &DOUBT), NOTHING);
    desk
}

#[test]
fn they_are_looked_at_before_there_is_a_command_and_with_the_lock() {
    let mut desk = Desk::begun(Facts {
        wait: Some(Wait::Forever),
        ..sweeping()
    });
    assert_eq!(desk.at(5, &Event::LockGot), ["look", "spawn"]);
}

#[test]
fn without_a_doubt_the_run_is_over_at_once() {
    let mut desk = Desk::running(sweeping());
    assert_eq!(desk.at(100, &last(Status::Exited(3))), ["sweep"]);
    assert_eq!(desk.at(101, &NO_DOUBT), ["finish 3"]);
}

#[test]
fn a_run_that_never_began_has_left_nothing() {
    let mut desk = Desk::begun(sweeping());
    let failed = Event::SpawnFailed {
        step: SpawnStep::Fork,
        errno: 11,
        forked: false,
    };
    assert_eq!(desk.at(1, &failed), ["finish 125"]);
}

#[test]
fn the_doubtful_are_watched_and_what_gave_no_sign_goes() {
    let mut desk = doubtful();
    let end = ["end watch ToTheEnd".to_owned(), "finish 3".to_owned()];
    assert_eq!(desk.tick(), (6100, end.to_vec()));
    let outcome = desk.outcome();
    assert_eq!((outcome.ran, outcome.reason), (ms(100), Reason::Ended));
}

#[test]
fn the_last_sign_of_life_ends_the_watch() {
    let mut desk = doubtful();
    assert_eq!(desk.at(2000, &DOUBT), NOTHING);
    assert_eq!(desk.deadline(), Some(6100));
    assert_eq!(desk.at(3000, &NO_DOUBT), ["finish 3"]);
}

#[test]
fn a_watch_that_ends_late_begins_anew_once_and_then_proves_nothing() {
    let mut desk = doubtful();
    assert_eq!(desk.at(6601, &Event::Tick), NOTHING);
    assert_eq!(desk.deadline(), Some(12_601));
    let late = ["end watch Late", "finish 3"];
    assert_eq!(desk.clone().at(13_102, &Event::Tick), late);
    let to_the_end = ["end watch ToTheEnd", "finish 3"];
    assert_eq!(desk.at(13_101, &Event::Tick), to_the_end);
}

#[test]
fn a_first_stop_lets_the_watch_go_on_and_a_second_cuts_it_short() {
    let mut desk = doubtful();
    assert_eq!(desk.at(1000, &term(SIGTERM)), NOTHING);
    assert_eq!(desk.at(1999, &term(SIGTERM)), NOTHING);
    let cut = ["end watch CutShort", "finish 3"];
    assert_eq!(desk.at(2000, &term(SIGINT)), cut);
}

#[test]
fn who_had_no_patience_with_the_command_has_none_with_the_watch() {
    let mut desk = Desk::running(sweeping());
    desk.at(0, &term(SIGTERM));
    assert_eq!(desk.at(1000, &term(SIGTERM)), ["kill"]);
    assert_eq!(desk.at(1100, &last(Status::Killed(9))), ["sweep"]);
    let cut = ["end watch CutShort", "finish 137"];
    assert_eq!(desk.at(1100, &DOUBT), cut);
}

#[test]
fn an_order_of_init_cuts_short_what_would_not_be_over_in_time() {
    let cut = ["end watch CutShort", "finish 3"];
    for (within_ms, cuts) in [
        (0, true),
        (3000, true),
        (5099, true),
        (5100, false),
        (9000, false),
    ] {
        let mut desk = doubtful();
        let did = desk.at(1000, &within(within_ms));
        assert_eq!(did == cut, cuts, "{within_ms}: {did:?}");
    }
    let mut desk = doubtful();
    assert_eq!(desk.at(1000, &Event::StopWithin { within: None }), NOTHING);
    // An earlier one counts, too: of its 9 s the command took 4.
    let mut desk = Desk::running(sweeping());
    desk.at(0, &within(9000));
    assert_eq!(desk.at(4000, &last(Status::Exited(3))), ["sweep"]);
    assert_eq!(desk.at(4000, &DOUBT), cut);
}

#[test]
fn a_lost_guard_and_the_signals_of_a_command_change_nothing() {
    let mut desk = doubtful();
    for event in [
        Event::GuardLost,
        term(SIGTSTP),
        term(10),
        EMPTY,
        Event::CommandStopped,
        Event::Survivors { pids: Vec::new() },
    ] {
        assert_eq!(desk.at(500, &event), NOTHING, "{event:?}");
    }
    assert_eq!(desk.deadline(), Some(6100));
}
