#!/bin/sh
# Checks the protocol files: style and comments, and that nothing which clients rely on has changed since the baseline.
# `tools/proto-check.sh baseline` takes the files as they are for the new baseline: do that when a version is released,
# and with a change that is meant to break.
set -eu

cd "$(dirname -- "$0")/.."
buf=$(tools/test-tools.sh buf)
# buf has nothing to fetch, and must not write into anybody's home folder.
BUF_CACHE_DIR=${CARGO_TARGET_DIR:-$PWD/target}/tools/buf-cache
export BUF_CACHE_DIR

if [ "${1:-}" = baseline ]; then
    exec "$buf" build --exclude-source-info --output proto/baseline.binpb
fi
"$buf" lint
"$buf" breaking --against proto/baseline.binpb
