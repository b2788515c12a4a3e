#!/bin/sh
# courier.sh - a private Courier IMAP server on loopback, for tests.
#
#   courier.sh start DIR [USERS]   makes DIR (binaries, config, certificate, mail), starts the server on ports that are
#                                  free, and writes DIR/env: IMAP_PORT (STARTTLS), IMAPS_PORT, CA (shell assignments)
#   courier.sh deliver DIR USER    the message on standard input, into the Maildir: written to tmp, renamed to new
#   courier.sh stop DIR            stops it; DIR stays (the caller removes it)
#   courier.sh kill DIR            stops it with SIGKILL, as a crash would
#   courier.sh restart DIR         starts again on the ports of before
#
# Users user1..userN (default 4), password "secret", authenticated by Courier's own daemon from a userdb; Maildirs below
# DIR/mail/USER, with the folders Trash, Junk and Archive. EXTRA is further assignments for the environment that
# /etc/courier/imapd would give; IDLE looks once a second (IMAP_IDLE_TIMEOUT). The binaries are those that tests/deps.sh
# unpacks: the package cannot be installed beside Dovecot. What was fixed when they were built, paths and the user
# `courier`, is redirected ($TOOLS/redirect.so): to DIR, and to whom mail belongs.
# Works as root (mail then belongs to `mail`) and as an ordinary user.
set -eu
. "$(dirname "$0")/_private.sh"
env_names="IMAP_PORT IMAPS_PORT"

# A copy, because whom the server becomes may not be able to read the place of the checkout.
copy_binaries() { # DIR
    need_unpacked courier usr/bin/imapd
    mkdir -p "$1/bin" "$1/lib"
    for name in bin/imapd bin/couriertls bin/maildirmake.courier sbin/couriertcpd lib/courier/courier/imaplogin \
        lib/courier/courier-authlib/authdaemond lib/courier/courier-authlib/makedatprog; do
        cp "$unpacked/courier/usr/$name" "$1/bin/"
    done
    cp -P "$unpacked"/courier/usr/lib/libcourier*.so.* "$unpacked"/courier/usr/lib/courier-authlib/libauthuserdb.so* \
        "$1/lib/"
    cp "$TOOLS/redirect.so" "$1/lib/"
}

write_config() { # DIR USERS
    mkdir -p "$1/etc" "$1/run/authdaemon" "$1/mail"
    cat "$1/key.pem" "$1/cert.pem" >"$1/both.pem"
    cat >"$1/etc/authdaemonrc" <<END
authmodulelist="authuserdb"
authmodulelistorig="authuserdb"
daemons=5
authdaemonvar=/run/courier/authdaemon
DEBUG_LOGIN=0
DEFAULTOPTIONS=""
LOGGEROPTS=""
END
    hash=$(openssl passwd -6 secret)
    ids="uid=$(id -u "$mail_user")|gid=$(id -g "$mail_user")"
    i=1
    : >"$1/users"
    : >"$1/shadow"
    while [ "$i" -le "$2" ]; do
        printf 'user%s\t%s|home=%s|mail=%s|_=\n' "$i" "$ids" "$1/mail/user$i" "$1/mail/user$i/Maildir" >>"$1/users"
        printf 'user%s\tsystempw=%s\n' "$i" "$hash" >>"$1/shadow"
        mkdir "$1/mail/user$i"
        "$1/bin/maildirmake.courier" "$1/mail/user$i/Maildir"
        for folder in Trash Junk Archive; do
            "$1/bin/maildirmake.courier" -f "$folder" "$1/mail/user$i/Maildir"
        done
        i=$((i + 1))
    done
    { cat "$1/users"; echo; echo .; } | "$1/bin/makedatprog" - "$1/etc/tmp" "$1/etc/userdb.dat"
    { cat "$1/shadow"; echo; echo .; } | "$1/bin/makedatprog" - "$1/etc/tmp" "$1/etc/userdbshadow.dat"
    # As /etc/courier/imapd and imapd-ssl have it, but for places, the password mechanisms and the pace of IDLE.
    cat >"$1/etc/imapd" <<END
IMAP_CAPABILITY="IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE"
IMAP_CAPABILITY_TLS="IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE AUTH=PLAIN"
IMAP_KEYWORDS=1
IMAP_ACL=1
IMAP_IDLE_TIMEOUT=1
IMAP_MAILBOX_SANITY_CHECK=1
IMAP_DISABLETHREADSORT=0
IMAP_CHECK_ALL_FOLDERS=0
IMAP_OBSOLETE_CLIENT=0
IMAP_UMASK=022
IMAP_USELOCKS=1
IMAP_ENHANCEDIDLE=0
IMAP_TRASHFOLDERNAME=Trash
IMAP_EMPTYTRASH=Trash:7
IMAP_MOVE_EXPUNGE_TO_TRASH=0
IMAP_TLS_REQUIRED=0
PROTOCOL=IMAP
COURIERTLS=$1/bin/couriertls
TLS_CERTFILE=$1/both.pem
TLS_VERIFYPEER=NONE
${EXTRA:-}
END
}

make_server() { # DIR USERS
    copy_binaries "$1"
    certificate "$1"
    LD_LIBRARY_PATH="$1/lib" write_config "$1" "$2"
    give_mail "$1/mail"
    : >"$1/log"
}

# in_background PIDFILE LOG COMMAND...: in a session of its own, with nothing of ours open.
in_background() {
    pidfile=$1 log=$2
    shift 2
    setsid "$@" </dev/null >>"$log" 2>&1 3>&2 &
    echo $! >"$pidfile"
}

listen() { # DIR NAME PORT STARTTLS COMMAND...
    dir=$1 name=$2 port=$3 starttls=$4
    shift 4
    (
        set -a
        . "$dir/etc/imapd"
        IMAP_STARTTLS=$starttls
        set +a
        in_background "$dir/run/$name.pid" "$dir/log" "$dir/bin/couriertcpd" -address=127.0.0.1 -maxprocs=200 \
            -maxperip=200 \
            -nodnslookup -noidentlookup "$port" "$@" "$dir/bin/imaplogin" "$dir/bin/imapd" Maildir
    )
}

launch() { # DIR
    export LD_LIBRARY_PATH="$1/lib" LD_PRELOAD="$1/lib/redirect.so"
    export REDIRECT="/etc/courier=$1/etc:/run/courier=$1/run:/usr/lib/courier-authlib=$1/lib:courier=$mail_user"
    in_background "$1/run/authdaemond.pid" "$1/log" "$1/bin/authdaemond"
    listen "$1" imapd "$IMAP_PORT" YES
    listen "$1" imapd-ssl "$IMAPS_PORT" NO "$1/bin/couriertls" -server -tcpd
    unset LD_LIBRARY_PATH LD_PRELOAD REDIRECT
    await_port "$IMAP_PORT" courier "$1/log"
    await_port "$IMAPS_PORT" courier "$1/log"
    n=0
    until [ -S "$1/run/authdaemon/socket" ]; do
        n=$((n + 1))
        [ "$n" -lt 200 ] || { echo "courier's authdaemond did not start:" >&2; cat "$1/log" >&2; exit 1; }
        sleep 0.05
    done
}

deliver() { # DIR USER
    box="$1/mail/$2/Maildir"
    name=$(maildir_name)
    cat >"$box/tmp/$name"
    give_mail "$box/tmp/$name"
    mv "$box/tmp/$name" "$box/new/$name"
}

halt() { # DIR SIGNAL
    for name in imapd imapd-ssl authdaemond; do end_tree "$2" "$1/run/$name.pid"; done
    rm -f "$1/run/authdaemon/socket"
}

serve "$@"
