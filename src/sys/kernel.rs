//! System calls without libc: nothing is written but what the kernel writes.
//!
//! For a child that shares its parent's memory until it executes its program. libc reports an error
//! through `errno`, and that variable is the parent's own there.

use nix::errno::Errno;

/// Whether [`call`] leaves `errno` alone on this architecture.
pub(super) const LEAVES_ERRNO: bool = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));

/// One system call (`syscalls(2)`, the calling conventions in syscall(2)).
///
/// # Errors
/// The error number that the kernel answered with.
///
/// # Safety
/// What the call does with its arguments is valid for this process.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) unsafe fn call(number: libc::c_long, args: [usize; 5]) -> Result<usize, Errno> {
    let [one, two, three, four, five] = args;
    let answer: libc::c_long;
    // SAFETY: the kernel changes rcx and r11 beside the answer; the rest is the caller's promise.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") number => answer,
            in("rdi") one,
            in("rsi") two,
            in("rdx") three,
            in("r10") four,
            in("r8") five,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result(answer)
}

/// As above.
///
/// # Safety
/// As above.
#[cfg(target_arch = "aarch64")]
#[inline]
pub(super) unsafe fn call(number: libc::c_long, args: [usize; 5]) -> Result<usize, Errno> {
    let [one, two, three, four, five] = args;
    let answer: usize;
    // SAFETY: the kernel changes no register but x0; the rest is the caller's promise.
    unsafe {
        core::arch::asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") one => answer,
            in("x1") two,
            in("x2") three,
            in("x3") four,
            in("x4") five,
            options(nostack),
        );
    }
    result(answer.cast_signed() as libc::c_long)
}

/// Through libc, for a child with memory of its own.
///
/// # Safety
/// As above.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) unsafe fn call(number: libc::c_long, args: [usize; 5]) -> Result<usize, Errno> {
    let [one, two, three, four, five] = args;
    // SAFETY: the caller's promise.
    let answer = unsafe { libc::syscall(number, one, two, three, four, five) };
    Errno::result(answer).map(|answer| answer as usize)
}

/// The kernel answers with an error number below zero (syscall(2)).
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn result(answer: libc::c_long) -> Result<usize, Errno> {
    usize::try_from(answer).map_err(|_| match i32::try_from(answer) {
        Ok(errno) => Errno::from_raw(-errno),
        Err(_) => Errno::UnknownErrno,
    })
}
