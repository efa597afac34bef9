//! The journal of the program under test, written by a process that a test can stop, mount things
//! for and kill.

use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use lockkeeper::journal::{Context, Format, Journal, Speaker, Verbosity};
use lockkeeper::run::guard;
use lockkeeper::sys::{self, crash};
use nix::sys::signal::SigSet;

use crate::Done;
use crate::files::{out, told};
use crate::signals::{await_signal, signal};

/// Longer than any reader that comes back at all.
const LONG: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(200);

/// As a run of job `dev` that init started.
pub(crate) fn write(words: &[&str]) -> Done {
    let (file, verbosity, then) = match *words {
        [file] => (file, Verbosity::Normal, None),
        ["-v", file] => (file, Verbosity::Verbose, None),
        [file, name] => (file, Verbosity::Normal, Some(signal(name)?)),
        _ => return Err(format!("notes {words:?}")),
    };
    let mut notes = Vec::new();
    let text = fs::read_to_string(file);
    for line in text.iter().flat_map(|text| text.lines()) {
        notes.push(serde_json::from_str(line).map_err(|error| error.to_string())?);
    }
    told(text.map(drop), file)?;
    let context = Context {
        container_name: Some("agents-1".into()),
        job: Some("dev".into()),
        class: Some("batch".into()),
        run_id: Some("0123456789abcdef".into()),
        file: None,
        speaker: Speaker::InitRun,
        format: Format::Text,
        secrets: Arc::default(),
    };
    let journal = Journal::new(context, verbosity);
    for note in notes {
        journal.note(note);
    }
    out("noted");
    if let Some(number) = then {
        await_signal(&[number]);
        out(&format!("unread={}", journal.flush(LONG)));
    } else {
        journal.finish(SHORT);
    }
    Ok(())
}

pub(crate) fn panic_aside() {
    crash::arm(LONG, None);
    panic_in_log();
}

pub(crate) fn overflow_aside() {
    fn deeper(depth: u64) -> u64 {
        if depth == u64::MAX {
            return 0;
        }
        let here = std::hint::black_box([depth; 100]);
        deeper(depth + 1) + std::hint::black_box(here)[0]
    }
    crash::arm(LONG, None);
    drop(sys::thread::start("deep", 64 * 1024, || {
        out(&deeper(0).to_string());
    }));
    nix::unistd::pause();
}

fn panic_in_log() {
    let started = sys::thread::start(sys::thread::LOG, 64 * 1024, || {
        let none: [u8; 0] = [];
        let beyond = std::hint::black_box(1);
        out(&none[beyond].to_string());
    });
    drop(started);
}

/// The log thread of a monitor panics, and stands still if that ends neither it nor the monitor.
pub(crate) fn panic_monitor() {
    let _ = SigSet::all().thread_block();
    let _ = guard::watch(None, LONG, LONG, &mut Vec::new(), |_wire| {
        panic_in_log();
        let rests = |task: fs::DirEntry| {
            let told = |file| fs::read_to_string(task.path().join(file)).unwrap_or_default();
            // pause(2) is ppoll(2) where the kernel has no such call.
            let waits = ["pause", "poll"];
            let place = told("wchan");
            told("comm").trim_end() == sys::thread::LOG
                && waits.iter().any(|call| place.contains(call))
        };
        let tasks = || {
            fs::read_dir("/proc/self/task")
                .into_iter()
                .flatten()
                .flatten()
        };
        while tasks().count() > 1 {
            if tasks().any(rests) {
                out("goes on");
                return 0;
            }
            thread::yield_now();
        }
        1
    });
}
