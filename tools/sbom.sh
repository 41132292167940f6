#!/bin/sh
# Writes the list of what is in the program to standard output (SBOM, CycloneDX 1.6, checked by its schema):
#
#   tools/sbom.sh [--arch x86_64|aarch64] [--models FOLDER] [ROOT...]
#
# A ROOT is that of an image, as tools/container-check.sh keeps it: the system's libraries and the models are in the list too.
set -eu

cd "$(dirname -- "$0")/.."
PYTHONPATH=$(tools/test-tools.sh sbom) exec python3 tools/sbom.py "$@"
