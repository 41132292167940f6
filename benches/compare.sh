#!/usr/bin/env bash
# The comparison of README.md: runs each row with `tandem bench`, writes its JSON and a Markdown table into a folder.
#
#     benches/compare.sh FOLDER [ROW…]        ROW: a name of the table in benches/README.md; all if none is named
#
# PROGRAM (target/release/tandem), ROUNDS (5), DURATION (10s), and MINILM: a repository that benches/minilm.py wrote; if it is
# not set, one is made. MINILM=off leaves those rows out. SERVER_CPUS and CLIENT_CPUS put both on cores of their own.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=${1:?usage: benches/compare.sh FOLDER [ROW…]}
shift
wanted=" $* "
program=${PROGRAM:-target/release/tandem}
rounds=${ROUNDS:-5}
duration=${DURATION:-10s}
server_cpus=${SERVER_CPUS:-}
client_cpus=${CLIENT_CPUS:-}
minilm=${MINILM:-$folder/minilm}
mkdir -p "$folder"

python=$(command -v python3)

# Makes the model of MiniLM's size, with the pinned packages in an environment of its own.
make_minilm() {
    [ -e "$minilm/minilm-random/1/manifest.toml" ] && return
    "$python" -m venv "$folder/venv"
    "$folder/venv/bin/pip" install --quiet --requirement benches/requirements.txt
    "$folder/venv/bin/python" benches/minilm.py --out "$minilm"
}

# row NAME ARGUMENT…: one run of the program, unless other rows were asked for.
row() {
    local name=$1
    shift
    if [ "$wanted" != "  " ] && [[ "$wanted" != *" $name "* ]]; then return; fi
    echo "== $name" >&2
    local command=("$program" bench --spawn --rounds "$rounds" --json "$folder/$name.json")
    [ -n "$server_cpus" ] && command+=(--server-cpus "$server_cpus")
    [ -n "$client_cpus" ] && command=(taskset --cpu-list "$client_cpus" "${command[@]}")
    # A run that fails its own checks says so and leaves its figures: the other rows still count.
    "${command[@]}" "$@" || echo "$name: exit code $?" >&2
}

timed=(--duration "$duration")
deep=(--models models --route deep "${timed[@]}")
fast=(--models models --route fast "${timed[@]}")

row deep-8x32 "${deep[@]}" --reference onnx --concurrency 8 --batch-size 32
row deep-64x1 "${deep[@]}" --reference onnx --concurrency 64 --batch-size 1
row deep-1x1 "${deep[@]}" --reference onnx --concurrency 1 --batch-size 1
row fast-64x1 "${fast[@]}" --reference echo --concurrency 64 --batch-size 1
row fast-1x1 "${fast[@]}" --reference echo --concurrency 1 --batch-size 1
row fast-8x32 "${fast[@]}" --reference onnx --concurrency 8 --batch-size 32
if [ "$minilm" != off ]; then
    make_minilm
    small=(--models "$minilm" --route deep "${timed[@]}")
    row minilm-8x32 "${small[@]}" --reference onnx --concurrency 8 --batch-size 32
    row minilm-64x1 "${small[@]}" --reference onnx --concurrency 64 --batch-size 1
    row minilm-1x1 "${small[@]}" --reference onnx --concurrency 1 --batch-size 1
fi
row overload "${deep[@]}" --capacity-factor 10 --concurrency 8 --batch-size 32 --timeout 1s --connections 4
row health "${deep[@]}" --concurrency 16 --batch-size 32 --probe-health
row interactive "${deep[@]}" --concurrency 1 --batch-size 1 --priority interactive
row interactive-behind-bulk "${deep[@]}" --concurrency 1 --batch-size 1 --priority interactive --bulk-callers 4
row deadlines --models models --route deep --calls 10000 --concurrency 64 --batch-size 1 --least-timeout 1ms --timeout 50ms
# Spread over connections: the HTTP/2 client library closes one after 1,024 late frames of calls that it cancelled itself.
row cancel --models models --route fast --calls 100000 --concurrency 64 --connections 32 --cancel-share 0.5 --verify

"$python" benches/table.py "$folder" | tee "$folder/README.md"
