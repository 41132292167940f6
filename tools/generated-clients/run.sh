#!/bin/sh
# Compiles the Go and Java code that protoc makes of our files, as docs/clients.md says, with Google's own code for google.rpc in the
# same process, and calls a server with it: tools/generated-clients/run.sh TANDEM
#
# Wants Debian's packages; the first line that fails tells which is missing:
#   golang-go protoc-gen-go protoc-gen-go-grpc golang-google-grpc-dev golang-google-genproto-dev golang-google-protobuf-dev
#   protobuf-compiler protobuf-compiler-grpc-java-plugin default-jdk-headless libgrpc-java libprotobuf-java libnetty-java libperfmark-java
# Go wants golang-github-golang-protobuf-1-5-dev too, which can't be installed beside the others: it is downloaded and unpacked.
set -eu

tandem=$(realpath "$1")
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
work=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server"; rm -rf "$work"' EXIT
protos="tandem/v1/prediction.proto tandem/v1/model_service.proto tandem/v1/admin_service.proto"
cd "$root/proto"

go=$work/go/src
mkdir -p "$go/client"
cp "$here/client.go" "$go/client/"
options=
for proto in $protos; do
    options="$options --go_opt=M$proto=example.com/gen/tandem/v1 --go-grpc_opt=M$proto=example.com/gen/tandem/v1"
done
# shellcheck disable=SC2086
protoc -I. --go_out="$go" --go-grpc_out="$go" $options $protos
(cd "$work" && apt-get download -q golang-github-golang-protobuf-1-5-dev >download.log 2>&1 && dpkg -x ./*.deb unpacked)
mv "$work/unpacked/usr/share/gocode/src/github.com" "$go/"
GOPATH=$work/go:/usr/share/gocode GO111MODULE=off GOCACHE=$work/cache go build -o "$work/go-client" client

mkdir "$work/java"
cp "$here/Client.java" "$work/java/"
# Debian has no package of Google's common protos for Java: they are made of the same files.
# shellcheck disable=SC2086
protoc -I. --java_out="$work/java" --plugin=protoc-gen-grpc-java=/usr/bin/grpc_java_plugin --grpc-java_out="$work/java" \
    $protos google/rpc/status.proto google/rpc/error_details.proto
classes=$work/classes
for name in grpc-api grpc-context grpc-core grpc-netty grpc-protobuf grpc-protobuf-lite grpc-stub protobuf guava failureaccess perfmark \
    perfmark-api error_prone_annotations jsr305 gson geronimo-annotation-1.3-spec netty-buffer netty-codec netty-codec-http \
    netty-codec-http2 netty-codec-socks netty-common netty-handler netty-handler-proxy netty-resolver netty-transport; do
    classes=$classes:/usr/share/java/$name.jar
done
find "$work/java" -name '*.java' >"$work/sources"
javac -nowarn -cp "$classes" -d "$work/classes" "@$work/sources"

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$tandem" serve --models "$root/models" --grpc-addr "127.0.0.1:$port" --no-http >"$work/server.log" 2>&1 &
server=$!
until "$tandem" healthcheck --addr "127.0.0.1:$port" >/dev/null 2>&1; do
    kill -0 "$server"
    sleep 0.2
done
set -- "127.0.0.1:$port" "정말 재미있게 봤어요" "시간이 아까운 영화"
found=$("$work/go-client" "$@" | tr '\n' ' ')
test "$found" = "positive negative InvalidArgument texts a NotFound " || { echo "Go: $found"; exit 1; }
echo "Go: $found"
found=$(java -cp "$classes" Client "$@" | tr '\n' ' ')
test "$found" = "positive negative INVALID_ARGUMENT texts " || { echo "Java: $found"; exit 1; }
echo "Java: $found"
