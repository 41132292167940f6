#!/bin/sh
# Makes dist/tandem-<version>-<arch>/: the program, ONNX Runtime beside it, the models, the contract and the licences. The
# folder runs wherever it is moved to. The contract is proto/ and, for proxies and tools that want it compiled,
# tandem.binpb: a google.protobuf.FileDescriptorSet with all that the files import, and with their comments.
#
#   --tar            makes a compressed archive beside it too, and its checksum
#   --sbom           puts the list of what is in it into the folder: sbom.json (CycloneDX)
#   --arch ARCH      x86_64 or aarch64, if not this machine's: then gcc-ARCH-linux-gnu and rustup's target must be here
#   --binary PATH    takes that program instead of building one
#   --into FOLDER    instead of dist
#
# Archives and lists are the same, byte for byte, where the files are: their time is SOURCE_DATE_EPOCH, else the commit's.
# Prints the path of what it made.
set -eu

arch=$(uname -m)
binary=
into=dist
tar=
sbom=
while [ $# -gt 0 ]; do
    case $1 in
    --tar) tar=yes ;;
    --sbom) sbom=yes ;;
    --arch)
        case ${2:-} in
        x86_64 | aarch64) arch=$2 ;;
        *) echo "$0: --arch is x86_64 or aarch64" >&2; exit 2 ;;
        esac
        shift
        ;;
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
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
name=tandem-$version-$arch
folder=$into/$name

if [ -z "$binary" ] && [ "$arch" = "$(uname -m)" ]; then
    cargo build --release --locked --features object-store,otlp,parquet
    binary=$target/release/tandem
elif [ -z "$binary" ]; then
    triple=$arch-unknown-linux-gnu
    # As Cargo and the crate cc spell them: the linker of that triple, and the compiler of zstd and ring.
    env "CARGO_TARGET_$(echo "$triple" | tr 'a-z-' 'A-Z_')_LINKER=$arch-linux-gnu-gcc" \
        "CC_$(echo "$triple" | tr - _)=$arch-linux-gnu-gcc" \
        cargo build --release --locked --features object-store,otlp,parquet --target "$triple"
    binary=$target/$triple/release/tandem
fi

# Not before the program is built: build scripts of crates look at it, and these would be compiled anew.
# Without git there is no commit, as in an image that is built.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH

# The pinned one, whatever else a build of another day has left there.
runtime=$target/onnxruntime/$(sed -n 's/.*VERSION: &str = "\(.*\)".*/\1/p' build/onnxruntime.rs)-$arch
[ -d "$runtime" ] || {
    echo "$0: no ONNX Runtime at $runtime: build without ORT_DYLIB_PATH and TANDEM_OFFLINE" >&2
    exit 1
}

rm -rf "$folder"
mkdir -p "$folder/licenses/onnxruntime"
install -m 755 "$binary" "$folder/tandem"
# A fifth of it is symbols, which nothing that serves reads: a panic's line in the log has its place without them.
strip="strip"
[ "$arch" = "$(uname -m)" ] || strip=$arch-linux-gnu-strip
if command -v "$strip" >/dev/null; then "$strip" "$folder/tandem"; fi
install -m 644 "$runtime"/libonnxruntime.so.* "$folder/"
install -m 644 "$runtime/LICENSE" "$runtime/ThirdPartyNotices.txt" "$folder/licenses/onnxruntime/"
install -m 644 LICENSE-* "$folder/licenses/"
install -m 644 README*.md "$folder/"
[ ! -f THIRD-PARTY.md ] || install -m 644 THIRD-PARTY.md "$folder/licenses/"
# Most licences want their text, and the notices of some crates, to go with the program.
python3 tools/third-party.py --texts "$arch" >"$folder/licenses/crates.txt"
cp -R models "$folder/"
mkdir "$folder/proto"
cp -R proto/*/ "$folder/proto/"
buf=$(tools/test-tools.sh buf)
# buf has nothing to fetch, and must not write into anybody's home folder.
BUF_CACHE_DIR=$target/tools/buf-cache "$buf" build --as-file-descriptor-set --output "$folder/tandem.binpb"
[ -z "$sbom" ] || tools/sbom.sh --arch "$arch" --models models >"$folder/sbom.json"

# Of every file, in a fixed order: `sha256sum --check SHA256SUMS` inside the folder.
(
    cd "$folder"
    sums=$(find . -type f -exec sha256sum {} + | LC_ALL=C sort --key 2)
    echo "$sums" >SHA256SUMS
)

if [ -n "$tar" ]; then
    tar --directory "$into" --create --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
        "$name" | gzip --no-name >"$folder.tar.gz"
    (cd "$into" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
    [ -z "$sbom" ] || cp "$folder/sbom.json" "$folder.sbom.json"
fi
echo "$folder"
