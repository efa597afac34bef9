//! Two holders of one lock.

use super::*;

fn unsure() -> Facts {
    Facts {
        unsure: true,
        ..locked(Wait::Forever)
    }
}

fn seen(stamps: &[(&str, i64)]) -> Event {
    let stamps = stamps.iter().map(|(id, stamp)| ((*id).to_owned(), *stamp));
    Event::ClaimsSeen {
        stamps: stamps.collect(),
    }
}

/// What each look at these stamps of one rival makes of it.
fn looks(stamps: &[i64]) -> Vec<Vec<String>> {
    let mut desk = Desk::running(unsure());
    let mut at = 0;
    let looks = stamps.iter().map(|stamp| {
        at += 1000;
        desk.at(at, &seen(&[("r2", *stamp)]))
    });
    looks.collect()
}

const NONE: Vec<String> = Vec::new();

fn split() -> Vec<String> {
    vec!["split r2".to_owned()]
}

#[test]
fn a_claim_is_touched_every_second_as_long_as_the_lock_is_held_also_through_the_ladder() {
    let mut desk = Desk::running(unsure());
    assert_eq!(
        desk.tick(),
        (1000, vec!["watch".to_owned(), "touch".to_owned()])
    );
    assert_eq!(desk.tick(), (2000, vec!["touch".to_owned()]));
    desk.at(2500, &term(SIGTERM));
    assert_eq!(desk.tick(), (3000, vec!["touch".to_owned()]));
    desk.at(3500, &gone(Status::Exited(0)));
    assert!(desk.at(4000, &Event::Tick).contains(&"touch".to_owned()));
    desk.at(4600, &term(SIGTERM));
    assert_eq!(desk.tick(), (5000, vec!["touch".to_owned()]));
    desk.at(5500, &EMPTY);
    assert_eq!(desk.deadline(), None);
}

#[test]
fn no_claim_is_touched_where_the_lock_can_be_judged_nor_while_it_is_waited_for() {
    let mut desk = Desk::running(locked(Wait::Forever));
    desk.tick();
    assert_eq!(desk.deadline(), None);
    let mut desk = Desk::begun(unsure());
    desk.at(0, &Event::LockBusy);
    assert_eq!(desk.deadline(), None);
}

#[test]
fn a_rival_whose_stamp_changes_twice_is_reported_once() {
    assert_eq!(looks(&[7, 8, 9, 10, 11]), [NONE, NONE, split(), NONE, NONE]);
    // A server's clock that goes backwards, and one that was looked at more often than it ticks.
    assert_eq!(looks(&[9, 9, 8, 8, 7]), [NONE, NONE, NONE, NONE, split()]);
}

#[test]
fn a_claim_that_is_merely_there_and_the_last_touch_of_a_dead_one_are_no_rival() {
    assert_eq!(looks(&[7, 7, 7, 7]), [NONE, NONE, NONE, NONE]);
    assert_eq!(looks(&[7, 8, 8, 8]), [NONE, NONE, NONE, NONE]);
}

#[test]
fn each_rival_counts_for_itself_and_one_that_has_gone_is_forgotten() {
    let mut desk = Desk::running(unsure());
    desk.at(1000, &seen(&[("r2", 1), ("r3", 1)]));
    desk.at(2000, &seen(&[("r2", 2), ("r3", 2)]));
    desk.at(3000, &seen(&[("r3", 2)]));
    assert_eq!(desk.at(4000, &seen(&[("r2", 4), ("r3", 4)])), ["split r3"]);
}
