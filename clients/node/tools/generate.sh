#!/bin/sh
# Writes src/generated/messages.js from the protocol files at the root of the repository: npm ci && npm run generate
# The code reads and writes messages without reflection. Services are few: src/wire.js names them.
set -eu

cd "$(dirname -- "$0")/.."
into=${1:-src/generated/messages.js}
# A root of its own, so that another package in the same process may have messages of the same names.
node_modules/.bin/pbjs --target static-module --wrap commonjs --root tandem-text --path ../../proto \
    --no-create --no-verify --no-convert --no-delimited --no-typeurl --no-service --no-comments --force-number \
    --out "$into" tandem/v1/prediction.proto google/rpc/status.proto google/rpc/error_details.proto grpc/health/v1/health.proto
