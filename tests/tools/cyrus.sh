#!/bin/sh
# cyrus.sh - a private Cyrus IMAP server on loopback, for tests.
#
#   cyrus.sh start DIR [USERS]   makes DIR (binaries, config, certificate, mail), starts the server on ports that are
#                                free, and writes DIR/env: IMAP_PORT (STARTTLS), IMAPS_PORT, LMTP_PORT, CA (shell
#                                assignments)
#   cyrus.sh deliver DIR USER    the message on standard input, by LMTP ($TOOLS/lmtp)
#   cyrus.sh stop DIR            stops it; DIR stays (the caller removes it)
#   cyrus.sh kill DIR            stops it with SIGKILL, as a crash would
#   cyrus.sh restart DIR         starts again on the ports of before
#
# Users user1..userN (default 4), password "secret", kept in a private sasldb; each gets its folders at the first login
# or delivery. SEPARATOR=. in the environment gives the layout of Debian's package: names like INBOX.Trash; else there
# are names like Trash and Lists/One. EXTRA is appended to imapd.conf. The binaries are those that tests/deps.sh
# unpacks: the package cannot be installed beside Dovecot. Works as root (mail then belongs to `mail`) and as an
# ordinary user.
set -eu
. "$(dirname "$0")/_private.sh"
env_names="IMAP_PORT IMAPS_PORT LMTP_PORT"

# A copy, because whom the server becomes may not be able to read the place of the checkout.
copy_binaries() { # DIR
    need_unpacked cyrus usr/lib/cyrus/bin/master
    mkdir -p "$1/bin" "$1/lib"
    for name in master imapd lmtpd idled ctl_cyrusdb ctl_mboxlist; do
        cp "$unpacked/cyrus/usr/lib/cyrus/bin/$name" "$1/bin/"
    done
    cp -P "$unpacked"/cyrus/usr/lib/*/libcyrus*.so.* "$1/lib/"
}

write_config() { # DIR
    dots=yes prefix=yes
    [ "${SEPARATOR:-/}" = / ] || dots=no prefix=no
    cat >"$1/imapd.conf" <<END
configdirectory: $1/state
defaultpartition: default
partition-default: $1/mail
proc_path: $1/state/proc
mboxname_lockpath: $1/state/lock
cyrus_user: $mail_user
cyrus_group: $mail_group
servername: localhost
virtdomains: off
unixhierarchysep: $dots
altnamespace: $prefix
autocreate_quota: 0
autocreate_post: yes
autocreate_inbox_folders: Trash | Junk | Archive
autocreate_subscribe_folders: Trash | Junk | Archive
xlist-trash: Trash
xlist-junk: Junk
xlist-archive: Archive
allowplaintext: yes
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: $1/sasldb2
sasl_mech_list: PLAIN LOGIN CRAM-MD5
tls_server_cert: $1/cert.pem
tls_server_key: $1/key.pem
duplicatesuppression: no
imapidlepoll: 1
maxlogins_per_user: 0
skiplist_unsafe: yes
${EXTRA:-}
END
    cat >"$1/cyrus.conf" <<END
START {
    recover cmd="$1/bin/ctl_cyrusdb -C $1/imapd.conf -r"
}
SERVICES {
    imap cmd="$1/bin/imapd -C $1/imapd.conf -U 30" listen="127.0.0.1:$IMAP_PORT" prefork=1
    imaps cmd="$1/bin/imapd -C $1/imapd.conf -s -U 30" listen="127.0.0.1:$IMAPS_PORT" prefork=0
    lmtp cmd="$1/bin/lmtpd -C $1/imapd.conf -a" listen="127.0.0.1:$LMTP_PORT" prefork=0
}
DAEMON {
    idled cmd="$1/bin/idled -C $1/imapd.conf -d"
}
EVENTS {
    checkpoint cmd="$1/bin/ctl_cyrusdb -C $1/imapd.conf -c" period=30
}
END
}

make_users() { # DIR USERS
    i=1
    while [ "$i" -le "$2" ]; do
        printf secret | "$unpacked/cyrus/usr/sbin/saslpasswd2" -c -p -f "$1/sasldb2" -u localhost "user$i"
        i=$((i + 1))
    done
}

make_server() { # DIR USERS
    copy_binaries "$1"
    certificate "$1"
    write_config "$1"
    mkdir -p "$1/state/socket" "$1/mail"
    make_users "$1" "$2"
    : >"$1/log"
    give_mail "$1/state" "$1/mail" "$1/sasldb2" "$1/key.pem" "$1/log"
}

launch() { # DIR
    LD_LIBRARY_PATH=$1/lib "$1/bin/master" -C "$1/imapd.conf" -M "$1/cyrus.conf" -p "$1/master.pid" -d -L "$1/log"
    await_port "$IMAP_PORT" cyrus "$1/log"
    await_port "$LMTP_PORT" cyrus "$1/log"
}

halt() { end_tree "$2" "$1/master.pid"; } # DIR SIGNAL

serve "$@"
