//! The project's own Dockerfiles, built as they stand.
//!
//! No image is pulled. What they build upon is made here, under the very names that they have for it,
//! of what `tests/setup.sh` has put below `target/real` and of this machine's own tools, which are
//! mounted while an image is built. So whatever stands in the Dockerfiles themselves is done for real.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::bin::real;
use super::child::{output, read, text};
use super::clean::homes;
use super::dir::Dir;
use super::podman::{Podman, new_name};

/// Where a base image finds this machine's /usr.
const TOOLS: &str = "/mnt";

impl Podman {
    /// Builds `packaging/NAME` as the image `tag`, with the repository as its context.
    ///
    /// # Errors
    /// What the engine said.
    pub(crate) fn build_file(&self, name: &str, tag: &str, options: &[&str]) -> Result<(), String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let file = root.join("packaging").join(name);
        let recipe = fs::read_to_string(&file).expect("a Dockerfile");
        for line in recipe.lines().filter_map(|line| line.strip_prefix("FROM ")) {
            let base = line.split_whitespace().find(|word| word.contains('/'));
            if let Some(base) = base {
                self.base(base);
            }
        }
        let mut build = self.call();
        build.args(["build", "--isolation", "chroot", "--format", "docker"]);
        // podman 4.3 does not know what it runs on, and takes it to be what the image is for.
        let arch = if cfg!(target_arch = "aarch64") {
            "arm64"
        } else {
            "amd64"
        };
        build.args(["--build-arg", &format!("BUILDPLATFORM=linux/{arch}")]);
        build.args(["--http-proxy=false", "--tag", tag, "--file"]);
        build.arg(file).args(mounts()).args(options).arg(root);
        let ended = output(&mut build);
        if ended.status.success() {
            Ok(())
        } else {
            Err(text(&ended.stdout) + &text(&ended.stderr))
        }
    }

    /// Copies one file out of an image.
    pub(crate) fn take(&self, image: &str, path: &str, to: &Path) {
        let name = new_name();
        let _container = self.named(&name);
        let create = [
            "create",
            "--cgroups=disabled",
            "--network",
            "none",
            "--name",
        ];
        read(self.call().args(create).args([&name, image]));
        read(self.call().args(["cp", &format!("{name}:{path}")]).arg(to));
    }

    /// Makes an image of this one program, as packaging/Dockerfile makes one.
    pub(crate) fn of_program(&self, tag: &str, program: &Path) {
        let context = Dir::new();
        fs::copy(program, context.join("lockkeeper")).expect("room for a program");
        let recipe = "FROM scratch\nCOPY lockkeeper /lockkeeper\n";
        fs::write(context.join("Containerfile"), recipe).expect("room for a file");
        let build = ["build", "--quiet", "--isolation", "chroot", "--tag", tag];
        read(self.call().args(build).arg(&*context));
    }

    /// A fact of an image, as a Go template says it.
    pub(crate) fn about(&self, image: &str, format: &str) -> String {
        read(
            self.call()
                .args(["image", "inspect", "--format", format, image]),
        )
    }

    /// Makes the image that a Dockerfile calls `name`, unless one of the same parts is there.
    fn base(&self, name: &str) {
        let (_, kind) = name.rsplit_once('/').expect("a registry's name");
        let (tar, recipe) = match kind.split(':').next() {
            Some("rust") => (real("debian-rust.tar"), rust()),
            Some("debian") => (real("debian.tar"), debian()),
            Some("node") => (real("debian.tar"), node()),
            _ => panic!("nobody says what {name:?} is made of"),
        };
        let made = tar.metadata().and_then(|tar| tar.modified());
        let parts = format!("{recipe}{made:?}").replace('"', "'");
        let label = "{{index .Config.Labels \"parts\"}}";
        let mut known = self.call();
        known.args(["image", "inspect", "--format", label, name]);
        if text(&output(&mut known).stdout).trim() == parts.replace('\n', ";") {
            return;
        }
        let root = format!(
            "localhost/root-{}",
            tar.file_stem().expect("a name").display()
        );
        read(self.call().arg("import").arg(tar).arg(&root));
        let recipe = format!(
            "FROM {root}\nLABEL parts=\"{}\"\n{recipe}",
            parts.replace('\n', ";")
        );
        let context = Dir::new();
        fs::write(context.join("Containerfile"), recipe).expect("room for a file");
        let build = ["build", "--quiet", "--isolation", "chroot", "--tag", name];
        read(self.call().args(build).args(mounts()).arg(&*context));
    }
}

/// What the base images find of this machine.
fn mounts() -> Vec<String> {
    let [cargo, rustup] = homes();
    let mut mounts = vec![
        (rustup, "/usr/local/rustup"),
        (cargo.join("bin"), "/usr/local/cargo/bin"),
        (cargo.join("registry"), "/usr/local/cargo/registry"),
        ("/usr".into(), TOOLS),
    ];
    for (name, to) in [("debs", "/media"), ("agent/cache", "/boot")] {
        mounts.push((real(name), to));
    }
    mounts.retain(|(from, _)| from.exists());
    let volume = |(from, to): (PathBuf, &str)| format!("--volume={}:{to}:ro", from.display());
    mounts.into_iter().map(volume).collect()
}

/// As the official image is set up. The compiler is named, so that another one makes another image.
fn rust() -> String {
    let version = read(Command::new("rustc").arg("--version"));
    format!(
        "ENV RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo \
         PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
         CARGO_NET_OFFLINE=true RUST_VERSION='{version}'\n"
    )
}

/// A Debian whose packages come from a folder.
fn debian() -> String {
    "RUN echo 'deb [trusted=yes] file:/media ./' > /etc/apt/sources.list\n".into()
}

/// With this machine's npm, and what it once got as its registry.
fn node() -> String {
    format!(
        "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:{TOOLS}/bin \
         LD_LIBRARY_PATH={TOOLS}/lib/{}-linux-gnu NODE_PATH={TOOLS}/share/nodejs \
         npm_config_cache=/tmp/npm npm_config_offline=true\nRUN cp -r /boot /tmp/npm\n",
        env::consts::ARCH
    )
}
