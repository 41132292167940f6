#!/bin/sh
# Makes dist/tandem-<version>-<arch>/: the program, ONNX Runtime beside it, the models, the contract and the licences. The
# folder runs wherever it is moved to. The contract is proto/ and, for proxies and tools that want it compiled,
# tandem.binpb: a google.protobuf.FileDescriptorSet with all that the files import, and with their comments.
#
#   --tar            makes a compressed archive beside it too, and its checksum
#   --binary PATH    takes that program instead of building one
#   --into FOLDER    instead of dist
#
# Prints the path of what it made.
set -eu

binary=
into=dist
tar=
while [ $# -gt 0 ]; do
    case $1 in
    --tar) tar=yes ;;
    --binary | --into)
        [ $# -gt 1 ] || { echo "$0: $1 needs a path" >&2; exit 2; }
        path=$2
        # Paths are the caller's; below we are in the root of the repository.
        case $path in /*) ;; *) path=$PWD/$path ;; esac
        case $1 in --binary) binary=$path ;; --into) into=$path ;; esac
        shift
        ;;
    *) echo "$0: no such option: $1" >&2; exit 2 ;;
    esac
    shift
done

cd "$(dirname -- "$0")/.."
target=${CARGO_TARGET_DIR:-target}
arch=$(uname -m)
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
name=tandem-$version-$arch
folder=$into/$name

if [ -z "$binary" ]; then
    cargo build --release --locked --features object-store,otlp,parquet
    binary=$target/release/tandem
fi

# The newest is the one that this build has checked or fetched; build/onnxruntime.rs pins its version.
runtime=$(find "$target/onnxruntime" -mindepth 1 -maxdepth 1 -type d -name "[0-9]*-$arch" 2>/dev/null | sort -V | tail -n 1)
[ -n "$runtime" ] || {
    echo "$0: no ONNX Runtime under $target/onnxruntime: build without ORT_DYLIB_PATH and TANDEM_OFFLINE" >&2
    exit 1
}

rm -rf "$folder"
mkdir -p "$folder/licenses/onnxruntime"
install -m 755 "$binary" "$folder/tandem"
install -m 644 "$runtime"/libonnxruntime.so.* "$folder/"
install -m 644 "$runtime/LICENSE" "$runtime/ThirdPartyNotices.txt" "$folder/licenses/onnxruntime/"
install -m 644 LICENSE-* "$folder/licenses/"
install -m 644 README*.md "$folder/"
[ ! -f THIRD-PARTY.md ] || install -m 644 THIRD-PARTY.md "$folder/licenses/"
cp -R models "$folder/"
mkdir "$folder/proto"
cp -R proto/*/ "$folder/proto/"
buf=$(tools/test-tools.sh buf)
# buf has nothing to fetch, and must not write into anybody's home folder.
BUF_CACHE_DIR=$target/tools/buf-cache "$buf" build --as-file-descriptor-set --output "$folder/tandem.binpb"

# Of every file, in a fixed order: `sha256sum --check SHA256SUMS` inside the folder.
(
    cd "$folder"
    sums=$(find . -type f -exec sha256sum {} + | LC_ALL=C sort --key 2)
    echo "$sums" >SHA256SUMS
)

if [ -n "$tar" ]; then
    tar --directory "$into" --create --gzip --file "$folder.tar.gz" "$name"
    (cd "$into" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
fi
echo "$folder"
