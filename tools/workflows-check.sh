#!/bin/sh
# Checks the files of .github/ without GitHub: their schemas, and by zizmor, offline, what is unsafe in workflows (permissions,
# versions that are not pinned, texts that a stranger may put into a shell).
set -eu

cd "$(dirname -- "$0")/.."
schemas=$(tools/test-tools.sh compose)
fits() {
    schema=$1
    shift
    PYTHONPATH=$schemas python3 -m check_jsonschema --builtin-schema "vendor.$schema" "$@"
}
fits github-workflows .github/workflows/*.yml
fits dependabot .github/dependabot.yml
fits github-issue-config .github/ISSUE_TEMPLATE/config.yml
for form in .github/ISSUE_TEMPLATE/*.yml; do
    [ "$form" = .github/ISSUE_TEMPLATE/config.yml ] || fits github-issue-forms "$form"
done
"$(tools/test-tools.sh zizmor)" --offline --quiet --persona pedantic .github
