# shellcheck shell=sh disable=SC2034  # $pid, $grpc and $http are for those who read this.
# What the walks share: each is `NAME.sh [PROGRAM]` and reads this file first. It goes to the root of the project, makes a folder
# `$work`, and at the end, whatever happens, ends the servers that were started and removes that folder.

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
walk=$(basename "$0" .sh)
program=$(readlink -f -- "${1:-$root/target/release/tandem}")
cd "$root" || exit 2
[ -x "$program" ] || { echo "$program is not there: build it first, by 'make build', or name another" >&2; exit 2; }
# Settings of whoever walks are not those of the walk.
for variable in $(env | sed -n 's/^\(TANDEM_[A-Z_]*\)=.*/\1/p'); do unset "$variable"; done

work=$(mktemp -d)
began=$(date +%s.%N)
started=
finish() {
    for process in $started; do kill "$process" 2>/dev/null || true; done
    for process in $started; do wait "$process" 2>/dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

say() { printf '%s: %s\n' "$walk" "$*"; }
fail() { say "$*" >&2; exit 1; }
now() { date +%s.%N; }
# Seconds since a moment.
since() { awk -v from="$1" -v to="$(now)" 'BEGIN { printf "%.1f", to - from }'; }
done_in() { echo "ok -- $walk: $(since "$began") s"; }

# Waits, a minute at most, until a command does well.
wait_until() {
    tries=600
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "waited a minute in vain for: $*"
        sleep 0.1
    done
}

# serve NAME [FLAGS]: starts a server, waits until it is ready, and sets $pid, $grpc and $http. Its ports are free ones, unless
# TANDEM_GRPC_ADDR and TANDEM_HTTP_ADDR say which.
serve() {
    log=$work/$1.log
    shift
    : >"$log"
    TANDEM_GRPC_ADDR=${TANDEM_GRPC_ADDR:-127.0.0.1:0} TANDEM_HTTP_ADDR=${TANDEM_HTTP_ADDR:-127.0.0.1:0} TANDEM_LOG_FORMAT=json \
        "$program" serve "$@" 2>"$log" &
    pid=$!
    started="$started $pid"
    tries=600
    until grep -q '"message":"ready"' "$log"; do
        tries=$((tries - 1))
        if ! kill -0 "$pid" 2>/dev/null || [ "$tries" -eq 0 ]; then
            tail -n 3 "$log" >&2
            fail "the server did not get ready"
        fi
        sleep 0.1
    done
    listening=$(grep -m 1 '"message":"listening"' "$log")
    grpc=$(echo "$listening" | sed 's/.*"grpc":"\([^"]*\)".*/\1/')
    http=$(echo "$listening" | sed 's/.*"http":"\([^"]*\)".*/\1/')
}

# Ends one of them as an operator would, and says so if it did not end well.
stop() {
    kill "$1"
    wait "$1" || fail "the server ended with $?"
}

# ask ADDRESS TEXT: the whole answer over HTTP.
ask() {
    curl -sS --fail-with-body "$1/v1/predict" -H 'content-type: application/json' -d "{\"texts\": [\"$2\"]}"
}

# A loopback port that nobody has at this moment, below those that the system gives to outgoing connections: a server that is
# started again comes back to it.
free_port() {
    python3 - <<'PYTHON'
import random, socket
while True:
    port = random.randrange(20_000, 32_000)
    with socket.socket() as taken:
        if taken.connect_ex(("127.0.0.1", port)):
            print(port)
            break
PYTHON
}
