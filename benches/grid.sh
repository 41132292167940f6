#!/usr/bin/env bash
# What a text costs over its tokens and the texts of a call, and a call over connections: measures, and writes tables
# (FOLDER/grid.md), drawings and grid.json.
#
#     benches/grid.sh FOLDER [docs]     docs: the tables into docs/performance.md and the drawings into docs/images/ too
#
# SHORT=1 measures less. PROGRAM (target/release/tandem); MINILM_512: a repository that `benches/minilm.py --max-tokens
# 512` wrote, made if it is not set, MINILM=off: nothing; TOKENS, TEXTS and CONNECTIONS: lists; RATE: calls a second over
# the connections; ROUNDS; DURATION and CONNECTION_DURATION: of a round; LIMIT: seconds after which nothing more is begun.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=${1:?usage: benches/grid.sh FOLDER [docs]}
where=${2:-}
program=${PROGRAM:-target/release/tandem}
minilm=${MINILM_512:-$folder/minilm-512}
if [ -n "${SHORT:-}" ]; then
    tokens="3 64 512" texts="1 32" connections="1 1000" rounds=1 duration=100ms connection_duration=1s limit=90
else
    tokens="3 6 16 64 128 256 512" texts="1 4 16 32 128" connections="1 10 100 1000" rounds=3 duration=400ms
    connection_duration=3s limit=660
fi
if [ "${MINILM:-}" = off ]; then
    echo "left out: the grid, which needs a model of MiniLM's size" >&2
    exit
fi
mkdir -p "$folder"

# The pinned packages of minilm.py and of the drawings, in an environment of their own.
[ -e "$folder/venv" ] || python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --requirement benches/requirements.txt
if [ ! -e "$minilm/minilm-random/1/manifest.toml" ]; then
    "$folder/venv/bin/python" benches/minilm.py --max-tokens 512 --out "$minilm"
fi

python3 benches/grid.py "$folder" --program "$program" --minilm "$minilm" --tokens "${TOKENS:-$tokens}" \
    --texts "${TEXTS:-$texts}" --connections "${CONNECTIONS:-$connections}" --rate "${RATE:-2000}" \
    --rounds "${ROUNDS:-$rounds}" --duration "${DURATION:-$duration}" \
    --connection-duration "${CONNECTION_DURATION:-$connection_duration}" --limit "${LIMIT:-$limit}"
"$folder/venv/bin/python" benches/performance.py "$folder" ${where:+--docs}
