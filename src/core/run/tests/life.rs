//! From Begin to Finish, where nobody asks for a stop.

use super::*;

#[test]
fn a_run_without_a_lock_spawns_at_once_and_ends_with_its_commands_code() {
    let mut desk = Desk::new(facts());
    assert_eq!(desk.at(0, &Event::Begin { queued_at: BOOT }), ["spawn"]);
    assert_eq!(desk.at(1, &Event::Forked { pid: LEADER }), NOTHING);
    assert_eq!(desk.at(2, &Event::Executed), NOTHING);
    assert_eq!(desk.deadline(), None);
    assert_eq!(desk.at(50, &last(Status::Exited(7))), ["finish 7"]);
    let outcome = desk.outcome();
    assert_eq!(outcome.reason, Reason::Ended);
    assert_eq!(outcome.status, Some(Status::Exited(7)));
    assert_eq!(
        (outcome.waited, outcome.held, outcome.ran),
        (ms(0), ms(0), ms(49))
    );
}

#[test]
fn a_run_with_a_lock_spawns_when_it_has_it_and_not_before() {
    let mut desk = Desk::new(locked(Wait::AtMost(ms(5000))));
    assert_eq!(desk.at(0, &Event::Begin { queued_at: BOOT }), ["lock"]);
    assert_eq!(desk.at(1, &Event::LockBusy), NOTHING);
    assert_eq!(desk.deadline(), Some(5000));
    assert_eq!(desk.at(4999, &Event::Tick), NOTHING);
    assert_eq!(desk.at(4999, &Event::LockGot), ["spawn"]);
    desk.at(5001, &Event::Forked { pid: LEADER });
    assert_eq!(desk.at(6000, &last(Status::Exited(0))), ["finish 0"]);
    let outcome = desk.outcome();
    assert_eq!(
        (outcome.waited, outcome.held, outcome.ran),
        (ms(4999), ms(1001), ms(999))
    );
}

#[test]
fn a_lock_held_for_a_second_has_its_file_watched_and_one_held_shorter_has_not() {
    let mut desk = Desk::running(locked(Wait::Forever));
    assert_eq!(desk.tick(), (1000, vec!["watch".to_owned()]));
    assert_eq!(desk.deadline(), None);
    let mut desk = Desk::running(locked(Wait::Forever));
    assert_eq!(desk.at(999, &last(Status::Exited(0))), ["finish 0"]);
    assert_eq!(desk.deadline(), None);
}

#[test]
fn others_are_told_of_a_command_that_has_run_for_two_milliseconds_and_of_no_shorter_one() {
    let begun = || {
        let mut run = Run::new(facts());
        run.handle(BOOT, &Event::Begin { queued_at: BOOT }, &mut Vec::new());
        run.handle(BOOT, &Event::Forked { pid: LEADER }, &mut Vec::new());
        assert_eq!(run.next_deadline(), Some(BOOT + ms(2)));
        run
    };
    let (mut run, mut out) = (begun(), Vec::new());
    run.handle(BOOT + ms(2), &Event::Tick, &mut out);
    assert_eq!(out, [Action::Claim]);
    assert_eq!(run.next_deadline(), None);
    let (mut run, mut out) = (begun(), Vec::new());
    run.handle(BOOT + ms(1), &last(Status::Exited(0)), &mut out);
    assert!(!out.contains(&Action::Claim), "{out:?}");
    assert_eq!(run.next_deadline(), None);
}

#[test]
fn a_lock_that_does_not_come_in_time_ends_the_run_with_75() {
    let mut desk = Desk::begun(locked(Wait::AtMost(ms(5000))));
    desk.at(1, &Event::LockBusy);
    assert_eq!(desk.tick(), (5000, vec!["finish 75".to_owned()]));
    assert_eq!(desk.outcome().reason, Reason::WaitExpired);
    assert_eq!(desk.outcome().waited, ms(5000));
    assert_eq!(desk.at(5000, &Event::LockGot), NOTHING);
}

#[test]
fn a_time_in_the_queue_counts_from_where_the_run_first_queued() {
    let mut desk = Desk::new(locked(Wait::AtMost(ms(5000))));
    let queued_at = BOOT - ms(2000);
    desk.at(0, &Event::Begin { queued_at });
    desk.at(0, &Event::LockBusy);
    assert_eq!(desk.deadline(), Some(3000));
    desk.at(1000, &Event::LockGot);
    desk.at(1000, &Event::Forked { pid: LEADER });
    desk.at(1500, &last(Status::Exited(0)));
    assert_eq!(desk.outcome().waited, ms(3000));
}

#[test]
fn a_wait_for_ever_has_no_deadline() {
    let mut desk = Desk::begun(locked(Wait::Forever));
    desk.at(1, &Event::LockBusy);
    assert_eq!(desk.deadline(), None);
    assert_eq!(desk.at(u64::from(u32::MAX), &Event::Tick), NOTHING);
}

#[test]
fn a_replaced_lock_file_starts_over_and_a_broken_one_ends_with_125() {
    for (event, word) in [
        (Event::LockReplaced, "start over"),
        (Event::LockFailed, "finish 125"),
    ] {
        let mut desk = Desk::begun(locked(Wait::Forever));
        assert_eq!(desk.at(1, &event), [word]);
        assert_eq!(desk.at(2, &Event::LockGot), NOTHING);
        assert_eq!(desk.deadline(), None);
    }
}

#[test]
fn directories_are_taken_before_the_lock_is_queued_for() {
    let dirs = OnConflict::Wait(Wait::AtMost(ms(5000)));
    let wait = Some(Wait::AtMost(ms(5000)));
    let mut desk = Desk::new(Facts {
        wait,
        ..claiming(dirs)
    });
    assert_eq!(desk.at(0, &Event::Begin { queued_at: BOOT }), ["dirs"]);
    assert_eq!(desk.at(0, &Event::DirBusy { may_end: true }), ["await dir"]);
    assert_eq!(desk.deadline(), Some(5000));
    assert_eq!(desk.at(3000, &Event::DirFreed), ["dirs"]);
    assert_eq!(desk.at(3000, &Event::DirsGot), ["lock"]);
    assert_eq!(desk.at(3000, &Event::LockBusy), NOTHING);
    assert_eq!(desk.deadline(), Some(5000), "one time covers both waits");
    assert_eq!(desk.at(4000, &Event::LockGot), ["spawn"]);
    desk.at(4000, &Event::Forked { pid: LEADER });
    desk.at(4500, &last(Status::Exited(0)));
    let outcome = desk.outcome();
    assert_eq!((outcome.waited, outcome.held), (ms(4000), ms(500)));
}

#[test]
fn a_run_without_a_lock_starts_when_its_directories_are_its_own() {
    let mut desk = Desk::begun(claiming(OnConflict::Fail));
    assert_eq!(desk.at(2, &Event::DirsGot), ["spawn"]);
    desk.at(2, &Event::Forked { pid: LEADER });
    assert_eq!(desk.at(9, &last(Status::Exited(3))), ["finish 3"]);
    assert_eq!(desk.outcome().held, ms(7));
}

#[test]
fn a_directory_that_is_somebody_elses_ends_a_run_that_may_not_wait_with_75() {
    let wait = OnConflict::Wait(Wait::Forever);
    for (dirs, event) in [
        (OnConflict::Fail, Event::DirBusy { may_end: true }),
        (OnConflict::Fail, Event::DirBusy { may_end: false }),
        (wait, Event::DirBusy { may_end: false }),
        (wait, Event::DirFailed),
    ] {
        let mut desk = Desk::begun(claiming(dirs));
        assert_eq!(desk.at(1, &event), ["finish 75"], "{dirs:?} {event:?}");
        assert_eq!(desk.outcome().reason, Reason::DirNotLocked);
        assert_eq!(desk.deadline(), None);
    }
}

#[test]
fn a_directory_that_does_not_come_in_time_ends_the_run_with_75() {
    let mut desk = Desk::begun(claiming(OnConflict::Wait(Wait::AtMost(ms(5000)))));
    desk.at(0, &Event::DirBusy { may_end: true });
    assert_eq!(desk.tick(), (5000, vec!["finish 75".to_owned()]));
    assert_eq!(desk.outcome().reason, Reason::WaitExpired);
    assert_eq!(desk.at(5001, &Event::DirFreed), NOTHING);
}

#[test]
fn a_replaced_latch_starts_over_and_a_stop_ends_the_wait_for_a_directory() {
    let waits = claiming(OnConflict::Wait(Wait::Forever));
    let mut desk = Desk::begun(waits.clone());
    assert_eq!(desk.at(1, &Event::DirReplaced), ["start over"]);
    let mut desk = Desk::begun(waits);
    desk.at(1, &Event::DirBusy { may_end: true });
    assert_eq!(desk.at(2, &term(SIGTERM)), ["finish 143"]);
}

#[test]
fn what_the_lock_says_later_does_not_touch_a_running_command() {
    for event in [
        Event::DirsGot,
        Event::DirBusy { may_end: false },
        Event::DirFreed,
        Event::DirReplaced,
        Event::DirFailed,
        Event::LockGot,
        Event::LockBusy,
        Event::LockReplaced,
        Event::LockFailed,
        Event::Begin { queued_at: BOOT },
    ] {
        let mut desk = Desk::running(locked(Wait::AtMost(ms(10))));
        assert_eq!(desk.at(20, &event), NOTHING, "{event:?}");
        assert_eq!(desk.at(21, &Event::Tick), NOTHING, "{event:?}");
    }
}

#[test]
fn a_command_that_cannot_be_forked_ends_the_run_at_once() {
    for (step, errno, code) in [
        (SpawnStep::Fork, 11, 125),
        (SpawnStep::Stdio, 24, 125),
        (SpawnStep::User, 2, 78),
    ] {
        let mut desk = Desk::begun(facts());
        let forked = false;
        let event = Event::SpawnFailed {
            step,
            errno,
            forked,
        };
        assert_eq!(desk.at(1, &event), [format!("finish {code}")]);
        assert_eq!(desk.outcome().reason, Reason::SpawnFailed { step, errno });
    }
}

/// ENOENT, as every architecture numbers it.
const NOT_THERE: Event = Event::SpawnFailed {
    step: SpawnStep::Exec,
    errno: 2,
    forked: true,
};

#[test]
fn a_program_that_cannot_be_run_ends_when_its_process_is_reaped_and_has_no_status() {
    let mut desk = Desk::begun(facts());
    desk.at(0, &Event::Forked { pid: LEADER });
    assert_eq!(desk.at(1, &NOT_THERE), NOTHING);
    assert_eq!(desk.at(2, &last(Status::Exited(127))), ["finish 127"]);
    assert_eq!(desk.outcome().status, None);
}

#[test]
fn a_command_whose_program_cannot_be_run_is_asked_for_nothing_before_it_is_reaped() {
    let mut desk = Desk::begun(facts());
    desk.at(0, &Event::Forked { pid: LEADER });
    desk.at(1, &NOT_THERE);
    for event in [term(SIGTERM), Event::GuardLost, trigger(), within(4000)] {
        assert_eq!(desk.at(2, &event), NOTHING, "{event:?}");
    }
    let stopping = |note: &Note| matches!(note, Note::Stopping { .. });
    assert_eq!(desk.says(stopping), 0);
    assert_eq!(
        desk.deadline(),
        Some(3002),
        "a process that does not exit is ended in time all the same"
    );
    assert_eq!(desk.at(3, &last(Status::Exited(127))), ["finish 127"]);
}

fn trigger() -> Event {
    Event::Noticed(Notice {
        trigger: true,
        ..Notice::default()
    })
}

#[test]
fn a_stop_before_a_failed_exec_is_the_reason_that_stands() {
    let mut desk = Desk::begun(facts());
    desk.at(0, &Event::Forked { pid: LEADER });
    assert_eq!(desk.at(1, &term(SIGINT)), ["command 15", "command 18"]);
    desk.at(2, &NOT_THERE);
    assert_eq!(desk.at(3, &last(Status::Exited(127))), ["finish 130"]);
    assert_eq!(desk.outcome().reason, Reason::Signal(SIGINT));
}

#[test]
fn a_stranger_reaped_in_the_queue_is_no_end_of_the_run() {
    let mut desk = Desk::begun(locked(Wait::Forever));
    desk.at(0, &Event::LockBusy);
    assert_eq!(desk.at(1, &EMPTY), NOTHING);
    assert_eq!(desk.at(2, &Event::LockGot), ["spawn"]);
}

#[test]
fn nothing_comes_after_the_end() {
    let mut desk = Desk::running(facts());
    desk.at(1, &last(Status::Exited(0)));
    for event in [
        Event::Begin { queued_at: BOOT },
        Event::LockGot,
        Event::Tick,
        term(SIGTERM),
        within(0),
        Event::GuardLost,
        EMPTY,
        last(Status::Exited(1)),
        Event::FinalLine { failed: true },
    ] {
        assert_eq!(desk.at(60_000, &event), NOTHING);
        assert_eq!(desk.deadline(), None);
    }
}
