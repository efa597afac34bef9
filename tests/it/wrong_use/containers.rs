//! In real containers.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{FILE, flat, has};
use crate::support::child::{output, text};
use crate::support::dir::Dir;
use crate::support::need::need;
use crate::support::podman::{Podman, Run};

/// The file that is looked for, in a container.
fn with_file(podman: &Podman, file: &str, change: impl Fn(Run) -> Run) -> String {
    let dir = Dir::new();
    let path = dir.join("lockkeeper.toml");
    fs::write(&path, file).unwrap();
    let run = Run::new(&[]).mount(&path, "/etc/lockkeeper.toml", "ro");
    flat(&podman.run(&change(run)))
}

#[test]
fn in_a_container_an_interactive_job_without_a_terminal_is_told_how_to_have_one() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let podman = Podman::ready();
    let chat = FILE.replace("stdin = \"null\"\n", "");
    let told = with_file(&podman, &chat, |run| run);
    has(
        &told,
        &[
            "job dev is interactive, and standard input is /dev/null",
            "docker run -it",
        ],
    );
    has(&told, &["mine"]);
    let told = with_file(&podman, FILE, |run| run);
    assert!(!told.contains("docker run -it"), "{told}");
    let told = with_file(&podman, &chat, |run| run.with(&["--interactive"]));
    assert!(!told.contains("docker run -it"), "{told}");
}

#[test]
fn in_a_container_with_an_entrypoint_in_shell_form_the_shell_is_named() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let podman = Podman::ready();
    let dir = Dir::new();
    let path = dir.join("lockkeeper.toml");
    fs::write(&path, FILE).unwrap();
    let run = Run::new(&["-c", "lockkeeper; exit $?"]).entrypoint("sh");
    let done = podman.run(&run.mount(&path, "/etc/lockkeeper.toml", "ro"));
    assert_eq!(text(&done.stdout), "mine\n");
    has(
        &flat(&done),
        &["lockkeeper is not PID 1, but sh is", "ENTRYPOINT ["],
    );
}

#[test]
fn in_a_container_below_another_init_it_is_said_that_it_is_not_needed() {
    need!(
        "root",
        "podman",
        "crun",
        "buildah",
        "busybox",
        "static",
        "catatonit"
    );
    let podman = Podman::ready();
    let catatonit = output(std::process::Command::new("sh").args(["-c", "command -v catatonit"]));
    let path = text(&catatonit.stdout);
    let init = ["--init", "--init-path", path.trim()];
    let told = podman.run(&Run::new(&["check"]).with(&init));
    assert_eq!(told.status.code(), Some(0), "{}", flat(&told));
    has(&flat(&told), &["which is not needed", "leave --init out"]);
    let told = with_file(&podman, FILE, |run| run.with(&init));
    has(
        &told,
        &[
            "mine",
            "init is at work as a subreaper",
            "above it is not needed",
        ],
    );
}

#[test]
fn in_a_container_a_file_that_no_mount_brought_is_told_where_it_was_looked_for() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let podman = Podman::ready();
    let refused = podman.run(&Run::new(&[]));
    assert_eq!(refused.status.code(), Some(78));
    has(
        &flat(&refused),
        &["/etc/lockkeeper.toml does not exist", "`lockkeeper check`"],
    );
    let folder = Dir::new();
    let run = Run::new(&[]).mount(Path::new(&*folder), "/etc/lockkeeper.toml", "ro");
    let refused = podman.run(&run);
    assert_eq!(refused.status.code(), Some(78));
    has(
        &flat(&refused),
        &["this is a folder", "remove it there, write the file"],
    );
}

#[test]
fn in_a_container_of_which_nothing_can_be_written_the_way_out_is_told() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let podman = Podman::ready();
    let closed = |run: Run| {
        let run = run.with(&["--read-only", "--read-only-tmpfs=false"]);
        run.with(&["--mount", "type=tmpfs,destination=/dev/shm,ro=true"])
    };
    let told = with_file(&podman, FILE, closed);
    has(&told, &["mine", "there is no folder for a control socket"]);
    let told = podman.run(&closed(Run::new(&["check"])));
    let told = flat(&told);
    has(
        &told,
        &["neither /run nor /dev/shm can be written", "--tmpfs /run"],
    );
    has(&told, &["podman inspect --format"]);
    let open = podman.run(&closed(Run::new(&["check"])).with(&["--tmpfs", "/run"]));
    has(
        &flat(&open),
        &["init and its runs can be found in \"/run/lockkeeper\"; / is read-only"],
    );
}

#[test]
fn in_a_container_without_privileges_an_agent_says_its_version_and_a_file_comes_out() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let podman = Podman::ready();
    let (dir, login) = (Dir::new(), Dir::new());
    let claude = dir.join("claude");
    fs::write(&claude, "#!/bin/sh\necho 2.1.197\n").unwrap();
    fs::set_permissions(&claude, Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&*login, Permissions::from_mode(0o777)).unwrap();
    let run = |args: &[&str]| {
        let run = Run::new(args).mount(&claude, "/bin/claude", "ro");
        let run = run.mount(&login, "/home/agent/.claude", "rw");
        run.env("CLAUDE_CONFIG_DIR", "/home/agent/.claude").with(&[
            "--user",
            "1000",
            "--cap-drop",
            "all",
        ])
    };
    let printed = podman.run(&run(&["check", "--toml"]));
    assert_eq!(printed.status.code(), Some(0));
    let notes = flat(&printed);
    has(
        &notes,
        &["claude is in PATH: \"/bin/claude\", and says \"2.1.197\""],
    );
    has(
        &notes,
        &["is a mount of its own: containers that mount the same folder"],
    );
    let file = dir.join("lockkeeper.toml");
    fs::write(&file, &printed.stdout).unwrap();
    let checked = podman.run(&run(&["check"]).mount(&file, "/etc/lockkeeper.toml", "ro"));
    assert_eq!(checked.status.code(), Some(0), "{}", flat(&checked));
    has(&flat(&checked), &["can be read: jobs dev (batch)"]);
    let once = text(&printed.stdout).replace("every", "# every");
    fs::write(&file, once).unwrap();
    let ran = podman.run(&run(&[]).mount(&file, "/etc/lockkeeper.toml", "ro"));
    assert_eq!(ran.status.code(), Some(0), "{}", flat(&ran));
    assert_eq!(text(&ran.stdout), "2.1.197\n");
}
