use std::time::UNIX_EPOCH;

use super::*;
use crate::sys::process::own_pid;

/// No process has the highest number of all.
const NOBODY: i32 = i32::MAX;

/// As gastown wrote it just now, of process `pid`.
fn gastown(pid: i32) -> DirRecord {
    DirRecord {
        pid,
        acquired_at: super::super::record::now(),
        hostname: Here::read().hostname,
        ..DirRecord::default()
    }
}

/// The same, with all that can be known.
fn exact(pid: i32) -> DirRecord {
    let origin = Origin::read();
    DirRecord {
        start_time: proc::stat(own_pid()).map(|stat| stat.start_time),
        boot_id: origin.boot_id,
        pid_ns: origin.pid_ns,
        ..gastown(pid)
    }
}

fn no_sessions() -> Sessions {
    Sessions::known(&[], false)
}

fn why_here(record: &DirRecord, here: &Here, sessions: &Sessions) -> Why {
    judge(record, None, &|| false, here, sessions).why
}

fn why(record: &DirRecord) -> Why {
    why_here(record, &Here::read(), &no_sessions())
}

#[test]
fn ours_is_judged_by_its_latch() {
    let mut ours = exact(NOBODY);
    ours.token = Some("t".to_owned());
    ours.boot_id = Some("another".to_owned());
    let verdict = |latch| judge(&ours, latch, &|| false, &Here::read(), &no_sessions());
    assert_eq!(verdict(Some(true)).why, Why::LatchHeld);
    assert_eq!(verdict(Some(false)).why, Why::LatchFree);
    assert_eq!(verdict(None).life, Life::CannotTell);
    let mut living = ours.clone();
    living.pid = own_pid();
    living.boot_id = None;
    let verdict = judge(
        &living,
        Some(false),
        &|| false,
        &Here::read(),
        &no_sessions(),
    );
    assert_eq!(verdict.life, Life::Dead, "a number alone is no process");
}

#[test]
fn a_free_latch_is_no_proof_of_death_while_the_recorded_process_lives() {
    let ours = |record: DirRecord| DirRecord {
        token: Some("t".to_owned()),
        ..record
    };
    let verdict =
        |record: &DirRecord| judge(record, Some(false), &|| true, &Here::read(), &no_sessions());
    let living = ours(exact(own_pid()));
    let told = verdict(&living);
    assert_eq!((told.life, told.why), (Life::Alive, Why::Unguarded));
    assert!(told.is_orphaned());
    assert_eq!(verdict(&ours(exact(NOBODY))).why, Why::LatchFree);
    let mut recycled = living.clone();
    recycled.start_time = recycled.start_time.map(|ticks| ticks - 1);
    assert_eq!(verdict(&recycled).why, Why::LatchFree);
}

#[test]
fn of_a_holder_elsewhere_a_free_latch_says_nothing_where_it_may_be_hidden() {
    let mut elsewhere = exact(own_pid());
    elsewhere.token = Some("t".to_owned());
    elsewhere.pid_ns = Some(1);
    let mut earlier = exact(own_pid());
    earlier.token = Some("t".to_owned());
    earlier.boot_id = Some("another".to_owned());
    for record in [elsewhere, earlier] {
        let verdict = |unsure: bool| {
            judge(
                &record,
                Some(false),
                &|| unsure,
                &Here::read(),
                &no_sessions(),
            )
            .why
        };
        assert_eq!(verdict(true), Why::LatchUnsure);
        assert_eq!(verdict(true).life(), Life::CannotTell);
        assert_eq!(verdict(false), Why::LatchFree);
    }
}

#[test]
fn a_foreign_record_under_a_held_latch_stands() {
    let verdict = judge(
        &gastown(NOBODY),
        Some(true),
        &|| false,
        &Here::read(),
        &no_sessions(),
    );
    assert_eq!((verdict.life, verdict.why), (Life::Alive, Why::LatchHeld));
}

#[test]
fn a_manual_record_is_never_stale() {
    let mut manual = gastown(NOBODY);
    manual.acquired_at = "1970-01-01T00:00:00Z".to_owned();
    manual.boot_id = Some("another".to_owned());
    for token in [None, Some("t".to_owned())] {
        manual.token = token;
        for (by, reason) in [("ada", None), ("", Some("")), ("", None)] {
            manual.by = Some(by.to_owned());
            manual.reason = reason.map(str::to_owned);
            let verdict = judge(
                &manual,
                Some(false),
                &|| false,
                &Here::read(),
                &no_sessions(),
            );
            assert_eq!(verdict.life, Life::Alive);
        }
    }
}

#[test]
fn a_process_lives_or_is_gone() {
    assert_eq!(why(&gastown(own_pid())), Why::ProcessLives);
    assert_eq!(why(&exact(own_pid())), Why::ProcessLives);
    assert_eq!(why(&gastown(NOBODY)), Why::ProcessGone);
    assert_eq!(why(&exact(NOBODY)), Why::ProcessGone);
}

#[test]
fn a_recycled_number_has_another_start_time() {
    let mut record = exact(own_pid());
    record.start_time = record.start_time.map(|ticks| ticks - 1);
    let verdict = judge(&record, None, &|| false, &Here::read(), &no_sessions());
    assert_eq!((verdict.life, verdict.why), (Life::Dead, Why::Recycled));
}

#[test]
fn without_a_start_time_a_younger_process_is_a_doubt_that_a_gone_session_settles() {
    let mut record = gastown(own_pid());
    record.acquired_at = "1970-01-02T00:00:00Z".to_owned();
    let verdict = judge(&record, None, &|| false, &Here::read(), &no_sessions());
    assert_eq!(
        (verdict.life, verdict.why),
        (Life::CannotTell, Why::Younger)
    );

    record.session_id = "%7".to_owned();
    assert_eq!(why(&record), Why::Recycled);
    let unknown = Sessions::known(&[], true);
    assert_eq!(why_here(&record, &Here::read(), &unknown), Why::Younger);
    let alive = Sessions::known(&["%7"], true);
    assert_eq!(why_here(&record, &Here::read(), &alive), Why::SessionLives);
}

#[test]
fn a_process_that_started_within_the_tolerance_is_the_records_own() {
    let record = gastown(own_pid());
    let ticks = proc::stat(own_pid()).unwrap().start_time;
    let since_boot = Duration::from_secs(ticks / clock::ticks_per_second());
    let written = record.acquired().unwrap();
    let booted = |later| Here {
        booted: Some(written - since_boot + later),
        ..Here::read()
    };
    let second = Duration::from_secs(1);
    let own = why_here(&record, &booted(CLOCK_TOLERANCE), &no_sessions());
    assert_eq!(own, Why::ProcessLives);
    let other = why_here(&record, &booted(CLOCK_TOLERANCE + second), &no_sessions());
    assert_eq!(other, Why::Younger);
}

#[test]
fn a_clock_that_jumps_kills_nobody() {
    let day = Duration::from_hours(24);
    let now = Here::read();
    let booted = now.booted.unwrap();
    for booted in [
        Some(booted + day),
        Some(booted - day),
        Some(UNIX_EPOCH),
        None,
    ] {
        let here = Here {
            booted,
            ..Here::read()
        };
        for record in [gastown(own_pid()), exact(own_pid())] {
            let life = judge(&record, None, &|| false, &here, &no_sessions()).life;
            assert_ne!(life, Life::Dead, "{booted:?} {record:?}");
        }
        // With its start time the clock does not matter at all.
        assert_eq!(
            why_here(&exact(own_pid()), &here, &no_sessions()),
            Why::ProcessLives
        );
        assert_eq!(
            why_here(&gastown(NOBODY), &here, &no_sessions()),
            Why::ProcessGone
        );
    }
}

#[test]
fn a_record_from_the_future_is_judged_like_any_other() {
    for mut record in [gastown(own_pid()), exact(own_pid())] {
        record.acquired_at = "2999-01-01T00:00:00Z".to_owned();
        assert_eq!(why(&record), Why::ProcessLives);
        record.pid = NOBODY;
        assert_eq!(why(&record), Why::ProcessGone);
    }
}

#[test]
fn age_alone_is_no_reason() {
    let mut record = exact(own_pid());
    record.acquired_at = "1970-01-02T00:00:00Z".to_owned();
    assert_eq!(why(&record), Why::ProcessLives);
}

#[test]
fn a_restart_of_the_host_kills_its_records() {
    let mut record = exact(own_pid());
    record.boot_id = Some("00000000-0000-0000-0000-000000000000".to_owned());
    record.pid_ns = Some(1);
    record.session_id = "$0".to_owned();
    let alive = Sessions::known(&["$0"], false);
    let verdict = judge(&record, None, &|| false, &Here::read(), &alive);
    assert_eq!((verdict.life, verdict.why), (Life::Dead, Why::Rebooted));
}

#[test]
fn another_boot_on_another_host_is_not_known() {
    let mut record = exact(NOBODY);
    record.boot_id = Some("00000000-0000-0000-0000-000000000000".to_owned());
    for hostname in ["", "elsewhere"] {
        record.hostname = hostname.to_owned();
        let verdict = judge(&record, None, &|| false, &Here::read(), &no_sessions());
        assert_eq!(
            (verdict.life, verdict.why),
            (Life::CannotTell, Why::OtherHost)
        );
    }
    record.hostname = Here::read().hostname;
    let blind = Here {
        origin: Origin::default(),
        ..Here::read()
    };
    assert_eq!(why_here(&record, &blind, &no_sessions()), Why::OtherHost);
}

#[test]
fn without_a_boot_and_a_namespace_the_hosts_name_decides() {
    for hostname in ["", "elsewhere"] {
        for pid in [own_pid(), NOBODY] {
            let mut record = gastown(pid);
            record.hostname = hostname.to_owned();
            assert_eq!(why(&record), Why::OtherHost);
            // One of the two is not enough.
            record.pid_ns = Origin::read().pid_ns;
            assert_eq!(why(&record), Why::OtherHost);
            record.pid_ns = None;
            record.boot_id = Origin::read().boot_id;
            assert_eq!(why(&record), Why::OtherHost);
        }
    }
}

#[test]
fn a_host_without_a_name_has_no_records() {
    let mut record = gastown(NOBODY);
    record.hostname = String::new();
    let nameless = Here {
        hostname: String::new(),
        ..Here::read()
    };
    assert_eq!(why_here(&record, &nameless, &no_sessions()), Why::OtherHost);
}

#[test]
fn a_changed_host_name_does_not_matter_in_the_same_boot_and_namespace() {
    let renamed = Here {
        hostname: "renamed".to_owned(),
        ..Here::read()
    };
    let living = why_here(&exact(own_pid()), &renamed, &no_sessions());
    assert_eq!(living, Why::ProcessLives);
    let gone = why_here(&exact(NOBODY), &renamed, &no_sessions());
    assert_eq!(gone, Why::ProcessGone);
    let unknown = why_here(&gastown(own_pid()), &renamed, &no_sessions());
    assert_eq!(unknown, Why::OtherHost);
}

#[test]
fn a_number_of_another_namespace_means_nobody_here() {
    for pid in [own_pid(), NOBODY, 1] {
        let mut record = exact(pid);
        record.pid_ns = record.pid_ns.map(|namespace| namespace + 1);
        assert_eq!(why(&record), Why::OtherNamespace);
    }
}

#[test]
fn a_foreign_proc_shows_nobody() {
    let here = Here {
        proc_is_ours: false,
        ..Here::read()
    };
    for record in [exact(own_pid()), exact(NOBODY), gastown(NOBODY)] {
        assert_eq!(why_here(&record, &here, &no_sessions()), Why::ProcUnusable);
    }
}

#[test]
fn a_living_session_outlives_the_process_that_wrote_the_record() {
    let mut record = gastown(NOBODY);
    record.session_id = "%2".to_owned();
    let sessions = Sessions::known(&["$1", "@1", "%2", "gt-b"], false);
    assert_eq!(
        why_here(&record, &Here::read(), &sessions),
        Why::SessionLives
    );
    record.session_id = "gt-b".to_owned();
    assert_eq!(
        why_here(&record, &Here::read(), &sessions),
        Why::SessionLives
    );
}

#[test]
fn process_and_session_must_both_be_gone() {
    let mut record = gastown(NOBODY);
    record.session_id = "%2".to_owned();
    assert_eq!(why(&record), Why::SessionGone);
    let unknown = Sessions::known(&["%1"], true);
    let verdict = judge(&record, None, &|| false, &Here::read(), &unknown);
    assert_eq!(
        (verdict.life, verdict.why),
        (Life::CannotTell, Why::SessionUnknown)
    );
}

#[test]
fn a_living_owner_without_its_session_is_an_orphan() {
    let mut record = gastown(own_pid());
    record.session_id = "gt-b".to_owned();
    let verdict = judge(&record, None, &|| false, &Here::read(), &no_sessions());
    assert_eq!((verdict.life, verdict.is_orphaned()), (Life::Alive, true));
    let unknown = Sessions::known(&[], true);
    assert_eq!(
        why_here(&record, &Here::read(), &unknown),
        Why::ProcessLives
    );
}

#[test]
fn a_record_without_a_process_is_not_known_to_be_dead() {
    for pid in [0, -1, i32::MIN] {
        assert_eq!(why(&gastown(pid)), Why::NoProcess);
    }
}
