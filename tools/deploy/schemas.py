"""Schemas: Kubernetes' own objects, those of other projects, KServe's, and queries to Prometheus."""

import ast
import json
import pathlib
import re
import subprocess

import kubernetes_validate
import promql_parser

OTHERS = ("cert-manager.io", "gateway.networking.k8s.io", "keda.sh", "monitoring.coreos.com")
# The oldest and the newest that the package has.
VERSIONS = ("1.25", "1.37")


def kubernetes(objects):
    """Against Kubernetes' schemas, in which an unknown field is an error."""
    for item in objects:
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(item, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                where = ".".join(map(str, error.path))
                yield f"{item['kind']} {item['metadata']['name']}, Kubernetes {version}: {where}: {error.message}"


def others(objects, node, modules):
    """Against the definitions of other projects: tools/deploy/crds.mjs."""
    done = subprocess.run([node, "tools/deploy/crds.mjs", modules], input=json.dumps(objects), capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    return done.stdout.splitlines()


class KServe:
    """The names of fields and their types, as KServe's Python package has them in its sources. It is read, never imported: it
    would want sixty other packages. What of an object is Kubernetes' own is checked as a pod's."""

    def __init__(self, tools):
        self.folder = pathlib.Path(tools) / "kserve" / "models"

    def fields(self, kind):
        """JSON's name of each field, with its type; None if the type is not KServe's."""
        snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", kind).lower()
        path = self.folder / f"{snake}.py"
        if not path.is_file():
            return None
        found = {}
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("openapi_types", "attribute_map"):
                found[node.targets[0].id] = ast.literal_eval(node.value)
        return {name: found["openapi_types"][key] for key, name in found["attribute_map"].items()}

    def check(self, value, kind, path):
        inner = re.fullmatch(r"list\[(.*)\]", kind)
        if inner:
            if not isinstance(value, list):
                yield f"{path}: {value!r} is no list"
                return
            for at, item in enumerate(value):
                yield from self.check(item, inner[1], f"{path}[{at}]")
            return
        simple = {"str": str, "int": int, "bool": bool, "dict(str, str)": dict}.get(kind)
        if simple:
            if not isinstance(value, simple):
                yield f"{path}: {value!r} is no {kind}"
            return
        fields = self.fields(kind)
        if fields is None:
            return
        for name, item in value.items():
            if name not in fields:
                yield f"{path}: no field {name}"
            else:
                yield from self.check(item, fields[name], f"{path}.{name}")

    def errors(self, objects):
        for item in objects:
            group, version = item["apiVersion"].split("/")
            if group != "serving.kserve.io":
                yield f"{item['kind']}: not KServe's"
                continue
            kind = f"{version[0].upper()}{version[1:]}{item['kind']}"
            if self.fields(kind) is None:
                yield f"{kind}: not known"
                continue
            name = f"{item['kind']} {item['metadata']['name']}"
            yield from self.check(item, kind, name)
            containers = item["spec"].get("containers")
            if containers:
                pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name.lower()}, "spec": {"containers": containers}}
                yield from kubernetes([pod])


def queries(objects):
    """(where, query) of everything that asks Prometheus."""
    for item in objects:
        if item["kind"] == "PrometheusRule":
            for group in item["spec"]["groups"]:
                for rule in group["rules"]:
                    yield rule.get("record") or rule["alert"], rule["expr"]
        elif item["kind"] == "ScaledObject":
            for trigger in item["spec"]["triggers"]:
                if trigger["type"] == "prometheus":
                    yield "ScaledObject", trigger["metadata"]["query"]


def promql(objects):
    """Each query can be parsed, and asks for metrics that docs/metrics.md lists."""
    documented = set(re.findall(r"`((?:tandem|process)_\w+)`", pathlib.Path("docs/metrics.md").read_text()))
    for where, query in queries(objects):
        try:
            promql_parser.parse(query)
        except ValueError as error:
            yield f"{where}: {error}"
        # Recorded series have a colon in their name.
        for name in set(re.findall(r"(?<![:\w])tandem_\w+(?![:\w])", query)):
            if re.sub(r"_(bucket|sum|count)$", "", name) not in documented and name not in documented:
                yield f"{where}: {name} is no metric of docs/metrics.md"
