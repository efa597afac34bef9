//! README.md and the pages behind it say what the code does: their tables are made from the code's.
//! Their commands are run by [`super::newcomer`].
//!
//! `UPDATE=1` writes the tables anew; read the difference before it is committed.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lockkeeper::cli::flags::VERBS;
use lockkeeper::cli::help::help;
use lockkeeper::config::keys::{KEYS, Scope, Shape, Unit, of};
use lockkeeper::config::source::SMALLEST;
use lockkeeper::exit;

use super::support::bin::lockkeeper;
use super::support::blocks::read::read as read_page;
use super::support::child::{bare, output, read};
use super::support::dir::Dir;

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
    let pages = pages().into_iter();
    let blocks = pages.flat_map(|page| read_page(page.to_str().unwrap()));
    let blocks = blocks.filter(|block| block.lang == language);
    blocks.map(|block| block.text).collect()
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
    assert!(dockerfile.contains(&format!("rust:{version}-alpine")));
    let dir = Dir::new();
    let copied = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "));
    for line in copied.filter(|line| !line.starts_with("--from")) {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        words.pop();
        for word in words {
            read(
                Command::new("cp")
                    .arg("-r")
                    .arg(root().join(word))
                    .arg(&*dir),
            );
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
