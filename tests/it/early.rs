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

/// A part of the shots, at both inits by turns, so that what else the machine does meets both.
const SHOTS: usize = 200;
/// So many parts are aimed at lockkeeper, and the first at tini too: one part alone would tell a window
/// of 20 microseconds from one of 50 only by luck.
const PARTS: usize = 10;
/// In which the TERMs fall, from execve on.
const WINDOW: Duration = Duration::from_millis(2);
/// A TERM that is sent this much later than it was meant to be counts as missed.
const SLACK: Duration = Duration::from_micros(5);
/// How many of a part the static build may lose.
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
fn start(argv: &[CString], sides: Sides) -> io::Result<Fresh> {
    let pointers: Vec<_> = argv
        .iter()
        .map(|word| word.as_ptr())
        .chain([null()])
        .collect();
    bind(sides.its);
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
            libc::execve(*pointers.as_ptr(), pointers.as_ptr(), environment.as_ptr());
            libc::_exit(127);
        }
        pid
    };
    bind(sides.own);
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

/// Puts the calling thread, and what it starts, before all others of the machine, or back among them:
/// what else runs here would stretch the start of any init. Forbidden, it is done without.
fn hurry(on: bool) {
    let (policy, sched_priority) = if on {
        (libc::SCHED_FIFO, 1)
    } else {
        (libc::SCHED_OTHER, 0)
    };
    let parameters = libc::sched_param { sched_priority };
    #[expect(unsafe_code, reason = "no library at hand sets it")]
    // SAFETY: the parameters live through the call (sched_setscheduler(2)).
    unsafe {
        libc::syscall(
            libc::SYS_sched_setscheduler,
            0,
            policy,
            &raw const parameters,
        );
    }
}

/// Two sets of processors: who looks without pause has one of its own, where there are two.
#[derive(Clone, Copy, Debug)]
struct Sides {
    own: u64,
    its: u64,
}

impl Sides {
    /// Of the first 64 that we may use (`sched_getaffinity(2)`).
    fn new() -> Self {
        let mut set = [0_u64; 128];
        #[expect(unsafe_code, reason = "no library at hand asks for it")]
        // SAFETY: the set is valid for writing its size.
        unsafe {
            let size = size_of_val(&set);
            libc::syscall(libc::SYS_sched_getaffinity, 0, size, set.as_mut_ptr());
        }
        let [all, ..] = set;
        let own = all & all.wrapping_neg();
        let its = if all == own { all } else { all & !own };
        Self { own, its }
    }
}

/// Binds the calling thread to these processors. Calls nothing but the kernel.
fn bind(to: u64) {
    #[expect(unsafe_code, reason = "no library at hand sets it")]
    // SAFETY: the set is valid for reading its size.
    unsafe {
        libc::syscall(
            libc::SYS_sched_setaffinity,
            0,
            size_of::<u64>(),
            &raw const to,
        );
    }
}

/// Sends TERM at an instant in the window. A TERM that was heard ends the command, and so the run,
/// with 143; else a later signal does, once the command runs.
fn shoot(argv: &[CString], sides: Sides, after: Duration) -> Shot {
    hurry(true);
    let shot = in_new_pid_namespace(|| {
        let fresh = start(argv, sides)?;
        while fresh.at.elapsed() < after {
            std::hint::spin_loop();
        }
        let sent = fresh.at.elapsed();
        send(fresh.pid, libc::SIGTERM);
        io::Result::Ok((fresh, sent))
    });
    hurry(false);
    let (fresh, sent) = shot.flatten().expect("root may start a PID 1");
    let in_time = sent < after + SLACK;
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
    // On one, who looks without pause would keep from running what it has started.
    need!("root", "static", "tini", "two processors");
    let inits = [
        (
            "lockkeeper (static)",
            argv(&bin::static_build("lockkeeper"), &["--"]),
        ),
        ("tini", argv(&PathBuf::from("/usr/bin/tini"), &["--"])),
    ];
    let sides = Sides::new();
    let mut chance = Chance::new();
    let mut lost = [0; 2];
    for round in 0..SHOTS * PARTS {
        let after = chance.below(WINDOW);
        let aimed_at = if round < SHOTS { 2 } else { 1 };
        for ((_, argv), lost) in inits.iter().zip(&mut lost).take(aimed_at) {
            let shot = loop {
                match shoot(argv, sides, after) {
                    Shot::Missed => {}
                    shot => break shot,
                }
            };
            *lost += usize::from(shot == Shot::Lost);
        }
    }
    for ((name, _), (lost, parts)) in inits.iter().zip(lost.into_iter().zip([PARTS, 1])) {
        let shots = SHOTS * parts;
        eprintln!("{name}: {lost} of {shots} TERMs lost in the first {WINDOW:?}");
    }
    let [ours, tinis] = lost;
    assert!(ours <= LOST_AT_MOST * PARTS, "lockkeeper lost {ours}");
    // Else this test would see nothing.
    assert!(tinis * PARTS > ours, "tini lost {tinis}, lockkeeper {ours}");
}
