//! What people ask for, and what they are told.

use super::*;

#[test]
fn a_manual_job_starts_when_somebody_asks_and_the_answer_waits_for_its_guard() {
    let mut desk = Desk::begun(&staying(vec![manual("a")]));
    assert_eq!(desk.asks(5, 1, start("a")), ["start a"]);
    let run_id = desk.last_run("a").1.to_string();
    assert_eq!(
        desk.begins(6, "a"),
        [told(
            1,
            &Answer::Started {
                run_id: run_id.clone()
            }
        )]
    );
    assert_eq!(
        desk.asks(7, 2, start("a")),
        [told(2, &Answer::Running { run_id })]
    );
    assert_eq!(desk.ends(8, "a", 3), NOTHING);
    assert_eq!(desk.asks(9, 3, start("a")), ["start a"]);
    let text = "cannot fork: out of processes".to_owned();
    // Whoever asked knows: it is not tried again behind his back.
    assert_eq!(
        desk.has_no_guard(10, "a"),
        [told(3, &Answer::Refused { text })]
    );
    assert_eq!(desk.deadline_us(), None);
}

#[test]
fn a_stop_by_hand_leaves_the_run_its_graces_is_answered_at_its_end_and_holds_the_job() {
    let mut desk = Desk::begun(&plan(vec![every("a", 10_000, 0)]));
    assert_eq!(desk.asks(5, 1, stop("a")), ["stop a own"]);
    assert_eq!(desk.asks(6, 2, stop("a")), NOTHING);
    let (code, reason) = (143, Some(Reason::Ended));
    let answer = Answer::Stopped { code, reason };
    // A stop that was asked for ends nothing else: the container goes on.
    assert_eq!(desk.ends(7, "a", 143), [told(1, &answer), told(2, &answer)]);
    assert_eq!(desk.deadline_us(), None);
    assert_eq!(desk.asks(8, 3, stop("a")), [told(3, &Answer::NotRunning)]);
    assert_eq!(desk.asks(14_000, 4, start("a")), ["start a"]);
    desk.begins(14_000, "a");
    // And the grid is the old one.
    assert_eq!(desk.deadline_us(), Some(20_000_000));
}

#[test]
fn a_restart_starts_anew_after_the_end_also_what_does_not_run() {
    let mut desk = Desk::begun(&plan(vec![locked("/l", job("a")), job("b")]));
    assert_eq!(desk.asks(5, 1, restart("a")), ["stop a own"]);
    assert_eq!(desk.asks(6, 2, restart("a")), NOTHING);
    // Others who wait for the lock get it first.
    assert_eq!(desk.ends(7, "a", 143), NOTHING);
    assert_eq!(desk.deadline_us(), Some(8_000));
    assert_eq!(desk.at(8, Event::Tick), ["start a"]);
    let run_id = desk.last_run("a").1.to_string();
    let answer = Answer::Started { run_id };
    assert_eq!(desk.begins(9, "a"), [told(1, &answer), told(2, &answer)]);
    desk.ends(10, "b", 0);
    // What was stopped on request has not failed.
    assert_eq!(desk.ends(11, "a", 0), ["exit 0"]);
}

#[test]
fn a_name_that_no_job_has_is_answered_with_the_nearest() {
    let mut desk = Desk::begun(&plan(vec![job("gardener")]));
    let near = Some("gardener".to_owned());
    assert_eq!(
        desk.asks(5, 1, start("gardner")),
        [told(1, &Answer::NoSuchJob { near })]
    );
    assert_eq!(
        desk.asks(6, 2, stop("x")),
        [told(2, &Answer::NoSuchJob { near: None })]
    );
}

#[test]
fn once_a_stop_has_begun_nobody_is_served_and_who_waits_for_a_start_is_told() {
    let mut desk = Desk::begun(&plan(vec![job("a")]));
    desk.asks(5, 1, restart("a"));
    assert_eq!(
        desk.signal(6, SIGTERM),
        [told(1, &Answer::Ending), "stop a 7000".to_owned()]
    );
    assert_eq!(desk.asks(7, 2, start("a")), [told(2, &Answer::Ending)]);
}

#[test]
fn no_more_than_256_wait_for_one_job_and_the_others_are_told_at_once() {
    let mut desk = Desk::begun(&plan(vec![job("a")]));
    for client in 0..256 {
        desk.asks(5, client, stop("a"));
    }
    for ask in [stop("a"), restart("a")] {
        let refused = desk.asks(6, 999, ask);
        assert!(refused[0].starts_with("tell 999 Refused"), "{refused:?}");
    }
    assert_eq!(desk.ends(7, "a", 143).len(), 256 + 1);
}

#[test]
fn that_only_stay_keeps_init_is_said_once_whatever_is_started_by_hand() {
    let mut desk = Desk::begun(&staying(vec![manual("a")]));
    for at in [10, 20, 30] {
        desk.asks(at, at, start("a"));
        desk.ends(at + 1, "a", 0);
    }
    assert_eq!(desk.says(|note| *note == Note::Staying), 1);
}
