//! Where a job's output goes: journal, file, both; and what of it is shown nowhere.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use lockkeeper::lock::folders::claims_folder;
use nix::sys::signal::Signal::{SIGCONT, SIGKILL, SIGTERM};
use serde_json::Value;

use super::support::bin;
use super::support::child::{self, halt, output, signal, text};
use super::support::journald::Journald;
use super::support::need::need;
use super::support::scene::{Scene, child_of, ended, state};
use super::support::wait::until;

/// `lockkeeper run -c FILE dev`, its output as `keys` say, its command a shell's.
fn dev(scene: &Scene, keys: &str, script: &str) -> PathBuf {
    let file = format!(
        "[locks.l]\npath = \"LOCK\"\n[classes.batch]\nlock = \"l\"\n\
         [jobs.dev]\nclass = \"batch\"\nlog_dir = \"DIR/log\"\n{keys}\n\
         command = [\"sh\", \"-c\", '''{script}''']\n"
    );
    let has_file = keys.contains("\"file\"") || keys.contains("\"both\"");
    let file = if has_file {
        file
    } else {
        file.replace("log_dir = \"DIR/log\"\n", "")
    };
    scene.config(&file)
}

fn run(command: &mut Command, file: &PathBuf) -> std::process::Output {
    output(
        child::bare(command)
            .args(["run", "-c"])
            .arg(file)
            .arg("dev"),
    )
}

fn log(scene: &Scene) -> String {
    text(&fs::read(scene.path("log/dev.log")).unwrap_or_default())
}

/// The records of the command's own lines.
fn lines(journal: &Journald) -> Vec<Value> {
    let mut records = journal.records(&["JOB=dev"]);
    records.retain(|record| !record["JOB_STREAM"].is_null());
    records
}

fn messages(records: &[Value]) -> Vec<&str> {
    let words = records.iter().map(|record| &record["MESSAGE"]);
    words
        .map(|text| text.as_str().unwrap_or("(binary)"))
        .collect()
}

// The journal.

#[test]
fn each_line_is_a_record_with_its_job_run_stream_and_priority() {
    need!("root", "journald");
    let (scene, journal) = (Scene::new(), Journald::start());
    let script =
        r#"echo out; echo err >&2; echo "<3>bad"; printf "a\\000b\\377\\n"; echo; printf "no end""#;
    let file = dev(&scene, "output = \"journal\"", script);
    let done = run(&mut journal.command(bin::lockkeeper()), &file);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    assert_eq!(
        (text(&done.stdout), text(&done.stderr)),
        (String::new(), String::new())
    );
    let records = lines(&journal);
    let stdout: Vec<Value> = records
        .iter()
        .filter(|record| record["JOB_STREAM"] == "stdout")
        .cloned()
        .collect();
    assert_eq!(messages(&stdout), ["out", "bad", "(binary)", "", "no end"]);
    let binary = serde_json::json!([b'a', 0, b'b', 0xff]);
    assert_eq!(stdout[2]["MESSAGE"], binary);
    let priorities: Vec<&Value> = stdout.iter().map(|record| &record["PRIORITY"]).collect();
    assert_eq!(priorities, ["6", "3", "6", "6", "6"]);
    assert_eq!(stdout[4]["LINE_BREAK"], "eof");
    let stderr = records
        .iter()
        .find(|record| record["JOB_STREAM"] == "stderr");
    let stderr = stderr.unwrap();
    assert_eq!(
        (&stderr["MESSAGE"], &stderr["PRIORITY"]),
        (&"err".into(), &"4".into())
    );
    let started = journal.records(&["JOB=dev"]);
    let run_id = started
        .iter()
        .find(|record| !record["JOB_PID"].is_null())
        .unwrap()["RUN_ID"]
        .clone();
    for record in &records {
        assert_eq!(record["RUN_ID"], run_id);
        assert_eq!(record["JOB_CLASS"], "batch");
        assert_eq!(record["SYSLOG_IDENTIFIER"], "dev");
        assert!(record["CONTAINER_NAME"].is_string());
    }
}

#[test]
fn a_long_line_is_several_records_and_nothing_of_it_is_lost() {
    need!("root", "journald");
    let (scene, journal) = (Scene::new(), Journald::start());
    let script = "head -c 100000 /dev/zero | tr '\\000' x; echo; echo next";
    let file = dev(&scene, "output = \"journal\"", script);
    assert!(
        run(&mut journal.command(bin::lockkeeper()), &file)
            .status
            .success()
    );
    let records = {
        let json = child::read(journal.command("journalctl").args([
            "--output=json",
            "--all",
            "--quiet",
            "JOB_STREAM=stdout",
        ]));
        let parse = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        json.lines().map(parse).collect::<Vec<_>>()
    };
    let lengths: Vec<usize> = messages(&records).iter().map(|text| text.len()).collect();
    assert_eq!(lengths, [49152, 49152, 1696, 4]);
    let breaks: Vec<&Value> = records.iter().map(|record| &record["LINE_BREAK"]).collect();
    assert_eq!(
        breaks,
        [
            &"line-max".into(),
            &"line-max".into(),
            &Value::Null,
            &Value::Null
        ]
    );
}

#[test]
fn a_journal_that_hangs_holds_up_the_command_and_neither_its_time_nor_its_end() {
    need!("root", "journald");
    let (scene, journal) = (Scene::new(), Journald::start());
    let keys = "output = \"journal\"\ntimeout = \"1s\"\nstop = { grace = \"100ms\" }";
    // Its daemon is an orphan to be found, whoever is blocked in the journal.
    let script = "(setsid sh -c \"trap : TERM; while :; do sleep 9; done\" &) ; exec yes";
    let file = dev(&scene, keys, script);
    halt(journal.pid());
    let mut command = journal.command(bin::lockkeeper());
    let mut run = child::start(
        child::bare(&mut command)
            .args(["run", "-c"])
            .arg(&file)
            .arg("dev"),
    );
    until("the lock is held", || {
        scene.lock().exists() && !scene.is_free()
    });
    until("the lock is free", || scene.is_free());
    // Nobody has taken anything by then.
    let status = ended(&mut run);
    assert_eq!(state(journal.pid()), Some('T'));
    assert_eq!(status.code(), Some(124));
    signal(journal.pid(), SIGCONT);
    scene.assert_empty();
}

#[test]
fn lines_go_on_when_the_journal_is_started_anew() {
    need!("root", "journald");
    let (scene, mut journal) = (Scene::new(), Journald::start());
    let script =
        "echo one; until [ -e DIR/go ]; do sleep 0.02; done; echo two; : > DIR/two; echo three";
    let script = script.replace("DIR", &scene.folder().display().to_string());
    let file = dev(&scene, "output = \"journal\"", &script);
    let mut command = journal.command(bin::lockkeeper());
    let mut run = child::start(
        child::bare(&mut command)
            .args(["run", "-c"])
            .arg(&file)
            .arg("dev"),
    );
    until("the first line is there", || {
        messages(&lines(&journal)) == ["one"]
    });
    journal.restart();
    let socket = journal.folder().join("socket");
    let away = journal.folder().join("away");
    fs::rename(&socket, &away).unwrap();
    File::create(scene.path("go")).unwrap();
    until("the next line is on its way", || scene.path("two").exists());
    fs::rename(&away, &socket).unwrap();
    assert_eq!(run.line(), None, "none of it is lost on our own output");
    assert!(ended(&mut run).success());
    assert_eq!(messages(&lines(&journal)), ["one", "two", "three"]);
}

#[test]
fn without_a_journal_output_goes_where_ours_goes() {
    need!("root");
    let scene = Scene::new();
    let file = dev(&scene, "output = \"journal\"", "echo out; echo err >&2");
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "sh",
        "-c",
        "mount -t tmpfs none /run && exec \"$0\" \"$@\"",
    ]);
    let done = run(command.arg(bin::lockkeeper()), &file);
    assert_eq!(done.status.code(), Some(0));
    assert_eq!(text(&done.stdout), "out\n");
    let told = text(&done.stderr);
    assert!(
        told.contains("err\n") && told.contains("/run/systemd/journal/socket"),
        "{told}"
    );
    assert_eq!(told.matches("output: ").count(), 1, "{told}");
}

// The file.

#[test]
fn lines_of_both_streams_are_whole_in_the_file_and_old_files_are_kept() {
    let scene = Scene::new();
    let keys = "output = \"file\"\nlog_size = \"64k\"\nlog_files = 40";
    let script = "seq 100000 & seq 200000 299999 >&2 & wait; printf end";
    let file = dev(&scene, keys, script);
    let done = run(&mut Command::new(bin::lockkeeper()), &file);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    assert_eq!(text(&done.stdout), "");
    let mut all = Vec::new();
    let mut files = 0;
    for entry in fs::read_dir(scene.path("log")).unwrap() {
        let content = text(&fs::read(entry.unwrap().path()).unwrap());
        assert!(content.ends_with('\n'));
        all.extend(content.lines().map(String::from));
        files += 1;
    }
    assert!(files > 10, "{files}");
    let end = all.iter().position(|line| line == "end").unwrap();
    all.swap_remove(end);
    let mut numbers: Vec<u32> = all.iter().map(|line| line.parse().unwrap()).collect();
    numbers.sort_unstable();
    let expected: Vec<u32> = (1..=100_000).chain(200_000..=299_999).collect();
    assert_eq!(numbers, expected);
}

#[test]
fn what_a_full_disk_does_not_take_goes_where_ours_goes() {
    need!("root");
    let scene = Scene::new();
    let file = dev(&scene, "output = \"file\"", "seq 100000");
    fs::create_dir(scene.path("log")).unwrap();
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs -o size=128k none \"$0\" && \"$@\"; code=$?; cat \"$0/dev.log\" >&2; exit $code";
    command
        .args(["--mount", "sh", "-c", script])
        .arg(scene.path("log"));
    let done = run(command.arg(bin::lockkeeper()), &file);
    assert_eq!(done.status.code(), Some(0));
    let (here, there) = (text(&done.stdout), text(&done.stderr));
    let (notes, there): (Vec<&str>, Vec<&str>) = there
        .lines()
        .partition(|line| line.starts_with("lockkeeper: "));
    let trouble = notes.iter().filter(|note| note.contains("output: "));
    assert_eq!(trouble.count(), 1, "{notes:?}");
    let whole = there.join("\n") + &here;
    let digits: Vec<&str> = whole.split_whitespace().collect();
    assert!(
        digits.len() >= 100_000 && there.len() > 10_000,
        "{} {}",
        digits.len(),
        there.len()
    );
    assert!(here.ends_with("99999\n100000\n"));
}

#[test]
fn a_command_whose_output_nobody_can_take_goes_on() {
    let scene = Scene::new();
    let script = "echo one; echo two; seq 100000; echo done > DIR/done";
    let script = script.replace("DIR", &scene.folder().display().to_string());
    let file = dev(&scene, "output = \"file\"", &script);
    // No folder can be made there, and nobody reads our own output.
    File::create(scene.path("log")).unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(bin::lockkeeper());
    command.stdout(writer);
    command.stderr(File::create(scene.path("stderr")).unwrap());
    let mut run = child::bare(&mut command)
        .args(["run", "-c"])
        .arg(&file)
        .arg("dev")
        .spawn()
        .unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(0));
    assert!(scene.path("done").exists());
    let told = fs::read_to_string(scene.path("stderr")).unwrap();
    assert_eq!(
        told.matches("what is not kept is lost").count(),
        1,
        "{told}"
    );
}

#[test]
fn a_journal_that_is_slow_is_waited_for_as_long_as_it_takes_something() {
    const LINES: usize = 1500;
    need!("root");
    let scene = Scene::new();
    let file = dev(&scene, "output = \"journal\"", &format!("seq {LINES}"));
    fs::create_dir(scene.path("journal")).unwrap();
    let listener = UnixDatagram::bind(scene.path("journal/socket")).unwrap();
    let taken = std::thread::spawn(move || {
        let (mut record, mut count) = (vec![0; 64 * 1024], 0);
        loop {
            let length = listener.recv(&mut record).unwrap();
            let record = text(&record[..length]);
            if record.contains("JOB_STREAM") {
                count += 1;
                // What makes it slow; nothing is waited for here.
                std::thread::sleep(Duration::from_millis(2));
            } else if record.contains("the run is over") || record.contains("ended after") {
                return count;
            }
        }
    });
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && \
        mount --bind \"$0\" /run/systemd/journal && exec \"$@\"";
    command.args(["--mount", "sh", "-c", script]);
    command.arg(scene.path("journal"));
    let done = run(command.arg(bin::lockkeeper()), &file);
    assert_eq!(done.status.code(), Some(0));
    assert_eq!(text(&done.stderr), "");
    assert_eq!(taken.join().unwrap(), LINES);
}

#[test]
fn output_that_somebody_outside_the_tree_holds_open_is_not_waited_for() {
    let scene = Scene::new();
    let script = "echo begun >&2; echo $$ > DIR/pid.new; mv DIR/pid.new DIR/pid; until [ -e DIR/go ]; do sleep 0.02; done; echo last";
    let script = script.replace("DIR", &scene.folder().display().to_string());
    let file = dev(&scene, "output = \"file\"", &script);
    let mut command = Command::new(bin::lockkeeper());
    command.stderr(File::create(scene.path("stderr")).unwrap());
    let mut run = child::start(
        child::bare(&mut command)
            .args(["run", "-c"])
            .arg(&file)
            .arg("dev"),
    );
    until("the command runs", || scene.path("pid").exists());
    let pid = fs::read_to_string(scene.path("pid")).unwrap();
    let held = File::options()
        .write(true)
        .open(format!("/proc/{}/fd/1", pid.trim()))
        .unwrap();
    File::create(scene.path("go")).unwrap();
    assert!(ended(&mut run).success());
    drop(held);
    assert_eq!(log(&scene), "begun\nlast\n");
    // Nor is it taken for one who does not read.
    let told = fs::read_to_string(scene.path("stderr")).unwrap();
    assert!(!told.contains("output: "), "{told}");
}

#[test]
fn a_monitor_that_is_killed_takes_no_whole_line_with_it_that_the_file_has() {
    let scene = Scene::new();
    let file = dev(&scene, "output = \"file\"", "echo one; sleep 60");
    let mut command = Command::new(bin::lockkeeper());
    let mut run = child::start(
        child::bare(&mut command)
            .args(["run", "-c"])
            .arg(&file)
            .arg("dev"),
    );
    until("the line is there", || log(&scene) == "one\n");
    signal(child_of(run.pid()), SIGKILL);
    assert_eq!(ended(&mut run).code(), Some(125));
    assert_eq!(log(&scene), "one\n");
}

// What is shown nowhere.

const SECRETS: [&str; 3] = [
    "s3cr3t-value-of-the-job",
    "s3cr3t from the container",
    "ghp_neverShown",
];

#[test]
fn no_secret_is_in_anything_that_is_written() {
    need!("root", "journald");
    let (scene, journal) = (Scene::new(), Journald::start());
    let keys = "output = \"both\"\nredact = [\"OWN\", \"OUTER\"]\n\
        env = { OWN = \"s3cr3t-value-of-the-job\", GH_TOKEN = \"ghp_neverShown\" }\n\
        dir = \"DIR/work\"\ndir_lock = true";
    fs::create_dir(scene.path("work")).unwrap();
    let script = "env; echo $OWN; echo $OUTER >&2; for i in $(seq 23); do printf %s $OWN | cut -c$i | tr -d \"\\n\"; sleep 0.002; done; echo; \
        until [ -e ../go ]; do sleep 0.02; done";
    let file = dev(&scene, keys, script);
    let mut command = journal.command(bin::lockkeeper());
    child::bare(&mut command).env("OUTER", SECRETS[1]);
    command
        .args(["run", "--report", "1", "-vv", "-c"])
        .arg(&file)
        .arg("dev");
    command.env("LOCKKEEPER_EVENT_LOG", scene.folder());
    command.stderr(File::create(scene.path("stderr")).unwrap());
    let mut run = child::start(&mut command);
    until("it has spoken", || log(&scene).matches("***").count() > 5);
    let mut shown = Vec::new();
    for words in [
        &["status"][..],
        &["status", "--json"],
        &["check", "-c"],
        &["lock", "list"],
    ] {
        let mut look = journal.command(bin::lockkeeper());
        child::bare(&mut look).env("OUTER", SECRETS[1]).args(words);
        if words.contains(&"-c") {
            look.arg(&file);
        }
        let seen = output(look.current_dir("/"));
        shown.push((format!("{words:?}"), [seen.stdout, seen.stderr].concat()));
    }
    for entry in fs::read_dir(claims_folder(&scene.lock())).unwrap() {
        let path = entry.unwrap().path();
        shown.push((path.display().to_string(), fs::read(path).unwrap()));
    }
    File::create(scene.path("go")).unwrap();
    let mut said = String::new();
    while let Some(line) = run.line() {
        said += &line;
    }
    assert!(
        ended(&mut run).success() && said.contains("run_id"),
        "{said}"
    );
    shown.push(("stdout".into(), said.into_bytes()));
    for name in ["agent.lock", "agent.latch"] {
        let path = scene.path("work/.runtime").join(name);
        shown.push((name.into(), fs::read(path).unwrap_or_default()));
    }
    let events = fs::read_dir(scene.folder()).unwrap().flatten();
    let mut events =
        events.filter(|entry| entry.path().extension().is_some_and(|end| end == "jsonl"));
    let mode = events.next().unwrap().metadata().unwrap().mode();
    assert_eq!(mode & 0o777, 0o600, "the event log is its user's own");
    let records = child::read(
        journal
            .command("journalctl")
            .args(["--output=export", "--all"]),
    );
    shown.push(("journal".into(), records.into_bytes()));
    for entry in fs::read_dir(scene.folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && path != file {
            shown.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    shown.push(("log".into(), log(&scene).into_bytes()));
    assert!(shown.len() > 8, "{}", shown.len());
    for (place, content) in shown {
        for secret in SECRETS {
            let found = text(&content)
                .lines()
                .find(|line| line.contains(secret))
                .map(String::from);
            assert_eq!(found, None, "{secret} in {place}");
        }
    }
    assert!(log(&scene).contains("GH_TOKEN=***\n"));
}

#[test]
fn a_run_that_is_refused_shows_no_secret_in_its_reason() {
    let scene = Scene::new();
    let keys = "redact = [\"OWN\"]\nenv = { OWN = \"s3cr3t-value-of-the-job\" }\n\
        dir = \"DIR/s3cr3t-value-of-the-job\"\ndir_lock = true";
    let file = dev(&scene, keys, "true");
    for words in [["run", "-c"], ["check", "-c"]] {
        let mut command = Command::new(bin::lockkeeper());
        child::bare(&mut command).args(words).arg(&file);
        let done = output(command.args(Some("dev").filter(|_| words[0] == "run")));
        let told = text(&done.stderr) + &text(&done.stdout);
        assert!(
            done.status.code() != Some(0) && told.contains("/***"),
            "{told}"
        );
        assert!(!told.contains(SECRETS[0]), "{told}");
    }
}

#[test]
fn redact_masks_what_passes_to_our_own_output() {
    let scene = Scene::new();
    let keys = "redact = [\"OWN\"]\nenv = { OWN = \"s3cr3t-value-of-the-job\" }";
    let file = dev(&scene, keys, "echo a $OWN b; echo $OWN >&2; printf A_KEY=x");
    let done = run(&mut Command::new(bin::lockkeeper()), &file);
    assert_eq!(text(&done.stdout), "a *** b\nA_KEY=***");
    assert!(text(&done.stderr).contains("***\n"));
    assert!(!text(&done.stderr).contains(SECRETS[0]));
}

#[test]
fn what_is_inherited_without_redact_is_the_commands_own_bytes() {
    let scene = Scene::new();
    let keys = "idle_timeout = \"1m\"";
    let file = dev(&scene, keys, "printf 'A_KEY=x\\000\\377'");
    let done = run(&mut Command::new(bin::lockkeeper()), &file);
    assert_eq!(done.stdout, b"A_KEY=x\0\xff");
}

// The final line.

#[test]
fn the_end_of_a_run_has_the_session_the_cost_and_the_turns_of_its_last_result() {
    need!("root", "journald");
    let (scene, journal) = (Scene::new(), Journald::start());
    let keys = "final = { line = '\"type\":\"result\"' }\noutput = \"journal\"";
    let script = r#"echo "{\"type\":\"result\",\"session_id\":\"first\",\"num_turns\":1}"
        echo "{\"num_turns\":7,\"type\":\"result\",\"result\":\"$(head -c 3000000 /dev/zero | tr "\\000" x)\",\"session_id\":\"4f1c-9\",\"total_cost_usd\":0.0421}""#;
    let file = dev(&scene, keys, script);
    let done = run(&mut journal.command(bin::lockkeeper()), &file);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let records = journal.records(&["JOB=dev"]);
    let with: Vec<&Value> = records
        .iter()
        .filter(|record| !record["SESSION_ID"].is_null())
        .collect();
    assert_eq!(with.len(), 1);
    let fields = ["SESSION_ID", "COST_USD", "TURNS", "REASON"].map(|name| with[0][name].as_str());
    assert_eq!(fields, ["4f1c-9", "0.0421", "7", "ended"].map(Some));
}

#[test]
fn a_stop_of_a_run_whose_journal_hangs_is_heard() {
    need!("root", "journald");
    let (scene, journal) = (Scene::new(), Journald::start());
    let file = dev(
        &scene,
        "output = \"journal\"\nstop = { grace = \"100ms\" }",
        "exec yes",
    );
    halt(journal.pid());
    let mut command = journal.command(bin::lockkeeper());
    let mut run = child::start(
        child::bare(&mut command)
            .args(["run", "-c"])
            .arg(&file)
            .arg("dev"),
    );
    until("the lock is held", || {
        scene.lock().exists() && !scene.is_free()
    });
    signal(run.pid(), SIGTERM);
    assert_eq!(ended(&mut run).code(), Some(143));
    assert!(scene.is_free());
    signal(journal.pid(), SIGCONT);
}
