//! The only unsafe code: thin, typed views of what the kernel offers.
//!
//! Invariant: no policy. A function here does one thing and reports what the kernel said.
#![expect(
    unsafe_code,
    reason = "this folder is where system calls without a safe wrapper live"
)]

pub mod clock;
pub mod crash;
pub mod datagram;
pub mod dents;
pub mod fd;
mod kernel;
pub mod limits;
pub mod memfd;
pub mod pidfd;
pub mod poll;
pub mod proc;
pub mod process;
pub mod program;
pub mod pty;
pub mod rename;
pub mod signals;
pub mod spawn;
pub mod statmount;
pub mod statx;
pub mod thread;
pub mod tree;
pub mod tty;
pub mod wait;
