#!/bin/sh
# Runs a program in a mount namespace of its own with a /dev of its own, so that no image builder or package in it can touch the
# machine's: tools/private-dev.sh PROGRAM [ARGUMENT...]. Needs root. All that was mounted goes with the program.
set -eu

[ "$(id -u)" = 0 ] || { echo "$0: needs root" >&2; exit 2; }
[ "${TANDEM_PRIVATE_DEV:-}" = 1 ] || exec env TANDEM_PRIVATE_DEV=1 unshare --mount --propagation private -- "$0" "$@"

dev=$(mktemp -d)
mount -t tmpfs -o mode=755,nosuid tmpfs "$dev"
for node in null zero full random urandom tty; do
    : >"$dev/$node"
    mount --bind "/dev/$node" "$dev/$node"
done
ln -s /proc/self/fd "$dev/fd"
ln -s fd/0 "$dev/stdin"
ln -s fd/1 "$dev/stdout"
ln -s fd/2 "$dev/stderr"
mkdir "$dev/shm" "$dev/pts" "$dev/mqueue"
mount -t tmpfs -o mode=1777 tmpfs "$dev/shm"
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts "$dev/pts"
ln -s pts/ptmx "$dev/ptmx"
mount --rbind "$dev" /dev
# The folder itself can go: the mount on it is reached by /dev.
umount --lazy "$dev"
rmdir "$dev"
exec "$@"
