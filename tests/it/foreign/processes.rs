//! The process that a record names: recycled, of another user, a zombie, in another container.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use lockkeeper::lock::dir::judge::Why;
use lockkeeper::lock::dir::record::DirRecord;
use lockkeeper::lock::record::start_time;
use nix::sys::signal::Signal::SIGKILL;

use super::{NOBODY, Place, exact, gastown, why};
use crate::support::bin::{puppet, static_build};
use crate::support::child::{self, Tied};
use crate::support::dir::Dir;
use crate::support::need::need;
use crate::support::ns::Ns;
use crate::support::stat::stat;
use crate::support::wait::{until, until_some};

const AS_NOBODY: &str = "judge setpriv --reuid 65534 --regid 65534 --clear-groups --";

fn start(script: &str) -> Tied {
    child::start(Command::new(puppet()).args(script.split_whitespace()))
}

#[test]
fn a_killed_owner_is_dead_and_a_living_one_alive() {
    let mut owner = start("hang");
    let (foreign, record) = (gastown(owner.pid()), exact(owner.pid()));
    assert_eq!(why(&record), Why::ProcessLives);
    assert_eq!(why(&foreign), Why::ProcessLives);
    child::signal(owner.pid(), SIGKILL);
    owner.wait();
    assert_eq!(why(&record), Why::ProcessGone);
    assert_eq!(why(&foreign), Why::ProcessGone);
}

#[test]
fn a_stopped_owner_lives() {
    let owner = start("stop-self");
    until("it has stopped", || {
        stat(owner.pid()).is_some_and(|stat| stat.state == 'T')
    });
    assert_eq!(why(&exact(owner.pid())), Why::ProcessLives);
}

#[test]
fn an_owner_that_nobody_reaped_is_dead() {
    let owner = start("hang");
    let record = exact(owner.pid());
    child::signal(owner.pid(), SIGKILL);
    until("it is a zombie", || {
        stat(owner.pid()).is_some_and(|stat| stat.state == 'Z')
    });
    assert_eq!(why(&record), Why::Zombie);
    assert_eq!(why(&gastown(owner.pid())), Why::Zombie);
}

#[test]
fn a_zombie_whose_other_threads_live_is_alive() {
    let owner = start("zombie-leader , hang");
    until("its leader is a zombie", || {
        stat(owner.pid()).is_some_and(|stat| stat.state == 'Z')
    });
    assert_eq!(why(&exact(owner.pid())), Why::ProcessLives);
}

#[test]
fn a_recycled_number_is_another_process() {
    need!("root", "unshare", "static");
    // A namespace of its own, in which the next number can be chosen (proc_sys_kernel(5),
    // ns_last_pid); its puppet is told to start what we then judge from inside.
    let folder = Dir::new();
    let puppet = static_build("examples/puppet");
    let script = format!(
        r#"puppet={}; cd {}
        "$puppet" hang & first=$!
        cut -d' ' -f22 /proc/$first/stat > start
        kill -9 $first; wait $first || :
        until
            echo $((first - 1)) > /proc/sys/kernel/ns_last_pid
            "$puppet" hang & second=$!
            [ "$second" = "$first" ] && [ "$(cut -d' ' -f22 /proc/$second/stat)" != "$(cat start)" ]
        do kill -9 $second; wait $second || :; done
        start=$(cat start); rm start
        RECORD=$(printf %s "$RECORD" | sed "s/\"pid\": [0-9]*/\"pid\": $second/; s/\"start_time\": [0-9]*/\"start_time\": $start/; s/\"pid_ns\": [0-9]*/\"pid_ns\": $(stat -Lc %i /proc/self/ns/pid)/")
        judge; kill -9 $second"#,
        puppet.display(),
        folder.display()
    );
    let way = "unshare --pid --fork --kill-child --mount-proc";
    let answer = Place::new(way, &script).why(&exact(1));
    assert_eq!(answer, "Recycled");
}

#[test]
fn an_owner_that_we_may_not_signal_lives() {
    need!("root", "unshare", "setpriv");
    let owner = start("hang");
    for record in [exact(owner.pid()), gastown(owner.pid())] {
        assert_eq!(Place::new("env", AS_NOBODY).why(&record), "ProcessLives");
    }
    assert_eq!(
        Place::new("env", AS_NOBODY).why(&exact(NOBODY)),
        "ProcessGone"
    );
    let mut recycled = exact(owner.pid());
    recycled.start_time = recycled.start_time.map(|ticks| ticks - 1);
    assert_eq!(Place::new("env", AS_NOBODY).why(&recycled), "Recycled");
}

#[test]
fn an_owner_that_proc_hides_cannot_be_judged() {
    need!("root", "unshare", "setpriv");
    let hidden = format!("mount -t proc -o hidepid=2 proc /proc; {AS_NOBODY}");
    let owner = start("hang");
    let place = || Place::new("unshare --mount", &hidden);
    assert_eq!(place().why(&exact(owner.pid())), "ProcessHidden");
    assert_eq!(place().why(&gastown(owner.pid())), "ProcessHidden");
    assert_eq!(place().why(&exact(NOBODY)), "ProcessGone");
}

#[test]
fn nobody_is_judged_by_the_proc_of_another_namespace() {
    need!("root", "unshare");
    let owner = start("hang");
    // In a new namespace, under the /proc of the old one.
    let place = || Place::new("unshare --pid --fork --kill-child", "judge");
    assert_eq!(place().why(&gastown(owner.pid())), "ProcUnusable");
    assert_eq!(place().why(&gastown(NOBODY)), "ProcUnusable");
}

#[test]
fn the_same_number_in_two_containers_is_two_processes() {
    need!("root", "unshare", "static");
    let puppet = static_build("examples/puppet");
    let containers = [(); 2].map(|()| Ns::root().start(&puppet, &["hang"]));
    for container in &containers {
        let namespace = format!("/proc/{}/ns/pid", container.pid1());
        let record = DirRecord {
            pid: 1,
            start_time: start_time(container.pid1()),
            pid_ns: Some(fs::metadata(namespace).unwrap().ino()),
            ..exact(1)
        };
        assert_eq!(why(&record), Why::OtherNamespace);
        // A third one, where number 1 is the judge himself.
        let place = Place::new("unshare --pid --fork --kill-child --mount-proc", "judge");
        assert_eq!(place.why(&record), "OtherNamespace");
        // Without its number that namespace's record is only known by the host's name.
        let place = Place::new(
            "unshare --uts --pid --fork --kill-child --mount-proc",
            "hostname other; judge",
        );
        assert_eq!(place.why(&gastown(1)), "OtherHost");
    }
}

#[test]
fn a_host_that_was_renamed_knows_its_own_processes() {
    need!("root", "unshare");
    let owner = start("hang");
    let renamed = || Place::new("unshare --uts", "hostname renamed; judge");
    assert_eq!(renamed().why(&exact(owner.pid())), "ProcessLives");
    assert_eq!(renamed().why(&exact(NOBODY)), "ProcessGone");
    assert_eq!(renamed().why(&gastown(owner.pid())), "OtherHost");
}

#[test]
fn a_process_is_not_younger_than_the_record_that_it_wrote() {
    // Written in the very tick of its start, as near as a test can come.
    for _ in 0..20 {
        let owner = start("hang");
        let record = until_some("it runs", || {
            stat(owner.pid()).map(|_| gastown(owner.pid()))
        });
        assert_eq!(why(&record), Why::ProcessLives);
    }
}
