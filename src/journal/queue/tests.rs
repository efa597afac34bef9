use std::fs::File;
use std::io::{BufRead as _, BufReader, PipeReader, Read as _, Write as _, pipe};
use std::thread;

use nix::fcntl::{FcntlArg, fcntl};

use super::super::route::{Format, Speaker, Stderr};
use super::*;
use crate::core::mask::Secrets;
use crate::sys::clock;

const LONG: Duration = Duration::from_secs(20);

/// A journal without a socket whose standard error is a pipe.
fn journal(speaker: Speaker, verbosity: Verbosity) -> (Journal, PipeReader) {
    let (reader, writer) = pipe().unwrap();
    (onto(writer.into(), speaker, verbosity), reader)
}

fn onto(fd: OwnedFd, speaker: Speaker, verbosity: Verbosity) -> Journal {
    let context = Context {
        container_name: None,
        job: Some("dev".into()),
        class: None,
        run_id: None,
        file: None,
        speaker,
        format: Format::Text,
        secrets: Arc::default(),
    };
    let journal = Journal::onto(context, verbosity, fd);
    let around = Surroundings {
        socket: false,
        stderr: Stderr::Other,
    };
    let way = (around, around.route(speaker, verbosity));
    journal.way.set(way).unwrap();
    journal
}

/// A pipe that takes nothing more, and how many bytes are in it.
fn full_pipe() -> (PipeReader, OwnedFd, usize) {
    let (reader, mut writer) = pipe().unwrap();
    let size = fcntl(&writer, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    let size = usize::try_from(size).unwrap();
    writer.write_all(&vec![b'x'; size]).unwrap();
    (reader, writer.into(), size)
}

/// Returns when the log thread has taken a note and is stuck with it; the time is only there so that
/// a thread that never is does not hang the test.
fn wait_until_stuck(journal: &Journal) {
    let given_up = clock::now() + LONG;
    while clock::now() < given_up {
        let state = journal.shared.lock();
        if state.writing.is_some() && state.waiting.is_empty() {
            return;
        }
        drop(state);
        thread::yield_now();
    }
    panic!("the log thread is not stuck");
}

fn lines(reader: PipeReader) -> Vec<String> {
    BufReader::new(reader).lines().map(Result::unwrap).collect()
}

#[test]
fn notes_come_out_as_lines_in_their_order() {
    let (journal, reader) = journal(Speaker::InitRun, Verbosity::Normal);
    journal.note(Note::Started { pid: 1 });
    journal.note(Note::Killing);
    assert_eq!(journal.flush(LONG), 0);
    drop(journal);
    assert_eq!(
        lines(reader),
        [
            "lockkeeper: job dev: started (pid 1)",
            "lockkeeper: job dev: killing what is left",
        ]
    );
}

#[test]
fn a_note_that_nobody_would_see_starts_no_thread() {
    let (journal, reader) = journal(Speaker::Run, Verbosity::Normal);
    journal.note(Note::Started { pid: 1 });
    assert!(!journal.running.get());
    assert_eq!(journal.flush(LONG), 0);
    assert_eq!(Arc::strong_count(&journal.shared), 1);
    drop(journal);
    assert_eq!(lines(reader), [""; 0]);
}

#[test]
fn note_never_blocks_on_a_reader_that_does_not_read_and_counts_exactly_what_is_lost() {
    const LOST: usize = 7;
    let (mut reader, writer, filler) = full_pipe();
    let journal = onto(writer, Speaker::InitRun, Verbosity::Normal);
    journal.note(Note::Started { pid: 0 });
    wait_until_stuck(&journal);
    for pid in 1..=CAPACITY + LOST {
        let pid = i32::try_from(pid).unwrap();
        journal.note(Note::Started { pid });
    }
    let unread = journal.flush(Duration::ZERO);
    assert_eq!(unread, u64::try_from(1 + CAPACITY + LOST).unwrap());

    reader.read_exact(&mut vec![0; filler]).unwrap();
    let lines = thread::scope(|scope| {
        let lines = scope.spawn(|| lines(reader));
        assert_eq!(journal.flush(LONG), 0);
        drop(journal);
        lines.join().unwrap()
    });
    let started = |line: &&String| line.contains("started");
    assert_eq!(lines.iter().filter(started).count(), 1 + CAPACITY);
    let told: Vec<_> = lines.iter().filter(|line| !started(line)).collect();
    assert_eq!(
        told,
        ["lockkeeper: job dev: lost 7 notes: nobody took them in time"]
    );
}

#[test]
fn a_last_note_that_is_too_long_to_be_said_at_once_is_counted() {
    for (length, lost) in [(10, 0), (2 * libc::PIPE_BUF, 1)] {
        let (_reader, writer, _) = full_pipe();
        let journal = onto(writer, Speaker::InitRun, Verbosity::Normal);
        let text = "x".repeat(length);
        journal.note(Note::OutputTrouble { text });
        wait_until_stuck(&journal);
        let (around, route) = journal.way();
        assert_eq!(journal.shared.last_words(around, route), lost, "{length}");
    }
}

#[test]
fn a_full_pipe_that_does_not_block_is_waited_for_and_no_byte_is_lost() {
    let (mut reader, writer, filler) = full_pipe();
    let nonblock = nix::fcntl::OFlag::O_NONBLOCK;
    fcntl(&writer, FcntlArg::F_SETFL(nonblock)).unwrap();
    let journal = onto(writer, Speaker::InitRun, Verbosity::Normal);
    journal.note(Note::Killing);
    wait_until_stuck(&journal);
    reader.read_exact(&mut vec![0; filler]).unwrap();
    assert_eq!(journal.flush(LONG), 0);
    drop(journal);
    assert_eq!(lines(reader), ["lockkeeper: job dev: killing what is left"]);
}

#[test]
fn a_reader_that_has_gone_takes_nothing_down() {
    let (journal, reader) = journal(Speaker::InitRun, Verbosity::Normal);
    drop(reader);
    journal.note(Note::Killing);
    assert_eq!(journal.flush(LONG), 0);
}

#[test]
fn without_a_journal_init_says_once_which_mount_to_add_and_a_run_only_when_asked() {
    for (speaker, verbosity, says) in [
        (Speaker::Init, Verbosity::Normal, true),
        (Speaker::Init, Verbosity::Quiet, false),
        (Speaker::InitRun, Verbosity::Normal, false),
        (Speaker::Run, Verbosity::Normal, false),
        (Speaker::Run, Verbosity::Verbose, true),
    ] {
        let (journal, reader) = journal(speaker, verbosity);
        // Of a level that each of them hears.
        journal.note(Note::GuardCleaned { reaped: 1 });
        journal.note(Note::GuardCleaned { reaped: 2 });
        assert_eq!(journal.flush(LONG), 0);
        drop(journal);
        let lines = lines(reader);
        let mount = "-v /run/systemd/journal:/run/systemd/journal:ro";
        let found = lines.iter().filter(|line| line.contains(mount)).count();
        assert_eq!(found, usize::from(says), "{speaker:?} {verbosity:?}");
        assert_eq!(lines.len() - found, 2, "{lines:?}");
    }
}

#[test]
fn an_unwritable_standard_error_takes_nothing_down() {
    let journal = onto(
        File::open("/dev/null").unwrap().into(),
        Speaker::InitRun,
        Verbosity::Normal,
    );
    journal.note(Note::Killing);
    assert_eq!(journal.flush(LONG), 0);
}

#[test]
fn events_are_kept_until_they_are_fetched_and_those_of_the_wanted_kinds_alone() {
    let (journal, _reader) = journal(Speaker::InitRun, Verbosity::Quiet);
    let started = || Note::Started { pid: 7 };
    let warning = || Note::ConfigWarning {
        text: "a secret: hunter22".to_owned(),
    };
    let failed = || Note::EventFailed {
        program: "tell".to_owned(),
        how: "fails".to_owned(),
    };
    let kinds = |journal: &Journal| -> Vec<String> {
        let events = journal.events();
        let parsed = events.iter().map(|event| {
            let event: serde_json::Value = serde_json::from_str(event).unwrap();
            event["KIND"].as_str().unwrap().to_owned()
        });
        parsed.collect()
    };
    journal.note(warning());
    assert_eq!(kinds(&journal), [""; 0], "nobody wants any");
    journal.want(Some(Vec::new()));
    for note in [started(), warning(), failed()] {
        journal.note(note);
    }
    assert_eq!(kinds(&journal), ["config_warning"]);
    assert_eq!(kinds(&journal), [""; 0]);
    journal.want(Some(vec!["started".to_owned(), "event_failed".to_owned()]));
    for note in [started(), warning(), failed()] {
        journal.note(note);
    }
    assert_eq!(kinds(&journal), ["started"]);
    journal.know(|context| context.secrets = Arc::new(Secrets::new([b"hunter22".to_vec()])));
    journal.want(Some(Vec::new()));
    journal.note(warning());
    assert!(journal.events()[0].contains("a secret: ***"));
}

#[test]
fn an_event_that_is_too_long_is_cut_and_still_json() {
    let (journal, _reader) = journal(Speaker::InitRun, Verbosity::Quiet);
    journal.want(Some(vec!["waiting".to_owned()]));
    journal.note(Note::Waiting {
        lock: "/\"".repeat(20_000).into(),
        holder: Some("x".repeat(100_000)),
        aloud: false,
    });
    let event = journal.events().remove(0);
    assert!(event.len() < 7000, "{}", event.len());
    let event: serde_json::Value = serde_json::from_str(&event).unwrap();
    assert_eq!(event["JOB"], "dev");
    assert!(event["MESSAGE"].as_str().unwrap().ends_with('…'));
}
