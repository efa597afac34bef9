//! The real agent, killed while it refreshes its login, and the next one.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal::SIGKILL;

use crate::support::agent;
use crate::support::api::{Answer, Api};
use crate::support::bin;
use crate::support::child::{self, output, signal, text};
use crate::support::dir::Dir;
use crate::support::need::need;
use crate::support::net::Net;
use crate::support::scene::{child_of, ended};
use crate::support::wait::until;

/// A home with a login that has run out, a server, and jobs `killed`, which stays for long in its
/// refresh, and `next`.
struct Desk {
    home: Dir,
    config: PathBuf,
    net: Net,
    _api: Api,
}

impl Desk {
    fn new(keys: &str) -> Self {
        let (home, net) = (Dir::new(), Net::new());
        let api = Api::serve(net.listen(), |_| Answer::Now);
        let login = home.join(".claude");
        fs::create_dir(&login).unwrap();
        agent::expire(&login);
        let locks = [".claude/.oauth_refresh.lock", ".claude.lock"];
        let locks = locks.map(|name| home.join(name).display().to_string());
        let program = agent::program().display().to_string();
        let agent: Vec<&str> = [&*program].into_iter().chain(agent::ARGS).collect();
        let strace =
            "strace -f -qq -o /dev/null -e trace=rmdir -e inject=rmdir:delay_enter=20000000";
        let killed: Vec<&str> = strace
            .split(' ')
            .chain(locks.iter().flat_map(|lock| ["-P", lock]))
            .chain(agent.iter().copied())
            .collect();
        let env = agent::env(&api, "", &home);
        let env: Vec<String> = env
            .iter()
            // With a key it would not refresh anything.
            .filter(|(name, _)| name != "ANTHROPIC_API_KEY")
            .map(|(name, value)| format!("{name} = {value:?}"))
            .collect();
        let [login, dir] = [&*login, &*home].map(|path| path.display().to_string());
        let text = format!(
            "[classes.batch]\nidentity = {login:?}\ndir = {dir:?}\n{keys}\nenv = {{ {} }}\n\
             [jobs.killed]\nclass = \"batch\"\ncommand = {killed:?}\n\
             [jobs.next]\nclass = \"batch\"\ncommand = {agent:?}\n",
            env.join(", ")
        );
        let config = home.join("lockkeeper.toml");
        fs::write(&config, text).unwrap();
        Self {
            home,
            config,
            net,
            _api: api,
        }
    }

    fn job(&self, job: &str) -> Command {
        let mut command = self.net.command(bin::lockkeeper());
        child::bare(&mut command)
            .args(["run", "-v", "-c"])
            .arg(&self.config)
            .arg(job);
        command
    }

    fn left(&self) -> Vec<&'static str> {
        let all = [
            ".claude/.oauth_refresh.lock",
            ".claude.lock",
            ".claude.json.lock",
        ];
        all.into_iter()
            .filter(|name| self.home.join(name).exists())
            .collect()
    }

    /// A run whose agent is killed while it holds the lock of its refresh.
    fn kill_one(&self) {
        let mut run = child::start(&mut self.job("killed"));
        until("it refreshes", || self.left().len() >= 2);
        // nsenter has become the guard.
        let strace = child_of(child_of(run.pid()));
        signal(child_of(strace), SIGKILL);
        assert_eq!(ended(&mut run).code(), Some(137));
    }

    /// The next one does its work.
    fn next(&self) {
        let next = output(&mut self.job("next"));
        let told = text(&next.stdout) + &text(&next.stderr);
        assert!(next.status.success(), "{told}");
        assert!(told.contains("\"result\":\"The lock was free.\""), "{told}");
    }
}

#[test]
fn what_the_real_agent_leaves_when_it_is_killed_in_its_refresh_is_gone_before_the_next() {
    need!("root", "node", "strace", "agent");
    for keys in [
        "exclusive = true\nrefresh = \"5m\"\nstale_after = \"10m\"",
        "",
    ] {
        let desk = Desk::new(keys);
        desk.kill_one();
        assert_eq!(desk.left(), [""; 0], "with {keys:?}");
        desk.next();
        assert_eq!(desk.left(), [""; 0]);
    }
}

#[test]
fn the_real_agent_leaves_those_lock_directories_that_the_plan_lists() {
    need!("root", "node", "strace", "agent");
    let desk = Desk::new("lock_dirs = []");
    desk.kill_one();
    assert_eq!(desk.left(), [".claude/.oauth_refresh.lock", ".claude.lock"]);
}
