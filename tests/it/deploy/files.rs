//! Each file by the tool that knows its kind.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::{loaded, stop_within};
use crate::support::child::{output, read, text};
use crate::support::dir::Dir;
use crate::support::judges::{documents, judge, quadlet};
use crate::support::made::root;
use crate::support::need::need;

/// What a stop may take beyond `stop_within`, until the last process of ours has gone.
const MARGIN: Duration = Duration::from_secs(3);

fn packaging(name: &str) -> PathBuf {
    root().join("packaging").join(name)
}

/// Seconds, of `30` or `30s`.
fn seconds(text: &str) -> Duration {
    let number = text.trim_end_matches('s').parse();
    Duration::from_secs(number.unwrap_or_else(|_| panic!("{text} in seconds")))
}

/// The value of a key in a file of systemd's kind, which has it once.
fn value(unit: &str, key: &str) -> String {
    let mut values = unit
        .lines()
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let value = values.next();
    assert!(values.next().is_none(), "{key} twice");
    value.unwrap_or_else(|| panic!("no {key}")).to_owned()
}

#[test]
fn the_compose_file_is_one_by_the_compose_specification_and_podman_compose_reads_it() {
    need!("judges");
    let mut command = judge("check-jsonschema");
    let builtin = ["--builtin-schema", "vendor.compose-spec"];
    read(command.args(builtin).arg(packaging("compose.yaml")));
    let mut command = judge("podman-compose");
    command.arg("--file").arg(packaging("compose.yaml"));
    let services = read(command.args(["config", "--services"]));
    let mut services: Vec<&str> = services.lines().collect();
    services.sort_unstable();
    assert_eq!(services, ["agents-1", "agents-2", "chat"]);
}

#[test]
fn compose_gives_each_container_the_time_that_its_own_configuration_takes_and_a_name() {
    need!("judges");
    let file = documents(&packaging("compose.yaml"));
    let services = file[0]["services"].as_object().unwrap();
    for (name, service) in services {
        let mounts = service["volumes"].as_array().unwrap().iter();
        let mut toml = mounts.filter(|mount| mount["target"] == "/etc/lockkeeper.toml");
        let toml = toml.next().unwrap()["source"].as_str().unwrap();
        let within = stop_within(&Path::new("packaging").join(toml));
        let grace = seconds(service["stop_grace_period"].as_str().unwrap());
        assert!(grace >= within + MARGIN, "{name}: {grace:?}, {within:?}");
        assert_eq!(service["hostname"], **name);
        assert_eq!(service.get("init"), None, "{name}");
    }
}

#[test]
fn the_kubernetes_objects_are_ones_by_the_strict_schemas_of_several_releases() {
    need!("judges");
    for release in ["1.30", "1.33", "1.37"] {
        let mut command = judge("kubernetes-validate");
        command.args(["--strict", "--kubernetes-version", release]);
        read(command.arg(packaging("kubernetes.yaml")));
    }
}

/// The objects of a kind.
fn objects<'a>(all: &'a [Value], kind: &str) -> Vec<&'a Value> {
    all.iter().filter(|object| object["kind"] == kind).collect()
}

#[test]
fn each_pod_has_the_time_that_its_configuration_takes_and_probes_that_ask_about_jobs_that_it_has() {
    need!("judges");
    let all = documents(&packaging("kubernetes.yaml"));
    let deployments = objects(&all, "Deployment");
    assert_eq!(deployments.len(), 2);
    for deployment in deployments {
        let name = &deployment["metadata"]["name"];
        let pod = &deployment["spec"]["template"]["spec"];
        let maps = objects(&all, "ConfigMap");
        let map = maps.iter().find(|map| &map["metadata"]["name"] == name);
        let toml = map.unwrap()["data"]["lockkeeper.toml"].as_str().unwrap();
        let plan = loaded(toml).plan;
        let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
        let grace = Duration::from_secs(grace);
        assert!(grace >= plan.init.stop_within + MARGIN, "{name}: {grace:?}");
        let container = &pod["containers"][0];
        for (key, probe) in container.as_object().unwrap() {
            if !key.ends_with("Probe") {
                continue;
            }
            // Longer than `health` itself takes where init hangs.
            assert!(probe["timeoutSeconds"].as_u64() > Some(5), "{name}: {key}");
            let command = probe["exec"]["command"].as_array().unwrap();
            assert_eq!(
                (&command[0], &command[1]),
                (&"lockkeeper".into(), &"health".into())
            );
            if let Some(asked) = command.get(2) {
                let mut jobs = plan.jobs.iter();
                let job = jobs.find(|job| *asked == *job.run.job).unwrap();
                assert!(job.every.is_some(), "{asked} may fail for good");
            }
        }
    }
}

#[test]
fn each_pod_keeps_to_the_restricted_standard_of_kubernetes() {
    need!("judges");
    let all = documents(&packaging("kubernetes.yaml"));
    for deployment in objects(&all, "Deployment") {
        let pod = &deployment["spec"]["template"]["spec"];
        let context = &pod["securityContext"];
        assert_eq!(context["runAsNonRoot"], true);
        assert!(context["runAsUser"].as_u64() > Some(0));
        assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault");
        for key in ["hostPID", "hostIPC", "hostNetwork", "shareProcessNamespace"] {
            assert_eq!(pod.get(key), None);
        }
        for volume in pod["volumes"].as_array().unwrap() {
            let kinds = volume.as_object().unwrap().keys();
            let mut kinds = kinds.filter(|key| *key != "name");
            let kind = kinds.next().unwrap();
            assert!(
                ["configMap", "emptyDir", "persistentVolumeClaim"].contains(&&**kind),
                "{kind}"
            );
        }
        for container in pod["containers"].as_array().unwrap() {
            let context = &container["securityContext"];
            assert_eq!(context["allowPrivilegeEscalation"], false);
            assert_eq!(context["readOnlyRootFilesystem"], true);
            assert_eq!(context["capabilities"]["drop"][0], "ALL");
            assert_eq!(context["capabilities"].get("add"), None);
        }
    }
}

/// A root in which systemd finds its own targets, these programs and these units.
fn root_with(units: &[(&str, &str)]) -> Dir {
    let dir = Dir::new();
    let own = dir.join("usr/lib/systemd/system");
    let ours = dir.join("etc/systemd/system");
    for folder in [&own, &ours, &dir.join("usr/bin")] {
        fs::create_dir_all(folder).unwrap();
    }
    for entry in fs::read_dir("/lib/systemd/system").unwrap() {
        let path = entry.unwrap().path();
        let kind = path.extension().unwrap_or_default();
        if (kind == "target" || kind == "slice") && path.is_file() {
            fs::copy(&path, own.join(path.file_name().unwrap())).unwrap();
        }
    }
    for program in ["lockkeeper", "podman"] {
        fs::copy("/bin/true", dir.join("usr/bin").join(program)).unwrap();
    }
    for (name, text) in units {
        fs::write(ours.join(name), text).unwrap();
    }
    symlink("usr/lib", dir.join("lib")).unwrap();
    dir
}

/// Nothing to complain of: an unknown key is only a word on standard error.
#[track_caller]
fn verify(name: &str, text_of_unit: &str) {
    let root = root_with(&[(name, text_of_unit)]);
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "--man=no", "--root"]).arg(&*root);
    let verified = output(command.arg(name));
    let said = text(&verified.stderr);
    assert_eq!((verified.status.code(), &*said), (Some(0), ""));
}

#[test]
fn the_systemd_unit_is_one_by_systemd_analyze_and_gives_init_its_time() {
    need!("systemd-analyze");
    let unit = fs::read_to_string(packaging("lockkeeper.service")).unwrap();
    verify("lockkeeper.service", &unit);
    let within = stop_within(Path::new("config/agents.toml"));
    let limit = seconds(&value(&unit, "TimeoutStopSec"));
    assert!(limit >= within + MARGIN, "{limit:?}, {within:?}");
}

#[test]
fn what_podman_makes_of_the_quadlet_is_a_systemd_unit_and_gives_init_its_time() {
    need!("systemd-analyze", "quadlet");
    let folder = Dir::new();
    let name = "lockkeeper-agents.container";
    fs::copy(packaging(name), folder.join(name)).unwrap();
    let mut command = Command::new(quadlet().unwrap());
    let made = output(command.arg("-dryrun").env("QUADLET_UNIT_DIRS", &*folder));
    let (out, said) = (text(&made.stdout), text(&made.stderr));
    assert!(made.status.success(), "{said}");
    // A key that it does not know is an error, and then there is no unit.
    let unit = out
        .split_once("---lockkeeper-agents.service---\n")
        .unwrap()
        .1;
    verify("lockkeeper-agents.service", unit);
    let started = value(unit, "ExecStart");
    for option in ["--sdnotify=container", "--read-only", "--user 1000:1000"] {
        assert!(started.contains(option), "{option} in {started}");
    }
    assert!(!started.contains("--init"), "{started}");
    let within = stop_within(Path::new("config/agents.toml"));
    let (_, grace) = started.split_once("--stop-timeout ").unwrap();
    let grace = seconds(grace.split(' ').next().unwrap());
    let limit = seconds(&value(unit, "TimeoutStopSec"));
    assert!(grace >= within + MARGIN, "{grace:?}, {within:?}");
    assert!(limit > grace, "{limit:?}, {grace:?}");
}

/// The files in which somebody makes, names or starts an image of an agent.
const OF_THE_IMAGE: [&str; 6] = [
    "README.md",
    "agent.Dockerfile",
    "compose.yaml",
    "kubernetes.yaml",
    "lockkeeper-agents.container",
    "recipes.md",
];

#[test]
fn the_image_of_an_agent_has_one_name_wherever_it_is_made_or_started() {
    let build = "build --tag my-agent --file packaging/agent.Dockerfile .";
    for name in ["README.md", "agent.Dockerfile", OF_THE_IMAGE[4]] {
        let page = fs::read_to_string(packaging(name)).unwrap();
        assert!(page.contains(build), "{name} does not say: {build}");
    }
    for name in OF_THE_IMAGE {
        let page = fs::read_to_string(packaging(name)).unwrap();
        assert!(page.contains("my-agent"), "{name}");
        let named = page.lines().filter_map(|line| {
            let line = line.trim_start();
            line.strip_prefix("image: ").or(line.strip_prefix("Image="))
        });
        for image in named {
            let plain = image.rsplit('/').next().unwrap();
            assert_eq!(plain.split(':').next(), Some("my-agent"), "{name}");
        }
    }
}

#[test]
fn who_follows_a_file_s_first_lines_has_the_folders_that_the_jobs_work_in() {
    let toml = fs::read_to_string(root().join("config/agents.toml")).unwrap();
    let jobs = loaded(&toml).plan.jobs;
    for (path, work) in [
        ("README.md", "/srv/agent/"),
        ("packaging/agent.Dockerfile", "/srv/agent/"),
        ("packaging/lockkeeper.service", "/srv/agent/"),
        ("packaging/lockkeeper-agents.container", "/srv/agent/1/"),
        ("packaging/compose.yaml", "/srv/agent/1/"),
        ("packaging/compose.yaml", "/srv/agent/2/"),
    ] {
        let page = fs::read_to_string(root().join(path)).unwrap();
        let page = page.replace("\\\n#", "");
        let makers: Vec<&str> = page
            .lines()
            .filter(|line| line.contains("install -d") || line.contains("mkdir -p"))
            .flat_map(str::split_whitespace)
            .collect();
        for job in &jobs {
            let dir = job.run.dir.as_ref().unwrap();
            let dir = dir.strip_prefix("/srv/agent").unwrap().to_str().unwrap();
            let folder = format!("{work}{dir}");
            assert!(makers.contains(&&*folder), "{path} does not make {folder}");
        }
    }
}
