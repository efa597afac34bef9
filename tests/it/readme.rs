//! README.md and the pages behind it say what the code does: their tables are made from the code's,
//! their commands are run.
//!
//! `UPDATE=1` writes the tables anew; read the difference before it is committed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use lockkeeper::cli::flags::VERBS;
use lockkeeper::cli::help::help;
use lockkeeper::config::keys::{KEYS, Scope, Shape, Unit, of};
use lockkeeper::config::plan::SharedMount;
use lockkeeper::config::source::SMALLEST;
use lockkeeper::exit;
use lockkeeper::lock::placement;

use super::support::bin::lockkeeper;
use super::support::child::{bare, output, read, text};
use super::support::dir::Dir;
use super::support::journald::Journald;
use super::support::need::{have, skip};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a user reads: the first page, and those that it leads to.
fn pages() -> Vec<PathBuf> {
    let reference = fs::read_dir(root().join("packaging/reference")).unwrap();
    let mut pages: Vec<PathBuf> = reference.map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    let first = ["README.md", "packaging/journal.md", "packaging/README.md"];
    first
        .map(|page| root().join(page))
        .into_iter()
        .chain(pages)
        .collect()
}

/// Compares what stands between the marks of `name` in a file of the repository with `expected`.
#[track_caller]
pub(crate) fn stands_in(path: &str, name: &str, expected: &str) {
    let path = root().join(path);
    // Several tests write one file.
    let file = fs::File::open(&path).unwrap();
    file.lock().unwrap();
    let readme = fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(&format!("<!-- {name}:")).unwrap();
    let (mark, rest) = rest.split_once("-->\n").unwrap();
    let end = format!("<!-- /{name} -->");
    let (got, after) = rest.split_once(&end).unwrap();
    if std::env::var_os("UPDATE").is_some() {
        let new = format!("{before}<!-- {name}:{mark}-->\n{expected}{end}{after}");
        fs::write(&path, new).unwrap();
    } else {
        assert_eq!(got, expected, "UPDATE=1 writes it anew");
    }
}

/// What a value must be, in words.
pub(crate) fn value(shape: Shape) -> String {
    match shape {
        Shape::Literal | Shape::Text => "text".into(),
        Shape::Name => "name".into(),
        Shape::Path => "absolute path".into(),
        Shape::DirLock => "`true`, `false`, absolute path, or a list of them".into(),
        Shape::Paths => "list of absolute paths".into(),
        Shape::Identity => "absolute path, or `env:NAME`".into(),
        Shape::Time { forever: false, .. } => "time".into(),
        Shape::Time { forever: true, .. } => "time, or `\"forever\"`".into(),
        Shape::Flag => "`true`, `false`".into(),
        Shape::Word(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
            words.join(", ")
        }
        Shape::Signal => "name of a signal".into(),
        Shape::Size { .. } => "size, as `\"10M\"`".into(),
        Shape::Count { .. } | Shape::Number { .. } => "number".into(),
        Shape::Limit(unit) => {
            let one = match unit {
                Unit::Each => "number",
                Unit::Bytes => "size",
                Unit::Seconds => "time",
            };
            format!("{one}, `\"unlimited\"`, or `{{ soft, hard }}` of them")
        }
        Shape::Mask => "octal number, as `\"022\"`".into(),
        Shape::Percent => "percentage, as `\"50%\"`".into(),
        Shape::PathOrPaths => "absolute path, or a list of them".into(),
        Shape::Names => "list of names of variables".into(),
        Shape::Kinds => "list of kinds of notes".into(),
        Shape::Command => "list of texts".into(),
        Shape::Env => "table of texts, or of `{ file = PATH }`".into(),
        Shape::After => "list of `\"JOB\"`, `\"JOB:succeeded\"`, `\"JOB:ready\"`".into(),
        Shape::Table(_) => "table, below".into(),
        Shape::WordOrTable(words, _) => {
            format!("{}, or a table, below", value(Shape::Word(words)))
        }
        Shape::Signals => "table of signals".into(),
        Shape::FlagOr(_) => "`true`, `false`, or a table, below".into(),
        Shape::NotBuilt => "not built yet".into(),
    }
}

#[test]
fn the_page_of_the_file_has_every_key_that_can_be_written_and_no_other() {
    let mut text = String::new();
    for (scope, more) in [
        (Scope::Init, ""),
        (Scope::Lock, ""),
        (Scope::Class, ", and what a job can say:"),
        (Scope::Job, ", besides what a class can say of them:"),
        (Scope::Final, ""),
        (Scope::Pause, ""),
        (Scope::Stop, ""),
        (Scope::Pty, ""),
        (Scope::Restart, ""),
        (Scope::Rlimits, ""),
        (Scope::Cgroup, ""),
    ] {
        writeln!(text, "\n`{}`{more}\n", scope.place()).unwrap();
        text.push_str("| key | value | without it | what it is |\n| --- | --- | --- | --- |\n");
        let is_new = |scopes: &[Scope]| scope != Scope::Job || !scopes.contains(&Scope::Class);
        for key in of(scope).filter(|key| key.shape != Shape::NotBuilt && is_new(key.scopes)) {
            let own = if scope == Scope::Class && !key.scopes.contains(&Scope::Job) {
                " (not in a job)"
            } else {
                ""
            };
            writeln!(
                text,
                "| `{}`{own} | {} | {} | {} |",
                key.name,
                value(key.shape),
                key.default,
                key.doc
            )
            .unwrap();
        }
    }
    stands_in("packaging/reference/file.md", "keys", &(text + "\n"));
}

#[test]
fn the_readme_and_every_help_have_the_exit_codes_of_the_code() {
    let mut text = String::from("\n| code | what it means |\n| --- | --- |\n");
    for (code, meaning) in exit::TABLE {
        writeln!(text, "| {code} | {meaning} |").unwrap();
        for info in VERBS {
            assert!(help(Some(info.verb)).contains(meaning), "{}", info.name);
        }
    }
    stands_in("README.md", "exit codes", &(text + "\n"));
}

#[test]
fn what_the_readme_calls_not_built_is_what_the_code_refuses() {
    let keys: Vec<String> = KEYS
        .iter()
        .filter(|key| key.shape == Shape::NotBuilt)
        .map(|key| format!("`{}` ({})", key.name, key.doc))
        .collect();
    let text = format!("\n- Keys of the file: {}.\n\n", keys.join(", "));
    stands_in("README.md", "unbuilt", &text);
}

/// The blocks of this language, as they stand.
fn blocks(language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let blocks = |page: PathBuf| -> Vec<String> {
        let page = fs::read_to_string(page).unwrap();
        let parts = page.split(&fence).skip(1);
        let block = |part: &str| part.split_once("```").unwrap().0.to_owned();
        parts.map(block).collect()
    };
    pages().into_iter().flat_map(blocks).collect()
}

#[test]
fn every_toml_of_the_pages_is_a_file_that_lockkeeper_takes() {
    let dir = Dir::new();
    let blocks = blocks("toml");
    // Without its comment; a second job follows.
    let plain: String = SMALLEST
        .lines()
        .map(|line| line.split("   #").next().unwrap().to_owned() + "\n")
        .collect();
    assert!(blocks[0].starts_with(&plain), "{}", blocks[0]);
    for block in blocks {
        let file = dir.join("readme.toml");
        fs::write(&file, &block).unwrap();
        let mut command = Command::new(lockkeeper());
        let output = output(
            bare(&mut command)
                .args(["check", "--json", "-c"])
                .arg(&file),
        );
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let is_error =
            |fact: &serde_json::Value| fact["level"] == "error" && fact["about"] == "file";
        assert!(
            !report["checks"].as_array().unwrap().iter().any(is_error),
            "{report}"
        );
    }
}

/// How a block of shell is judged.
enum Judged {
    /// Run here, with an agent that ends at once.
    Run,
    /// Its arguments behind `--` are run by the program under test.
    Quickstart,
    /// Run beside a real journal.
    Journal,
    /// Not run, as …
    Not(&'static str),
}

fn judge(block: &str) -> Judged {
    let first = block.split_whitespace().next().unwrap();
    match first {
        "lockkeeper" | "flock" => Judged::Run,
        "cargo" if block.contains("cargo-deb") => {
            Judged::Not("the tests of the package make and install it, in a root of its own")
        }
        "cargo" => Judged::Quickstart,
        "journalctl" => Judged::Journal,
        "gpg" => Judged::Not("it is about what was downloaded; a release does it to what it made"),
        "sh" => Judged::Not("it runs all tests, this one among them"),
        "docker" => {
            Judged::Not("Docker and its registry are not to be had; podman's tests stand in")
        }
        "cp" => {
            Judged::Not("a test of its own has journalctl take the catalog, in a root of its own")
        }
        "rustup" => Judged::Not("tests/run.sh makes that very build, for the containers"),
        other => panic!("nobody says whether this block can be run: {other}"),
    }
}

/// Where a lock in a home would exclude nobody, and is refused.
fn in_container() -> bool {
    placement::check(Path::new("/lock"), SharedMount::Auto).is_err()
}

#[test]
fn the_commands_of_the_pages_do_what_they_say() {
    let dir = Dir::new();
    fs::create_dir(dir.join(".claude")).unwrap();
    let agent = dir.join("claude");
    fs::write(&agent, "#!/bin/sh\necho \"agent: $*\"\n").unwrap();
    fs::set_permissions(&agent, fs::Permissions::from_mode(0o755)).unwrap();
    let file = dir.join("lockkeeper.toml");
    fs::write(&file, "[classes.batch]\nidentity = \"${HOME}/.claude\"\n").unwrap();
    let own = lockkeeper().parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{}:{path}", dir.display(), own.display());
    let mut ran = BTreeSet::new();
    for block in blocks("sh") {
        let first = block.split_whitespace().next().unwrap().to_owned();
        match judge(&block) {
            Judged::Run if block.contains("--lock") && in_container() => {
                skip(module_path!(), line!(), "a root that is no container's own");
            }
            Judged::Run => {
                let mut command = Command::new("sh");
                let command = bare(&mut command).args(["-euc", &block]).current_dir(&*dir);
                let command = command.env("HOME", &*dir).env("PATH", &path);
                let said = read(command.env("LOCKKEEPER_CONFIG", &file));
                if block.contains("claude -p") {
                    assert_eq!(said, "agent: -p take the next issue");
                }
                ran.insert(first);
            }
            Judged::Quickstart => {
                let (_, args) = block.split_once(" -- ").unwrap();
                let mut command = Command::new(lockkeeper());
                let command = bare(&mut command).args(args.split_whitespace());
                let output = output(command.current_dir(root()).env("TMPDIR", &*dir));
                assert_eq!(output.status.code(), Some(0));
                let said = text(&output.stdout);
                for job in [
                    "chat: here at once",
                    "dev: done",
                    "review: done",
                    "gardener: done",
                ] {
                    assert!(said.contains(job), "{said}");
                }
                ran.insert(first);
            }
            Judged::Journal if have("root") && have("journald") => {
                let journald = Journald::start();
                let mut command = journald.command("sh");
                read(command.args(["-euc", &block]).env("PATH", &path));
                ran.insert(first);
            }
            Judged::Journal => eprintln!("missing: root or journald (skipped: {block})"),
            Judged::Not(reason) => eprintln!("not run: {first}: {reason}"),
        }
    }
    for first in ["lockkeeper", "cargo"] {
        assert!(ran.contains(first), "{ran:?}");
    }
}

/// The names by which the headings of a page can be linked to, as those who show Markdown make them.
fn anchors(page: &str) -> Vec<String> {
    let heading = |line: &str| {
        let words = line.strip_prefix('#')?.trim_start_matches('#').trim();
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let words: String = words.to_lowercase().chars().filter(kept).collect();
        Some(words.replace(' ', "-"))
    };
    page.lines().filter_map(heading).collect()
}

#[test]
fn every_link_of_the_pages_leads_somewhere() {
    let mut links = 0;
    for page in pages().into_iter().chain([root().join("CONTRIBUTING.md")]) {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1) {
            let target = link.split_once(')').unwrap().0;
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = match file {
                "" => page.clone(),
                file => page.parent().unwrap().join(file),
            };
            assert!(file.is_file(), "{}: {target}", page.display());
            let anchors = anchors(&fs::read_to_string(file).unwrap_or_default());
            let there = heading.is_empty() || anchors.iter().any(|anchor| anchor == heading);
            assert!(there, "{}: {target}", page.display());
            links += 1;
        }
    }
    assert!(links > 30);
}

#[test]
fn the_files_that_the_image_is_built_from_are_enough_for_cargo() {
    let dockerfile = fs::read_to_string(root().join("packaging/Dockerfile")).unwrap();
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let version = manifest.split("rust-version = \"").nth(1).unwrap();
    let version = version.split('"').next().unwrap();
    assert!(dockerfile.contains(&format!("rust:{version}-slim-bookworm ")));
    let dir = Dir::new();
    let copied = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "));
    for line in copied.filter(|line| !line.starts_with("--from")) {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        let place = words.pop().unwrap();
        let to = dir.join(place);
        // A folder's content is copied, and not the folder.
        let folder = if place.ends_with('/') {
            &to
        } else {
            to.parent().unwrap()
        };
        fs::create_dir_all(folder).unwrap();
        for word in words {
            read(Command::new("cp").arg("-r").arg(root().join(word)).arg(&to));
        }
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "metadata",
        "--no-deps",
        "--offline",
        "--format-version",
        "1",
    ]);
    let told = read(cargo.current_dir(&*dir));
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    for target in told["packages"][0]["targets"].as_array().unwrap() {
        let path = Path::new(target["src_path"].as_str().unwrap());
        assert!(path.is_file(), "{target}");
    }
}
