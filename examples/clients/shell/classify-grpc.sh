#!/bin/sh
# Asks for the labels of texts over gRPC, with grpcurl:  classify-grpc.sh localhost:50051 '{"texts": ["…"], "route": "ROUTE_FAST"}'
# GRPCURL names another program than grpcurl.
set -eu

address=$1
request=$2
pause=1
for try in 1 2 3 4; do
    # -max-time: the deadline of one try, which travels to the server. It needs no file: the server has reflection.
    code=0
    printf '%s' "$request" | "${GRPCURL:-grpcurl}" -plaintext -connect-timeout 2 -max-time 5 -format-error -d @ \
        "$address" tandem.v1.PredictionService/Predict || code=$?
    # 64 and the number of the code. RESOURCE_EXHAUSTED (8) and UNAVAILABLE (14) pass; the rest does not.
    case $code in
    72 | 78) [ "$try" -lt 4 ] || exit "$code" ;;
    *) exit "$code" ;;
    esac
    sleep "$pause"
    pause=$((pause * 2))
done
