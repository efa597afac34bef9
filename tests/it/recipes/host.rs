//! The host on which somebody follows a recipe: a journal, an API on loopback, a home, folders in
//! /srv, `docker`, `lockkeeper` and `claude` in the PATH; in namespaces of its own, so that none of
//! it is the machine's.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::agent;
use crate::support::api::{Answer, Api};
use crate::support::bin;
use crate::support::blocks::console::Said;
use crate::support::blocks::read::{Act, Block, read};
use crate::support::blocks::walk::{Scene, hear, step};
use crate::support::child::{bare, read as read_all};
use crate::support::dir::Dir;
use crate::support::docker::Docker;
use crate::support::journald::Journald;
use crate::support::made;
use crate::support::net::Net;
use crate::support::pty::{CTRL_C, Pty};
use crate::support::stat::descendants;

pub(super) const PAGE: &str = "packaging/recipes.md";

/// What else stands in for something, below [`crate::support::docker::STAND_INS`].
pub(super) const STAND_INS: [&str; 3] = [
    "`claude` asks an API on loopback, which answers each prompt with one sentence; its login is a token that needs no refresh, or one that has run out",
    "`journalctl` first waits until journald has written what it was sent (`--sync`)",
    "what is typed at a terminal is typed at one of the test's own",
];

/// Who asks with the login's token, and who with a key.
pub(super) const LOGIN: &str = "of-the-login";
pub(super) const KEY: &str = "key-of-a-person";

/// Its containers go first, and its network last.
pub(super) struct Host {
    docker: Option<Docker>,
    pub(super) journald: Journald,
    pub(super) api: Api,
    pub(super) net: Net,
    folder: Dir,
}

impl Host {
    /// `need!("root", "journald", "static", "agent")` comes before.
    pub(super) fn new(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let (journald, net, folder) = (Journald::start(), Net::new(), Dir::new());
        for name in ["bin", "home/work", "home/.claude", "srv/claude"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        // The home stays where it is, as the checkout may lie in the machine's /home; but a lock in it
        // would be refused if that were a container's own root, so it becomes a mount.
        let home = folder.join("home");
        for (from, to) in [(&folder.join("srv"), Path::new("/srv")), (&home, &home)] {
            read_all(journald.command("mount").arg("--bind").arg(from).arg(to));
        }
        let api = Api::serve(net.listen(), answer);
        let host = Self {
            docker: None,
            journald,
            api,
            net,
            folder,
        };
        for login in ["home/.claude", "srv/claude"] {
            agent::log_in(&host.path(login));
        }
        host.program("lockkeeper", &bin::static_build("lockkeeper"));
        host.program("claude", &agent::program());
        let journalctl = host.path("bin/journalctl");
        let script = "#!/bin/sh\nPATH=${PATH#*:}\njournalctl --sync\nexec journalctl \"$@\"\n";
        fs::write(&journalctl, script).unwrap();
        fs::set_permissions(journalctl, Permissions::from_mode(0o755)).unwrap();
        host
    }

    /// The same with `docker`. `need!("podman", "crun", "buildah", "debian.tar")` comes before.
    pub(super) fn with_docker(mut self) -> Self {
        let docker = Docker::ready();
        self.program("docker", &docker.program());
        let env: String = self
            .agents_env()
            .fold(String::new(), |mut all, (name, value)| {
                writeln!(all, "{name}={value}").unwrap();
                all
            });
        fs::write(self.path("env"), env).unwrap();
        self.docker = Some(docker);
        self
    }

    /// What lets an agent ask the API, and nobody else. Whose login it uses is the page's affair.
    fn agents_env(&self) -> impl Iterator<Item = (String, String)> {
        let of_home = ["ANTHROPIC_API_KEY", "HOME", "CLAUDE_CODE_TMPDIR"];
        agent::env(&self.api, "", Path::new("/"))
            .into_iter()
            .filter(move |(name, _)| !of_home.contains(&&**name))
    }

    fn program(&self, name: &str, program: &Path) {
        symlink(program, self.path("bin").join(name)).unwrap();
    }

    /// Where the test finds a file of the host; from its root on, e.g. `srv/claude`.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A shell on the host, in ~/work, still without a script.
    fn shell(&self) -> Command {
        let mut command = Command::new("nsenter");
        let path = std::env::var("PATH").unwrap_or_default();
        bare(&mut command)
            .arg(format!("--net={}", self.net.path()))
            .arg(format!("--mount=/proc/{}/ns/mnt", self.journald.pid()))
            // The script is $0.
            .args(["--", "sh", "-c", "cd ~/work && exec sh -c \"$0\""])
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("HOME", self.path("home"))
            .env("LC_ALL", "C.UTF-8")
            .env("ANTHROPIC_API_KEY", KEY)
            .env("CLAUDE_CODE_TMPDIR", self.path("home"))
            .env("LOCKKEEPER_TEST_ENV", self.path("env"))
            .envs(self.agents_env());
        command
    }

    /// Runs a script on the host; what it said on standard output and standard error.
    pub(super) fn sh(&self, script: &str) -> Said {
        hear(self.shell().arg(script))
    }

    /// The same for one that must end with 0.
    #[track_caller]
    pub(super) fn read(&self, script: &str) -> String {
        let said = self.sh(script);
        assert_eq!(said.status, Some(0), "{script}: {}", said.text);
        said.text
    }

    /// Follows the recipe of that title.
    #[track_caller]
    pub(super) fn follow(&mut self, title: &str) {
        self.take(&recipe(title));
    }

    /// Takes from a recipe what others need of it: its files, and its scripts that `wanted` picks.
    #[track_caller]
    pub(super) fn prepare(&mut self, title: &str, wanted: impl Fn(&str) -> bool) {
        let mut blocks = recipe(title);
        blocks.retain(|block| match block.act {
            Act::File(_) => true,
            Act::Script => wanted(&block.text),
            _ => false,
        });
        self.take(&blocks);
    }

    #[track_caller]
    fn take(&mut self, blocks: &[Block]) {
        let steps = blocks.iter().map(|block| step(PAGE, block, self));
        let wrong: String = steps.filter_map(Result::err).collect();
        assert!(wrong.is_empty(), "{PAGE} is not as it says:\n{wrong}");
    }

    /// The records that match, as JSON.
    pub(super) fn records(&self, matches: &[&str]) -> Vec<Value> {
        self.journald.records(matches)
    }
}

impl Scene for Host {
    fn run(&mut self, place: Option<&str>, script: &str) -> Said {
        match place {
            None => self.sh(script),
            Some("terminal") => self.at_a_terminal(script),
            Some(other) => panic!("{PAGE}: there is no place {other:?} here"),
        }
    }

    fn file(&mut self, _: Option<&str>, path: &str, text: &str) {
        fs::write(self.path("home/work").join(path), text).unwrap();
    }
}

impl Host {
    /// A person who asks Claude Code something, reads the answer and leaves.
    fn at_a_terminal(&self, script: &str) -> Said {
        let mut shell = self.shell();
        let mut pty = Pty::start(shell.arg(script).env("TERM", "xterm"), Command::spawn);
        for (mark, keys) in [
            ("shortcuts", "hello"),
            ("hello", "\r"),
            // The answer's last word, and what it says to the first ^C.
            ("free.", CTRL_C),
            ("again", CTRL_C),
        ] {
            pty.until(mark);
            pty.keys(keys);
        }
        let (status, text) = pty.end();
        Said { text, status }
    }
}

/// The titles of the page's recipes, each with the line on which it begins.
pub(super) fn titles() -> Vec<(usize, String)> {
    let page = fs::read_to_string(made::root().join(PAGE)).unwrap();
    let lines = page.lines().zip(1..);
    lines
        .filter_map(|(line, at)| Some((at, line.strip_prefix("## ")?.to_owned())))
        .collect()
}

/// The blocks of one recipe.
#[track_caller]
pub(super) fn recipe(title: &str) -> Vec<Block> {
    let mut titles = titles().into_iter().skip_while(|(_, one)| one != title);
    let (from, _) = titles
        .next()
        .unwrap_or_else(|| panic!("{PAGE} has no recipe {title:?}"));
    let to = titles.next().map_or(usize::MAX, |(next, _)| next);
    let mut blocks = read(PAGE);
    blocks.retain(|block| (from..to).contains(&block.line));
    blocks
}

/// The script of a recipe in which these words stand.
#[track_caller]
pub(super) fn script(title: &str, words: &str) -> String {
    let mut blocks = recipe(title);
    blocks.retain(|block| block.act == Act::Script && block.text.contains(words));
    assert_eq!(blocks.len(), 1, "{title}: {words}");
    blocks.remove(0).text
}

/// The number that a process of a container has here: it is below `pid1`, and in there it is `inside`.
#[track_caller]
pub(super) fn outside(pid1: i32, inside: &str) -> i32 {
    let is = |pid: &i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("NSpid:"));
        line.is_some_and(|line| line.split_whitespace().last() == Some(inside))
    };
    let found = descendants(pid1).into_iter().find(is);
    found.unwrap_or_else(|| panic!("no process {inside} below {pid1}"))
}
