#!/bin/sh
# Scans what the overlays, the chart (which gives the same) and the Dockerfile give with checkov. tools/deploy/checkov.yaml has what is
# left out and why. By hand, since checkov brings about 100 packages with it, 290 MB: `make deploy-scan`.
set -eu

cd "$(dirname -- "$0")/.."
tools=${CARGO_TARGET_DIR:-target}/tools
folder=$tools/checkov-$(sha256sum <tools/deploy/checkov-requirements.txt | cut -c1-12)
if [ ! -x "$folder/bin/checkov" ]; then
    python3 -m venv "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check --requirement tools/deploy/checkov-requirements.txt
fi
scanned=$(mktemp -d)
trap 'rm -rf "$scanned"' EXIT
PYTHONPATH=$(tools/test-tools.sh kubernetes) PYTHONDONTWRITEBYTECODE=1 python3 tools/deploy/check.py render "$scanned"
cp Dockerfile "$scanned/"
"$folder/bin/checkov" --config-file tools/deploy/checkov.yaml --directory "$scanned"
echo "checkov has nothing to say"
