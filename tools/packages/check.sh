#!/bin/sh
# Installs each package of this version in a clean Debian of its own, starts the server there, asks it once and ends it:
#
#   tools/packages/check.sh [--work FOLDER] [--only archive|wheel|deb|arm64] [DIST]      DIST: the folder of the packages; default: dist
#
# Takes the packages that are there, for this machine's processor; and those for ARM64 in a Debian for ARM64, all of whose programs
# are run by qemu-aarch64-static, in a user namespace of its own: the machine's own list of emulators stays as it is (Linux 6.7 or
# newer). --work keeps the Debians and the wheels of others for the next run. Needs root, debootstrap, curl, iproute2 and python3 with
# pip. The Debians come from the mirror that apt uses here. The servers have a /dev, processes and a network of their own, from which
# nothing else is reached.
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
arch=${TANDEM_ARCH:-$(uname -m)}
# shellcheck disable=SC1091
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")

fail() {
    echo "FAILED: $*" >&2
    [ ! -s "$work/server.log" ] || tail -n 5 "$work/server.log" >&2
    exit 1
}
ok() { echo "ok      $*"; }
seconds_since() { awk -v from="$1" -v to="$(date +%s%N)" 'BEGIN {printf "%.1f", (to - from) / 1e9}'; }

# The packages of this version for $arch: in their names a hyphen before a pre-release is nothing, or a tilde.
wheel_of() { echo "$dist/tandem_classify-$(echo "$version" | sed 's/-\([a-z]*\)\.\{0,1\}/\1/')"-*"_$arch.whl"; }
deb_of() { echo "$dist/tandem-classify_$(echo "$version" | sed 's/-/~/')_$(debian_arch "$arch").deb"; }
# Debian's name of a processor.
debian_arch() { case $1 in x86_64) echo amd64 ;; aarch64) echo arm64 ;; *) dpkg --print-architecture ;; esac; }

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
    cp "$work/wheels-$arch"/*.whl "$root/wheels/"
    begun=$(date +%s%N)
    chroot "$root" python3 -m venv /opt/venv
    chroot "$root" /opt/venv/bin/pip --disable-pip-version-check --quiet install --no-index --find-links /wheels tandem-classify \
        >"$work/pip.log" 2>&1 || { cat "$work/pip.log" >&2; fail "pip"; }
    serve chroot --userspec=65534:65534 "$root" env PATH=/opt/venv/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 tandem serve
    found=$(chroot "$root" /opt/venv/bin/tandem --version)
    echo "$found" | grep -q site-packages/onnxruntime/ || fail "the wheel's program loads another library: $found"
}

try_deb() {
    cp "$(deb_of)" "$root/tandem.deb"
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

# From here on programs for ARM64 run, in this namespace and no other.
emulate() {
    mkdir -p "$work/emulators"
    mount -t binfmt_misc none "$work/emulators"
    # That of Debian's package, but with the emulator's own path; F: the kernel opens it now, so that no root need have it.
    sed 's#:[^:]*:[A-Z]*$#:/usr/bin/qemu-aarch64-static:OF#' /usr/lib/binfmt.d/qemu-aarch64.conf >"$work/emulators/register"
}

if [ -n "$inside" ]; then
    kind=$inside
    version=${TANDEM_VERSION:-}
    root=$work/root
    [ -z "${TANDEM_EMULATE:-}" ] || { emulate; ANSWER_LIMIT_S=600; }
    mount --rbind /dev "$root/dev"
    mount -t proc proc "$root/proc"
    if [ "$kind" = second-stage ]; then
        # What a container of lxc may: make no devices, which are there.
        exec env container=lxc chroot "$root" /debootstrap/debootstrap --second-stage
    fi
    ip link set lo up
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
    [ -z "$emulated" ] || set -- "$@" --arch=arm64 --foreign
    rm -rf "$work/$name.new"
    debootstrap --variant=minbase "$@" "$suite" "$work/$name.new" "$mirror" >"$work/debootstrap.log" 2>&1 || fail "debootstrap: $(tail -n 3 "$work/debootstrap.log")"
    if [ -n "$emulated" ]; then
        rm -rf "$work/root"
        mv "$work/$name.new" "$work/root"
        emulated "$0" --work "$work" --inside second-stage "$dist" >"$work/debootstrap.log" 2>&1 || fail "debootstrap: $(tail -n 3 "$work/debootstrap.log")"
        mv "$work/root" "$work/$name.new"
    fi
    mv "$work/$name.new" "$work/$name"
}

# Runs a program as the root of a user namespace, where it may name an emulator.
emulated() {
    # shellcheck disable=SC2016
    TANDEM_EMULATE=1 unshare --user -- sh -c 'until [ "$(wc -l </proc/self/gid_map)" = 1 ]; do sleep 0.05; done; exec "$@"' sh \
        unshare --mount --pid --fork --kill-child -- "$@" &
    namespace=$!
    # Refused until the namespace is there.
    until echo '0 0 65536' 2>/dev/null >"/proc/$namespace/uid_map"; do
        kill -0 "$namespace" 2>/dev/null || return 1
        sleep 0.05
    done
    echo '0 0 65536' >"/proc/$namespace/gid_map"
    wait "$namespace"
}

# Those of the Debian's Python, which may be another than this machine's.
wheels() {
    rm -f "$work/wheels-$arch"/tandem_classify-*
    python=$(basename "$work/$1"/usr/lib/python3.* | sed 's/^python//')
    set --
    for minor in $(seq 5 40); do set -- "$@" --platform "manylinux_2_${minor}_$arch"; done
    python3 -m pip --disable-pip-version-check --quiet download --dest "$work/wheels-$arch" --only-binary=:all: --implementation cp \
        --python-version "$python" --platform "manylinux2014_$arch" "$@" "$wheel" >"$work/pip.log" 2>&1 || { cat "$work/pip.log" >&2; fail "pip download"; }
}

run() {
    rm -rf "$work/root" "$work/took"
    cp -a "$work/$2" "$work/root"
    export TANDEM_VERSION="$version" TANDEM_ARCH="$arch"
    # The processes that a package leaves end with their first.
    $emulated unshare --net --mount --pid --fork --kill-child -- "$0" --work "$work" --inside "$1" "$dist" || exit 1
    ok "$1${emulated:+ for ARM64, by an emulator}: $3; first answer after $(cat "$work/took") s, SIGTERM ends it with 0"
}
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$here/Cargo.toml" | head -n 1)
done_any=
wanted() { [ -z "$only" ] || [ "$only" = "${emulated:+arm64}" ] || { [ -z "$emulated" ] && [ "$only" = "$1" ]; }; }

# The packages for $arch, in a Debian for what needs no Python, and one for what does, both made with these options.
packages() {
    if wanted archive && [ -f "$dist/tandem-$version-$arch.tar.gz" ]; then
        debian "$1" "$3"
        run archive "$1" "unpacked into /opt, run as nobody"
        done_any=yes
    fi
    wheel=$(wheel_of)
    if wanted wheel && [ -f "$wheel" ]; then
        debian "$2" "$4"
        wheels "$2"
        run wheel "$2" "installed by pip with its dependencies (downloaded before), run as nobody"
        done_any=yes
    fi
    if wanted deb && [ -f "$(deb_of)" ]; then
        debian "$1" "$3"
        run deb "$1" "installed by dpkg, run as tandem, purged"
        done_any=yes
    fi
}

emulated=
packages base python --include=systemd,procps --include=python3,python3-venv
if [ "$arch" != aarch64 ] && [ -f "$dist/tandem-$version-aarch64.tar.gz" ]; then
    emulated=emulated
    arch=aarch64
    if [ ! -x /usr/bin/qemu-aarch64-static ] || [ ! -f /usr/lib/binfmt.d/qemu-aarch64.conf ]; then
        echo "skipped arm64: Debian's qemu-user-static is not here"
    else
        # One for all: to set it up by an emulator takes minutes.
        packages arm64 arm64 --include=systemd,procps,python3,python3-venv --include=systemd,procps,python3,python3-venv
    fi
fi
[ -n "$done_any" ] || { echo "$0: no packages in $dist: make packages" >&2; exit 2; }
