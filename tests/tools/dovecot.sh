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
# Users user1..userN (default 4), password "secret"; Maildir below DIR/mail/USER. EXTRA in the environment is appended
# to the config; MAIL_FORMAT is Dovecot's name of the mailbox format (default maildir). Works as root and as an ordinary
# user.
set -eu
. "$(dirname "$0")/_private.sh"
env_names="IMAP_PORT IMAPS_PORT LMTP_PORT"

make_users() { # DIR USERS
    i=1
    : >"$1/passwd"
    while [ "$i" -le "$2" ]; do
        echo "user$i:{PLAIN}secret::::::" >>"$1/passwd"
        i=$((i + 1))
    done
}

write_config() { # DIR
    dir=$1
    internal=$(id -un) login=$(id -un)
    [ "$(id -u)" -ne 0 ] || internal=dovecot login=dovenull
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
mail_gid = $mail_group
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
  args = uid=$mail_user gid=$mail_group home=$dir/mail/%u
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

make_server() { # DIR USERS
    mkdir -p "$1/run" "$1/mail" "$1/log"
    certificate "$1"
    make_users "$1" "$2"
    give_mail "$1/mail"
    write_config "$1"
}

launch() { # DIR
    PATH=$PATH:/usr/sbin dovecot -c "$1/dovecot.conf"
    await_port "$IMAP_PORT" dovecot "$1/log/dovecot.log"
}

# Its processes end by themselves when the master is asked to: they must not be asked too, some say good-bye first.
halt() { # DIR SIGNAL
    [ -f "$1/run/master.pid" ] || return 0
    pid=$(cat "$1/run/master.pid")
    children=$(pgrep -P "$pid" || true)
    kill "-$2" "$pid" 2>/dev/null || true
    # shellcheck disable=SC2086
    [ "$2" != KILL ] || kill -KILL $children 2>/dev/null || true
    while is_running "$pid"; do sleep 0.05; done
    rm -f "$1/run/master.pid"
}

serve "$@"
