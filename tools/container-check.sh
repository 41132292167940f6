#!/bin/sh
# Builds the image from nothing, without a container engine and without a registry of images, and checks what runs in it.
#
#   tools/container-check.sh                   builds as the Dockerfile says, which takes as long as a release build, and asserts that
#                                              a change of a source file has one crate compiled
#   tools/container-check.sh --program PATH    takes a ready program: only the last stages of the Dockerfile are built
#   --gpu                                      builds deploy/gpu/Dockerfile on top, 4 GB, and runs it up to the driver that is not here
#   --work FOLDER                              keeps base images and layers there for the next run, in place of a temporary folder
#
# Needs root, buildah, podman, crun, podman's plugin dnsname, debootstrap, iproute2, openssl, python3 with pip, and cargo. The base image is made by debootstrap from the mirror that apt
# uses here and with the Rust that is installed here; it trusts the authorities that this machine trusts. A pip.conf of this machine
# is read by the build, and is not in the image. All of it happens in a mount namespace with a /dev of its own, and containers run in
# a network of their own.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
[ "${TANDEM_PRIVATE_DEV:-}" = 1 ] || exec "$here/tools/private-dev.sh" "$0" "$@"

SIZE_LIMIT_MB=120 SLIM_LIMIT_MB=95 READY_LIMIT_S=60 STOP_LIMIT_MS=2000
program=
gpu=
work=
while [ $# -gt 0 ]; do
    case $1 in
    --gpu) gpu=yes; shift; continue ;;
    --program) program=$(readlink -f -- "$2") ;;
    --work) mkdir -p "$2" && work=$(readlink -f -- "$2") ;;
    *) echo "$0: no such option: $1" >&2; exit 2 ;;
    esac
    shift 2
done
for tool in buildah podman crun debootstrap openssl cargo; do
    command -v "$tool" >/dev/null || { echo "$0: $tool is not here" >&2; exit 2; }
done
# crun wants one kind of control groups; seen from this namespace alone there is one.
umount /sys/fs/cgroup/unified 2>/dev/null || true

kept=$work
[ -n "$work" ] || work=$(mktemp -d)
# From here on the program under test runs below this folder only.
store() { engine=$1; shift; "$engine" --root "$work/storage" --runroot "$work/run" --storage-driver "$driver" "$@"; }
driver=overlay
grep -q overlay /proc/filesystems || driver=vfs
builder() { store buildah "$@"; }
cleanup() {
    code=$?
    [ -z "${holder:-}" ] || kill "$holder" || true
    [ "$code" = 0 ] || echo "$0: ended with $code" >&2
    store podman rm --all --force --time 0 >/dev/null 2>&1 || true
    # An overlay that is still mounted must not be walked into.
    grep " $work/" /proc/mounts | cut -d ' ' -f 2 | sort -r | while read -r mount; do umount --lazy "$mount"; done
    # Groups that podman leaves behind, empty.
    find /sys/fs/cgroup -maxdepth 2 -name libpod_parent | while read -r group; do
        find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
    done
    [ -n "$kept" ] || rm -rf "$work"
}
trap cleanup EXIT

fail() { echo "FAILED: $*" >&2; exit 1; }
ok() { echo "ok      $*"; }

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$here/Cargo.toml" | head -n 1)
rust=$(sed -n 's/^ARG RUST_IMAGE=//p' "$here/Dockerfile")
suite=$(echo "$rust" | sed 's/.*slim-//; s/@.*//')

# A small Debian, with the authorities that this machine trusts.
debian_image() {
    builder inspect --type image "docker.io/library/debian:$suite-slim" >/dev/null 2>&1 && return
    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets --format '$(SITE) $(RELEASE)' | sed -n "s/ $suite\$//p" | head -n 1)
    rm -rf "$work/debian"
    debootstrap --variant=minbase "$suite" "$work/debian" "$mirror" >"$work/debootstrap.log" 2>&1 || fail "debootstrap: $work/debootstrap.log"
    tar -C "$work/debian" --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' --exclude='./var/cache/apt/archives/*.deb' \
        --exclude='./var/lib/apt/lists/*' -cf "$work/debian.tar" .
    rm -rf "$work/debian"
    container=$(builder from scratch)
    builder add "$container" "$work/debian.tar" / >/dev/null
    rm "$work/debian.tar"
    builder add "$container" /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt >/dev/null
    builder commit --quiet "$container" "docker.io/library/debian:$suite-slim" >/dev/null
    builder rm "$container" >/dev/null
}

# It with packages of Debian's: a container of its own, to be committed.
with_packages() {
    debian_image
    container=$(builder from --pull-never "docker.io/library/debian:$suite-slim")
    builder config --env DEBIAN_FRONTEND=noninteractive "$container"
    builder run --isolation chroot --network host "$container" -- sh -c "apt-get update && apt-get install --yes --no-install-recommends \
        ca-certificates $* && rm -rf /var/lib/apt/lists/*" >"$work/base.log" 2>&1 || fail "the base image: $work/base.log"
    builder add "$container" /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt >/dev/null
    builder config --env DEBIAN_FRONTEND- "$container"
}

base_image() {
    builder inspect --type image "docker.io/library/$rust" >/dev/null 2>&1 && return
    with_packages gcc libc6-dev
    tar -C "$(rustc --print sysroot)" --exclude=./share --exclude='./lib/rustlib/src' -cf "$work/rust.tar" bin lib
    builder add "$container" "$work/rust.tar" /usr/local >/dev/null
    rm "$work/rust.tar"
    builder config --env CARGO_HOME=/usr/local/cargo "$container"
    builder commit --quiet "$container" "docker.io/library/$rust" >/dev/null
    builder rm "$container" >/dev/null
}

# As `docker build`: health checks are in images of Docker's format only.
build() {
    # shellcheck disable=SC2046
    builder bud --format docker --layers --isolation chroot --network host --pull-never --build-arg VERSION="$version" \
        $([ ! -f /etc/pip.conf ] || echo --volume /etc/pip.conf:/etc/pip.conf:ro) "$@" >"$work/build.log" 2>&1 \
        || { tail -n 30 "$work/build.log" >&2; fail "the build: $work/build.log"; }
}

context() {
    rm -rf "$work/context"
    mkdir "$work/context"
    (cd "$here" && git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents --target-directory "$work/context")
}

# What the stage "build" leaves, from a ready program, and the stages after it.
context_of_program() {
    rm -rf "$work/context"
    mkdir -p "$work/context/image/opt" "$work/context/models/opt/tandem"
    (
        cd "$here"
        made=$(tools/dist.sh --binary "$program" --into "$work/dist")
        mv "$made" "$work/context/image/opt/tandem"
        cd "$work/context"
        mv image/opt/tandem/models image/opt/tandem/SHA256SUMS models/opt/tandem/
        grep -v ' \./models/' models/opt/tandem/SHA256SUMS >image/opt/tandem/SHA256SUMS
        "$here/tools/image-root.sh" image image/opt/tandem/tandem image/opt/tandem/libonnxruntime.so.*
        sed -n '/^FROM scratch AS slim/,$p' "$here/Dockerfile" | sed 's#^COPY --from=build /#COPY ./#' >Dockerfile
    )
}

begun=$(date +%s)
if [ -n "$program" ]; then
    context_of_program
    build --tag tandem:slim --target slim "$work/context"
    build --tag tandem:check "$work/context"
    ok "the last stages build, with a ready program ($(($(date +%s) - begun)) s)"
else
    base_image
    ok "a base image from nothing ($(($(date +%s) - begun)) s)"
    context
    begun=$(date +%s)
    build --tag tandem:slim --target slim "$work/context"
    build --tag tandem:check "$work/context"
    ok "the Dockerfile builds, both targets ($(($(date +%s) - begun)) s)"
    # A change that is an error, so that no crate is compiled for nothing; and without the cache mount, as where only layers are kept.
    echo 'compile_error!("one crate");' >>"$work/context/src/lib.rs"
    sed -i '/^FROM dependencies AS build/,/^FROM scratch/ s/--mount=[^ ]* //' "$work/context/Dockerfile"
    (build --tag tandem:again "$work/context") >/dev/null 2>&1 && fail "the changed sources are not built"
    grep -q 'error: one crate' "$work/build.log" || fail "the changed sources are not built: $work/build.log"
    compiled=$(grep -c '^ *Compiling ' "$work/build.log" || true)
    [ "$compiled" = 1 ] || { grep '^ *Compiling ' "$work/build.log" >&2; fail "a change of one file compiles $compiled crates"; }
    ok "after a change of a source file one crate is compiled, also without cache mounts"
fi

# ---- what is in it

config() { builder inspect --type image --format "$1" "$2"; }
megabytes() { store podman image inspect --format '{{.Size}}' "$1" | awk '{printf "%d", $1 / 1e6 + 0.5}'; }
for image in check:$SIZE_LIMIT_MB slim:$SLIM_LIMIT_MB; do
    size=$(megabytes "tandem:${image%:*}")
    [ "$size" -le "${image#*:}" ] || fail "tandem:${image%:*} is of $size MB, the limit is ${image#*:}"
    ok "tandem:${image%:*} has $size MB (limit ${image#*:})"
done
for label in title description licenses version revision; do
    value=$(store podman image inspect --format "{{index .Labels \"org.opencontainers.image.$label\"}}" tandem:check)
    case $value in "" | "<no value>") fail "no label $label" ;; esac
    [ "$label" != version ] || [ "$value" = "$version" ] || fail "the label says version $value, Cargo.toml $version"
done
ok "labels, version $version"
for image in check slim; do
    container=$(builder from --pull-never "tandem:$image")
    root=$(builder mount "$container")
    (cd "$root/opt/tandem" && sha256sum --check --quiet SHA256SUMS) || fail "checksums in tandem:$image"
    models=$(find "$root" -name '*.onnx' | wc -l)
    [ "$image" = slim ] && expected=0 || expected=2
    [ "$models" = "$expected" ] || fail "$models models in tandem:$image"
    shells=$(find "$root" -name '*sh' -path '*bin/*' | wc -l)
    [ "$shells" = 0 ] || fail "a shell in tandem:$image"
    writable=$(find "$root" ! -type l -perm /o+w ! -path "$root/tmp" | wc -l)
    [ "$writable" = 0 ] || fail "$writable files that anybody may write in tandem:$image"
    [ -s "$root/var/lib/dpkg/status.d/libc6" ] || fail "no entries of packages for scanners"
    builder umount "$container" >/dev/null
    builder rm "$container" >/dev/null
done
ok "checksums; 2 models in the one and none in the other; no shell, nothing that anybody may write"

# ---- how it runs

mkdir -p "$work/tls"
(
    cd "$work/tls"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=server -keyout key.pem -out server.csr
    printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' >names
    openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem
) 2>/dev/null
chmod 755 "$work/tls"
chmod 644 "$work/tls/"*

# Containers share one network, which is neither the machine's nor anybody else's.
network() { nsenter --net="/proc/$holder/ns/net" "$@"; }
unshare --net sleep infinity &
holder=$!
while [ "$(readlink "/proc/$holder/ns/net")" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
network ip link set lo up

# shellcheck disable=SC3045
nofile=$(ulimit -n)
engine() {
    # Its complaints that no systemd keeps the timers of health checks: the checks are run here.
    network podman --log-level fatal --root "$work/storage" --runroot "$work/run" --storage-driver "$driver" --cgroup-manager cgroupfs "$@"
}
# No rights, nothing to write, limits that this machine can give.
start() {
    name=$1
    shift
    engine run --detach --name "$name" --pull never --network host --cgroups disabled --log-driver k8s-file --read-only \
        --read-only-tmpfs=false --cap-drop all --security-opt no-new-privileges --ulimit "nofile=$nofile:$nofile" --ulimit nproc=512:512 \
        "$@" >/dev/null || fail "$name does not start"
}
healthy() {
    since=$(date +%s%N)
    until engine healthcheck run "$1" >/dev/null 2>&1; do
        [ "$(engine inspect --format '{{.State.Running}}' "$1")" = true ] || { engine logs "$1" >&2; fail "$1 ended"; }
        [ $((($(date +%s%N) - since) / 1000000000)) -lt "$READY_LIMIT_S" ] || { engine logs "$1" >&2; fail "$1 is not healthy"; }
    done
    ready_ms=$((($(date +%s%N) - since) / 1000000))
}
stop() {
    since=$(date +%s%N)
    engine kill --signal TERM "$1" >/dev/null
    code=$(engine wait "$1")
    stop_ms=$((($(date +%s%N) - since) / 1000000))
    [ "$code" = 0 ] || { engine logs "$1" >&2; fail "$1 ended with $code"; }
    engine rm "$1" >/dev/null
}
predict() { engine exec "$1" /opt/tandem/tandem predict --addr 127.0.0.1:50051 --route fast '정말 재미있게 봤어요' | grep -q positive; }

start plain --env TANDEM_DRAIN_PAUSE=0s tandem:check
healthy plain
pid=$(engine inspect --format '{{.State.Pid}}' plain)
[ "$(awk '/^Uid:/ {print $2}' "/proc/$pid/status")" = 65532 ] || fail "it does not run as 65532"
[ "$(awk '/^NSpid:/ {print $NF}' "/proc/$pid/status")" = 1 ] || fail "it is not process 1"
predict plain || fail "no answer"
stop plain
[ "$stop_ms" -le "$STOP_LIMIT_MS" ] || fail "it took $stop_ms ms to end"
ok "user 65532, process 1, read-only root, no rights: healthy after $ready_ms ms, answers, SIGTERM ends it with 0 after $stop_ms ms"

start pause tandem:check
healthy pause
stop pause
[ "$stop_ms" -ge 5000 ] || fail "it ended after $stop_ms ms, before its drain_pause of 5 s"
ok "with the image's drain_pause of 5 s it ends with 0 after $stop_ms ms"

start anybody --env TANDEM_DRAIN_PAUSE=0s --user 12345:54321 tandem:check
healthy anybody
stop anybody
ok "an arbitrary user, 12345:54321"

tls="--volume $work/tls:/tls:ro --env TANDEM_TLS_CERT=/tls/cert.pem --env TANDEM_TLS_KEY=/tls/key.pem"
# shellcheck disable=SC2086
for row in 'TLS|' 'mutual TLS|--env TANDEM_TLS_CLIENT_CA=/tls/ca.pem' 'TLS and keys|--env TANDEM_TOKENS=a:0123456789abcdef0123' \
    'another address, by the environment|--env TANDEM_GRPC_ADDR=127.0.0.1:7001'; do
    start tls --env TANDEM_DRAIN_PAUSE=0s $tls ${row#*|} tandem:check
    healthy tls
    stop tls
    ok "healthy with ${row%%|*}"
done
# shellcheck disable=SC2086
start flags $tls tandem:check serve --grpc-addr 127.0.0.1:7002 --tls-cert /tls/cert.pem --tls-key /tls/key.pem --drain-pause 0s
healthy flags
stop flags
ok "healthy with an address and TLS that flags of serve tell"

start wrong --env TANDEM_GRPC_ADDR=127.0.0.1:7003 --env TANDEM_LISTEN=at-start tandem:check
healthy wrong
engine exec wrong /opt/tandem/tandem healthcheck --addr 127.0.0.1:7004 2>/dev/null && fail "healthy where nobody listens"
engine rm --force --time 0 wrong >/dev/null
ok "not healthy at an address where nobody listens"

start first --env TANDEM_DRAIN_PAUSE=0s tandem:check
stop first
ok "SIGTERM in the first instant ends it with 0 after $stop_ms ms"

slim=$(engine run --name slim --pull never --network host --cgroups disabled --read-only --ulimit "nofile=$nofile:$nofile" \
    --ulimit nproc=512:512 tandem:slim 2>&1) && fail "slim serves without models"
echo "$slim" | grep -q '/opt/tandem/models' || fail "slim says: $slim"
engine rm slim >/dev/null
start slim --volume "$here/models:/opt/tandem/models:ro" --env TANDEM_DRAIN_PAUSE=0s tandem:slim
healthy slim
predict slim || fail "no answer"
stop slim
ok "slim names the folder of models that it lacks, and serves one that is mounted there"

# ---- with CUDA, up to the driver

if [ -n "$gpu" ]; then
    with_packages python3 python3-pip
    builder commit --quiet "$container" docker.io/library/python:3.11-slim-bookworm >/dev/null
    builder rm "$container" >/dev/null
    context
    since=$(date +%s)
    build --tag tandem:gpu --build-arg TANDEM_IMAGE=tandem:check --file "$work/context/deploy/gpu/Dockerfile" "$work/context"
    ok "deploy/gpu/Dockerfile builds ($(($(date +%s) - since)) s): $(megabytes tandem:gpu) MB"
    start gpu --env TANDEM_DRAIN_PAUSE=0s tandem:gpu
    healthy gpu
    predict gpu || fail "no answer"
    engine logs gpu 2>&1 | grep 'an execution provider is left out' | grep cuda | grep -q 'libcuda.so.1' \
        || { engine logs gpu >&2; fail "it does not say that the driver is missing"; }
    stop gpu
    required=$(engine run --name required --pull never --network host --cgroups disabled --read-only --ulimit "nofile=$nofile:$nofile" \
        --ulimit nproc=512:512 --env TANDEM_DEEP_EXECUTION_PROVIDERS=cuda tandem:gpu 2>&1) && fail "it serves without the driver"
    echo "$required" | grep -q 'libcuda.so.1' || fail "where cuda is required it says: $required"
    engine rm required >/dev/null
    ok "it serves on the processor where cuda may be left out, and ends where it must not: libcuda.so.1 is not here"
fi

# ---- with Compose: names are looked up in a network of its own

[ -x /usr/lib/cni/dnsname ] || { echo "skipped docker-compose.yml: podman has no plugin dnsname here"; exit 0; }
printf '[storage]\ndriver = "%s"\ngraphroot = "%s/storage"\nrunroot = "%s/run"\n' "$driver" "$work" "$work" >"$work/storage.conf"
cat >"$work/containers.conf" <<END
[containers]
cgroups = "disabled"
default_ulimits = ["nofile=$nofile:$nofile", "nproc=512:512"]
[engine]
cgroup_manager = "cgroupfs"
[network]
network_config_dir = "$work/networks"
END
PYTHONPATH=$("$here/tools/test-tools.sh" podman-compose)
export PYTHONPATH CONTAINERS_STORAGE_CONF="$work/storage.conf" CONTAINERS_CONF="$work/containers.conf"
compose() {
    network python3 -m podman_compose --podman-args=--log-level=fatal --in-pod=false --project-name tandem-check --file "$work/docker-compose.yml" "$@"
}
cp "$here/docker-compose.yml" "$work/"
store podman tag tandem:check tandem:latest
compose up --no-build --detach server >"$work/compose.log" 2>&1 || fail "docker-compose.yml: $work/compose.log"
healthy tandem-check_server_1
answers=$(compose run --no-deps --rm client 2>>"$work/compose.log") || fail "the client of docker-compose.yml: $work/compose.log"
for label in positive negative; do
    echo "$answers" | grep -q "$label" || fail "the client says: $answers"
done
compose down >>"$work/compose.log" 2>&1 || fail "docker-compose.yml does not go down: $work/compose.log"
ok "docker-compose.yml: the server gets healthy after $ready_ms ms, and the client finds it by name and prints its answers"
echo "all is as it should be"
