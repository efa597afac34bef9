#!/bin/sh
# Long campaigns of tests/it/chaos.rs, of which CI plays a tenth. As root.
#
#   tests/chaos.sh [--seed N] [--rounds N] [--lanes N]   the program as released: 10,000 rounds
#   tests/chaos.sh chain [--seed N] …                    `flock -w … timeout …` in its place
#   tests/chaos.sh red [--seed N] …                      each broken variant in tests/chaos/ in its
#                                                        place; fails if one is not caught
#   tests/chaos.sh sweep [--rounds N]                    200 living lock directories of the real
#                                                        proper-lockfile beside as many runs
set -eu
cd "$(dirname "$0")/.."
what=lockkeeper
case ${1-} in chain | red | sweep) what=$1 && shift ;; esac
while [ $# -ge 2 ]; do
    case $1 in
        --seed) export LOCKKEEPER_CHAOS_SEED="$2" ;;
        --rounds) export LOCKKEEPER_CHAOS_ROUNDS="$2" ;;
        --lanes) export LOCKKEEPER_CHAOS_LANES="$2" ;;
        *) break ;;
    esac
    shift 2
done
[ $# = 0 ] || { sed -n 's/^# *//; 2,9p' "$0" >&2; exit 64; }
target=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')

# play TEST: with what stands in LOCKKEEPER_CHAOS_PROGRAM.
play() {
    cargo test --locked --quiet --test it "$1" -- --nocapture
}

# The tests' own programs; Cargo builds no example for one test.
cargo build --locked --quiet --example puppet
case $what in
    lockkeeper)
        cargo build --locked --quiet --release --bin lockkeeper
        export LOCKKEEPER_CHAOS_PROGRAM="$target/release/lockkeeper"
        : "${LOCKKEEPER_CHAOS_ROUNDS:=10000}"
        export LOCKKEEPER_CHAOS_ROUNDS
        play chaos::no_kill
        ;;
    chain) play chaos::the_chain ;;
    sweep)
        LOCKKEEPER_SWEEP_ROUNDS=${LOCKKEEPER_CHAOS_ROUNDS:-200} play sweep::peers::no_living_owner
        ;;
    red)
        : "${LOCKKEEPER_CHAOS_ROUNDS:=600}"
        export LOCKKEEPER_CHAOS_ROUNDS LOCKKEEPER_CHAOS_RED
        for patch in tests/chaos/*.patch; do
            # Its second line names the fault that it must show.
            LOCKKEEPER_CHAOS_RED=$(sed -n '2s/^Shows: //p' "$patch")
            name=$(basename "$patch" .patch)
            printf '\n── %s: %s\n' "$name" "$(head -n 1 "$patch")"
            # The same place for each: what did not change is built once.
            copy=$target/chaos/copy
            rm -rf "$copy"
            mkdir -p "$copy"
            cp -r Cargo.toml Cargo.lock src tests "$copy"
            patch --quiet --strip 1 --directory "$copy" <"$patch"
            (cd "$copy" && CARGO_TARGET_DIR=../build cargo build --locked --quiet --bin lockkeeper)
            cp "$target/chaos/build/debug/lockkeeper" "$target/chaos/$name"
            export LOCKKEEPER_CHAOS_PROGRAM="$target/chaos/$name"
            play chaos::no_kill
        done
        ;;
esac
