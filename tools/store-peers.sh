#!/bin/sh
# Prints the path of a peer that tests/store talks to: s3s-fs (a server that speaks S3, from crates.io, Apache-2.0) or azurite
# (Microsoft's emulator of Azure's storage, from npm, MIT). `fetch` installs both under target/tools/, which takes minutes; what
# is not there fails with 3.
#
#   tools/store-peers.sh s3s-fs | azurite | fetch
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
tools=${CARGO_TARGET_DIR:-$root/target}/tools
# crates.io holds the SHA-256 of each version, and --locked takes the versions of its own lock file.
s3s=0.14.1
s3s_folder=$tools/s3s-fs-$s3s
lock=$root/tests/store/peers/package-lock.json
azurite_folder=$tools/npm-$(sha256sum <"$lock" | cut -c1-12)

found() {
    if [ -e "$1" ]; then
        echo "$1"
    else
        echo "$1 is not here: tools/store-peers.sh fetch" >&2
        exit 3
    fi
}

case ${1:-} in
s3s-fs) found "$s3s_folder/bin/s3s-fs" ;;
azurite) found "$azurite_folder/node_modules/azurite/dist/src/blob/main.js" ;;
fetch)
    [ -x "$s3s_folder/bin/s3s-fs" ] ||
        cargo install --quiet --locked --version "$s3s" --features binary --root "$s3s_folder" s3s-fs >&2
    "$root/tools/test-tools.sh" npm tests/store/peers >/dev/null
    ;;
*)
    echo "$0: name s3s-fs, azurite or fetch" >&2
    exit 2
    ;;
esac
