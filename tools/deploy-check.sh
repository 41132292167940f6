#!/bin/sh
# Checks the container files without a container engine: hadolint, and the Compose schema. And the model behind what docs/autoscaling.md
# recommends, in some seconds.
set -eu

cd "$(dirname -- "$0")/.."
hadolint=$(tools/test-tools.sh hadolint)
"$hadolint" Dockerfile
compose=$(tools/test-tools.sh compose)
PYTHONPATH=$compose python3 -m check_jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
python3 tools/autoscale/test_autoscale.py
