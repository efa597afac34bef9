//! A refusal explains itself: who is in the way, since when, what to do, and a command that shows more or
//! does it, between backticks. Each is provoked for real, and the command is taken out of the message and
//! given to a shell, as a new user would.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use fs2::FileExt as _;
use nix::sys::signal::Signal::SIGTERM;

use crate::support::bin;
use crate::support::child::{Tied, bare, output, signal, start, text};
use crate::support::dir::Dir;
use crate::support::scene::ended;
use crate::support::wait::until;

/// Names of folders, each with more of what a shell reads otherwise.
const NAMES: [&str; 4] = [
    "plain",
    "o'neil's $HOME (2)",
    "a`b\\c\n\u{1b}[1m%s\u{202e}",
    "-ends\n\n",
];

/// A folder in which a bad user works.
struct Place {
    root: Dir,
    name: &'static str,
}

impl Place {
    fn each(mut check: impl FnMut(&Self)) {
        for name in NAMES {
            let root = Dir::new();
            fs::create_dir_all(root.join(name).join("work")).unwrap();
            check(&Self { root, name });
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(self.name).join(name)
    }

    /// The lock of the file, whose paths have no bytes that a terminal would obey.
    fn lock(&self) -> PathBuf {
        if self.name.contains(char::is_control) {
            self.root.join("it's one.lock")
        } else {
            self.path("session.lock")
        }
    }

    fn lockkeeper(&self, args: &[&str]) -> Command {
        let mut command = Command::new(bin::lockkeeper());
        self.around(&mut command).args(args);
        command
    }

    /// Neither an init nor a file of this machine is in its surroundings.
    fn around<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        bare(command)
            .env("LOCKKEEPER_SOCKET", self.path("no.sock"))
            .env("LOCKKEEPER_CONFIG", self.path("lockkeeper.toml"))
            .current_dir(&*self.root)
    }

    /// A file with a job `o'neil` in it, which says `mine`, and `more` of its class.
    fn config(&self, more: &str) -> PathBuf {
        let path = self.path("lockkeeper.toml");
        let lock = serde_json::to_string(&self.lock()).unwrap();
        let lock = lock.replace('$', "$$");
        let text = format!(
            "[locks.l]\npath = {lock}\nshared_mount = \"off\"\n[classes.batch]\nlock = \"l\"\n{more}\n\
             [jobs.\"dev-1\"]\nclass = \"batch\"\ncommand = [\"echo\", \"mine\"]\n"
        );
        fs::write(&path, text).unwrap();
        path
    }

    /// A run that has what `option` names, and goes on.
    fn holder(&self, option: &str, of: &Path) -> Tied {
        let mut command = self.lockkeeper(&["run", option]);
        command
            .arg(of)
            .args(["--", "sh", "-c", "echo begun; exec sleep 1000"]);
        let mut run = start(&mut command);
        assert_eq!(run.line().as_deref(), Some("begun"));
        run
    }

    /// Gives the command in `said` that begins with `words` to a shell: it ends with `code`, and what it
    /// says is the answer.
    #[track_caller]
    fn follow(&self, said: &str, words: &str, code: i32) -> String {
        // A path before it may have a backtick of its own.
        let starts = ["`lockkeeper ", "`end="].map(|start| said.match_indices(start));
        let mut starts = starts.into_iter().flatten().map(|(at, _)| at + 1);
        let command = starts.find_map(|at| {
            let command = said[at..].split('`').next()?;
            command.contains(words).then_some(command)
        });
        let command = command.unwrap_or_else(|| panic!("no command \"{words}\" in: {said}"));
        let mut shell = Command::new("sh");
        self.around(&mut shell).args(["-c", command]);
        let folder = bin::lockkeeper();
        let folder = folder.parent().unwrap().display().to_string();
        let path = std::env::var("PATH").unwrap_or_default();
        let told = output(shell.env("PATH", format!("{folder}:{path}")));
        let answer = text(&told.stdout) + &text(&told.stderr);
        assert_eq!(told.status.code(), Some(code), "{command}: {answer}");
        answer
    }
}

/// What `command` says, which ends with `code`.
#[track_caller]
fn refused(command: &mut Command, code: i32) -> String {
    let refused = output(command);
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(code), "{said}");
    assert_eq!(text(&refused.stdout), "", "{said}");
    assert!(!said.contains(['\u{1b}', '\u{202e}']), "{said:?}");
    said
}

/// Ends a run, in order.
fn over(mut run: Tied) {
    signal(run.pid(), SIGTERM);
    ended(&mut run);
}

#[track_caller]
fn has(said: &str, words: &[&str]) {
    // Reports are broken into lines.
    let flat: Vec<&str> = said.split_whitespace().collect();
    let flat = flat.join(" ");
    for word in words {
        assert!(flat.contains(word), "\"{word}\" is not in: {said}");
    }
}

#[test]
fn who_waits_for_a_lock_in_vain_is_told_who_has_it_and_how_to_see_more() {
    Place::each(|place| {
        let lock = place.path("session.lock");
        let again = || {
            let mut run = place.lockkeeper(&["run", "--wait", "50ms", "--lock"]);
            run.arg(&lock).args(["--", "echo", "mine"]);
            refused(&mut run, 75)
        };
        let holder = place.holder("--lock", &lock);
        let said = again();
        has(
            &said,
            &["job \"sh\"", ", since 2", "wait longer (--wait TIME"],
        );
        let shown = place.follow(&said, "lockkeeper lock show", 0);
        has(&shown, &["held by job \"sh\"", ", since 2"]);
        over(holder);

        // One that leaves no claim.
        let file = File::create(place.path("plain.lock")).unwrap();
        file.lock_exclusive().unwrap();
        let mut run = place.lockkeeper(&["run", "--wait", "50ms", "--lock"]);
        run.arg(place.path("plain.lock")).args(["--", "true"]);
        let said = refused(&mut run, 75);
        let shown = place.follow(&said, "lockkeeper lock show", 0);
        has(
            &shown,
            &[&format!("held by process {}", std::process::id())],
        );
    });
}

#[test]
fn who_does_not_get_a_directory_is_told_who_has_it_and_how_to_see_more() {
    Place::each(|place| {
        let dir = place.path("work");
        let busy = |wait: &[&str]| {
            let mut run = place.lockkeeper(&["run", "--dir-lock"]);
            run.arg(&dir).args(wait).args(["--", "true"]);
            refused(&mut run, 75)
        };
        let holder = place.holder("--dir-lock", &dir);
        for wait in [&[][..], &["--wait", "50ms"]] {
            let said = busy(wait);
            has(&said, &["job \"sh\"", "since 2", "stop that run, or wait"]);
            let shown = place.follow(&said, "lockkeeper lock show", 0);
            has(&shown, &["job \"sh\"", "since 2"]);
        }
        over(holder);

        let mut hold = place.lockkeeper(&["lock", "hold", "--by", "alice", "--reason", "moving"]);
        let given = output(hold.arg(&dir));
        let said = busy(&[]);
        has(&said, &["alice holds it by hand since 2", "(moving)"]);
        has(
            &place.follow(&said, "lockkeeper lock show", 0),
            &["alice", "moving"],
        );
        place.follow(&said, "lockkeeper lock release", 0);
        // Who holds it is told the same.
        has(
            &place.follow(&text(&given.stdout), "lockkeeper lock release", 0),
            &["was not locked"],
        );

        fs::write(dir.join(".runtime/agent.lock"), "{").unwrap();
        let said = busy(&[]);
        has(
            &place.follow(&said, "lockkeeper lock show", 1),
            &["corrupt"],
        );
        place.follow(&said, "lockkeeper lock release --force", 0);
        let mut run = place.lockkeeper(&["run", "--dir-lock"]);
        assert!(output(run.arg(&dir).args(["--", "true"])).status.success());
    });
}

#[test]
fn who_meets_a_pause_is_told_whose_it_is_and_how_to_end_it() {
    Place::each(|place| {
        let file = place.config("");
        let run = || {
            let mut run = place.lockkeeper(&["run", "dev-1", "-c"]);
            run.arg(&file);
            run
        };
        assert!(output(&mut run()).status.success());
        let mut pause = place.lockkeeper(&["pause", "--for", "1h", "--by", "alice"]);
        let paused = output(pause.args(["--reason", "moving"]).arg(place.lock()));
        assert!(paused.status.success(), "{paused:?}");
        let said = refused(&mut run(), 75);
        has(&said, &["by word of alice", " since 2", "\"moving\""]);
        place.follow(&said, "lockkeeper pause end", 0);
        assert!(output(&mut run()).status.success());
    });
}

#[test]
fn who_lacks_what_a_start_needs_is_told_how_to_see_all_of_it() {
    Place::each(|place| {
        let file = place.config("require_path = [\"/no/such/mount\"]");
        let mut run = place.lockkeeper(&["run", "dev-1", "-c"]);
        // By a path that another folder does not know.
        run.arg(Path::new("lockkeeper.toml"))
            .current_dir(file.parent().unwrap());
        let said = refused(&mut run, 75);
        has(&said, &["\"/no/such/mount\", which require_path asks for"]);
        let shown = place.follow(&said, "lockkeeper check -c", 0);
        has(&shown, &["would not start now: \"/no/such/mount\""]);
    });
}

#[test]
fn whose_lock_lies_in_a_bad_place_is_told_how_to_see_where() {
    Place::each(|place| {
        let file = place.config("");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("\"off\"", "\"require\"")).unwrap();
        let mut run = place.lockkeeper(&["run", "dev-1", "-c"]);
        let said = refused(run.arg(&file), 78);
        has(
            &said,
            &["shared_mount = \"require\" asks for", "-v HOST_FOLDER:"],
        );
        let shown = place.follow(&said, "lockkeeper check -c", 78);
        has(&shown, &["shared_mount = \"require\" asks for"]);
    });
}

#[test]
fn who_asks_where_no_init_is_is_told_what_can_be_known_without_it() {
    Place::each(|place| {
        let lock = place.path("session.lock");
        let file = place.config("");
        for verb in [&["stop", "dev-1"][..], &["start", "dev-1"], &["reload"]] {
            let said = refused(&mut place.lockkeeper(verb), 69);
            let holder = place.holder("--lock", &lock);
            // It says so a moment after its command has begun, beside the lock first, and then among the
            // runs, by which a lock is found that no file names.
            until("both claims", || {
                let status = output(&mut place.lockkeeper(&["status"]));
                text(&status.stdout).contains("held")
            });
            let shown = place.follow(&said, "lockkeeper status", 69);
            has(&shown, &["nobody listens there", "held"]);
            over(holder);
        }
        drop(file);
    });
}

#[test]
fn a_file_that_is_refused_is_named_without_what_a_terminal_obeys() {
    Place::each(|place| {
        let file = place.config("");
        fs::write(&file, "[jobs.x]\nclass = 7\n").unwrap();
        let said = refused(place.lockkeeper(&["run", "x", "-c"]).arg(&file), 78);
        has(&said, &["lockkeeper.toml:2:"]);
        let checked = output(place.lockkeeper(&["check", "-c"]).arg(&file));
        let said = text(&checked.stdout) + &text(&checked.stderr);
        assert!(!said.contains(['\u{1b}', '\u{202e}']), "{said:?}");
    });
}
