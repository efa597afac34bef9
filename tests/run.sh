#!/bin/sh
# All tests, from a fresh checkout on: installs what is missing (tests/setup.sh), builds what the
# tests start, runs them. Arguments go to `cargo nextest run`, e.g. a part of a test's name.
set -eu
cd "$(dirname "$0")/.."
sh tests/setup.sh

# What containers run. Without its target the container tests are skipped, as setup.sh has said.
musl=$(uname -m)-unknown-linux-musl
if [ -d "$(rustc --print sysroot)/lib/rustlib/$musl" ]; then
    cargo build --locked --quiet --release --target "$musl" --bin lockkeeper --example puppet
fi

# Every test that was skipped writes here what it lacked.
skipped=${CARGO_TARGET_DIR:-target}/skipped
# What became of the command blocks of each page (tests/it/support/blocks).
blocks=${CARGO_TARGET_DIR:-target}/blocks
rm -rf "$skipped" "$blocks"
if command -v cargo-nextest >/dev/null; then
    cargo nextest run --locked "$@" && status=0 || status=$?
else
    cargo test --locked "$@" && status=0 || status=$?
fi
[ ! -d "$blocks" ] || cat "$blocks"/*.txt >&2
[ ! -s "$skipped" ] || cat "$skipped" >&2
exit "$status"
