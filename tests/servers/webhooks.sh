#!/bin/sh
# webhooks.sh - faults 64 to 68 with the whole daemon: endpoints that fail in every way, beside one that works. What the
# working one and plain rules do is waited for while the others are known to be stuck: order, not time.
set -u
. "$TESTS/crash/_lib.sh"

daemon_log="$dir/log"
user=user1
start_server 1
key="whsec_$(openssl rand -base64 32)"
umask 077
echo "$key" >"$dir/config/webhook.key"
umask 022

# hook NAME OPTIONS...: a sink of that name, and the webhook and the rule that post to it.
hook() {
    hook_name=$1 hook_settings=$2
    shift 2
    start_sink "$hook_name" -k "$key" "$@"
    add_hook "$hook_name" "$hook_settings"
}
add_hook() {
    cat >>"$dir/config/config.lua" <<END
webhook "$1" { url = "http://127.0.0.1:$port/", secret = secret.file "webhook.key", $2 }
rule "$1" { when = header"X-Case":is "$1", actions = { post "$1", move "Done-$1" } }
END
}

cat >"$dir/config/config.lua" <<END
account "a" {
  host = "127.0.0.1", port = $IMAPS_PORT, tls_ca = "$CA", user = "$user", password = secret.file "password",
  watch = { "INBOX" },
}
control "$dir/control"
rule "plain" { when = header"X-Case":is "plain", actions = { move "Plain" } }
END
often="allow_private = true, retries = { $(yes '"50ms",' | head -n 99) }"
few='allow_private = true, retries = { "50ms" }'
hook good "$often"
hook err "$often" -s 500 -s 503 -s 404 -s 200
hook cut "$often" -s 1 -s 1 -s 200
hook slow "$often, timeout = \"500ms\"" -s 0 -s 2 -s 200
hook endless "$often" -s 3
hook busy "$often" -s 429 -s 200 -r 1
hook stuck "$often, timeout = \"600s\", concurrency = 1" -s 0
stuck=$sink stuck_port=$port
hook gone "$often" -s 410
gone=$sink gone_port=$port
hook trap "$often"
hook moved "$few" -s 302 -l "http://127.0.0.1:$port/"
hook private 'retries = {}'
hook later 'allow_private = true, retries = { "50ms", "50ms", "1h" }' -s 500 -s 500 -s 500 -s 200
start_sink down -k "$key"
down_port=$port
kill "$sink" && wait "$sink" 2>/dev/null # a port where nobody listens
add_hook down "$often"

export STATE_DIRECTORY="$dir/state" MAILRULED_CONFIG="$dir/config/config.lua"
"$MAILRULED" run 2>"$daemon_log" &
daemon=$!
pids="$pids $daemon"

give_up() {
    fail "$*"
    tail -n 60 "$daemon_log"
    for f in err cut slow endless busy stuck gone trap moved private later down good; do
        echo "--- $f"
        cat "$dir/$f"
    done
    exit 1
}
wait_for 20 grep -q 'msg=watching' "$daemon_log" || give_up "watching"

n=0
deliver() { # CASE: as number $n
    n=$((n + 1))
    drop_into "$user" "$n" "$1"
}
is_in() { mailbox "$user" | grep -q "^$1 <$2@"; } # FOLDER NUMBER
refusals() { grep -c "webhook=$1 .*not accepted" "$daemon_log"; }
many_refusals() { [ "$(refusals "$1")" -ge "$2" ]; }
check() { # TEXT COMMAND...
    text=$1
    shift
    if "$@"; then ok "$text"; else give_up "$text"; fi
}
one_id() { [ "$(awk '{print $2}' "$dir/$1" | sort -u | grep -c .)" -eq "${2:-1}" ]; }
statuses() { [ "$(awk '{printf "%s ", $1}' "$dir/$1")" = "$2 " ]; }

# --- stuck endpoints delay nobody -------------------------------------------------------------------------------------
deliver stuck && deliver down && deliver down && deliver down && deliver down
wait_for 20 test -s "$dir/stuck" || give_up "the stuck endpoint is asked"
wait_for 20 many_refusals down 4 || give_up "the endpoint that is down is tried"
deliver good && good=$n
deliver plain && plain=$n
deliver stuck && stuck_second=$n
wait_for 20 is_in .Done-good $good || give_up "fault_67 the working endpoint goes on"
wait_for 20 is_in .Plain $plain || give_up "fault_67 rules without a webhook go on"
check "fault_67 a hanging endpoint and one that is down delay no other endpoint and no other message" \
    test "$(grep -c . "$dir/stuck")" -eq 1 -a ! -s "$dir/down"
check "fault_64 the move waits for the acceptance" is_in INBOX 1

# --- every way of failing ---------------------------------------------------------------------------------------------
for case in err cut slow endless busy gone moved private; do
    deliver $case
    eval "at_$case=$n"
done
for case in err cut slow endless busy; do
    eval "at=\$at_$case"
    wait_for 20 is_in ".Done-$case" "$at" || give_up "$case is delivered in the end, then moved"
done
check "fault_64 500, 503 and 404 are tried again under the same id" eval 'statuses err "500 503 404 200" && one_id err'
check "fault_65 a connection cut before the status line is tried again under the same id" \
    eval 'statuses cut "1 1 200" && one_id cut'
check "fault_64 silence and half a status line end with the timeout" eval 'statuses slow "0 2 200" && one_id slow'
check "fault_68 an endless body behind a 200 is cut off, and is an acceptance" statuses endless 3
check "fault_64 Retry-After is obeyed where it is later than the schedule" \
    eval 'statuses busy "429 200" && grep -q "webhook=busy .*429; again in 1" "$daemon_log"'

# --- dead letters -----------------------------------------------------------------------------------------------------
parked() { "$MAILRULED" queue | grep -q " parked .*INBOX/.* rule $1: .*$2"; }
wait_for 20 parked gone 410 || give_up "fault_64 410 is a dead letter"
ok "fault_64 410 is a dead letter at once, listed by queue"
wait_for 20 parked moved 302 || give_up "fault_64 302 is a dead letter in the end"
check "fault_64 a redirect is not followed" eval 'test ! -s "$dir/trap" && one_id moved'
wait_for 20 parked private 'private\|not allowed\|loopback' || give_up "fault_66 a private address is a dead letter"
check "fault_66 a private address is refused before it is connected to" test ! -s "$dir/private"
deliver gone && gone_second=$n
wait_for 20 eval '"$MAILRULED" queue | grep -q "webhook .*a/INBOX/$gone_second"' ||
    give_up "fault_64 an event for the gone one"
check "fault_64 after 410 nothing more is sent there" statuses gone 410

# --- back again -------------------------------------------------------------------------------------------------------
wait_for 60 many_refusals down 100 || give_up "a hundred refusals"
check "fault_67 after a hundred refusals the events are still due" eval \
    'is_in INBOX 2 && is_in INBOX 5 && test ! -s "$dir/down"'
HTTP_SINK_PORT=$down_port start_sink down -k "$key"
kill "$stuck" && wait "$stuck" 2>/dev/null
HTTP_SINK_PORT=$stuck_port start_sink stuck -k "$key"
for at in 2 3 4 5; do wait_for 30 is_in .Done-down $at || give_up "fault_67 down: message $at"; done
check "fault_67 what waited for the endpoint is delivered when it is back, each once" \
    eval 'statuses down "200 200 200 200" && one_id down 4'
for at in 1 $stuck_second; do wait_for 30 is_in .Done-stuck $at || give_up "fault_65 stuck: message $at"; done
check "fault_65 an event that hung is sent again under the same id" eval 'statuses stuck "0 200 200" && one_id stuck 2'

kill "$gone" && wait "$gone" 2>/dev/null
HTTP_SINK_PORT=$gone_port start_sink gone -k "$key"
"$MAILRULED" retry --all >"$dir/retry" || give_up "retry --all: $(cat "$dir/retry")"
for at in $at_gone $gone_second; do wait_for 20 is_in .Done-gone "$at" || give_up "fault_64 gone: message $at"; done
check "fault_64 retry sends dead letters under their old id" eval 'statuses gone "410 200 200" && one_id gone 2'
deliver later
wait_for 20 grep -q 'webhook=later .*again in 1h' "$daemon_log" || give_up "fault_64 an event that waits an hour"
deliver later
wait_for 20 is_in .Done-later $n || give_up "fault_64 a new event does not wait for the hour of an old one"
check "fault_64 a new event does not wait for the hour of an old one" is_in INBOX $((n - 1))
check "the signature of every request is good" \
    eval '! cat "$dir"/[a-z]* 2>/dev/null | grep -q "^[0-9]* msg_[^ ]* \(bad\|unchecked\)"'
kill -TERM "$daemon"
wait "$daemon"
check "the daemon ends in order" test $? -eq 0
exit "$failed"
