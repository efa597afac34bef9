#!/bin/sh
# Installs on a Debian machine what the tests need from outside: real containers, a real journal, a
# real agent.
#
# Called by tests/run.sh and by nothing else; a test never installs. Does nothing, and asks no
# server, where all is there. What cannot be had is named on standard error and the tests that need
# it are skipped; with LOCKKEEPER_REQUIRE_REAL=1 that is exit 1.
set -u
cd "$(dirname "$0")/.." || exit 1
target=${CARGO_TARGET_DIR:-target}
agent=2.1.197 # the version whose lock directories and answers the tests know
missing=0

# One at a time here; between checkouts apt's own lock is waited for.
mkdir -p "$target" && exec 9>"$target/setup.lock" && flock 9
sudo=
[ "$(id -u)" = 0 ] || sudo='sudo -n'

# command or file, Debian package, the tests that want it
wanted='podman podman container
crun crun container
buildah buildah container
static-busybox busybox-static container
tini tini comparison
catatonit catatonit container
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
    missing=$((missing + 1))
    echo "missing: $1 ($2 tests will be skipped)" >&2
}

packages=$(echo "$wanted" | while read -r what package _; do
    have "$what" || echo "$package"
done | sort -u | tr '\n' ' ')
if [ -n "$packages" ] && have apt-get; then
    echo "setup: installing $packages" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt="$sudo apt-get -q -o DPkg::Lock::Timeout=600"
    $apt update >&2
    # One by one where all together fails: what cannot be had must not cost the others.
    # shellcheck disable=SC2086 # a list of words
    $apt install -y --no-install-recommends $packages >&2 ||
        for package in $packages; do
            $apt install -y --no-install-recommends "$package" >&2
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
[ -s /etc/machine-id ] || ! have systemd-machine-id-setup || $sudo systemd-machine-id-setup >&2

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

# The real agent, in a folder that `cargo clean` removes, and what npm had from its registry for that.
real=$target/real/agent
if ! grep -qs "\"version\": \"$agent\"" "$real/node_modules/@anthropic-ai/claude-code/package.json" ||
    [ ! -d "$target/real/npm" ]; then
    # What is installed already would not be asked for.
    rm -rf "$real" && mkdir -p "$real"
    { have npm && npm install --prefix "$real" --cache "$target/real/npm" --no-audit --no-fund \
        --loglevel=error "@anthropic-ai/claude-code@$agent" >&2; } ||
        lacks "claude-code $agent from npm" agent
fi

# Who else makes lock directories: the library by which the agent makes its own.
peer=4.1.2
real=$target/real/peer
if ! grep -qs "\"version\": \"$peer\"" "$real/node_modules/proper-lockfile/package.json"; then
    mkdir -p "$real"
    { have npm && npm install --prefix "$real" --no-audit --no-fund --loglevel=error \
        "proper-lockfile@$peer" >&2; } || lacks "proper-lockfile $peer from npm" peer
fi

# Who judges the deployment files, and starts the one for compose: podman-compose, and the schemas of
# Kubernetes and of the Compose Specification, which come with their validators.
real=$target/real/deploy
judges='podman-compose==1.6.0 kubernetes-validate==1.37.0 check-jsonschema==0.39.0'
if [ "$(cat "$real/judges" 2>/dev/null)" != "$judges" ]; then
    # shellcheck disable=SC2086 # a list of words
    { /usr/bin/python3 -m venv --clear "$real" &&
        "$real/bin/pip" install --quiet $judges >&2 &&
        echo "$judges" >"$real/judges"; } || lacks "$judges from PyPI" deployment
fi

# podman's generator of units from quadlets: the machine's own, or (4.3 has none) that of the next Debian,
# of whose packages nothing is installed.
real=$target/real/quadlet
if ! have /usr/libexec/podman/quadlet && ! have "$real/quadlet"; then
    rm -rf "$real" && mkdir -p "$real/lists/partial" "$real/cache/archives/partial" && : >"$real/status"
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Label: Debian' 2>/dev/null | head -n 1)
    echo "deb [signed-by=$keys] $mirror trixie main" >"$real/sources"
    real=$(cd "$real" && pwd)
    trixie() {
        apt-get -q -o Dir::Etc::SourceList="$real/sources" -o Dir::Etc::SourceParts=/dev/null \
            -o Dir::State::Lists="$real/lists" -o Dir::State::Status="$real/status" \
            -o Dir::Cache="$real/cache" -o APT::Sandbox::User= \
            -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@" >&2
    }
    { [ -n "$mirror" ] && trixie update && (cd "$real" && trixie download podman) &&
        dpkg-deb --fsys-tarfile "$real"/podman_*.deb |
        tar -xO ./usr/libexec/podman/quadlet >"$real/quadlet.new" &&
        chmod +x "$real/quadlet.new" && "$real/quadlet.new" -version >&2 &&
        mv "$real/quadlet.new" "$real/quadlet"; } || lacks "the quadlet generator of podman 5" deployment
    rm -rf "$real/lists" "$real/cache" "$real"/podman_*.deb
fi

# What makes the Debian package. Unoptimised and without its own xz it is there in half a minute.
cargo_deb=3.8.0
real=$target/real/cargo-deb
if ! grep -qs "\"cargo-deb $cargo_deb " "$real/.crates.toml"; then
    cargo install --quiet --locked --debug --no-default-features --root "$real" \
        "cargo-deb@$cargo_deb" >&2 || lacks "cargo-deb $cargo_deb from crates.io" package
fi

# Roots of a clean Debian: with nothing in it, and with the C linker that Rust asks for.
debian=bookworm
for root in debian= debian-rust=--include=gcc,libc6-dev,ca-certificates; do
    tar=$target/real/${root%%=*}.tar
    [ -s "$tar" ] || {
        mkdir -p "$target/real" && have mmdebstrap &&
            mmdebstrap --quiet --variant=minbase --format=tar \
                ${root#*=} "$debian" "$tar.new" >&2 &&
            mv "$tar.new" "$tar"
    } || lacks "a root of Debian $debian from mmdebstrap" newcomer
done

# What the agent's image installs in that root, as a folder that apt takes packages from.
debs=$PWD/$target/real/debs
case $target in /*) debs=$target/real/debs ;; esac
[ -s "$debs/Packages" ] || {
    rm -rf "$debs.new" && mkdir -p "$debs.new/partial" &&
        tar -xOf "$target/real/debian.tar" ./var/lib/dpkg/status >"$debs.new/status" && {
        download="apt-get -q -y --no-install-recommends --download-only -o Debug::NoLocking=1
            -o Dir::State::status=$debs.new/status -o Dir::Cache::archives=$debs.new
            install ca-certificates git"
        $sudo $download >&2 || { $sudo apt-get -q update && $sudo $download; } >&2
    } && (cd "$debs.new" && dpkg-scanpackages . >Packages 2>/dev/null) && mv "$debs.new" "$debs"
} || lacks "packages for the image of an agent" image

# For one line of the benchmarks alone; nothing else misses it.
if ! have go && [ "${LOCKKEEPER_BENCH:-0}" = 1 ] && have apt-get; then
    $sudo apt-get -q -o DPkg::Lock::Timeout=600 install -y --no-install-recommends golang-go >&2 ||
        echo "note: no go: the benchmark leaves out filepath.Walk" >&2
fi

have cargo-nextest || echo "note: cargo-nextest is not here: cargo test runs the tests, one process for all" >&2

if [ "$missing" -gt 0 ] && [ "${LOCKKEEPER_REQUIRE_REAL:-0}" = 1 ]; then
    echo "setup: $missing real part(s) missing, and LOCKKEEPER_REQUIRE_REAL=1" >&2
    exit 1
fi
exit 0
