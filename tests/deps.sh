#!/bin/sh
# Installs the packages that building, testing and the benches need, if any is missing. Debian 12 or later.
set -eu
packages="gcc clang llvm libclang-rt-14-dev make pkg-config libglib2.0-dev libcurl4-openssl-dev libssl-dev liblua5.4-dev
 lua5.4 libpcre2-dev libgmime-3.0-dev libuv1-dev libsqlite3-dev sqlite3 libmsgpack-dev libjansson-dev libcmocka-dev
 libseccomp-dev dovecot-imapd dovecot-lmtpd openssl ca-certificates mandoc $*"
missing=""
for p in $packages; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
sudo=""
[ "$(id -u)" -eq 0 ] || sudo=sudo
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -q >/dev/null
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >/dev/null
