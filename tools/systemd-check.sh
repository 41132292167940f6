#!/bin/sh
# Runs deploy/systemd/tandem.service under a real systemd, which is booted in a small Debian of its own, and checks that it starts,
# reloads, is restarted by its watchdog, and stops.
#
#   tools/systemd-check.sh [--work FOLDER] [PROGRAM]     default: target/release/tandem
#   tools/systemd-check.sh [--work FOLDER] PACKAGE.deb   the service as tools/packages/deb.sh packs it
#
# --work keeps the Debian for the next run. Needs root, debootstrap and systemd-nspawn (package systemd-container). The Debian comes from
# the mirror that apt uses here. It has a /dev, processes and a network of its own.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
[ "${TANDEM_PRIVATE_DEV:-}" = 1 ] || exec "$here/tools/private-dev.sh" "$0" "$@"

work=
[ "${1:-}" != --work ] || { mkdir -p "$2" && work=$(readlink -f -- "$2") && shift 2; }
program=$(readlink -f -- "${1:-${CARGO_TARGET_DIR:-$here/target}/release/tandem}")
for tool in debootstrap systemd-nspawn nsenter; do
    command -v "$tool" >/dev/null || { echo "$0: $tool is not here" >&2; exit 2; }
done
kept=$work
[ -n "$work" ] || work=$(mktemp -d)
root=$work/systemd
container='' inside=''
# What systemd-nspawn leaves behind where this machine has no systemd that would clean up.
leftovers() { find /sys/fs/cgroup -maxdepth 2 \( -name payload -o -name supervisor \) -type d; }
before=$(leftovers)
cleanup() {
    if [ -n "$container" ]; then
        # The signal by which systemd is told to power off.
        [ -z "$inside" ] || kill -s RTMIN+4 "$inside" 2>/dev/null || true
        wait "$container" 2>/dev/null || true
    fi
    [ -n "$before" ] || leftovers | while read -r group; do find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true; done
    [ -n "$kept" ] || rm -rf "$work"
}
trap cleanup EXIT
fail() {
    echo "FAILED: $*" >&2
    [ -z "$inside" ] || ctl status tandem --no-pager --full >&2 || true
    exit 1
}
ok() { echo "ok      $*"; }

if [ ! -d "$root" ]; then
    # shellcheck disable=SC1091
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets --format '$(SITE) $(RELEASE)' | sed -n "s/ $suite\$//p" | head -n 1)
    debootstrap --variant=minbase --include=systemd,dbus,procps "$suite" "$root.new" "$mirror" >"$work/debootstrap.log" 2>&1 \
        || fail "debootstrap: $work/debootstrap.log"
    mv "$root.new" "$root"
fi
rm -rf "$root/opt/tandem" "$root/etc/systemd/system/tandem.service.d" "$root/var/log/journal" "$root/var/lib/private/tandem"
packages() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin dpkg "$@" >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log" >&2; fail "dpkg $*"; }; }
[ ! -e "$root/var/lib/dpkg/info/tandem-classify.list" ] || packages --purge tandem-classify
rm -rf "$root/etc/systemd/system/tandem.service" "$root/etc/tandem"
mkdir -p "$root/etc/systemd/system/tandem.service.d"
case $program in
*.deb)
    unit=/lib/systemd/system/tandem.service tandem=/usr/bin/tandem
    cp "$program" "$root/tandem.deb"
    packages --install /tandem.deb
    rm "$root/tandem.deb"
    ;;
*)
    unit=/etc/systemd/system/tandem.service tandem=/opt/tandem/tandem
    made=$("$here/tools/dist.sh" --binary "$program" --into "$work/dist")
    mv "$made" "$root/opt/tandem"
    mkdir -p "$root/etc/tandem"
    install -m 644 "$here/deploy/systemd/tandem.service" "$root/etc/systemd/system/"
    install -m 600 "$here/deploy/systemd/tandem.env" "$root/etc/tandem/tandem.env"
    ;;
esac
# The example as it is, then a port by which it is told apart from the default.
echo 'TANDEM_GRPC_ADDR=127.0.0.1:7001' >>"$root/etc/tandem/tandem.env"
# So short that the check need not wait for half a minute.
printf '[Service]\nWatchdogSec=6\n' >"$root/etc/systemd/system/tandem.service.d/check.conf"

systemd-nspawn --quiet --register=no --keep-unit --private-network --machine=tandem-check --directory "$root" --boot --console=pipe \
    </dev/null >"$work/boot.log" 2>&1 &
container=$!
soon() {
    until=$(($(date +%s) + 120))
    until "$@" >/dev/null 2>&1; do
        kill -0 "$container" 2>/dev/null || { cat "$work/boot.log" >&2; fail "the container ended"; }
        [ "$(date +%s)" -lt "$until" ] || return 1
        sleep 0.1
    done
}
booted() { inside=$(tr -d ' ' <"/proc/$container/task/$container/children") && [ -n "$inside" ]; }
soon booted || fail "no systemd"
in_container() { nsenter --target "$inside" --mount --pid --uts --ipc --net --cgroup "$@"; }
ctl() { in_container systemctl "$@"; }
soon ctl list-units || fail "systemd does not answer"
show() { ctl show tandem --property "$1" --value; }
is() { [ "$(show "$1")" = "$2" ]; }
ok "systemd $(in_container systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p') runs in a Debian of its own"

in_container systemd-analyze verify "$unit" || fail "systemd-analyze verify"
ok "systemd-analyze verify"

ctl start tandem || fail "it does not start"
is SubState running || fail "it is $(show SubState)"
health() { in_container "$tandem" healthcheck --addr 127.0.0.1:7001 >/dev/null; }
health || fail "it is started and not healthy"
pid=$(show MainPID)
uid=$(in_container sh -c "sed -n 's/^Uid:\t\([0-9]*\).*/\1/p' /proc/$pid/status")
if [ "$tandem" = /usr/bin/tandem ]; then
    [ "$uid" = "$(in_container id -u tandem)" ] || fail "it runs as $uid, not as tandem"
elif [ "$uid" -lt 61184 ] || [ "$uid" -gt 65519 ]; then fail "it runs as $uid, not as a dynamic user"; fi
ok "start waits until it serves, at the address of the environment file, as a user of its own ($uid)"
log() { in_container journalctl --unit tandem --output cat --no-pager; }
# Whatever its sandbox forbids it would say.
complaints=$(log | grep -c '"level":"\(WARN\|ERROR\)"' || true)
[ "$complaints" = 0 ] || { log | grep '"level":"\(WARN\|ERROR\)"' >&2; fail "it complains"; }
ok "nothing that the sandbox forbids is missed"

ctl reload tandem || fail "it does not reload"
reloaded() { log | grep -q 'told to look for new versions of models'; }
soon reloaded || fail "it was not told to reload"
soon is SubState running || fail "after a reload it is $(show SubState)"
is MainPID "$pid" || fail "a reload starts it anew"
ok "reload"

ctl kill --signal STOP tandem
soon is NRestarts 1 || fail "its watchdog does not bite"
soon is SubState running || fail "it does not come back"
soon health || fail "it is not healthy again"
log | grep -q 'Watchdog timeout' || fail "the journal says nothing of the watchdog"
ok "a server that hangs is killed by the watchdog and started again"
heard() { show WatchdogTimestampMonotonic; }
first=$(heard)
lived() { [ "$(heard)" -ge $((first + 7000000)) ]; }
soon lived || fail "its watchdog hears nothing"
is NRestarts 1 || fail "the watchdog bites a server that answers"
ok "one that answers is left alone"

ctl stop tandem || fail "it does not stop"
[ "$(show Result) $(show ExecMainStatus)" = "success 0" ] || fail "it ended with $(show ExecMainStatus): $(show Result)"
ok "stop ends it with 0"
