#!/bin/sh
# The crates that become part of the static program of a target, each with the notice that its
# licence wants kept: sh packaging/third-party.sh TRIPLE.
set -eu
cd "$(dirname "$0")/.."
sources=${CARGO_HOME:-$HOME/.cargo}/registry/src
cargo fetch --locked --quiet --target "$1"
cargo tree --locked --edges normal,no-proc-macro --target "$1" --prefix none --format '{p}|{l}' |
    sed 's/ ([^|]*)//' | LC_ALL=C sort -u |
    while IFS='|' read -r crate licence; do
        crate=${crate%% v*}-${crate##* v}
        [ "${crate%-*}" != lockkeeper ] || continue
        printf '======== %s (%s)\n\n' "$crate" "$licence"
        found=''
        # Whoever offers a choice is taken at MIT: its notice is the short one.
        for name in LICENSE-MIT LICENSE-MIT.txt LICENSE LICENSE.txt LICENSE.md COPYING LICENSE-APACHE; do
            for folder in "$sources"/*/"$crate"; do
                [ ! -f "$folder/$name" ] || found=$folder/$name
            done
            [ -z "$found" ] || break
        done
        [ -n "$found" ] || {
            echo "third-party: no licence text in $sources/*/$crate: add its file's name to this script" >&2
            exit 1
        }
        sed 's/\r$//' "$found"
        echo
    done
