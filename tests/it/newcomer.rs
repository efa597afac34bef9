//! A person who has never seen this: all command blocks of README.md and of the pages that it leads to
//! are run as they stand there, in a clean Debian, and say what the page says.

use std::fs;
use std::path::{Path, PathBuf};

use super::support::bin::static_build;
use super::support::blocks::console::Said;
use super::support::blocks::walk::{Scene, hear, walk};
use super::support::clean::{Clean, Folder, add_program, homes};
use super::support::dir::Dir;
use super::support::journald::Journald;
use super::support::made;
use super::support::need::need;
use super::support::wait::until;

/// An agent that ends at once: the pages that are walked here are not about what an agent does.
const BRIEF: &str = "#!/bin/sh\necho \"claude: $*\"\n";
/// One that is at work whenever somebody looks.
const BUSY: &str = "#!/bin/sh\nexec sleep infinity\n";
/// What a reader of the count must know of a page in which the first text stands.
const NOTES: &[(&str, &str)] = &[
    (
        "claude -p",
        "`claude` is a script of two lines here: the agent itself has pages and tests of its own",
    ),
    (
        "<!-- test: in agents -->",
        "in `agents`: agents-1, beside it agents-2, with the page's file and one folder of a login: \
         namespaces, as no engine runs in a clean Debian",
    ),
    (
        "<!-- test: in journal -->",
        "in `journal`: this machine with a journald of its own, as a clean Debian has none; job dev of \
         agents-1 has run once",
    ),
    (
        "```toml",
        "files of toml: `lockkeeper check` takes each of them, those that are shown only in a test of \
         its own",
    ),
];

fn notes(page: &str) -> Vec<&'static str> {
    let text = fs::read_to_string(made::root().join(page)).unwrap();
    let notes = NOTES.iter().filter(|(what, _)| text.contains(what));
    notes.map(|(_, note)| *note).collect()
}

/// The clean root, and the further places.
struct Newcomer {
    begin: fn() -> Clean,
    clean: Option<Clean>,
    folder: &'static str,
    file: String,
    agents: Option<Agents>,
    journal: Option<Journal>,
}

impl Newcomer {
    fn new(begin: fn() -> Clean, folder: &'static str) -> Self {
        Self {
            begin,
            clean: None,
            folder,
            file: String::new(),
            agents: None,
            journal: None,
        }
    }

    /// Begun by the first block that runs there: many pages have none.
    fn clean(&mut self) -> &Clean {
        self.clean.get_or_insert_with(|| {
            let clean = (self.begin)();
            add_program(&clean.path("/"), "usr/local/bin/claude", BRIEF);
            // Of whoever has logged in once.
            fs::create_dir(clean.path("/root/.claude")).unwrap();
            clean
        })
    }
}

/// The folders of the page about locks: one where an agent is at work, one without, and one that
/// another tool's agent has left long ago.
fn yard(clean: &Clean) {
    for folder in ["dev", "release", "review/.runtime"] {
        fs::create_dir_all(clean.path(&format!("/srv/agent/{folder}"))).unwrap();
    }
    let record = r#"{"pid":4711,"acquired_at":"2026-01-01T00:00:00Z","hostname":"laptop"}"#;
    let left = clean.path("/srv/agent/review/.runtime/agent.lock");
    fs::write(left, record).unwrap();
    fs::create_dir_all(clean.path("/home/agent/.claude")).unwrap();
    // At work from its first instant on: the listing has it before it begins.
    let begin = "ln -s /bin/sleep /opt/claude
        lockkeeper run --dir-lock /srv/agent/dev -- /opt/claude infinity >/dev/null 2>&1 &";
    assert_eq!(clean.run("/", begin).status, Some(0));
    let list = || clean.run("/", "lockkeeper lock list /srv/agent").text;
    until("the agent is at work", || {
        list().contains("claude in laptop")
    });
}

impl Scene for Newcomer {
    fn run(&mut self, place: Option<&str>, script: &str) -> Said {
        match place {
            None => {
                let folder = self.folder;
                self.clean().run(folder, script)
            }
            Some("agents") => {
                let start = || Agents::start(&self.file);
                self.agents.get_or_insert_with(start).first.run("/", script)
            }
            Some("journal") => {
                let journal = self.journal.get_or_insert_with(Journal::start);
                journal.run(script)
            }
            Some(other) => panic!("there is no place {other:?} here"),
        }
    }

    fn file(&mut self, place: Option<&str>, path: &str, text: &str) {
        if place == Some("agents") {
            assert_eq!(path, "/etc/lockkeeper.toml");
            text.clone_into(&mut self.file);
            return;
        }
        assert_eq!(place, None, "no files are written there");
        let path = match path.strip_prefix("~/") {
            Some(rest) => format!("/root/{rest}"),
            None if path.starts_with('/') => path.to_owned(),
            None => format!("{}/{path}", self.folder),
        };
        fs::write(self.clean().path(&path), text).unwrap();
    }
}

/// Two containers that share the folder of a login.
struct Agents {
    first: Clean,
    _second: Clean,
    _login: Folder,
}

impl Agents {
    /// The first one has the lock, the second waits for it.
    fn start(file: &str) -> Self {
        let login = Folder::new();
        let first = Clean::container("agents-1", file, BUSY, login.path());
        let shows = |what: &str| {
            until(what, || {
                first.run("/", "lockkeeper status").text.contains(what)
            });
        };
        shows("held, 0 waiting");
        let second = Clean::container("agents-2", file, BUSY, login.path());
        shows("held, 1 waiting");
        Self {
            first,
            _second: second,
            _login: login,
        }
    }
}

/// The machine of the test with a journal of its own.
struct Journal {
    journald: Journald,
    folder: Dir,
}

impl Journal {
    fn start() -> Self {
        let (journald, folder) = (Journald::start(), Dir::new());
        for name in ["usr/local/bin", "login"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        add_program(&folder, "usr/local/bin/claude", BRIEF);
        let login = folder.join("login");
        let file = format!(
            "[init]\nname = \"agents-1\"\n[classes.batch]\nidentity = \"{}\"\n\
             [jobs.dev]\nclass = \"batch\"\noutput = \"journal\"\ncommand = [\"claude\", \"-p\", \"hello\"]\n",
            login.display()
        );
        fs::write(folder.join("lockkeeper.toml"), file).unwrap();
        let journal = Self { journald, folder };
        let Said { text, status } = journal.run("lockkeeper run dev && journalctl --sync");
        assert_eq!(status, Some(0), "{text}");
        journal
    }

    fn run(&self, script: &str) -> Said {
        let own = static_build("lockkeeper");
        let own = own.parent().map(Path::display).unwrap();
        let folder = self.folder.display();
        let mut command = self.journald.command("sh");
        command.args(["-c", "cd \"$0\" && exec sh -c \"$1\""]);
        command.arg(&*self.folder).arg(script).env_clear();
        command.env(
            "PATH",
            format!("{own}:{folder}/usr/local/bin:/usr/bin:/bin"),
        );
        command.env("LOCKKEEPER_CONFIG", self.folder.join("lockkeeper.toml"));
        hear(command.env("HOME", &*self.folder))
    }
}

#[test]
fn the_readme_does_as_it_says_on_a_clean_debian_with_nothing_but_a_rust_toolchain() {
    need!("root", "clean-root", "static", "journald", "rustup", "git");
    let mut newcomer = Newcomer::new(Clean::with_rust, "/root/lockkeeper");
    walk("README.md", &mut newcomer, &notes("README.md"));
}

#[test]
fn what_is_done_in_the_clean_root_is_seen_nowhere_else() {
    need!("root", "clean-root", "rustup", "git");
    let clean = Clean::with_rust();
    let name = format!("of-a-test-{}", std::process::id());
    let script = format!(
        "for folder in ~/.cargo ~/.rustup /tmp /run /dev/shm /etc; do touch $folder/{name}; done
        cargo --version && ls ~/lockkeeper/Cargo.toml && ! ls -d ~/lockkeeper/target &&
            ! command -v lockkeeper && ! command -v git && ! grep -v lo: /proc/net/dev | grep : &&
            cat /proc/sys/kernel/hostname /proc/1/comm"
    );
    let said = clean.run("/", &script);
    assert_eq!(said.status, Some(0), "{}", said.text);
    assert!(said.text.contains("laptop\ninit\n"), "{}", said.text);
    let homes = homes();
    for folder in ["/tmp", "/run", "/dev/shm", "/etc"]
        .map(PathBuf::from)
        .iter()
        .chain(&homes)
    {
        assert!(!folder.join(&name).exists(), "{}", folder.display());
    }
}

#[test]
fn the_pages_that_the_readme_leads_to_do_as_they_say() {
    need!("root", "clean-root", "static", "journald");
    for page in pages() {
        let mut newcomer = Newcomer::new(Clean::with_lockkeeper, "/root");
        if page.ends_with("/locks.md") {
            yard(newcomer.clean());
        }
        walk(&page, &mut newcomer, &notes(&page));
    }
}

/// The recipes have tests of their own.
fn pages() -> Vec<String> {
    let folder = fs::read_dir(made::root().join("packaging/reference")).unwrap();
    let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut pages: Vec<String> = names
        .map(|name| format!("packaging/reference/{name}"))
        .collect();
    pages.extend(["packaging/README.md", "packaging/journal.md"].map(str::to_owned));
    pages
}
