//! waitid(2), typed. Only the main thread of a process waits, and only here.

use std::mem::MaybeUninit;

use nix::errno::Errno;

use crate::core::outcome::Status;

/// What one call of [`reap`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaped {
    /// This child has ended; its number is free from here on.
    Child(i32, Status),
    /// Children are there, and none has ended.
    NoneYet,
    /// There is no child at all.
    NoChild,
}

/// Reaps one child that has ended, without waiting for one.
pub fn reap() -> Reaped {
    match waitid(libc::P_ALL, 0, libc::WEXITED | libc::WNOHANG | libc::__WALL) {
        Ok(Some((pid, code, status))) => Reaped::Child(pid, status_of(code, status)),
        Ok(None) => Reaped::NoneYet,
        Err(_) => Reaped::NoChild,
    }
}

/// Waits for the end of `pid`, a child that ends at once, and reaps it. `None`: it is no child of
/// ours, or was reaped already.
pub fn reap_one(pid: i32) -> Option<Status> {
    let (_, code, status) = waitid(libc::P_PID, pid, libc::WEXITED).ok()??;
    Some(status_of(code, status))
}

/// Whether our child `pid` is stopped now (`WSTOPPED`, asked without taking the answer away).
pub fn is_stopped(pid: i32) -> bool {
    matches!(
        waitid(
            libc::P_PID,
            pid,
            libc::WSTOPPED | libc::WNOHANG | libc::WNOWAIT
        ),
        Ok(Some(_))
    )
}

/// Whether this process has any child, alive or not yet reaped.
pub fn has_child() -> bool {
    let asked = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
    waitid(libc::P_ALL, 0, asked).is_ok()
}

/// Whether `pid` is a child of this process, alive or not yet reaped. While nobody else reaps, such
/// a number cannot come to mean another process.
pub fn is_child(pid: i32) -> bool {
    waitid(
        libc::P_PID,
        pid,
        libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL,
    )
    .is_ok()
}

/// The pid, `si_code` and `si_status` of what was found; `None`: nothing to report yet.
fn waitid(kind: libc::idtype_t, id: i32, options: i32) -> Result<Option<(i32, i32, i32)>, Errno> {
    let id = libc::id_t::try_from(id).unwrap_or(0);
    loop {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: `info` is valid for writing; all zeros is a valid value where nothing was found,
        // and then its pid is zero (waitid(2)).
        let (result, info) = unsafe {
            let result = libc::waitid(kind, id, info.as_mut_ptr(), options);
            (result, info.assume_init())
        };
        if result == 0 {
            // SAFETY: waitid fills the fields of SIGCHLD, or leaves them zero.
            let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
            return Ok((pid != 0).then_some((pid, info.si_code, status)));
        }
        match Errno::last() {
            Errno::EINTR => {}
            errno => return Err(errno),
        }
    }
}

fn status_of(code: i32, status: i32) -> Status {
    match code {
        libc::CLD_EXITED => Status::Exited(u8::try_from(status & 0xff).unwrap_or(u8::MAX)),
        libc::CLD_DUMPED => Status::Dumped(status),
        _ => Status::Killed(status),
    }
}
