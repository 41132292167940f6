#!/bin/sh
# Makes a folder the root of an image without a system in it: puts there the libraries of this Debian that programs need, with
# their licences and the packages' entries, which scanners for known faults read; a user; a folder for temporary files.
#
#   tools/image-root.sh FOLDER PROGRAM_OR_LIBRARY...
set -eu

root=$1
shift
mkdir -p "$root/etc" "$root/var/lib/dpkg/status.d"
install -d -m 1777 "$root/tmp"
echo 'tandem:x:65532:65532:tandem:/opt/tandem:/usr/sbin/nologin' >"$root/etc/passwd"
echo 'tandem:x:65532:' >"$root/etc/group"
# Names are looked up in /etc/hosts first, then by DNS.
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"

# ldd names each library by the path at which the loader found it, and the loader itself by that written into programs.
libraries=$(ldd "$@" | sed -n 's/^\t\(.* => \)\?\(\/[^ ]*\) (0x.*$/\2/p' | sort -u)
for library in $libraries; do
    # Past links of folders such as /lib, as dpkg knows files; links of names to versions stay, as names of files.
    real=$(readlink -f "$library")
    mkdir -p "$root$(dirname "$library")"
    install -m 755 "$real" "$root$library"
    package=$(dpkg-query --search "*${real#/usr}" | sed 's/: .*//' | head -n 1)
    name=${package%%:*}
    [ ! -e "$root/var/lib/dpkg/status.d/$name" ] || continue
    dpkg-query --status "$package" >"$root/var/lib/dpkg/status.d/$name"
    mkdir -p "$root/usr/share/doc/$name"
    # -L: some packages share the folder of another.
    cp -L "/usr/share/doc/$name/copyright" "$root/usr/share/doc/$name/copyright"
done
cp -L /etc/os-release "$root/etc/os-release"
