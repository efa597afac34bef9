//! Whether all is well: what a container's HEALTHCHECK and a Kubernetes exec probe ask. Pure.
//!
//! init answers at all; and no job has been given up, or has failed and does not start again by itself;
//! and those that have to say that they are ready have said so. A job that somebody has stopped, one that
//! failed and is tried again, one that waits for its lock: all of that is the ordinary course, and no
//! reason to end a container.

use crate::core::table::{RowState, RowView};

/// What is not well, a line each, of `job` or of all; `None`: there is no such job. `awaits_ready` says
/// of which jobs a run has to say that it is ready.
pub fn problems(
    rows: &[RowView],
    job: Option<&str>,
    going: bool,
    awaits_ready: impl Fn(&str) -> bool,
) -> Option<Vec<String>> {
    let asked = |row: &&RowView| job.is_none_or(|job| row.job == job && !row.of_no_job);
    let mut rows = rows.iter().filter(asked).peekable();
    if job.is_some() {
        rows.peek()?;
    }
    let mut problems: Vec<String> = rows
        .filter(|row| !row.removed && !row.of_no_job)
        .filter_map(|row| problem(row, awaits_ready(&row.job)))
        .collect();
    if !going {
        problems.push("init is stopping".to_owned());
    }
    Some(problems)
}

fn problem(row: &RowView, awaits_ready: bool) -> Option<String> {
    let failed = row.last.as_ref().filter(|last| last.code != 0);
    let what = match row.state {
        RowState::GivenUp => match failed {
            Some(last) => format!("given up, last exit {}", last.code),
            None => "given up".to_owned(),
        },
        RowState::Over => format!("failed, exit {}, and does not start again", failed?.code),
        RowState::Running if awaits_ready => "not ready yet".to_owned(),
        _ => return None,
    };
    Some(format!("{}: {what}", row.job))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::table::LastView;

    fn row(job: &str, state: RowState, code: Option<u8>) -> RowView {
        RowView {
            job: job.into(),
            class: "batch".into(),
            kind: "batch".into(),
            state,
            lock: None,
            run_id: None,
            outside: false,
            since_ms: None,
            next_ms: None,
            last: code.map(|code| LastView {
                code,
                reason: None,
                ago_ms: 5,
            }),
            restarts: 0,
            status: None,
            removed: false,
            of_no_job: false,
            main: false,
        }
    }

    #[track_caller]
    fn check(rows: &[RowView], expected: &[&str]) {
        let found = problems(rows, None, true, |name| name == "ready").unwrap();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_goes_its_ordinary_course_is_well() {
        for state in [
            RowState::Idle,
            RowState::WaitingForAfter,
            RowState::Queued,
            RowState::Running,
            RowState::Ready,
            RowState::Stopping,
            RowState::BackingOff,
            RowState::Stopped,
        ] {
            check(&[row("dev", state, Some(1))], &[]);
        }
        check(&[row("dev", RowState::Over, Some(0))], &[]);
        check(&[row("dev", RowState::Over, None)], &[]);
        check(&[], &[]);
    }

    #[test]
    fn what_has_failed_for_good_is_not() {
        check(
            &[
                row("a", RowState::GivenUp, Some(3)),
                row("b", RowState::Over, Some(124)),
                row("ready", RowState::Running, None),
                row("ready", RowState::Ready, None),
            ],
            &[
                "a: given up, last exit 3",
                "b: failed, exit 124, and does not start again",
                "ready: not ready yet",
            ],
        );
    }

    #[test]
    fn one_job_is_asked_about_alone_and_must_be_there() {
        let rows = [
            row("a", RowState::GivenUp, None),
            row("b", RowState::Idle, None),
        ];
        let ask = |job| problems(&rows, Some(job), true, |_| false);
        assert_eq!(ask("b"), Some(vec![]));
        assert_eq!(ask("a"), Some(vec!["a: given up".to_owned()]));
        assert_eq!(ask("c"), None);
    }

    #[test]
    fn an_init_that_stops_is_not_well() {
        let problems = problems(&[], None, false, |_| false).unwrap();
        assert_eq!(problems, ["init is stopping"]);
    }
}
