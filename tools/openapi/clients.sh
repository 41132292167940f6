#!/bin/sh
# Makes clients of a server's /openapi.json by openapi-python-client and by openapi-typescript with openapi-fetch, checks their types, and
# has each classify five texts, whose labels must be those of POST /predict: tools/openapi/clients.sh TANDEM
set -eu

tandem=$(realpath "$1")
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
packages=$("$root/tools/test-tools.sh" openapi-client)
modules=$("$root/tools/test-tools.sh" npm "$here")
node=$("$root/tools/test-tools.sh" node)/node
work=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server"; rm -rf "$work"' EXIT

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
address=http://127.0.0.1:$port
"$tandem" serve --models "$root/models" --grpc-addr 127.0.0.1:0 --http-addr "127.0.0.1:$port" >"$work/server.log" 2>&1 &
server=$!
cat >"$work/plain.py" <<'END'
import json, sys, urllib.request
asked = json.dumps({"text": sys.argv[2:], "do_fast": True}).encode()
request = urllib.request.Request(sys.argv[1] + "/predict", asked, {"content-type": "application/json"})
answers = json.load(urllib.request.urlopen(request))
print("\n".join(answers[str(at)]["label"] for at in range(len(answers))))
END
until python3 -c "import urllib.request; urllib.request.urlopen('$address/readyz')" 2>/dev/null; do
    kill -0 "$server"
    sleep 0.2
done
python3 -c "import urllib.request; open('$work/openapi.json', 'wb').write(urllib.request.urlopen('$address/openapi.json').read())"
set -- "$address" "정말 재미있게 봤어요" "시간이 아까운 영화" "최고의 영화" "돈이 아깝다" "배우들의 연기가 훌륭하다"
expected=$(python3 "$work/plain.py" "$@")

cd "$work"
export PYTHONPATH="$packages:$work" PYTHONDONTWRITEBYTECODE=1
echo '{"post_hooks": []}' >config.json
python3 -m openapi_python_client generate --path openapi.json --config config.json --meta none --output-path tandem_client >python.log 2>&1 ||
    { cat python.log; exit 1; }
cp "$here/client.py" .
python3 -m mypy --strict --no-error-summary --cache-dir "$work/mypy" client.py
found=$(python3 client.py "$@")
test "$found" = "$expected" || { echo "Python: $found, not $expected"; exit 1; }
echo "openapi-python-client: as POST /predict"

ln -s "$modules" node_modules
"$node" node_modules/openapi-typescript/bin/cli.js openapi.json -o schema.d.ts >typescript.log 2>&1 || { cat typescript.log; exit 1; }
cp "$here/client.mts" .
"$node" node_modules/typescript/bin/tsc --strict --noEmit --target es2022 --module nodenext --allowImportingTsExtensions \
    --types node --lib es2022,dom client.mts schema.d.ts
found=$("$node" --no-warnings client.mts "$@")
test "$found" = "$expected" || { echo "TypeScript: $found, not $expected"; exit 1; }
echo "openapi-typescript and openapi-fetch: as POST /predict"
