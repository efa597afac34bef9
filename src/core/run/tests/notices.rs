//! `ready_timeout`, `heartbeat`, and what else a command says of itself.

use super::*;

const STOP: [&str; 2] = ["group 15", "group 18"];

fn watched(heartbeat: Option<u64>, ready_timeout: Option<u64>) -> Facts {
    let mut facts = facts();
    facts.limits.heartbeat = heartbeat.map(ms);
    facts.limits.ready_timeout = ready_timeout.map(ms);
    facts
}

fn says(datagram: &str) -> Event {
    Event::Noticed(Notice::parse(datagram.as_bytes()).unwrap())
}

fn stopped(at: u64) -> (u64, Vec<String>) {
    (at, STOP.map(str::to_owned).to_vec())
}

#[test]
fn a_command_that_gives_no_sign_of_life_for_a_heartbeat_is_stopped_with_124() {
    let mut desk = Desk::running(watched(Some(1000), None));
    for n in 1..20 {
        assert_eq!(desk.at(n * 999, &says("WATCHDOG=1")), NOTHING);
    }
    assert_eq!(desk.tick(), stopped(19 * 999 + 1000));
    assert_eq!(desk.at(20_000, &last(Status::Exited(0))), ["finish 124"]);
    assert_eq!(desk.outcome().reason, Reason::Heartbeat);
}

#[test]
fn nothing_but_a_sign_of_life_is_one() {
    let mut desk = Desk::running(watched(Some(1000), None));
    desk.at(500, &says("READY=1\nSTATUS=fine"));
    desk.at(600, &Event::FinalLine { failed: false });
    assert_eq!(desk.tick(), stopped(1000));
}

#[test]
fn a_command_that_is_not_ready_in_time_is_stopped_with_124() {
    let mut desk = Desk::running(watched(None, Some(1000)));
    assert_eq!(desk.at(900, &says("WATCHDOG=1")), NOTHING);
    assert_eq!(desk.tick(), stopped(1000));
    assert_eq!(desk.at(1100, &last(Status::Killed(15))), ["finish 124"]);
    assert_eq!(desk.outcome().reason, Reason::ReadyTimeout);
}

#[test]
fn a_command_that_is_ready_is_so_once_and_for_all() {
    let mut desk = Desk::running(watched(None, Some(1000)));
    assert_eq!(desk.at(999, &says("READY=1")), ["ready"]);
    assert_eq!(desk.says(|note| *note == Note::Ready { after: ms(999) }), 1);
    assert_eq!(desk.deadline(), None);
    assert_eq!(desk.at(2000, &says("READY=1")), NOTHING);
    assert_eq!(desk.at(9000, &last(Status::Exited(7))), ["finish 7"]);
}

#[test]
fn while_a_command_has_time_to_get_ready_it_need_not_show_that_it_lives() {
    let mut desk = Desk::running(watched(Some(100), Some(1000)));
    assert_eq!(desk.deadline(), Some(1000));
    desk.at(50, &says("WATCHDOG=1"));
    assert_eq!(desk.deadline(), Some(1000));
    desk.at(900, &says("READY=1"));
    assert_eq!(desk.tick(), stopped(1000));
    assert_eq!(desk.at(1001, &last(Status::Exited(0))), ["finish 124"]);
    assert_eq!(desk.outcome().reason, Reason::Heartbeat);
}

#[test]
fn a_command_may_change_its_heartbeat_begin_one_and_end_it() {
    let mut desk = Desk::running(watched(Some(1000), None));
    desk.at(500, &says("WATCHDOG_USEC=3000000"));
    assert_eq!(desk.deadline(), Some(3500));
    desk.at(3000, &says("WATCHDOG=1"));
    assert_eq!(desk.deadline(), Some(6000));
    desk.at(4000, &says("WATCHDOG_USEC=0"));
    assert_eq!(desk.deadline(), None);
    desk.at(5000, &says("WATCHDOG=1"));
    assert_eq!(desk.deadline(), None);
    desk.at(6000, &says("WATCHDOG_USEC=1000000"));
    assert_eq!(desk.tick(), stopped(7000));
    let mut desk = Desk::running(watched(None, None));
    desk.at(10, &says("WATCHDOG_USEC=1000000"));
    assert_eq!(desk.tick(), stopped(1010));
}

#[test]
fn a_command_that_gives_itself_up_is_stopped_at_once() {
    let mut desk = Desk::running(watched(None, None));
    assert_eq!(
        desk.at(5, &says("WATCHDOG=trigger\nSTATUS=broken")),
        ["status broken", STOP[0], STOP[1]]
    );
    assert_eq!(desk.at(9, &last(Status::Exited(3))), ["finish 124"]);
}

#[test]
fn whoever_wakes_late_holds_no_missed_heartbeat_against_the_command() {
    let late = |note: &Note| matches!(note, Note::WokeLate { .. });
    for (heartbeat, on_time) in [(10, 100), (1000, 250), (60_000, 5000)] {
        let at = heartbeat + on_time;
        let mut desk = Desk::running(watched(Some(heartbeat), None));
        assert_eq!(desk.at(at, &Event::Tick), STOP, "{heartbeat}");
        let mut desk = Desk::running(watched(Some(heartbeat), None));
        assert_eq!(desk.at(at + 1, &Event::Tick), NOTHING, "{heartbeat}");
        assert_eq!(
            (desk.deadline(), desk.says(late)),
            (Some(at + 1 + heartbeat), 1)
        );
        // It is said once, until there is a sign of life again.
        desk.at(3_600_000, &Event::Tick);
        assert_eq!(desk.says(late), 1);
        desk.at(3_600_000, &says("WATCHDOG=1"));
        desk.at(7_200_000, &Event::Tick);
        assert_eq!(desk.says(late), 2);
        assert_eq!(desk.tick(), stopped(7_200_000 + heartbeat));
    }
}

#[test]
fn whoever_wakes_late_gives_a_command_the_time_to_get_ready_once_more() {
    let mut desk = Desk::running(watched(None, Some(1000)));
    assert_eq!(desk.at(6001, &Event::Tick), NOTHING);
    assert_eq!(desk.tick(), stopped(7001));
    let mut desk = Desk::running(watched(None, Some(1000)));
    assert_eq!(desk.at(6000, &Event::Tick), STOP);
}

#[test]
fn a_command_that_ends_by_itself_has_the_grace_of_a_stop_and_no_other_limit_but_its_timeout() {
    let mut facts = watched(Some(1000), Some(2000));
    facts.limits.timeout = Some(ms(60_000));
    let mut desk = Desk::running(facts.clone());
    desk.at(900, &says("STOPPING=1"));
    desk.at(950, &says("STOPPING=1\nWATCHDOG=1"));
    assert_eq!(desk.tick(), stopped(10_900));
    assert_eq!(desk.at(10_901, &last(Status::Exited(0))), ["finish 124"]);
    assert_eq!(desk.outcome().reason, Reason::Heartbeat);
    let mut desk = Desk::running(facts);
    desk.at(900, &says("STOPPING=1"));
    assert_eq!(desk.at(1900, &last(Status::Exited(3))), ["finish 3"]);
}

#[test]
fn more_time_that_is_asked_for_moves_what_is_due_before_it_and_shortens_nothing() {
    let mut facts = watched(Some(1000), Some(1000));
    facts.limits.timeout = Some(ms(5000));
    let mut desk = Desk::running(facts);
    desk.at(0, &says("EXTEND_TIMEOUT_USEC=500000"));
    assert_eq!(desk.deadline(), Some(1000));
    desk.at(900, &says("EXTEND_TIMEOUT_USEC=3000000"));
    assert_eq!(desk.deadline(), Some(3900));
    desk.at(3000, &says("EXTEND_TIMEOUT_USEC=6000000"));
    assert_eq!(desk.deadline(), Some(9000));
    // No heartbeat is moved.
    desk.at(8000, &says("READY=1\nEXTEND_TIMEOUT_USEC=60000000"));
    assert_eq!(desk.tick(), stopped(9000));
}

#[test]
fn no_command_has_more_than_an_hour_at_once() {
    let mut desk = Desk::running(watched(None, Some(1000)));
    desk.at(900, &says("EXTEND_TIMEOUT_USEC=18446744073709551615"));
    assert_eq!(desk.tick(), stopped(3_600_900));
}

#[test]
fn a_command_that_is_being_stopped_may_ask_for_more_time_but_not_for_more_than_init_has() {
    let asks = says("EXTEND_TIMEOUT_USEC=60000000");
    let mut desk = Desk::running(facts());
    desk.at(0, &term(SIGTERM));
    assert_eq!(desk.deadline(), Some(10_000));
    desk.at(9000, &asks);
    assert_eq!(desk.tick(), (69_000, vec!["term".to_owned()]));
    // Those whom it left have no more for that.
    desk.at(69_001, &asks);
    assert_eq!(desk.at(70_000, &Event::Tick), ["term", "kill"]);
    let mut desk = Desk::running(facts());
    desk.at(0, &within(4000));
    desk.at(1000, &asks);
    assert_eq!(desk.tick(), (3000, vec!["term".to_owned()]));
    let mut desk = Desk::running(facts());
    desk.at(0, &term(SIGTERM));
    desk.at(0, &asks);
    desk.at(5000, &within(4000));
    assert_eq!(desk.tick(), (8000, vec!["term".to_owned()]));
    let mut desk = Desk::running(facts());
    desk.at(0, &term(SIGTERM));
    desk.at(1, &asks);
    assert_eq!(desk.at(1001, &term(SIGTERM)), ["kill"]);
}

#[test]
fn a_stop_ends_every_watch_over_what_the_command_says() {
    let mut desk = Desk::running(watched(Some(1000), None));
    desk.at(10, &term(SIGTERM));
    for datagram in [
        "WATCHDOG=1",
        "READY=1",
        "STOPPING=1",
        "WATCHDOG=trigger",
        "WATCHDOG_USEC=5",
    ] {
        assert_eq!(desk.at(20, &says(datagram)), NOTHING, "{datagram}");
    }
    assert_eq!(desk.deadline(), Some(10_010));
}

#[test]
fn a_status_is_told_at_most_once_a_second_and_the_last_one_in_the_end() {
    let mut desk = Desk::running(facts());
    assert_eq!(desk.at(100, &says("STATUS=a")), ["status a"]);
    assert_eq!(desk.at(200, &says("STATUS=a")), NOTHING);
    assert_eq!(desk.deadline(), None);
    for n in 0..900 {
        assert_eq!(desk.at(200 + n, &says(&format!("STATUS=b{n}"))), NOTHING);
    }
    assert_eq!(desk.tick(), (1100, vec!["status b899".to_owned()]));
    assert_eq!(desk.deadline(), None);
    assert_eq!(desk.at(2100, &says("STATUS=")), ["status "]);
}

#[test]
fn the_last_status_before_a_stop_is_told_on_each_rung_of_the_ladder_and_before_the_sweep() {
    let said = || {
        let mut desk = Desk::running(facts());
        desk.at(100, &says("STATUS=a"));
        assert_eq!(desk.at(200, &says("STATUS=b")), NOTHING);
        desk
    };
    let told = (1100, vec!["status b".to_owned()]);
    let mut stopping = said();
    stopping.at(300, &term(SIGTERM));
    assert_eq!(stopping.tick(), told);
    // Its last words, while it goes.
    assert_eq!(stopping.at(3000, &says("STATUS=c")), ["status c"]);
    let mut left = said();
    left.at(300, &gone(Status::Exited(0)));
    assert_eq!(left.at(1100, &Event::Tick), ["status b", "term"]);
    let mut killed = said();
    killed.at(300, &within(0));
    assert_eq!(killed.tick(), told);
    let mut swept = said();
    swept.run.facts.sweep = Some(ms(6000));
    assert_eq!(
        swept.at(300, &last(Status::Exited(0))),
        ["status b", "sweep"]
    );
}

#[test]
fn what_is_said_before_there_is_a_command_or_after_its_end_means_nothing() {
    let all = says("READY=1\nSTATUS=x\nWATCHDOG=trigger\nEXTEND_TIMEOUT_USEC=9\nWATCHDOG_USEC=9");
    let mut desk = Desk::begun(locked(Wait::AtMost(ms(500))));
    desk.at(0, &Event::LockBusy);
    assert_eq!(desk.at(1, &all), NOTHING);
    assert_eq!(desk.deadline(), Some(500));
    let mut desk = Desk::running(facts());
    desk.at(5, &last(Status::Exited(0)));
    let before = desk.actions.len();
    desk.at(6, &all);
    assert_eq!(desk.actions.len(), before);
}
