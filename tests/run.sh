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

if command -v cargo-nextest >/dev/null; then
    exec cargo nextest run --locked "$@"
fi
exec cargo test --locked "$@"
