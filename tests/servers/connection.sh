#!/bin/sh
# The server dies, hangs, changes its certificate, refuses the password or hangs up: what the daemon does, and says.
. "$(dirname "$0")/_lib.sh"
start_server 20

restart_server() { "$TESTS/tools/dovecot.sh" restart "$dir/server" >/dev/null 2>&1; }
logins() { grep -c ' C .*\(AUTHENTICATE\|LOGIN\) ' "$box/wire"; }
connections() { grep -c ' + ' "$box/wire"; }

killed_and_restarted() {
    flag_all '' && start_daemon && deliver a && handled_once a 1 || return 1
    "$TESTS/tools/dovecot.sh" kill "$dir/server" >/dev/null 2>&1
    wait_for 20 status_says 'account test .*\(refused\|Connection\|connection\|connect\).*again in' || return 1
    expect "said once an attempt" logged 'connection lost: .*again in' || return 1
    restart_server && deliver b && handled_once b 2 || return 1
    wait_for 10 status_says 'INBOX .*\(idle\|notify\)' || return 1
    expect "no trouble left" test "$("$MAILRULED" status | grep -c 'again in')" -eq 0 && stop_daemon
}

stopped_with_bye() {
    flag_all '' && start_daemon || return 1
    "$TESTS/tools/dovecot.sh" stop "$dir/server" >/dev/null 2>&1
    wait_for 20 logged 'connection lost: BYE .*again in' || return 1
    restart_server && deliver a && handled_once a 1 && stop_daemon
}

# Nothing comes any more, and no connection is closed: as behind a NAT that forgot, or with a suspended server.
silence() {
    start_proxy -b "$box/dark" && flag_all 'timeout = "2s", reconcile = "2s",' && start_daemon || return 1
    touch "$box/dark"
    deliver a || return 1
    wait_for 30 status_says 'account test .*\(answer\|silent\|time\)' || return 1
    rm "$box/dark"
    handled_once a 1 && wait_for 10 status_says 'INBOX .*\(idle\|notify\)' && stop_daemon
}

new_certificate() { # CN
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$1" -addext "subjectAltName=DNS:$1,IP:127.0.0.1" \
        -keyout "$dir/server/key.pem" -out "$dir/server/cert.pem" 2>/dev/null
}

# The daemon trusts the server's certificate of now, has handled a message, and the server comes back with another one.
meet_another_certificate() {
    cp "$dir/server/cert.pem" "$box/ca.pem" && cp "$dir/server/key.pem" "$box/key.pem" || return 1
    start_proxy "to:$IMAPS_PORT" && cat >"$box/config.lua" <<EOT || return 1
account "test" {
  host = "127.0.0.1", port = $port, tls_ca = "$box/ca.pem", user = "$user", password = secret.file "password",
}
rule "all" { when = from:contains "@", actions = { flag "Handled" } }
EOT
    start_daemon && deliver a && handled_once a 1 || return 1
    "$TESTS/tools/dovecot.sh" stop "$dir/server" >/dev/null 2>&1
    new_certificate localhost && restart_server || return 1
    wait_for 30 status_says 'account test .*certificate.*again in' && deliver b
}

another_certificate() {
    meet_another_certificate || return 1
    "$MAILRULED" pause >/dev/null && "$MAILRULED" resume >/dev/null || return 1
    expect "still refused" wait_for 20 status_says 'account test .*certificate' || return 1
    expect "no login over it" test "$(log_count '> [^ ]* \(AUTHENTICATE\|LOGIN\)')" -eq 1 || return 1
    cp "$box/ca.pem" "$dir/server/cert.pem" && cp "$box/key.pem" "$dir/server/key.pem" || return 1
    "$TESTS/tools/dovecot.sh" stop "$dir/server" >/dev/null 2>&1
    restart_server && "$MAILRULED" pause >/dev/null && "$MAILRULED" resume >/dev/null || return 1
    handled_once b 2 && stop_daemon
}

trusted_authority_renewed() {
    meet_another_certificate || return 1
    cp "$dir/server/cert.pem" "$box/ca.pem" && "$MAILRULED" reload >/dev/null || return 1
    expect "tried at once" wait_for 5 status_says 'INBOX .*\(idle\|notify\)' || return 1
    handled_once b 2 && stop_daemon
}

wrong_password() {
    start_proxy && flag_all '' && echo wrong >"$box/password" && daemon || return 1
    wait_for 20 status_says 'account test .*[Aa]uthentication failed.*again in' || return 1
    sleep 3 # in which another attempt would be seen
    expect "one login, no more" test "$(logins)" -eq 1 || return 1
    echo secret >"$box/password" && "$MAILRULED" resume >/dev/null || return 1
    deliver a
    wait_for 20 status_says 'INBOX .*\(idle\|notify\)' && stop_daemon
}

login_then_drop() {
    start_proxy -c "s:Logged in:$box/cut" && flag_all '' && touch "$box/cut.arm" && daemon || return 1
    begun=$(date +%s)
    cuts_are() { [ "$(wc -l <"$box/cut.cuts")" -ge "$1" ]; }
    wait_for 60 cuts_are 4 || return 1
    expect "at most a login a second" test "$(logins)" -le $(($(date +%s) - begun + 1)) || return 1
    expect "the backoff grows: one of the waits is longer than the first can be" \
        sh -c "sed -n 's/.*again in \([0-9]*\)[.0-9]*s.*/\1/p' '$log' | awk '\$1 >= 2 { ok = 1 } END { exit !ok }'" ||
            return 1
    rm "$box/cut.arm"
    deliver a && wait_for 60 status_says 'INBOX .*\(idle\|notify\)' && stop_daemon
}

never_in_clear() {
    config '' </dev/null || return 1
    sed -i 's/host = "127.0.0.1"/host = "mail.example.com"/' "$box/config.lua"
    "$MAILRULED" check --offline >"$box/out" 2>&1 && return 1
    expect "refused with the place" grep -q 'config.lua:.*clear' "$box/out" || return 1
    # Told to use STARTTLS, where the server does not offer it.
    "$TOOLS/imap_script" "$TESTS/dialog/fault_03_no_starttls_offered.imap" >"$box/script_port" 2>"$box/script.err" &
    remember $!
    wait_for 10 test -s "$box/script_port" && start_proxy "to:$(cat "$box/script_port")" || return 1
    cat >"$box/config.lua" <<EOT
account "test" { host = "127.0.0.1", port = $port, tls = "starttls", user = "$user", password = secret.file "password" }
EOT
    daemon
    wait_for 20 status_says 'account test .*\(TLS\|STARTTLS\)' || return 1
    expect "no login was tried" test "$(logins)" -eq 0 || return 1
    expect "nothing but CAPABILITY and LOGOUT" test "$(grep ' C ' "$box/wire" | grep -vc 'CAPABILITY\|LOGOUT')" -eq 0
    stop_daemon
}

without_idle() {
    flag_all 'disable_extensions = { "IDLE" }, poll = "1s",' && start_daemon || return 1
    deliver a && handled_once a 1 || return 1
    wait_for 10 status_says 'INBOX .*polling' || return 1
    deliver b && handled_once b 2 || return 1
    expect "never tried IDLE" test "$(log_count '> [^ ]* IDLE')" -eq 0 && stop_daemon
}

others_go_on() {
    start_proxy -b "$box/dark" && touch "$box/dark" || return 1
    cat >"$box/config.lua" <<EOT
account "hangs" { host = "127.0.0.1", port = $port, tls = "none", user = "$user", password = secret.file "password" }
account "works" {
  host = "127.0.0.1", port = $IMAP_PORT, tls = "none", user = "$user", password = secret.file "password",
}
rule "all" { when = from:contains "@", actions = { flag "Handled" } }
EOT
    start_daemon && deliver a && handled_once a 1 || return 1
    expect "the other is still waiting" status_says 'account hangs .*connecting' || return 1
    stop_daemon
}

many_folders_on_one_connection() {
    flag_all 'watch = { "INBOX", "A", "B", "C" }, connections = 1, poll = "1s",' &&
        imap 'CREATE A' 'CREATE B' 'CREATE C' || return 1
    daemon && wait_for 30 watching_more_than 3 || return 1
    deliver a b c || return 1
    imap 'SELECT INBOX' 'UID COPY 1 A' 'UID COPY 2 B' 'UID COPY 3 C' || return 1
    wait_for 20 is_flagged A a Handled && wait_for 20 is_flagged B b Handled && wait_for 20 is_flagged C c Handled ||
        return 1
    deliver d && wait_for 20 is_flagged INBOX d Handled || return 1
    expect "one connection" test "$(log_count 'connected to 127.0.0.1, ')" -eq 1 || return 1
    imap 'DELETE B' 'CREATE Other' && deliver e && wait_for 20 is_flagged INBOX e Handled || return 1
    wait_for 20 status_says 'B .*missing' || return 1
    deliver f && wait_for 20 is_flagged INBOX f Handled && stop_daemon
}

test_case the_server_is_killed_and_comes_back killed_and_restarted
test_case fault_13_the_server_says_bye stopped_with_bye
test_case fault_14_the_connection_falls_silent silence
test_case fault_06_the_server_comes_back_with_another_certificate another_certificate
test_case a_renewed_authority_is_trusted_after_a_reload trusted_authority_renewed
test_case fault_09_a_wrong_password_is_tried_once_and_named wrong_password
test_case fault_08_login_accepted_then_dropped_again_and_again login_then_drop
test_case fault_03_credentials_are_never_sent_in_clear never_in_clear
test_case fault_26_polling_finds_new_mail_where_idle_is_missing without_idle
test_case fault_05_an_account_that_hangs_holds_up_no_other others_go_on
test_case four_folders_share_one_connection many_folders_on_one_connection
finish
