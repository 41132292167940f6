#!/bin/sh
# Makes a release's tag, once everything says the same version. CONTRIBUTING.md has the steps around it.
#
#   tools/release.sh                 checks, and says what it would do: changes nothing
#   tools/release.sh tag             checks, and makes the tag vX.Y.Z, here only
#   tools/release.sh check vX.Y.Z    checks a tag that is there, as the workflow of releases does
#   tools/release.sh notes vX.Y.Z    prints that version's section of CHANGELOG.md
#   tools/release.sh formula FOLDER HOMEPAGE
#                                    prints the formula for Homebrew, with the checksums of the archives (tools/dist.sh --tar) in FOLDER
#
# That the tests of this commit are green is for whoever releases to see: nothing here runs them.
set -eu

cd "$(dirname -- "$0")/.."

faults=0
fault() { echo "$0: $*" >&2; faults=1; }

# What the expression keeps of a file's lines; more than one text if they differ.
said() { sed -n "s/$2/\1/p" "$1" | sort -u | paste -s -d , -; }

# Each place that holds the version, and what it says. The packages for callers have versions of their own.
versions() {
    cat <<EOF
Cargo.toml $(said Cargo.toml '^version = "\(.*\)"$')
Cargo.lock $(sed -n '/^name = "tandem-classify"$/{n;s/^version = "\(.*\)"$/\1/p;}' Cargo.lock)
Dockerfile $(said Dockerfile '^ARG VERSION=\(.*\)$')
docker-bake.hcl $(sed -n '/^variable "VERSION"/,/^}/s/^  default = "\(.*\)"$/\1/p' docker-bake.hcl)
deploy/helm/tandem/Chart.yaml(appVersion) $(said deploy/helm/tandem/Chart.yaml '^appVersion: \(.*\)$')
deploy/kubernetes/base/kustomization.yaml $(said deploy/kubernetes/base/kustomization.yaml '^.*newTag: \([^ }]*\).*$')
deploy/kubernetes.yaml $(said deploy/kubernetes.yaml '^ *image: tandem:\(.*\)$')
deploy/kserve/runtimes.yaml $(said deploy/kserve/runtimes.yaml '^ *image: tandem:\(.*\)$')
fuzz/Cargo.lock $(sed -n '/^name = "tandem-classify"$/{n;s/^version = "\(.*\)"$/\1/p;}' fuzz/Cargo.lock)
src/api/http/openapi.part.json $(said src/api/http/openapi.part.json '^    "version": "\(.*\)",$')
src/api/http/openapi.json $(said src/api/http/openapi.json '^    "version": "\(.*\)",$')
EOF
}

# A heading without brackets would be a link to nowhere, one without a date is not yet released.
date_of() { awk -v version="$1" '$1 == "##" && $2 == "[" version "]" && $3 == "-" {print $4}' CHANGELOG.md; }
newest() { sed -n 's/^## \[\([0-9][^]]*\)\].*/\1/p' CHANGELOG.md | head -n 1; }

# Without the empty lines at its beginning.
notes() {
    awk -v version="$1" '/^## / {inside = $2 == "[" version "]"; next} inside' CHANGELOG.md | sed '/./,$!d'
}

check() {
    for place in $(versions | tr ' ' '='); do
        [ "${place#*=}" = "$version" ] || fault "${place%%=*} says ${place#*=}, not $version"
    done
    [ "$(newest)" = "$version" ] || fault "CHANGELOG.md's newest version is $(newest), not $version: date the section [Unreleased]"
    case $(date_of "$version") in
    [0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]) ;;
    *) fault "CHANGELOG.md has no heading '## [$version] - YYYY-MM-DD'" ;;
    esac
    [ -z "$(notes Unreleased)" ] || fault "CHANGELOG.md has lines under [Unreleased]: they belong to a version"
    notes "$version" | grep -q '^### Breaking$' || fault "CHANGELOG.md's $version has no '### Breaking': what a user must act on, or 'Nothing.'"
    [ -n "$(notes "$version")" ] || fault "CHANGELOG.md says nothing of $version"
    [ -z "$(git status --porcelain)" ] || fault "the work tree has changes: $(git status --porcelain | head -n 3 | tr '\n' ' ')"
}

formula() {
    filled=$(sed "s|@HOMEPAGE@|$2|g; s|@VERSION@|$version|g" deploy/homebrew/tandem.rb)
    for arch in x86_64 aarch64; do
        sum=$1/tandem-$version-$arch.tar.gz.sha256
        [ -s "$sum" ] || { echo "$0: $sum is not there" >&2; exit 2; }
        filled=$(echo "$filled" | sed "s|@SHA256_$(echo $arch | tr '[:lower:]' '[:upper:]')@|$(cut -d ' ' -f 1 "$sum")|")
    done
    ! echo "$filled" | grep -n '@[A-Z]' >&2 || { echo "$0: the formula has a word that nothing fills" >&2; exit 1; }
    echo "$filled"
}

version=$(said Cargo.toml '^version = "\(.*\)"$')
tag=v$version
case ${1:-dry-run} in
notes)
    [ $# -eq 2 ] || { echo "$0: notes needs a tag" >&2; exit 2; }
    notes "${2#v}"
    exit
    ;;
formula)
    [ $# -eq 3 ] || { echo "$0: formula needs a folder and a homepage" >&2; exit 2; }
    formula "$2" "${3%/}"
    exit
    ;;
check)
    [ $# -eq 2 ] || { echo "$0: check needs a tag" >&2; exit 2; }
    [ "$2" = "$tag" ] || fault "the tag is $2, Cargo.toml says $version"
    ;;
tag | dry-run)
    ! git rev-parse --quiet --verify "refs/tags/$tag" >/dev/null || fault "the tag $tag is there already"
    ;;
*)
    echo "$0: no such word: $1" >&2
    exit 2
    ;;
esac
check
[ "$faults" = 0 ] || exit 1

case ${1:-dry-run} in
dry-run) echo "would make the tag $tag at $(git rev-parse --short HEAD), by '$0 tag': are its tests green?" ;;
tag)
    git tag --annotate --message "Tandem $version" "$tag"
    echo "made the tag $tag at $(git rev-parse --short HEAD); push it by: git push origin $tag"
    ;;
check) echo "ok -- $tag: every place says $version" ;;
esac
