#!/bin/sh
# Mending a bug: the text of an error is changed in a clone of this commit, its test is seen to fail, is mended, and passes.
#
#   tools/walks/bug.sh
#
# Needs no program, but a compiler: the first time it builds all that a test needs, which takes minutes, into
# CARGO_TARGET_DIR (target/walk-bug).
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target/walk-bug}"
set -- "$(command -v git)"
# shellcheck source=tools/walks/common.sh
. "$(dirname -- "$0")/common.sh"

say "a clone"
git clone --quiet "$root" "$work/tandem"
cd "$work/tandem"

old='a file that is no socket is there'
new='another file is there, not a socket'
say "the text '$old' is at: $(grep -rn "$old" src | cut -d: -f1,2)"
source=src/server/socket.rs
test=server::socket::tests::a_live_server_and_what_is_no_socket_keep_their_place
one_test() { nice cargo test --quiet --locked --lib -- --exact "$test" >"$work/out" 2>&1; }

moment=$(now)
one_test || { cat "$work/out" >&2; fail "the test should pass before anything is changed"; }
grep -q '1 passed' "$work/out" || fail "no test is called $test"
say "built, and its test passes: $(since "$moment") s"

moment=$(now)
sed -i "s/$old/$new/" "$source"
if one_test; then fail "no test noticed the change"; fi
grep -q "panicked at $source" "$work/out" || { cat "$work/out" >&2; fail "it did not compile"; }
say "the changed text is noticed, after $(since "$moment") s: $(grep -m 1 -A 1 'panicked at' "$work/out" | tr '\n' ' ')"

moment=$(now)
sed -i 's/contains("no socket")/contains("not a socket")/' "$source"
one_test || { cat "$work/out" >&2; fail "the mended test does not pass"; }
say "the mended test passes, after $(since "$moment") s; the change: $(git diff --shortstat)"
done_in
