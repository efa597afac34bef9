//! ptrace(2), as far as placing a kill needs it: a process that stops before and after each system
//! call, and its children from their first instruction on.
//!
//! All of it belongs to one thread: the kernel knows a tracer by its thread, and `__WNOTHREAD`
//! keeps the lanes' children apart.
#![expect(
    unsafe_code,
    reason = "no library at hand waits for one thread's tracees or reads a system call's arguments"
)]

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::ptr::null_mut;

use super::phase::Call;

/// What wait(2) told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It has ended, and is reaped: as a shell counts, 128 + n for signal n.
    Ended(i32),
    /// A traced process has forked this child, traced as well.
    Forked(i32),
    /// It stands before or behind a system call.
    AtCall,
    /// It stands at a signal, to be given on; 0 for the stop that begins a trace.
    Signal(i32),
}

/// How a stopped process goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// To the next system call.
    Step,
    /// Freely.
    Run,
    /// Freely, and no longer traced.
    Leave,
}

/// In the child, before exec: its parent traces it.
pub(crate) fn trace_me() -> io::Result<()> {
    request(libc::PTRACE_TRACEME, 0, 0, 0)
}

/// Has `pid`'s children traced from their birth on, and all killed with the tracer. To be called at
/// the first stop, that of its exec.
pub(crate) fn follow(pid: i32) {
    let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACEFORK | libc::PTRACE_O_EXITKILL;
    drop(request(
        libc::PTRACE_SETOPTIONS,
        pid,
        0,
        options.unsigned_abs() as usize,
    ));
}

/// Lets a stopped process go on, with `signal` if it is not 0. A process that was killed meanwhile
/// does not mind.
pub(crate) fn go_on(pid: i32, pace: Pace, signal: i32) {
    let how = match pace {
        Pace::Step => libc::PTRACE_SYSCALL,
        Pace::Run => libc::PTRACE_CONT,
        Pace::Leave => libc::PTRACE_DETACH,
    };
    drop(request(how, pid, 0, signal.unsigned_abs() as usize));
}

/// Waits for the next news of this thread's children and tracees; none are left: nothing.
pub(crate) fn wait() -> Option<(i32, Told)> {
    let mut status = 0;
    let flags = libc::__WALL | libc::__WNOTHREAD;
    loop {
        // SAFETY: the status is a number of ours.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, flags) };
        if pid > 0 {
            return Some((pid, told(pid, status)));
        }
        if io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return None;
        }
    }
}

fn told(pid: i32, status: i32) -> Told {
    if libc::WIFEXITED(status) {
        return Told::Ended(libc::WEXITSTATUS(status));
    }
    if libc::WIFSIGNALED(status) {
        return Told::Ended(128 + libc::WTERMSIG(status));
    }
    let signal = libc::WSTOPSIG(status);
    match status >> 16 {
        libc::PTRACE_EVENT_FORK => Told::Forked(event_message(pid)),
        0 if signal == libc::SIGTRAP | 0x80 => Told::AtCall,
        0 if signal != libc::SIGTRAP && signal != libc::SIGSTOP => Told::Signal(signal),
        _ => Told::Signal(0),
    }
}

fn event_message(pid: i32) -> i32 {
    let mut message: libc::c_ulong = 0;
    drop(request(
        libc::PTRACE_GETEVENTMSG,
        pid,
        0,
        (&raw mut message).addr(),
    ));
    i32::try_from(message).unwrap_or(0)
}

/// Where a process stands among its system calls.
pub(crate) enum At {
    Entry(Call),
    Exit(i64),
}

/// The answer of `PTRACE_GET_SYSCALL_INFO` (ptrace(2), Linux 5.3).
#[repr(C)]
struct Info {
    op: u8,
    pad: [u8; 3],
    arch: u32,
    pointers: [u64; 2],
    data: [u64; 8],
}

/// What a process that told [`Told::AtCall`] is about to do, or has done.
pub(crate) fn at(pid: i32) -> Option<At> {
    const GET_SYSCALL_INFO: u32 = 0x420e;
    let mut info = MaybeUninit::<Info>::zeroed();
    request(
        GET_SYSCALL_INFO,
        pid,
        size_of::<Info>(),
        info.as_mut_ptr().addr(),
    )
    .ok()?;
    // SAFETY: all zeroes is a valid value, and the kernel filled a part of it.
    let info = unsafe { info.assume_init() };
    let [number, args @ .., _] = info.data;
    match info.op {
        1 => Some(At::Entry(Call {
            number: number.cast_signed(),
            args,
        })),
        2 => Some(At::Exit(number.cast_signed())),
        _ => None,
    }
}

/// Up to `length` bytes at `address` of a process.
pub(crate) fn memory(pid: i32, address: u64, length: usize) -> Vec<u8> {
    // In pieces that end with a page: what lies behind a text's end may not be mapped.
    const PAGE: usize = 4096;
    let mut text = vec![0; length];
    let mut done = 0;
    while done < length {
        let from = usize::try_from(address).unwrap_or(0) + done;
        let piece = (PAGE - from % PAGE).min(length - done);
        let (ours, theirs) = (
            libc::iovec {
                iov_base: text[done..].as_mut_ptr().cast(),
                iov_len: piece,
            },
            libc::iovec {
                iov_base: std::ptr::without_provenance_mut(from),
                iov_len: piece,
            },
        );
        // SAFETY: our vector lies in `text`; theirs is the kernel's to judge.
        let got =
            unsafe { libc::process_vm_readv(pid, &raw const ours, 1, &raw const theirs, 1, 0) };
        if usize::try_from(got) != Ok(piece) {
            break;
        }
        done += piece;
    }
    text.truncate(done);
    text
}

fn request(what: libc::c_uint, pid: i32, address: usize, data: usize) -> io::Result<()> {
    // SAFETY: the callers pass numbers, or addresses of values that live through the call.
    let answer = unsafe {
        libc::ptrace(
            what,
            pid,
            null_mut::<libc::c_void>().wrapping_byte_add(address),
            null_mut::<libc::c_void>().wrapping_byte_add(data),
        )
    };
    if answer < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
