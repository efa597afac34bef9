//! What was, for programs: the JSON object, version 1. Fields are added and never change their meaning; `v`
//! changes if one must. Times are UTC, as `2026-11-21T06:40:20.123Z`.
//!
//! | field | what it says |
//! | --- | --- |
//! | `v` | 1 |
//! | `from`, `to` | the window |
//! | `rows` | each job of a container: `container`, `job`, `runs` |
//! | `overlaps` | each time that two had a lock of one path: `lock`, `from`, `to`, and `runs`, the ids of both |
//! | `forgotten` | how many older runs are left out |
//!
//! Of a run:
//!
//! | field | what it says |
//! | --- | --- |
//! | `run_id`, `class`, `lock` | as the journal has them; empty: not told |
//! | `holder` | for whom it waited last; empty: not told |
//! | `from`, `to` | what is known of it, inside the window |
//! | `before` | whether it began earlier |
//! | `spans` | what it did: `phase` (`waiting`, `holding`, `stopping`, `running`: without the lock), `from`, `to` |
//! | `nested` | whether a run that it is part of held the lock for it |
//! | `split` | whether its file system did not keep another holder away |
//! | `out_of_memory` | whether the kernel killed processes of it for that |
//! | `end` | `told`, `open` (it goes on, as far as is known) or `lost` (it must be over, and nobody said so) |
//! | `reason`, `code`, `signal` | of a told end `REASON`, `RUN_CODE` or null, `SIGNAL`; else null |

use serde_json::Value;

use super::label::stamp;
use crate::cli::verb::lock::json::object;
use crate::core::text::json as one_line;
use crate::core::timeline::{End, Mark, Overlap, Row, Run, Timeline};

/// The object, on one line.
pub(super) fn render(timeline: &Timeline) -> String {
    let overlaps = timeline.overlaps.iter();
    let whole = object(&mut [
        ("v", 1.into()),
        ("from", stamp(timeline.from).into()),
        ("to", stamp(timeline.to).into()),
        ("rows", timeline.rows.iter().map(row).collect()),
        (
            "overlaps",
            overlaps
                .map(|overlap| overlap_of(timeline, overlap))
                .collect(),
        ),
        ("forgotten", timeline.forgotten.into()),
    ]);
    one_line(&Value::Object(whole))
}

fn row(row: &Row) -> Value {
    Value::Object(object(&mut [
        ("container", row.container.as_str().into()),
        ("job", row.job.as_str().into()),
        ("runs", row.runs.iter().map(run).collect()),
    ]))
}

fn run(run: &Run) -> Value {
    let span = |span: &crate::core::timeline::Span| {
        Value::Object(object(&mut [
            ("phase", span.phase.word().into()),
            ("from", stamp(span.from).into()),
            ("to", stamp(span.to).into()),
        ]))
    };
    let end = match run.end.mark() {
        Mark::Open => "open",
        Mark::Lost => "lost",
        _ => "told",
    };
    let (reason, code, signal) = match &run.end {
        End::Told {
            reason,
            code,
            signal,
        } => (
            reason.as_str().into(),
            (*code).into(),
            signal.as_str().into(),
        ),
        _ => (Value::Null, Value::Null, Value::Null),
    };
    Value::Object(object(&mut [
        ("run_id", run.run_id.as_str().into()),
        ("class", run.class.as_str().into()),
        ("lock", run.lock.as_str().into()),
        ("holder", run.holder.as_str().into()),
        ("from", stamp(run.from).into()),
        ("to", stamp(run.last).into()),
        ("before", run.open_left.into()),
        ("spans", run.spans.iter().map(span).collect()),
        ("nested", run.nested.into()),
        ("split", run.split.into()),
        ("out_of_memory", run.out_of_memory.into()),
        ("end", end.into()),
        ("reason", reason),
        ("code", code),
        ("signal", signal),
    ]))
}

fn overlap_of(timeline: &Timeline, overlap: &Overlap) -> Value {
    let id = |(row, number): &(usize, usize)| {
        let run = timeline
            .rows
            .get(*row)
            .and_then(|row| row.runs.get(*number));
        Value::from(run.map_or("", |run| &run.run_id))
    };
    Value::Object(object(&mut [
        ("lock", overlap.lock.as_str().into()),
        ("from", stamp(overlap.from).into()),
        ("to", stamp(overlap.to).into()),
        ("runs", overlap.who.iter().map(id).collect()),
    ]))
}
