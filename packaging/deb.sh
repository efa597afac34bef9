#!/bin/sh
# Makes the Debian package: sh packaging/deb.sh [--no-build] [TRIPLE [FILE]]. With --no-build it takes the
# program that is there.
#
# Wants cargo-deb (`cargo install --locked cargo-deb`, or CARGO_DEB=its path) and the Rust target.
# The same sources make the same bytes: every time in the package is SOURCE_DATE_EPOCH, by default
# that of the package's changelog.
set -eu
cd "$(dirname "$0")/.."
build=1
[ "${1-}" != --no-build ] || { build='' && shift; }
triple=${1:-$(uname -m)-unknown-linux-musl}
target=${CARGO_TARGET_DIR:-target}
dated=$(sed -n 's/^ -- .*>  //p' packaging/deb/changelog | head -1)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(date --date "$dated" +%s)}
export SOURCE_DATE_EPOCH

[ -z "$build" ] || cargo build --locked --quiet --release --target "$triple" --bin lockkeeper

# What differs in the package from the repository; Cargo.toml knows it as target/release/deb.
made=$target/$triple/release/deb
rm -rf "$made"
mkdir -p "$made/examples"
for example in config/*.toml; do
    # An example is copied to somewhere else, and its editor is to find the schema from there.
    sed '1s|^#:schema .*|#:schema /usr/share/lockkeeper/lockkeeper.schema.json|' "$example" \
        >"$made/examples/${example##*/}"
done
sh packaging/third-party.sh "$triple" >"$made/third-party"
cp CHANGELOG.md "$made/changelog"
gzip -9 --no-name "$made/third-party" "$made/changelog"

set -- --no-build --locked --target "$triple" --output "${2:-$target/$triple/debian/}"
"${CARGO_DEB:-cargo-deb}" "$@"
