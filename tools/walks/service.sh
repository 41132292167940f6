#!/bin/sh
# Calling Tandem from a service: service.py with the package of clients/python, which keeps a deadline and survives a restart of
# Tandem; then plain grpcio with generated code. docs/clients.md, docs/clients-python.md, docs/clients-grpcio.md. Wants pip.
#
#   tools/walks/service.sh [PROGRAM]
set -eu
# shellcheck source=tools/walks/common.sh
. "$(dirname -- "$0")/common.sh"

TANDEM_GRPC_ADDR=127.0.0.1:$(free_port)
serve first
first=$pid
say "Tandem is ready at $grpc"

python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check ./clients/python
say "the client is installed, $(since "$began") s after the start"

port=$(free_port)
"$work/env/bin/python" tools/walks/service.py "$port" "$grpc" &
started="$started $!"
post() { curl -sS --max-time 20 -w ' %{http_code}' "127.0.0.1:$port" -d "$1"; }
wait_until curl -s "127.0.0.1:$port"

answer=$(post "정말 재미있게 봤어요")
say "the service's first answer, after $(since "$began") s: $answer"
case $answer in *positive*200) ;; *) fail "not positive" ;; esac

answer=$(post "$(head -c 20000 /dev/zero | tr '\0' x)")
say "a text that is too long: $answer"
case $answer in *16384*400) ;; *) fail "the limit is not named" ;; esac

stop "$first"
moment=$(now)
answer=$(post "시간이 아까운 영화")
say "without Tandem, after $(since "$moment") s: $answer"
case $answer in *503) ;; *) fail "no answer of the service's own" ;; esac

post "시간이 아까운 영화" >"$work/waiting" &
waiting=$!
serve second
wait "$waiting"
say "asked before Tandem was back: $(cat "$work/waiting")"
grep -q 'negative.*200' "$work/waiting" || fail "the retry did not get there"

moment=$(now)
"$work/env/bin/pip" install --quiet --disable-pip-version-check grpcio grpcio-tools googleapis-common-protos
mkdir "$work/generated"
"$work/env/bin/python" -m grpc_tools.protoc -Iproto --python_out="$work/generated" --grpc_python_out="$work/generated" \
    tandem/v1/prediction.proto
label=$(PYTHONPATH=$work/generated "$work/env/bin/python" - "$grpc" <<'PYTHON'
import sys

import grpc
from tandem.v1 import prediction_pb2 as pb
from tandem.v1 import prediction_pb2_grpc

with grpc.insecure_channel(sys.argv[1]) as channel:
    stub = prediction_pb2_grpc.PredictionServiceStub(channel)
    print(stub.Predict(pb.PredictRequest(texts=["정말 재미있게 봤어요"]), timeout=2).predictions[0].label)
PYTHON
)
say "plain grpcio, generated and asked in $(since "$moment") s: $label"
[ "$label" = positive ] || fail "not positive"
stop "$pid"
done_in
