//! What a claim says: the JSON record of one run, and how an error message puts it.
//!
//! A record alone proves nothing; it is true as long as the latch beside it is held
//! ([`super::claim`]). Its process id is information, never a judgement: two containers both have a
//! process 1.
//!
//! The shape is versioned by `v`. A reader ignores fields that it does not know and does without
//! those that are missing, but for the two that make it a record: `run_id` and `job`.

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize, Serializer};

use crate::core::text::is_command;

/// The version of the shape that we write.
pub const VERSION: u32 = 1;

/// One run, as the others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The version of the shape, [`VERSION`]; 0 where a record names none.
    #[serde(default)]
    pub v: u32,
    /// The run; also the name of the claim's files.
    pub run_id: String,
    /// The job's name.
    pub job: String,
    /// The class's name, as users see it.
    #[serde(default)]
    pub class: String,
    /// Batch or interactive.
    #[serde(default)]
    pub kind: Kind,
    /// How far the run is.
    #[serde(default)]
    pub state: State,
    /// The container's name, as the journal has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The process of the agent, as its own PID namespace numbers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// The process of the monitor, likewise: all of the run's tree is below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<i32>,
    /// When the process `pid` started, in clock ticks since boot (field 22, `proc_pid_stat(5)`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<u64>,
    /// Which boot of which kernel (`/proc/sys/kernel/random/boot_id`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// The inode number of the PID namespace in which `pid` means something (namespaces(7)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid_ns: Option<u64>,
    /// The user that wrote the record.
    #[serde(default)]
    pub uid: u32,
    /// The shared lock that the run waits for or holds, as it names it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "lossy"
    )]
    pub lock: Option<PathBuf>,
    /// The directories that it locks, by their real paths, as its container names them.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        serialize_with = "lossy_all"
    )]
    pub dirs: Vec<PathBuf>,
    /// Who has begun it.
    #[serde(default)]
    pub by: By,
    /// Since when the run is in this state, in milliseconds since 1970.
    #[serde(default)]
    pub since_unix_ms: u64,
}

/// The kind of class that a run is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It takes its turn on the shared lock.
    Batch,
    /// It passes the shared lock.
    Interactive,
    /// A word of a later version.
    #[default]
    #[serde(other)]
    Unknown,
}

/// Who has begun a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// An init, by itself or because it was asked to.
    Init,
    /// `lockkeeper run JOB`.
    Hand,
    /// `lockkeeper run -- COMMAND`: no job of a file; it is called by the name of its program.
    Command,
    /// A word of a later version, or a record of an earlier one.
    #[default]
    #[serde(other)]
    Unknown,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits in the queue of its lock.
    Waiting,
    /// The lock is its own, the command not yet started, or no longer alive.
    Holding,
    /// The command runs.
    Running,
    /// It waits for a directory, and is in no queue.
    WaitingForDir,
    /// A word of a later version.
    #[default]
    #[serde(other)]
    Unknown,
}

impl Record {
    /// Whether its `pid` means the same process here as there; `false` also where nobody can know.
    pub fn shares_pids_with(&self, origin: &Origin) -> bool {
        self.boot_id.is_some()
            && self.pid_ns.is_some()
            && self.boot_id == origin.boot_id
            && self.pid_ns == origin.pid_ns
    }

    /// Whether it says that it has its shared lock.
    pub fn holds(&self) -> bool {
        self.kind != Kind::Interactive && matches!(self.state, State::Holding | State::Running)
    }
}

/// Where this process is: what makes its process ids comparable to those in a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Which boot of which kernel.
    pub boot_id: Option<String>,
    /// The inode number of our PID namespace.
    pub pid_ns: Option<u64>,
}

impl Origin {
    /// Reads both from /proc, in a handful of system calls: once per process. What cannot be read is `None`.
    pub fn read() -> Self {
        use std::os::unix::fs::MetadataExt;
        let boot_id = read_proc("/proc/sys/kernel/random/boot_id");
        let pid_ns = std::fs::metadata("/proc/self/ns/pid");
        Self {
            boot_id: boot_id.map(|id| id.trim().to_owned()),
            pid_ns: pid_ns.ok().map(|meta| meta.ino()),
        }
    }
}

/// When process `pid` started, in clock ticks since boot; `None` where /proc does not say.
pub fn start_time(pid: i32) -> Option<u64> {
    let stat = read_proc(&format!("/proc/{pid}/stat"))?;
    // The command's name, field 2, may itself contain blanks and brackets.
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// A short file of /proc in one read, which is also what makes its content consistent. What is no
/// text, as a command's name may be, is replaced by marks.
fn read_proc(path: &str) -> Option<String> {
    let mut text = [0; 1024];
    let length = File::open(path).ok()?.read(&mut text).ok()?;
    Some(String::from_utf8_lossy(text.get(..length)?).into_owned())
}

/// Who holds a lock, and how many living runs wait for it, in words for an error message.
///
/// `claims` are those beside the lock, each with whether its owner lives; dead ones and interactive
/// users count for nothing. `us` is our own run, which is not our rival: only those that were in
/// the queue before it are counted. `unclaimed` tells who holds it where nobody says that he does
/// ([`super::unclaimed`]). `None`: nobody is known.
pub fn holder_text(
    claims: &[(Record, bool)],
    us: Option<&str>,
    unclaimed: impl FnOnce() -> Option<String>,
) -> Option<String> {
    let own = us.and_then(|us| claims.iter().find(|(record, _)| record.run_id == us));
    let our_place = own.map_or(u64::MAX, |(record, _)| record.since_unix_ms);
    let rivals = || {
        claims
            .iter()
            .filter(|(record, alive)| *alive && us != Some(record.run_id.as_str()))
            .map(|(record, _)| record)
    };
    let mut holders = rivals().filter(|record| record.holds());
    let first = holders.next();
    let more = holders.count();
    let waiting = rivals()
        .filter(|record| record.state == State::Waiting && record.since_unix_ms <= our_place)
        .count();
    let mut text = match first
        .map(|record| Named(record).to_string())
        .or_else(unclaimed)
    {
        Some(text) => text,
        None if waiting == 0 => return None,
        None => {
            "a process that leaves no claim (flock(1), or a run that has just begun)".to_owned()
        }
    };
    // Writing into a String cannot fail.
    if more > 0 {
        let _ = write!(text, ", and {more} more that say so");
    }
    match waiting {
        0 => {}
        1 => text.push_str("; 1 run waits before us"),
        _ => {
            let _ = write!(text, "; {waiting} runs wait before us");
        }
    }
    Some(text)
}

/// A run, as people call it; what it says of itself is cut short and freed of control characters.
#[derive(Debug)]
pub struct Named<'a>(pub &'a Record);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(record) = self;
        write!(f, "job \"{}\"", Plain(&record.job))?;
        if let Some(container) = &record.container {
            write!(f, " in container \"{}\"", Plain(container))?;
        }
        write!(f, " (run {}", Plain(&record.run_id))?;
        if let Some(since) = since(record) {
            write!(f, ", since {since}")?;
        }
        f.write_str(")")
    }
}

/// The time of a record to the second; `None` beyond what a calendar can show.
fn since(record: &Record) -> Option<String> {
    let since = UNIX_EPOCH.checked_add(Duration::from_millis(record.since_unix_ms))?;
    let mut text = String::new();
    let time = humantime::format_rfc3339_seconds(since);
    (record.since_unix_ms > 0 && write!(text, "{time}").is_ok()).then_some(text)
}

/// Text from another container's file: short, and without what a terminal would obey.
#[derive(Debug)]
pub struct Plain<'a>(pub &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 80;
        for character in self.0.chars().take(LONGEST) {
            f.write_char(if is_command(character) {
                '?'
            } else {
                character
            })?;
        }
        if self.0.chars().nth(LONGEST).is_some() {
            f.write_char('…')?;
        }
        Ok(())
    }
}

/// A path is information here: better with a mark for a wrong byte than not written at all.
#[expect(
    clippy::ref_option,
    reason = "serde passes the field by reference, as it is"
)]
fn lossy<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_ref()
        .map(|path| path.to_string_lossy())
        .serialize(serializer)
}

fn lossy_all<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn record(run_id: &str, state: State, since_unix_ms: u64) -> Record {
        Record {
            v: VERSION,
            run_id: run_id.to_owned(),
            job: "dev".to_owned(),
            class: "batch".to_owned(),
            kind: Kind::Batch,
            state,
            container: Some("agents-1".to_owned()),
            pid: Some(7),
            monitor: Some(6),
            start_time: None,
            boot_id: None,
            pid_ns: None,
            uid: 1000,
            lock: Some("/l/session.lock".into()),
            dirs: vec!["/srv/dev".into()],
            by: By::Hand,
            since_unix_ms,
        }
    }

    #[test]
    fn a_record_survives_the_way_through_its_file() {
        let record = record("r1", State::Waiting, 1);
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
        assert!(
            json.contains(r#""kind":"batch","state":"waiting""#),
            "{json}"
        );
    }

    #[test]
    fn a_record_of_a_later_version_and_a_bare_one_can_be_read() {
        let later = r#"{"v":9,"run_id":"r","job":"j","kind":"cron","state":"asleep","mood":[1]}"#;
        let later: Record = serde_json::from_str(later).unwrap();
        assert_eq!((later.kind, later.state), (Kind::Unknown, State::Unknown));
        let bare: Record = serde_json::from_str(r#"{"run_id":"r","job":"j"}"#).unwrap();
        assert_eq!((bare.v, bare.pid, bare.since_unix_ms), (0, None, 0));
        assert!(serde_json::from_str::<Record>(r#"{"run_id":"r"}"#).is_err());
    }

    #[test]
    fn a_lock_path_that_is_no_text_does_not_prevent_the_record() {
        let mut record = record("r", State::Waiting, 0);
        record.lock = Some(OsStr::from_bytes(b"/l/\xff").into());
        assert!(
            serde_json::to_string(&record)
                .unwrap()
                .contains("/l/\u{fffd}")
        );
    }

    #[test]
    fn the_holder_is_named_with_its_container_run_and_time() {
        let claims = [
            (record("dead", State::Running, 5), false),
            (record("r1", State::Running, 1_518_563_312_000), true),
        ];
        assert_eq!(
            holder_text(&claims, None, || None).unwrap(),
            "job \"dev\" in container \"agents-1\" (run r1, since 2018-02-13T23:08:32Z)"
        );
    }

    #[test]
    fn only_living_waiters_before_us_are_counted() {
        let mut interactive = record("chat", State::Running, 1);
        interactive.kind = Kind::Interactive;
        let claims = [
            (interactive, true),
            (record("before", State::Waiting, 2), true),
            (record("dead", State::Waiting, 2), false),
            (record("us", State::Waiting, 3), true),
            (record("after", State::Waiting, 4), true),
        ];
        let text = holder_text(&claims, Some("us"), || None).unwrap();
        assert!(text.starts_with("a process that leaves no claim"), "{text}");
        assert!(text.ends_with("; 1 run waits before us"), "{text}");
        let text = holder_text(&claims, None, || None).unwrap();
        assert!(text.ends_with("; 3 runs wait before us"), "{text}");
    }

    #[test]
    fn nobody_known_is_said_as_nothing() {
        let claims = [
            (record("us", State::Waiting, 3), true),
            (record("dead", State::Running, 1), false),
        ];
        assert_eq!(holder_text(&claims, Some("us"), || None), None);
        let plain = || Some("process 7 (flock), which leaves no claim".to_owned());
        assert_eq!(holder_text(&claims, Some("us"), plain), plain());
        let held = [(record("holder", State::Running, 1), true)];
        let text = holder_text(&held, Some("us"), plain).unwrap();
        assert!(text.starts_with("job \"dev\""), "{text}");
    }

    #[test]
    fn a_foreign_record_cannot_command_the_terminal_or_flood_it() {
        let mut hostile = record("r", State::Running, u64::MAX);
        hostile.job = format!("\u{1b}[2J{}", "x".repeat(500));
        let text = holder_text(&[(hostile, true)], None, || None).unwrap();
        assert!(!text.contains('\u{1b}') && text.len() < 200, "{text}");
        assert!(!text.contains("since"), "no calendar shows that: {text}");
    }

    #[test]
    fn process_ids_are_compared_only_inside_one_namespace_of_one_boot() {
        let origin = Origin::read();
        assert!(origin.boot_id.is_some() && origin.pid_ns.is_some());
        let mut here = record("r", State::Running, 1);
        assert!(!here.shares_pids_with(&origin), "nothing is known");
        assert!(
            !here.shares_pids_with(&Origin::default()),
            "nothing is known"
        );
        here.boot_id.clone_from(&origin.boot_id);
        here.pid_ns = origin.pid_ns;
        assert!(here.shares_pids_with(&origin));
        here.pid_ns = here.pid_ns.map(|ns| ns + 1);
        assert!(!here.shares_pids_with(&origin));
    }

    #[test]
    fn our_own_start_time_is_known_and_no_process_0_has_one() {
        let pid = i32::try_from(std::process::id()).unwrap();
        assert!(start_time(pid).unwrap() > 0);
        assert_eq!(start_time(0), None);
    }
}
