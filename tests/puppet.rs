//! The puppet: a child process that does what it is told, one short command after the other.
//!
//! ```text
//! puppet COMMAND [, COMMAND]…   a script; `,` is a word of its own between two commands
//! puppet                        the same from standard input, a line each, answered by `ok`
//! ```
//!
//! A script that comes to its end exits 0. What the puppet itself cannot do is an error on standard
//! error, exit 99.
//!
//! | command | does |
//! | --- | --- |
//! | `out TEXT…`, `err TEXT…` | a line on standard output, on standard error |
//! | `part TEXT…` | text on standard output without an end of line |
//! | `lines N [MS]`, `spew BYTES` | N numbered lines, MS between; so much output |
//! | `cat` | copies standard input to standard output |
//! | `exit N`, `die SIG` | ends with this status; ends by this signal, ignored or not |
//! | `hang`, `sleep MS`, `spin` | never returns; returns after MS; never returns nor sleeps |
//! | `stop-self` | stops itself (SIGSTOP) |
//! | `wait SIG [MS]` | returns when the signal has come and MS more have passed |
//! | `signals [N]` | one line `SIG SENDER` for each of the next N signals, or for ever |
//! | `cleanup MS FILE` | waits for TERM, then MS, then writes FILE: proof that it got the time |
//! | `ignore SIG,…`, `default SIG,…` | dispositions |
//! | `block SIG,…` | adds to the signal mask |
//! | `closefds`, `clearenv` | closes *all* descriptors; empties the environment |
//! | `setsid`, `chdir DIR` | a session of its own; another working directory |
//! | `daemon` | double fork and setsid; the leader exits 0 when the daemon is ready |
//! | `child { COMMAND … }` | a child does this and exits 0; goes on when the child is ready |
//! | `reap` | waits until no child is left |
//! | `vfork-hang` | a vfork(2) whose child never goes on: the parent waits in state D |
//! | `zombie-leader` | the rest runs in a thread, the main thread ends: a zombie that lives |
//! | `mark PAGE RUN [OPTION…]` | stands in the marker page as RUN (or `auto`) until its death |
//! | `beat PAGE RUN` | shows in the marker page, without end, that it executes |
//! | `watch PAGE RUN` | looks for other runs in the page for ever, without a rest |
//! | `storm N PAGE RUN [MS]` | N lines of marked processes, each forking its successor and exiting |
//! | `page PAGE` | prints `marks=N full=N overlaps=N alive=RUN:COUNT,…`, then each overlap |
//! | `state` | a line of JSON: pid, ppid, pgrp, sid, tty, foreground, blocked, ignored, … |
//! | `clock` | prints the nanoseconds of `CLOCK_MONOTONIC` |
//! | `env NAME`, `notify TEXT` | prints a variable; sends TEXT to `$NOTIFY_SOCKET` |
//! | `touch FILE`, `write FILE TEXT…` | files |
//! | `append FILE TEXT…` | one line, in one write |
//! | `notes [-v] FILE`, `notes FILE SIG` | writes the notes of FILE, JSON a line, to the journal and says `noted`; waits for all to be taken once SIG has come, else not for long |
//! | `overflow-aside` | a thread fills its stack, in a process that is prepared for a crash as init is |
//! | `panic-aside` | the log thread panics, in a process that is prepared for a crash as init is |
//! | `panic-monitor` | the same in a monitor, which then writes `goes on` |
//! | `mkdir DIR`, `rmdir DIR` | folders |
//! | `lock FILE`, `unlock-all` | `flock(2)`, kept; frees it on every descriptor that it has |
//!
//! Options of `mark`, done in the given order before it marks: `daemon`, `setsid`, `clearenv`,
//! `closefds`, `ignore=SIG,…`. A signal is a name without SIG, or a number.
//!
//! *Ready* is a process that blocks for the first time (`hang`, `sleep`, `wait`, reading, …) or
//! ends. So after `child { … }` or a `daemon` everything before the block's first wait has
//! happened: no test needs to wait a while.
//!
//! It has C's `main`, as Rust's start-up would change what is to be seen: it ignores SIGPIPE, opens
//! descriptors 0 to 2 and handles SIGSEGV. Output is written at once and unbuffered, so nothing
//! appears twice after a fork.
#![no_main]
#![expect(
    unsafe_code,
    reason = "fork, signals and descriptors without a library in between"
)]
#![expect(clippy::disallowed_methods, reason = "a puppet sleeps when told to")]
#![expect(
    clippy::indexing_slicing,
    reason = "a puppet may panic: the test sees it"
)]
#![expect(
    clippy::cast_possible_truncation,
    reason = "small numbers of the kernel's"
)]
#![expect(
    clippy::similar_names,
    reason = "pid, ppid, pgrp and sid are the field's own names"
)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fs;
use std::io;
use std::path::Path;
use std::ptr::null_mut;
use std::sync::atomic::Ordering::SeqCst;
use std::thread::sleep;
use std::time::Duration;

#[path = "puppet/files.rs"]
mod files;
#[path = "puppet/notes.rs"]
mod notes;
#[expect(
    dead_code,
    reason = "asking what overlaps were like is the tests' half of this file"
)]
#[path = "it/support/page.rs"]
mod page;
#[path = "puppet/ready.rs"]
mod ready;
#[path = "puppet/signals.rs"]
mod signals;

use files::{
    append, cat, close_all, each_descriptor, interrupted, lock, notify, out, spew, told, write_all,
};
use page::{Page, Run};
use ready::{READY, announce, await_ready, daemon, end, fork, ready, shared_word, sleep_until};
use signals::{
    await_signal, block, die, dispose, disposition, hang, mask, report_signal, signal, signals,
};

/// The exit code of a puppet that could not do what it was told.
const CONFUSED: c_int = 99;

type Done = Result<(), String>;

#[unsafe(no_mangle)]
extern "C" fn main(count: c_int, argv: *const *const c_char) -> c_int {
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: argv holds argc strings that live as long as the process.
    let words = (1..count).map(|at| unsafe { CStr::from_ptr(*argv.add(at)) });
    let words: Vec<String> = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let done = if words.is_empty() {
        obey()
    } else {
        script(&words)
    };
    end(match done {
        Ok(()) => 0,
        Err(error) => {
            write_all(2, format!("puppet: {error}\n").as_bytes());
            CONFUSED
        }
    })
}

/// Reads commands from standard input, byte by byte: what was not read yet belongs to whoever reads
/// next.
fn obey() -> Done {
    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        ready();
        // SAFETY: one byte into a buffer of one byte.
        match unsafe { libc::read(0, byte.as_mut_ptr().cast(), 1) } {
            1 if byte != *b"\n" => line.extend(byte),
            1 => {
                let text = String::from_utf8_lossy(&std::mem::take(&mut line)).into_owned();
                script(
                    &text
                        .split_whitespace()
                        .map(String::from)
                        .collect::<Vec<_>>(),
                )?;
                out("ok");
            }
            0 => return Ok(()),
            _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            _ => {
                return Err(format!(
                    "cannot read standard input: {}",
                    io::Error::last_os_error()
                ));
            }
        }
    }
}

fn script(words: &[String]) -> Done {
    let mut rest = words;
    while !rest.is_empty() {
        let (command, after) = next_command(rest)?;
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        if command == ["zombie-leader"] {
            leave_a_zombie_leader(after.to_vec());
        }
        perform(&command)?;
        rest = after;
    }
    Ok(())
}

/// Splits at the first `,` outside of braces.
fn next_command(words: &[String]) -> Result<(&[String], &[String]), String> {
    let mut depth = 0;
    for (at, word) in words.iter().enumerate() {
        match word.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 0 => return Ok((&words[..at], &words[at + 1..])),
            _ => {}
        }
    }
    if depth == 0 {
        Ok((words, &[]))
    } else {
        Err("braces do not pair".into())
    }
}

fn perform(command: &[&str]) -> Done {
    match command {
        [] => {}
        ["out", text @ ..] => out(&text.join(" ")),
        ["err", text @ ..] => write_all(2, format!("{}\n", text.join(" ")).as_bytes()),
        ["part", text @ ..] => write_all(1, text.join(" ").as_bytes()),
        ["lines", count] => (1..=number(count)?).for_each(|at| out(&at.to_string())),
        ["lines", count, pause] => {
            let pause = millis(pause)?;
            for at in 1..=number(count)? {
                out(&at.to_string());
                ready();
                sleep(pause);
            }
        }
        ["spew", bytes] => spew(number(bytes)?),
        ["cat"] => cat()?,
        ["exit", status] => end(number(status)? as c_int),
        ["die", name] => return die(signal(name)?),
        ["hang"] => hang(),
        ["spin"] => spin(),
        ["sleep", ms] => {
            let pause = millis(ms)?;
            ready();
            sleep(pause);
        }
        ["stop-self"] => {
            ready();
            // SAFETY: raise(3) has no memory to get wrong, here and below.
            unsafe { libc::raise(libc::SIGSTOP) };
        }
        ["wait", name] => drop(await_signal(&[signal(name)?])),
        ["wait", name, ms] => {
            let pause = millis(ms)?;
            await_signal(&[signal(name)?]);
            sleep(pause);
        }
        ["signals"] => loop {
            report_signal();
        },
        ["signals", count] => (0..number(count)?).for_each(|_| report_signal()),
        ["cleanup", ms, file] => {
            let pause = millis(ms)?;
            await_signal(&[libc::SIGTERM]);
            sleep(pause);
            told(fs::write(file, "cleaned up\n"), file)?;
        }
        ["ignore", names] => dispose(names, libc::SIG_IGN)?,
        ["default", names] => dispose(names, libc::SIG_DFL)?,
        ["block", names] => block(&signals(names)?),
        ["closefds"] => close_all(),
        // SAFETY: no other thread exists that could read the environment.
        ["clearenv"] => unsafe {
            libc::clearenv();
        },
        // SAFETY: no memory involved. A group's leader may not (EPERM): then it is one already, or
        // is told so by `state`.
        ["setsid"] => unsafe {
            libc::setsid();
        },
        ["chdir", dir] => told(std::env::set_current_dir(dir), dir)?,
        ["daemon"] => daemon(),
        ["child", "{", block @ .., "}"] => {
            child(&block.iter().map(|&word| word.into()).collect::<Vec<_>>());
        }
        ["reap"] => {
            ready();
            // SAFETY: no status is asked for.
            while unsafe { libc::waitpid(-1, null_mut(), 0) } > 0 || interrupted() {}
        }
        ["vfork-hang"] => vfork_hang(),
        ["mark", page, run, options @ ..] => mark(page, run, options)?,
        ["beat", page, run] => beat(page, run)?,
        ["watch", page, run] => {
            let (page, run) = open_page(page, run)?;
            ready();
            loop {
                page.look(run);
            }
        }
        ["storm", count, page, run] => storm(number(count)?, page, run, Duration::ZERO)?,
        ["storm", count, page, run, ms] => storm(number(count)?, page, run, millis(ms)?)?,
        ["page", page] => show_page(page)?,
        ["state"] => state(),
        ["clock"] => clock(),
        ["env", name] => out(&std::env::var(name).unwrap_or_default()),
        ["notify", text @ ..] => notify(&text.join(" "))?,
        ["notes", words @ ..] => notes::write(words)?,
        ["overflow-aside"] => notes::overflow_aside(),
        ["panic-aside"] => notes::panic_aside(),
        ["panic-monitor"] => notes::panic_monitor(),
        ["touch", file] => told(fs::write(file, ""), file)?,
        ["write", file, text @ ..] => told(fs::write(file, text.join(" ") + "\n"), file)?,
        ["append", file, text @ ..] => append(file, &text.join(" "))?,
        ["mkdir", dir] => told(fs::create_dir(dir), dir)?,
        ["rmdir", dir] => told(fs::remove_dir(dir), dir)?,
        ["lock", file] => lock(file)?,
        ["unlock-all"] => each_descriptor(|fd| {
            // SAFETY: flock(2) on a number that may not be open: then EBADF, and nothing happens.
            unsafe { libc::flock(fd, libc::LOCK_UN) };
        }),
        _ => return Err(format!("cannot obey \"{}\"", command.join(" "))),
    }
    Ok(())
}

fn spin() -> ! {
    ready();
    loop {
        std::hint::spin_loop();
    }
}

fn clock() {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is valid for writing.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    out(&(time.tv_sec * 1_000_000_000 + time.tv_nsec).to_string());
}

fn child(block: &[String]) {
    let word = shared_word();
    let pid = fork();
    if pid != 0 {
        return await_ready(word, pid);
    }
    READY.store(std::ptr::from_ref(word).cast_mut(), SeqCst);
    end(match script(block) {
        Ok(()) => 0,
        Err(error) => {
            write_all(2, format!("puppet: {error}\n").as_bytes());
            CONFUSED
        }
    })
}

/// Not vfork(2) itself: a child that returns on its parent's stack is nothing for a compiler.
fn vfork_hang() {
    extern "C" fn hangs(_: *mut c_void) -> c_int {
        hang()
    }
    let mut stack = vec![0_u128; 4096];
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the child has a stack of its own, its top aligned, and calls nothing but the kernel;
    // the parent does not run while it lives.
    unsafe {
        let top = stack.as_mut_ptr().add(stack.len());
        libc::clone(hangs, top.cast(), flags, null_mut());
    }
}

fn leave_a_zombie_leader(rest: Vec<String>) -> ! {
    std::thread::spawn(move || {
        let done = script(&rest);
        end(if done.is_ok() { 0 } else { CONFUSED });
    });
    // SAFETY: ends this thread alone, and never returns to a stack that is gone.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    unreachable!()
}

// The marker page.

fn open_page(path: &str, run: &str) -> Result<(Page, Run), String> {
    let page =
        Page::open(Path::new(path)).map_err(|error| format!("cannot map \"{path}\": {error}"))?;
    let run = match run {
        "auto" => page.new_run(),
        run => run.parse().map_err(|_| format!("\"{run}\" is no run"))?,
    };
    Ok((page, run))
}

fn mark(path: &str, run: &str, options: &[&str]) -> Done {
    let (page, run) = open_page(path, run)?;
    for option in options {
        match *option {
            "daemon" => daemon(),
            "setsid" => perform(&["setsid"])?,
            "clearenv" => perform(&["clearenv"])?,
            "closefds" => close_all(),
            option => match option.strip_prefix("ignore=") {
                Some(names) => dispose(names, libc::SIG_IGN)?,
                None => return Err(format!("cannot mark with \"{option}\"")),
            },
        }
    }
    if !page.mark(run) {
        return Err("the page is full".into());
    }
    std::mem::forget(page);
    Ok(())
}

fn beat(path: &str, run: &str) -> Done {
    let (page, run) = open_page(path, run)?;
    ready();
    loop {
        page.beat(run);
    }
}

fn storm(count: u64, path: &str, run: &str, pause: Duration) -> Done {
    let (page, run) = open_page(path, run)?;
    // The first of each line are our children, and nobody here waits for them.
    dispose("CHLD", libc::SIG_IGN)?;
    // None begins before all are there: else the first would leave the others no processor.
    let begin = shared_word();
    for _ in 0..count {
        if fork() == 0 {
            page.mark(run);
            sleep_until(begin);
            hop(&page, run, pause);
        }
    }
    announce(begin);
    Ok(())
}

/// Has a successor and ends, as does that one, for ever.
fn hop(page: &Page, run: Run, pause: Duration) -> ! {
    loop {
        if !pause.is_zero() {
            sleep(pause);
        }
        if fork() != 0 {
            // SAFETY: ends the process; its successor goes on.
            unsafe { libc::_exit(0) };
        }
        page.mark(run);
    }
}

fn show_page(path: &str) -> Done {
    let (page, _) = open_page(path, "1")?;
    let ((marks, full), (overlaps, pairs)) = (page.marks(), page.overlaps());
    let alive: Vec<String> = page
        .alive()
        .iter()
        .map(|(run, count)| format!("{run}:{count}"))
        .collect();
    out(&format!(
        "marks={marks} full={full} overlaps={overlaps} alive={}",
        alive.join(",")
    ));
    for pair in pairs {
        out(&format!(
            "overlap: {} beside {}",
            pair.newcomer, pair.beside
        ));
    }
    Ok(())
}

// Telling.

/// Mask, dispositions and descriptors are asked from the kernel one by one: it works without /proc,
/// and opens nothing.
fn state() {
    let blocked = mask();
    let (mut ignored, mut caught) = (Vec::new(), Vec::new());
    for signal in 1..65 {
        match disposition(signal) {
            Some(libc::SIG_IGN) => ignored.push(signal),
            Some(libc::SIG_DFL) | None => {}
            Some(_) => caught.push(signal),
        }
    }
    let mut fds = Vec::new();
    each_descriptor(|fd| {
        // SAFETY: a question about a number that may not be open.
        let open = unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0;
        fds.extend(open.then_some(fd));
    });
    let cwd = std::env::current_dir().unwrap_or_default();
    // SAFETY: questions, no memory involved.
    let (pid, ppid, pgrp, sid, tty, foreground) = unsafe {
        let [pid, ppid, pgrp, sid] = [
            libc::getpid(),
            libc::getppid(),
            libc::getpgrp(),
            libc::getsid(0),
        ];
        (
            pid,
            ppid,
            pgrp,
            sid,
            libc::isatty(0) == 1,
            libc::tcgetpgrp(0),
        )
    };
    out(&format!(
        "{{\"pid\":{pid},\"ppid\":{ppid},\"pgrp\":{pgrp},\"sid\":{sid},\"tty\":{tty},\
         \"foreground\":{foreground},\"blocked\":{blocked:?},\
         \"ignored\":{ignored:?},\"caught\":{caught:?},\
         \"fds\":{fds:?},\"cwd\":{:?},\"env\":{}}}",
        cwd.display().to_string(),
        std::env::vars_os().count(),
    ));
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("\"{text}\" is no number"))
}

fn millis(text: &str) -> Result<Duration, String> {
    number(text).map(Duration::from_millis)
}
