//! Placement, judged by lines that were recorded in containers and on machines.

use super::super::scratch::Scratch;
use super::*;

/// Recorded in a podman container: overlay root, and each way to mount something into it.
const PODMAN: &str = "\
77 55 0:41 / / rw,relatime - overlay overlay rw,lowerdir=/s/l/A,upperdir=/s/09c5/diff,workdir=/s/09c5/work
79 77 0:45 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
80 77 0:46 / /dev rw,nosuid,noexec - tmpfs tmpfs rw,size=65536k,mode=755
84 80 0:40 / /dev/shm rw,nosuid,nodev,noexec,relatime - tmpfs shm rw,size=64000k
87 77 0:39 / /home/agent/slave rw,relatime master:9 - tmpfs none rw
88 77 0:48 / /home/agent/made rw,nosuid,nodev,relatime - tmpfs tmpfs rw
90 77 254:0 /s/volumes/076e4596a700632a11f8c70492ddefb4838cf04f6a2db4281a7af70b6303c3cd/_data /home/agent/anon rw,nosuid,nodev,relatime - ext4 /dev/vda rw,discard
91 77 254:0 /srv/shared /home/agent/.claude rw,relatime - ext4 /dev/vda rw,discard
92 77 0:39 /sub /home/agent/part rw,relatime - tmpfs none rw
93 77 0:39 / /home/agent/whole rw,relatime - tmpfs none rw
94 77 254:0 /srv/shared/s.lock /home/agent/file.lock rw,relatime - ext4 /dev/vda rw,discard
95 77 0:41 /srv /srv/again rw,relatime - overlay overlay rw
";

/// Recorded on a machine without containers.
const METAL: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
25 27 0:23 / /run rw,nosuid,nodev shared:2 - tmpfs tmpfs rw,size=3265832k,mode=755
26 25 0:24 / /run/lock rw,nosuid,nodev,noexec shared:3 - tmpfs tmpfs rw,size=5120k
28 27 0:29 / /tmp rw,nosuid,nodev shared:4 - tmpfs tmpfs rw
";

/// Judges `lock` as the kernel would number its mounts, by names, and `file` as a mount of its own.
fn judged(table: &str, lock: &str, policy: SharedMount) -> Result<Verdict, Refusal> {
    let table = table.as_bytes();
    let lock = Path::new(lock);
    let id = |path: &Path| mountinfo::covering(table, path).map(|mount| mount.id);
    let numbers = Numbers {
        root: id(Path::new("/")),
        folder: id(folder_of(lock)),
        file: id(lock),
    };
    judge(lock, table, numbers, policy)
}

fn auto(table: &str, lock: &str) -> Result<Verdict, Refusal> {
    judged(table, lock, SharedMount::Auto)
}

fn refusal(table: &str, lock: &str) -> String {
    let refusal = auto(table, lock).unwrap_err();
    // What `auto` refuses, `require` refuses too, and `off` never.
    assert!(judged(table, lock, SharedMount::Require).is_err());
    assert_eq!(
        judged(table, lock, SharedMount::Off),
        Ok(Verdict::default())
    );
    refusal.to_string()
}

/// The only remark, which warns and names the lock.
fn warned(table: &str, lock: &str) -> String {
    let verdict = auto(table, lock).unwrap();
    assert_eq!(
        judged(table, lock, SharedMount::Require),
        Ok(verdict.clone())
    );
    let [remark] = &verdict.remarks[..] else {
        panic!("{verdict:?}");
    };
    assert_eq!(remark.severity, Severity::Warning);
    assert!(remark.text.contains(lock), "{}", remark.text);
    remark.text.clone()
}

/// A container with one more mount, at /shared.
fn with(mount: &str) -> String {
    format!("{PODMAN}{mount}\n")
}

#[test]
fn a_lock_beside_the_mounted_folder_is_refused_and_sent_inside_it() {
    assert_eq!(
        refusal(PODMAN, "/home/agent/.claude.lock"),
        "the lock \"/home/agent/.claude.lock\" lies on the container's own overlay: every \
         container locks a copy of its own, and nobody is excluded; put it inside the mounted \
         folder, \"/home/agent/.claude/session.lock\""
    );
}

#[test]
fn a_folder_of_the_hosts_tmpfs_is_a_mounted_folder_and_a_tmpfs_of_the_containers_is_none() {
    for (name, inside) in [
        ("part", true),
        ("slave", true),
        ("whole", false),
        ("made", false),
    ] {
        let text = refusal(PODMAN, &format!("/home/agent/{name}.lock"));
        let remedy =
            format!("put it inside the mounted folder, \"/home/agent/{name}/session.lock\"");
        assert_eq!(text.ends_with(&remedy), inside, "{text}");
    }
}

#[test]
fn where_nothing_is_mounted_the_mount_to_add_is_named() {
    for (lock, expected) in [
        (
            "/home/agent/.codex/session.lock",
            "or mount its own: -v HOST_FOLDER:/home/agent/.codex",
        ),
        (
            "/home/agent/.codex.lock",
            "-v HOST_FOLDER:/home/agent/.codex, and put the lock inside it, \
             \"/home/agent/.codex/session.lock\"",
        ),
        (
            "/tmp/x.lock",
            "-v HOST_FOLDER:/locks, and put the lock inside it, \"/locks/x.lock\"",
        ),
        ("/x.lock", "-v HOST_FOLDER:/locks, and put"),
        ("/var/lib/a/b.lock", "-v HOST_FOLDER:/locks, and put"),
    ] {
        let text = refusal(PODMAN, lock);
        assert!(
            text.ends_with(expected) || text.contains(expected),
            "{text}"
        );
    }
}

#[test]
fn a_lock_inside_the_mounted_folder_is_accepted_in_silence() {
    for lock in ["/home/agent/.claude/session.lock", "/home/agent/part/x"] {
        assert_eq!(auto(PODMAN, lock), Ok(Verdict::default()), "{lock}");
        let strict = judged(PODMAN, lock, SharedMount::Require);
        assert_eq!(strict, Ok(Verdict::default()), "{lock}");
    }
}

#[test]
fn a_bind_of_the_containers_own_overlay_is_as_private_as_its_root() {
    let text = refusal(PODMAN, "/srv/again/x.lock");
    assert!(text.contains("the container's own overlay"), "{text}");
}

#[test]
fn a_tmpfs_made_in_the_container_is_refused_with_both_ways_out() {
    for lock in ["/dev/shm/x", "/home/agent/made/x", "/home/agent/whole/x"] {
        let text = refusal(PODMAN, lock);
        assert!(text.contains("made in this container"), "{text}");
        assert!(text.contains("-v HOST_FOLDER:"), "{text}");
        assert!(text.contains("shared_mount = \"off\""), "{text}");
    }
}

#[test]
fn a_tmpfs_that_still_hears_from_outside_is_warned_about() {
    let text = warned(PODMAN, "/home/agent/slave/x");
    assert!(text.contains("a tmpfs from outside"), "{text}");
}

#[test]
fn bare_metal_is_accepted_with_a_word_and_refused_where_a_mount_is_required() {
    for lock in ["/home/me/x.lock", "/tmp/x.lock", "/run/lock/x", "/run/x"] {
        let verdict = auto(METAL, lock).unwrap();
        assert_eq!(verdict.remarks.len(), 1, "{lock}");
        assert_eq!(verdict.remarks[0].severity, Severity::Info, "{lock}");
        assert!(verdict.remarks[0].text.contains("private to this machine"));
        let refusal = judged(METAL, lock, SharedMount::Require).unwrap_err();
        assert!(refusal.to_string().contains("shared_mount = \"require\""));
        assert!(refusal.to_string().contains("-v HOST_FOLDER:"));
    }
}

#[test]
fn the_layers_of_other_storage_drivers_are_container_roots_too() {
    const HEX: &str = "a97b29f2ca8d5dc2a9dbd0fbbf6fc8fc5a30ba2b4e5ac1a26e3bb5ccd6f4d6d2";
    for root in [
        format!("77 1 8:1 /var/lib/docker/vfs/dir/{HEX} / rw - ext4 /dev/sda1 rw"),
        format!("77 1 0:25 /@/var/lib/docker/btrfs/subvolumes/{HEX} / rw - btrfs /dev/sda rw"),
        format!("77 1 0:60 / / rw - zfs tank/docker/{HEX} rw"),
        "77 1 0:50 / / rw - fuse.fuse-overlayfs fuse-overlayfs rw".to_owned(),
    ] {
        let text = refusal(&root, "/home/agent/x.lock");
        assert!(text.contains("the container's own"), "{root}: {text}");
    }
    // Names that are long, but no layers.
    for root in [
        "77 1 0:25 /@ / rw - btrfs /dev/mapper/luks-0f1e rw".to_owned(),
        format!("77 1 8:1 /ostree/deploy/f/{HEX}.0 / rw - xfs /dev/sda1 rw"),
    ] {
        assert!(auto(&root, "/home/me/x.lock").is_ok(), "{root}");
    }
}

#[test]
fn a_bind_mounted_file_is_warned_about() {
    let text = warned(PODMAN, "/home/agent/file.lock");
    assert!(text.contains("the file itself is bind-mounted"), "{text}");
}

#[test]
fn private_volumes_are_warned_about() {
    let text = warned(PODMAN, "/home/agent/anon/x.lock");
    assert!(text.contains("anonymous volume"), "{text}");
    let named = with("99 77 8:1 /docker/volumes/claude/_data /shared rw - ext4 /dev/sda1 rw");
    assert_eq!(auto(&named, "/shared/x.lock"), Ok(Verdict::default()));
    let empty = with(
        "99 77 8:1 /var/lib/kubelet/pods/6d3c/volumes/kubernetes.io~empty-dir/locks /shared rw - ext4 /dev/sda1 rw",
    );
    let text = warned(&empty, "/shared/x.lock");
    assert!(text.contains("emptyDir"), "{text}");
}

#[test]
fn options_that_keep_locks_on_one_machine_are_read() {
    for (mount, warns) in [
        (
            "nfs4 nas:/a rw,vers=4.2,local_lock=none,addr=10.0.0.2",
            false,
        ),
        ("nfs nas:/a rw,vers=3,local_lock=flock,addr=10.0.0.2", true),
        ("nfs nas:/a rw,vers=3,local_lock=all,addr=10.0.0.2", true),
        ("nfs nas:/a rw,vers=3,nolock,addr=10.0.0.2", true),
        ("nfs nas:/a rw,vers=3,local_lock=posix,addr=10.0.0.2", false),
        ("cifs //nas/a rw,vers=3.1.1,nobrl", true),
        ("cifs //nas/a rw,vers=3.1.1,serverino", false),
    ] {
        let table = with(&format!("99 77 0:70 / /shared rw,relatime - {mount}"));
        if warns {
            let text = warned(&table, "/shared/x.lock");
            assert!(text.contains("keep locks on this machine"), "{text}");
        } else {
            assert_eq!(
                auto(&table, "/shared/x.lock"),
                Ok(Verdict::default()),
                "{mount}"
            );
        }
    }
}

#[test]
fn where_another_kernel_answers_nobody_can_be_sure() {
    for mount in [
        "/ /shared rw - 9p a rw,trans=virtio",
        "/ /shared rw - virtiofs mount0 rw",
        "/Users/me/.claude /shared rw - fakeowner /run/host_mark/Users rw,nosuid",
        "/Users/me/.claude /shared rw - fuse.fakeowner grpcfuse rw",
        "/ /shared rw - fuse.bindfs /a rw,user_id=0",
        "/ /shared rw - newfs /a rw",
    ] {
        let table = with(&format!("99 77 0:70 {mount}"));
        let verdict = auto(&table, "/shared/x.lock").unwrap();
        assert!(verdict.is_unsure, "{mount}");
        warned(&table, "/shared/x.lock");
    }
    assert!(!auto(PODMAN, "/home/agent/.claude/x").unwrap().is_unsure);
}

#[test]
fn without_proc_auto_accepts_and_says_so_and_require_refuses() {
    let text = {
        let verdict = auto("", "/home/agent/x.lock").unwrap();
        assert_eq!(verdict.remarks[0].severity, Severity::Warning);
        verdict.remarks[0].text.clone()
    };
    assert!(text.contains("mount /proc"), "{text}");
    let refusal = judged("", "/home/agent/x.lock", SharedMount::Require).unwrap_err();
    assert!(refusal.to_string().contains("mount /proc"), "{refusal}");
}

#[test]
fn the_kernel_s_numbers_and_the_names_agree_about_this_machine() {
    let dir = Scratch::new();
    let lock = dir.join("x.lock");
    let table = std::fs::read("/proc/self/mountinfo").unwrap();
    let numbers = numbers_by_name(&lock, &table);
    assert_eq!(numbers.root, mount_id(Path::new("/"), true).unwrap());
    assert_eq!(numbers.folder, mount_id(&dir, true).unwrap());
    let by_name = judge(&lock, &table, numbers, SharedMount::Auto);
    assert_eq!(by_name.is_ok(), check(&lock, SharedMount::Auto).is_ok());
}

#[test]
fn a_missing_folder_is_left_to_the_opening_and_off_reads_nothing() {
    let missing = Path::new("/no/such/folder/x.lock");
    assert_eq!(check(missing, SharedMount::Require), Ok(Verdict::default()));
    assert_eq!(
        check(Path::new("/proc/x"), SharedMount::Off),
        Ok(Verdict::default())
    );
}

#[test]
fn a_mount_that_the_kernel_is_asked_about_is_the_one_in_the_table() {
    let table = read_table().unwrap();
    for path in ["/", "/proc", "/sys", "/dev/shm"].map(Path::new) {
        let Some(id) = unique_mount_id(path, true).unwrap() else {
            return;
        };
        let short = mount_id(path, true).unwrap().unwrap();
        // Kernels before 6.13 do not tell everything.
        let Some(asked) = Mount::ask(id) else { return };
        let mut listed = mountinfo::by_id(&table, short).unwrap();
        // The table begins with the options that every file system has.
        let own = |options: &str| -> Vec<String> {
            let common = |option: &&str| !["ro", "rw", ""].contains(option);
            options
                .split(',')
                .filter(common)
                .map(str::to_owned)
                .collect()
        };
        assert_eq!(
            own(&asked.options),
            own(&listed.options),
            "{}",
            path.display()
        );
        listed.id = id;
        listed.options.clone_from(&asked.options);
        assert_eq!(asked, listed);
    }
}
