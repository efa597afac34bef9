//! The TOML: every key, every error and every bad file, by golden files.
//!
//! Each `tests/golden/config/*/NAME.toml` has a `NAME.txt` beside it: the plan or the report.
//! `UPDATE=1` writes them anew; read the difference before it is committed.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use lockkeeper::config::keys::{KEYS, Shape};
use lockkeeper::config::plan::{After, Kind, Start, Wait, Want};
use lockkeeper::config::report::Finding;
use lockkeeper::config::source::{LARGEST, SMALLEST};
use lockkeeper::config::{Loaded, Surroundings, parse, read};
use proptest::prelude::*;

use super::support::dir::Dir;

fn env(name: &str) -> Option<OsString> {
    use std::os::unix::ffi::OsStringExt;
    match name {
        "HOME" => Some("/home/agent".into()),
        "EMPTY" => Some(OsString::new()),
        "SECRET" => Some("sk-never-shown".into()),
        "LATIN1" => Some(OsString::from_vec(vec![b'/', 0xe9])),
        "ANTHROPIC_API_KEY" => Some("dummy".into()),
        _ => None,
    }
}

fn parsed(name: &str, bytes: &[u8]) -> Result<Loaded, lockkeeper::config::report::Problems> {
    let around = Surroundings {
        env: &env,
        host_name: "host".to_owned(),
    };
    parse(name, bytes, &around)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The plan, or all that is wrong, as one text.
fn told(name: &str, bytes: &[u8]) -> String {
    let loaded = match parsed(name, bytes) {
        Ok(loaded) => loaded,
        Err(problems) => return format!("{problems}\n"),
    };
    let mut text = String::new();
    for warning in &loaded.warnings {
        writeln!(text, "{warning}\n").unwrap();
    }
    writeln!(text, "{:#?}", loaded.plan).unwrap();
    text
}

/// The cases of a folder: name and content.
fn cases(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = root().join("tests/golden/config").join(folder);
    let mut cases: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .map(|path| {
            let content = fs::read(&path).unwrap();
            (path, content)
        })
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    cases
}

fn golden(folder: &str, fits: impl Fn(&str) -> bool) {
    let mut wrong = String::new();
    for (path, content) in cases(folder) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let got = told(name, &content);
        assert!(fits(&got), "{folder}/{name} is in the wrong folder:\n{got}");
        let expected_path = path.with_extension("txt");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&expected_path, &got).unwrap();
            continue;
        }
        let expected = fs::read_to_string(&expected_path).unwrap_or_default();
        if got != expected {
            writeln!(
                wrong,
                "--- {folder}/{name}: expected\n{expected}+++ got\n{got}"
            )
            .unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}UPDATE=1 accepts what was got");
}

#[test]
fn valid_files_become_the_plans_they_say() {
    golden("valid", |told| told.starts_with("Plan {"));
}

#[test]
fn what_works_but_not_as_meant_is_a_warning() {
    golden("warnings", |told| {
        told.contains("warning: ") && told.contains("\nPlan {")
    });
}

#[test]
fn all_errors_of_a_file_are_told_at_once_each_with_its_place() {
    golden("errors", |told| {
        told.contains("error: ") && !told.contains("Plan {")
    });
}

#[test]
fn every_key_stands_in_a_valid_golden_file_and_every_later_one_in_an_erroneous_one() {
    let text = |folder| {
        let all = cases(folder).into_iter().map(|(_, content)| content);
        String::from_utf8(all.collect::<Vec<_>>().join(&b'\n')).unwrap()
    };
    let (valid, errors) = (text("valid"), text("errors"));
    for key in KEYS {
        let written = format!("{} = ", key.name);
        let place = if key.shape == Shape::NotBuilt {
            &errors
        } else {
            &valid
        };
        assert!(
            place.contains(&written),
            "`{}` has no golden file",
            key.name
        );
    }
}

#[test]
fn no_report_repeats_what_a_variable_stands_for() {
    for value in ["${SECRET}", "x${SECRET}"] {
        for line in [
            "[init]\nstop_within = \"V\"",
            "[classes.c]\nkind = \"V\"",
            "[classes.batch]\nidentity = \"V\"",
            "[classes.batch]\nidentity = \"env:V-\"",
            "[classes.batch]\nlock = \"V\"",
            "[classes.batch]\nstop = { signal = \"V\" }",
            "[classes.batch]\ndir = \"V\"",
            "[jobs.j]\nclass = \"V\"\ncommand = [\"x\"]",
        ] {
            let report = told("f.toml", line.replace('V', value).as_bytes());
            assert!(report.contains("error: "), "{report}");
            assert!(!report.contains("sk-never"), "{report}");
        }
    }
}

#[test]
fn a_file_that_is_no_configuration_is_refused_without_reading_on_or_hanging() {
    let folder = Dir::new();
    let at = |name: &str| folder.join(name);
    nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _listener = UnixListener::bind(at("socket")).unwrap();
    symlink("loop", at("loop")).unwrap();
    let big = fs::File::create(at("big.toml")).unwrap();
    big.set_len(10_000_000).unwrap();
    let limit = usize::try_from(LARGEST).unwrap();
    let file = |name: &str, content: &[u8]| fs::write(at(name), content).unwrap();
    file("latin1.toml", b"[init]\nname = \"caf\xe9\"\n");
    file("binary.toml", b"[init]\nn\0me = 1\n");
    file("utf16.toml", b"\xff\xfe[\0i\0");
    file("empty.toml", b"");
    file("comments.toml", b"\xef\xbb\xbf# nothing\n\n  \t\n# here\n");
    file("over.toml", &vec![b'#'; limit + 1]);

    let cannot = "cannot read the configuration: ";
    for (name, first) in [
        (
            "missing.toml",
            "cannot open the configuration: no such file or directory",
        ),
        (
            "empty.toml/x",
            "cannot open the configuration: not a directory",
        ),
        (
            "loop",
            "cannot open the configuration: too many symbolic links",
        ),
        ("", &format!("{cannot}this is a folder, not a regular file")),
        (
            "fifo",
            &format!("{cannot}this is a pipe, not a regular file"),
        ),
        (
            "socket",
            "cannot open the configuration: no such device or address",
        ),
        (
            "/dev/null",
            &format!("{cannot}this is a device, not a regular file"),
        ),
        (
            "big.toml",
            &format!("{cannot}10000000 bytes are more than the 1048576"),
        ),
        (
            "over.toml",
            &format!("{cannot}1048577 bytes are more than the 1048576"),
        ),
        (
            "latin1.toml",
            &format!("{cannot}it is not UTF-8, from byte 0xe9 in line 2, column 12"),
        ),
        (
            "binary.toml",
            &format!("{cannot}it is binary, with a zero byte in line 2, column 2"),
        ),
        ("utf16.toml", &format!("{cannot}it is UTF-16, not UTF-8")),
        ("empty.toml", "the configuration is empty"),
        ("comments.toml", "the configuration is empty"),
    ] {
        let path = at(name);
        let problems = read(&path).unwrap_err();
        let report = problems.to_string();
        let head = format!("{}: error: {first}", path.display());
        assert!(report.starts_with(&head), "expected {head}\ngot {report}");
        assert!(report.contains("\n  = "), "no way out in:\n{report}");
        assert_eq!(problems.errors.len(), 1);
        if name.is_empty() || ["empty.toml", "comments.toml"].contains(&name) {
            assert_eq!(report.contains("[jobs.dev]"), !name.is_empty(), "{report}");
        }
    }
}

#[test]
fn a_file_that_may_not_or_cannot_be_read_is_refused() {
    let folder = Dir::new();
    let path = folder.join("closed.toml");
    fs::write(&path, SMALLEST).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
    let reader = std::thread::spawn(move || {
        // Root's right to read everything goes with its file system uid, of this thread alone
        // (setfsuid(2), capabilities(7)).
        nix::unistd::setfsuid(nix::unistd::Uid::from_raw(65534));
        read(&path).unwrap_err().to_string()
    });
    let report = reader.join().unwrap();
    assert!(
        report.contains("cannot open the configuration: permission denied"),
        "{report}"
    );
    assert!(report.contains("the right to read it"), "{report}");

    // A regular file whose first page cannot be read (proc_pid_mem(5)).
    let report = read(Path::new("/proc/self/mem")).unwrap_err().to_string();
    assert!(
        report.contains("cannot read the configuration: "),
        "{report}"
    );
}

#[test]
fn the_smallest_file_that_is_printed_is_valid_and_takes_turns() {
    let loaded = parsed("smallest.toml", SMALLEST.as_bytes()).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let lock = loaded.plan.jobs[0].run.kind.lock().unwrap();
    assert_eq!(lock.path, Path::new("/home/agent/.claude/session.lock"));
}

#[test]
fn a_file_of_nothing_but_errors_is_told_in_part_and_counted_whole() {
    let many = (0..200_000).fold(String::new(), |mut text, i| {
        writeln!(text, "{i:x}=1").unwrap();
        text
    });
    let many = &many[..usize::try_from(LARGEST).unwrap().min(many.len())];
    let problems = parsed("many.toml", many.as_bytes()).unwrap_err();
    assert!(problems.errors.len() <= 300);
    assert!(problems.more > 50_000, "{}", problems.more);
}

#[test]
fn depth_is_bounded() {
    for deep in ["[", "{a=", "[{a=", "a.", "[[", "[a.", "\"${A:-"] {
        let text = format!("x = {}", deep.repeat(300_000 / deep.len()));
        assert!(parsed("deep.toml", text.as_bytes()).is_err());
        let text = deep.repeat(300_000 / deep.len());
        assert!(parsed("deep.toml", text.as_bytes()).is_err());
    }
}

fn example(name: &str) -> Loaded {
    let path = root().join("config").join(name);
    let bytes = fs::read(&path).unwrap();
    match parsed(name, &bytes) {
        Ok(loaded) => loaded,
        Err(problems) => panic!("{problems}"),
    }
}

fn warnings(loaded: &Loaded) -> Vec<String> {
    loaded.warnings.iter().map(Finding::one_line).collect()
}

#[test]
fn the_quickstart_has_turns_a_chat_and_a_result_that_hangs() {
    let loaded = example("quickstart.toml");
    assert_eq!(warnings(&loaded), [""; 0]);
    let jobs = &loaded.plan.jobs;
    let interactive = jobs
        .iter()
        .filter(|job| job.run.kind == Kind::Interactive)
        .count();
    assert_eq!(interactive, 1);
    let mut locks: Vec<_> = jobs.iter().filter_map(|job| job.run.kind.lock()).collect();
    assert!(locks.len() >= 3);
    locks.dedup();
    assert_eq!(locks.len(), 1, "all batch jobs name one lock");
    assert!(locks[0].path.parent().unwrap().is_dir());
    assert!(jobs.iter().any(|job| job.run.limits.final_line.is_some()));
    assert!(
        jobs.iter()
            .all(|job| job.every.is_none() && job.start == Start::Boot)
    );
    assert!(
        jobs.iter()
            .all(|job| job.run.command[0] == "sh" && job.run.user.is_none())
    );
    assert!(!loaded.plan.init.stay);
}

#[test]
fn the_batch_container_takes_turns_on_the_lock_of_its_login() {
    let loaded = example("agents.toml");
    assert_eq!(warnings(&loaded), [""; 0]);
    for job in &loaded.plan.jobs {
        let lock = job.run.kind.lock().unwrap();
        assert!(lock.path.ends_with(".claude/session.lock"));
        assert_ne!(lock.wait, Wait::Forever);
    }
}

#[test]
fn the_factory_has_seven_roles_at_their_rates_that_wait_for_their_working_copies() {
    let loaded = example("factory.toml");
    assert_eq!(warnings(&loaded).len(), 1, "FACTORY_REPO is not set here");
    let (roles, others): (Vec<_>, Vec<_>) =
        loaded.plan.jobs.iter().partition(|job| job.every.is_some());
    let rates = roles.iter().map(|job| {
        let rate = job.every.unwrap();
        assert!(rate.jitter < rate.period);
        (job.run.job.as_str(), rate.period.as_secs())
    });
    // Those of the factory that this is modelled on (disinto, docker/agents/entrypoint.sh).
    let disinto = [
        ("review", 300),
        ("dev", 300),
        ("gardener", 300),
        ("architect", 900),
        ("planner", 43_200),
        ("predictor", 86_400),
        ("supervisor", 1200),
    ];
    assert_eq!(rates.collect::<Vec<_>>(), disinto);
    for role in roles {
        assert!(role.run.kind.lock().is_some(), "{}", role.run.job);
        let clone = After {
            job: "clone".into(),
            want: Want::Succeeded,
        };
        assert_eq!(role.after, [clone]);
    }
    let names: Vec<_> = others.iter().map(|job| job.run.job.as_str()).collect();
    assert_eq!(names, ["clone"]);
    assert_eq!(others[0].run.kind.lock(), None);
}

#[test]
fn the_interactive_container_takes_no_lock_and_ends_with_its_chat() {
    let loaded = example("chat.toml");
    assert_eq!(warnings(&loaded), [""; 0]);
    assert!(
        loaded
            .plan
            .jobs
            .iter()
            .all(|job| job.run.kind == Kind::Interactive)
    );
    assert_eq!(loaded.plan.jobs.iter().filter(|job| job.main).count(), 1);
}

/// Pieces that reach deeper into the reader than noise does.
fn piece() -> impl Strategy<Value = String> {
    let words: Vec<String> = KEYS
        .iter()
        .map(|key| key.name.to_owned())
        .chain(
            [
                "init",
                "locks",
                "classes",
                "jobs",
                "batch",
                "interactive",
                "[",
                "]",
                "[[",
                "{",
                "}",
                " = ",
                ".",
                ",",
                "\n",
                "\"",
                "'",
                "'''",
                "\"\"\"",
                "\\u0000",
                "\\",
                "#",
                "${",
                "$",
                ":-",
                "HOME",
                "LATIN1",
                "env:",
                "/",
                "~",
                "90s",
                "10M",
                "0s",
                "99999999999y",
                "forever",
                "TERM",
                "true",
                "1",
                "-1",
                "1e9",
                "1979-05-27",
                "é",
                "\u{feff}",
                "\r",
                "\t",
                "[jobs.a]\nclass = \"batch\"\ncommand = [\"x\"]\n",
                "[classes.a]\n",
                "[locks.a]\npath = \"/x\"\n",
                "final = { line = \"x\" }\n",
            ]
            .map(str::to_owned),
        )
        .collect();
    prop_oneof![4 => prop::sample::select(words), 1 => any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_take_the_reader_down(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parsed("noise.toml", &bytes).map_err(|problems| problems.to_string());
    }

    #[test]
    fn no_mixture_of_keys_and_signs_takes_the_reader_down(pieces in prop::collection::vec(piece(), 0..60)) {
        let text = pieces.concat();
        match parsed("mixture.toml", text.as_bytes()) {
            Ok(loaded) => prop_assert!(loaded.plan.jobs.iter().all(|job| !job.run.command.is_empty())),
            Err(problems) => {
                prop_assert!(!problems.errors.is_empty());
                let lines = text.lines().count();
                for finding in &problems.errors {
                    let line = finding.place.as_ref().map_or(1, |place| place.line);
                    prop_assert!(line <= lines + 1);
                    prop_assert!(!finding.message.ends_with('.'), "{}", finding.message);
                }
            }
        }
    }

    #[test]
    fn a_valid_file_with_one_byte_changed_never_takes_the_reader_down(at in 0..SMALLEST.len(), byte in any::<u8>()) {
        let mut bytes = SMALLEST.as_bytes().to_vec();
        bytes[at] = byte;
        let _ = parsed("changed.toml", &bytes).map_err(|problems| problems.to_string());
    }
}

#[test]
fn no_finding_shows_a_secret_of_the_file_or_of_a_variable_in_redact() {
    // Each with what must be found, so that it is the finding that is looked at.
    for (jobs, found) in [
        (
            "env = { GH_TOKEN = \'\'\'\nhunter22 ${NOPE}\nhunter33\'\'\' }",
            "NOPE",
        ),
        (
            "env = { GH_TOKEN = \"\"\"a\nhunter22 ${NOPE}\"\"\" }",
            "NOPE",
        ),
        ("env = { GH_TOKEN = \'\'\'hunter22${NOPE}\'\'\' }", "NOPE"),
        (
            "redact = [\"OWN\"]\nenv = { OWN = \"hunter22${NOPE}\" }",
            "NOPE",
        ),
        (
            "redact = [\"OWN\"]\nenv = { OWN = \"hunter22\" }\ntimeout = \"hunter22\"",
            "`timeout`",
        ),
        (
            "redact = [\"SECRET\"]\ntimeout = \"${SECRET}\"",
            "`timeout`",
        ),
        ("env.GH_TOKEN = hunter22", "quotes"),
        ("env.GH_TOKEN = \'\'\'hunter22\'\'\' 5", "error"),
        ("env = { GH_TOKEN = [\"hunter22\"] }", "GH_TOKEN"),
    ] {
        let toml = format!("[jobs.dev]\nclass = \"batch\"\ncommand = [\"true\"]\n{jobs}\n");
        let told = told("f.toml", toml.as_bytes());
        assert!(told.contains("error") && told.contains(found), "{told}");
        for secret in ["hunter22", "hunter33", "sk-never-shown"] {
            assert!(!told.contains(secret), "{toml}\n{told}");
        }
    }
}
