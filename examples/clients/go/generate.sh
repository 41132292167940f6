#!/bin/sh
# Writes gen/, or the folder that is named, from the protocol files. Wants protoc, and:
#   go install google.golang.org/protobuf/cmd/protoc-gen-go@latest google.golang.org/grpc/cmd/protoc-gen-go-grpc@latest
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
gen=${1:-$here/gen}
module=example.com/tandem-client/gen
mkdir -p "$gen"
protoc -I"$here/../../../proto" --go_out="$gen" --go-grpc_out="$gen" --go_opt=module=$module --go-grpc_opt=module=$module \
    --go_opt=Mtandem/v1/prediction.proto=$module/tandem/v1 --go-grpc_opt=Mtandem/v1/prediction.proto=$module/tandem/v1 \
    tandem/v1/prediction.proto
