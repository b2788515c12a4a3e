#!/bin/sh
# dovecot.sh - a private Dovecot on loopback, for tests, benches and the demo.
#
#   dovecot.sh start DIR [USERS]   makes DIR (config, certificate, mail), starts the server on ports that are free, and
#                                  writes DIR/env: IMAP_PORT, IMAPS_PORT, LMTP_PORT, CA (shell assignments)
#   dovecot.sh deliver DIR USER    the message on standard input, by LMTP ($TOOLS/lmtp)
#   dovecot.sh stop DIR            stops it; DIR stays (the caller removes it)
#   dovecot.sh kill DIR            stops it with SIGKILL, as a crash would
#   dovecot.sh restart DIR         starts again on the ports of before
#
# Users user1..userN (default 4), password "secret"; Maildir below DIR/mail/USER. EXTRA in the environment is appended to
# the config; MAIL_FORMAT is Dovecot's name of the mailbox format (default maildir). Works as root and as an ordinary user.
set -eu

. "$(dirname "$0")/_private.sh"

write_config() {
    dir=$1 users=$2
    me=$(id -un)
    mkdir -p "$dir/run" "$dir/mail" "$dir/log"
    certificate "$dir"
    i=1
    : >"$dir/passwd"
    while [ "$i" -le "$users" ]; do
        echo "user$i:{PLAIN}secret::::::" >>"$dir/passwd"
        i=$((i + 1))
    done
    if [ "$(id -u)" -eq 0 ]; then
        mail_user=mail
        chown -R mail:mail "$dir/mail"
        chmod 755 "$dir"
    else
        mail_user=$me
    fi
    internal=$me
    [ "$(id -u)" -ne 0 ] || internal=dovecot
    login=$me
    [ "$(id -u)" -ne 0 ] || login=dovenull
    cat >"$dir/dovecot.conf" <<EOF
base_dir = $dir/run
state_dir = $dir/run
log_path = $dir/log/dovecot.log
protocols = imap lmtp
listen = 127.0.0.1
default_internal_user = $internal
default_internal_group = $(id -gn "$internal")
default_login_user = $login
first_valid_uid = 1
first_valid_gid = 1
ssl = yes
ssl_cert = <$dir/cert.pem
ssl_key = <$dir/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login cram-md5
mail_location = ${MAIL_FORMAT:-maildir}:$dir/mail/%u
mail_uid = $mail_user
mail_gid = $(id -gn "$mail_user")
mail_fsync = never
maildir_very_dirty_syncs = yes
mailbox_idle_check_interval = 1 secs
mail_max_userip_connections = 0
postmaster_address = postmaster@localhost
passdb {
  driver = passwd-file
  args = scheme=PLAIN $dir/passwd
}
userdb {
  driver = static
  args = uid=$mail_user gid=$(id -gn "$mail_user") home=$dir/mail/%u
}
namespace inbox {
  inbox = yes
  separator = /
  mailbox Trash {
    special_use = \\Trash
    auto = create
  }
  mailbox Junk {
    special_use = \\Junk
    auto = create
  }
  mailbox Archive {
    special_use = \\Archive
    auto = create
  }
}
service imap-login {
  inet_listener imap {
    port = $IMAP_PORT
  }
  inet_listener imaps {
    port = $IMAPS_PORT
  }
  process_min_avail = 1
  client_limit = 2000
  chroot =
}
service imap {
  process_limit = 2000
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = $LMTP_PORT
  }
  user = $mail_user
}
service anvil {
  chroot =
}
service stats {
  chroot =
}
service auth {
  user = $internal
}
service auth-worker {
  user = $internal
}
${EXTRA:-}
EOF
}

launch() {
    dir=$1
    PATH=$PATH:/usr/sbin dovecot -c "$dir/dovecot.conf"
    await_port "$IMAP_PORT" dovecot "$dir/log/dovecot.log"
}

halt() {
    dir=$1 signal=$2
    [ -f "$dir/run/master.pid" ] || return 0
    pid=$(cat "$dir/run/master.pid")
    children=$(pgrep -P "$pid" || true)
    kill "-$signal" "$pid" 2>/dev/null || true
    # shellcheck disable=SC2086
    [ "$signal" != KILL ] || kill -KILL $children 2>/dev/null || true
    while kill -0 "$pid" 2>/dev/null && ! grep -q "^State:.Z" "/proc/$pid/status"; do sleep 0.05; done
    rm -f "$dir/run/master.pid"
}

verb=$1 dir=$2
case "$verb" in
start)
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
    IMAP_PORT=$(free_port) IMAPS_PORT=$(free_port) LMTP_PORT=$(free_port)
    write_config "$dir" "${3:-4}"
    printf 'IMAP_PORT=%s\nIMAPS_PORT=%s\nLMTP_PORT=%s\nCA=%s\n' "$IMAP_PORT" "$IMAPS_PORT" "$LMTP_PORT" "$dir/cert.pem" >"$dir/env"
    launch "$dir"
    ;;
restart)
    . "$dir/env"
    launch "$dir"
    ;;
deliver)
    . "$dir/env"
    "$TOOLS/lmtp" "$LMTP_PORT" "$3" -
    ;;
stop) halt "$dir" TERM ;;
kill) halt "$dir" KILL ;;
*) echo "usage: dovecot.sh start|stop|kill|restart|deliver DIR" >&2; exit 2 ;;
esac
