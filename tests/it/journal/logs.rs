//! `lockkeeper logs`, beside a real journal.

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;

use super::{file_of, many};
use crate::support::bin;
use crate::support::child::{self, output, read, text};
use crate::support::dir::Dir;
use crate::support::journald::Journald;
use crate::support::need::need;
use crate::support::pty::Pty;
use crate::support::scene::Scene;
use crate::support::wait::until;

#[test]
fn logs_shows_the_records_of_a_job_of_this_container_and_passes_on_what_is_journalctls() {
    need!("root", "journald");
    let (journal, dir) = (Journald::start(), Dir::new());
    let file = file_of(&dir, &many(3));
    read(journal.command(bin::puppet()).arg("notes").arg(&file));
    let stranger = "printf 'a stranger' | systemd-cat --identifier=stranger";
    read(journal.command("sh").args(["-c", stranger]));
    let logs = |args: &[&str]| {
        let mut command = journal.command(bin::lockkeeper());
        // What is named by the machine's own file is not meant.
        command
            .env("LOCKKEEPER_CONFIG", "/nowhere")
            .arg("logs")
            .args(args);
        read(&mut command)
    };
    // The puppet writes as job dev of the container agents-1.
    until("they are there", || {
        journal.records(&["JOB=dev"]).len() == 3
    });
    assert_eq!(logs(&["--", "--output=cat"]).lines().count(), 3);
    assert_eq!(logs(&["dev", "--", "--output=cat"]).lines().count(), 3);
    let last = logs(&["dev", "--", "--output=cat", "--lines=1"]);
    assert_eq!(last, "job dev: started (pid 3)");
    assert_eq!(
        logs(&["dev", "--since", "1h", "--", "--output=cat"])
            .lines()
            .count(),
        3
    );
    assert_eq!(
        logs(&["dev", "--since=tomorrow", "--", "--output=cat", "--quiet"]),
        ""
    );
    assert_eq!(logs(&["chat", "--", "--quiet"]), "");
    assert_eq!(
        logs(&["--", "--quiet", "JOB_PID=2", "-o", "cat"]),
        "job dev: started (pid 2)"
    );

    // Of the container that the file names, and of no other.
    for (name, count) in [("agents-1", 3), ("agents-2", 0)] {
        let config = dir.join("lockkeeper.toml");
        let toml = format!(
            "[init]\nname = \"{name}\"\n[jobs.dev]\nclass = \"interactive\"\ncommand = [\"true\"]\n"
        );
        fs::write(&config, toml).unwrap();
        let config = config.display().to_string();
        let told = logs(&["dev", "-c", &config, "--", "--quiet", "--output=cat"]);
        assert_eq!(told.lines().count(), count);
    }
}

#[test]
fn logs_follows() {
    need!("root", "journald");
    let (journal, scene, dir) = (Journald::start(), Scene::new(), Dir::new());
    let mut command = journal.command(bin::lockkeeper());
    command.args(["logs", "dev", "-f", "--", "--output=cat"]);
    command.env("LOCKKEEPER_CONFIG", scene.path("none"));
    let mut logs = child::start(&mut command);
    let file = file_of(&dir, &many(1));
    read(journal.command(bin::puppet()).arg("notes").arg(&file));
    assert_eq!(logs.line().as_deref(), Some("job dev: started (pid 1)"));
}

#[test]
fn logs_finds_the_journal_of_a_namespace_and_that_of_another_machine_that_is_mounted() {
    need!("root", "journald");
    let (journal, dir) = (Journald::start(), Dir::new());
    let file = file_of(&dir, &many(2));
    read(journal.command(bin::puppet()).arg("notes").arg(&file));
    journal.records(&[]);
    let journals = journal
        .folder()
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("log/journal");
    let own = fs::read_dir(&journals)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .file_name();
    let own = own.to_str().unwrap().to_owned();
    let other = "0123456789abcdef0123456789abcdef".to_owned();
    for name in [own.clone(), format!("{own}.agents"), other] {
        let place = dir.join(&name);
        fs::create_dir_all(&place).unwrap();
        read(
            Command::new("cp")
                .arg("-rT")
                .arg(journals.join(&own))
                .arg(place.join(&name)),
        );
        let script = "mkdir -p /var/log/journal && mount --bind \"$0\" /var/log/journal && \
            mount -t tmpfs none /run && exec \"$@\"";
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", script])
            .arg(&place)
            .arg(bin::lockkeeper());
        command.args(["logs", "dev", "--", "--output=cat"]);
        let told = read(command.env("LOCKKEEPER_CONFIG", "/nowhere"));
        assert_eq!(told.lines().count(), 2, "{name}: {told}");
    }
}

#[test]
fn logs_says_what_to_do_where_nothing_can_be_read() {
    need!("root");
    let dir = Dir::new();
    let script = "mkdir -p /var/log/journal && mount --bind \"$0\" /var/log/journal && \
        mount -t tmpfs none /run && exec \"$@\"";
    let logs = |path: &str, more: &[&str]| {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", script])
            .arg(&*dir)
            .arg("env")
            .arg(path);
        command
            .arg(bin::lockkeeper())
            .args(["logs", "dev"])
            .args(more);
        let output = output(command.env("LOCKKEEPER_CONFIG", "/nowhere"));
        (output.status.code(), text(&output.stderr))
    };
    let (code, told) = logs("A=b", &[]);
    assert_eq!(code, Some(125), "{told}");
    assert!(
        told.contains("read it on the host: journalctl JOB=dev"),
        "{told}"
    );
    assert!(
        told.contains("-v /var/log/journal:/var/log/journal:ro"),
        "{told}"
    );
    // A journal that is named is not looked for; but there is no journalctl.
    let (code, told) = logs("PATH=/nowhere", &["--", "--file=/x"]);
    assert_eq!(code, Some(127), "{told}");
    assert!(
        told.contains("read it on the host: journalctl JOB=dev"),
        "{told}"
    );
}

#[test]
fn logs_shows_the_file_of_a_job_whose_output_goes_there() {
    let dir = Dir::new();
    let config = dir.join("lockkeeper.toml");
    let toml = format!(
        "[jobs.dev]\nclass = \"interactive\"\ncommand = [\"echo\", \"a line\"]\n\
         output = \"file\"\nlog_dir = \"{}\"\n",
        dir.display()
    );
    fs::write(&config, toml).unwrap();
    let lockkeeper = |words: &[&str]| {
        let mut command = Command::new(bin::lockkeeper());
        child::bare(&mut command).args(words).arg("-c").arg(&config);
        command
    };
    let told = output(&mut lockkeeper(&["logs", "dev"]));
    assert_eq!(told.status.code(), Some(125), "it has not run yet");
    assert!(text(&told.stderr).contains("dev.log"), "{told:?}");
    read(&mut lockkeeper(&["run", "dev"]));
    assert_eq!(read(&mut lockkeeper(&["logs", "dev"])), "a line");
    let mut follow = child::start(&mut lockkeeper(&["logs", "dev", "-f"]));
    assert_eq!(follow.line().as_deref(), Some("a line"));
    read(&mut lockkeeper(&["run", "dev"]));
    assert_eq!(follow.line().as_deref(), Some("a line"));
}

#[test]
fn logs_waits_for_no_fifo_and_hears_a_signal_while_nobody_reads_it() {
    let dir = Dir::new();
    let config = dir.join("lockkeeper.toml");
    let toml = format!(
        "[jobs.dev]\nclass = \"interactive\"\ncommand = [\"true\"]\n\
         output = \"file\"\nlog_dir = \"{}\"\n",
        dir.display()
    );
    fs::write(&config, toml).unwrap();
    let log = dir.join("dev.log");
    let logs = || {
        let mut command = Command::new(bin::lockkeeper());
        child::bare(&mut command)
            .args(["logs", "dev", "-c"])
            .arg(&config);
        command
    };
    fs::write(&log, "x".repeat(1024 * 1024)).unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut slow = logs().stdout(writer).spawn().unwrap();
    // It has begun, and the rest does not fit into the pipe.
    std::io::Read::read_exact(&mut reader, &mut [0]).unwrap();
    child::signal(i32::try_from(slow.id()).unwrap(), Signal::SIGTERM);
    until("it has heard that", || slow.try_wait().unwrap().is_some());
    fs::remove_file(&log).unwrap();
    nix::unistd::mkfifo(&log, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(output(&mut logs()).status.code(), Some(125));
}

#[test]
fn logs_of_a_file_begin_with_what_was_set_aside_and_steer_no_terminal() {
    let dir = Dir::new();
    let config = dir.join("lockkeeper.toml");
    let toml = format!(
        "[jobs.dev]\nclass = \"interactive\"\ncommand = [\"true\"]\n\
         output = \"file\"\nlog_dir = \"{}\"\nlog_files = 3\n",
        dir.display()
    );
    fs::write(&config, toml).unwrap();
    for (end, line) in [(".2", "one\n"), (".1", "two\n"), ("", "\x1b[31mthree\r\n")] {
        fs::write(dir.join(format!("dev.log{end}")), line).unwrap();
    }
    let logs = |more: &[&str]| {
        let mut command = Command::new(bin::lockkeeper());
        child::bare(&mut command)
            .args(["logs", "dev", "-c"])
            .arg(&config)
            .args(more);
        command
    };
    assert_eq!(
        output(&mut logs(&[])).stdout,
        b"one\ntwo\n\x1b[31mthree\r\n"
    );
    for more in [&[][..], &["-f"]] {
        let mut pty = Pty::start(&mut logs(more), Command::spawn);
        let seen = pty.until("three\\r");
        assert!(seen.contains("one") && seen.contains("two"), "{seen}");
        assert!(
            seen.contains("\\u{1b}[31mthree") && !seen.contains('\x1b'),
            "{seen}"
        );
        if !more.is_empty() {
            let log = fs::OpenOptions::new()
                .append(true)
                .open(dir.join("dev.log"));
            std::io::Write::write_all(&mut log.unwrap(), b"\x1b]0;x\x07\n").unwrap();
            let seen = pty.until("u{7}");
            assert!(!seen.contains('\x1b'), "{seen}");
        }
    }
}

#[test]
fn logs_of_all_have_what_the_jobs_say_and_steer_no_terminal() {
    need!("root", "journald");
    let (journal, scene) = (Journald::start(), Scene::new());
    let file = scene.config(
        "[init]
        name = \"agents-1\"
        [jobs.dev]
        class = \"interactive\"
        output = \"journal\"
        command = [\"printf\", '\\033[2Jred\\nplain\\n']",
    );
    let lockkeeper = |words: &[&str]| {
        let mut command = journal.command(bin::lockkeeper());
        child::bare(&mut command).args(words).arg("-c").arg(&file);
        command
    };
    read(&mut lockkeeper(&["run", "dev"]));
    until("it is there", || {
        journal.records(&["JOB_STREAM=stdout"]).len() == 2
    });
    let mut all = lockkeeper(&["logs"]);
    let told = read(all.args(["--", "--output=cat"]));
    assert!(
        told.contains("plain") && told.contains("job dev: "),
        "{told}"
    );
    let mut none = lockkeeper(&["logs"]);
    let told = read(none.args(["--", "--output=cat", "--quiet", "JOB=chat"]));
    assert_eq!(told, "", "what is asked beside it holds for both");
    let mut command = lockkeeper(&["logs", "dev"]);
    command
        .env("SYSTEMD_COLORS", "0")
        .args(["--", "--no-pager"]);
    let seen = Pty::start(&mut command, Command::spawn).end().1;
    assert!(
        seen.contains("plain") && seen.contains("blob data"),
        "{seen}"
    );
    assert!(!seen.contains("\x1b[2J"), "{seen}");
}
