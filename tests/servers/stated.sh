#!/bin/sh
# What the config states counts more than what is known of the server's customs, if only the default is stated; but for
# what the server does not have, which is told. On a Dovecot that is said to be another server.
. "$(dirname "$0")/_lib.sh"
start_server

quiet_rule() {
    config "$1" <<'EOT'
rule "none" { when = subject:is "none", actions = { flag "None" } }
EOT
}
runs_with() { # MORE of the account
    quiet_rule "$1" && start_daemon
}
idles_between() { # SECONDS SECONDS: as the last IDLE says
    wait_for 10 logged 'msg="idle, for [0-9]* s at most"' || return 1
    seconds=$(sed -n 's/.*msg="idle, for \([0-9]*\) s at most".*/\1/p' "$log" | tail -n 1)
    expect "an IDLE of $1 to $2 s, found $seconds" test "$seconds" -ge "$1" -a "$seconds" -le "$2"
}

rambler='behaves_like = "imap.rambler.ru",' # 55 s, both for IDLE and without it
idle_known() { runs_with "$rambler" && idles_between 44 55 && stop_daemon; }
idle_stated() { runs_with "$rambler idle_renew = \"9m\"," && idles_between 432 540 && stop_daemon; }
idle_stated_for_all() {
    quiet_rule "$rambler" && sed -i '1i defaults { idle_renew = "9m" }' "$box/config.lua" && start_daemon || return 1
    idles_between 432 540 && stop_daemon
}

no_idle="$rambler disable_extensions = { \"IDLE\", \"NOTIFY\" },"
poll_known() { runs_with "$no_idle" && wait_for 10 logged 'polling every 55s' && stop_daemon; }
poll_stated() { runs_with "$no_idle poll = \"1m\"," && wait_for 10 logged 'polling every 60s' && stop_daemon; }

gmail='behaves_like = "imap.gmail.com",'
bound='connections = 20: the server has no more than 15 (gmail, dovecot), so 15 it is'
too_many_stated() {
    runs_with "$gmail connections = 20," && expect "the log says so" logged "level=notice.*$bound" || return 1
    expect "once" test "$(log_count "$bound")" -eq 1 && stop_daemon || return 1
    expect "check finds no mistake" sh -c "'$MAILRULED' check >'$box/check'" || return 1
    expect "and says so, too" grep -q "account \"test\": $bound" "$box/check"
}
as_many_as_there_are() {
    runs_with "$gmail connections = 15," && expect "nothing to tell" test "$(log_count 'no more than')" -eq 0 &&
        stop_daemon
}

test_case stated_nothing_an_idle_is_as_short_as_the_server_bears idle_known
test_case stated_default_of_idle_renew_counts idle_stated
test_case stated_default_of_idle_renew_for_all_accounts_counts idle_stated_for_all
test_case stated_nothing_it_is_polled_as_often_as_the_server_needs poll_known
test_case stated_default_of_poll_counts poll_stated
test_case stated_more_connections_than_there_are_is_told too_many_stated
test_case stated_as_many_connections_as_there_are as_many_as_there_are
finish
