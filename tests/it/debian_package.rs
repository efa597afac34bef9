//! The Debian package: made, installed in a clean Debian, used there, replaced and removed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::support::child::{bare, output, read, text};
use super::support::debian::{in_clean_root, package};
use super::support::dir::Dir;
use super::support::need::need;
use super::support::pty::Pty;

/// Every file and folder of the root with what it is, but dpkg's own records; contents by size and time.
const LIST: &str = r"list() {
    find / -xdev \( -path /var/lib/dpkg -o -path /var/log/dpkg.log \) -prune \
        -o -type f -printf '%m %U:%G %s %T@ %p\n' -o -printf '%y %m %U:%G %p %l\n' | sort
}
";

#[test]
fn the_package_is_the_same_bytes_when_it_is_made_again_elsewhere_and_by_somebody_else() {
    need!("static", "cargo-deb", "xz");
    let (one, other) = (Dir::new(), Dir::new());
    let first = fs::read(package(&one, "")).unwrap();
    let how = "umask 077; export TZ=Asia/Tokyo LC_ALL=C.UTF-8;";
    let second = fs::read(package(&other, how)).unwrap();
    assert!(first == second, "the packages differ");
}

#[test]
fn lintian_has_nothing_to_say_about_the_package_but_what_is_overridden_with_a_reason() {
    need!("static", "cargo-deb", "xz", "lintian");
    let dir = Dir::new();
    let package = package(&dir, "");
    let mut lintian = Command::new("lintian");
    bare(&mut lintian).args(["--allow-root", "--display-info"]);
    let told = output(lintian.arg(&package));
    assert!(told.status.success(), "{}", text(&told.stderr));
    // Information is no fault, but tells of an override that nothing needs any more.
    let said = text(&told.stdout);
    let fault = |line: &&str| !line.starts_with("I:") || line.contains("override");
    assert_eq!(said.lines().filter(fault).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn a_clean_container_installs_the_package_runs_it_and_has_no_file_more_when_it_is_removed() {
    need!("root", "static", "cargo-deb", "xz", "debian.tar", "mandoc");
    let dir = Dir::new();
    package(&dir, "");
    let told = in_clean_root(
        &dir,
        &format!(
            r#"{LIST}
            list >/srv/before
            dpkg -i /srv/lockkeeper.deb >/srv/dpkg 2>&1 || {{ cat /srv/dpkg >&2; exit 1; }}
            list >/srv/between
            dpkg -L lockkeeper >/srv/installed
            lockkeeper --version
            lockkeeper check >/srv/check

            mkdir /srv/login
            printf '%s\n' '[classes.batch]' 'identity = "/srv/login"' '[jobs.dev]' 'class = "batch"' \
                'command = ["sh", "-c", "echo a batch run: $LOCKKEEPER_JOB"]' >/etc/lockkeeper.toml
            lockkeeper check >>/srv/check
            lockkeeper run -q dev
            rm -r /etc/lockkeeper.toml /srv/login
            for example in /usr/share/doc/lockkeeper/examples/*.toml; do
                test -f "$(sed -n '1s/^#:schema //p' "$example")"
            done
            cp /usr/share/man/man1/lockkeeper.1.gz /usr/share/man/man5/lockkeeper.toml.5.gz /srv/

            dpkg --remove lockkeeper >>/srv/dpkg 2>&1
            list >/srv/removed
            dpkg --purge lockkeeper >>/srv/dpkg 2>&1
            list >/srv/after
            ! dpkg --status lockkeeper >/srv/status 2>&1
            "#
        ),
    );
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(told, format!("lockkeeper {version}\na batch run: dev"));

    let lines = |name: &str| -> BTreeSet<String> {
        let text = fs::read_to_string(dir.join(name)).unwrap();
        text.lines().map(str::to_owned).collect()
    };
    let (before, between) = (paths(&lines("before")), paths(&lines("between")));
    let came: BTreeSet<_> = between.difference(&before).cloned().collect();
    let installed = lines("installed");
    let foreign: Vec<_> = came.difference(&installed).collect();
    assert!(foreign.is_empty(), "not dpkg's: {foreign:?}");
    for path in [
        "/usr/bin/lockkeeper",
        "/usr/share/man/man1/lockkeeper.1.gz",
        "/usr/share/man/man5/lockkeeper.toml.5.gz",
        "/usr/share/bash-completion/completions/lockkeeper",
        "/usr/share/zsh/vendor-completions/_lockkeeper",
        "/usr/share/fish/vendor_completions.d/lockkeeper.fish",
        "/usr/lib/systemd/catalog/lockkeeper.catalog",
        "/usr/share/lockkeeper/lockkeeper.schema.json",
        "/usr/share/doc/lockkeeper/examples/agents.toml",
        "/usr/share/doc/lockkeeper/changelog.gz",
        "/usr/share/doc/lockkeeper/third-party.gz",
        "/usr/share/doc/lockkeeper/copyright",
    ] {
        assert!(came.contains(path), "{path} is missing: {came:?}");
    }
    for name in ["removed", "after"] {
        let left: Vec<_> = paths(&lines(name)).difference(&before).cloned().collect();
        assert!(left.is_empty(), "left when {name}: {left:?}");
        let changed: Vec<_> = files(&lines("before"))
            .difference(&files(&lines(name)))
            .cloned()
            .collect();
        assert!(changed.is_empty(), "changed or lost: {changed:?}");
    }
    for page in ["lockkeeper.1.gz", "lockkeeper.toml.5.gz"] {
        let mut mandoc = Command::new("mandoc");
        let shown = read(bare(&mut mandoc).arg(dir.join(page)));
        assert!(shown.lines().count() > 50, "{shown}");
    }
}

/// The last word but the target of a link: `LIST` writes no path with a blank in it.
fn paths(lines: &BTreeSet<String>) -> BTreeSet<String> {
    let path = |line: &String| {
        line.split_whitespace()
            .find(|word| word.starts_with('/'))
            .map(str::to_owned)
    };
    lines.iter().filter_map(path).collect()
}

/// Files and links alone: a folder's mode says nothing of what went in and out.
fn files(lines: &BTreeSet<String>) -> BTreeSet<String> {
    lines
        .iter()
        .filter(|line| !line.starts_with('d'))
        .cloned()
        .collect()
}

/// The same package as `package` with another version, another program and a file more.
fn older(dir: &Dir, package: &Path) {
    let tree = dir.join("tree");
    read(Command::new("dpkg-deb").arg("-R").arg(package).arg(&tree));
    let control = tree.join("DEBIAN/control");
    let text = fs::read_to_string(&control).unwrap();
    let version = format!("Version: {}-1", env!("CARGO_PKG_VERSION"));
    assert!(text.contains(&version), "{text}");
    fs::write(control, text.replace(&version, "Version: 0.0.1-1")).unwrap();
    fs::write(tree.join("usr/bin/lockkeeper"), "#!/bin/sh\necho older\n").unwrap();
    fs::write(tree.join("usr/share/lockkeeper/of-old"), "").unwrap();
    let older = dir.join("older.deb");
    read(
        Command::new("dpkg-deb")
            .args(["--root-owner-group", "-b"])
            .arg(tree)
            .arg(older),
    );
}

#[test]
fn a_clean_container_replaces_an_older_package_and_keeps_the_users_file() {
    need!("root", "static", "cargo-deb", "xz", "debian.tar");
    let dir = Dir::new();
    older(&dir, &package(&dir, ""));
    let told = in_clean_root(
        &dir,
        &format!(
            r"{LIST}
            echo '# mine' >/etc/lockkeeper.toml
            list >/srv/before
            dpkg -i /srv/older.deb >/srv/dpkg 2>&1
            lockkeeper
            test -e /usr/share/lockkeeper/of-old
            dpkg -i /srv/lockkeeper.deb >>/srv/dpkg 2>&1 || {{ cat /srv/dpkg >&2; exit 1; }}
            lockkeeper --version
            dpkg-query -W -f '${{Version}}\n' lockkeeper
            ! test -e /usr/share/lockkeeper/of-old
            dpkg --purge lockkeeper >>/srv/dpkg 2>&1
            list >/srv/after
            cat /etc/lockkeeper.toml
            "
        ),
    );
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        told,
        format!("older\nlockkeeper {version}\n{version}-1\n# mine")
    );
    let [before, after] = ["before", "after"].map(|name| {
        let text = fs::read_to_string(dir.join(name)).unwrap();
        paths(&text.lines().map(str::to_owned).collect())
    });
    assert_eq!(before, after);
}

/// systemd's own triggers in a package of nothing else: what it is told is what systemd would be told.
#[test]
fn a_clean_containers_systemd_is_told_when_the_message_catalog_comes_and_goes() {
    need!(
        "root",
        "static",
        "cargo-deb",
        "xz",
        "debian.tar",
        "journald"
    );
    let dir = Dir::new();
    package(&dir, "");
    let control = dir.join("ear/DEBIAN");
    fs::create_dir_all(&control).unwrap();
    fs::copy(
        "/var/lib/dpkg/info/systemd.triggers",
        control.join("triggers"),
    )
    .unwrap();
    let fields =
        "Package: ear\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: an ear\n";
    fs::write(control.join("control"), fields).unwrap();
    fs::write(
        control.join("postinst"),
        "#!/bin/sh\necho \"$@\" >>/srv/told\n",
    )
    .unwrap();
    let told = in_clean_root(
        &dir,
        "chmod 755 /srv/ear /srv/ear/DEBIAN /srv/ear/DEBIAN/postinst
        dpkg-deb --build /srv/ear /srv/ear.deb >/dev/null
        dpkg -i /srv/ear.deb >/dev/null 2>&1
        : >/srv/told
        dpkg -i /srv/lockkeeper.deb >/dev/null 2>&1
        echo removed >>/srv/told
        dpkg --remove lockkeeper >/dev/null 2>&1
        cat /srv/told",
    );
    let heard = "triggered /usr/lib/systemd/catalog";
    assert_eq!(told, format!("{heard}\nremoved\n{heard}"));
}

/// A shell at a terminal, on this machine as it were if the package was installed: what the package has
/// below /usr lies over the machine's own, for this shell alone. Its home has a file with one job.
fn at_a_shell(dir: &Dir, shell: &[&str]) -> Pty {
    let tree = dir.join("tree");
    read(
        Command::new("dpkg-deb")
            .arg("-x")
            .arg(package(dir, ""))
            .arg(&tree),
    );
    let toml = "[classes.mine]\nkind = \"interactive\"\n[jobs.only-job]\nclass = \"mine\"\ncommand = [\"echo\", \"it\", \"has\", \"run\"]\n";
    fs::write(dir.join("jobs.toml"), toml).unwrap();
    let mount = "mount -t overlay -o \"lowerdir=$0/usr:/usr\" none /usr && exec \"$@\"";
    let mut command = Command::new("unshare");
    bare(&mut command)
        .args(["--mount", "sh", "-c", mount])
        .arg(tree)
        .args(shell);
    command
        .env("HOME", &**dir)
        .env("TERM", "vt100")
        .current_dir(&**dir);
    Pty::start(&mut command, Command::spawn)
}

/// What is typed up to a TAB is completed, and the line then does what it says.
#[track_caller]
fn completes_verbs_jobs_and_classes(mut pty: Pty) {
    pty.keys("lockkeeper lock relea\t--help\n");
    pty.until("give back a directory that was held by hand");
    pty.keys("lockkeeper run -c jobs.toml only\t\n");
    pty.until("it has run");
    pty.keys("lockkeeper run -c jobs.toml --class mi\t-- echo 'the class' is known\n");
    pty.until("the class is known");
    // No file, no names and no word about it; and the shell is still there.
    pty.keys("lockkeeper run -c nowhere.toml only\t\t\x15echo 'no' 'noise'\n");
    let seen = pty.until("no noise");
    assert!(
        !seen.contains("nowhere.toml\"") && !seen.contains("error"),
        "{seen}"
    );
}

#[test]
fn bash_completes_verbs_jobs_and_classes_where_the_package_is_installed() {
    need!(
        "root",
        "static",
        "cargo-deb",
        "xz",
        "bash",
        "bash-completion"
    );
    let dir = Dir::new();
    let mut pty = at_a_shell(&dir, &["bash", "--norc", "-i"]);
    pty.line(". /usr/share/bash-completion/bash_completion; echo 're''ady'");
    pty.until("ready");
    completes_verbs_jobs_and_classes(pty);
}

#[test]
fn zsh_completes_verbs_jobs_and_classes_where_the_package_is_installed() {
    need!("root", "static", "cargo-deb", "xz", "zsh");
    let dir = Dir::new();
    let mut pty = at_a_shell(&dir, &["zsh", "-f", "-i"]);
    pty.line("autoload -U compinit && compinit -D -u; echo 're''ady'");
    pty.until("ready");
    completes_verbs_jobs_and_classes(pty);
}

#[test]
fn fish_completes_verbs_jobs_and_classes_where_the_package_is_installed() {
    need!("root", "static", "cargo-deb", "xz", "fish");
    let dir = Dir::new();
    let mut pty = at_a_shell(&dir, &["fish", "-i"]);
    pty.line("echo 're''ady'");
    pty.until("ready");
    completes_verbs_jobs_and_classes(pty);
}
