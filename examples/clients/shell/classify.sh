#!/bin/sh
# Asks for the labels of texts over HTTP, with curl alone:  classify.sh http://localhost:5000 TEXT…
# TANDEM_TOKEN is sent as the key, where there is one.
set -eu

server=$1
shift

# A text as JSON: backslashes, quotes and control characters are escaped, the rest is UTF-8 as it is.
json() {
    printf '%s' "$1" | awk '
        BEGIN {
            for (i = 1; i < 32; i++) escaped[sprintf("%c", i)] = sprintf("\\u%04x", i)
            escaped["\""] = "\\\""
            escaped["\\"] = "\\\\"
        }
        {
            if (NR > 1) printf "%s", "\\n"
            for (i = 1; i <= length($0); i++) {
                c = substr($0, i, 1)
                printf "%s", (c in escaped ? escaped[c] : c)
            }
        }'
}

texts=
for text in "$@"; do
    texts="$texts${texts:+, }\"$(json "$text")\""
done

# x-request-timeout-ms: the deadline that the server knows, for one try. --max-time: that of one try here, a little longer.
# --retry: again on 429 and 503 (and on other passing failures), after the pause that the server tells in retry-after, for at
# most --retry-max-time in all. --fail-with-body: an error is an exit code, and its JSON, which names the field, is printed.
# --output: a file, since a try that is repeated has written its body too.
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
code=0
curl --silent --show-error --fail-with-body \
    --connect-timeout 2 --max-time 6 --retry 3 --retry-max-time 20 --retry-connrefused \
    --header 'content-type: application/json' \
    --header 'x-request-timeout-ms: 5000' \
    ${TANDEM_TOKEN:+--header "authorization: Bearer $TANDEM_TOKEN"} \
    --data "{\"texts\": [$texts], \"route\": \"ROUTE_FAST\"}" \
    --output "$answer" "$server/v1/predict" || code=$?
cat "$answer"
echo
exit "$code"
