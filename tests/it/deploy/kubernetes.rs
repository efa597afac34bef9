//! packaging/kubernetes.yaml, started by `podman kube play`: the same pods with the same settings. Replaced
//! are the image, the claimed volume, in whose place a folder of this host stands, and the names; and the
//! agents begin at once.

use std::fs;
use std::path::Path;
use std::process::id;
use std::thread;

use nix::sys::signal::Signal::{SIGCONT, SIGSTOP};
use serde_json::{Value, json};

use super::machine::remove_group;
use super::{agent, is_in_order, take_turns};
use crate::support::child::{output, read, text};
use crate::support::dir::Dir;
use crate::support::judges::documents;
use crate::support::made::root;
use crate::support::need::need;
use crate::support::podman::Container;
use crate::support::wait::until;
use crate::support::yard::Yard;

/// The file's objects as they are played here.
struct Played<'a> {
    yard: &'a Yard,
    dir: Dir,
    objects: Vec<Value>,
    /// What is before every name.
    prefix: String,
    /// What it is to be removed by.
    volumes: Vec<String>,
}

impl<'a> Played<'a> {
    fn new(yard: &'a Yard) -> Self {
        let objects = documents(&root().join("packaging/kubernetes.yaml"));
        let mut played = Self {
            yard,
            dir: Dir::new(),
            objects: Vec::new(),
            prefix: format!("lk-{}-", id()),
            volumes: Vec::new(),
        };
        let agent = agent(&played.dir);
        for mut object in objects {
            let kind = object["kind"].as_str().unwrap().to_owned();
            played.rename(&mut object["metadata"]["name"]);
            match &*kind {
                "Deployment" => {
                    let pod = &mut object["spec"]["template"]["spec"];
                    played.adapt(pod, &agent);
                }
                // podman makes a volume of it.
                "ConfigMap" => {
                    let name = object["metadata"]["name"].as_str().unwrap();
                    played.volumes.push(name.to_owned());
                    let toml = &mut object["data"]["lockkeeper.toml"];
                    *toml = toml
                        .as_str()
                        .unwrap()
                        .replace("jitter = \"30s\"", "")
                        .into();
                }
                "PersistentVolumeClaim" => continue,
                _ => panic!("{kind}: how is that played?"),
            }
            played.objects.push(object);
        }
        played
    }

    fn rename(&self, name: &mut Value) {
        let new = format!("{}{}", self.prefix, name.as_str().unwrap());
        *name = new.into();
    }

    fn adapt(&mut self, pod: &mut Value, agent: &Path) {
        let container = &mut pod["containers"][0];
        container["image"] = self.yard.podman.image().into();
        for variable in container["env"].as_array_mut().unwrap() {
            if let Some(key) = variable.pointer_mut("/valueFrom/secretKeyRef/name") {
                self.rename(key);
            }
        }
        let mounts = container["volumeMounts"].as_array_mut().unwrap();
        for mount in mounts.iter_mut() {
            self.rename(&mut mount["name"]);
        }
        mounts.push(json!({ "name": "claude", "mountPath": "/bin/claude", "readOnly": true }));
        let volumes = pod["volumes"].as_array_mut().unwrap();
        for volume in volumes.iter_mut() {
            self.rename(&mut volume["name"]);
            if let Some(map) = volume.get_mut("configMap") {
                self.rename(&mut map["name"]);
            } else if volume.get("emptyDir").is_some() {
                // Here a volume of that name, which pods share.
                let name = volume["name"].as_str().unwrap();
                self.volumes.push(name.to_owned());
            } else {
                let login = self.yard.scene.folder();
                *volume = json!({ "name": volume["name"], "hostPath": { "path": login } });
            }
        }
        volumes.push(json!({ "name": "claude", "hostPath": { "path": agent, "type": "File" } }));
    }

    fn play(&self) {
        let key = self.dir.join("key");
        // In base64.
        fs::write(&key, json!({ "ANTHROPIC_API_KEY": "YS1rZXk=" }).to_string()).unwrap();
        let secret = format!("{}chat", self.prefix);
        let mut create = self.yard.podman.call();
        read(create.args(["secret", "create", &secret]).arg(key));
        let texts: Vec<String> = self.objects.iter().map(Value::to_string).collect();
        let file = self.dir.join("objects.yaml");
        fs::write(&file, texts.join("\n---\n")).unwrap();
        let mut play = self.yard.podman.call();
        read(play.args(["kube", "play", "--network", "none"]).arg(file));
    }

    /// The name of a pod, which is its host name.
    fn pod(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn container(&self, name: &str) -> Container<'a> {
        self.yard.podman.named(&self.pod(name))
    }

    /// The spec of a deployment's pods.
    fn spec(&self, name: &str) -> &Value {
        let is_it = |object: &&Value| {
            object["kind"] == "Deployment" && object["metadata"]["name"] == self.pod(name)
        };
        &self.objects.iter().find(is_it).unwrap()["spec"]["template"]["spec"]
    }

    fn stop(&self, pod: &str, deployment: &str) {
        let grace = &self.spec(deployment)["terminationGracePeriodSeconds"];
        let mut stop = self.yard.podman.call();
        stop.args(["pod", "stop", "--time", &grace.to_string()]);
        read(stop.arg(self.pod(pod)));
    }
}

impl Drop for Played<'_> {
    fn drop(&mut self) {
        let podman = &self.yard.podman;
        for pod in ["agents-pod-0", "agents-pod-1", "chat-pod-0"] {
            let mut remove = podman.call();
            remove.args(["pod", "rm", "--force", "--time", "0"]);
            drop(output(remove.arg(self.pod(pod))));
        }
        let mut remove = podman.call();
        drop(output(
            remove.args(["volume", "rm", "--force"]).args(&self.volumes),
        ));
        let secret = format!("{}chat", self.prefix);
        drop(output(podman.call().args(["secret", "rm", &secret])));
        // Those of the pods are gone, that in which they lay is not.
        remove_group("libpod_parent");
    }
}

/// The exit code of a probe's command, asked as the kubelet asks, and what it says.
fn probe(played: &Played<'_>, container: &Container<'_>, name: &str) -> (Option<i32>, String) {
    let spec = &played.spec("agents")["containers"][0];
    let words = spec[name]["exec"]["command"].as_array().unwrap();
    let words: Vec<&str> = words.iter().map(|word| word.as_str().unwrap()).collect();
    let asked = output(&mut container.exec(&words));
    (asked.status.code(), text(&asked.stdout))
}

const PROBES: [&str; 3] = ["startupProbe", "readinessProbe", "livenessProbe"];

#[test]
fn containers_of_the_kubernetes_pods_take_turns_answer_their_probes_and_end_in_order() {
    need!(
        "root",
        "podman",
        "crun",
        "buildah",
        "busybox",
        "static",
        "catatonit",
        "judges"
    );
    let Yard { scene, podman } = Yard::new();
    let podman = podman.for_pods();
    let yard = Yard { scene, podman };
    let held = yard.scene.hold();
    let played = Played::new(&yard);
    played.play();
    let agents = ["agents-pod-0", "agents-pod-1"];
    let containers = agents.map(|pod| played.container(&format!("{pod}-agent")));
    let chat = played.container("chat-pod-0-chat");
    until("the chat passes", || {
        chat.logs().contains("at the terminal with a-key")
    });
    for container in &containers {
        until("it has started", || {
            probe(&played, container, "startupProbe").0 == Some(0)
        });
        for name in PROBES {
            let answer = (Some(0), "healthy\n".to_owned());
            assert_eq!(probe(&played, container, name), answer, "{name}");
        }
    }
    until("both queue", || yard.scene.waiting() == 2);
    for container in containers.iter().chain([&chat]) {
        let script = "cat /proc/1/comm; id -u; id -g; touch /file 2>&1; \
            sed -n 's/^\\(CapBnd\\|NoNewPrivs\\|Seccomp\\):.//p' /proc/1/status";
        let has = read(&mut container.exec(&["sh", "-c", script]));
        let has: Vec<&str> = has.lines().collect();
        let refused = "touch: /file: Read-only file system";
        let expected = [
            "lockkeeper",
            "1000",
            "1000",
            refused,
            "0000000000000000",
            "1",
            "2",
        ];
        assert_eq!(has, expected);
    }
    let names = agents.map(|pod| played.pod(pod));
    take_turns(&yard, held, [&names[0], &names[1]]);

    // What `kubectl apply` puts there some time later.
    let [first, second] = &containers;
    let map = played.pod("agents");
    let mut inspect = yard.podman.call();
    inspect.args(["volume", "inspect", "--format", "{{.Mountpoint}}", &map]);
    let file = Path::new(&read(&mut inspect)).join("lockkeeper.toml");
    let toml = fs::read_to_string(&file).unwrap();
    let fails =
        "\n[jobs.fails]\nclass = \"interactive\"\nstdin = \"null\"\ncommand = [\"false\"]\n";
    fs::write(&file, toml + fails).unwrap();
    read(&mut first.exec(&["lockkeeper", "reload"]));
    until("a job that has failed for good makes it unready", || {
        probe(&played, first, "readinessProbe").0 == Some(1)
    });
    assert_eq!(probe(&played, first, "livenessProbe").0, Some(0));
    second.kill(SIGSTOP);
    thread::scope(|scope| {
        for name in ["readinessProbe", "livenessProbe"] {
            let (played, second) = (&played, second);
            scope.spawn(move || assert_eq!(probe(played, second, name).0, Some(1), "{name}"));
        }
    });
    second.kill(SIGCONT);

    thread::scope(|scope| {
        for pod in agents {
            let played = &played;
            scope.spawn(move || played.stop(pod, "agents"));
        }
        played.stop("chat-pod-0", "chat");
    });
    for (container, name) in containers.iter().zip(names) {
        assert_eq!(container.wait(), 0, "{}", container.errors());
        for line in container.errors().lines() {
            let note: Value = serde_json::from_str(line).expect(line);
            assert_eq!(note["CONTAINER_NAME"], *name, "{line}");
        }
    }
    assert_eq!(chat.wait(), 143, "{}", chat.logs());
    is_in_order(&yard);
}
