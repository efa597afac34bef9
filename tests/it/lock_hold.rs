//! `lock hold` and `lock release`: a person's word, over every process's head.

use std::fs;
use std::process::Command;

use crate::support::bin::lockkeeper;
use crate::support::child::{bare, output, text};
use crate::support::copies::{Copies, NOBODY, gastown, json};

fn run(copies: &Copies, name: &str) -> std::process::Output {
    let mut command = Command::new(lockkeeper());
    bare(&mut command)
        .args(["run", "--wait", "0s", "--dir-lock"])
        .arg(copies.copy(name))
        .args(["--", "true"]);
    output(&mut command)
}

#[test]
fn a_held_directory_is_nobodys_until_it_is_released() {
    let copies = Copies::new();
    copies.copy("w");
    let hold = copies.lock("hold ROOT/w --by alice --reason moving");
    assert_eq!(hold.status.code(), Some(0), "{hold:?}");
    assert!(text(&hold.stdout).contains("is held; give it back with: `lockkeeper lock release"));
    let refused = run(&copies, "w");
    assert_eq!(refused.status.code(), Some(75), "{refused:?}");
    let said = text(&refused.stderr);
    assert!(said.contains("alice holds it by hand since "), "{said}");
    assert!(said.contains("(moving)"), "{said}");
    let again = copies.lock("hold ROOT/w --by bob --reason too");
    assert_eq!(again.status.code(), Some(75), "{again:?}");
    let clean = copies.lock("clean ROOT");
    assert_eq!(clean.status.code(), Some(0), "{clean:?}");
    assert_eq!(copies.of("w")["state"], "manual");
    let release = copies.lock("release ROOT/w");
    assert_eq!(release.status.code(), Some(0), "{release:?}");
    assert!(text(&release.stdout).contains("is free; until now: alice holds it by hand"));
    assert_eq!(run(&copies, "w").status.code(), Some(0));
    // What was asked for is so already.
    let release = copies.lock("release ROOT/w");
    assert_eq!(release.status.code(), Some(0), "{release:?}");
    assert!(text(&release.stdout).contains("it was not locked"));
}

#[test]
fn a_living_run_is_released_by_no_force() {
    let copies = Copies::new();
    let mut run = copies.run("w");
    let seen = copies.seen("w");
    for args in [
        "release ROOT/w",
        "release --force ROOT/w",
        "hold ROOT/w --reason test",
    ] {
        let refused = copies.lock(args);
        assert_eq!(refused.status.code(), Some(75), "{refused:?}");
        let said = text(&refused.stderr);
        assert!(said.starts_with("lockkeeper: cannot "), "{said}");
        assert!(said.contains("job \"sh\""), "{said}");
    }
    assert_eq!(copies.seen("w"), seen);
    assert!(run.try_wait().is_none());
}

#[test]
fn what_nobody_can_judge_needs_force() {
    let copies = Copies::new();
    copies.write("corrupt", "{");
    let elsewhere = lockkeeper::lock::dir::record::DirRecord {
        hostname: "elsewhere".into(),
        ..gastown(7)
    };
    copies.write("elsewhere", elsewhere.render());
    for name in ["corrupt", "elsewhere"] {
        let refused = copies.lock(&format!("release ROOT/{name}"));
        assert_eq!(refused.status.code(), Some(75), "{refused:?}");
        assert!(text(&refused.stderr).contains("lockkeeper lock release --force"));
        assert!(copies.seen(name).is_some());
        let mut forced = copies.command(&format!("release --force ROOT/{name} --report 1 -q"));
        let forced = json(&output(&mut forced));
        let released = if name == "corrupt" {
            "corrupt"
        } else {
            "foreign"
        };
        assert_eq!(forced["released"], released);
        assert_eq!(copies.seen(name), None);
    }
    copies.gastown("dead", NOBODY);
    assert_eq!(copies.lock("release ROOT/dead").status.code(), Some(0));
}

#[test]
fn what_cannot_be_looked_at_is_said_with_the_way_out() {
    let copies = Copies::new();
    fs::write(copies.root.join("file"), "").unwrap();
    for (args, said) in [
        (
            "list /nope",
            "cannot look at \"/nope\": no such file or directory; name one that exists",
        ),
        (
            "clean ROOT/nope",
            "no such file or directory; name one that exists",
        ),
        (
            "show ROOT/nope",
            "no such file or directory; name one that exists",
        ),
        ("list ROOT/file", "not a directory; name a folder"),
    ] {
        let output = copies.lock(args);
        assert_eq!(output.status.code(), Some(125), "{args}");
        let got = text(&output.stderr);
        assert!(got.starts_with("lockkeeper: cannot look at \""), "{got}");
        assert!(got.trim_end().ends_with(said), "{got}");
    }
    copies.gastown("a/w", NOBODY);
    let mut few = Command::new("sh");
    let line = "ulimit -n 4; exec \"$0\" lock list \"$1\"";
    bare(&mut few)
        .args(["-c", line])
        .arg(lockkeeper())
        .arg(&*copies.root);
    let few = output(&mut few);
    assert_eq!(few.status.code(), Some(1), "{few:?}");
    assert!(text(&few.stdout).contains("(ulimit -n)"), "{few:?}");
    for args in ["hold ROOT/file --reason test", "release ROOT/file"] {
        let output = copies.lock(args);
        let got = text(&output.stderr);
        assert!(matches!(output.status.code(), Some(75 | 78)), "{output:?}");
        assert!(got.contains("; ") && !got.contains("panicked"), "{got}");
    }
}
