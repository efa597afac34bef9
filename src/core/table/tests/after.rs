//! Who starts only when something has come true of others.

use super::*;

#[test]
fn a_job_starts_when_all_that_it_waits_for_has_come_true() {
    let jobs = vec![
        after(&["b:ready", "c:succeeded", "d"], job("a")),
        job("b"),
        job("c"),
        manual("d"),
    ];
    let mut desk = Desk::begun(&staying(jobs));
    assert_eq!(desk.state(0, "a"), RowState::WaitingForAfter);
    desk.begins(1, "b");
    desk.is_ready(2, "b");
    desk.begins(3, "c");
    assert_eq!(desk.ends(4, "c", 0), NOTHING);
    assert_eq!(desk.asks(5, 1, start("d")), ["start d"]);
    // Begun is what its guard says, not what was wanted.
    let run_id = desk.last_run("d").1.to_string();
    let begun = told(1, &Answer::Started { run_id });
    assert_eq!(desk.begins(6, "d"), [begun, "start a".to_owned()]);
    // What was true once stays true, and the gate is for the first start.
    desk.ends(7, "b", 1);
    desk.ends(8, "a", 0);
    assert_eq!(desk.asks(9, 2, start("a")), ["start a"]);
}

#[test]
fn a_failure_is_no_success_and_an_end_by_hand_none_either() {
    let jobs = vec![job("a"), after(&["a:succeeded"], job("b"))];
    let mut desk = Desk::begun(&staying(jobs));
    desk.ends(1, "a", 1);
    desk.asks(2, 1, start("a"));
    desk.asks(3, 2, stop("a"));
    assert_eq!(desk.ends(4, "a", 0).len(), 1);
    desk.asks(5, 3, start("a"));
    desk.begins(5, "a");
    assert_eq!(desk.ends(6, "a", 0), ["start b"]);
}

#[test]
fn what_waits_for_a_job_that_failed_for_good_is_said_once_each_and_keeps_nobody() {
    let jobs = vec![
        // The order of the file is not that of the chain.
        after(&["b"], job("c")),
        after(&["a:succeeded"], job("b")),
        job("a"),
    ];
    let mut desk = Desk::begun(&plan(jobs));
    assert_eq!(desk.ends(1, "a", 7), ["exit 7"]);
    let lost = |note: &&&Note| matches!(note, Note::NeverStarts { .. });
    let notes = desk.notes();
    let lost: Vec<&&Note> = notes.iter().filter(lost).collect();
    let (b, c) = ("b".to_owned(), "c".to_owned());
    let a = Note::NeverStarts {
        job: b.clone(),
        after: "a".to_owned(),
        want: Want::Succeeded,
        code: Some(7),
    };
    let b = Note::NeverStarts {
        job: c,
        after: b,
        want: Want::Started,
        code: None,
    };
    assert_eq!(lost, [&&a, &&b]);
}

#[test]
fn a_job_that_ended_well_and_was_never_ready_counts_as_a_failure_of_who_waits() {
    let jobs = vec![job("a"), after(&["a:ready"], job("b"))];
    let mut desk = Desk::begun(&plan(jobs));
    assert_eq!(desk.ends(1, "a", 0), ["exit 125"]);
}

#[test]
fn a_main_command_that_can_never_start_ends_the_container() {
    let jobs = vec![
        job("a"),
        after(&["a:succeeded"], main("m")),
        every("t", 1000, 0),
    ];
    let mut desk = Desk::begun(&plan(jobs));
    desk.ends(1, "t", 0);
    assert_eq!(desk.ends(1, "a", 9), ["exit 9"]);
}

#[test]
fn a_job_that_is_restarted_or_comes_again_is_waited_for() {
    let jobs = vec![
        always("a"),
        every("t", 60_000, 0),
        after(&["a:succeeded"], job("b")),
        after(&["t:succeeded"], job("c")),
    ];
    let mut desk = Desk::begun(&plan(jobs));
    desk.ends(1, "a", 1);
    desk.ends(1, "t", 1);
    assert_eq!(
        desk.says(|note| matches!(note, Note::NeverStarts { .. })),
        0
    );
    desk.at(1001, Event::Tick);
    assert_eq!(desk.ends(1002, "a", 0), ["start b"]);
    desk.at(60_000, Event::Tick);
    assert_eq!(desk.ends(60_001, "t", 0), ["start c"]);
}

#[test]
fn who_waits_for_what_nobody_has_asked_for_keeps_nobody_and_is_no_failure() {
    let jobs = vec![manual("a"), after(&["a"], job("b")), job("c")];
    let mut desk = Desk::begun(&plan(jobs.clone()));
    assert_eq!(desk.ends(1, "c", 0), ["exit 0"]);
    assert_eq!(
        desk.says(|note| matches!(note, Note::NeverStarts { .. })),
        0
    );
    // Once somebody has asked it is worth waiting for, and said where it was in vain.
    let mut desk = Desk::begun(&plan(jobs));
    desk.asks(1, 1, start("a"));
    assert_eq!(desk.ends(2, "c", 0), NOTHING);
    assert_eq!(desk.has_no_guard(3, "a").last().unwrap(), "exit 0");
}

#[test]
fn with_a_rate_the_grid_begins_when_the_gate_opens() {
    let jobs = vec![job("a"), after(&["a:succeeded"], every("t", 10_000, 0))];
    let mut desk = Desk::begun(&plan(jobs));
    assert_eq!(desk.deadline_us(), None);
    assert_eq!(desk.ends(3_333, "a", 0), ["start t"]);
    assert_eq!(desk.deadline_us(), Some(13_333_000));
}

#[test]
fn who_asks_for_what_has_to_wait_is_told_for_what() {
    let jobs = vec![job("a"), after(&["a:succeeded"], manual("b"))];
    let mut desk = Desk::begun(&staying(jobs));
    let refused = desk.asks(1, 1, start("b"));
    assert!(
        refused[0].contains("after \\\"a\\\" has succeeded"),
        "{refused:?}"
    );
    // A manual job does not start because it could.
    assert_eq!(desk.ends(2, "a", 0), NOTHING);
    assert_eq!(desk.asks(3, 2, restart("b")), ["start b"]);
}

#[test]
fn a_job_that_was_started_by_hand_after_all_lets_the_others_go() {
    let jobs = vec![
        job("a"),
        after(&["a:succeeded"], job("b")),
        after(&["b"], job("c")),
    ];
    let mut desk = Desk::begun(&staying(jobs));
    desk.ends(1, "a", 1);
    assert_eq!(desk.state(1, "c"), RowState::GivenUp);
    desk.asks(2, 1, start("a"));
    // In vain once more is not said once more.
    desk.ends(3, "a", 1);
    desk.asks(4, 2, start("a"));
    desk.begins(4, "a");
    assert_eq!(desk.ends(5, "a", 0), ["start b"]);
    assert_eq!(desk.begins(6, "b"), ["start c"]);
    assert_eq!(
        desk.says(|note| matches!(note, Note::NeverStarts { .. })),
        2
    );
}

#[test]
fn a_thousand_jobs_in_a_row_start_one_after_the_other_and_fail_in_one_go() {
    let name = |n: usize| format!("job{n}");
    let chain = |want: &str| -> Vec<JobPlan> {
        let waits = |n: usize| after(&[&format!("{}:{want}", name(n + 1))], job(&name(n)));
        // The first one of the file is the last one to start.
        (0..999).map(waits).chain([job(&name(999))]).collect()
    };
    let mut desk = Desk::begun(&plan(chain("started")));
    for n in (1..1000).rev() {
        assert_eq!(desk.begins(1, &name(n)), [format!("start {}", name(n - 1))]);
    }
    let mut desk = Desk::begun(&plan(chain("succeeded")));
    assert_eq!(desk.ends(1, &name(999), 3), ["exit 3"]);
    assert_eq!(
        desk.says(|note| matches!(note, Note::NeverStarts { .. })),
        999
    );
}
