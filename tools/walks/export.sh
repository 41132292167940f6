#!/bin/sh
# Dropping in what an exporter wrote: a transformer as Hugging Face's exporter leaves it, and a pipeline of scikit-learn that is
# trained and exported here. docs/models.md, docs/models-sklearn.md. The second half wants pip, and fetches some 100 MB.
#
#   tools/walks/export.sh [PROGRAM]
set -eu
# shellcheck source=tools/walks/common.sh
. "$(dirname -- "$0")/common.sh"

cp -r tests/data/hugging_face/distilbert "$work/my-model"
rm "$work/my-model/expected.jsonl"
say "the folder of an export: $(cd "$work/my-model" && echo *)"
"$program" check "$work/my-model" >"$work/check" || { cat "$work/check"; fail "check found something wrong"; }
say "check: $(grep -m 1 '^labels' "$work/check" | tr -s ' '); $(tail -n 1 "$work/check" | tr -s ' ')"
serve deep --deep "$work/my-model"
say "the first answer, after $(since "$began") s: $(ask "$http" "A lovely film" | cut -c 1-90)"
stop "$pid"

moment=$(now)
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check scikit-learn skl2onnx
say "scikit-learn and skl2onnx are installed, in $(since "$moment") s"
"$work/env/bin/python" tools/walks/export.py examples/banking77/train.csv "$work/banking" >"$work/wanted"
"$program" check "$work/banking" >"$work/check" || { cat "$work/check"; fail "check found something wrong"; }
say "check: $(tail -n 1 "$work/check" | tr -s ' ')"
serve fast --fast "$work/banking"
answer=$(ask "$http" "My card is lost, what can I do?")
say "scikit-learn says $(cat "$work/wanted"), Tandem: $(echo "$answer" | cut -c 1-80)"
case $answer in *"\"label\":\"$(cat "$work/wanted")\""*) ;; *) fail "they differ" ;; esac
stop "$pid"
done_in
