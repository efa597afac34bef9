//! Why a lock file cannot be opened or locked, in words that say what to do.
//!
//! The kernel's number alone does not help the person who mounted a folder where a file should be;
//! each way to get it wrong has a [`Fault`] of its own here, and each text ends with the remedy.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::config::plan::LOCK_NAME;
use crate::core::shell::Command;

/// The kernel's words for an error number, begun in lower case as they stand inside a sentence.
pub(super) struct Why(pub(super) Errno);

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = self.0.desc().chars();
        if let Some(first) = words.next() {
            write!(f, "{}{}", first.to_ascii_lowercase(), words.as_str())?;
        }
        Ok(())
    }
}

/// A path in double quotes, with marks in place of what a terminal would obey.
#[derive(Debug)]
pub struct Quoted<'a>(pub &'a Path);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

/// A lock file that cannot be opened. Displayed, it is one sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenError {
    /// The lock file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a lock file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A folder lies there; Docker makes one where the source of a `-v` is missing.
    Folder,
    /// Something else that is no regular file: "a FIFO", "a socket", …
    NotAFile(&'static str),
    /// A symbolic link lies there, and leads to this.
    Symlink(Option<PathBuf>),
    /// Symbolic links on the way lead round in a circle.
    Loop,
    /// The folder that it should lie in does not exist.
    MissingFolder(PathBuf),
    /// Something on the way to it is not a folder.
    NotAFolder,
    /// The file exists and we may not open it, or may not go through its folder.
    Denied,
    /// The file does not exist and we may not create it.
    CreateDenied,
    /// The file does not exist, and its file system is read-only.
    ReadOnly,
    /// The file lies on NFS, where an exclusive lock needs a file open for writing (flock(2)).
    NfsNotWritable(Errno),
    /// There is no room for a new file.
    NoSpace,
    /// The path, or its last part, is longer than the file system takes.
    NameTooLong,
    /// No descriptor was to be had, in this process or in the system.
    NoDescriptors(Errno),
    /// The file appears and vanishes again each time that we look.
    Restless,
    /// Anything else that the kernel said.
    Other(Errno),
}

impl Error for OpenError {}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = Quoted(folder_of(&self.path));
        write!(f, "cannot open the lock {}: ", Quoted(&self.path))?;
        match &self.fault {
            // rmdir(1), which takes an empty one alone: this may be the folder of the login.
            Fault::Folder => write!(
                f,
                "it is a folder; name a file inside it, {}; or, where Docker has made it because the \
                 source of a -v is missing: {}",
                Quoted(&self.path.join(LOCK_NAME)),
                Command::on("rmdir", &self.path)
            ),
            Fault::NotAFile(what) => {
                write!(
                    f,
                    "it is {what}; a lock is a regular file, name another path"
                )
            }
            Fault::Symlink(Some(target)) => {
                write!(
                    f,
                    "it is a symbolic link; name the file itself, {}",
                    Quoted(target)
                )
            }
            Fault::Symlink(None) => f.write_str("it is a symbolic link; name the file itself"),
            Fault::Loop => f.write_str(
                "symbolic links on the way to it lead round in a circle; correct the path",
            ),
            Fault::MissingFolder(missing) => write!(
                f,
                "the folder {} does not exist; create the folder, or mount it",
                Quoted(missing)
            ),
            Fault::NotAFolder => {
                f.write_str("a part of the path before the last is not a folder; correct the path")
            }
            Fault::Denied => write!(
                f,
                "permission denied for {User}; make the file readable for all who share it \
                 (chmod 666), and its folders passable (chmod a+x)"
            ),
            Fault::CreateDenied => write!(
                f,
                "it does not exist, and {User} may not create files in {folder}; \
                 create it beforehand with mode 666, or make the folder writable"
            ),
            Fault::ReadOnly => write!(
                f,
                "it does not exist, and {folder} is read-only here; create it once where the \
                 folder is writable (a lock that exists may lie on a read-only mount)"
            ),
            Fault::NfsNotWritable(errno) => write!(
                f,
                "it lies on NFS, where locking needs write permission: {}; \
                 make it writable (chmod 666), and its mount too",
                Why(*errno)
            ),
            Fault::NoSpace => write!(
                f,
                "it does not exist, and there is no room for a new file in {folder}; \
                 free space or inodes there"
            ),
            Fault::NameTooLong => f.write_str("the path is too long; choose a shorter one"),
            Fault::NoDescriptors(errno) => write!(
                f,
                "{}; raise the limit of open files (ulimit -n), or find who keeps so many open",
                Why(*errno)
            ),
            Fault::Restless => f.write_str(
                "it appears and vanishes again while we look; find out who removes it: \
                 a lock file must never be removed",
            ),
            Fault::Other(errno) => write!(
                f,
                "{} (errno {}); see that {folder} is a healthy folder that this user can use",
                Why(*errno),
                *errno as i32
            ),
        }
    }
}

impl OpenError {
    /// Puts what open(2) said about `path` into the kind of trouble that it is; `creating` tells
    /// which of the two opens said so.
    pub(super) fn from_errno(path: &Path, errno: Errno, creating: bool) -> Self {
        let fault = match errno {
            Errno::ELOOP => match std::fs::symlink_metadata(path) {
                Ok(meta) if meta.is_symlink() => Fault::Symlink(std::fs::read_link(path).ok()),
                _ => Fault::Loop,
            },
            Errno::ENOENT => Fault::MissingFolder(folder_of(path).to_owned()),
            Errno::ENOTDIR => Fault::NotAFolder,
            Errno::EACCES | Errno::EPERM if creating => Fault::CreateDenied,
            Errno::EACCES | Errno::EPERM => Fault::Denied,
            Errno::EROFS => Fault::ReadOnly,
            Errno::EISDIR => Fault::Folder,
            // open(2): a socket, or a device special file without a device.
            Errno::ENXIO | Errno::ENODEV => Fault::NotAFile("a socket or a device"),
            Errno::ENOSPC | Errno::EDQUOT => Fault::NoSpace,
            Errno::ENAMETOOLONG => Fault::NameTooLong,
            Errno::EMFILE | Errno::ENFILE => Fault::NoDescriptors(errno),
            other => Fault::Other(other),
        };
        Self {
            path: path.to_owned(),
            fault,
        }
    }
}

/// The folder that `path` lies in, as a path that can be opened.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    }
}

/// The user that the kernel judges us by.
struct User;

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user {}", nix::unistd::geteuid())
    }
}

/// flock(2) on an open lock file failed, other than because somebody holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockError {
    /// The lock file.
    pub path: PathBuf,
    /// What the kernel said.
    pub errno: Errno,
}

impl Error for LockError {}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot lock {}: {}; ",
            Quoted(&self.path),
            Why(self.errno)
        )?;
        f.write_str(match self.errno {
            // SELinux judges locking apart from opening (FILE__LOCK).
            Errno::EACCES => {
                "a security module forbids it: mount the folder with :z, so that it is labelled"
            }
            Errno::ENOLCK => {
                "the file server keeps no locks for us: start its lock manager, \
                 or put the lock on a local file system"
            }
            Errno::EOPNOTSUPP | Errno::EINVAL | Errno::ENOSYS => {
                "this file system has no flock(2): put the lock on another one"
            }
            _ => "put the lock on a local file system that all containers mount",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(errno: Errno, creating: bool) -> String {
        OpenError::from_errno(Path::new("/no/such/lock"), errno, creating).to_string()
    }

    #[test]
    fn each_error_of_open_says_what_is_wrong_and_what_to_do() {
        for (errno, creating, expected) in [
            (Errno::ENOENT, true, "create the folder, or mount it"),
            (Errno::ENOTDIR, false, "correct the path"),
            (Errno::EACCES, false, "chmod 666"),
            (Errno::EACCES, true, "may not create files in \"/no/such\""),
            (Errno::EPERM, true, "make the folder writable"),
            (Errno::EROFS, true, "create it once where"),
            (Errno::ENOSPC, true, "free space or inodes"),
            (Errno::EDQUOT, true, "free space or inodes"),
            (Errno::ENAMETOOLONG, false, "choose a shorter one"),
            (Errno::EMFILE, false, "ulimit -n"),
            (Errno::ENXIO, false, "name another path"),
            (Errno::ELOOP, false, "lead round in a circle"),
            (Errno::EIO, false, "errno 5"),
        ] {
            let text = text(errno, creating);
            assert!(
                text.starts_with("cannot open the lock \"/no/such/lock\": "),
                "{text}"
            );
            assert!(text.contains(expected), "{errno}: {text}");
            assert!(!text.ends_with('.'), "{text}");
        }
    }

    #[test]
    fn a_failed_flock_names_the_remedy() {
        for (errno, expected) in [
            (Errno::EACCES, ":z"),
            (Errno::ENOLCK, "lock manager"),
            (Errno::EOPNOTSUPP, "no flock(2)"),
            (Errno::EIO, "local file system"),
        ] {
            let error = LockError {
                path: "/x".into(),
                errno,
            };
            let text = error.to_string();
            assert!(text.starts_with("cannot lock \"/x\": "), "{text}");
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn a_bare_name_lies_in_the_working_directory() {
        assert_eq!(folder_of(Path::new("lock")), Path::new("."));
        assert_eq!(folder_of(Path::new("/lock")), Path::new("/"));
        assert_eq!(folder_of(Path::new("/a/lock")), Path::new("/a"));
    }
}
