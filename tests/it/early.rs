//! A TERM that comes while PID 1 is still starting. What comes before it has blocked the signal is
//! lost for ever (`pid_namespaces(7)`), so the first instructions count.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::ptr::null;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{pipe2, read};

use super::support::bin;
use super::support::chance::Chance;
use super::support::inherited::send;
use super::support::need::need;
use super::support::ns::in_new_pid_namespace;

const SHOTS: usize = 200;
/// In which the TERMs fall, from execve on.
const WINDOW: Duration = Duration::from_millis(2);
/// How many of them the static build may lose.
const LOST_AT_MOST: usize = 4;

/// Told apart from TERM, and read after it.
const LATER: i32 = libc::SIGVTALRM;

/// What became of one TERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shot {
    Heard,
    Lost,
    /// It was sent later than it was meant to be: the test itself was not running.
    Missed,
}

/// A program between execve and its end, as PID 1 of a namespace of its own.
struct Fresh {
    pid: i32,
    /// When its execve was seen to be over.
    at: Instant,
    /// Its command writes here when it runs.
    ready: OwnedFd,
}

/// Forks and executes by hand: the instant at which execve succeeds is seen by looking without pause
/// at a pipe that it closes.
fn start(argv: &[CString]) -> io::Result<Fresh> {
    let pointers: Vec<_> = argv
        .iter()
        .map(|word| word.as_ptr())
        .chain([null()])
        .collect();
    let program = pointers.first().copied().unwrap_or(null());
    let environment = [c"PATH=/usr/bin:/bin".as_ptr(), null()];
    let (executed, held) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    let (ready, told) = pipe2(OFlag::O_CLOEXEC)?;
    #[expect(
        unsafe_code,
        reason = "std waits for execve in its sleep, and wakes up too late"
    )]
    // SAFETY: the child calls only the kernel, with strings that were made before the fork.
    let pid = unsafe {
        let pid = libc::fork();
        if pid == 0 {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&told), 1);
            let none = 0_u64;
            libc::syscall(
                libc::SYS_rt_sigprocmask,
                libc::SIG_SETMASK,
                &raw const none,
                0,
                8,
            );
            libc::execve(program, pointers.as_ptr(), environment.as_ptr());
            libc::_exit(127);
        }
        pid
    };
    drop((held, told));
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    while read(&executed, &mut [0]) == Err(Errno::EAGAIN) {
        std::hint::spin_loop();
    }
    let at = Instant::now();
    Ok(Fresh { pid, at, ready })
}

/// Sends TERM at an instant in the window. A TERM that was heard ends the command, and so the run,
/// with 143; else a later signal does, once the command runs.
fn shoot(argv: &[CString], after: Duration) -> Shot {
    let fresh = in_new_pid_namespace(|| start(argv)).unwrap().unwrap();
    while fresh.at.elapsed() < after {
        std::hint::spin_loop();
    }
    send(fresh.pid, libc::SIGTERM);
    let in_time = fresh.at.elapsed() < WINDOW;
    // One byte of the command, or the end of all.
    let _ = read(&fresh.ready, &mut [0]);
    send(fresh.pid, LATER);
    let mut status = 0;
    #[expect(unsafe_code, reason = "it was forked by hand")]
    // SAFETY: our own child, and the status is valid for writing.
    let waited = unsafe { libc::waitpid(fresh.pid, &raw mut status, 0) };
    assert_eq!(waited, fresh.pid);
    assert!(
        libc::WIFEXITED(status),
        "{argv:?} ended with status {status:#x}"
    );
    match libc::WEXITSTATUS(status) {
        _ if !in_time => Shot::Missed,
        143 => Shot::Heard,
        code if code == 128 + LATER => Shot::Lost,
        code => panic!("{argv:?} ended with code {code}"),
    }
}

fn argv(program: &Path, args: &[&str]) -> Vec<CString> {
    let puppet = bin::static_build("examples/puppet");
    let command = [&puppet.display().to_string(), "out", "ready", ",", "hang"];
    let program = program.display().to_string();
    let words = [program.as_str()].into_iter();
    let words = words.chain(args.iter().copied()).chain(command);
    words.map(|word| CString::new(word).unwrap()).collect()
}

#[test]
fn a_term_in_the_first_two_milliseconds_is_rarely_lost() {
    need!("root", "static", "tini");
    let inits = [
        (
            "lockkeeper (static)",
            argv(&bin::static_build("lockkeeper"), &["--"]),
        ),
        ("tini", argv(&PathBuf::from("/usr/bin/tini"), &["--"])),
    ];
    let mut chance = Chance::new();
    let mut lost = [0; 2];
    // By turns, so that what else the machine does meets both.
    for _ in 0..SHOTS {
        let after = chance.below(WINDOW);
        for ((_, argv), lost) in inits.iter().zip(&mut lost) {
            let shot = loop {
                match shoot(argv, after) {
                    Shot::Missed => {}
                    shot => break shot,
                }
            };
            *lost += usize::from(shot == Shot::Lost);
        }
    }
    for ((name, _), lost) in inits.iter().zip(lost) {
        eprintln!("{name}: {lost} of {SHOTS} TERMs lost in the first {WINDOW:?}");
    }
    assert!(lost[0] <= LOST_AT_MOST, "lockkeeper lost {}", lost[0]);
    // Else this test would see nothing.
    assert!(
        lost[1] > lost[0],
        "tini lost {}, lockkeeper {}",
        lost[1],
        lost[0]
    );
}
