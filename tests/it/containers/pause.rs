//! A pause for all: in three real containers that share the folder of a login.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use lockkeeper::lock::pause::{folder, pauses};
use lockkeeper::sys::clock;
use nix::sys::stat::Mode;

use crate::support::child::text;
use crate::support::need::need;
use crate::support::podman::Container;
use crate::support::wait::until;
use crate::support::yard::{LOGIN, Yard};

const DAY: u64 = 24 * 3_600_000;

/// A batch job each second that leaves a line in DIR/NAME, and a chat that does the same in DIR/chat.
fn works(name: &str) -> String {
    format!(
        "[init]
        name = \"{name}\"
        [classes.batch]
        identity = \"DIR\"
        [jobs.dev]
        class = \"batch\"
        every = \"1s\"
        script = append DIR/{name} x
        [classes.interactive]
        identity = \"DIR\"
        [jobs.chat]
        class = \"interactive\"
        stdin = \"null\"
        every = \"1s\"
        script = append DIR/chat-{name} x"
    )
}

/// One whose agent says, on standard error and once, that the limit is reached.
const SAYS: &str = "[init]
    name = \"loud\"
    stay = true
    [classes.batch]
    identity = \"DIR\"
    pause = { line = \"limit reached\", for = \"1h\" }
    [jobs.agent]
    class = \"batch\"
    script = err Usage limit reached , exit 1";

/// How many lines a file of the yard has.
fn lines(yard: &Yard, name: &str) -> usize {
    fs::read_to_string(yard.scene.path(name)).map_or(0, |text| text.lines().count())
}

/// Waits until each of these files has so many lines more.
fn await_more(yard: &Yard, names: &[&str], more: usize) {
    let before: Vec<usize> = names.iter().map(|name| lines(yard, name)).collect();
    until("they go on", || {
        let now = names.iter().map(|name| lines(yard, name));
        now.zip(&before).all(|(now, before)| now >= before + more)
    });
}

/// Waits until both have refused a start from here on, and says that neither starts while chats do.
#[track_caller]
fn assert_stopped(yard: &Yard, containers: [&Container<'_>; 2]) {
    let refusals =
        |container: &Container<'_>| container.errors().matches("not started now").count();
    for container in containers {
        let before = refusals(container);
        until("a start is refused", || refusals(container) > before);
    }
    let before = [lines(yard, "one"), lines(yard, "two")];
    await_more(yard, &["chat-one", "chat-two"], 3);
    assert_eq!([lines(yard, "one"), lines(yard, "two")], before);
}

/// `lockkeeper pause end` in a container of its own, as a user who owns nothing there.
#[track_caller]
fn end_as_somebody(yard: &Yard) {
    let stranger = yard
        .container(&["pause", "end", LOGIN])
        .with(&["--user", "12345:12345"]);
    let ended = yard.podman.run(&stranger);
    assert!(ended.status.success(), "{}", text(&ended.stderr));
    let found = pauses(&yard.scene.lock());
    assert_eq!((found.active, found.ignored), (vec![], vec![]));
}

fn record(set: u64, until: u64) -> String {
    format!("{{\"v\":1,\"set_unix_ms\":{set},\"until_unix_ms\":{until},\"by\":\"mallory\"}}")
}

#[test]
fn one_agents_line_stops_the_next_starts_in_all_containers_until_somebody_ends_it() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let yard = Yard::new();
    let one = yard.podman.start(&yard.init(&works("one")));
    let two = yard
        .podman
        .start(&yard.init(&works("two")).with(&["--user", "1000:1000"]));
    await_more(&yard, &["one", "two", "chat-one", "chat-two"], 1);
    let loud = yard.podman.start(&yard.init(SAYS));
    until("the line was said", || {
        !pauses(&yard.scene.lock()).active.is_empty()
    });
    assert_stopped(&yard, [&one, &two]);
    let told = two.errors();
    let why = "by word of job \"agent\" in container \"loud\"";
    assert!(
        told.contains(why) && told.contains("\"Usage limit reached\""),
        "{told}"
    );

    end_as_somebody(&yard);
    await_more(&yard, &["one", "two"], 2);
    drop((one, two, loud));
}

#[test]
fn a_hostile_or_broken_pause_stops_no_container_for_longer_than_it_says_and_can_be_removed() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let yard = Yard::new();
    let one = yard.podman.start(&yard.init(&works("one")));
    let two = yard
        .podman
        .start(&yard.init(&works("two")).with(&["--user", "1000:1000"]));
    let third = yard.podman.start(&yard.init(&works("three")));
    await_more(&yard, &["one", "two", "three"], 1);
    let folder = folder(&yard.scene.lock());
    let set = yard.container(&["pause", "--for", "1s", LOGIN]);
    assert!(yard.podman.run(&set).status.success());
    let put = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();

    // What is none: all of it at once.
    let now = clock::unix_ms();
    put("empty.pause", "");
    put("half.pause", "{\"v\":1,\"until_unix_ms\":99999999999999,");
    put(
        "huge.pause",
        &format!("{}{}", record(now, now + DAY), " ".repeat(1 << 20)),
    );
    put("ahead.pause", &record(now + DAY, now + 2 * DAY));
    put("past.pause", &record(now - 2 * DAY, u64::MAX));
    put(".killed.tmp", &record(now, now + DAY));
    put("name", &record(now, now + DAY));
    nix::unistd::mkfifo(&folder.join("fifo.pause"), Mode::from_bits_truncate(0o666)).unwrap();
    fs::write(yard.scene.path("good"), record(now, now + DAY)).unwrap();
    symlink(Path::new(LOGIN).join("good"), folder.join("link.pause")).unwrap();
    fs::hard_link(yard.scene.path("good"), folder.join("second.pause")).unwrap();
    fs::create_dir(folder.join("dir.pause")).unwrap();
    await_more(&yard, &["one", "two", "three"], 3);
    assert!(two.errors().contains("is no pause and stops nobody"));
    end_as_somebody(&yard);
    assert!(yard.scene.path("good").exists());

    // One that says that it never ends: a day, and whoever is stopped ends it.
    put("endless.pause", &record(clock::unix_ms(), u64::MAX));
    let until = pauses(&yard.scene.lock()).active.pop().unwrap().until;
    assert!(until <= clock::unix_ms() + DAY);
    assert_stopped(&yard, [&one, &two]);
    end_as_somebody(&yard);
    await_more(&yard, &["one", "two", "three"], 1);

    // And one that keeps its word is over when it says, and removed by who passes.
    let now = clock::unix_ms();
    put("short.pause", &record(now, now + 2000));
    await_more(&yard, &["one", "two", "three"], 1);
    until_gone(&folder);
    drop(third);
}

fn until_gone(folder: &Path) {
    until("it is removed", || {
        fs::read_dir(folder).unwrap().count() == 0
    });
}
