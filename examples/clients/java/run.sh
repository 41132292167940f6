#!/bin/sh
# Compiles Client.java with the code of the protocol files, and runs it: run.sh HOST:PORT TEXT…
#
# By Debian's packages: protobuf-compiler protobuf-compiler-grpc-java-plugin default-jdk-headless libgrpc-java
# libprotobuf-java libnetty-java libperfmark-java; ends with 77 and says what is missing where one is. What is compiled is kept
# in a folder that TANDEM_JAVA_BUILD names.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
build=${TANDEM_JAVA_BUILD:-$here/build}
classes=$build/classes
for name in grpc-api grpc-context grpc-core grpc-netty grpc-protobuf grpc-protobuf-lite grpc-stub protobuf guava failureaccess perfmark \
    perfmark-api error_prone_annotations jsr305 gson geronimo-annotation-1.3-spec netty-buffer netty-codec netty-codec-http \
    netty-codec-http2 netty-codec-socks netty-common netty-handler netty-handler-proxy netty-resolver netty-transport; do
    classes=$classes:/usr/share/java/$name.jar
done
skip() {
    echo "skipped: $*" >&2
    exit 77
}

for program in javac protoc /usr/bin/grpc_java_plugin; do
    command -v "$program" >/dev/null || skip "$program is not installed"
done
for name in grpc-netty grpc-stub protobuf netty-codec-http2 perfmark-api; do
    [ -f "/usr/share/java/$name.jar" ] || skip "Debian's $name.jar is not installed"
done
if [ ! -f "$build/classes/Client.class" ] || [ -n "$(find "$here/Client.java" -newer "$build/classes/Client.class")" ]; then
    mkdir -p "$build/generated" "$build/classes"
    # Debian has no package of Google's common protos: they are made of the same files.
    protoc -I"$here/../../../proto" --java_out="$build/generated" --grpc-java_out="$build/generated" \
        --plugin=protoc-gen-grpc-java=/usr/bin/grpc_java_plugin \
        tandem/v1/prediction.proto google/rpc/status.proto google/rpc/error_details.proto
    find "$build/generated" -name '*.java' >"$build/sources"
    javac -nowarn -cp "$classes" -d "$build/classes" "$here/Client.java" "@$build/sources" 2>"$build/javac.log" || {
        cat "$build/javac.log" >&2
        exit 1
    }
fi
# The arguments are read by the locale.
export LC_ALL=C.UTF-8
exec java -Dfile.encoding=UTF-8 -cp "$classes" Client "$@"
