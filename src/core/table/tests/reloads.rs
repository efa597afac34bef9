//! A new plan for a table at work.

use super::*;

fn reloaded(note: &Note) -> bool {
    matches!(note, Note::Reloaded { .. })
}

#[test]
fn the_same_plan_changes_nothing() {
    let same = plan(vec![
        every("t", 10_000, 0),
        always("a"),
        job("b"),
        manual("m"),
    ]);
    let mut desk = Desk::begun(&same);
    desk.ends(5, "a", 1);
    desk.ends(5, "t", 1);
    desk.reloads(6, &same);
    desk.reloads(7, &same);
    assert_eq!(desk.deadline_us(), Some(1_005_000));
    assert_eq!(desk.at(1_005, Event::Tick), ["start a"]);
    assert_eq!(desk.deadline_us(), Some(10_000_000));
    assert_eq!(desk.state(1_005, "b"), RowState::Running);
    let Some(Note::Reloaded {
        added,
        removed,
        changed,
    }) = desk.notes().into_iter().find(|note| reloaded(note))
    else {
        panic!("a reload is said");
    };
    assert!(added.is_empty() && removed.is_empty() && changed.is_empty());
}

#[test]
fn a_changed_job_goes_on_to_its_end_and_has_the_new_plan_from_its_next_start_on() {
    let old = plan(vec![
        locked("/old", every("t", 10_000, 0)),
        locked("/old", every("u", 10_000, 0)),
    ]);
    let mut new = old.clone();
    new.jobs[0] = locked("/new", every("t", 10_000, 0));
    new.jobs[0].run.command = vec!["new".into()];
    let mut desk = Desk::begun(&old);
    let (slot, _) = desk.last_run("t");
    desk.ends(1, "u", 0);
    desk.reloads(2, &new);
    assert_eq!(desk.table.plan(slot), Some(&new.jobs[0]));
    assert_eq!(
        desk.says(|note| matches!(note, Note::Reloaded { changed, .. } if *changed == ["t"])),
        1
    );
    // The run has the old lock, and frees that one.
    desk.ends(10_000, "t", 0);
    assert_eq!(desk.at(10_000, Event::Tick), ["start t"]);
    assert_eq!(desk.at(10_001, Event::Tick), ["start u"]);
}

#[test]
fn another_rate_is_a_grid_of_its_own_from_now_on() {
    let mut desk = Desk::begun(&plan(vec![
        every("t", 10_000, 0),
        every("gone", 10_000, 0),
        job("once"),
    ]));
    for name in ["t", "gone", "once"] {
        desk.ends(1, name, 0);
    }
    let new = plan(vec![
        every("t", 7_000, 0),
        job("gone"),
        every("once", 20_000, 0),
    ]);
    assert_eq!(desk.reloads(3_000, &new), NOTHING);
    assert_eq!(desk.deadline_us(), Some(10_000_000));
    assert_eq!(desk.at(10_000, Event::Tick), ["start t"]);
    desk.ends(10_001, "t", 0);
    assert_eq!(desk.deadline_us(), Some(17_000_000));
    desk.at(17_000, Event::Tick);
    desk.ends(17_001, "t", 0);
    // What has lost its rate has run; what has got one ticks when a period is over.
    assert_eq!(desk.at(23_000, Event::Tick), ["start once"]);
}

#[test]
fn a_new_job_begins_as_at_boot_and_one_that_is_gone_starts_nothing_more() {
    let mut desk = Desk::begun(&plan(vec![every("t", 10_000, 0), job("b")]));
    let (slot, _) = desk.last_run("t");
    let new = plan(vec![job("b"), every("new", 5_000, 0), manual("m")]);
    assert_eq!(desk.reloads(1_000, &new), ["start new"]);
    assert_eq!(
        desk.asks(1_500, 1, start("t")),
        [told(1, &Answer::NoSuchJob { near: None })]
    );
    assert_eq!(
        desk.table
            .view(BOOT)
            .iter()
            .filter(|row| row.removed)
            .count(),
        1
    );
    assert_eq!(desk.at(10_000, Event::Tick), NOTHING);
    assert_eq!(desk.ends(10_001, "t", 3), NOTHING);
    assert_eq!(desk.table.plan(slot), None);
    // Its slot is given to the next one, and what is told of the old run is not taken for that.
    let mut newer = new.clone();
    newer.jobs.push(job("another"));
    assert_eq!(desk.reloads(10_002, &newer), ["start another"]);
    assert_eq!(desk.last_run("another").0, slot);
}

#[test]
fn a_job_that_is_back_before_its_run_is_over_is_not_begun_anew() {
    let both = plan(vec![job("a"), every("t", 10_000, 0), job("b")]);
    let mut desk = Desk::begun(&both);
    let (slot, _) = desk.last_run("a");
    desk.reloads(1, &plan(vec![job("b")]));
    desk.reloads(2_000, &both);
    assert_eq!(desk.ends(2_001, "a", 0), NOTHING);
    assert_eq!(desk.table.plan(slot).unwrap().run.job, "a");
    assert_eq!(desk.deadline_us(), Some(12_000_000));
    assert_eq!(desk.state(2_001, "a"), RowState::Over);
}

#[test]
fn a_job_that_changed_and_changed_back_before_its_run_was_over_is_what_it_was() {
    let old = plan(vec![always("a")]);
    let mut new = old.clone();
    new.jobs[0].run.command = vec!["new".into()];
    let mut desk = Desk::begun(&old);
    desk.reloads(1, &new);
    desk.reloads(2, &old);
    assert_eq!(desk.ends(3, "a", 1), NOTHING);
    assert_eq!(desk.deadline_us(), Some(1_003_000));
    let (slot, _) = desk.last_run("a");
    assert_eq!(desk.table.plan(slot), Some(&old.jobs[0]));
}

#[test]
fn a_job_that_had_failed_is_tried_at_once_when_its_plan_has_changed() {
    let old = staying(vec![
        limited(1, Then::GiveUp, always("given-up")),
        always("backing-off"),
        job("over"),
    ]);
    let mut desk = Desk::begun(&old);
    desk.ends(0, "given-up", 1);
    desk.at(1000, Event::Tick);
    desk.ends(1000, "given-up", 1);
    desk.ends(1000, "backing-off", 1);
    desk.ends(1000, "over", 1);
    let mut new = old.clone();
    for job in &mut new.jobs {
        job.run.command = vec!["new".into()];
    }
    // What is to run once has run.
    assert_eq!(
        desk.reloads(1500, &new),
        ["start given-up", "start backing-off"]
    );
    desk.ends(1600, "given-up", 1);
    assert_eq!(desk.state(1600, "given-up"), RowState::BackingOff);
    // Who has taken the restarts out means it.
    for job in &mut new.jobs {
        job.restart.when = When::Never;
    }
    assert_eq!(desk.reloads(1700, &new), NOTHING);
    assert_eq!(desk.state(1700, "given-up"), RowState::Over);
}

#[test]
fn from_manual_to_boot_begins_and_back_again_takes_the_next_start_away() {
    let mut desk = Desk::begun(&staying(vec![manual("a")]));
    assert_eq!(
        desk.reloads(5, &staying(vec![every("a", 10_000, 0)])),
        ["start a"]
    );
    desk.ends(6, "a", 0);
    assert_eq!(desk.deadline_us(), Some(10_005_000));
    assert_eq!(desk.reloads(7, &staying(vec![manual("a")])), NOTHING);
    assert_eq!(desk.deadline_us(), None);
}

#[test]
fn who_waits_for_a_job_that_is_taken_out_is_told() {
    let mut desk = Desk::begun(&staying(vec![job("a"), job("b")]));
    desk.asks(1, 1, restart("a"));
    desk.asks(1, 2, stop("b"));
    let refused = desk.reloads(2, &staying(Vec::new()));
    assert!(refused[0].starts_with("tell 1 Refused"), "{refused:?}");
    assert_eq!(desk.ends(3, "a", 143), NOTHING);
    let answer = Answer::Stopped {
        code: 143,
        reason: Some(Reason::Ended),
    };
    assert_eq!(desk.ends(3, "b", 143), [told(2, &answer)]);
    assert!(desk.table.rows.iter().all(Option::is_none));
}

#[test]
fn the_main_command_stays_whatever_the_file_says() {
    let mut desk = Desk::begun(&plan(vec![main("m"), job("a")]));
    let other = plan(vec![job("a"), main("other")]);
    assert_eq!(desk.reloads(1, &other), ["start other"]);
    let warned = |note: &Note| matches!(note, Note::ConfigWarning { .. });
    assert_eq!(desk.says(warned), 2);
    // The other one is a job as any other.
    assert_eq!(desk.ends(2, "other", 1), NOTHING);
    assert_eq!(desk.ends(3, "a", 0), NOTHING);
    assert_eq!(desk.ends(4, "m", 5), ["exit 5"]);

    // One of the command line is no business of the file.
    let mut desk = Desk::typed(&plan(vec![job("m"), main("m")]));
    assert_eq!(
        desk.reloads(1, &plan(vec![job("m"), job("b")])),
        ["start b"]
    );
    assert_eq!(desk.says(warned), 0);
    assert_eq!(desk.says(|note| matches!(note, Note::Reloaded { removed, changed, .. } if removed.is_empty() && changed.is_empty())), 1);
}

#[test]
fn a_class_that_gets_more_places_gives_them_away_and_one_that_loses_them_waits() {
    let jobs = |places| {
        let job = |name| placed("k", places, job(name));
        plan(vec![job("a"), job("b"), job("c"), job("d")])
    };
    let mut desk = Desk::begun(&jobs(1));
    assert_eq!(desk.reloads(1, &jobs(3)), ["start b", "start c"]);
    assert_eq!(desk.reloads(2, &jobs(1)), NOTHING);
    assert_eq!(desk.ends(3, "a", 0), NOTHING);
    assert_eq!(desk.ends(4, "b", 0), NOTHING);
    assert_eq!(desk.ends(5, "c", 0), ["start d"]);
}

#[test]
fn a_job_that_moves_to_another_class_has_the_place_of_its_run_to_the_end() {
    let both = |class| {
        plan(vec![
            placed(class, 1, every("a", 10_000, 0)),
            placed("old", 1, job("b")),
            placed("new", 1, job("c")),
        ])
    };
    let mut desk = Desk::begun(&both("old"));
    assert_eq!(desk.state(0, "b"), RowState::Queued);
    assert_eq!(desk.reloads(1, &both("new")), NOTHING);
    assert_eq!(desk.ends(2, "a", 0), ["start b"]);
    // From its next start on it is in the other one.
    assert_eq!(desk.at(10_000, Event::Tick), NOTHING);
    assert_eq!(desk.ends(10_001, "c", 0), ["start a"]);

    // A queue that is there no more keeps nobody.
    let mut desk = Desk::begun(&both("old"));
    let free = plan(vec![every("a", 10_000, 0), job("b"), job("c")]);
    assert_eq!(desk.reloads(1, &free), ["start b"]);
}

#[test]
fn what_is_in_a_queue_when_its_plan_changes_starts_once_and_with_the_new_one() {
    let jobs = |command: &str, places: u64| {
        let mut once = placed("k", places, job("once"));
        let mut rate = placed("k", places, every("rate", 10_000, 0));
        for job in [&mut once, &mut rate] {
            job.run.command = vec![command.into()];
        }
        staying(vec![placed("k", places, job("first")), once, rate])
    };
    let mut desk = Desk::begun(&jobs("old", 1));
    assert_eq!(desk.reloads(1, &jobs("new", 1)), NOTHING);
    assert_eq!(desk.ends(2, "first", 0), ["start once"]);
    let (slot, _) = desk.last_run("once");
    assert_eq!(desk.table.plan(slot).unwrap().run.command, ["new"]);
    assert_eq!(desk.ends(3, "once", 0), ["start rate"]);
    assert_eq!(desk.ends(4, "rate", 0), NOTHING);
    assert_eq!(desk.deadline_us(), Some(10_000_000));
    // Also where the queue is there no more.
    desk.asks(5, 1, start("first"));
    assert_eq!(desk.at(10_000, Event::Tick), NOTHING);
    let mut free = jobs("new", 1);
    for job in &mut free.jobs {
        job.max_parallel = None;
    }
    assert_eq!(desk.reloads(10_001, &free), ["start rate"]);
    assert_eq!(desk.deadline_us(), Some(20_000_000));
}

#[test]
fn who_waits_for_others_waits_for_what_the_new_plan_says() {
    let old = plan(vec![job("a"), after(&["a:succeeded"], job("w")), job("b")]);
    let mut desk = Desk::begun(&old);
    let new = plan(vec![job("a"), after(&["b"], job("w")), job("b")]);
    desk.begins(1, "b");
    assert_eq!(desk.reloads(2, &new), ["start w"]);

    let mut desk = Desk::begun(&old);
    let free = plan(vec![job("a"), job("w"), job("b")]);
    assert_eq!(desk.reloads(1, &free), ["start w"]);

    // Who is gone takes those with him that wait for him, until they are told otherwise.
    let mut desk = Desk::begun(&plan(vec![job("a"), every("w", 10_000, 5_000)]));
    desk.ends(1, "a", 1);
    let late = plan(vec![
        job("a"),
        after(&["a:succeeded"], every("w", 10_000, 5_000)),
    ]);
    assert_eq!(desk.state(1, "w"), RowState::Idle);
    assert_eq!(desk.reloads(2, &late), ["exit 1"]);
    assert_eq!(
        desk.says(|note| matches!(note, Note::NeverStarts { .. })),
        1
    );
}

#[test]
fn a_reload_counts_for_nothing_once_the_stop_has_begun() {
    let mut desk = Desk::begun(&plan(vec![job("a")]));
    desk.signal(1, SIGTERM);
    assert_eq!(desk.reloads(2, &plan(vec![job("a"), job("b")])), NOTHING);
    assert_eq!(desk.says(reloaded), 0);
}

#[test]
fn ten_thousand_reloads_leave_no_slots_and_no_names_behind() {
    let jobs = |n: u64| {
        let run = |k: u64| format!("job{}", n * 7 + k);
        let mut jobs = vec![every("t", 5_000 + n, 0), placed("k", 2, always("a"))];
        jobs.push(after(&["t"], placed("k", 1 + n % 3, job(&run(0)))));
        jobs.push(locked(&format!("/l{n}"), every(&run(1), 60_000, 0)));
        jobs.push(manual(&run(2)));
        plan(jobs)
    };
    let mut desk = Desk::begun(&jobs(0));
    for n in 1..10_000 {
        let now = n * 100;
        desk.actions.clear();
        desk.reloads(now, &jobs(n));
        let started: Vec<(JobIndex, RunId)> = desk
            .actions
            .iter()
            .filter_map(|action| match action {
                Action::StartRun { job, run } => Some((*job, *run)),
                _ => None,
            })
            .collect();
        for (job, run) in started {
            desk.at(now, Event::RunBegun { job, run });
            // One in three goes on for some time.
            if run.0 % 3 > 0 {
                let end = Event::RunEnded {
                    job,
                    run,
                    code: 1,
                    reason: None,
                    ran: None,
                };
                desk.at(now, end);
            }
        }
        let living: Vec<_> = desk.table.runs().collect();
        for (job, run) in living {
            if run.0 % 3 == 0 && n % 5 == 0 {
                let end = Event::RunEnded {
                    job,
                    run,
                    code: 0,
                    reason: None,
                    ran: None,
                };
                desk.at(now, end);
            }
        }
        let table = &desk.table;
        assert!(
            table.rows.len() < 64,
            "{} slots at reload {n}",
            table.rows.len()
        );
        assert!(table.freed.len() < 64);
        assert!(
            table
                .rows()
                .all(|row| row.dependents.len() < 8 && row.clients.is_empty())
        );
        assert!(table.places.fits(4));
    }
    assert!(
        desk.table.rows.capacity() <= 128,
        "{}",
        desk.table.rows.capacity()
    );
}
