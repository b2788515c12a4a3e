#!/bin/sh
# Installs the packages that building, testing and the benches need, if any is missing, and unpacks into build/servers
# the IMAP servers that cannot be installed beside Dovecot or would start by themselves. Debian 12 or later.
set -eu
packages="gcc clang llvm libclang-rt-14-dev make pkg-config libglib2.0-dev libcurl4-openssl-dev libssl-dev liblua5.4-dev
 lua5.4 libpcre2-dev libgmime-3.0-dev libuv1-dev libsqlite3-dev sqlite3 libmsgpack-dev libjansson-dev libcmocka-dev
 libseccomp-dev zlib1g-dev dovecot-imapd dovecot-lmtpd openssl ca-certificates mandoc
 libical3 libxapian30 libwrap0 libsasl2-modules libsasl2-modules-db libdb5.3 libpcre3 libidn12 libcourier-unicode4 libgamin0
 libltdl7 libgdbm6 libgnutls30 libgsasl18 libmailutils9 libnsl2 $*"
servers=$(cd "$(dirname "$0")/.." && pwd)/build/servers
missing=""
for p in $packages; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
sudo=""
[ "$(id -u)" -eq 0 ] || sudo=sudo
if [ -n "$missing" ]; then
    echo "installing:$missing"
    $sudo apt-get update -q >/dev/null
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >/dev/null
fi

# unpack NAME PACKAGE...: below build/servers/NAME, unless it is there; nothing of it is configured or started.
unpack() {
    [ ! -e "$servers/$1/.unpacked" ] || return 0
    place="$servers/$1"
    shift
    echo "unpacking: $*"
    rm -rf "$place"
    mkdir -p "$place/.debs"
    (
        cd "$place/.debs"
        apt-get download -q "$@" >/dev/null 2>&1 ||
            { $sudo apt-get update -q >/dev/null; apt-get download -q "$@" >/dev/null; }
        for deb in *.deb; do dpkg-deb -x "$deb" "$place"; done
    )
    rm -rf "$place/.debs"
    touch "$place/.unpacked"
}
unpack cyrus cyrus-imapd cyrus-common sasl2-bin
unpack courier courier-imap courier-base courier-authlib courier-authlib-userdb
unpack imap4d mailutils-imap4d
