//! The control group of a run, in the real tree of cgroup v2. This machine may offer no controller for
//! memory or processes: that limits are *written* is tested in `src/run/cgroup`, that the kernel keeps
//! them is not our business.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fs2::FileExt as _;
use lockkeeper::run::cgroup::group;
use nix::errno::Errno;
use nix::sys::signal::Signal::{SIGKILL, SIGTERM};

use crate::support::bin;
use crate::support::child::{self, Tied, output, signal, text};
use crate::support::dir::Dir;
use crate::support::need::need;
use crate::support::ns::{Inside, Ns};
use crate::support::scene::{child_of, ended};
use crate::support::wait::{until, until_some};

/// A mount namespace that shows the tree of cgroup v2 alone, as a container does.
struct Tree {
    dir: Dir,
    inside: Inside,
}

impl Tree {
    fn new(mount: &str) -> Self {
        let inside = Ns::root()
            .shell(&format!("umount -R /sys/fs/cgroup; {mount}"))
            .start(&bin::puppet(), &[]);
        Self {
            dir: Dir::new(),
            inside,
        }
    }

    fn real() -> Self {
        Self::new("mount -t cgroup2 none /sys/fs/cgroup")
    }

    /// A run of a job with a group, in there.
    fn job(&self, script: &str) -> Command {
        self.with("cgroup = { pids_max = 50 }", script)
    }

    /// A run of a job with these keys, in which DIR stands for the folder of the tree.
    fn with(&self, keys: &str, script: &str) -> Command {
        let config = self.dir.join("lockkeeper.toml");
        let text = format!(
            "[jobs.dev]\nclass = \"batch\"\ncommand = [\"sh\", \"-c\", {script:?}]\n\
             stop = {{ grace = \"0s\", leftover_grace = \"0s\" }}\n{keys}\n"
        );
        let text = text.replace("DIR", &self.dir.display().to_string());
        fs::write(&config, text).unwrap();
        let mut command = self.inside.enter(bin::lockkeeper());
        child::bare(&mut command).args(["run", "-c"]).arg(config);
        command.arg("dev");
        command
    }

    fn start(&self, script: &str) -> Tied {
        let mut run = child::start(&mut self.job(script));
        assert_eq!(run.line().as_deref(), Some("begun"));
        run
    }

    /// The folder of the group that the guard's run is in.
    fn group_of(&self, command: i32) -> PathBuf {
        let line = fs::read_to_string(format!("/proc/{command}/cgroup")).unwrap();
        let name = line.lines().find_map(|line| line.strip_prefix("0::/"));
        let name = name.expect("a group of cgroup v2");
        assert!(name.starts_with("lockkeeper-"), "{name}");
        self.inside.path("/sys/fs/cgroup").join(name)
    }
}

/// nsenter's child is the guard.
fn processes(run: &Tied) -> (i32, i32, i32) {
    let guard = child_of(run.pid());
    let monitor = child_of(guard);
    (guard, monitor, child_of(monitor))
}

#[test]
fn a_command_is_in_the_group_of_its_run_which_goes_with_it_and_we_are_not() {
    need!("root");
    let tree = Tree::real();
    let script = "cat /proc/self/cgroup /proc/$PPID/cgroup | grep ^0::";
    let told = output(&mut tree.job(script));
    let (out, err) = (text(&told.stdout), text(&told.stderr));
    assert_eq!(told.status.code(), Some(0), "{err}");
    let lines: Vec<_> = out.lines().collect();
    let [command, monitor] = lines[..] else {
        panic!("{out}");
    };
    let run_id = command.strip_prefix("0::/lockkeeper-").expect("its group");
    assert!(!monitor.contains("lockkeeper-"), "{monitor}");
    let folder = format!("/sys/fs/cgroup/lockkeeper-{run_id}");
    assert!(!tree.inside.path(&folder).exists(), "{folder}");
    if !offered(&tree).contains("pids") {
        assert!(
            err.contains("control group: not in force: pids.max (no such"),
            "{err}"
        );
    }
}

fn offered(tree: &Tree) -> String {
    fs::read_to_string(tree.inside.path("/sys/fs/cgroup/cgroup.controllers")).unwrap()
}

#[test]
fn the_last_rung_kills_all_that_are_in_the_group() {
    need!("root");
    let tree = Tree::real();
    let mut run = tree.start("trap '' TERM; echo begun; while :; do sleep 100; done");
    let (guard, _, command) = processes(&run);
    let group = tree.group_of(command);
    assert!(group.join("cgroup.kill").exists(), "Linux 5.14");
    // Nobody's descendant there: only the group can reach it.
    let mut stranger = child::start(&mut Command::new(bin::puppet()));
    fs::write(group.join("cgroup.procs"), stranger.pid().to_string()).unwrap();
    signal(guard, SIGTERM);
    let status = until_some("it is killed", || stranger.try_wait());
    assert_eq!(status.signal(), Some(SIGKILL as i32));
    ended(&mut run);
}

#[test]
fn a_group_whose_monitor_was_killed_is_removed_by_the_guard() {
    need!("root");
    let tree = Tree::real();
    let mut run = tree.start("echo begun; exec sleep 100");
    let (_, monitor, command) = processes(&run);
    let group = tree.group_of(command);
    signal(monitor, SIGKILL);
    assert_eq!(ended(&mut run).code(), Some(125));
    assert!(!group.exists());
}

#[test]
fn a_group_in_which_somebody_stays_is_named_and_left() {
    need!("root");
    let tree = Tree::real();
    let mut command = tree.job("echo begun; exec sleep 100");
    let mut run = child::start(command.stderr(File::create(tree.dir.join("err")).unwrap()));
    assert_eq!(run.line().as_deref(), Some("begun"));
    let (_, _, leader) = processes(&run);
    let group = tree.group_of(leader);
    let stranger = child::start(&mut Command::new(bin::puppet()));
    fs::write(group.join("cgroup.procs"), stranger.pid().to_string()).unwrap();
    signal(leader, SIGKILL);
    assert_eq!(ended(&mut run).code(), Some(137));
    let told = fs::read_to_string(tree.dir.join("err")).unwrap();
    assert!(told.contains("is left ("), "{told}");
    drop(stranger);
    until("it can go", || fs::remove_dir(&group).is_ok());
}

#[test]
fn a_run_that_waits_for_a_directory_and_then_for_the_lock_makes_its_group_once() {
    need!("root");
    let tree = Tree::real();
    fs::create_dir(tree.dir.join("work")).unwrap();
    let lock = File::create(tree.dir.join("lock")).unwrap();
    lock.lock_exclusive().unwrap();
    let mut holder = tree.inside.enter(bin::lockkeeper());
    child::bare(&mut holder)
        .args(["run", "--dir-lock"])
        .arg(tree.dir.join("work"))
        .args(["--", "sh", "-c", "echo begun; exec sleep 100"]);
    let mut holder = child::start(&mut holder);
    assert_eq!(holder.line().as_deref(), Some("begun"));
    let keys = "cgroup = { pids_max = 50 }\ndir = \"DIR/work\"\ndir_lock = true\n\
                [classes.batch]\nlock = \"it\"\n\
                [locks.it]\npath = \"DIR/lock\"\nshared_mount = \"off\"";
    let err = tree.dir.join("err");
    let mut command = tree.with(keys, "cat /proc/self/cgroup | grep ^0::");
    command.arg("-v").stderr(File::create(&err).unwrap());
    let mut run = child::start(&mut command);
    let told = || fs::read_to_string(&err).unwrap();
    until("it waits for the directory", || {
        told().contains("waiting for directory")
    });
    signal(child_of(holder.pid()), SIGTERM);
    until("it waits for the lock", || {
        told().contains("waiting for lock")
    });
    drop(lock);
    let group = run.line().expect("its group");
    assert!(group.starts_with("0::/lockkeeper-"), "{group}: {}", told());
    assert_eq!(ended(&mut run).code(), Some(0), "{}", told());
    assert!(!told().contains("exists"), "{}", told());
    let folder = group.trim_start_matches("0::/");
    let folder = tree.inside.path("/sys/fs/cgroup").join(folder);
    assert!(!folder.exists(), "{}", folder.display());
}

/// What strace's log says behind the numbers of the processes, with these numbers.
fn calls(log: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(log).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines
        .map(|(pid, call)| (pid.to_owned(), call.trim_start().to_owned()))
        .collect()
}

/// The same run, watched by strace with these options.
fn traced(tree: &Tree, options: &[&str], keys: &str) -> (Output, Vec<(String, String)>) {
    let job = tree.with(keys, "exit 0");
    let log = tree.dir.join("strace");
    // In the namespace, so that it counts what is traced from the program's own first call on.
    let mut command = tree.inside.enter("strace");
    child::bare(&mut command)
        .args(["-f", "-qq", "-o"])
        .arg(&log);
    let program = job.get_args().skip_while(|word| *word != bin::lockkeeper());
    command.args(options).args(program);
    (output(&mut command), calls(&log))
}

#[test]
fn a_command_with_a_group_has_a_memory_of_its_own_before_its_program_runs() {
    need!("root", "strace");
    let tree = Tree::real();
    let options = ["-e", "trace=clone,clone3,fork,vfork,execve"];
    for (keys, shared) in [("", true), ("cgroup = { pids_max = 50 }", false)] {
        let (told, calls) = traced(&tree, &options, keys);
        assert_eq!(told.status.code(), Some(0), "{}", text(&told.stderr));
        let runs_it = |call: &str| call.starts_with("execve(") && call.contains("\"exit 0\"");
        let command = calls.iter().find(|(_, call)| runs_it(call));
        let (command, _) = command.expect("the command ran");
        let made = |call: &&(String, String)| call.1.ends_with(&format!(" = {command}"));
        let (_, made) = calls.iter().find(made).expect("it was made");
        assert_eq!(made.contains("CLONE_VM"), shared, "{keys}: {made}");
    }
}

#[test]
fn a_group_that_cannot_be_entered_is_told_of_and_the_run_goes_on() {
    need!("root", "strace");
    let tree = Tree::real();
    let keys = "cgroup = { pids_max = 50 }";
    let (_, calls) = traced(&tree, &["-e", "trace=openat"], keys);
    // The door is opened for writing; which open of its monitor that is, the kernel is to refuse next time.
    let is_door = |call: &str| call.contains("cgroup.procs\"") && call.contains("O_WRONLY");
    let door = calls.iter().position(|(_, call)| is_door(call));
    let door = door.expect("it was opened");
    let (monitor, _) = &calls[door];
    let of_monitor = |call: &&(String, String)| call.0 == *monitor && call.1.starts_with("openat(");
    let number = calls[..=door].iter().filter(of_monitor).count();
    let refuse = format!("inject=openat:error=EMFILE:when={number}");
    let (told, calls) = traced(&tree, &["-e", "trace=openat", "-e", &refuse], keys);
    let refused = |(_, call): &(String, String)| is_door(call) && call.contains("INJECTED");
    assert!(calls.iter().any(refused), "{calls:#?}");
    let err = text(&told.stderr);
    assert_eq!(told.status.code(), Some(0), "{err}");
    assert!(
        err.contains("the command is not in its group: opening it: "),
        "{err}"
    );
}

#[test]
fn where_no_groups_are_to_be_had_that_is_said_and_the_run_goes_on() {
    need!("root");
    let tree = Tree::new(":");
    let told = output(&mut tree.job("echo begun"));
    let err = text(&told.stderr);
    assert_eq!(told.status.code(), Some(0), "{err}");
    assert_eq!(text(&told.stdout), "begun\n");
    assert!(
        err.contains("not in force: no cgroup2 file system"),
        "{err}"
    );
}

/// A group with its own controller, which is taken back when dropped.
struct Delegated {
    top: PathBuf,
    folder: PathBuf,
    /// Whether others have the controller from the top already.
    given: bool,
}

impl Drop for Delegated {
    fn drop(&mut self) {
        let leaf = self.folder.join("lockkeeper.self");
        for folder in [&leaf, &self.folder] {
            until("nobody is in it", || {
                !folder.exists() || fs::remove_dir(folder).is_ok()
            });
        }
        if !self.given {
            drop(fs::write(
                self.top.join("cgroup.subtree_control"),
                "-hugetlb",
            ));
        }
    }
}

#[test]
fn who_is_in_the_way_of_a_limit_makes_room_at_the_top_and_nowhere_else() {
    need!("root");
    let tree = Tree::real();
    let top = tree.inside.path("/sys/fs/cgroup");
    if !offered(&tree).contains("hugetlb") {
        crate::support::need::skip(module_path!(), line!(), "hugetlb");
        return;
    }
    let given = fs::read_to_string(top.join("cgroup.subtree_control")).unwrap();
    let given = given.contains("hugetlb");
    group::enable(&top, true, &["hugetlb"]).unwrap();
    let folder = top.join(format!("lockkeeper-test-{}", std::process::id()));
    // Of an earlier process with our number that was killed.
    for left in [&folder.join("lockkeeper.self"), &folder] {
        drop(fs::remove_dir(left));
    }
    fs::create_dir(&folder).unwrap();
    let delegated = Delegated { top, folder, given };
    let base: &Path = &delegated.folder;
    let one = child::start(&mut Command::new(bin::puppet()));
    fs::write(base.join("cgroup.procs"), one.pid().to_string()).unwrap();
    let busy = group::enable(base, false, &["hugetlb"]).unwrap_err();
    assert_eq!(busy.raw_os_error(), Some(Errno::EBUSY as i32));
    group::enable(base, true, &["hugetlb"]).unwrap();
    let read = |name: &str| fs::read_to_string(base.join(name)).unwrap();
    assert_eq!(read("cgroup.subtree_control").trim(), "hugetlb");
    assert_eq!(read("cgroup.procs"), "");
    assert_eq!(
        read("lockkeeper.self/cgroup.procs").trim(),
        one.pid().to_string()
    );
    drop(one);
}
