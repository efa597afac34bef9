//! `packaging/Dockerfile`, built as it stands and started.

use std::fs;

use crate::support::bin;
use crate::support::child::text;
use crate::support::dir::Dir;
use crate::support::need::need;
use crate::support::podman::{Podman, Run};

const IMAGE: &str = "localhost/lockkeeper:test";
const VERSION: &str = env!("CARGO_PKG_VERSION");

#[test]
fn a_containers_image_from_the_dockerfile_has_the_very_bytes_that_this_machine_makes_elsewhere() {
    need!(
        "root",
        "podman",
        "crun",
        "buildah",
        "static",
        "rustup",
        "debian-rust.tar"
    );
    let podman = Podman::ready();
    let built = podman.build_file("Dockerfile", IMAGE, &["--build-arg", "REVISION=0a1b2c"]);
    built.unwrap_or_else(|said| panic!("{said}"));
    let dir = Dir::new();
    let taken = dir.join("lockkeeper");
    podman.take(IMAGE, "/lockkeeper", &taken);
    // Another folder, another home, another user's compiler: what of them got into the program?
    let (taken, here) = (fs::read(taken).unwrap(), bin::static_build("lockkeeper"));
    let is_same = taken == fs::read(&here).unwrap();
    assert!(
        is_same,
        "not the bytes of {here:?}; `sh tests/run.sh` makes that anew"
    );
    let label = |name: &str| {
        let label = format!("{{{{index .Config.Labels \"org.opencontainers.image.{name}\"}}}}");
        podman.about(IMAGE, &label)
    };
    assert_eq!(
        (label("title").as_str(), label("version").as_str()),
        ("lockkeeper", VERSION)
    );
    assert_eq!(label("description"), env!("CARGO_PKG_DESCRIPTION"));
    assert_eq!(
        (label("licenses").as_str(), label("revision").as_str()),
        ("MIT OR Apache-2.0", "0a1b2c")
    );
    let size: usize = podman.about(IMAGE, "{{.Size}}").parse().unwrap();
    assert!(
        size - taken.len() < 16_384,
        "{size}: more than the program is in it"
    );
    let podman = podman.of(IMAGE);
    let run = Run::new(&["--version"]).with(&["--user", "1000", "--read-only"]);
    let said = podman.run(&run);
    assert_eq!(
        text(&said.stdout),
        format!("lockkeeper {VERSION}\n"),
        "{}",
        text(&said.stderr)
    );
}

#[test]
fn a_containers_image_for_another_architecture_is_refused_with_the_ones_that_there_are() {
    need!(
        "root",
        "podman",
        "crun",
        "buildah",
        "static",
        "rustup",
        "debian-rust.tar"
    );
    let options = ["--platform", "linux/riscv64"];
    let said = Podman::ready().build_file("Dockerfile", "localhost/lockkeeper:none", &options);
    let said = said.expect_err("there is none");
    assert!(
        said.contains("lockkeeper is made for amd64 and arm64, not for riscv64"),
        "{said}"
    );
    assert!(said.contains("--platform linux/arm64"), "{said}");
}
