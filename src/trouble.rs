//! What the kernel's error numbers mean for those who run agents, and what to do about them.
//!
//! For errors of lockkeeper's own making of processes, descriptors and files; lock files and
//! configurations have words of their own (`lock::fault`, `config::source`).

use std::io;

use nix::errno::Errno;

use crate::core::outcome::SpawnStep;

/// Why, and what to do: `too many open files; raise …`.
pub fn text(errno: i32) -> String {
    let errno = Errno::from_raw(errno);
    match remedy(errno) {
        Some(remedy) => format!("{}; {remedy}", why(errno)),
        None => why(errno),
    }
}

/// The same for an error of the standard library.
pub fn text_of(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), text)
}

/// Why a command could not be started, what `on` is, and what to do.
pub fn start(step: SpawnStep, errno: i32, on: &str) -> String {
    let errno = Errno::from_raw(errno);
    let remedy = match (step, errno) {
        (SpawnStep::Exec, Errno::ENOENT) if on.contains('/') => Some(
            "correct the path; where the file is there, it is the interpreter named in it that is not",
        ),
        (SpawnStep::Exec, Errno::ENOENT) if on.is_empty() => {
            Some("is it a variable that is not set? correct the name or PATH")
        }
        (SpawnStep::Exec, Errno::ENOENT) if on.starts_with('-') => {
            Some("options of lockkeeper stand before --; install it, or correct the name or PATH")
        }
        (SpawnStep::Exec, Errno::ENOENT) if on.contains(' ') => Some(
            "this is one word: leave out the quotes round all of it, write the words apart; install \
             it, or correct the name or PATH",
        ),
        (SpawnStep::Exec, Errno::ENOENT) => Some("install it, or correct the name or PATH"),
        (SpawnStep::Exec, Errno::EACCES) => {
            Some("name a file with the right to execute it (chmod +x), on a mount without noexec")
        }
        (SpawnStep::Exec, Errno::ENOEXEC) => {
            Some("name a program for this machine, or a script where /bin/sh is")
        }
        (SpawnStep::Exec, Errno::E2BIG) => Some("shorten its arguments or the environment"),
        (SpawnStep::Dir, Errno::ENOENT) => Some("create it, or name another"),
        (SpawnStep::Dir, Errno::ENOTDIR) => Some("name a folder"),
        (SpawnStep::Dir, Errno::EACCES) => {
            Some("open it, and the folders above it, to the command's user (chmod +x)")
        }
        (SpawnStep::User, Errno::ENOENT) => {
            Some("there is no such user or group here: add it to the image, or give its number")
        }
        (SpawnStep::User, Errno::EPERM) => Some(
            "only root can become another user: start lockkeeper as root, or leave user and group out",
        ),
        (SpawnStep::Limits, Errno::EPERM) => Some(
            "above the hard limit that lockkeeper itself has, which only CAP_SYS_RESOURCE raises: \
             raise it for the container (--ulimit), or write less",
        ),
        (SpawnStep::Limits, Errno::EINVAL) => {
            Some("the soft limit is above the hard one: write both, as { soft, hard }")
        }
        (SpawnStep::Nice, Errno::EACCES | Errno::EPERM) => Some(
            "a value below lockkeeper's own needs CAP_SYS_NICE: give it to the container \
             (--cap-add SYS_NICE), or write a higher one",
        ),
        (SpawnStep::OomScore, Errno::EACCES | Errno::EPERM) => Some(
            "a value below the lowest that was ever set needs CAP_SYS_RESOURCE: give it to the \
             container, or write a higher one",
        ),
        (SpawnStep::OomScore, Errno::ENOENT | Errno::EROFS) => {
            Some("mount /proc of this PID namespace, writable")
        }
        (SpawnStep::Terminal, Errno::ENOENT | Errno::ENODEV | Errno::ENXIO) => Some(
            "mount the terminals, as container engines do: mount -t devpts -o \
             newinstance,ptmxmode=0666 devpts /dev/pts, and make /dev/ptmx a link to pts/ptmx",
        ),
        (SpawnStep::Terminal, Errno::EACCES) => {
            Some("open it to all, with ptmxmode=0666 among the options of the mount at /dev/pts")
        }
        (SpawnStep::Terminal, Errno::ENOSPC) => Some(
            "raise the number of terminals: max= among the options of the mount at /dev/pts, or \
             sysctl kernel.pty.max",
        ),
        _ => remedy(errno),
    };
    match remedy {
        Some(remedy) => format!("{}; {remedy}", why(errno)),
        None => why(errno),
    }
}

/// The kernel's words, begun in lower case as they stand inside a sentence.
pub fn why(errno: Errno) -> String {
    match errno {
        // fork(2), pthread_create(3): "try again" is what it says, and not what it means.
        Errno::EAGAIN => "no further process or thread is allowed".to_owned(),
        _ => errno.desc().to_ascii_lowercase(),
    }
}

const fn remedy(errno: Errno) -> Option<&'static str> {
    match errno {
        Errno::EMFILE => Some("raise the limit of open files (ulimit -n)"),
        Errno::ENFILE => Some("raise the machine's limit of open files (sysctl fs.file-max)"),
        Errno::EFBIG => Some("raise the limit of file sizes (ulimit -f)"),
        Errno::EAGAIN => {
            Some("raise the limit of processes (ulimit -u, --pids-limit), or find who has so many")
        }
        Errno::ENOMEM => Some("give the machine or the container more memory"),
        Errno::ENOSPC | Errno::EDQUOT => Some("free space there"),
        _ => None,
    }
}
