//! What `packaging/features.md` says is proved has a test of that name, and what it says of init's own
//! process, and no other test, is proved here.

use std::fs;
use std::os::fd::RawFd;
use std::path::Path;
use std::process::Command;

use super::support::bin;
use super::support::child::{bare, signal};
use super::support::dir::Dir;
use super::support::inherited::Inherited;
use super::support::wait::until;

fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn each_feature_names_a_test_that_is_there_or_is_left_out() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = String::new();
    sources(&root.join("src"), &mut code);
    sources(&root.join("tests"), &mut code);
    let table = fs::read_to_string(root.join("packaging/features.md")).unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| ---"))
        .skip(1)
        .map(|line| line.trim_matches('|').split(" | ").collect())
        .collect();
    let mut left_out = 0;
    for row in &rows {
        let [feature, what, tests] = row[..] else {
            panic!("{row:?}");
        };
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert_eq!(named.is_empty(), what == "left out", "{feature}");
        left_out += usize::from(what.contains("left out"));
        for test in named {
            assert!(code.contains(&format!("fn {test}(")), "{feature}: {test}");
        }
    }
    assert!(
        rows.len() > 40 && left_out <= 8,
        "{left_out} of {}",
        rows.len()
    );
}

#[test]
fn init_keeps_neither_the_folder_it_was_started_in_nor_what_it_inherited() {
    const INHERITED: RawFd = 77;
    let dir = Dir::new();
    let config = dir.join("config.toml");
    fs::write(
        &config,
        "[jobs.one]\nclass = \"batch\"\ncommand = [\"sleep\", \"600\"]\n",
    )
    .unwrap();
    let inherited = Inherited {
        open: vec![INHERITED],
        ..Inherited::default()
    };
    let mut command = Command::new(bin::lockkeeper());
    bare(&mut command)
        .args(["init", "-q", "-c"])
        .arg(&config)
        .current_dir(&*dir);
    let mut init = inherited.start(&mut command);
    let proc = format!("/proc/{}", init.pid());
    until("it has left its folder", || {
        fs::read_link(format!("{proc}/cwd")).is_ok_and(|at| at == Path::new("/"))
    });
    assert!(!Path::new(&format!("{proc}/fd/{INHERITED}")).exists());
    signal(init.pid(), nix::sys::signal::Signal::SIGTERM);
    assert!(init.wait().success());
}
