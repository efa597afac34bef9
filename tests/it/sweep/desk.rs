//! A login with lock directories of a test's own, and jobs that use it: `dev`, which does what the
//! test says, `look`, which does nothing, and `chat`, an interactive one that stays.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::support::bin;
use crate::support::child::{self, Tied, bare, output, text};
use crate::support::ns::children;
use crate::support::scene::Scene;

/// The claims beside the shared lock: a folder, and no lock directory.
const CLAIMS: &str = "session.lock.d";

pub(crate) struct Desk {
    scene: Scene,
    config: PathBuf,
}

impl Desk {
    /// `keys` stand in the batch class; `script` is what `sh -c` runs as `dev`, in a folder of its
    /// own; LOGIN in both is the login's folder.
    pub(crate) fn new(keys: &str, script: &str) -> Self {
        let scene = Scene::new();
        let login = scene.path("login");
        for folder in [&login, &scene.path("work")] {
            fs::create_dir(folder).expect("room for a folder");
        }
        let [login, work] = [login, scene.path("work")].map(|path| path.display().to_string());
        let [keys, script] = [keys, script].map(|text| text.replace("LOGIN", &login));
        let text = format!(
            "[classes.batch]\nidentity = {login:?}\n{keys}\n\
             [classes.interactive]\nidentity = {login:?}\n\
             [jobs.dev]\nclass = \"batch\"\ncommand = [\"sh\", \"-c\", {script:?}]\ndir = {work:?}\n\
             [jobs.look]\nclass = \"batch\"\ncommand = [\"true\"]\n\
             [jobs.chat]\nclass = \"interactive\"\ncommand = [\"sh\", \"-c\", \"echo begun; sleep 1000\"]\n"
        );
        let config = scene.path("lockkeeper.toml");
        fs::write(&config, text).expect("room for a file");
        Self { scene, config }
    }

    pub(crate) fn args(&self, job: &str) -> [String; 5] {
        let config = self.config.display().to_string();
        ["run", "-v", "-c", &config, job].map(str::to_owned)
    }

    /// A run of `job`, not yet started.
    pub(crate) fn job(&self, job: &str) -> &'static mut Command {
        let command = Box::leak(Box::new(Command::new(bin::lockkeeper())));
        bare(command).args(self.args(job))
    }

    /// A run of `dev`.
    #[track_caller]
    pub(crate) fn start(&self) -> Tied {
        child::start(self.job("dev"))
    }

    /// An interactive run, which has begun.
    #[track_caller]
    pub(crate) fn chat(&self) -> Tied {
        let mut chat = child::start(self.job("chat"));
        assert_eq!(chat.line().as_deref(), Some("begun"));
        chat
    }

    /// A run of `dev` to its end, which must be a good one; what it told.
    #[track_caller]
    pub(crate) fn run(&self) -> String {
        let output = output(self.job("dev"));
        let told = text(&output.stderr);
        assert!(output.status.success(), "{told}{}", text(&output.stdout));
        told
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.scene.path("work")
    }

    /// A lock directory, from the login's folder on.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scene.path("login").join(name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    pub(crate) fn make(&self, name: &str) {
        fs::create_dir(self.path(name)).expect("room for a folder");
    }

    /// Refreshed so long ago.
    pub(crate) fn touch(&self, name: &str, ago: Duration) {
        self.set(name, SystemTime::now() - ago);
    }

    /// Refreshed at a time so far in the future.
    pub(crate) fn touch_ahead(&self, name: &str, ahead: Duration) {
        self.set(name, SystemTime::now() + ahead);
    }

    fn set(&self, name: &str, time: SystemTime) {
        // It may be gone meanwhile.
        if let Ok(folder) = File::open(self.path(name)) {
            folder.set_modified(time).expect("it is ours");
        }
    }

    /// All lock directories, and what was made of them, by their names; their order is theirs.
    pub(crate) fn lock_dirs(&self) -> Vec<String> {
        let mut names = Vec::new();
        for folder in [self.scene.path("login"), self.scene.folder().to_owned()] {
            let entries = fs::read_dir(folder).expect("it is there").flatten();
            let folders = entries.filter(|entry| entry.path().is_dir());
            let names_there = folders.filter_map(|entry| entry.file_name().into_string().ok());
            names.extend(names_there.filter(|name| name.contains(".lock") && name != CLAIMS));
        }
        names.sort();
        names
    }

    fn lock(&self) -> PathBuf {
        self.path("session.lock")
    }

    /// Whether nobody holds the shared lock.
    pub(crate) fn is_free(&self) -> bool {
        use fs2::FileExt as _;
        File::open(self.lock()).is_ok_and(|file| file.try_lock_exclusive().is_ok())
    }

    /// How many runs claim to use the login.
    pub(crate) fn users(&self) -> usize {
        use lockkeeper::lock::{folders::claims_folder, listing::list};
        let claims = list(&claims_folder(&self.lock())).claims;
        claims.iter().filter(|(_, lives)| *lives).count()
    }

    /// Whether the monitor of this guard has no command any more, and watches.
    pub(crate) fn is_watching(&self, guard: i32) -> bool {
        children(guard).into_iter().any(|monitor| {
            let open = fs::read_dir(format!("/proc/{monitor}/fd"));
            let mut links = open
                .into_iter()
                .flatten()
                .flatten()
                .filter_map(|entry| fs::read_link(entry.path()).ok());
            self.has(".oauth_refresh.lock")
                && children(monitor).is_empty()
                && links.any(|link| link == Path::new("anon_inode:inotify"))
        })
    }
}
