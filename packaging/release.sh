#!/bin/sh
# All files of a release, made and checked: sh packaging/release.sh [--tag TAG] [--out DIR] [TRIPLE…].
#
#   lockkeeper-VERSION-TRIPLE.tar.gz   the static program, manual, completions, catalog, schema, examples
#   lockkeeper_VERSION-1_ARCH.deb      the same as a Debian package
#   lockkeeper-VERSION.cdx.json        what went into it: an SBOM (CycloneDX)
#   SHA256SUMS, SHA256SUMS.asc         their checksums, and GnuPG's signature of these
#
# Wants cargo-deb and cargo-cyclonedx (CARGO_DEB=, CARGO_CYCLONEDX= name them elsewhere) and Rust's targets
# (by default x86_64- and aarch64-unknown-linux-musl). Signs with the key LOCKKEEPER_SIGNING_KEY if that is
# set; with --tag it is wanted, by the fingerprint that packaging/README.md has, as are a tag and a CHANGELOG.md
# that name the version, and an owner's words for OWNER, FINGERPRINT and .invalid. What it calls wrong
# ends it with 1, and DIR (target/dist) is only there when all of it holds.
set -eu
cd "$(dirname "$0")/.."
fail() {
    echo "release: $*" >&2
    exit 1
}

tag='' out=${CARGO_TARGET_DIR:-target}/dist
while :; do
    case ${1-} in
        --tag) tag=${2:?"--tag needs a TAG"} && shift 2 ;;
        --out) out=${2:?"--out needs a DIR"} && shift 2 ;;
        -*) fail "unknown option $1: see the head of packaging/release.sh" ;;
        *) break ;;
    esac
done
[ $# -gt 0 ] || set -- x86_64-unknown-linux-musl aarch64-unknown-linux-musl
target=${CARGO_TARGET_DIR:-target}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
dated=$(sed -n 's/^ -- .*>  //p' packaging/deb/changelog | head -1)
SOURCE_DATE_EPOCH=$(date --date "$dated" +%s)
export SOURCE_DATE_EPOCH

if [ -n "$tag" ]; then
    [ "$tag" = "v$version" ] || fail "tag $tag is not v$version, the version in Cargo.toml: tag anew, or change that"
    grep -q "^## $version\$" CHANGELOG.md || fail "CHANGELOG.md has no \"## $version\": name its \"## Unreleased\" so"
    [ -n "${LOCKKEEPER_SIGNING_KEY-}" ] || fail 'a release is signed: set LOCKKEEPER_SIGNING_KEY to a key of GnuPG'
    for open in OWNER/ FINGERPRINT lockkeeper.invalid; do
        found=$(grep -lF "$open" packaging/README.md Cargo.toml packaging/deb/changelog) || continue
        # shellcheck disable=SC2086 # a list of words
        fail "\"$open\" stands for what only the project's owner knows: put that in its place in" $found
    done
    grep -qF "$LOCKKEEPER_SIGNING_KEY" packaging/README.md ||
        fail "packaging/README.md has another fingerprint than $LOCKKEEPER_SIGNING_KEY: correct it there, or sign with that key"
fi

new=$out.new
rm -rf "$new"
mkdir -p "$new"
new=$(cd "$new" && pwd)

for triple in "$@"; do
    echo "release: $triple" >&2
    cargo build --locked --quiet --release --target "$triple" --bin lockkeeper
    program=$target/$triple/release/lockkeeper
    # What cannot run here is at least told from another machine's.
    machine=${triple%%-*}
    if [ "$machine" = "$(uname -m)" ]; then run=''; else run="qemu-$machine-static"; fi
    if [ -z "$run" ] || command -v "$run" >/dev/null; then
        # shellcheck disable=SC2086 # perhaps no word
        said=$($run "$program" --version)
        [ "$said" = "lockkeeper $version" ] || fail "$program --version says \"$said\", not \"lockkeeper $version\""
    else
        echo "release: no $run here: $program was not run" >&2
    fi

    sh packaging/deb.sh --no-build "$triple" "$new/" >/dev/null

    name=lockkeeper-$version-$triple
    tree=$target/$triple/release/dist/$name
    rm -rf "$tree"
    mkdir -p "$tree/examples"
    cp "$program" README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE packaging/lockkeeper.catalog \
        packaging/lockkeeper.schema.json "$tree/"
    cp -r packaging/man packaging/completions "$tree/"
    for example in config/*.toml; do
        sed '1s|^#:schema .*|#:schema ../lockkeeper.schema.json|' "$example" >"$tree/examples/${example##*/}"
    done
    sh packaging/third-party.sh "$triple" >"$tree/THIRD-PARTY"
    tar --directory "${tree%/*}" --sort=name --owner=0 --group=0 --numeric-owner \
        --mode=u=rwX,go=rX --mtime="@$SOURCE_DATE_EPOCH" --create "$name" |
        gzip -9 --no-name >"$new/$name.tar.gz"
done

# A list for all targets: what each crate is, under which licence, with which checksum.
sbom=lockkeeper-$version.cdx
"${CARGO_CYCLONEDX:-cargo-cyclonedx}" cyclonedx --quiet --format json --spec-version 1.5 \
    --target all --no-build-deps --override-filename "$sbom"
# Where it was made is nobody's business, and would make it another file everywhere.
sed "s|path+file://$(pwd)#|path+file:///lockkeeper#|g" "$sbom.json" >"$new/$sbom.json"
rm "$sbom.json"
for triple in "$@"; do
    cargo tree --locked --edges normal,no-proc-macro --target "$triple" --prefix none --format '{p}' |
        sed 's/ (.*//; s/ v/@/' | sort -u | while read -r crate; do
        grep -qF "\"pkg:cargo/$crate" "$new/$sbom.json" || fail "the SBOM lacks $crate"
    done
done

cd "$new"
sha256sum -- * >SHA256SUMS
sha256sum --quiet --check SHA256SUMS
if [ -n "${LOCKKEEPER_SIGNING_KEY-}" ]; then
    gpg --batch --quiet --local-user "$LOCKKEEPER_SIGNING_KEY" --armor --detach-sign SHA256SUMS
    gpg --batch --quiet --verify SHA256SUMS.asc SHA256SUMS 2>/dev/null || fail 'the signature does not hold'
fi
cd - >/dev/null
rm -rf "$out"
mv "$new" "$out"
cat "$out/SHA256SUMS"
