//! The host's real journald, by the mount that the message asks for.

use nix::sys::signal::Signal::{SIGCONT, SIGUSR1};
use serde_json::Value;

use crate::support::child::{halt, signal, text};
use crate::support::journald::Journald;
use crate::support::need::need;
use crate::support::wait::until;
use crate::support::yard::{LOGIN, Yard};

const FILE: &str = "[init]
    name = \"agents-1\"
    [classes.batch]
    identity = \"DIR\"
    [jobs.dev]
    class = \"batch\"
    main = true
    script = block USR1 , mark PAGE 1 , wait USR1 , exit 3";

/// The one record whose message has `words` in it.
#[track_caller]
fn record<'a>(records: &'a [Value], words: &str) -> &'a Value {
    let says = |record: &&Value| {
        record["MESSAGE"]
            .as_str()
            .is_some_and(|text| text.contains(words))
    };
    let mut found = records.iter().filter(says);
    let first = found.next();
    assert!(
        first.is_some() && found.next().is_none(),
        "\"{words}\" once in {records:#?}"
    );
    first.unwrap()
}

#[test]
fn notes_of_a_container_reach_the_hosts_journal_also_after_its_restart() {
    need!(
        "root", "podman", "crun", "buildah", "busybox", "static", "journald"
    );
    let yard = Yard::new();
    let mut journal = Journald::start();
    let run = yard
        .init(FILE)
        .mount(&journal.folder(), "/run/systemd/journal", "ro");
    let container = yard.podman.start(&run);
    yard.await_alive(&[(1, 1)]);
    let ours = ["SYSLOG_IDENTIFIER=lockkeeper", "CONTAINER_NAME=agents-1"];
    until("the start is told", || {
        let records = journal.records(&ours);
        records.iter().any(|record| !record["JOB_PID"].is_null())
    });
    journal.restart();
    container.kill(SIGUSR1);
    assert_eq!(container.wait(), 3);
    let records = journal.records(&ours);
    let lock = format!("{LOGIN}/session.lock");
    let run_id = record(&records, "started (pid")["RUN_ID"].clone();
    assert!(run_id.as_str().is_some_and(|id| !id.is_empty()));
    for (words, fields) in [
        ("obtained", &["LOCK", "WAITED_MS"][..]),
        ("started (pid", &["JOB_PID"]),
        // From here on it is the journal that came later.
        (
            "ended after",
            &["RUN_CODE", "REASON", "WAITED_MS", "HELD_MS"],
        ),
        ("released", &["LOCK", "HELD_MS"]),
    ] {
        let record = record(&records, words);
        for (name, value) in [("JOB", "dev"), ("JOB_CLASS", "batch"), ("PRIORITY", "5")] {
            assert_eq!(record[name], value, "{name} in {record:#?}");
        }
        assert_eq!(record["RUN_ID"], run_id, "one run: {record:#?}");
        assert!(
            record["MESSAGE_ID"]
                .as_str()
                .is_some_and(|id| id.len() == 32)
        );
        for field in fields {
            assert!(record[*field].is_string(), "{field} in {record:#?}");
        }
    }
    let ended = record(&records, "ended after");
    assert_eq!(ended["RUN_CODE"], "3");
    // In systemd's own words, too.
    assert_eq!(ended["EXIT_CODE"], "exited");
    assert_eq!(ended["EXIT_STATUS"], "3");
    let id = ended["INVOCATION_ID"].as_str();
    assert!(id.is_some_and(|id| id.len() == 32 && id.starts_with(run_id.as_str().unwrap())));
    assert_eq!(record(&records, "released")["LOCK"], *lock);
    assert_eq!(record(&records, "init ends")["EXIT_STATUS"], "3");
    record(&records, "init is at work");
    assert_eq!(
        container.errors(),
        "",
        "its own log does not repeat the journal"
    );
}

#[test]
fn what_a_job_of_a_container_says_reaches_the_hosts_journal_and_not_the_containers_log() {
    need!(
        "root", "podman", "crun", "buildah", "busybox", "static", "journald"
    );
    let (yard, journal) = (Yard::new(), Journald::start());
    let file = FILE
        .replace(
            "class = \"batch\"\n",
            "class = \"batch\"\n    output = \"journal\"\n",
        )
        .replace("wait USR1 ,", "out spoken ,");
    let run = yard
        .init(&file)
        .mount(&journal.folder(), "/run/systemd/journal", "ro");
    let container = yard.podman.start(&run);
    assert_eq!(container.wait(), 3);
    let records = journal.records(&["JOB=dev", "CONTAINER_NAME=agents-1", "JOB_STREAM=stdout"]);
    let spoken = record(&records, "spoken");
    for (name, value) in [
        ("SYSLOG_IDENTIFIER", "dev"),
        ("JOB_CLASS", "batch"),
        ("PRIORITY", "6"),
    ] {
        assert_eq!(spoken[name], value, "{name} in {spoken:#?}");
    }
    assert!(spoken["RUN_ID"].is_string());
    assert_eq!(container.errors(), "");
}

#[test]
fn a_container_goes_its_way_beside_a_journald_that_is_stopped_and_nothing_is_lost() {
    need!(
        "root", "podman", "crun", "buildah", "busybox", "static", "journald"
    );
    let yard = Yard::new();
    let journal = Journald::start();
    let run = yard
        .init(FILE)
        .mount(&journal.folder(), "/run/systemd/journal", "ro");
    halt(journal.pid());
    let container = yard.podman.start(&run);
    yard.await_alive(&[(1, 1)]);
    container.kill(SIGUSR1);
    // The guard has ended the run by then; only init's last notes may still be on their way.
    assert_eq!(container.wait(), 3);
    signal(journal.pid(), SIGCONT);
    let records = journal.records(&["SYSLOG_IDENTIFIER=lockkeeper", "CONTAINER_NAME=agents-1"]);
    let told = container.errors();
    for words in [
        "init is at work",
        "obtained",
        "started (pid",
        "ended after",
        "released",
        "init ends",
    ] {
        let in_journal = records.iter().any(|record| {
            record["MESSAGE"]
                .as_str()
                .is_some_and(|text| text.contains(words))
        });
        assert!(
            in_journal || told.contains(words),
            "\"{words}\" in {records:#?} or {told}"
        );
    }
    assert!(!told.contains("lost"), "{told}");
}

#[test]
fn a_container_without_the_journal_names_the_mount_in_one_line() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let yard = Yard::new();
    let file = "[classes.batch]
        identity = \"DIR\"
        [jobs.dev]
        class = \"batch\"
        script = mark PAGE 1
        [jobs.review]
        class = \"batch\"
        script = mark PAGE 2";
    let output = yard.podman.run(&yard.init(file));
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let naming = told
        .lines()
        .filter(|line| line.contains("-v /run/systemd/journal:"));
    assert_eq!(naming.count(), 1, "{told}");
    assert_eq!(yard.scene.page.marks(), (2, 0));
}
