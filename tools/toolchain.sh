#!/bin/sh
# Takes the stable Rust by rustup, with what .ci/run and `make lint` need, for this user. For CI's machines; on your own, rustup
# has most likely done it.
set -eu

command -v rustup >/dev/null || { echo "$0: rustup is not here: https://rustup.rs" >&2; exit 1; }
rustup toolchain install stable --profile minimal --component clippy --component rustfmt
rustup default stable
