//! What must agree before a release, and what `packaging/release.sh` refuses.

use std::fs;
use std::process::Command;

use super::support::child::{bare, output, text};
use super::support::dir::Dir;
use super::support::judges;
use super::support::made::root;
use super::support::need::need;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn file(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// What stands between `before` and `after` where they first do.
#[track_caller]
fn between(path: &str, before: &str, after: &str) -> String {
    let text = file(path);
    let (_, rest) = text
        .split_once(before)
        .unwrap_or_else(|| panic!("no {before:?} in {path}"));
    rest.split(after).next().unwrap_or_default().to_owned()
}

#[test]
fn the_version_is_the_same_in_cargo_toml_the_changes_the_manual_and_the_package() {
    assert_eq!(between("Cargo.toml", "\nversion = \"", "\""), VERSION);
    let newest = between("CHANGELOG.md", "\n## ", "\n");
    assert!([VERSION, "Unreleased"].contains(&&*newest), "{newest}");
    for page in [
        "packaging/man/lockkeeper.1",
        "packaging/man/lockkeeper.toml.5",
    ] {
        assert_eq!(between(page, "\n.Os lockkeeper ", "\n"), VERSION, "{page}");
    }
    let package = file("packaging/deb/changelog");
    let begin = format!("lockkeeper ({VERSION}-1) ");
    assert!(package.starts_with(&begin), "{package}");
}

/// What the script says of this tag before it makes anything.
#[track_caller]
fn refused(tag: &str, key: &str) -> String {
    let dir = Dir::new();
    let mut command = Command::new("sh");
    bare(&mut command).arg(root().join("packaging/release.sh"));
    command.args(["--tag", tag, "--out"]).arg(dir.join("dist"));
    command.env("LOCKKEEPER_SIGNING_KEY", key);
    let told = output(&mut command);
    assert_eq!(told.status.code(), Some(1));
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0, "it has begun");
    text(&told.stderr)
}

#[test]
fn a_tag_of_another_version_or_without_its_changes_or_without_a_key_is_no_release() {
    let told = refused("v0.0.0", "KEY");
    let expected = format!("release: tag v0.0.0 is not v{VERSION}, the version in Cargo.toml");
    assert!(told.starts_with(&expected), "{told}");

    let told = refused(&format!("v{VERSION}"), "");
    let expected = if between("CHANGELOG.md", "\n## ", "\n") == VERSION {
        "release: a release is signed: set LOCKKEEPER_SIGNING_KEY".to_owned()
    } else {
        format!("release: CHANGELOG.md has no \"## {VERSION}\"")
    };
    assert!(told.starts_with(&expected), "{told}");
}

#[test]
fn the_workflows_are_what_the_public_schema_of_workflows_takes() {
    need!("judges");
    let mut judge = judges::judge("check-jsonschema");
    judge.args(["--builtin-schema", "vendor.github-workflows"]);
    for name in ["ci.yml", "release.yml"] {
        judge.arg(root().join(".github/workflows").join(name));
    }
    let told = output(&mut judge);
    assert!(told.status.success(), "{}", text(&told.stdout));
}

#[test]
fn every_action_of_a_workflow_is_named_by_its_commit() {
    let mut actions = 0;
    for name in ["ci.yml", "release.yml"] {
        let text = file(&format!(".github/workflows/{name}"));
        for line in text.lines().filter_map(|line| line.split_once("uses: ")) {
            let action = line.1.split(' ').next().unwrap_or_default();
            let commit = action.split_once('@').map_or("", |(_, commit)| commit);
            let whole = commit.len() == 40 && commit.bytes().all(|c| c.is_ascii_hexdigit());
            assert!(whole || action.starts_with("./"), "{name}: {action}");
            actions += 1;
        }
    }
    assert!(actions > 2);
}
