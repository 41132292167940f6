#!/bin/sh
# Every walk, one after the other, and a table of their seconds: docs/walks.md. Fails if one of them does.
#
#   tools/walks/all.sh [PROGRAM]
set -eu

folder=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
program=$(readlink -f -- "${1:-$folder/../../target/release/tandem}")
said=$(mktemp)
trap 'rm -f "$said"' EXIT
table='' failed=0
for walk in service export train cluster bug; do
    # What it says is shown as it comes. The last line tells how it went.
    "$folder/$walk.sh" "$program" 2>&1 | tee "$said"
    seconds=$(sed -n "s/^ok -- $walk: \(.*\) s\$/\1/p" "$said")
    [ -n "$seconds" ] || failed=1
    table="$table$(printf '%-10s %8s' "$walk" "${seconds:-failed}")
"
done
printf '\n%-10s %8s\n%s' walk seconds "$table"
exit "$failed"
