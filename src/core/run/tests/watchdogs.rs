//! `timeout`, `idle_timeout`, `final`.

use super::*;

fn idle(millis: u64) -> Facts {
    let mut facts = facts();
    facts.limits.idle_timeout = Some(ms(millis));
    facts
}

const fn heard(at_ms: u64) -> Event {
    Event::LastOutput {
        at: Time(BOOT.0 + at_ms * 1_000_000),
    }
}

#[test]
fn a_timeout_counts_from_the_commands_start() {
    let mut facts = locked(Wait::Forever);
    facts.limits.timeout = Some(ms(5000));
    let mut desk = Desk::begun(facts);
    desk.at(0, &Event::LockBusy);
    desk.at(60_000, &Event::LockGot);
    desk.at(60_010, &Event::Forked { pid: LEADER });
    desk.at(60_020, &Event::Executed);
    assert_eq!(desk.tick(), (61_000, vec!["watch".to_owned()]));
    let stop = vec!["group 15".to_owned(), "group 18".to_owned()];
    assert_eq!(desk.tick(), (65_010, stop));
    assert_eq!(desk.at(65_011, &last(Status::Exited(0))), ["finish 124"]);
    assert_eq!(desk.outcome().reason, Reason::Timeout);
    assert_eq!(desk.outcome().status, Some(Status::Exited(0)));
}

#[test]
fn a_command_that_is_never_silent_for_so_long_goes_on() {
    let mut desk = Desk::running(idle(1000));
    for n in 1..20 {
        let due = n * 1000 - (n - 1);
        assert_eq!(desk.tick(), (due, vec!["output?".to_owned()]));
        assert_eq!(desk.deadline(), None);
        assert_eq!(desk.at(due, &heard(due - 1)), NOTHING);
    }
}

#[test]
fn silence_for_the_whole_time_ends_the_run_with_124() {
    let mut desk = Desk::running(idle(1000));
    desk.tick();
    desk.at(1000, &heard(400));
    assert_eq!(desk.tick(), (1400, vec!["output?".to_owned()]));
    assert_eq!(desk.at(1400, &heard(400)), ["group 15", "group 18"]);
    assert_eq!(desk.at(1500, &last(Status::Killed(15))), ["finish 124"]);
    assert_eq!(desk.outcome().reason, Reason::IdleTimeout);
}

#[test]
fn whoever_wakes_late_holds_no_silence_against_the_command_but_listens_again() {
    let mut desk = Desk::running(idle(1000));
    let late = |note: &Note| matches!(note, Note::WokeLate { .. });
    // Paused for an hour: once more.
    assert_eq!(desk.at(3_600_000, &Event::Tick), NOTHING);
    assert_eq!(desk.deadline(), Some(3_601_000));
    assert_eq!(desk.says(late), 1);
    // And once only, if the command stays silent.
    assert_eq!(desk.tick().1, ["output?"]);
    assert_eq!(desk.at(3_601_000, &heard(0)), ["group 15", "group 18"]);
}

#[test]
fn five_seconds_late_is_not_yet_paused() {
    let mut desk = Desk::running(idle(1000));
    assert_eq!(desk.at(6000, &Event::Tick), ["output?"]);
    let mut desk = Desk::running(idle(1000));
    assert_eq!(desk.at(6001, &Event::Tick), NOTHING);
}

#[test]
fn a_timeout_fires_however_late_it_is_seen() {
    let mut facts = idle(1000);
    facts.limits.timeout = Some(ms(5000));
    let mut desk = Desk::running(facts);
    assert_eq!(desk.at(3_600_000, &Event::Tick), ["group 15", "group 18"]);
    assert_eq!(desk.says(|note| matches!(note, Note::WokeLate { .. })), 0);
}

#[test]
fn a_command_that_hangs_after_its_result_is_ended_with_0_or_1() {
    for (failed, code) in [(false, 0), (true, 1)] {
        let limits = with_final(3000);
        let mut desk = Desk::running(Facts { limits, ..facts() });
        assert_eq!(desk.at(100, &Event::FinalLine { failed }), NOTHING);
        let stop = vec!["group 15".to_owned(), "group 18".to_owned()];
        assert_eq!(desk.tick(), (3100, stop));
        let end = last(Status::Killed(15));
        assert_eq!(desk.at(3101, &end), [format!("finish {code}")]);
        assert_eq!(desk.outcome().reason, Reason::Final { failed });
    }
}

#[test]
fn the_last_result_counts_and_has_the_grace_for_itself() {
    let limits = with_final(3000);
    let mut desk = Desk::running(Facts { limits, ..facts() });
    desk.at(100, &Event::FinalLine { failed: true });
    desk.at(2000, &Event::FinalLine { failed: false });
    assert_eq!(desk.tick().0, 5000);
    assert_eq!(desk.at(5001, &last(Status::Killed(15))), ["finish 0"]);
}

#[test]
fn a_command_that_goes_after_its_result_keeps_its_own_code() {
    let limits = with_final(3000);
    let mut desk = Desk::running(Facts { limits, ..facts() });
    desk.at(100, &Event::FinalLine { failed: true });
    assert_eq!(desk.at(200, &gone(Status::Exited(9))), ["term"]);
    assert_eq!(desk.at(1200, &Event::Tick), ["term", "kill"]);
    assert_eq!(desk.at(1201, &EMPTY), ["finish 9"]);
    assert_eq!(desk.outcome().reason, Reason::Ended);
}

#[test]
fn a_final_line_where_none_is_asked_for_means_nothing() {
    let mut desk = Desk::running(facts());
    assert_eq!(desk.at(1, &Event::FinalLine { failed: true }), NOTHING);
    assert_eq!(desk.deadline(), None);
}
