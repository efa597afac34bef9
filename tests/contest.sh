#!/bin/sh
# Long contests of tests/it/contest.rs, of which CI plays a few hundred rounds. As root.
#
#   tests/contest.sh [--rounds N]   two contenders for one stale directory lock, 10,000 rounds: ours
#                                   in one and in two PID namespaces, then the lock that reads,
#                                   checks, removes and writes, which the harness must catch
set -eu
cd "$(dirname "$0")/.."
: "${LOCKKEEPER_CONTEST_ROUNDS:=10000}"
case ${1-} in
    '') ;;
    --rounds) LOCKKEEPER_CONTEST_ROUNDS=${2:?} ;;
    *) sed -n 's/^# *//; 2,6p' "$0" >&2 && exit 64 ;;
esac
export LOCKKEEPER_CONTEST_ROUNDS
exec cargo test --locked --quiet --test it contest:: -- --nocapture --test-threads 1
