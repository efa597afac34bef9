//! Who judges the deployment files in packaging/: programs of others, which `tests/setup.sh` brings.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::bin;
use super::child::read;

fn folder() -> PathBuf {
    bin::real("deploy/bin")
}

/// The programs that come from the Python Package Index, and their interpreter.
pub(crate) fn all() -> [PathBuf; 4] {
    [
        "podman-compose",
        "kubernetes-validate",
        "check-jsonschema",
        "python",
    ]
    .map(|name| folder().join(name))
}

/// One of them, to be run.
pub(crate) fn judge(name: &str) -> Command {
    Command::new(folder().join(name))
}

/// Podman's generator of units: set up for the tests, or the machine's own.
pub(crate) fn quadlet() -> Option<PathBuf> {
    let own = bin::real("quadlet/quadlet");
    let places = [own, "/usr/libexec/podman/quadlet".into()];
    places.into_iter().find(|path| path.exists())
}

/// The documents of a YAML file.
pub(crate) fn documents(path: &Path) -> Vec<Value> {
    let script = "import json, sys, yaml\n\
        print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    let json = read(judge("python").args(["-c", script]).arg(path));
    serde_json::from_str(&json).expect("a list of documents")
}
