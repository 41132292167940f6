#!/bin/sh
# Makes a Debian package of a folder of tools/dist.sh, beside it, and its checksum, by debhelper. Prints its path.
#
#   tools/packages/deb.sh FOLDER
#
# deploy/debian/ says where the files go. The unit is that of deploy/systemd/, with other paths and with a user that the package
# makes. Needs debhelper; for another processor gcc-ARCH-linux-gnu too.
# shellcheck disable=SC2154
set -eu

folder=$(readlink -f -- "$1")
cd "$(dirname -- "$0")/../.."
# shellcheck disable=SC1091
. tools/packages/about.sh
about "$folder"

case $arch in x86_64) debian=amd64 ;; aarch64) debian=arm64 ;; esac
# A version before another one has a tilde there: 0.2.0~rc.1 is older than 0.2.0.
release=$(echo "$version" | sed 's/-/~/')
maintainer=${MAINTAINER:-$(git log -1 --format='%an <%ae>')}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

tree=$work/tree
cp -R "$folder" "$tree"
cp -R deploy/debian "$tree/"
install -m 644 deploy/systemd/tandem.env tandem.example.toml "$tree/"
sed -i "s|@MAINTAINER@|$(printf %s "$maintainer" | sed 's/[&|\\]/\\&/g')|" "$tree/debian/control"
sed 's/^$/./; s/^/ /' LICENSE-MIT | sed '1,4d' >"$work/mit"
sed -i -e "/@MIT@/{r $work/mit" -e 'd}' "$tree/debian/copyright"
# With the package the settings are in /etc/tandem, where a tandem.toml is read too, and models that nobody names are those beside
# the program. Its user stays, so that files can be made readable for it.
sed -e '1,2c # Tandem as a service of systemd. Settings: /etc/tandem/tandem.env, and /etc/tandem/tandem.toml if that is there.' \
    -e 's#^ExecStart=/opt/tandem/#ExecStart=/usr/bin/#' -e 's#^WorkingDirectory=.*#WorkingDirectory=/etc/tandem#' \
    -e 's#TANDEM_MODELS=/opt/tandem/models ##' \
    -e 's#^\# A user that exists only while the service runs\.#\# The user that the package makes.#' -e 's#^DynamicUser=yes#User=tandem#' \
    deploy/systemd/tandem.service >"$tree/debian/tandem-classify.tandem.service"
! grep -n /opt "$tree/debian/tandem-classify.tandem.service" >&2 || { echo "$0: the unit says /opt" >&2; exit 1; }
cat >"$tree/debian/changelog" <<END
tandem-classify ($release) unstable; urgency=medium

  * Version $version of Tandem, whose CHANGELOG.md says what is new.

 -- $maintainer  $(date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")
END

(cd "$tree" && GLIBC=$glibc dpkg-buildpackage --build=binary --no-sign --host-arch "$debian" -d) >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
finish "$work"/*_"$debian".deb "$folder"
