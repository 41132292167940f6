#!/bin/sh
# Makes a Python wheel of a folder of tools/dist.sh, beside it, and its checksum: the program and the models, and a launcher that gives the program the
# ONNX Runtime of the package `onnxruntime`, which pip installs with it. Prints the wheel's path.
#
#   tools/packages/wheel.sh FOLDER
# shellcheck disable=SC2154
set -eu

folder=$(readlink -f -- "$1")
cd "$(dirname -- "$0")/../.."
# shellcheck disable=SC1091
. tools/packages/about.sh
about "$folder"

# PEP 440 has no hyphens: 0.2.0-rc.1 is 0.2.0rc1 there.
release=$(echo "$version" | sed 's/-\([a-z]*\)\.\{0,1\}/\1/')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
module=$work/wheel/tandem_classify
info=$work/wheel/tandem_classify-$release.dist-info
mkdir -p "$module" "$info/licenses" "$info/sboms"
sed "s/@ONNXRUNTIME@/$onnxruntime/" tools/packages/launcher.py >"$module/__init__.py"
printf 'from tandem_classify import main\n\nmain()\n' >"$module/__main__.py"
install -m 755 "$folder/tandem" "$module/tandem"
cp -R "$folder/models" "$module/"
# ONNX Runtime brings its own licences in its own wheel.
install -m 644 "$folder"/licenses/LICENSE-* "$folder/licenses/THIRD-PARTY.md" "$folder/licenses/crates.txt" "$info/licenses/"
# The library is no part of this wheel: pip brings it.
python3 - "$folder/sbom.json" >"$info/sboms/tandem-classify.cdx.json" <<'PYTHON'
import json, sys

with open(sys.argv[1], encoding="utf-8") as file:
    bom = json.load(file)
for component in bom["components"]:
    if "onnxruntime" in component["name"]:
        component["scope"] = "excluded"
json.dump(bom, sys.stdout, indent=2)
PYTHON
printf '[console_scripts]\ntandem = tandem_classify:main\n' >"$info/entry_points.txt"
cat >"$info/WHEEL" <<END
Wheel-Version: 1.0
Generator: tools/packages/wheel.sh
Root-Is-Purelib: false
Tag: py3-none-manylinux_$(echo "$glibc" | tr . _)_$arch
END
{
    cat <<END
Metadata-Version: 2.4
Name: tandem-classify
Version: $release
Summary: $summary
License-Expression: $(python3 tools/third-party.py --expression "$arch")
License-File: LICENSE-APACHE
License-File: LICENSE-MIT
License-File: THIRD-PARTY.md
License-File: crates.txt
Keywords: grpc,onnx,classification,inference,nlp
Classifier: Environment :: Console
Classifier: Operating System :: POSIX :: Linux
Classifier: Programming Language :: Rust
Requires-Python: >=3.11
Requires-Dist: onnxruntime==$onnxruntime
Description-Content-Type: text/markdown

END
    cat "$folder/README.md"
} >"$info/METADATA"
chmod -R u=rwX,go=rX "$work/wheel"

PYTHONPATH=$(tools/test-tools.sh wheel) python3 -m wheel pack "$work/wheel" --dest-dir "$work" >"$work/log" || { cat "$work/log" >&2; exit 1; }
finish "$work"/*.whl "$folder"
