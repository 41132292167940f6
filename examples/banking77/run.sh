#!/bin/sh
# Trains, checks, measures and asks a classifier of bank customers' questions. TANDEM, MODELS and BUDGET may be set.
set -eu
here=$(dirname "$0")
tandem=${TANDEM:-target/release/tandem}
models=${MODELS:-$(mktemp -d)}

"$tandem" train "$here/train.csv" --label-column category --out "$models/banking-fast/1" \
    --budget "${BUDGET:-1m}" --data "BANKING77, a slice" --data-license CC-BY-4.0
"$tandem" check "$models/banking-fast/1"
"$tandem" evaluate "$here/test.csv" --label-column category --model "$models/banking-fast/1" --min accuracy=0.85
"$tandem" predict --models "$models" "My card is lost, what now?" "Why was I charged a fee for my transfer?"
"$tandem" serve --check --models "$models"
