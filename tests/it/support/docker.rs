//! A `docker` for pages whose commands say `docker`: podman, which takes the same words, with the
//! images that the pages' Dockerfiles begin with.
//!
//! No image is pulled. `debian:bookworm-slim` is the root of a clean Debian from tests/setup.sh;
//! `node:22-bookworm-slim` is that one with the real agent in it and an `npm` that links it to where
//! npm would have put it; `lockkeeper` has the static program. Images and containers lie in Cargo's
//! target folder, and one test at a time has them all. Needs root.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File, Permissions};
use std::hash::{Hash as _, Hasher as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::child::{output, read};
use super::{agent, bin, podman};

/// What stands in for what, for whoever reads the count of a page.
pub(crate) const STAND_INS: [&str; 3] = [
    "`docker` is podman with crun, its containers without a control group and in the scene's network, which has the API alone",
    "`debian:bookworm-slim` is a root from mmdebstrap; `node:22-bookworm-slim` is the same with the real Claude Code in it, which `npm` links; its `codex` is a script that says what it was asked",
    "`lockkeeper` as an image and in the PATH is the static program that tests/run.sh builds",
];

/// Instead of asking a registry: what it would have installed is here, or is a script.
const NPM: &str = r#"#!/bin/sh
case "$*" in
"install --global @anthropic-ai/claude-code") ln -s /usr/local/lib/claude /usr/local/bin/claude ;;
"install --global @openai/codex") ln -s /usr/local/lib/codex /usr/local/bin/codex ;;
*) echo "npm: not here: $*" >&2; exit 1 ;;
esac
"#;
const CODEX: &str = "#!/bin/sh\necho \"codex was asked: $*\"\n";
const NODE: &str = "FROM debian:bookworm-slim\nCOPY claude codex /usr/local/lib/\nCOPY npm /usr/local/bin/\n\
    RUN chmod 755 /usr/local/lib/codex /usr/local/bin/npm\n";
const PROGRAM: &str = "FROM scratch\nCOPY lockkeeper /lockkeeper\nENTRYPOINT [\"/lockkeeper\"]\n";

/// What the pages call them.
const DEBIAN_NAME: &str = "docker.io/library/debian:bookworm-slim";
const NODE_NAME: &str = "docker.io/library/node:22-bookworm-slim";

/// The images, and nobody else's containers. All containers end when this is dropped.
pub(crate) struct Docker {
    home: PathBuf,
    _alone: File,
}

impl Docker {
    /// `need!("root", "podman", "crun", "buildah", "static", "agent", "debian.tar")` comes before.
    pub(crate) fn ready() -> Self {
        let home = bin::real("docker");
        fs::create_dir_all(&home).expect("target can be written");
        let alone = File::create(home.join("alone.lock")).expect("target can be written");
        alone.lock().expect("one test at a time has the names");
        for (name, text) in [
            ("containers.conf", "[engine]\nlock_type = \"file\"\n"),
            (
                "registries.conf",
                "unqualified-search-registries = [\"docker.io\"]\n",
            ),
        ] {
            fs::write(home.join(name), text).expect("target can be written");
        }
        let script = home.join("docker");
        fs::write(&script, wrapper(&home)).expect("target can be written");
        fs::set_permissions(&script, Permissions::from_mode(0o755)).expect("it is ours");
        let docker = Self {
            home,
            _alone: alone,
        };
        podman::forget_if_moved(&docker.home, &mut docker.call(&[]));
        docker.remove_containers();
        // What crun noted of those that ended with their scene.
        drop(fs::remove_dir_all(docker.home.join("crun")));
        docker.make_images();
        docker
    }

    /// The program `docker`. What the environment of the caller has in `LOCKKEEPER_TEST_ENV`, a file
    /// of `NAME=value` lines, is in that of each container.
    pub(crate) fn program(&self) -> PathBuf {
        self.home.join("docker")
    }

    fn call(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.program());
        command.args(args);
        command
    }

    fn remove_containers(&self) {
        drop(output(
            &mut self.call(&["rm", "--all", "--force", "--time", "0"]),
        ));
    }

    fn make_images(&self) {
        let debian = bin::real("debian.tar");
        let mut hasher = DefaultHasher::new();
        (NPM, CODEX, NODE).hash(&mut hasher);
        for path in [&debian, &agent::program()] {
            let meta = fs::metadata(path).expect("it is here");
            (meta.len(), meta.mtime_nsec(), meta.mtime()).hash(&mut hasher);
        }
        let base = format!("localhost/base:{:016x}", hasher.finish());
        if !output(&mut self.call(&["image", "exists", &base]))
            .status
            .success()
        {
            drop(output(&mut self.call(&["rmi", "--all", "--force"])));
            read(self.call(&["import"]).arg(&debian).arg(DEBIAN_NAME));
            let context = self.context(NODE);
            fs::copy(agent::program(), context.join("claude")).expect("room in target");
            fs::write(context.join("npm"), NPM).expect("room in target");
            fs::write(context.join("codex"), CODEX).expect("room in target");
            self.build(&[NODE_NAME, &base], &context);
        }
        // A layer that was made from the same program is found again.
        let context = self.context(PROGRAM);
        let program = context.join("lockkeeper");
        fs::copy(bin::static_build("lockkeeper"), program).expect("room in target");
        self.build(&["lockkeeper"], &context);
        // What was made with an earlier program, and has no name any more.
        read(&mut self.call(&["image", "prune", "--force"]));
    }

    fn context(&self, dockerfile: &str) -> PathBuf {
        let context = self.home.join("context");
        drop(fs::remove_dir_all(&context));
        fs::create_dir(&context).expect("room in target");
        fs::write(context.join("Dockerfile"), dockerfile).expect("room in target");
        context
    }

    fn build(&self, names: &[&str], context: &Path) {
        let mut command = self.call(&["build", "--quiet"]);
        for name in names {
            command.args(["--tag", name]);
        }
        read(command.arg(context));
        fs::remove_dir_all(context).expect("it is ours");
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        self.remove_containers();
    }
}

/// What `run` and `build` need of the machine, which nobody who has Docker has to say.
fn wrapper(home: &Path) -> String {
    let home = home.display();
    let call = podman::CALL;
    format!(
        r#"#!/bin/sh
verb=$1
shift
case $verb in
build) set -- build --isolation chroot "$@" ;;
run) set -- run --cgroups=disabled --http-proxy=false --log-driver k8s-file --network host \
    --ulimit nofile=1024:1024 --ulimit nproc=4096:4096 \
    ${{LOCKKEEPER_TEST_ENV:+--env-file "$LOCKKEEPER_TEST_ENV"}} "$@" ;;
*) set -- "$verb" "$@" ;;
esac
export CONTAINERS_CONF='{home}/containers.conf' CONTAINERS_REGISTRIES_CONF='{home}/registries.conf'
# Where crun keeps what runs: its own place, as the scene has another /run than who cleans up after it.
exec unshare --mount sh -c '{call}' '{home}' --runtime-flag root='{home}/crun' "$@"
"#
    )
}
