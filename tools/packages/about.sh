# shellcheck shell=sh disable=SC2034
# What packages must know of a folder of tools/dist.sh: to be read (`.`) in the root of the repository, not to be run.

# The newest version of a library that an ELF file asks for: `floor GLIBC FILE...`.
floor() {
    prefix=$1
    shift
    readelf --version-info --wide "$@" | sed -n "s/.*Name: ${prefix}_\([0-9.]*\) .*/\1/p" | sort --version-sort | tail -n 1
}

# Puts a package beside its folder, with its checksum, and prints its path.
finish() {
    into=$(dirname "$2")
    mv "$1" "$into/"
    made=$(basename "$1")
    (cd "$into" && sha256sum "$made" >"$made.sha256")
    echo "$into/$made"
}

about() {
    [ -f "$1/sbom.json" ] || { echo "$0: $1/sbom.json is not there: use tools/dist.sh --sbom" >&2; exit 2; }
    name=$(basename "$1")
    arch=${name##*-}
    version=${name#tandem-}
    version=${version%-*}
    summary=$(sed -n 's/^description = "\(.*\)"$/\1/p' Cargo.toml)
    onnxruntime=$(basename "$1"/libonnxruntime.so.*)
    onnxruntime=${onnxruntime#libonnxruntime.so.}
    glibc=$(floor GLIBC "$1/tandem" "$1/libonnxruntime.so.$onnxruntime")
    SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
    export SOURCE_DATE_EPOCH
}
