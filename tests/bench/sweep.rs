//! What a killed agent's lock directories cost the next one: the real agent, in a clean home, in one
//! where another was killed in its refresh, and the same under lockkeeper.
//!
//! Each figure is the time of the next `claude -p`; for the swept ones that of the killed run's sweep
//! is beside it: from its agent's death to its end, less what that takes without lockkeeper. What is
//! aimed at is their sum, with a tenth of a clean run for the noise of two.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::table::Table;
use crate::support::api::{Answer, Api};
use crate::support::net::Net;
use crate::support::prompt::{ARGS, env, expire};

const ROUNDS: usize = 5;
/// `refresh`, as the file has it by default.
const REFRESH: f64 = 6.0;

/// A home with a login that has run out, and one server for all.
struct Desk<'a> {
    binary: &'a Path,
    agent: PathBuf,
    net: &'a Net,
    api: &'a Api,
    home: PathBuf,
}

/// How the killed one is run.
#[derive(Clone, Copy, PartialEq)]
enum Under {
    /// lockkeeper with these keys in the class.
    Lockkeeper(&'static str),
    Nothing,
}

/// Measures all, interleaved.
pub fn measure(binary: &Path, table: &mut Table) {
    let agent =
        crate::target().join("real/agent/node_modules/@anthropic-ai/claude-code/bin/claude.exe");
    if !agent.exists() {
        println!("sweep: no agent at {}: run tests/setup.sh", agent.display());
        return;
    }
    let net = Net::new();
    let api = Api::serve(net.listen(), |_| Answer::Now);
    let desk = |name: &str| Desk {
        binary,
        agent: agent.clone(),
        net: &net,
        api: &api,
        home: std::env::temp_dir().join(format!("lockkeeper-bench-{}-{name}", std::process::id())),
    };
    let exclusive = Under::Lockkeeper("exclusive = true");
    let mut clean = Vec::new();
    let mut bare = Vec::new();
    // The next run, and what the sweep took before it.
    let mut unswept = (Vec::new(), Vec::new());
    let mut alone = (Vec::new(), Vec::new());
    let mut watched = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let keep = |times: &mut Vec<f64>, time: f64| {
            // The first round warms the machine up.
            if round > 0 {
                times.push(time);
            }
        };
        let home = desk("clean").fresh();
        keep(&mut bare, home.next(Under::Nothing));
        let home = desk("clean").fresh();
        keep(&mut clean, home.next(exclusive));
        for (name, under, times) in [
            ("unswept", Under::Nothing, &mut unswept),
            ("exclusive", exclusive, &mut alone),
            ("watched", Under::Lockkeeper(""), &mut watched),
        ] {
            let home = desk(name).fresh();
            keep(&mut times.1, home.kill_one(under));
            keep(&mut times.0, home.next(under));
        }
    }
    let [bare, clean] = [bare, clean].map(|times| least(&times));
    table.row("claude -p, clean home, s", bare, None);
    table.row("the same under lockkeeper, s", clean, None);
    let starved = least(&unswept.0);
    table.row("claude -p after a killed one, unswept, s", starved, None);
    table.row("ratio to clean", starved / bare, None);
    let dying = least(&unswept.1);
    for (name, times, at_most) in [
        ("exclusive", &mut alone, 1.3 * clean),
        ("watched", &mut watched, 1.1 * clean + REFRESH),
    ] {
        let (prompt, sweep) = (least(&times.0), least(&times.1) - dying);
        table.row(
            &format!("claude -p after a killed one, swept, {name}, s"),
            prompt,
            None,
        );
        table.row(&format!("the sweep before it, {name}, s"), sweep, None);
        table.row(&format!("both, {name}, s"), prompt + sweep, Some(at_most));
        table.row(
            &format!("ratio to clean, {name}"),
            (prompt + sweep) / clean,
            None,
        );
    }
}

impl Desk<'_> {
    /// With a new home.
    fn fresh(self) -> Self {
        let _ = fs::remove_dir_all(&self.home);
        fs::create_dir_all(self.login()).expect("room for a folder");
        expire(&self.login());
        // A first run settles in.
        self.prompt(Under::Nothing);
        self
    }

    fn login(&self) -> PathBuf {
        self.home.join(".claude")
    }

    fn locks(&self) -> [PathBuf; 2] {
        [".claude/.oauth_refresh.lock", ".claude.lock"].map(|name| self.home.join(name))
    }

    /// A command in the net and in this home, under lockkeeper or not.
    fn command(&self, under: Under, words: &[&str]) -> Child {
        let mut command = match under {
            Under::Nothing => self.net.command(words[0]),
            Under::Lockkeeper(keys) => {
                let config = self.home.join("lockkeeper.toml");
                let text = format!(
                    "[classes.batch]\nidentity = {:?}\n{keys}\n\
                     [jobs.dev]\nclass = \"batch\"\ncommand = {words:?}\n",
                    self.login().display().to_string()
                );
                fs::write(&config, text).expect("room for a file");
                let mut command = self.net.command(self.binary);
                command.args(["run", "-q", "-c"]).arg(config).arg("dev");
                command
            }
        };
        if under == Under::Nothing {
            command.args(&words[1..]);
        }
        let env = env(self.api, "", &self.home);
        let env = env
            .into_iter()
            .filter(|(name, _)| name != "ANTHROPIC_API_KEY");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(env)
            .current_dir(&self.home)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts")
    }

    /// Seconds of the next prompt; the home goes with it.
    fn next(&self, under: Under) -> f64 {
        let took = self.prompt(under);
        let _ = fs::remove_dir_all(&self.home);
        took
    }

    /// Seconds of one `claude -p`, which must end well.
    fn prompt(&self, under: Under) -> f64 {
        let agent = self.agent.to_str().expect("a path");
        let words: Vec<&str> = [agent].into_iter().chain(ARGS).collect();
        let begin = Instant::now();
        let status = self.command(under, &words).wait().expect("a child");
        assert!(status.success(), "{status}");
        begin.elapsed().as_secs_f64()
    }

    /// Has an agent killed while it holds both locks; seconds from there to the end of its run.
    fn kill_one(&self, under: Under) -> f64 {
        let agent = self.agent.to_str().expect("a path");
        let locks = self.locks();
        let strace =
            "strace -f -qq -o /dev/null -e trace=rmdir -e inject=rmdir:delay_enter=20000000";
        let mut words: Vec<&str> = strace.split(' ').collect();
        for lock in &locks {
            words.extend(["-P", lock.to_str().expect("a path")]);
        }
        words.push(agent);
        words.extend(ARGS);
        let mut run = self.command(under, &words);
        while !locks.iter().all(|lock| lock.exists()) {
            std::thread::sleep(Duration::from_millis(5));
        }
        // nsenter has become strace, or the guard, below which is the monitor and then strace.
        let top = run.id().cast_signed();
        let strace = match under {
            Under::Nothing => top,
            Under::Lockkeeper(_) => child_of(child_of(top)),
        };
        let begin = Instant::now();
        // SAFETY: takes two numbers; the agent is the living child of a process of ours.
        unsafe { libc::kill(child_of(strace), libc::SIGKILL) };
        run.wait().expect("a child");
        begin.elapsed().as_secs_f64()
    }
}

/// The least of all: whatever else the machine does only adds to a second of work.
fn least(times: &[f64]) -> f64 {
    times.iter().copied().fold(f64::INFINITY, f64::min)
}

fn child_of(pid: i32) -> i32 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.expect("it lives");
    let first = children.split(' ').next().and_then(|pid| pid.parse().ok());
    first.expect("it has a child")
}
