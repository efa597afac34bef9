//! Facts as `status` may find them, the worst ones included.

use lockkeeper::lock::listing::survey::{Odd, Survey};
use lockkeeper::lock::pause::Pause;
use lockkeeper::lock::record::Record;
use lockkeeper::lock::unclaimed::Holder;
use lockkeeper::view::model::{Dir, Facts, LockFacts};
use serde_json::{Value, json};

pub(super) const NOW: u64 = 1_795_245_433_500;

fn record(run: u32, words: &Value) -> Record {
    let mut record = json!({
        "v": 1, "run_id": format!("{run:04x}{run:012x}"), "job": "dev", "class": "batch", "kind": "batch",
        "state": "waiting", "container": "agents-1", "pid": 100 + run, "uid": 1000, "by": "init",
        "lock": "/home/agent/.claude/session.lock", "since_unix_ms": NOW - 1000 * u64::from(run),
    });
    for (key, value) in words.as_object().unwrap() {
        record[key] = value.clone();
    }
    serde_json::from_value(record).unwrap()
}

fn row(job: &str, state: &str, words: &Value) -> Value {
    let mut row = json!({
        "job": job, "class": "batch", "kind": "batch", "state": state, "run_id": null,
        "outside": false, "since_ms": null, "next_ms": null, "last": null, "restarts": 0,
        "status": null, "removed": false, "of_no_job": false, "main": false,
        "lock": "/home/agent/.claude/session.lock",
    });
    for (key, value) in words.as_object().unwrap() {
        row[key] = value.clone();
    }
    row
}

/// What a terminal would obey, or be led astray by.
const EVIL: &str = "e\u{1b}[2J\u{9b}31m\u{7}\u{202e}\u{2028}\nvil\"\\";

pub(super) fn facts() -> Facts {
    let run = |number: u32| format!("{number:04x}{number:012x}");
    let hand = json!({ "job": "claude", "class": "interactive", "kind": "interactive", "state": "running",
        "by": "command", "lock": null });
    let dirs = json!({ "job": "tests", "state": "waiting_for_dir", "dirs": ["/srv/agent/dev"] });
    Facts {
        now: NOW,
        init: Some(reply()),
        silent: None,
        runs: vec![
            record(
                300,
                &json!({ "state": "running", "dirs": ["/srv/agent/dev"] }),
            ),
            record(40, &json!({ "job": "review" })),
            record(30, &dirs),
            record(20, &hand),
            // Of this init, which says nothing of it: it has just ended.
            record(10, &json!({ "job": "over" })),
        ],
        odd: vec![(
            "/run/lockkeeper".into(),
            Odd {
                name: EVIL.into(),
                why: "a FIFO".into(),
            },
        )],
        locks: locks(&hand),
        dirs: vec![
            Dir {
                dir: "/srv/agent/dev".into(),
                run_id: run(300),
                job: "dev".into(),
                since: Some(NOW - 300_000),
                in_way: None,
            },
            Dir {
                dir: "/srv/agent/dev".into(),
                run_id: run(30),
                job: "tests".into(),
                since: None,
                in_way: Some("job \"dev\" in container \"agents-1\"".into()),
            },
        ],
        left_out: vec!["3 more locks".into()],
    }
}

pub(super) fn alone() -> Facts {
    Facts {
        init: None,
        silent: Some("no init answers here: ask where it runs".into()),
        locks: vec![],
        dirs: vec![],
        odd: vec![],
        left_out: vec![],
        ..facts()
    }
}

/// What init says.
fn reply() -> Value {
    let run = |number: u32| format!("{number:04x}{number:012x}");
    let last = |code: u8, reason: &str| json!({ "code": code, "reason": reason, "ago_ms": 61_000 });
    json!({
        "v": 1, "ok": true, "seen": 4,
        "init": { "pid": 1, "version": "0.1.0", "name": "agents-1", "stopping": false },
        "jobs": [
            row("dev", "running", &json!({ "run_id": run(300), "since_ms": 731_000, "next_ms": 171_000,
                "last": last(0, "ended"), "status": "writes the tests\u{1b}[2J" })),
            row("review", "running", &json!({ "run_id": run(40), "since_ms": 40_000, "restarts": 2,
                "last": last(124, "idle_timeout") })),
            row("tests", "running", &json!({ "run_id": run(30), "since_ms": 30_000 })),
            row("gardener-with-a-long-name", "waiting-for-after", &json!({})),
            row("deploy", "backing-off", &json!({ "since_ms": 5_000, "next_ms": 1_000, "restarts": 3,
                "last": last(75, "dir_not_locked") })),
            row("chat", "stopped", &json!({ "class": "interactive", "kind": "interactive",
                "since_ms": 3_780_000, "last": last(143, "init_stop") })),
            row("setup", "given-up", &json!({ "class": EVIL, "since_ms": 90_000_000, "last": last(7, "ended") })),
            row("日本語の長い名前です", "over", &json!({ "last": last(0, "ended") })),
        ],
    })
}

/// Three locks: one with all that can be, one of a plain flock(1), one that is not there.
fn locks(hand: &Value) -> Vec<LockFacts> {
    let run = |number: u32| format!("{number:04x}{number:012x}");
    vec![
        LockFacts {
            path: "/home/agent/.claude/session.lock".into(),
            exists: true,
            survey: Survey {
                living: vec![
                    record(300, &json!({ "state": "running" })),
                    record(
                        90,
                        &json!({ "job": EVIL, "container": "agents-2", "class": EVIL }),
                    ),
                    record(40, &json!({ "job": "review" })),
                    record(35, &json!({ "job": "review" })),
                ],
                beside: vec![record(20, hand), record(5, &json!({ "state": "asleep" }))],
                unsaid: vec!["00ff0000000000ff".into()],
                odd: vec![
                    Odd {
                        name: EVIL.into(),
                        why: "half a record".into(),
                    },
                    Odd {
                        name: "x".repeat(200),
                        why: "the record of another run, \"y\"".into(),
                    },
                ],
                more_odd: 4000,
                truncated: true,
                unread: None,
            },
            unclaimed: vec![],
            pauses: vec![Pause {
                until: NOW + 7_200_000,
                set: NOW - 300_000,
                by: "dev".into(),
                class: Some("batch".into()),
                run_id: Some(run(7)),
                container: Some("agents-2".into()),
                said: format!("limit reached {EVIL}"),
            }],
            odd_pauses: vec![Odd {
                name: "pauses/x".into(),
                why: "it is no record of a pause".into(),
            }],
        },
        LockFacts {
            path: format!("/mnt/{}/session.lock", "deep/".repeat(20)).into(),
            exists: true,
            unclaimed: vec![Holder {
                pid: 4711,
                name: Some("fl\u{1b}ock".to_owned()),
                has_left: false,
            }],
            ..LockFacts::default()
        },
        LockFacts {
            path: "/new/session.lock".into(),
            ..LockFacts::default()
        },
    ]
}
