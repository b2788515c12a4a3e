#!/bin/sh
# Connections that are dead without a word, a machine that slept, tokens that expired, copies whose answer was lost.
. "$(dirname "$0")/_lib.sh"
start_server 20

seconds_since() { echo $(($(date +%s) - $1)); }
log_has() { [ "$(log_count "$2")" -ge "$1" ]; }

play() { # $box/dialogue
    rm -f "$box/script_port"
    "$TOOLS/imap_script" "$box/dialogue" >"$box/script_port" 2>"$box/script.err" &
    script=$!
    remember "$script"
    wait_for 10 test -s "$box/script_port" || return 1
    port=$(cat "$box/script_port")
}
followed() { wait "$script" || { cat "$box/script.err"; return 1; }; }

# --- a connection that is dead, and nobody was told -------------------------------------------------------------------

# What the server pushes is held back on its way for good; a new connection works. With an IDLE of at most 3 s and 2 s
# for an answer that is found out within 5 s; some more for a slow machine.
dead_while_idling() {
    start_proxy -h "S:EXISTS:$box/hold" || return 1
    flag_all 'idle_renew = "3s", timeout = "2s",' && start_daemon || return 1
    touch "$box/hold.arm"
    since=$(date +%s)
    deliver a && wait_for 10 test -e "$box/hold.held" || return 1
    wait_for 20 logged 'connection lost: no answer to' || return 1
    expect "within its deadline" test "$(seconds_since "$since")" -le 10 || return 1
    handled_once a 1 && wait_for 10 status_says 'INBOX .*\(idle\|notify\)' || return 1
    expect "connected twice" test "$(log_count 'connected to 127.0.0.1,')" -eq 2 && stop_daemon
}

# The machine sleeps for longer than a connection may be trusted (15 s); one of two has died meanwhile. Each is asked,
# the dead one is found within 5 s, the other one stays.
slept() {
    start_proxy -b "$box/dark" && cat >"$box/config.lua" <<EOT || return 1
account "dies" { host = "127.0.0.1", port = $port, tls = "none", user = "$user", password = secret.file "password" }
account "lives" {
  host = "127.0.0.1", port = $IMAP_PORT, tls = "none", user = "user19", password = secret.file "password",
}
rule "all" { when = from:contains "@", actions = { flag "Handled" } }
EOT
    daemon && wait_for 30 log_has 2 'msg=watching' && wait_for 10 log_has 2 'msg="< +"' || return 1
    kill -STOP "$daemon" && touch "$box/dark" && deliver a || return 1
    sleep 16
    since=$(date +%s)
    kill -CONT "$daemon"
    wait_for 5 logged 'the machine slept' || return 1
    wait_for 10 logged 'account=lives.*> [^ ]* NOOP' || return 1
    wait_for 20 logged 'account=dies.*connection lost: no answer to' || return 1
    expect "within 5 s and some" test "$(seconds_since "$since")" -le 9 || return 1
    rm "$box/dark"
    handled_once a 1 || return 1
    expect "the other connection stayed" test "$(log_count 'account=lives.*connected to 127.0.0.1,')" -eq 1 &&
        stop_daemon
}

# --- access tokens ----------------------------------------------------------------------------------------------------

# The password is a command that gives token-1, token-2, ...
with_tokens() {
    cat >"$box/token" <<EOT
#!/bin/sh
echo x >>"$box/runs"
echo "token-\$(wc -l <"$box/runs")"
EOT
    chmod 700 "$box/token"
    cat >"$box/config.lua" <<EOT
account "test" {
  host = "127.0.0.1", port = $port, tls = "none", user = "$user", auth = "xoauth2",
  password = secret.command { "$box/token" },
}
rule "all" { when = from:contains "@", actions = { flag "Handled" } }
EOT
}
xoauth2() { printf 'user=%s\001auth=Bearer token-%s\001\001' "$user" "$1" | base64 -w 0; }
runs_are() { [ "$(wc -l <"$box/runs")" -eq "$1" ]; }
refuse_token() { # N
    cat <<EOT
C: <t> AUTHENTICATE XOAUTH2 $(xoauth2 "$1")
S: + eyJzdGF0dXMiOiI0MDAiLCJzY2hlbWVzIjoiQmVhcmVyIn0=
C: 
S: <t> NO AUTHENTICATE failed.
EOT
}
head_xoauth2='tls: none
---
on <t> CAPABILITY
S: * CAPABILITY IMAP4rev1 SASL-IR IDLE AUTH=XOAUTH2 AUTH=PLAIN
S: <t> OK done
end'

# Two tokens a login and no more; the next login is for later.
token_refused() {
    {
        echo "$head_xoauth2"
        echo 'S: * OK ready'
        refuse_token 1
        refuse_token 2
        echo expect-close
    } >"$box/dialogue"
    play && with_tokens && daemon || return 1
    wait_for 20 status_says 'account test .*"status":"400".*AUTHENTICATE failed.*again in' || return 1
    expect "a fresh token was asked for once" runs_are 2 || return 1
    sleep 2 # in which another attempt would be seen
    expect "and then no more" runs_are 2 || return 1
    expect "the token is in no log" test "$(log_count 'token-')" -eq 0 || return 1
    stop_daemon && followed
}

token_renewed() {
    {
        echo "$head_xoauth2"
        echo 'S: * OK ready'
        refuse_token 1
        cat <<EOT
C: <t> AUTHENTICATE XOAUTH2 $(xoauth2 2)
S: <t> OK welcome
C: <t> LIST "" ""
S: * LIST () "/" ""
S: <t> OK done
C: <t> LIST ...
S: * LIST () "/" INBOX
S: <t> OK done
C: <t> SELECT INBOX
S: * 0 EXISTS
S: * OK [UIDVALIDITY 7] v
S: * OK [UIDNEXT 1] n
S: <t> OK [READ-WRITE] selected
C: <i> IDLE
S: + idling
C: DONE
S: <i> OK done
C: <t> LOGOUT
S: * BYE bye
S: <t> OK bye
EOT
    } >"$box/dialogue"
    play && with_tokens && start_daemon && wait_for 10 status_says 'INBOX .*\(idle\|notify\)' || return 1
    expect "two tokens" runs_are 2 && stop_daemon && followed
}

test_case fault_14_a_dead_connection_is_found_by_the_next_idle dead_while_idling
test_case fault_15_the_machine_slept_and_each_connection_is_asked slept
test_case fault_10_a_refused_token_is_renewed_once_and_then_no_more token_refused
test_case fault_10_a_renewed_token_is_accepted token_renewed
finish
