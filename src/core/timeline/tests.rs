use super::*;

/// A sign of run 1 of job dev in container a, `at` so many milliseconds.
fn sign(at: Ms, fact: Fact) -> Sign {
    Sign {
        at,
        container: "a".into(),
        job: "dev".into(),
        class: "batch".into(),
        run_id: "1".into(),
        lock: match fact {
            Fact::Waits | Fact::Obtained(_) | Fact::Released(_) | Fact::Split => "/l".into(),
            _ => String::new(),
        },
        holder: String::new(),
        reason: match fact {
            Fact::Ended { .. } => "ended".into(),
            _ => String::new(),
        },
        signal: String::new(),
        code: Some(0),
        fact,
    }
}

/// The same of another run.
fn of(container: &str, run_id: &str, at: Ms, fact: Fact) -> Sign {
    Sign {
        container: container.into(),
        run_id: run_id.into(),
        ..sign(at, fact)
    }
}

const fn ended(waited: Ms, held: Ms) -> Fact {
    Fact::Ended {
        waited,
        held,
        ran: true,
    }
}

fn timeline(signs: &[Sign], question: &Question) -> Timeline {
    let mut builder = Builder::default();
    for sign in signs {
        builder.take(sign);
    }
    builder.finish(question).unwrap()
}

/// What a run did: the first letter of each phase, and its edges.
fn spans(run: &Run) -> String {
    let each = run.spans.iter().map(|Span { phase, from, to }| {
        let letter = phase.word().chars().next().unwrap();
        format!("{letter}{from}-{to}")
    });
    let left = if run.open_left { "<" } else { "" };
    format!(
        "{left}{} {:?}",
        each.collect::<Vec<_>>().join(" "),
        run.end.mark()
    )
}

#[track_caller]
fn check(signs: &[Sign], expected: &str) {
    check_in(signs, &Question::default(), expected);
}

#[track_caller]
fn check_in(signs: &[Sign], question: &Question, expected: &str) {
    let known = timeline(signs, question);
    let runs: Vec<String> = known
        .rows
        .iter()
        .flat_map(|row| row.runs.iter().map(spans))
        .collect();
    assert_eq!(runs.join("; "), expected);
}

#[test]
fn a_run_waits_holds_is_stopped_and_ends() {
    check(
        &[
            sign(1000, Fact::Waits),
            sign(3000, Fact::Obtained(2000)),
            sign(3001, Fact::Starts),
            sign(8000, Fact::Stops),
            sign(8500, Fact::Stops),
            sign(9000, Fact::Released(6000)),
            sign(9001, ended(2000, 6000)),
        ],
        "w1000-3000 h3000-8000 s8000-9000 Good",
    );
}

#[test]
fn a_run_that_held_the_lock_for_less_than_a_millisecond_has_held_it_and_not_run_without() {
    let signs = [
        sign(1000, Fact::Starts),
        sign(1000, Fact::Released(0)),
        sign(1000, ended(0, 0)),
    ];
    check(&signs, " Good");
    let signs = [
        sign(1000, Fact::Waits),
        sign(3000, Fact::Obtained(2000)),
        sign(3000, Fact::Starts),
        sign(3000, Fact::Released(0)),
        sign(3001, ended(2000, 0)),
    ];
    check(&signs, "w1000-3000 Good");
    let known = timeline(&signs, &Question::default());
    assert!(known.rows[0].runs[0].held_briefly());
}

#[test]
fn a_run_without_a_lock_runs_and_one_that_waits_for_a_directory_waits_first() {
    check(
        &[sign(1000, Fact::Starts), sign(5000, ended(0, 0))],
        "r1000-5000 Good",
    );
    let mut dir = sign(1000, Fact::Waits);
    dir.lock.clear();
    check(
        &[
            dir,
            sign(2000, Fact::DirObtained(1000)),
            sign(2001, Fact::Waits),
            sign(4000, Fact::Obtained(3000)),
            sign(6000, Fact::Released(2000)),
            sign(6000, ended(3000, 2000)),
        ],
        "w1000-2000 w2001-4000 h4000-6000 Good",
    );
}

#[test]
fn what_began_before_the_window_is_told_by_its_end_or_open_at_the_edge() {
    // The wait by who obtained, the hold by who released.
    check(
        &[
            sign(5000, Fact::Obtained(2000)),
            sign(9000, Fact::Released(4000)),
        ],
        "w3000-5000 h5000-9000 Open",
    );
    check(
        &[
            sign(9000, Fact::Released(4000)),
            sign(9001, ended(1000, 4000)),
        ],
        "h5000-9000 Good",
    );
    check(
        &[sign(8000, Fact::Stops), sign(9000, Fact::Released(4000))],
        "h5000-8000 s8000-9000 Open",
    );
    check(
        &[sign(8000, Fact::Starts), sign(9000, Fact::Released(1000))],
        "h8000-9000 Open",
    );
    // A directory's.
    check(
        &[sign(9000, ended(1000, 4000))],
        "w4000-5000 r5000-9000 Good",
    );
    // Nobody tells.
    let question = Question {
        from: Some(7000),
        ..Question::default()
    };
    check_in(&[sign(9000, ended(0, 0))], &question, "<r7000-9000 Good");
    check_in(
        &[sign(8000, Fact::Stops), sign(9000, ended(0, 0))],
        &question,
        "<r7000-8000 s8000-9000 Good",
    );
    check_in(
        &[sign(8000, Fact::Split), sign(9000, Fact::Told)],
        &question,
        "<h7000-9000 Open",
    );
    // More than the window is told.
    check_in(
        &[sign(9000, Fact::Released(4000))],
        &question,
        "<h7000-9000 Open",
    );
}

#[test]
fn what_goes_on_behind_the_window_is_open_there() {
    let question = Question {
        to: Some(6000),
        ..Question::default()
    };
    let signs = [sign(1000, Fact::Obtained(0)), sign(2000, Fact::Told)];
    check_in(&signs, &question, "h1000-6000 Open");
    let over = [
        sign(1000, Fact::Obtained(0)),
        sign(9000, Fact::Released(8000)),
        sign(9000, ended(0, 8000)),
    ];
    check_in(&over, &question, "h1000-6000 Open");
    let mut later = Builder::default();
    later.take(&sign(7000, Fact::Obtained(0)));
    assert_eq!(later.finish(&question), None);
}

#[test]
fn a_run_killed_with_its_container_counts_until_that_was_last_heard_of() {
    let init = |at| of("a", "", at, Fact::Init);
    let hold = [
        sign(1000, Fact::Obtained(0)),
        of("a", "2", 4000, Fact::Told),
    ];
    let [begin, sign_of_life] = hold.clone();
    let known = timeline(
        &[begin.clone(), sign_of_life, init(9000)],
        &Question::default(),
    );
    assert_eq!(spans(&known.rows[0].runs[0]), "h1000-4000 Lost");
    // The next init is the next life: what it says revives nobody.
    check(
        &[begin.clone(), init(9000), init(10_000)],
        "h1000-1000 Lost".replace("h1000-1000 ", " ").as_str(),
    );
    // But who speaks lives.
    check(
        &[
            begin,
            init(9000),
            sign(9500, Fact::Released(8500)),
            sign(9500, ended(0, 8500)),
        ],
        "h1000-9500 Good",
    );
}

#[test]
fn a_run_whose_lock_another_one_has_got_since_is_over() {
    let signs = [
        sign(1000, Fact::Obtained(0)),
        sign(4000, Fact::Told),
        of("b", "2", 6000, Fact::Obtained(0)),
        of("b", "2", 8000, Fact::Told),
    ];
    check(&signs, "h1000-4000 Lost; h6000-8000 Open");
    assert_eq!(timeline(&signs, &Question::default()).overlaps, []);
    // Its container is heard of later: it lives, and so does its run.
    let mut alive = signs.to_vec();
    alive.push(of("a", "3", 7000, Fact::Told));
    check(&alive, "h1000-8000 Open;  Open; h6000-8000 Open");
}

#[test]
fn two_holders_are_shown_as_they_were_and_what_they_had_in_common_is_told() {
    let signs = [
        sign(1000, Fact::Obtained(0)),
        of("b", "2", 3000, Fact::Obtained(0)),
        sign(7000, Fact::Released(6000)),
        of("b", "2", 9000, Fact::Released(6000)),
    ];
    let known = timeline(&signs, &Question::default());
    let [overlap] = &known.overlaps[..] else {
        panic!("{known:?}")
    };
    assert_eq!((overlap.from, overlap.to), (3000, 7000));
    assert_eq!(
        (overlap.lock.as_str(), overlap.who),
        ("/l", [(0, 0), (1, 0)])
    );
    assert_eq!(known.beside(0, 0).count() + known.beside(1, 0).count(), 2);
}

#[test]
fn a_release_that_is_heard_after_the_next_claim_is_no_overlap() {
    let signs = [
        sign(1000, Fact::Obtained(0)),
        of("b", "2", 5000, Fact::Obtained(4000)),
        sign(5000 + SAME - 1, Fact::Released(4000)),
        of("b", "2", 9000, Fact::Released(4000)),
    ];
    assert_eq!(timeline(&signs, &Question::default()).overlaps, []);
    // Nor is a hold that is shorter than that.
    let short = [
        sign(1000, Fact::Obtained(0)),
        of("b", "2", 5000, Fact::Obtained(0)),
        of("b", "2", 5000 + SAME - 1, Fact::Released(SAME - 1)),
        sign(9000, Fact::Released(8000)),
    ];
    assert_eq!(timeline(&short, &Question::default()).overlaps, []);
    let mut other = signs.to_vec();
    other[1].lock = "/other".into();
    assert_eq!(timeline(&other, &Question::default()).overlaps, []);
}

#[test]
fn a_run_is_over_also_when_somebody_else_says_so_and_then_nothing_changes_it() {
    let mut seen = sign(5000, Fact::Seen);
    seen.reason = "crashed".into();
    let signs = [
        sign(1000, Fact::Obtained(0)),
        seen,
        sign(6000, ended(0, 0)),
        sign(7000, Fact::Told),
    ];
    check(&signs, "h1000-5000 Failed");
}

#[test]
fn a_clock_that_was_set_back_makes_no_time_run_backwards() {
    let signs = [
        sign(5000, Fact::Waits),
        sign(2000, Fact::Obtained(100)),
        sign(6000, Fact::Released(9000)),
        sign(3000, ended(100, 9000)),
    ];
    check(&signs, "h5000-6000 Good");
}

#[test]
fn signs_in_an_order_that_no_run_has_make_no_spans_that_overlap() {
    check_in(
        &[
            sign(5000, Fact::Stops),
            sign(6000, Fact::Starts),
            sign(7000, Fact::Waits),
            sign(8000, Fact::Released(4000)),
        ],
        &Question {
            from: Some(1000),
            ..Question::default()
        },
        "h4000-5000 s5000-6000 h6000-7000 h7000-8000 Open",
    );
}

#[test]
fn a_job_is_asked_for_by_its_name_or_with_its_container_and_a_lock_by_its_path() {
    let mut chat = of("a", "2", 2000, Fact::Starts);
    chat.job = "chat".into();
    let signs = [
        sign(1000, Fact::Obtained(0)),
        chat,
        of("b", "3", 3000, Fact::Starts),
    ];
    let count = |job: Option<&str>, lock: Option<&str>| {
        let question = Question {
            job: job.map(Into::into),
            lock: lock.map(Into::into),
            ..Question::default()
        };
        let mut builder = Builder::default();
        for sign in &signs {
            builder.take(sign);
        }
        builder
            .finish(&question)
            .map_or(0, |known| known.rows.len())
    };
    assert_eq!(count(None, None), 3);
    assert_eq!(count(Some("dev"), None), 2);
    assert_eq!(count(Some("b/dev"), None), 1);
    assert_eq!(count(Some("ev"), None), 0);
    assert_eq!(count(Some("x/b/dev"), None), 0);
    assert_eq!(count(None, Some("/l")), 1);
    assert_eq!(count(Some("chat"), Some("/l")), 0);
}

#[test]
fn the_oldest_runs_are_forgotten_and_counted() {
    let mut builder = Builder::default();
    for number in 0..MOST_RUNS as u64 + 5 {
        let run = number.to_string();
        builder.take(&of("a", &run, number * 10 + 10, Fact::Starts));
        builder.take(&of("a", &run, number * 10 + 15, ended(0, 0)));
    }
    let known = builder.finish(&Question::default()).unwrap();
    assert_eq!(known.forgotten, 5);
    assert_eq!(known.rows[0].runs.len(), MOST_RUNS);
    assert_eq!(known.rows[0].runs[0].run_id, "5");
}

#[test]
fn every_run_that_never_started_has_the_mark_of_those() {
    use crate::core::outcome::Reason;
    for reason in [
        Reason::WaitExpired,
        Reason::DirNotLocked,
        Reason::StartRefused,
        Reason::Paused,
    ] {
        let end = End::Told {
            reason: reason.word().to_owned(),
            code: Some(75),
            signal: String::new(),
        };
        assert_eq!(end.mark(), Mark::NotRun, "{reason:?}");
    }
}
