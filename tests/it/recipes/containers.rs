//! The recipes in which something runs in a container.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal::SIGKILL;

use super::host::{Host, KEY, LOGIN};
use crate::support::agent;
use crate::support::api::Answer;
use crate::support::child::signal;
use crate::support::need::need;
use crate::support::wait::{until, until_some};

const BATCH: &str = "Claude Code in batch containers";

/// The login's batch agents are at it for ever; others have their answer at once.
fn busy(who: &str) -> Answer {
    if who == LOGIN {
        Answer::Endless
    } else {
        Answer::Now
    }
}

/// For long enough to be seen beside another one that has started with it.
fn at_work(_: &str) -> Answer {
    Answer::After(Duration::from_secs(1))
}

/// A host with containers, a real agent and a journal, whose API answers like that; and what else is needed.
macro_rules! host {
    ($answers:expr $(, $more:literal)*) => {{
        need!(
            "root",
            "podman",
            "crun",
            "buildah",
            "static",
            "agent",
            "debian.tar",
            "journald"
            $(, $more)*
        );
        Host::new($answers).with_docker()
    }};
}

impl Host {
    /// Waits until so many agents of the login have had their answer; no two were at work at once.
    #[track_caller]
    fn took_turns(&self, agents: usize) {
        let count = |asked: &[crate::support::api::Request]| {
            let ended = asked.iter().filter(|one| one.ended.is_some());
            ended
                .map(|one| one.session.clone())
                .collect::<BTreeSet<_>>()
                .len()
        };
        self.api
            .until("each has its answer", |asked| count(asked) >= agents);
        let asked = self.api.requests();
        for one in &asked {
            let beside = asked
                .iter()
                .find(|other| other.session != one.session && one.overlaps(other));
            assert!(beside.is_none(), "{one:?} overlaps {beside:?}");
        }
    }

    /// The image of the batch containers.
    fn build_my_agent(&mut self) {
        self.prepare(BATCH, |script| !script.contains("--detach"));
    }

    /// Has the batch containers run, the first at work, the second behind it.
    fn start_batch_containers(&mut self) {
        self.build_my_agent();
        let (all, one, two) = ("agents-1 agents-2;", "agents-1;", "agents-2;");
        let start = super::host::script(BATCH, "--detach");
        assert!(start.contains(all), "{start}");
        self.read(&start.replace(all, one));
        self.api
            .until("the first is at work", |asked| !asked.is_empty());
        self.read(&start.replace(all, two));
        until("the second waits", || self.status().contains("1 waiting"));
    }

    fn status(&self) -> String {
        self.sh("lockkeeper status /srv/claude/session.lock").text
    }
}

#[test]
fn a_container_with_lockkeeper_in_place_of_tini_keeps_the_status_reaps_orphans_and_stops_at_once() {
    let mut host = host!(at_work);
    host.follow("To begin with");
    host.follow("In place of tini");
    // Where nobody reaps, the orphan stays as a zombie, and the wait does not end.
    host.read("docker run --detach --name orphans tool");
    host.read("docker exec orphans sh -c 'sleep 0.1 & echo $! > /tmp/orphan'");
    let gone = "while test -e /proc/$(cat /tmp/orphan); do sleep 0.01; done";
    host.read(&format!("timeout 30 docker exec orphans sh -c '{gone}'"));
}

#[test]
fn real_agents_in_batch_containers_take_turns_and_what_one_leaves_that_is_killed_in_its_refresh_goes()
 {
    let mut host = host!(at_work);
    host.follow(BATCH);
    // One in the foreground, two in the background.
    host.took_turns(3);
    assert_eq!(
        host.read("docker stop agents-1 agents-2").lines().count(),
        2
    );
    for name in ["agents-1", "agents-2"] {
        let code = host.read(&format!(
            "docker inspect --format '{{{{.State.ExitCode}}}}' {name}"
        ));
        assert_eq!(code.trim(), "0", "of {name}");
    }
    // The login has run out, and the one who should renew it never answers.
    agent::expire(&host.path("srv/claude"));
    let silent = host.net.listen();
    let proxy = silent.local_addr().unwrap();
    let run = format!(
        "docker run --detach --name amid --hostname amid --env HTTPS_PROXY=http://{proxy} \
         --env NO_PROXY=127.0.0.1 --volume /srv/claude:/home/agent/.claude \
         --volume /srv/agent:/srv/agent --volume /run/systemd/journal:/run/systemd/journal:ro my-agent"
    );
    host.read(&run);
    let refresh = host.path("srv/claude/.oauth_refresh.lock");
    until("it refreshes", || refresh.exists());
    let started = until_some("its start is on record", || {
        let records = host.records(&["CONTAINER_NAME=amid", "JOB=dev"]);
        records.into_iter().find(|one| one.get("JOB_PID").is_some())
    });
    // Its number in the container; on the host that is the child of the container's run.
    let inside = started["JOB_PID"].as_str().unwrap().to_owned();
    let pid1 = host.read("docker inspect --format '{{.State.Pid}}' amid");
    signal(
        super::host::outside(pid1.trim().parse().unwrap(), &inside),
        SIGKILL,
    );
    until("what it left is gone", || !refresh.exists());
    let ended = until_some("its end is on record", || {
        let records = host.records(&["CONTAINER_NAME=amid", "RUN_CODE=137"]);
        records.into_iter().next()
    });
    assert_eq!(ended["JOB"], "dev");
    let left = host.read("docker exec amid ls -A /home/agent /home/agent/.claude");
    assert!(
        !left.contains(".claude.lock") && !left.contains("refresh.lock"),
        "{left}"
    );
    // The next one does its work.
    agent::log_in(&host.path("srv/claude"));
    let next = host.read("docker exec amid lockkeeper run dev");
    assert!(next.contains("\"result\":\"The lock was free.\""), "{next}");
}

#[test]
fn a_chat_in_a_container_starts_at_once_beside_real_agents_that_take_turns() {
    let mut host = host!(busy);
    host.start_batch_containers();
    // Else it asks for a theme, whether the key may be used, and whether the folder is to be trusted.
    let chat = host.path("srv/claude-chat");
    fs::create_dir(&chat).unwrap();
    let answered = format!(
        r#"{{"hasCompletedOnboarding":true,"customApiKeyResponses":{{"approved":["{KEY}"]}},
            "projects":{{"/":{{"hasTrustDialogAccepted":true}}}}}}"#
    );
    fs::write(chat.join(".claude.json"), answered).unwrap();
    host.follow("A chat beside them");
    let asked = host.api.requests();
    let own = asked
        .iter()
        .filter(|one| one.who == KEY && one.ended.is_some());
    let sessions: BTreeSet<_> = own.map(|one| &one.session).collect();
    assert_eq!(sessions.len(), 2, "at a terminal, and without: {asked:?}");
    assert!(
        host.status().contains("held, 1 waiting"),
        "{}",
        host.status()
    );
    assert!(
        asked
            .iter()
            .all(|one| one.who != LOGIN || one.ended.is_none()),
        "{asked:?}"
    );
}

#[test]
fn another_agent_is_looked_at_and_then_takes_turns_in_containers() {
    let mut host = host!(at_work, "strace");
    // What is to be seen is a refresh.
    agent::expire(&host.path("home/.claude"));
    host.follow("Codex, or any other agent");
    let run = "docker run --rm --volume /srv/codex:/home/agent/.codex --volume /srv/agent:/srv/agent \
               my-codex run dev";
    let said = host.read(run);
    assert!(
        said.contains("codex was asked: exec take the next issue\n"),
        "{said}"
    );
    let lock = host.path("srv/codex/session.lock");
    assert!(lock.exists(), "they took turns in the shared folder");
}

#[test]
fn the_roles_of_a_factory_have_their_turns_in_one_container() {
    let mut host = host!(at_work);
    host.build_my_agent();
    let roles = ["review", "dev", "architect"];
    for role in roles {
        let folder = host.path("srv/factory");
        fs::create_dir_all(folder.join(role)).unwrap();
        fs::write(folder.join(format!("{role}.md")), format!("be the {role}")).unwrap();
    }
    host.follow("A factory in place of a shell loop");
    for role in roles {
        until("the role has had its turn", || {
            let job = format!("JOB={role}");
            !host
                .records(&["CONTAINER_NAME=factory", &job, "RUN_CODE=0"])
                .is_empty()
        });
    }
    host.took_turns(3);
    assert_eq!(host.read("docker stop factory").trim(), "factory");
}

#[test]
fn the_journal_tells_of_runs_in_containers_and_beside_them() {
    let mut host = host!(busy);
    host.start_batch_containers();
    host.follow("Reading the journal");
    let picture = fs::read_to_string(host.path("home/work/day.svg")).unwrap();
    assert!(picture.contains("agents-1") && picture.contains("agents-2"));
}

#[test]
fn whoever_finds_the_lock_held_by_a_container_sees_who_has_it_stops_it_and_keeps_others_out() {
    let mut host = host!(busy);
    host.start_batch_containers();
    host.follow("When the lock is held");
    until("the next one has it, and the stopped one waits", || {
        let show = host
            .sh("lockkeeper lock show /srv/claude/session.lock")
            .text;
        show.contains("held by job \"dev\" in container \"agents-2\"") && show.contains("agents-1")
    });
    let stopped = host.records(&["CONTAINER_NAME=agents-1", "JOB=dev", "RUN_CODE=143"]);
    assert_eq!(stopped.len(), 1);
}
