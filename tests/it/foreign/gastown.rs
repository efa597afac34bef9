//! The record as a program in Go reads and writes it, with Go's own `encoding/json` and `time`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use lockkeeper::lock::dir::judge::{Here, Why};
use lockkeeper::lock::dir::record::{DirRecord, State, now};

use super::{exact, why};
use crate::support::child::{bare, read};
use crate::support::dir::Dir;
use crate::support::need::need;

struct Go {
    program: PathBuf,
    folder: Dir,
}

impl Go {
    fn build() -> Self {
        let folder = Dir::new();
        let source = folder.join("reader.go");
        fs::write(&source, include_str!("gastown.go")).unwrap();
        let program = folder.join("reader");
        let mut command = Command::new("go");
        command.args(["build", "-o"]).arg(&program).arg(&source);
        bare(&mut command);
        // Its standard library alone: no module, no network, nothing kept.
        command.env("GO111MODULE", "off").env("GOPROXY", "off");
        command
            .env("GOCACHE", folder.join("cache"))
            .env("HOME", &*folder);
        read(command.current_dir(&*folder));
        Self { program, folder }
    }

    fn reads(&self, record: &DirRecord) -> Vec<String> {
        let file = self.folder.join("agent.lock");
        fs::write(&file, record.render()).unwrap();
        let said = read(bare(&mut Command::new(&self.program)).arg(&file));
        said.lines().map(String::from).collect()
    }
}

#[test]
fn a_go_program_reads_ours_and_we_read_its_own() {
    need!("go");
    let go = Go::build();

    let bare_one = DirRecord {
        pid: 7,
        acquired_at: "2026-08-07T06:05:04Z".into(),
        ..DirRecord::default()
    };
    assert_eq!(go.reads(&bare_one), ["7", "1786082704", "\"\"", "\"\""]);
    let whole = DirRecord {
        acquired_at: now(),
        session_id: "%2\"\u{7f}é".into(),
        token: Some("t".into()),
        container: Some("agents-1".into()),
        job: Some("dev".into()),
        class: Some("batch".into()),
        run_id: Some("r1".into()),
        cwd: Some("/srv/\u{1b}[2J\n\u{2028}".into()),
        state: Some(State::Waiting),
        by: Some("ada".into()),
        reason: Some(String::new()),
        ..exact(1)
    };
    let since = whole.acquired().unwrap();
    let seconds = since.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let host = format!("\"{}\"", whole.hostname);
    let expected = ["1", &seconds.to_string(), "\"%2\\\"\\x7fé\"", &host];
    assert_eq!(go.reads(&whole), expected);

    for pane in [None, Some("%2")] {
        let mut command = Command::new(&go.program);
        let text = read(bare(&mut command).envs(pane.map(|pane| ("TMUX_PANE", pane))));
        let record = DirRecord::parse(text.as_bytes()).unwrap();
        assert_eq!(record.session_id, pane.unwrap_or_default());
        assert_eq!(record.hostname, Here::read().hostname);
        let age = SystemTime::now().duration_since(record.acquired().unwrap());
        assert!(age.is_ok_and(|age| age.as_secs() < 60), "{text}");
        if pane.is_none() {
            // As with `gt prime`: it has ended before anybody reads its record.
            assert_eq!(why(&record), Why::ProcessGone);
        }
    }
}
