#!/bin/sh
# Prints the folder that holds `prometheus` and `promtool`: that of PATH, or target/tools/. With `fetch` it gets them from Debian's
# archive if there are none (package `prometheus`, which apt-get verifies; nothing is installed). Without any it fails with 3.
#
#   tools/prometheus.sh [fetch]
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
folder=${CARGO_TARGET_DIR:-$root/target}/tools/prometheus
if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
    dirname -- "$(command -v promtool)"
    exit
fi
if [ ! -d "$folder" ] && [ "${1:-}" = fetch ] && command -v apt-get >/dev/null; then
    mkdir -p "${folder%/*}"
    temporary=$(mktemp -d "${folder%/*}/.prometheus-XXXXXX")
    trap 'rm -rf "$temporary"' EXIT
    (cd "$temporary" && apt-get download --quiet prometheus >&2 && dpkg-deb --extract prometheus_*.deb new)
    mv "$temporary/new" "$folder"
fi
if [ -d "$folder" ]; then
    echo "$folder/usr/bin"
else
    echo "no prometheus and promtool: install them (on Debian: apt-get install prometheus), or run tools/prometheus.sh fetch" >&2
    exit 3
fi
