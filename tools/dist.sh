#!/bin/sh
# Makes dist/tandem-<version>-<arch>/: the program, ONNX Runtime beside it, the models and the licences. The folder runs
# wherever it is moved to. With --tar a compressed archive of it lies beside it.
set -eu

cd "$(dirname -- "$0")/.."
target=${CARGO_TARGET_DIR:-target}
arch=$(uname -m)
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
name=tandem-$version-$arch
folder=dist/$name

cargo build --release --locked

# The newest is the one that this build has checked or fetched; build/onnxruntime.rs pins its version.
runtime=$(find "$target/onnxruntime" -mindepth 1 -maxdepth 1 -type d -name "[0-9]*-$arch" 2>/dev/null | sort -V | tail -n 1)
[ -n "$runtime" ] || {
    echo "$0: no ONNX Runtime under $target/onnxruntime: build without ORT_DYLIB_PATH and TANDEM_OFFLINE" >&2
    exit 1
}

rm -rf "$folder"
mkdir -p "$folder/licenses/onnxruntime"
install -m 755 "$target/release/tandem" "$folder/"
install -m 644 "$runtime"/libonnxruntime.so.* "$folder/"
install -m 644 "$runtime/LICENSE" "$runtime/ThirdPartyNotices.txt" "$folder/licenses/onnxruntime/"
install -m 644 LICENSE-* "$folder/licenses/"
install -m 644 README*.md "$folder/"
[ ! -f THIRD-PARTY.md ] || install -m 644 THIRD-PARTY.md "$folder/licenses/"
cp -R models "$folder/"

# Of every file, in a fixed order: `sha256sum --check SHA256SUMS` inside the folder.
(
    cd "$folder"
    sums=$(find . -type f -exec sha256sum {} + | LC_ALL=C sort --key 2)
    echo "$sums" >SHA256SUMS
)

[ "${1:-}" != --tar ] || tar --directory dist --create --gzip --file "dist/$name.tar.gz" "$name"
echo "$folder"
