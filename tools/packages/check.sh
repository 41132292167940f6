#!/bin/sh
# Installs each package of this version in a clean Debian of its own, starts the server there, asks it once and ends it:
#
#   tools/packages/check.sh [--work FOLDER] [--only archive|wheel|deb|arm64] [DIST]      DIST: the folder of the packages; default: dist
#
# Takes the packages that are there, for this machine's processor; and the archive for ARM64, by qemu-aarch64-static. --work keeps the
# Debians and the wheels of others for the next run. Needs root, debootstrap, curl, iproute2 and python3 with pip. The Debians come from
# the mirror that apt uses here. The servers have a /dev, processes and a network of their own, from which nothing else is reached.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
[ "${TANDEM_PRIVATE_DEV:-}" = 1 ] || exec "$here/tools/private-dev.sh" "$0" "$@"

ANSWER_LIMIT_S=60
work=
only=
inside=
dist=
while [ $# -gt 0 ]; do
    case $1 in
    --work | --only | --inside)
        [ $# -gt 1 ] || { echo "$0: $1 needs a word" >&2; exit 2; }
        case $1 in
        --work) mkdir -p "$2" && work=$(readlink -f -- "$2") ;;
        --only) only=$2 ;;
        --inside) inside=$2 ;;
        esac
        shift
        ;;
    -*) echo "$0: no such option: $1" >&2; exit 2 ;;
    *) dist=$(readlink -f -- "$1") ;;
    esac
    shift
done
case $only in '' | archive | wheel | deb | arm64) ;; *) echo "$0: --only is archive, wheel, deb or arm64" >&2; exit 2 ;; esac
[ -n "$dist" ] || dist=$here/dist
arch=$(uname -m)
# shellcheck disable=SC1091
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")

fail() {
    echo "FAILED: $*" >&2
    [ ! -s "$work/server.log" ] || tail -n 5 "$work/server.log" >&2
    exit 1
}
ok() { echo "ok      $*"; }
seconds_since() { awk -v from="$1" -v to="$(date +%s%N)" 'BEGIN {printf "%.1f", (to - from) / 1e9}'; }

# ---- in a network of its own: a package is installed, started, asked and ended

asked() {
    curl --silent --fail --max-time 5 http://127.0.0.1:5000/predict -H 'content-type: application/json' \
        -d '{"text": ["정말 재미있게 봤어요"], "do_fast": true}' >"$work/answer" 2>/dev/null && grep -q '"label":"positive"' "$work/answer"
}
# The words are the command that serves, which must become the server: signals go to it, and its exit code is the server's.
serve() {
    "$@" >"$work/server.log" 2>&1 &
    server=$!
    until asked; do
        kill -0 "$server" 2>/dev/null || fail "$kind: the server ended"
        [ $((($(date +%s%N) - begun) / 1000000000)) -lt "$ANSWER_LIMIT_S" ] || fail "$kind: no answer"
        sleep 0.05
    done
    took=$(seconds_since "$begun")
    kill -TERM "$server"
    code=0
    wait "$server" || code=$?
    [ "$code" = 0 ] || fail "$kind: SIGTERM ends it with $code"
}

try_archive() {
    tar --directory "$root/opt" --extract --file "$dist/tandem-$version-$arch.tar.gz"
    (cd "$root/opt/tandem-$version-$arch" && sha256sum --check --quiet SHA256SUMS) || fail "checksums of the archive"
    serve chroot --userspec=65534:65534 "$root" "/opt/tandem-$version-$arch/tandem" serve
}

try_wheel() {
    mkdir "$root/wheels"
    cp "$work"/wheels/*.whl "$root/wheels/"
    begun=$(date +%s%N)
    chroot "$root" python3 -m venv /opt/venv
    chroot "$root" /opt/venv/bin/pip --disable-pip-version-check --quiet install --no-index --find-links /wheels tandem-classify \
        >"$work/pip.log" 2>&1 || { cat "$work/pip.log" >&2; fail "pip"; }
    serve chroot --userspec=65534:65534 "$root" env PATH=/opt/venv/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 tandem serve
    found=$(chroot "$root" /opt/venv/bin/tandem --version)
    echo "$found" | grep -q site-packages/onnxruntime/ || fail "the wheel's program loads another library: $found"
}

try_deb() {
    package=$(echo "$dist"/tandem-classify_*_"$(dpkg --print-architecture)".deb)
    cp "$package" "$root/tandem.deb"
    chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive dpkg --install /tandem.deb >"$work/dpkg.log" 2>&1 \
        || { cat "$work/dpkg.log" >&2; fail "dpkg"; }
    # As the unit has it: that user, that folder, these variables.
    # shellcheck disable=SC2046
    serve chroot --userspec=tandem:tandem "$root" env -C /etc/tandem -i $(grep -v '^#' "$root/etc/tandem/tandem.env") \
        TANDEM_DRAIN_PAUSE=0s /usr/bin/tandem serve
    chroot "$root" systemd-analyze verify --man=no tandem.service >"$work/server.log" 2>&1 || fail "the unit"
    chroot "$root" systemd-analyze security --offline=true --threshold=20 tandem.service >"$work/server.log" || fail "the unit's exposure"
    chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin dpkg --purge tandem-classify >>"$work/dpkg.log" 2>&1 || fail "dpkg --purge"
    left=$(find "$root/usr" "$root/etc" "$root/lib/systemd" -path '*tandem*' | head -n 3)
    [ -z "$left" ] || fail "a purge leaves $left"
}

try_arm64() {
    mkdir -p "$root/opt"
    tar --directory "$root/opt" --extract --file "$dist/tandem-$version-aarch64.tar.gz"
    cp "$(command -v qemu-aarch64-static)" "$root/usr/bin/"
    serve chroot --userspec=65534:65534 "$root" /usr/bin/qemu-aarch64-static "/opt/tandem-$version-aarch64/tandem" serve
}

if [ -n "$inside" ]; then
    kind=$inside
    version=$TANDEM_VERSION
    root=$work/root
    ip link set lo up
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    [ "$kind" != arm64 ] || ANSWER_LIMIT_S=300
    begun=$(date +%s%N)
    "try_$kind"
    echo "$took" >"$work/took"
    exit
fi

# ---- with the machine's network: clean Debians, and the wheels of others

for tool in debootstrap curl ip python3; do
    command -v "$tool" >/dev/null || { echo "$0: $tool is not here" >&2; exit 2; }
done
kept=$work
[ -n "$work" ] || work=$(mktemp -d)
# What is mounted for a server is mounted in a namespace that has gone by then.
trap 'rm -rf "$work/root"; [ -n "$kept" ] || rm -rf "$work"' EXIT
# shellcheck disable=SC2016
mirror=$(apt-get indextargets --format '$(SITE) $(RELEASE)' | sed -n "s/ $suite\$//p" | head -n 1)

debian() {
    [ ! -d "$work/$1" ] || return 0
    name=$1
    shift
    rm -rf "$work/$name.new"
    debootstrap --variant=minbase "$@" "$suite" "$work/$name.new" "$mirror" >"$work/debootstrap.log" 2>&1 || fail "debootstrap: $(tail -n 3 "$work/debootstrap.log")"
    mv "$work/$name.new" "$work/$name"
}

# Those of the Debian's Python, which may be another than this machine's.
wheels() {
    rm -f "$work"/wheels/tandem_classify-*
    python=$(basename "$work"/python/usr/lib/python3.* | sed 's/^python//')
    set --
    for minor in $(seq 5 40); do set -- "$@" --platform "manylinux_2_${minor}_$arch"; done
    python3 -m pip --disable-pip-version-check --quiet download --dest "$work/wheels" --only-binary=:all: --implementation cp \
        --python-version "$python" --platform "manylinux2014_$arch" "$@" "$wheel" >"$work/pip.log" 2>&1 || { cat "$work/pip.log" >&2; fail "pip download"; }
}

run() {
    rm -rf "$work/root" "$work/took"
    cp -a "$work/$2" "$work/root"
    # The processes that a package leaves end with their first.
    TANDEM_VERSION=$version unshare --net --mount --pid --fork --kill-child -- "$0" --work "$work" --inside "$1" "$dist" || exit 1
    ok "$1: $3; first answer after $(cat "$work/took") s, SIGTERM ends it with 0"
}
wanted() { [ -z "$only" ] || [ "$only" = "$1" ]; }

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$here/Cargo.toml" | head -n 1)
done_any=
if wanted archive && [ -f "$dist/tandem-$version-$arch.tar.gz" ]; then
    debian base --include=systemd,procps
    run archive base "unpacked into /opt, run as nobody"
    done_any=yes
fi
wheel=$(find "$dist" -maxdepth 1 -name "tandem_classify-*_$arch.whl" | head -n 1)
if wanted wheel && [ -n "$wheel" ]; then
    debian python --include=python3,python3-venv
    wheels
    run wheel python "installed by pip with its dependencies (downloaded before), run as nobody"
    done_any=yes
fi
if wanted deb && [ -n "$(find "$dist" -maxdepth 1 -name "tandem-classify_*_$(dpkg --print-architecture).deb")" ]; then
    debian base --include=systemd,procps
    run deb base "installed by dpkg, run as tandem, purged"
    done_any=yes
fi
if wanted arm64 && [ "$arch" != aarch64 ] && [ -f "$dist/tandem-$version-aarch64.tar.gz" ]; then
    if command -v qemu-aarch64-static >/dev/null; then
        # Its packages are unpacked, and that is all: nothing of them need run.
        debian arm64 --arch=arm64 --foreign --include=libstdc++6
        run arm64 arm64 "unpacked into /opt, run as nobody by an emulator"
        done_any=yes
    else
        echo "skipped arm64: qemu-aarch64-static is not here"
    fi
fi
[ -n "$done_any" ] || { echo "$0: no packages in $dist: make packages" >&2; exit 2; }
