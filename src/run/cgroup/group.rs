//! The control group of one run (cgroup v2): made beside our own processes, left to the command's, and
//! removed when the run is over.
//!
//! ```text
//! base                     the group that we were started in; below a container, its top
//! ├─ lockkeeper.self       our own processes, and the container's others, where they had to make room
//! ├─ lockkeeper-RUN_ID     the command and all that comes of it
//! └─ lockkeeper-…
//! ```
//!
//! - A group can give limits to groups below it only while it has no processes itself ("no internal
//!   process constraint", Linux, admin-guide/cgroup-v2). Where the kernel says so at the top of what can
//!   be seen, which is a container's own, all that is there moves to `lockkeeper.self`. Anywhere else the
//!   processes beside us are not ours to move, and the limits are not to be had.
//! - What cannot be had is told, and the run goes on without it.
//! - Neither guard nor monitor is ever in the group: `cgroup.kill` ends all that are.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::{Hierarchy, Own, own};
use crate::lock::fault::Quoted;
use crate::trouble;

/// Where our own processes make room to.
const SELF: &str = "lockkeeper.self";
/// So often processes that are born meanwhile are moved as well.
const ROUNDS: usize = 8;

/// The group of a run. It stays when this is dropped.
#[derive(Debug)]
pub struct Group {
    folder: PathBuf,
    killed: bool,
}

/// A group that was made, and what of it could not be had.
#[derive(Debug)]
pub struct Made {
    /// The group; `None`: none can be made here.
    pub group: Option<Group>,
    /// What is not in force, and why.
    pub lacks: Option<String>,
}

/// Makes the group of that run, with `files` and what is to be written into each.
pub fn make(run_id: &str, files: &[(String, String)]) -> Made {
    match own(Hierarchy::Unified) {
        Some(own) => make_below(&own, run_id, files),
        None => lacks("no cgroup2 file system is mounted here".to_owned()),
    }
}

/// Removes the group of a run whose monitor has died and left nobody in it.
pub fn remove(run_id: &str) {
    if let Some(own) = own(Hierarchy::Unified) {
        let _ = fs::remove_dir(folder_of(&base(&own), run_id));
    }
}

/// Why the limits in `files` cannot be had, as far as that can be seen without making a group.
pub fn foreseen(files: &[(String, String)]) -> Option<String> {
    let Some(own) = own(Hierarchy::Unified) else {
        return Some("no cgroup2 file system is mounted here".to_owned());
    };
    let base = base(&own);
    if let Err(errno) = nix::unistd::access(&base, nix::unistd::AccessFlags::W_OK) {
        return Some(format!(
            "{} cannot be written ({})",
            Quoted(&base),
            trouble::why(errno)
        ));
    }
    let here = words(&base.join("cgroup.controllers"));
    let mut missing = controllers(files);
    missing.retain(|wanted| !here.iter().any(|here| here == wanted));
    (!missing.is_empty()).then(|| format!("there is no controller {} here", missing.join(", ")))
}

const fn lacks(why: String) -> Made {
    Made {
        group: None,
        lacks: Some(why),
    }
}

fn make_below(own: &Own, run_id: &str, files: &[(String, String)]) -> Made {
    let base = base(own);
    let folder = folder_of(&base, run_id);
    if let Err(error) = fs::create_dir(&folder) {
        return lacks(format!("{}: {}", Quoted(&folder), why(&error)));
    }
    let enabled = enable(&base, base == own.top, &controllers(files));
    let kind = fs::read_to_string(folder.join("cgroup.type"));
    if kind.is_ok_and(|kind| kind.trim() != "domain") {
        let _ = fs::remove_dir(&folder);
        let base = Quoted(&base);
        return lacks(format!(
            "processes stand in the way in {base}, and nobody may enter a group below it"
        ));
    }
    let mut missing: Vec<String> = Vec::new();
    for (file, value) in files {
        if let Err(error) = put(&folder.join(file), value) {
            let why = if error.kind() == io::ErrorKind::NotFound {
                "no such controller here".to_owned()
            } else {
                why(&error)
            };
            missing.push(format!("{file} ({why})"));
        }
    }
    let busy = match enabled {
        Err(error) if !missing.is_empty() => {
            format!("; giving limits below {}: {}", Quoted(&base), why(&error))
        }
        _ => String::new(),
    };
    Made {
        group: Some(Group {
            folder,
            killed: false,
        }),
        lacks: (!missing.is_empty()).then(|| missing.join(", ") + &busy),
    }
}

impl Group {
    /// What a process writes "0" to in order to come in.
    ///
    /// # Errors
    /// It has gone.
    pub fn door(&self) -> io::Result<OwnedFd> {
        let file = OpenOptions::new()
            .write(true)
            .open(self.folder.join("cgroup.procs"))?;
        Ok(file.into())
    }

    /// Kills all that are in it, once (`cgroup.kill`, Linux 5.14).
    pub fn kill(&mut self) {
        if !std::mem::replace(&mut self.killed, true) {
            let _ = put(&self.folder.join("cgroup.kill"), "1");
        }
    }

    /// How many of its processes the kernel has killed for want of memory.
    pub fn oom_kills(&self) -> u64 {
        let events = fs::read_to_string(self.folder.join("memory.events")).unwrap_or_default();
        let mut lines = events.lines();
        let count = lines.find_map(|line| line.strip_prefix("oom_kill "));
        count.and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    /// Removes it.
    ///
    /// # Errors
    /// Why it stays.
    pub fn remove(self) -> Result<(), String> {
        let removed = fs::remove_dir(&self.folder);
        removed.map_err(|error| {
            let folder = Quoted(&self.folder);
            format!(
                "{folder} is left ({}); rmdir removes it once nobody is in it",
                why(&error)
            )
        })
    }
}

/// Has `base` give limits to the groups below it; at the top of what can be seen, its own processes make
/// room for that. They do so first, and not only when the kernel refuses: it lets a group that has
/// processes give out processors and process numbers, and then nobody may enter the groups below it
/// (`cgroup_is_valid_domain` in its source). The machine's own top, which has no type, is exempt.
///
/// # Errors
/// `EBUSY`: there are processes that stay.
pub fn enable(base: &Path, is_top: bool, controllers: &[&str]) -> io::Result<()> {
    let here = words(&base.join("cgroup.controllers"));
    let file = base.join("cgroup.subtree_control");
    let given = words(&file);
    let wanted = controllers.iter().filter(|wanted| {
        let among = |words: &[String]| words.iter().any(|word| word == *wanted);
        among(&here) && !among(&given)
    });
    let wanted: Vec<String> = wanted.map(|name| format!("+{name}")).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let wanted = wanted.join(" ");
    let is_exempt = !base.join("cgroup.type").exists();
    let has_room = || is_exempt || words(&base.join("cgroup.procs")).is_empty();
    let busy = || io::Error::from_raw_os_error(Errno::EBUSY as i32);
    let mut answer = Err(busy());
    for _ in 0..ROUNDS {
        if has_room() {
            answer = put(&file, &wanted);
        } else if is_top {
            make_room(base)?;
            continue;
        }
        // Also where those who have left are not quite gone.
        let again = answer
            .as_ref()
            .is_err_and(|error| error.raw_os_error() == busy().raw_os_error());
        if !(again && is_top) {
            break;
        }
    }
    answer
}

/// Moves all processes of `base` to its leaf for ours.
fn make_room(base: &Path) -> io::Result<()> {
    let leaf = base.join(SELF);
    match fs::create_dir(&leaf) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    for pid in words(&base.join("cgroup.procs")) {
        // One that has gone meanwhile, or is none of this namespace (0), stays behind.
        let _ = put(&leaf.join("cgroup.procs"), &pid);
    }
    Ok(())
}

/// The group below which those of runs are made.
fn base(own: &Own) -> PathBuf {
    let above = own.folder.parent().filter(|_| own.folder.ends_with(SELF));
    above.unwrap_or(&own.folder).to_owned()
}

fn folder_of(base: &Path, run_id: &str) -> PathBuf {
    base.join(format!("lockkeeper-{run_id}"))
}

/// The controllers whose files these are: `memory.max` is memory's.
fn controllers(files: &[(String, String)]) -> Vec<&str> {
    let mut all = Vec::new();
    for (file, _) in files {
        let name = file.split('.').next().unwrap_or_default();
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

fn words(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

/// One write, as these files take each as one order.
fn put(file: &Path, text: &str) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).open(file)?;
    file.write_all(text.as_bytes())
}

fn why(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => trouble::why(Errno::from_raw(errno)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::scratch::Scratch;

    /// A folder with the files that the kernel makes; they stay files here, and keep what is written.
    fn tree() -> (Scratch, Own) {
        let scratch = Scratch::new();
        for (name, text) in [
            ("cgroup.controllers", "cpu memory pids\n"),
            ("cgroup.subtree_control", "cpu\n"),
            ("cgroup.procs", "1\n7\n"),
        ] {
            fs::write(scratch.join(name), text).unwrap();
        }
        let own = Own {
            folder: scratch.to_owned(),
            top: scratch.to_owned(),
        };
        (scratch, own)
    }

    fn files(files: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        files.iter().map(owned).collect()
    }

    #[test]
    fn each_limit_is_written_into_its_file_and_its_controller_enabled() {
        let (scratch, own) = tree();
        let limits = files(&[
            ("memory.max", "2147483648"),
            ("pids.max", "512"),
            ("memory.high", "5"),
            ("cpu.max", "50000 100000"),
        ]);
        // The kernel would make these with the folder.
        let folder = scratch.join("lockkeeper-r1");
        let made = make_below(&own, "r1", &limits);
        let told = made.lacks.unwrap();
        assert!(
            told.contains("memory.max (no such controller here)"),
            "{told}"
        );
        let enabled = fs::read_to_string(scratch.join("cgroup.subtree_control")).unwrap();
        assert_eq!(enabled, "+memory +pids");
        for (name, _) in &limits {
            fs::write(folder.join(name), "").unwrap();
            put(&folder.join(name), "x").unwrap();
        }
        fs::write(
            folder.join("memory.events"),
            "low 0\noom 3\noom_kill 2\noom_group_kill 0\n",
        )
        .unwrap();
        assert_eq!(made.group.unwrap().oom_kills(), 2);
    }

    #[test]
    fn a_second_group_of_one_run_and_a_place_that_is_not_there_are_told() {
        let (_scratch, own) = tree();
        assert!(make_below(&own, "r1", &[]).lacks.is_none());
        let again = make_below(&own, "r1", &[]);
        assert!(again.group.is_none() && again.lacks.unwrap().contains("exists"));
        let nowhere = Own {
            folder: "/nowhere".into(),
            top: "/nowhere".into(),
        };
        assert!(make_below(&nowhere, "r1", &[]).group.is_none());
    }

    #[test]
    fn nothing_is_given_out_where_processes_are_in_the_way() {
        let (scratch, own) = tree();
        fs::write(scratch.join("cgroup.type"), "domain\n").unwrap();
        for is_top in [true, false] {
            let answer = enable(&scratch, is_top, &["pids"]).unwrap_err();
            assert_eq!(answer.raw_os_error(), Some(Errno::EBUSY as i32));
        }
        let given = fs::read_to_string(scratch.join("cgroup.subtree_control")).unwrap();
        assert_eq!(given, "cpu\n");
        assert!(scratch.join(SELF).exists());
        let made = make_below(&own, "r1", &files(&[("pids.max", "5")]));
        let told = made.lacks.unwrap();
        assert!(told.contains("pids.max") && told.contains("busy"), "{told}");
    }

    #[test]
    fn from_the_leaf_of_our_own_processes_groups_are_made_beside_it() {
        let (scratch, mut own) = tree();
        own.folder = scratch.join(SELF);
        assert_eq!(base(&own), *scratch);
    }

    #[test]
    fn a_group_that_does_not_go_is_named() {
        let (scratch, own) = tree();
        let group = make_below(&own, "r1", &[]).group.unwrap();
        fs::create_dir(scratch.join("lockkeeper-r1/below")).unwrap();
        let told = group.remove().unwrap_err();
        assert!(
            told.contains("lockkeeper-r1") && told.contains("is left"),
            "{told}"
        );
    }
}
