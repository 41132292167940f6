#!/bin/sh
# Checks the container files without a container engine (hadolint, the Compose schema), and the files for Kubernetes without a
# cluster: tools/deploy/check.py. Where a program is built, it is started with the settings in them. And the alerts and
# dashboards, as far as that goes without a server: tools/dashboards/check.sh. And the model behind what
# docs/autoscaling.md recommends.
#
#   tools/deploy-check.sh           checks
#   tools/deploy-check.sh update    writes deploy/kubernetes.yaml anew from deploy/kubernetes/base, and the rules from
#                                   deploy/prometheus
set -eu

cd "$(dirname -- "$0")/.."
kubernetes=$(tools/test-tools.sh kubernetes)
export PYTHONPATH="$kubernetes" PYTHONDONTWRITEBYTECODE=1
if [ "${1:-}" = update ]; then
    exec python3 tools/deploy/check.py update
fi
hadolint=$(tools/test-tools.sh hadolint)
"$hadolint" Dockerfile
compose=$(tools/test-tools.sh compose)
PYTHONPATH=$compose python3 -m check_jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
python3 tools/deploy/check.py
tools/dashboards/check.sh
python3 tools/autoscale/test_autoscale.py
