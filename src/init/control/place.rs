//! Where an init's socket lies, and which of those that are found is meant.
//!
//! A socket is claimed as a run is: by the latch beside it, `NAME.latch`. Who holds the latch may
//! remove what lies at the name and bind his own; a living init holds it until its end, so its socket is
//! never taken away, and a dead one's is replaced by whoever has the latch next, or cleared away with
//! the claims of dead runs.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use crate::lock::folders::runtime_folders;
use crate::lock::listing::MAX_ENTRIES;
use crate::lock::record::Origin;
use crate::sys::process;

/// The variable that names the socket, to init and to those who ask.
pub const VARIABLE: &str = "LOCKKEEPER_SOCKET";

/// How the names of sockets end; a claim of such a name has one ([`crate::lock::listing`]).
const SUFFIX: &str = ".sock";

/// A socket that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Where.
    pub path: PathBuf,
    /// Which process is to listen there; `None`: a person has named it, whoever listens.
    pub pid: Option<i32>,
}

/// Where this process listens, if nobody names a place: among the claims in `runtime`.
pub fn own(runtime: &Path) -> PathBuf {
    runtime.join(name(namespace(), process::own_pid()))
}

/// The socket that `--socket` or [`VARIABLE`] names.
pub fn named(flag: Option<&Path>) -> Option<PathBuf> {
    let variable = std::env::var_os(VARIABLE).filter(|path| !path.is_empty());
    flag.map(Path::to_owned)
        .or_else(|| variable.map(PathBuf::from))
}

/// The sockets of all inits of our PID namespace, dead ones among them.
pub fn all() -> Vec<Socket> {
    let namespace = namespace();
    let mut found = Vec::new();
    for folder in folders() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        // A bounded look: others may write there, too.
        for entry in entries.flatten().take(MAX_ENTRIES) {
            if let Some(pid) = pid_in(&entry.file_name(), namespace) {
                let socket = Socket {
                    path: entry.path(),
                    pid: Some(pid),
                };
                found.push(socket);
            }
        }
    }
    found
}

/// Where sockets may lie, among the claims of this container's runs: for root also where others claim,
/// who have no /run.
pub fn folders() -> Vec<PathBuf> {
    const SHARED: &str = "/dev/shm";
    let mut folders = runtime_folders();
    if geteuid().is_root()
        && let Ok(entries) = fs::read_dir(SHARED)
    {
        let of_users = entries.flatten().take(MAX_ENTRIES);
        let of_users = of_users.filter(|entry| {
            let name = entry.file_name();
            name.to_str()
                .is_some_and(|name| name.starts_with("lockkeeper-"))
        });
        for folder in of_users.map(|entry| entry.path()) {
            // Our own is named already.
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
    }
    folders
}

fn name(namespace: u64, pid: i32) -> String {
    format!("init-{namespace}-{pid}{SUFFIX}")
}

fn pid_in(file: &OsStr, namespace: u64) -> Option<i32> {
    let words = file.to_str()?.strip_prefix("init-")?.strip_suffix(SUFFIX)?;
    let (of, pid) = words.split_once('-')?;
    let same = of.parse::<u64>().ok()? == namespace;
    pid.parse().ok().filter(|_| same)
}

/// Zero where /proc does not tell, to both sides.
fn namespace() -> u64 {
    Origin::read().pid_ns.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_whose_socket_it_is() {
        assert_eq!(name(4_026_531_836, 7), "init-4026531836-7.sock");
        assert_eq!(pid_in(OsStr::new(&name(12, 1)), 12), Some(1));
        for other in [
            "init-12-1.sock.latch",
            "init-13-1.sock",
            "init-12-x.sock",
            "init-12.sock",
            "init--1.sock",
            "0123456789abcdef.json",
        ] {
            assert_eq!(pid_in(OsStr::new(other), 12), None, "{other}");
        }
    }

    #[test]
    fn its_claim_can_be_made() {
        // Letters, digits, dots and dashes, as a claim's name must be.
        let name = own(Path::new("/run/lockkeeper"));
        let name = name.file_name().unwrap().to_str().unwrap();
        assert!(
            name.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
        );
    }
}
