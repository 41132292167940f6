#!/usr/bin/env bash
# Proves the execution providers cuda and tensorrt on a machine with an NVIDIA GPU: golden examples, labels of 2,000 texts against
# the processor, speed against a bare loop over ONNX Runtime on the same card, and that TensorRT's engines are kept over a restart.
# Under ten minutes.
#
#   tools/gpu-check.sh prepare FOLDER        fetches the libraries, about 3 GB, where there is a network
#   tools/gpu-check.sh run FOLDER [MODEL…]   needs no network; MODEL: a folder, models/sentiment-deep/1 if none is named
#
# PROGRAM (target/release/tandem), TEXTS (tests/data/reviews.tsv: the third column is asked), SECONDS_EACH (3). Without TensorRT's libraries its part is left
# out, and told. Prints what it does, and its tables; ends with 1 if a provider does not serve.
set -euo pipefail
cd "$(dirname "$0")/.."

what=${1:?usage: tools/gpu-check.sh prepare|run FOLDER [MODEL…]}
folder=${2:?usage: tools/gpu-check.sh prepare|run FOLDER [MODEL…]}
shift 2
case $what in
prepare)
    python3 -m pip install --quiet --no-deps --target "$folder/packages" --requirement deploy/gpu/requirements.txt
    python3 -m pip install --quiet --no-deps --target "$folder/packages" --requirement deploy/gpu/requirements-tensorrt.txt ||
        echo "TensorRT's libraries can't be had: its part will be left out" >&2
    mkdir -p "$folder/libraries"
    find "$folder/packages" -name '*.so*' ! -name '*pybind11*' -exec mv -n {} "$folder/libraries/" \;
    rm -rf "$folder/packages"
    exit
    ;;
run) ;;
*)
    echo "$0: $what: write prepare or run" >&2
    exit 2
    ;;
esac

program=${PROGRAM:-target/release/tandem}
texts=${TEXTS:-tests/data/reviews.tsv}
seconds=${SECONDS_EACH:-3}
libraries=$(cd "$folder/libraries" && pwd)
export LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export ORT_DYLIB_PATH=$libraries/libonnxruntime.so.1.28.0
models=("$@")
[ ${#models[@]} -gt 0 ] || models=(models/sentiment-deep/1)
lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
tail -n +2 "$texts" | cut -f 3 >"$lines"

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader || {
    echo "$0: nvidia-smi does not answer: this machine has no NVIDIA GPU that can be used" >&2
    exit 1
}
bad=0
# proved NAME LIST: the golden examples on a provider, and its speed and labels.
proved() {
    echo "== $1"
    for model in "${models[@]}"; do
        "$program" check "$model" --provider "$2" || { bad=1; continue; }
        benches/providers.py --program "$program" --provider "$2" --seconds "$seconds" --rounds 2 --texts "$lines" --raw "$model" || bad=1
    done
}
proved cuda cuda
if ls "$libraries"/libnvinfer.so.10* >/dev/null 2>&1; then
    engines=$(mktemp -d)
    proved tensorrt "tensorrt(cache=$engines),cuda"
    echo "== the engines of $engines over a restart: two starts, and how long each took to load"
    for _ in 1 2; do
        "$program" check "${models[0]}" --provider "tensorrt(cache=$engines),cuda" --json |
            python3 -c 'import json, sys; print(json.load(sys.stdin)["seconds"], "s")' || bad=1
    done
    ls -la "$engines"
    rm -rf "$engines"
else
    echo "TensorRT's libraries are not in $libraries: its part is left out"
fi
exit $bad
