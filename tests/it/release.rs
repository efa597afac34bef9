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

/// What the script needs of the repository before it makes anything.
struct Checkout(Dir);

impl Checkout {
    fn new() -> Self {
        let dir = Dir::new();
        fs::create_dir_all(dir.join("packaging/deb")).unwrap();
        for path in [
            "Cargo.toml",
            "CHANGELOG.md",
            "packaging/README.md",
            "packaging/release.sh",
            "packaging/deb/changelog",
        ] {
            fs::write(dir.join(path), file(path)).unwrap();
        }
        Self(dir)
    }

    fn replace(&self, path: &str, from: &str, to: &str) {
        let path = self.0.join(path);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text.replace(from, to)).unwrap();
    }

    /// It refuses this tag with these words, and has not begun.
    #[track_caller]
    fn refuses(&self, tag: &str, key: &str, words: &str) {
        let mut command = Command::new("sh");
        bare(&mut command).arg(self.0.join("packaging/release.sh"));
        command.args(["--tag", tag, "--out"]);
        command.arg(self.0.join("out/dist"));
        command.env("LOCKKEEPER_SIGNING_KEY", key);
        let said = output(&mut command);
        let told = text(&said.stderr);
        assert_eq!(said.status.code(), Some(1), "{told}");
        assert!(told.starts_with(&format!("release: {words}")), "{told}");
        assert!(!self.0.join("out").exists(), "it has begun");
    }
}

#[test]
fn a_tag_of_another_version_or_without_its_changes_or_without_a_key_is_no_release() {
    let (copy, tag) = (Checkout::new(), format!("v{VERSION}"));
    let told = format!("tag v0.0.0 is not v{VERSION}, the version in Cargo.toml");
    copy.refuses("v0.0.0", "KEY", &told);
    copy.replace(
        "CHANGELOG.md",
        &format!("\n## {VERSION}\n"),
        "\n## Unreleased\n",
    );
    copy.refuses(
        &tag,
        "KEY",
        &format!("CHANGELOG.md has no \"## {VERSION}\""),
    );
    copy.replace(
        "CHANGELOG.md",
        "\n## Unreleased\n",
        &format!("\n## {VERSION}\n"),
    );
    copy.refuses(&tag, "", "a release is signed: set LOCKKEEPER_SIGNING_KEY");
}

#[test]
fn a_release_is_refused_while_a_word_stands_for_its_owners_and_with_another_key_than_the_page_has()
{
    let (copy, tag) = (Checkout::new(), format!("v{VERSION}"));
    copy.replace(
        "CHANGELOG.md",
        "\n## Unreleased\n",
        &format!("\n## {VERSION}\n"),
    );
    let places = [
        "packaging/README.md",
        "Cargo.toml",
        "packaging/deb/changelog",
    ];
    let words = [
        ("OWNER/", "someone/"),
        ("FINGERPRINT", "0123456789ABCDEF"),
        ("lockkeeper.invalid", "example.org"),
    ];
    for (word, own) in words {
        copy.replace("Cargo.toml", "[package]", &format!("# {word}\n[package]"));
        copy.refuses(&tag, "KEY", &format!("\"{word}\" stands for"));
        for path in places {
            copy.replace(path, word, own);
        }
    }
    copy.refuses(
        &tag,
        "KEY",
        "packaging/README.md has another fingerprint than KEY",
    );
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
