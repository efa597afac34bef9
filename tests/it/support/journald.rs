//! The real systemd-journald, started by hand in a mount namespace of its own over a fresh /run, so
//! that the machine's own journal neither helps nor is touched. Needs root.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal::SIGTERM;
use serde_json::Value;

use super::child::{self, Tied, output, read, signal};
use super::dir::Dir;
use super::wait::until;

/// Keeps everything, takes nothing from the kernel, passes nothing on.
const CONFIG: &str = "[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\nRateLimitIntervalSec=0\n\
    ForwardToSyslog=no\nForwardToConsole=no\nForwardToWall=no\n";

/// A running journal. It ends when dropped, and everything in it is gone.
pub(crate) struct Journald {
    journald: Tied,
    run: Dir,
}

impl Journald {
    pub(crate) fn start() -> Self {
        let run = Dir::new();
        let config = run.join("systemd/journald.conf.d");
        fs::create_dir_all(&config).expect("a fresh /run");
        fs::create_dir_all(run.join("systemd/journal")).expect("a fresh /run");
        fs::write(config.join("test.conf"), CONFIG).expect("a fresh /run");
        let journald = launch(&run);
        let journal = Self { journald, run };
        journal.await_socket();
        journal
    }

    /// Ends journald and starts it again over the same /run: it keeps its records, and its socket
    /// is another file of the same name.
    pub(crate) fn restart(&mut self) {
        // It leaves the file, and will make another in its place.
        self.end(true);
        self.begin();
    }

    /// Starts it again after [`Self::end`].
    pub(crate) fn begin(&mut self) {
        self.journald = launch(&self.run);
        // The files of an earlier one may be there still, with nobody behind them.
        until("journald answers", || {
            output(self.command("journalctl").arg("--sync"))
                .status
                .success()
        });
    }

    fn await_socket(&self) {
        until("journald listens", || self.folder().join("socket").exists());
    }

    /// The folder with journald's sockets, as the test and a container engine see it: mounted on
    /// /run/systemd/journal it is the journal of a container.
    pub(crate) fn folder(&self) -> PathBuf {
        self.run.join("systemd/journal")
    }

    /// A command for which this journal is the machine's.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        child::bare(&mut command)
            .args([
                "--target",
                &self.journald.pid().to_string(),
                "--mount",
                "--",
            ])
            .arg(program);
        command
    }

    /// The records that match (`FIELD=value`, all of them), oldest first; what was sent before this
    /// call is in.
    pub(crate) fn records(&self, matches: &[&str]) -> Vec<Value> {
        read(self.command("journalctl").arg("--sync"));
        let json = read(
            self.command("journalctl")
                .args(["--output=json", "--quiet"])
                .args(matches),
        );
        json.lines()
            .map(|line| serde_json::from_str(line).expect("journalctl writes JSON"))
            .collect()
    }

    /// Ends journald; nobody listens any more, and its socket is left or, with `gone`, removed.
    pub(crate) fn end(&mut self, gone: bool) {
        signal(self.pid(), SIGTERM);
        self.journald.wait();
        if gone {
            fs::remove_file(self.folder().join("socket")).expect("it listened");
        }
    }

    /// A command in a mount namespace of its own, for which this journal is the machine's also
    /// when journald has ended meanwhile.
    pub(crate) fn outliving(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let script = "mount --bind \"$0\" /run && exec \"$@\"";
        let mut command = Command::new("unshare");
        child::bare(&mut command)
            .args(["--mount", "sh", "-c", script])
            .arg(&*self.run)
            .arg(program);
        command
    }

    /// The number of journald: stopped (SIGSTOP), it is the reader that nobody may wait for.
    pub(crate) fn pid(&self) -> i32 {
        self.journald.pid()
    }
}

fn launch(run: &Dir) -> Tied {
    let script = "mount --bind \"$0\" /run && exec /lib/systemd/systemd-journald 2>/dev/null";
    let mut command = Command::new("unshare");
    child::start(command.args(["--mount", "sh", "-c", script]).arg(&**run))
}
