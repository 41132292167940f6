#!/bin/sh
# Checks the container files without a container engine (hadolint, the Compose schema), and the files for Kubernetes without a
# cluster: tools/deploy/check.py. Where a program is built, it is started with the settings in them. And the alerts and
# dashboards, as far as that goes without a server: tools/dashboards/check.sh. And the model behind what
# docs/autoscaling.md recommends, and the one behind the tables of docs/scale.md and docs/scale-callers.md; that Envoy takes its
# files; that the bake file can be read and names what the Dockerfile has; and, where systemd is, its own checks of the unit.
# tools/container-check.sh builds and runs the image, tools/systemd-check.sh the service.
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
"$hadolint" Dockerfile deploy/gpu/Dockerfile
compose=$(tools/test-tools.sh compose)
PYTHONPATH=$compose python3 -m check_jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
python3 tools/deploy/check.py
tools/dashboards/check.sh
python3 tools/autoscale/test_autoscale.py
python3 tools/scale/test_scale.py
python3 tools/scale/run.py --check
# The Dockerfile builds the crates around a program of nothing: Cargo.toml must be good without the sources.
bare=$(mktemp -d)
mkdir "$bare/src"
cp Cargo.toml Cargo.lock "$bare"
touch "$bare/src/lib.rs" "$bare/src/main.rs" "$bare/build.rs"
(cd "$bare" && cargo fetch --locked --quiet) || {
    echo "Cargo.toml needs files that the first layer of the Dockerfile does not have" >&2
    exit 1
}
rm -r "$bare"
if [ "$(uname -m)" = x86_64 ]; then
    envoy=$(tools/test-tools.sh envoy)
    for file in deploy/envoy*.yaml; do
        "$envoy" --mode validate --log-level error --base-id 30001 -c "$file" >/dev/null
        echo "ok -- $file: Envoy takes it"
    done
fi
hcl=$(tools/test-tools.sh hcl)
PYTHONPATH=$hcl python3 - <<'PYTHON'
import re
import sys

import hcl2

with open("docker-bake.hcl", encoding="utf-8") as file:
    bake = hcl2.load(file)
with open("Dockerfile", encoding="utf-8") as file:
    dockerfile = file.read()
with open("Cargo.toml", encoding="utf-8") as file:
    version = re.search(r'^version = "(.*)"$', file.read(), re.M)[1]


def plain(value):
    """Some versions of the reader keep the quotes of names and texts."""
    if isinstance(value, dict):
        return {plain(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value.strip('"') if isinstance(value, str) else value


def named(kind):
    return {name: body for block in plain(bake)[kind] for name, body in block.items()}


defaults = {name: body["default"] for name, body in named("variable").items()}
targets = named("target")
arguments = dict(re.findall(r"^ARG (\w+)=(.*)$", dockerfile, re.M))
stages = set(re.findall(r"^FROM .* AS (\w+)$", dockerfile, re.M))
problems = []
for name in targets["common"]["args"]:
    if defaults[name] != arguments.get(name):
        problems.append(f"{name} is {defaults[name]} in docker-bake.hcl and {arguments.get(name)} in the Dockerfile")
if arguments.get("VERSION") != version:
    problems.append(f"VERSION is {arguments.get('VERSION')}, Cargo.toml says {version}")
for name, body in targets.items():
    if "target" in body and body["target"] not in stages:
        problems.append(f"{name}: the Dockerfile has no stage {body['target']}")
for name in named("group")["default"]["targets"]:
    if name not in targets:
        problems.append(f"no target {name}")
if problems:
    sys.exit("\n".join(problems))
print(f"ok -- docker-bake.hcl: {len(targets)} targets, version {version}")
PYTHON
if command -v systemd-analyze >/dev/null; then
    # 0 is safest, 100 a service without any protection.
    systemd-analyze security --offline=true --threshold=20 deploy/systemd/tandem.service >/dev/null
    echo "ok -- tandem.service: its exposure is at most 2.0 of 10"
else
    echo "systemd-analyze is not here: skipped"
fi
