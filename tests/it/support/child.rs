//! Child processes of a test that never outlive it, also when the test itself is killed.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio};

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use super::wait::until;

/// A running child with pipes on its stdin and stdout. Killed and reaped when dropped.
pub(crate) struct Tied {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

/// Has the kernel kill what `command` starts when the calling *thread* ends (prctl(2),
/// `PR_SET_PDEATHSIG`): start such children from the test's own thread.
///
/// They start with no signal blocked, as from a shell. The test itself has all blocked: the
/// program's library does that before `main` in whatever is linked with it, and children inherit a
/// mask. So *every* child of a test starts through here.
pub(crate) fn tie(command: &mut Command) -> &mut Command {
    #[expect(
        unsafe_code,
        reason = "the requests must be made by the child, between fork and exec"
    )]
    // SAFETY: two system calls, both allowed after fork.
    unsafe {
        command.pre_exec(|| {
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
            SigSet::empty().thread_set_mask()?;
            Ok(())
        })
    }
}

/// Leaves of the test's own environment PATH alone: a proxy or a key of the person who runs it is
/// nothing that a test may depend on.
pub(crate) fn bare(command: &mut Command) -> &mut Command {
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
}

/// Starts `command`, tied, with pipes on stdin and stdout.
#[track_caller]
pub(crate) fn start(command: &mut Command) -> Tied {
    spawn(tie(command))
}

/// The same for what is tied already and was changed since.
#[track_caller]
pub(crate) fn spawn(command: &mut Command) -> Tied {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = piped
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let stdin = child.stdin.take();
    let stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
    Tied {
        child,
        stdin,
        stdout,
    }
}

/// Runs `command`, tied and with an empty stdin, to its end.
#[track_caller]
pub(crate) fn output(command: &mut Command) -> Output {
    let quiet = tie(command).stdin(Stdio::null());
    quiet
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
}

/// Runs `command` as `output` does, and returns its stdout without the white space around it.
/// Panics with its stderr if it fails.
#[track_caller]
pub(crate) fn read(command: &mut Command) -> String {
    let output = output(command);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(
        output.status.success(),
        "{command:?} failed ({}): {out}{err}",
        output.status
    );
    out.trim().to_owned()
}

/// Text of a child's output.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Sends a signal to a process by number. Not found is fine: it is gone.
pub(crate) fn signal(pid: i32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid), signal);
}

/// Stops a process and comes back when each of its threads has stopped: one that had begun to wait for
/// something may still take that first, and a file system's server that took a request leaves who asked
/// beyond the reach of any signal.
#[track_caller]
pub(crate) fn halt(pid: i32) {
    signal(pid, Signal::SIGSTOP);
    until("each of its threads has stopped", || {
        fs::read_dir(format!("/proc/{pid}/task")).is_ok_and(|tasks| {
            let mut stats = tasks.flatten().map(|task| task.path().join("stat"));
            stats.all(|stat| fs::read_to_string(stat).is_ok_and(|stat| stat.contains(") T ")))
        })
    });
}

impl Tied {
    pub(crate) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Writes one line to the child's stdin: a puppet's command.
    #[track_caller]
    pub(crate) fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("stdin is still open");
        writeln!(stdin, "{line}").expect("the child reads");
    }

    /// Ends the child's stdin.
    pub(crate) fn hang_up(&mut self) {
        self.stdin = None;
    }

    /// The next line of stdout, without its end; none at the end of the output.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let got = self
            .stdout
            .read_line(&mut line)
            .expect("stdout can be read");
        (got > 0).then(|| line.trim_end_matches('\n').to_owned())
    }

    /// Tells a puppet something and returns what it says before its `ok`.
    #[track_caller]
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.say(line);
        let mut said = Vec::new();
        loop {
            match self.line() {
                Some(line) if line == "ok" => return said.join("\n"),
                Some(line) => said.push(line),
                None => panic!("the puppet ended at \"{line}\""),
            }
        }
    }

    /// Waits for the end of the child, with its stdin closed.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.hang_up();
        self.child.wait().expect("the child is ours")
    }

    /// The child's status if it has ended.
    pub(crate) fn try_wait(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the child is ours")
    }
}

impl Drop for Tied {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
