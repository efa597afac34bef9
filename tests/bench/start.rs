//! From execve to the end of a command that does nothing: as PID 1 of a new PID namespace beside
//! tini, and under a lock and a time limit beside the chain of tools that people write today.

use std::ffi::CString;
use std::path::Path;
use std::time::Instant;

use super::table::{Table, median};

const ROUNDS: usize = 400;

/// Measures both, interleaved, so that a machine whose speed drifts drifts for all.
pub fn measure(binary: &Path, table: &mut Table) {
    let lock = std::env::temp_dir().join(format!("lockkeeper-bench-{}.lock", std::process::id()));
    let (own, lock) = (
        binary.to_str().expect("a path"),
        lock.to_str().expect("a path").to_owned(),
    );
    let single = [own, "--", "true"];
    let tini = ["tini", "--", "true"];
    let run = [own, "run", "--lock", &lock, "--timeout", "1h", "--", "true"];
    let chain = ["tini", "-s", "--", "flock", &lock, "timeout", "1h", "true"];
    let bare = ["true"];
    let mut times: [Vec<f64>; 5] = Default::default();
    let commands: [(&[&str], bool); 5] = [
        (&single, true),
        (&tini, true),
        (&run, false),
        (&chain, false),
        (&bare, true),
    ];
    for round in 0..ROUNDS + 20 {
        for ((command, pid1), times) in commands.iter().zip(&mut times) {
            let took = once(command, *pid1);
            if round >= 20 {
                times.push(took);
            }
        }
    }
    let [single, tini, run, chain, bare] = times.each_mut().map(|times| median(times));
    table.row("true alone as PID 1, µs", bare * 1e6, None);
    table.row("lockkeeper -- true as PID 1, µs", single * 1e6, None);
    table.row("tini -- true as PID 1, µs", tini * 1e6, None);
    table.row("ratio to tini", single / tini, Some(0.8));
    table.row(
        "lockkeeper run --lock L --timeout 1h -- true, µs",
        run * 1e6,
        None,
    );
    table.row("tini -- flock L timeout 1h true, µs", chain * 1e6, None);
    table.row("ratio to the chain", run / chain, Some(0.4));
    let _ = std::fs::remove_dir_all(format!("{lock}.d"));
    let _ = std::fs::remove_file(lock);
}

/// Seconds from the making of a process to the end of `command`, which must end with 0. The process
/// borrows our memory until it executes (`CLONE_VFORK`, clone(2)): a copy of this program would cost
/// more than some of what is measured, and is no part of it.
fn once(command: &[&str], pid1: bool) -> f64 {
    let texts: Vec<CString> = command
        .iter()
        .map(|text| CString::new(*text).expect("text"))
        .collect();
    let mut argv: Vec<*const libc::c_char> = texts.iter().map(|text| text.as_ptr()).collect();
    argv.push(std::ptr::null());
    let borrow = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let flags = borrow | if pid1 { libc::CLONE_NEWPID } else { 0 };
    let mut stack = vec![0_u128; 4096];
    let top = stack.as_mut_ptr_range().end;
    let begin = Instant::now();
    // SAFETY: the child only execs, on a stack of its own, while we wait for that.
    let pid = unsafe { libc::clone(exec, top.cast(), flags, argv.as_mut_ptr().cast()) };
    assert!(
        pid > 0,
        "no new PID namespace: {}",
        std::io::Error::last_os_error()
    );
    let mut status = 0;
    // SAFETY: `status` is valid for writing.
    unsafe { libc::waitpid(pid, &raw mut status, 0) };
    let took = begin.elapsed().as_secs_f64();
    assert_eq!(status, 0, "{command:?}");
    took
}

extern "C" fn exec(argv: *mut libc::c_void) -> libc::c_int {
    let argv: *const *const libc::c_char = argv.cast();
    // SAFETY: a null-terminated array of C strings.
    unsafe {
        libc::execvp(*argv, argv);
        libc::_exit(99)
    }
}
