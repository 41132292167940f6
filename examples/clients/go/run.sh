#!/bin/sh
# Builds the client and runs it: run.sh HOST:PORT TEXT…
#
# Wants go, protoc, and the module proxy the first time; ends with 77 and says what is missing where one is. What is built is
# kept in a folder that TANDEM_GO_BUILD names.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
build=${TANDEM_GO_BUILD:-$here/build}
skip() {
    echo "skipped: $*" >&2
    exit 77
}

for program in go protoc; do
    command -v "$program" >/dev/null || skip "$program is not installed"
done
mkdir -p "$build/bin"
export GOBIN="$build/bin" PATH="$build/bin:$PATH"
for plugin in google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12 google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2; do
    name=$(basename "${plugin%@*}")
    command -v "$name" >/dev/null || go install "$plugin" 2>"$build/log" || skip "no modules of Go: $(tail -n 1 "$build/log")"
done
cp "$here/main.go" "$here/go.mod" "$build/"
"$here/generate.sh" "$build/gen"
cd "$build"
go mod tidy 2>"$build/log" || skip "no modules of Go: $(tail -n 1 "$build/log")"
go build -o bin/client .
exec bin/client "$@"
