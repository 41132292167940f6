"""The objects that the files of deploy/ give: of each overlay, of the chart, of KServe's files. By kubectl and helm."""

import pathlib
import subprocess

import yaml

BASE = pathlib.Path("deploy/kubernetes/base")
OVERLAYS = sorted(path.parent for path in pathlib.Path("deploy/kubernetes/overlays").glob("*/kustomization.yaml"))
CHART = pathlib.Path("deploy/helm/tandem")
PLAIN = pathlib.Path("deploy/kubernetes.yaml")
KSERVE = sorted(pathlib.Path("deploy/kserve").glob("*.yaml"))

PLAIN_HEAD = """\
# deploy/kubernetes/base in one file: two servers and a headless service for clients that balance by call.
# Build and push the image first, and name it below. `kubectl apply -f deploy/kubernetes.yaml`
# Written by `tools/deploy-check.sh update`. docs/kubernetes.md has overlays for TLS, volumes and more.
"""


def parse(text):
    return [found for found in yaml.safe_load_all(text) if found]


def output(*command):
    """What a command prints; if it fails, its own words."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def kustomize(kubectl, folder):
    return parse(output(kubectl, "kustomize", folder))


def chart(helm, *arguments, name="tandem", namespace="default"):
    return parse(output(helm, "template", name, CHART, "--namespace", namespace, *arguments))


def refused(helm, setting):
    """Whether the chart refuses a value."""
    return subprocess.run([helm, "template", "tandem", CHART, "--set", setting], capture_output=True).returncode != 0


def plain():
    """The base's files one after the other, with their comments."""
    names = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    return PLAIN_HEAD + "---\n".join((BASE / name).read_text() for name in names)


def canonical(objects):
    """In an order that does not depend on who rendered them: objects by kind and name, and what Kubernetes itself looks up by a
    name (variables, ports, volumes) by that name."""

    def ordered(value):
        if isinstance(value, dict):
            # Nothing and an empty mapping of annotations mean the same.
            return {key: ordered(item) for key, item in sorted(value.items()) if not (key == "annotations" and not item)}
        if isinstance(value, list):
            items = [ordered(item) for item in value]
            named = all(isinstance(item, dict) and ("name" in item or "mountPath" in item) for item in items)
            return sorted(items, key=lambda item: item.get("mountPath", item.get("name"))) if named else items
        return value

    return sorted((ordered(item) for item in objects), key=lambda item: (item["kind"], item["metadata"]["name"]))


def differences(left, right, path=""):
    """Where two canonical values differ, in words."""
    if isinstance(left, dict) and isinstance(right, dict):
        for key in sorted({*left, *right}):
            yield from differences(left.get(key), right.get(key), f"{path}.{key}")
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for at, (one, other) in enumerate(zip(left, right)):
            whole = isinstance(one, dict) and "kind" in one and "metadata" in one
            name = f"{one['kind']}/{one['metadata']['name']}" if whole else at
            yield from differences(one, other, f"{path}[{name}]")
    elif left != right:
        yield f"{path}: {left!r} against {right!r}"


def pods(objects):
    """(name, what a pod has in its `spec`) of each object that has pods: Deployments and KServe's runtimes."""
    for item in objects:
        if item["kind"] == "Deployment":
            yield item["metadata"]["name"], item["spec"]["template"]["spec"]
        elif item["kind"] == "ClusterServingRuntime":
            yield item["metadata"]["name"], {"containers": item["spec"]["containers"]}
