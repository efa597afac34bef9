//! Signals that are the command's and not a stop.

use super::*;

const USR1: i32 = 10;
const WINCH: i32 = 28;
const QUIT: i32 = 3;

fn shared() -> Facts {
    Facts {
        own_session: false,
        ..facts()
    }
}

#[test]
fn a_signal_goes_to_the_group_of_a_session_of_its_own_and_else_to_the_command() {
    for (facts, to) in [(facts(), "group"), (shared(), "command")] {
        let mut desk = Desk::running(facts);
        for signo in [USR1, WINCH, QUIT, 64] {
            assert_eq!(desk.at(1, &term(signo)), [format!("{to} {signo}")]);
        }
    }
}

#[test]
fn signals_before_the_program_runs_are_held_and_come_once_and_in_order() {
    let mut desk = Desk::begun(locked(Wait::Forever));
    desk.at(0, &Event::LockBusy);
    assert_eq!(desk.at(1, &term(USR1)), NOTHING);
    assert_eq!(desk.at(2, &term(WINCH)), NOTHING);
    assert_eq!(desk.at(3, &Event::LockGot), ["spawn"]);
    assert_eq!(desk.at(4, &Event::Forked { pid: LEADER }), NOTHING);
    assert_eq!(desk.at(5, &term(USR1)), NOTHING);
    assert_eq!(desk.at(6, &Event::Executed), ["group 10", "group 28"]);
    assert_eq!(desk.at(6, &Event::Executed), NOTHING);
    assert_eq!(desk.at(7, &term(USR1)), ["group 10"]);
}

#[test]
fn a_stop_before_the_program_runs_goes_to_the_process_which_may_lead_no_group_yet() {
    let mut desk = Desk::begun(facts());
    desk.at(0, &Event::Forked { pid: LEADER });
    assert_eq!(desk.at(1, &term(SIGTERM)), ["command 15", "command 18"]);
}

#[test]
fn what_a_terminal_sends_to_a_shared_group_is_not_doubled() {
    for signo in [SIGINT, QUIT, SIGTSTP, WINCH] {
        let mut desk = Desk::running(shared());
        assert_eq!(desk.at(1, &by_terminal(signo)), NOTHING, "{signo}");
        assert_eq!(desk.deadline(), None);
    }
    let mut desk = Desk::begun(shared());
    desk.at(0, &by_terminal(WINCH));
    desk.at(0, &Event::Forked { pid: LEADER });
    assert_eq!(desk.at(1, &Event::Executed), NOTHING);
}

#[test]
fn what_a_terminal_sends_reaches_a_command_in_another_session_through_us() {
    let mut desk = Desk::running(facts());
    assert_eq!(desk.at(1, &by_terminal(WINCH)), ["group 28"]);
    assert_eq!(desk.at(2, &by_terminal(SIGINT)), ["group 15", "group 18"]);
}

#[test]
fn a_terminals_stop_becomes_one_that_an_orphaned_group_obeys() {
    for signo in [SIGTSTP, SIGTTIN, SIGTTOU] {
        let mut desk = Desk::running(facts());
        assert_eq!(desk.at(1, &by_terminal(signo)), ["group 19"]);
        assert_eq!(desk.at(2, &term(SIGCONT)), ["group 18"]);
        let mut desk = Desk::running(shared());
        assert_eq!(desk.at(1, &term(signo)), [format!("command {signo}")]);
    }
}

#[test]
fn a_stop_signal_that_we_were_started_ignoring_stays_ignored() {
    let ignored = vec![SIGHUP];
    let mut desk = Desk::running(Facts { ignored, ..facts() });
    assert_eq!(desk.at(1, &term(SIGHUP)), NOTHING);
    assert_eq!(desk.deadline(), None);
    assert_eq!(desk.at(2, &term(SIGTERM)), ["group 15", "group 18"]);
}

#[test]
fn hup_is_the_commands_own_business_where_it_does_not_ask_for_the_stop() {
    let hup_stops = false;
    let mut desk = Desk::running(Facts {
        hup_stops,
        ..facts()
    });
    assert_eq!(desk.at(1, &term(SIGHUP)), ["group 1"]);
    assert_eq!(desk.deadline(), None);
    let mut desk = Desk::running(facts());
    assert_eq!(desk.at(1, &term(SIGHUP)), ["group 15", "group 18"]);
}

#[test]
fn no_signal_is_sent_to_a_command_that_has_gone() {
    let mut desk = Desk::running(facts());
    desk.at(1, &gone(Status::Exited(0)));
    assert_eq!(desk.at(2, &term(USR1)), NOTHING);
    assert_eq!(desk.at(3, &Event::GuardLost), NOTHING);
}

#[test]
fn a_stopped_command_stops_us_only_under_a_shell_with_job_control() {
    for (job_control, words) in [(true, vec!["stop self"]), (false, vec![])] {
        let mut desk = Desk::running(Facts {
            job_control,
            ..shared()
        });
        assert_eq!(desk.at(1, &Event::CommandStopped), words);
        desk.at(2, &term(SIGTERM));
        assert_eq!(desk.at(3, &Event::CommandStopped), NOTHING);
    }
}

/// A run whose plan says this of signals.
fn mapped(facts: Facts, map: &[(i32, Option<i32>)]) -> Facts {
    let mut signals = SignalMap::default();
    for (from, to) in map {
        signals.say(*from, *to);
    }
    Facts { signals, ..facts }
}

#[test]
fn a_signal_that_is_dropped_is_as_if_it_had_not_come() {
    for signo in [SIGTERM, SIGINT, SIGHUP, QUIT, USR1, SIGTSTP, SIGCONT, 64] {
        for facts in [facts(), shared(), locked(Wait::Forever)] {
            let queued = facts.wait.is_some();
            let facts = mapped(facts, &[(signo, None)]);
            let mut desk = if queued {
                Desk::begun(facts)
            } else {
                Desk::running(facts)
            };
            assert_eq!(desk.at(1, &term(signo)), NOTHING, "{signo}");
            if queued {
                desk.at(2, &Event::LockGot);
                desk.at(3, &Event::Forked { pid: LEADER });
                assert_eq!(desk.at(4, &Event::Executed), NOTHING, "{signo}");
            }
        }
    }
}

#[test]
fn the_command_is_sent_what_stands_in_a_signals_place_also_when_it_is_held() {
    let map = [
        (USR1, Some(WINCH)),
        (WINCH, Some(40)),
        (SIGTSTP, Some(QUIT)),
    ];
    let mut desk = Desk::begun(mapped(facts(), &map));
    assert_eq!(desk.at(1, &term(USR1)), NOTHING);
    desk.at(2, &Event::Forked { pid: LEADER });
    assert_eq!(desk.at(3, &Event::Executed), ["group 28"]);
    assert_eq!(desk.at(4, &term(USR1)), ["group 28"]);
    assert_eq!(desk.at(5, &term(WINCH)), ["group 40"]);
    assert_eq!(desk.at(6, &term(SIGTSTP)), ["group 3"]);
}

#[test]
fn a_stop_stays_a_stop_whatever_stands_in_its_signals_place() {
    for signo in [SIGTERM, SIGINT, SIGHUP] {
        let mut desk = Desk::running(mapped(facts(), &[(signo, Some(USR1))]));
        let rungs = ["group 15", "group 18"];
        assert_eq!(desk.at(1, &term(signo)), rungs, "{signo}");
    }
    let hup_passes = Facts {
        hup_stops: false,
        ..facts()
    };
    let mut desk = Desk::running(mapped(hup_passes, &[(SIGHUP, Some(USR1))]));
    assert_eq!(desk.at(1, &term(SIGHUP)), ["group 10"]);
}
