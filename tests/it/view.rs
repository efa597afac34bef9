//! What `status` shows, from written facts: golden files, and the metrics as Prometheus reads them.
//!
//! `UPDATE=1` writes the files anew; read the difference before it is committed.

#![expect(clippy::indexing_slicing, reason = "a test may panic: it fails then")]

mod facts;
mod page;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use lockkeeper::view::metrics::{METRICS, PREFIX};
use lockkeeper::view::model::{Facts, View};
use lockkeeper::view::table::{Paper, draw};
use lockkeeper::view::{json, metrics};
use serde_json::{Value, json};

use self::facts::{NOW, alone, facts};
use self::page::parsed;
use super::readme::stands_in;
use super::support::child::tie;
use super::support::need::have;

/// Whether a terminal would obey it, or show others elsewhere for it.
fn commands(c: char) -> bool {
    c != '\n' && (c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c))
}

#[track_caller]
fn golden(name: &str, got: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/status");
    let path = path.join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, got).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(got, expected, "{name}: UPDATE=1 writes it anew");
}

fn table(facts: Facts, paper: Paper) -> String {
    draw(&View::of(facts), NOW, paper).text
}

#[test]
fn the_table_is_as_it_is_written_down() {
    let paper = |columns| Paper {
        columns,
        ..Paper::default()
    };
    golden("table-80.txt", &table(facts(), paper(80)));
    golden("table-120.txt", &table(facts(), paper(120)));
    let coloured = Paper {
        colour: true,
        ..paper(80)
    };
    golden("table-colour.txt", &table(facts(), coloured));
    let short = Paper {
        lines: Some(6),
        ..paper(80)
    };
    golden("table-short.txt", &table(facts(), short));
    let lonely = Paper {
        alone: true,
        ..paper(80)
    };
    golden("table-alone.txt", &table(alone(), lonely));
}

#[test]
fn on_a_small_screen_every_line_ends_where_it_does() {
    for columns in [1, 2, 10, 40, 79] {
        for lines in [1, 3, 100] {
            let paper = Paper {
                columns,
                lines: Some(lines),
                ..Paper::default()
            };
            let text = table(facts(), paper);
            assert!(text.lines().count() <= lines, "{text}");
            for line in text.lines() {
                assert!(line.chars().count() <= columns, "{columns}: {line}");
            }
        }
    }
}

#[test]
fn no_line_is_wider_than_the_paper_and_none_commands_the_terminal() {
    for columns in [0, 80, 81, 99, 100, 200] {
        let text = table(
            facts(),
            Paper {
                columns,
                ..Paper::default()
            },
        );
        for line in text.lines() {
            // The names of East Asia have two columns a letter.
            let wide = line
                .chars()
                .filter(|c| *c >= '\u{2e80}' && *c < '\u{ff00}')
                .count();
            assert!(
                line.chars().count() + wide <= columns.max(80),
                "{columns}: {line}"
            );
        }
        assert!(!text.chars().any(commands), "{text}");
    }
    for text in [
        json::line(&View::of(facts())),
        metrics::page(&View::of(facts())),
    ] {
        assert!(!text.chars().any(commands), "{text}");
    }
}

#[test]
fn the_object_is_as_it_is_written_down_and_has_the_fields_that_its_page_names() {
    for (name, facts) in [("status.json", facts()), ("alone.json", alone())] {
        let line = json::line(&View::of(facts));
        assert_eq!(line.matches('\n').count(), 1);
        let value: Value = serde_json::from_str(&line).unwrap();
        golden(
            name,
            &(serde_json::to_string_pretty(&value).unwrap() + "\n"),
        );
    }
    let mut text = String::from("\n| field | what it says |\n| --- | --- |\n");
    for (field, what) in json::FIELDS {
        writeln!(text, "| `{field}` | {what} |").unwrap();
    }
    stands_in("packaging/reference/status.md", "status", &(text + "\n"));
    // Each field of the object is named there, and each name there is one.
    let value: Value = serde_json::from_str(&json::line(&View::of(facts()))).unwrap();
    let keys = |value: &Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    let named = |prefix: &str| -> BTreeSet<String> {
        let fields = json::FIELDS
            .iter()
            .filter_map(|(field, _)| field.strip_prefix(prefix));
        fields
            .flat_map(|names| names.split(", "))
            .map(String::from)
            .collect()
    };
    assert_eq!(keys(&value["jobs"][0]), named("jobs[]."));
    assert_eq!(keys(&value["locks"][0]), named("locks[]."));
    assert_eq!(keys(&value["locks"][0]["holders"][0]), named("user: "));
    let whole: BTreeSet<String> = json::FIELDS
        .iter()
        .filter(|(field, _)| !field.contains([':', '.']))
        .map(|(field, _)| (*field).to_owned())
        .collect();
    assert_eq!(keys(&value), whole);
    let lonely: Value = serde_json::from_str(&json::line(&View::of(alone()))).unwrap();
    assert_eq!(keys(&lonely["jobs"][0]), keys(&value["jobs"][0]));
}

#[test]
fn a_run_of_which_the_claim_alone_tells_is_shown_where_init_may_not_know_it_yet() {
    let names = |facts: Facts| -> Vec<(String, String)> {
        let jobs = View::of(facts).jobs.into_iter();
        jobs.map(|job| (job.name, job.state)).collect()
    };
    let with = names(facts());
    assert!(
        with.contains(&("claude".into(), "running".into())),
        "begun by hand"
    );
    assert!(
        with.contains(&("review".into(), "waiting".into())),
        "the claim knows it better"
    );
    assert!(
        !with.iter().any(|(name, _)| name == "over"),
        "init knows it better"
    );
    assert!(names(alone()).contains(&("over".into(), "waiting".into())));
    // On a machine with several inits, those of the others are theirs.
    let mut machine = facts();
    machine.init.as_mut().unwrap()["init"]["pid"] = json!(4711);
    assert!(
        names(machine.clone())
            .iter()
            .any(|(name, _)| name == "claude")
    );
    machine.runs[3].container = Some("other".into());
    assert!(!names(machine).iter().any(|(name, _)| name == "claude"));
}

#[test]
fn only_a_change_is_a_change() {
    let view = || View::of(facts());
    let later = |change: &dyn Fn(&mut Facts)| {
        let mut facts = facts();
        facts.now += 90_000;
        for row in facts.init.as_mut().unwrap()["jobs"].as_array_mut().unwrap() {
            for (key, ahead) in [("since_ms", true), ("next_ms", false)] {
                if let Some(ms) = row[key].as_u64() {
                    row[key] = json!(if ahead {
                        ms + 90_003
                    } else {
                        ms.saturating_sub(90_000)
                    });
                }
            }
            if let Some(ms) = row["last"]["ago_ms"].as_u64() {
                row["last"]["ago_ms"] = json!(ms + 90_000);
            }
        }
        facts.init.as_mut().unwrap()["jobs"][4]["next_ms"] = Value::Null;
        change(&mut facts);
        View::of(facts)
    };
    let mut before = facts();
    before.init.as_mut().unwrap()["jobs"][4]["next_ms"] = Value::Null;
    let before = View::of(before);
    assert!(json::same(&before, &later(&|_| {})), "time goes by");
    assert!(!json::same(&view(), &before), "it does not start again");
    let next =
        |facts: &mut Facts| facts.init.as_mut().unwrap()["jobs"][0]["next_ms"] = json!(300_000);
    assert!(!json::same(&before, &later(&next)), "the tick has moved");
    assert!(!json::same(
        &before,
        &later(&|facts| drop(facts.runs.remove(0)))
    ));
    assert!(!json::same(
        &before,
        &later(&|facts| facts.locks[0].survey.more_odd += 1)
    ));
    assert!(!json::same(
        &before,
        &later(&|facts| drop(facts.dirs.pop()))
    ));
}

#[test]
fn a_table_says_when_it_reads_otherwise() {
    let paper = Paper::default();
    let view = View::of(facts());
    for now in [NOW, NOW + 1, NOW + 499, NOW + 777] {
        let drawn = draw(&view, now, paper);
        let changes = drawn.changes_in.unwrap();
        assert!((1..=1000).contains(&changes), "{changes}");
        assert_eq!(draw(&view, now + changes - 1, paper).text, drawn.text);
        assert_ne!(draw(&view, now + changes, paper).text, drawn.text);
    }
    let still = View {
        init: view.init,
        ..View::default()
    };
    assert_eq!(draw(&still, NOW, paper).changes_in, None, "nothing counts");
}

#[test]
fn the_metrics_are_as_they_are_written_down_and_prometheus_can_read_them() {
    let page = metrics::page(&View::of(facts()));
    golden("metrics.txt", &page);
    golden("alone-metrics.txt", &metrics::page(&View::of(alone())));
    let samples = parsed(&page);
    let value = |name: &str, labels: &[(&str, &str)]| {
        let has = |all: &[(String, String)]| {
            labels
                .iter()
                .all(|(name, value)| all.contains(&((*name).into(), (*value).into())))
        };
        let name = format!("{PREFIX}{name}");
        let mut found = samples
            .iter()
            .filter(|(of, all, _)| *of == name && has(all));
        found.next().map(|found| found.2)
    };
    assert_eq!(value("up", &[]), Some(1.0));
    assert_eq!(
        value(
            "lock_waiting_runs",
            &[("lock", "/home/agent/.claude/session.lock")]
        ),
        Some(3.0)
    );
    // Two runs of one job are one series, since the earlier one.
    #[expect(clippy::cast_precision_loss, reason = "as Prometheus itself")]
    let earlier = (NOW - 40_000) as f64 / 1000.0;
    assert_eq!(
        value("lock_wait_start_timestamp_seconds", &[("job", "review")]),
        Some(earlier)
    );
    assert_eq!(
        value("job_last_exit_code", &[("job", "review")]),
        Some(124.0)
    );
    let evil = "e?[2J?31m????vil\"\\";
    assert!(value("job_state", &[("class", evil), ("state", "given-up")]).is_some());
    if have("promtool") {
        let mut command = Command::new("promtool");
        let command = tie(command.args(["check", "metrics"]));
        let mut child = command
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(page.as_bytes())
            .unwrap();
        let told = child.wait_with_output().unwrap();
        assert!(
            told.status.success() && told.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&told.stderr)
        );
    } else {
        eprintln!(
            "missing: promtool (prometheus): the test's own parser alone has read the metrics"
        );
    }
    let mut text =
        String::from("\n| metric | labels | type | what it is |\n| --- | --- | --- | --- |\n");
    for metric in METRICS {
        let kind = if metric.counter { "counter" } else { "gauge" };
        let labels: Vec<String> = metric
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        writeln!(
            text,
            "| `{PREFIX}{}` | {} | {kind} | {} |",
            metric.name,
            labels.join(", "),
            metric.help
        )
        .unwrap();
        assert!(
            samples
                .iter()
                .any(|sample| sample.0 == format!("{PREFIX}{}", metric.name)),
            "{}",
            metric.name
        );
    }
    stands_in("packaging/reference/status.md", "metrics", &(text + "\n"));
}
