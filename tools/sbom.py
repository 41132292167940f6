#!/usr/bin/env python3
"""Writes the list of what is in a package (an SBOM, CycloneDX 1.6) as JSON: `tools/sbom.sh` runs it.

It has each crate that ends up in the program, from Cargo, with its licence, checksum and what it brings; ONNX Runtime; the models
of a folder; and of a folder that is the root of an image (`opt/tandem`, `var/lib/dpkg/status.d`) the system's libraries too.
"""

import argparse
import json
import re
import subprocess
import sys
import tomllib
import uuid
from datetime import datetime, timezone
from os import environ
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

ROOT = Path(__file__).resolve().parent.parent


def arguments():
    parser = argparse.ArgumentParser(prog="tools/sbom.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", choices=["x86_64", "aarch64"], default="x86_64", help="the processor of the program")
    parser.add_argument("--models", type=Path, help="a folder of models")
    parser.add_argument("roots", metavar="FOLDER", type=Path, nargs="*", help="the root of an image")
    return parser.parse_args()


def metadata(arch):
    platform = f"{arch}-unknown-linux-gnu"
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--features", "object-store,otlp,parquet", "--filter-platform", platform]
    return json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True).stdout)


def licences(text):
    # "MIT/Apache-2.0" is how older crates say OR.
    return [LicenseFactory().make_from_string(text.replace("/", " OR "))] if text else []


def sha256(value):
    return [HashType(alg=HashAlgorithm.SHA_256, content=value)] if value else []


def component(kind, name, version, ecosystem, namespace=None, licence=None, checksum=None):
    purl = PackageURL(ecosystem, namespace, name, version)
    return Component(type=kind, name=name, version=version, purl=purl, bom_ref=str(purl), licenses=licences(licence), hashes=sha256(checksum))


def crates(arch):
    """The components by Cargo's ids, and what each brings. Without what only builds or tests."""
    data = metadata(arch)
    with open(ROOT / "Cargo.lock", "rb") as lock:
        checksums = {(package["name"], package["version"]): package.get("checksum") for package in tomllib.load(lock)["package"]}
    packages = {package["id"]: package for package in data["packages"]}
    brings = {
        node["id"]: [dep["pkg"] for dep in node["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])]
        for node in data["resolve"]["nodes"]
    }
    root = data["resolve"]["root"]
    made, open_ids = {}, [root]
    while open_ids:
        id = open_ids.pop()
        if id in made:
            continue
        name, version = packages[id]["name"], packages[id]["version"]
        kind = ComponentType.APPLICATION if id == root else ComponentType.LIBRARY
        checksum = checksums.get((name, version))
        made[id] = component(kind, name, version, "cargo", None, packages[id]["license"], checksum)
        open_ids += brings[id]
    return root, made, brings


def onnx_runtime(arch):
    text = (ROOT / "build/onnxruntime.rs").read_text(encoding="utf-8")
    version = re.search(r'VERSION: &str = "(.*)"', text)[1]
    yield component(ComponentType.LIBRARY, "onnxruntime", version, "pypi", None, "MIT")
    # Out of the wheel of that name and version; the checksum is that of the file.
    checksum = re.search(rf'"{arch}"\) => Some\("(.*)"\)', text)[1]
    name = f"libonnxruntime.so.{version}"
    yield Component(type=ComponentType.FILE, name=name, version=version, hashes=sha256(checksum), bom_ref=f"file:{name}")


def of_folder(folder):
    """The packages of the system in the root of an image."""
    for entry in sorted((folder / "var/lib/dpkg/status.d").iterdir()):
        fields = dict(line.split(": ", 1) for line in entry.read_text(encoding="utf-8").splitlines() if re.match(r"\S+: ", line))
        yield component(ComponentType.LIBRARY, fields["Package"], fields["Version"], "deb", "debian")


def models(folder):
    for manifest in sorted(folder.glob("*/*/manifest.toml")):
        with open(manifest, "rb") as file:
            model = tomllib.load(file)
        files = sha256(model["files"].get("model.onnx"))
        name, version = manifest.parent.parent.name, manifest.parent.name
        yield Component(type=ComponentType.MACHINE_LEARNING_MODEL, name=name, version=version, hashes=files, bom_ref=f"model:{name}@{version}")


def main():
    options = arguments()
    root, made, brings = crates(options.arch)
    bom = Bom()
    if moment := environ.get("SOURCE_DATE_EPOCH"):
        bom.metadata.timestamp = datetime.fromtimestamp(int(moment), timezone.utc)
        bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, f"{made[root].purl}?arch={options.arch}#{moment}")
    bom.metadata.component = made[root]
    for id, crate in made.items():
        if id != root:
            bom.components.add(crate)
        bom.register_dependency(crate, [made[brought] for brought in brings[id]])
    others = list(onnx_runtime(options.arch))
    if options.models:
        others += models(options.models)
    for folder in options.roots:
        others += of_folder(folder)
        others += models(folder / "opt/tandem/models")
    for other in others:
        bom.components.add(other)
    bom.register_dependency(made[root], others)
    text = JsonV1Dot6(bom).output_as_string(indent=2)
    if problem := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        sys.exit(f"not as the schema says: {problem}")
    print(text)


if __name__ == "__main__":
    main()
