#!/bin/sh
# imap4d.sh - a private imap4d of GNU Mailutils on loopback, for tests.
#
#   imap4d.sh start DIR [USERS]   makes DIR (config, certificate, mail), starts the server on ports that are free, and
#                                 writes DIR/env: IMAP_PORT (STARTTLS), IMAPS_PORT, CA, DOMAIN (shell assignments)
#   imap4d.sh deliver DIR USER    the message on standard input, into INBOX: renamed into a Maildir's new, appended to
#                                 an mbox under its lock
#   imap4d.sh stop DIR            stops it; DIR stays (the caller removes it)
#   imap4d.sh kill DIR            stops it with SIGKILL, as a crash would
#   imap4d.sh restart DIR         starts again on the ports of before
#
# Users user1@DOMAIN..userN@DOMAIN (default 4), password "secret"; their mail is below DIR/mail/USER, with the folders
# Trash, Junk and Archive. MAIL_FORMAT in the environment is maildir (the default) or mbox. EXTRA is appended to the
# config. The binary is that which tests/deps.sh unpacks. Works as root (the server then runs as `mail`) and as an
# ordinary user.
set -eu
. "$(dirname "$0")/_private.sh"
env_names="IMAP_PORT IMAPS_PORT DOMAIN"
DOMAIN=test

write_config() { # DIR
    cat >"$1/imap4d.conf" <<END
mode daemon;
foreground yes;
timeout 3600;
max-children 200;
logging { syslog no; };
auth { authentication clear; authentication "virtdomain:generic"; authorization clear; authorization virtdomain; };
virtdomain { passwd-dir "$1/domains"; };
mailbox { mailbox-type ${MAIL_FORMAT:-maildir}; };
tls { ssl-certificate-file "$1/cert.pem"; ssl-key-file "$1/key.pem"; };
tls-file-checks { key-file none; cert-file none; };
tcp-wrappers { enable no; };
server 127.0.0.1:$IMAP_PORT { tls-mode ondemand; };
server 127.0.0.1:$IMAPS_PORT { tls-mode connection; };
${EXTRA:-}
END
}

make_users() { # DIR USERS
    hash=$(openssl passwd -6 secret)
    i=1
    mkdir -p "$1/domains"
    while [ "$i" -le "$2" ]; do
        echo "user$i:$hash:$(id -u "$mail_user"):$(id -g "$mail_user")::$1/mail/user$i:/bin/false:"
        for folder in INBOX Trash Junk Archive; do
            case "${MAIL_FORMAT:-maildir}" in
            maildir) mkdir -p "$1/mail/user$i/$folder/cur" "$1/mail/user$i/$folder/new" "$1/mail/user$i/$folder/tmp" ;;
            *) mkdir -p "$1/mail/user$i"; : >"$1/mail/user$i/$folder" ;;
            esac
        done
        i=$((i + 1))
    done >"$1/domains/$DOMAIN"
}

make_server() { # DIR USERS
    need_unpacked imap4d usr/sbin/imap4d
    mkdir -p "$1/bin"
    cp "$unpacked/imap4d/usr/sbin/imap4d" "$1/bin/"
    certificate "$1"
    write_config "$1"
    make_users "$1" "$2"
    : >"$1/log"
    give_mail "$1/mail" "$1/key.pem"
}

launch() { # DIR
    become=''
    [ "$(id -u)" -ne 0 ] || become="setpriv --reuid=$mail_user --regid=$mail_group --clear-groups"
    # shellcheck disable=SC2086
    setsid $become "$1/bin/imap4d" --config-file="$1/imap4d.conf" </dev/null >>"$1/log" 2>&1 &
    echo $! >"$1/pid"
    await_port "$IMAP_PORT" imap4d "$1/log"
    await_port "$IMAPS_PORT" imap4d "$1/log"
}

# Not by way of tmp: what the server finds there it removes, however young.
to_maildir() { # DIRECTORY
    name=$(maildir_name)
    cat >"$1/../.$name"
    give_mail "$1/../.$name"
    mv "$1/../.$name" "$1/new/$name"
}

to_mbox() { # FILE
    until (set -C; echo $$ >"$1.lock") 2>/dev/null; do sleep 0.05; done
    { echo "From sender@example.org $(LC_ALL=C date -u '+%a %b %e %H:%M:%S %Y')"; sed 's/^From />&/'; echo; } >>"$1"
    rm -f "$1.lock"
}

deliver() { # DIR USER
    inbox="$1/mail/${2%@*}/INBOX"
    if [ -d "$inbox" ]; then to_maildir "$inbox"; else to_mbox "$inbox"; fi
}

halt() { end_tree "$2" "$1/pid"; } # DIR SIGNAL

serve "$@"
