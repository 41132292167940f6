#!/bin/sh
# Bulk work on Apache Beam, Spark and Ray Data: tools/bulk/check.sh [ENGINE...] [--texts FILE] [OPTION...]
#
# Without FILE: the engines' tests (clients/python/tests/engines), and the short proof on reviews of tests/data: the labels of
# `tandem predict`, and a server and a worker that are killed. With FILE: the long one, with figures. See proof.py for the options.
# TANDEM names the program (target/release/tandem). Each engine is installed under target/tools once, by the pins in requirements/;
# one that can't be had here is left out, and a line says so.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
tools=${CARGO_TARGET_DIR:-$root/target}/tools
TANDEM=$(realpath "${TANDEM:-$root/target/release/tandem}")
export TANDEM PYTHONDONTWRITEBYTECODE=1
mkdir -p "$tools"

# Installs an engine's packages and prints where they are; fails if they can't be had.
installed() {
    folder=$tools/bulk-$1-$(sha256sum <"$here/requirements/$1.txt" | cut -c1-12)
    if [ ! -d "$folder" ]; then
        temporary=$(mktemp -d "$tools/.bulk-$1-XXXXXX")
        if ! PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --no-input --no-deps \
            --no-warn-script-location --target "$temporary/new" --requirement "$here/requirements/$1.txt" >&2; then
            rm -rf "$temporary"
            return 1
        fi
        mv "$temporary/new" "$folder"
        rm -rf "$temporary"
    fi
    echo "$folder"
}

engines=
while [ $# -gt 0 ]; do
    case $1 in
    beam | spark | ray) engines="$engines $1" ;;
    *) break ;;
    esac
    shift
done
failed=0
for engine in ${engines:-beam spark ray}; do
    if [ "$engine" = spark ] && ! command -v java >/dev/null; then
        echo "NOT CHECKED: spark, for want of Java (Debian: openjdk-17-jre-headless)"
        continue
    fi
    if ! packages=$(installed "$engine"); then
        echo "NOT CHECKED: $engine, whose packages can't be installed here"
        continue
    fi
    echo "$engine"
    export PYTHONPATH="$root/clients/python/src:$packages"
    case " $* " in
    *" --texts"*) ;;
    *) (cd "$root/clients/python/tests/engines" && python3 -m unittest "test_$engine") || failed=1 ;;
    esac
    python3 "$here/proof.py" "$engine" "$@" || failed=1
    if [ "$engine" = beam ]; then python3 "$here/proof.py" beam-portable "$@" || failed=1; fi
done
exit $failed
