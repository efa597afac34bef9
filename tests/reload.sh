#!/bin/sh
# The long campaign of tests/it/control/reload.rs, of which CI plays two hundred rounds. As root.
#
#   tests/reload.sh [--rounds N]    valid and broken files in turn, 10,000 reloads, while jobs start
#                                   and end: no run lost, none doubled, and no memory that stays
set -eu
cd "$(dirname "$0")/.."
: "${LOCKKEEPER_RELOADS:=10000}"
case ${1-} in
    '') ;;
    --rounds) LOCKKEEPER_RELOADS=${2:?} ;;
    *) sed -n 's/^# *//; 2,5p' "$0" >&2 && exit 64 ;;
esac
export LOCKKEEPER_RELOADS
# The memory that counts is that of the program that people get.
cargo build --locked --quiet --release --target "$(uname -m)-unknown-linux-musl" \
    --bin lockkeeper --example puppet
exec cargo test --locked --quiet --test it control::reload::reloads_under_load -- --nocapture
