#!/bin/sh
# From a CSV file of texts and labels to a model that answers: docs/quickstart.md, docs/training.md.
#
#   tools/walks/train.sh [PROGRAM]
set -eu
# shellcheck source=tools/walks/common.sh
. "$(dirname -- "$0")/common.sh"
texts=examples/banking77

say "training on $(wc -l <$texts/train.csv) lines of $texts/train.csv"
"$program" train $texts/train.csv --label-column category --task banking --budget 0s --out "$work/models/banking-fast/1" \
    >"$work/train" 2>&1 || { cat "$work/train" >&2; fail "train failed"; }
say "$(grep '^held out' "$work/train")"

"$program" evaluate $texts/test.csv --label-column category --models "$work/models" --min accuracy=0.9 >"$work/report" 2>&1 ||
    { cat "$work/report" >&2; fail "below 90%"; }
say "kept aside: $(grep -m 1 '^accuracy' "$work/report" | tr -s ' ')"

serve server --models "$work/models"
answer=$(ask "$http" "My card is lost, what can I do?")
say "$answer" | cut -c 1-120
case $answer in *'"label":"lost_or_stolen_card"'*) ;; *) fail "another label" ;; esac
stop "$pid"
done_in
