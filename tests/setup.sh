#!/bin/sh
# Installs on a Debian machine what the tests need from outside: real containers, a real journal, a
# real agent.
#
# Called by tests/run.sh and by nothing else; a test never installs. Does nothing, and asks no
# server, where all is there. What cannot be had is named on standard error and the tests that need
# it are skipped; with LOCKKEEPER_REQUIRE_REAL=1 that is exit 1.
# shellcheck disable=SC2317 # functions that are called as arguments of part
set -u
cd "$(dirname "$0")/.." || exit 1
target=${CARGO_TARGET_DIR:-target}

# One at a time here; between checkouts apt's own lock is waited for.
mkdir -p "$target" && exec 9>"$target/setup.lock" && flock 9
lacking=$target/lacking
: >"$lacking"

# command or file, Debian package, the tests that want it
wanted='podman podman container
crun crun container
buildah buildah container
static-busybox busybox-static container
tini tini comparison
/lib/systemd/systemd-journald systemd journal
logger bsdutils journal
systemd-analyze systemd deployment
catatonit catatonit deployment
venv python3-venv deployment
strace strace system-call
git git recipe
bindfs bindfs split
unshare util-linux namespace
mmdebstrap mmdebstrap newcomer
qemu-aarch64-static qemu-user-static arm64
dpkg-scanpackages dpkg-dev image
timeout coreutils comparison
tmux tmux terminal
chromium chromium picture
bash bash terminal
hyperfine hyperfine cost
cc gcc all
patch patch chaos
npm npm agent
jsonschema python3-jsonschema schema
mandoc mandoc manual
zsh zsh completion
fish fish completion
/usr/share/bash-completion/bash_completion bash-completion completion
lintian lintian package
xz xz-utils package
go golang-go directory-lock
node nodejs peer'

have() {
    case $1 in
        # The image has no libraries, so the busybox with libraries is none.
        static-busybox) [ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1 ;;
        venv) /usr/bin/python3 -c 'import venv, ensurepip' 2>/dev/null ;;
        jsonschema)
            for python in /usr/bin/python3 python3; do
                "$python" -c 'import jsonschema, tomllib' 2>/dev/null && return
            done
            return 1 ;;
        *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}
lacks() {
    echo "missing: $1 ($2 tests will be skipped)" | tee -a "$lacking" >&2
}

packages=$(echo "$wanted" | while read -r what package _; do
    have "$what" || echo "$package"
done | sort -u | tr '\n' ' ')
sudo=
[ "$(id -u)" = 0 ] || sudo='sudo -n'
if [ -n "$packages" ] && have apt-get && $sudo true; then
    echo "setup: installing $packages" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt="$sudo apt-get -q -o DPkg::Lock::Timeout=600"
    # Without our lock: a service that a package starts would keep it.
    $apt update >&2 9>&-
    # One by one where all together fails: what cannot be had must not cost the others.
    # shellcheck disable=SC2086 # a list of words
    $apt install -y --no-install-recommends $packages >&2 9>&- ||
        for package in $packages; do
            $apt install -y --no-install-recommends "$package" >&2 9>&-
        done
fi
if [ -n "$packages" ]; then
    while read -r what package tests; do
        have "$what" || lacks "$package" "$tests"
    done <<END
$wanted
END
fi

# journald wants a machine's name; an image of Debian may have none.
[ -s /etc/machine-id ] || ! have systemd-machine-id-setup || $sudo systemd-machine-id-setup >&2 ||
    lacks "a number of this machine in /etc/machine-id" journal

# The containers run a static build, and images are made for both architectures.
own=$(uname -m)-unknown-linux-musl
for musl in "$own" x86_64-unknown-linux-musl aarch64-unknown-linux-musl; do
    tests=image
    [ "$musl" != "$own" ] || tests=container
    if ! have rustup; then
        [ -d "$(rustc --print sysroot)/lib/rustlib/$musl" ] || lacks "the Rust target $musl" "$tests"
    elif ! rustup target list --installed | grep -qx "$musl"; then
        rustup target add "$musl" >&2 || lacks "the Rust target $musl" "$tests"
    fi
done

# What has a version of its own lies below target/real, which `cargo clean` removes.
mkdir -p "$target/real" && real=$(cd "$target/real" && pwd) || exit 1
debian=bookworm

# NAME TESTS COMMAND…: makes target/real/NAME, unless the same command has. The command makes $to or
# $to.new; what was cut off half-way has no NAME.is, and is made anew.
part() {
    name=$1 tests=$2 to=$real/$1
    shift 2
    [ ! -e "$to" ] || [ "$(cat "$to.is" 2>/dev/null)" != "$*" ] || return 0
    rm -rf "$to" "$to.new" "$to.is"
    if "$@" >"$to.log" 2>&1 && { [ ! -e "$to.new" ] || mv "$to.new" "$to"; }; then
        echo "$*" >"$to.is"
    else
        cat "$to.log" >&2
        rm -rf "$to" "$to.new"
        lacks "$name: $*" "$tests"
    fi
    rm -rf "$to.log" "$to.apt"
}

# PACKAGE@VERSION: with what npm had from its registry for that, as an image is made of it offline.
npm_package() {
    mkdir "$to.new" && npm install --prefix "$to.new" --cache "$to.new/cache" \
        --no-audit --no-fund --loglevel=error "$1"
}

# PACKAGE==VERSION…: they know where they were installed, so they are not moved.
python_packages() {
    /usr/bin/python3 -m venv "$to" && "$to/bin/pip" install --quiet "$@"
}

# PACKAGE@VERSION: unoptimised it is there in half a minute.
cargo_package() {
    cargo install --quiet --locked --debug --no-default-features --root "$to.new" "$1"
}

# RELEASE [OPTION]
debian_root() {
    release=$1
    shift
    mmdebstrap --quiet --variant=minbase --format=tar "$@" "$release" "$to.new"
}

# apt-get as the clean Debian has it, or RELEASE in its place: this machine may be another Debian, or have
# asked no server yet. Nothing is installed, and nobody has to be root.
clean_apt() {
    apt-get -q -y -o Dir="$to.apt" -o Dir::State::status="$to.apt/var/lib/dpkg/status" \
        -o Dir::Cache::archives="$to.new" -o APT::Sandbox::User= -o Acquire::Languages=none \
        -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"
}
clean_apt_of() {
    rm -rf "$to.apt" && mkdir -p "$to.apt" "$to.new/partial" &&
        tar --directory "$to.apt" --no-same-owner --extract --file "$real/debian.tar" ./etc/apt \
            ./usr/share/keyrings ./var/lib/apt ./var/lib/dpkg/status ./var/cache/apt &&
        sed -i "s/\b$debian\b/$1/" "$to.apt/etc/apt/sources.list" && clean_apt update
}

# RELEASE PACKAGE…: with what they want beside a clean Debian, as a folder that apt takes packages from.
debian_packages() {
    clean_apt_of "$1" && shift &&
        clean_apt --no-install-recommends --download-only install "$@" &&
        (cd "$to.new" && dpkg-scanpackages . >Packages)
}

# RELEASE: podman's generator of units from quadlets, out of its package.
quadlet_of() {
    clean_apt_of "$1" && cd "$to.new" && clean_apt download podman &&
        dpkg-deb --fsys-tarfile podman_*.deb | tar -xO ./usr/libexec/podman/quadlet >quadlet &&
        rm podman_*.deb && chmod +x quadlet && ./quadlet -version
}

# All at once: half of them wait for a server, half for a processor. What runs on behind an interrupted
# call has its lock, so the next one finds it whole.
part cargo-deb package cargo_package cargo-deb@3.8.0 &
part debian-rust.tar newcomer debian_root $debian --include=gcc,libc6-dev,ca-certificates &
# The real agent, in the version whose lock directories and answers the tests know.
part agent agent npm_package @anthropic-ai/claude-code@2.1.197 &
# Who else makes lock directories: the library by which the agent makes its own.
part peer peer npm_package proper-lockfile@4.1.2 &
# Who judges the deployment files, and starts the one for compose: podman-compose, and the schemas of
# Kubernetes and of the Compose Specification, which come with their validators.
part deploy deployment python_packages podman-compose==1.6.0 kubernetes-validate==1.37.0 \
    check-jsonschema==0.39.0 &
part debian.tar newcomer debian_root $debian
# What the agent's image installs in that root.
part debs image debian_packages $debian ca-certificates git &
# The podman of this Debian (4.3) has none.
have /usr/libexec/podman/quadlet || part quadlet deployment quadlet_of trixie &
wait

have cargo-nextest || echo "note: cargo-nextest is not here: cargo test runs the tests, one process for all" >&2

missing=$(wc -l <"$lacking")
if [ "$missing" -gt 0 ] && [ "${LOCKKEEPER_REQUIRE_REAL:-0}" = 1 ]; then
    echo "setup: $missing real part(s) missing, and LOCKKEEPER_REQUIRE_REAL=1" >&2
    exit 1
fi
exit 0
