#!/bin/sh
# Has schemathesis ask a server what the OpenAPI document allows and what it does not, with all its checks, and fails if an answer is not
# what the document says: tools/openapi/fuzz.sh TANDEM [SECONDS]
#
# Without SECONDS, or with 0: the examples and the edges of every field alone, which takes half a minute.
set -eu

tandem=$(realpath "$1")
seconds=${2:-0}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
packages=$("$root/tools/test-tools.sh" schemathesis)
work=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server"; rm -rf "$work"' EXIT

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
# By the cascade, so that its threshold may be given without a route; a slow machine has time.
"$tandem" serve --models "$root/models" --default-route cascade --default-timeout 60s --grpc-addr 127.0.0.1:0 --http-addr "127.0.0.1:$port" >"$work/server.log" 2>&1 &
server=$!
until python3 -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:$port/readyz')" 2>/dev/null; do
    kill -0 "$server"
    sleep 0.2
done

cd "$work"
set -- --config-file "$here/schemathesis.toml" run "http://127.0.0.1:$port/openapi.json" --checks all --no-color --continue-on-failure
if [ "$seconds" -gt 0 ]; then
    set -- "$@" --max-time "$seconds"
else
    set -- "$@" --phases examples,coverage
fi
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$packages:$here SCHEMATHESIS_HOOKS=hooks python3 -m schemathesis.cli "$@"
kill -0 "$server"
