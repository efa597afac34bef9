//! The view for Prometheus: its text format, version 0.0.4.
//!
//! Names have their unit at the end; points in time are exported, not ages, so that what is asked for is
//! a difference to `time()`. No series is named by a run, as each would be a new one. Two that would be
//! one for Prometheus are made one: the least stands, of times the earliest.

use std::fmt::Write as _;

use super::model::{Lock, View, shown};
use crate::core::order;
use crate::core::text::plain;

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, behind [`PREFIX`].
    pub name: &'static str,
    /// Whether it only grows.
    pub counter: bool,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it is.
    pub help: &'static str,
}

/// What all names begin with.
pub const PREFIX: &str = "lockkeeper_";

/// Every metric, in the order in which they are written.
pub const METRICS: &[Metric] = &[
    gauge("up", &[], "Whether an init answers."),
    gauge(
        "init_info",
        &["name", "version"],
        "The init that answers; always 1.",
    ),
    gauge("init_stopping", &[], "Whether it is about to end."),
    gauge(
        "job_state",
        &["job", "class", "kind", "state"],
        "The state that a job is in; always 1, and only of that state.",
    ),
    gauge(
        "job_state_start_timestamp_seconds",
        &["job"],
        "Since when the job is in its state.",
    ),
    gauge(
        "job_next_start_timestamp_seconds",
        &["job"],
        "When the job starts next by itself.",
    ),
    gauge(
        "job_last_exit_code",
        &["job"],
        "The exit code of the last run.",
    ),
    gauge(
        "job_last_end_timestamp_seconds",
        &["job", "reason"],
        "When the last run ended, and why.",
    ),
    Metric {
        counter: true,
        ..gauge(
            "job_restarts_total",
            &["job"],
            "How often the job was started again, since init began.",
        )
    },
    gauge(
        "lock_holders",
        &["lock"],
        "Runs that hold the lock; more than 1 where locks exclude nobody.",
    ),
    gauge(
        "lock_waiting_runs",
        &["lock"],
        "Runs that wait for the lock, in all containers.",
    ),
    gauge(
        "lock_hold_start_timestamp_seconds",
        &["lock", "job", "container"],
        "Since when the lock is held.",
    ),
    gauge(
        "lock_wait_start_timestamp_seconds",
        &["lock", "job", "container"],
        "Since when a run waits for the lock.",
    ),
    gauge(
        "lock_pause_end_timestamp_seconds",
        &["lock", "by"],
        "When a pause ends; the earliest of one setter.",
    ),
    gauge(
        "lock_odd_files",
        &["lock"],
        "Files among the claims of the lock that are none.",
    ),
    gauge(
        "lock_truncated",
        &["lock"],
        "Whether more lies beside the lock than is looked at.",
    ),
    gauge(
        "directory_lock_start_timestamp_seconds",
        &["directory", "job"],
        "Since when a run known here holds the directory.",
    ),
];

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric {
        name,
        counter: false,
        labels,
        help,
    }
}

/// A whole one, in thousandths: a second in milliseconds.
const ONE: u64 = 1000;

/// What goes onto the page: each sample with the place of its metric, its labels as they are written, and
/// its value in thousandths. (Floating point would cost ten kilobytes of program.)
struct Page {
    samples: Vec<(u64, String, u64)>,
}

/// The view as a page.
pub fn page(view: &View) -> String {
    let mut page = Page {
        samples: Vec::new(),
    };
    page.add("up", &[], count(usize::from(view.init.is_some())));
    if let Some(init) = &view.init {
        page.add("init_info", &[&init.name, &init.version], ONE);
        page.add("init_stopping", &[], count(usize::from(init.stopping)));
    }
    page.jobs(view);
    for lock in &view.locks {
        page.lock(lock);
    }
    for dir in &view.dirs {
        page.time(
            "directory_lock_start_timestamp_seconds",
            &[&shown(&dir.dir), &dir.job],
            dir.since,
        );
    }
    page.text()
}

impl Page {
    fn jobs(&mut self, view: &View) {
        for job in &view.jobs {
            let name = job.name.as_str();
            let state = [name, &job.class, &job.kind, &job.state];
            self.add("job_state", &state, ONE);
            self.time("job_state_start_timestamp_seconds", &[name], job.since);
            self.time("job_next_start_timestamp_seconds", &[name], job.next);
            if let Some(last) = &job.last {
                self.add("job_last_exit_code", &[name], last.code.saturating_mul(ONE));
                let reason = last.reason.as_deref().unwrap_or_default();
                self.time(
                    "job_last_end_timestamp_seconds",
                    &[name, reason],
                    Some(last.at),
                );
            }
            if !job.said.is_empty() {
                self.add(
                    "job_restarts_total",
                    &[name],
                    job.restarts.saturating_mul(ONE),
                );
            }
        }
    }

    fn lock(&mut self, lock: &Lock) {
        let facts = &lock.facts;
        let path = shown(&facts.path);
        self.add("lock_holders", &[&path], count(lock.holders.len()));
        self.add("lock_waiting_runs", &[&path], count(lock.waiting.len()));
        for (name, records) in [
            ("lock_hold_start_timestamp_seconds", &lock.holders),
            ("lock_wait_start_timestamp_seconds", &lock.waiting),
        ] {
            for record in records {
                let container = record.container.as_deref().unwrap_or_default();
                let labels = [path.as_str(), &record.job, container];
                self.time(name, &labels, Some(record.since_unix_ms));
            }
        }
        for pause in &facts.pauses {
            let labels = [path.as_str(), &pause.by];
            self.time(
                "lock_pause_end_timestamp_seconds",
                &labels,
                Some(pause.until),
            );
        }
        let odd = facts.survey.odd.len() + facts.survey.more_odd + facts.odd_pauses.len();
        self.add("lock_odd_files", &[&path], count(odd));
        let truncated = usize::from(facts.survey.truncated);
        self.add("lock_truncated", &[&path], count(truncated));
    }

    fn time(&mut self, name: &'static str, labels: &[&str], at: Option<u64>) {
        if let Some(at) = at {
            self.add(name, labels, at);
        }
    }

    fn add(&mut self, name: &'static str, values: &[&str], value: u64) {
        let mut all = (0..).zip(METRICS);
        let Some((place, metric)) = all.find(|(_, metric)| metric.name == name) else {
            return;
        };
        let mut labels = String::new();
        for (name, value) in metric.labels.iter().zip(values) {
            let join = if labels.is_empty() { '{' } else { ',' };
            let _ = write!(labels, "{join}{name}=\"{}\"", escaped(value));
        }
        if !labels.is_empty() {
            labels.push('}');
        }
        self.samples.push((place, labels, value));
    }

    fn text(mut self) -> String {
        order::sort_by(&mut self.samples, Ord::cmp);
        // Two that are one to Prometheus: the least stands, of times the earliest.
        self.samples
            .dedup_by(|later, first| (later.0, &later.1) == (first.0, &first.1));
        let mut text = String::new();
        let mut samples = self.samples.iter().peekable();
        for (place, metric) in (0..).zip(METRICS) {
            let Metric { name, help, .. } = metric;
            let kind = if metric.counter { "counter" } else { "gauge" };
            if samples.peek().is_some_and(|sample| sample.0 == place) {
                let _ = writeln!(text, "# HELP {PREFIX}{name} {help}");
                let _ = writeln!(text, "# TYPE {PREFIX}{name} {kind}");
            }
            while let Some((_, labels, value)) = samples.next_if(|sample| sample.0 == place) {
                let _ = write!(text, "{PREFIX}{name}{labels} {}", value / ONE);
                let _ = match value % ONE {
                    0 => writeln!(text),
                    rest => writeln!(text, ".{rest:03}"),
                };
            }
        }
        text
    }
}

/// A label's value: without what a terminal would obey, and as the format wants it.
fn escaped(value: &str) -> String {
    plain(value).replace('\\', "\\\\").replace('"', "\\\"")
}

fn count(number: usize) -> u64 {
    u64::try_from(number)
        .unwrap_or(u64::MAX)
        .saturating_mul(ONE)
}
