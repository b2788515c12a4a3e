#!/bin/sh
# A real Dovecot that bears two connections of an account: fewer than the config asks for, and somebody else has one,
# too.
. "$(dirname "$0")/_lib.sh"
export EXTRA='mail_max_userip_connections = 2'
start_server

# Not by IMAP: it has no connection left for it.
doveadm_here() { doveadm -c "$dir/server/dovecot.conf" "$@"; }
deliver_to() { # FOLDER NAME
    message "$2" >"$box/one.eml"
    doveadm_here save -u "$user" -m "$1" <"$box/one.eml"
}
handled() { doveadm_here fetch -u "$user" flags mailbox "$1" | grep -q Handled; }
status_json() { "$MAILRULED" status --json 2>/dev/null | grep -qE -e "$1"; }
folders_are_watched() { [ "$(log_count 'msg=watching')" -ge "$1" ]; }
connections() { doveadm_here who "$user" 2>/dev/null | awk 'NR > 1 { n += $2 } END { print n + 0 }'; }
connections_are() { [ "$(connections)" -eq "$1" ]; }

# Another client, which stays.
take_a_connection() {
    mkdir "$box/other"
    cat >"$box/other.lua" <<EOT
account "other" {
  host = "127.0.0.1", port = $IMAP_PORT, tls = "none", user = "$user", password = secret.file "password",
}
rule "never" { when = subject:is "never", actions = { flag "Never" } }
EOT
    STATE_DIRECTORY="$box/other" MAILRULED_CONFIG="$box/other.lua" "$MAILRULED" run 2>>"$box/other.log" &
    remember $!
    wait_for 20 grep -q 'msg=watching' "$box/other.log"
}
flag_polled() { flag_all "$1 disable_extensions = { \"NOTIFY\" }, poll = \"1s\","; } # MORE of the account

# The account makes do with one: every folder is heard of, and nobody logs in again and again.
too_many() {
    for f in A B C; do doveadm_here mailbox create -u "$user" "$f"; done
    take_a_connection && flag_polled 'watch = { "INBOX", "A", "B", "C" }, connections = 4,' || return 1
    daemon
    wait_for 30 logged 'no more connections for this account than 1 for now' || return 1
    wait_for 30 folders_are_watched 4 || return 1
    for f in INBOX A B C; do
        deliver_to "$f" "in-$f" || return 1
    done
    for f in INBOX A B C; do
        wait_for 30 handled "$f" || return 1
    done
    wait_for 10 status_json '"connections":1,' || return 1
    expect "each was refused once, not again and again" test \
        "$(log_count 'connection lost: .*[Mm]aximum number of connections')" -le 3 || return 1
    stop_daemon
}

# The first of two connections is lost and its place taken: the second one sees to both folders.
place_taken() {
    doveadm_here mailbox create -u "$user" A
    start_proxy -c "S:EXISTS:$box/cut" -b "$box/hole" || return 1
    flag_polled 'watch = { "INBOX", "A" }, connections = 2,' || return 1
    daemon
    wait_for 30 folders_are_watched 2 && wait_for 20 connections_are 2 || return 1
    wait_for 20 status_json '"connections":2,' || return 1
    touch "$box/cut.arm"
    deliver_to INBOX one && wait_for 20 test -s "$box/cut.cuts" || return 1
    touch "$box/hole" && rm "$box/cut.arm"
    wait_for 20 connections_are 1 && take_a_connection || return 1
    rm "$box/hole"
    wait_for 60 logged 'no more connections for this account than 1 for now' || return 1
    wait_for 30 handled INBOX && deliver_to A two && wait_for 30 handled A && kill_daemon
}

test_case too_many_connections_and_the_account_makes_do_with_those_it_has too_many
test_case a_connection_whose_place_was_taken_is_replaced_by_one_that_is_there place_taken
finish
