#!/usr/bin/env bash
# Has libFuzzer make inputs for everything that reads what others wrote: tools/fuzz-targets.sh [keep] [READER …]
#
# Without names, every reader of fuzz/, FUZZ_SECONDS (600) each, one process at a time. What takes new branches goes to
# fuzz/target/corpus/READER. An input that breaks a promise ends the run; it lies in fuzz/artifacts/READER then.
# `keep` runs nothing: it makes fuzz/corpus/READER the smallest set of inputs that takes the same branches, as far as
# KEEP_BYTES (20000) of inputs reach, each of at most 4 KiB; `cargo test --test it -- corpus` replays that.
#
# Wants the nightly toolchain of Rust, and `cargo install cargo-fuzz --locked`.
set -euo pipefail
cd "$(dirname "$0")/.."
# The fuzzers stop before ONNX Runtime, which is not built to be watched.
export TANDEM_OFFLINE=1 ORT_DYLIB_PATH=/nowhere
# `address` also finds what unsafe code of libraries does wrong; there is none of ours. It builds and runs twice as long.
options=(--sanitizer "${FUZZ_SANITIZER:-none}")

run=fuzz
if [ "${1:-}" = keep ]; then
    run=keep
    shift
fi
cargo +nightly fetch --locked --manifest-path fuzz/Cargo.toml
if [ $# -eq 0 ]; then
    list=$(cargo +nightly fuzz list)
    mapfile -t readers <<<"$list"
    set -- "${readers[@]}"
fi

fuzz() {
    local found=fuzz/target/corpus/$1
    mkdir -p "$found"
    # 30 s is far more than any input of 64 KiB may take, and 1 GiB far more memory.
    cargo +nightly fuzz run "${options[@]}" "$1" "$found" "fuzz/corpus/$1" -- -max_total_time="${FUZZ_SECONDS:-600}" -max_len=65536 \
        -timeout=30 -rss_limit_mb=3072 -malloc_limit_mb=1024 -print_final_stats=1
}

keep() {
    local found=fuzz/target/corpus/$1 kept=fuzz/corpus/$1 whole bytes=0 size file
    whole=$(mktemp -d)
    mkdir -p "$kept"
    cp "$found"/* "$kept"/* "$whole" 2>/dev/null || true
    find "$whole" -size +4k -delete
    cargo +nightly fuzz cmin "${options[@]}" "$1" "$whole" -- -set_cover_merge=1
    rm -f "$kept"/*
    while read -r size file; do
        bytes=$((bytes + size))
        if [ "$bytes" -gt "${KEEP_BYTES:-20000}" ]; then break; fi
        cp "$whole/$file" "$kept/"
    done < <(find "$whole" -type f -printf '%s %f\n' | sort -n)
    rm -rf "$whole"
    echo "$1: $(find "$kept" -type f | wc -l) inputs are kept"
}

for reader in "$@"; do
    "$run" "$reader"
done
