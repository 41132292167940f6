#!/bin/sh
# Makes two models of all 77 intents that differ in how many texts they have seen, to try a cascade with: there is no
# transformer in it. The "deep" one is trained on 6,000 questions, the "fast" one on 1,000 of these, by the same recipe.
# What is left of both files, some 7,000 questions, is held out for both.
#
#     sh examples/banking77/pair.sh banking77-train.csv banking77-test.csv FOLDER
#
# The files are those of the public repository PolyAI-LDN/task-specific-datasets. TANDEM may be set.
set -eu
tandem=${TANDEM:-target/release/tandem}
out=$3
mkdir -p "$out/models"
python3 - "$1" "$2" "$out" <<'PYTHON'
import csv, pathlib, random, sys

def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return [(row["text"].strip(), row["category"]) for row in csv.DictReader(file)]

train, rest, out = rows(sys.argv[1]), rows(sys.argv[2]), pathlib.Path(sys.argv[3])
random.Random(20261122).shuffle(train)
rest += train[6000:]
seen = {text for text, _ in train[:6000]}
for name, kept in ("deep", train[:6000]), ("fast", train[:1000]), ("held_out", [row for row in rest if row[0] not in seen]):
    with open(out / f"{name}.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "category"), *kept])
    print(f"{name}: {len(kept)} questions, {len({label for _, label in kept})} intents")
PYTHON
for tier in fast deep; do
    "$tandem" train "$out/$tier.csv" --label-column category --out "$out/models/banking-$tier/1" --task banking \
        --budget 0s --force --data "BANKING77" --data-license CC-BY-4.0
done
# A cascade wants one model of each tier; what a model is made of does not say which it is.
sed -i 's/^tier = "fast"/tier = "deep"/' "$out/models/banking-deep/1/manifest.toml"
