#!/bin/sh
# kill.sh - fault 53: SIGKILL before and after calls that write, send or sync, then runs to the end: the mailbox and the
# webhooks are those of a run that nobody disturbed; every event under one id, however often it was sent.
#
# Without FULL=1 only some of the calls are tried, spread over the run from the START-th on; the output says how many of
# how many. SECONDS_MAX bounds the sample.
set -u
. "$(dirname "$0")/_lib.sh"
FULL=${FULL:-} SECONDS_MAX=${SECONDS_MAX:-50} START=${START:-0}
users=4000 user_n=0

start_server $users
start_sink hooks

write_config() { # VARIANT: move, copy (no MOVE), two (as move)
    extensions=''
    [ "$1" != copy ] || extensions='disable_extensions = { "MOVE" },'
    cat >"$dir/config/$1.lua.in" <<END
account "a" {
  host = "127.0.0.1", port = $IMAP_PORT, tls = "none", user = "@USER@", password = secret.file "password",
  watch = { "INBOX" }, backlog = "all", $extensions
}
webhook "desk" { url = "http://127.0.0.1:$port/", allow_private = true }
local case = header"X-Case"
rule "post" { when = case:is "post", actions = { post "desk", move "Posted" } }
rule "move" { when = case:is "move", actions = { move "Moved" } }
rule "flag" { when = case:is "flag", actions = { flag { "\\\\Flagged", "Urgent" }, move "Flagged" } }
rule "copy" { when = case:is "copy", actions = { copy "Copied" } }
rule "all"  { when = case:is "all", actions = { flag "Seen-by-us", copy "Copied", post "desk", move "Moved" } }
END
}

fresh_user() {
    user_n=$((user_n + 1))
    user=user$user_n
    n=0
    for case in post move flag copy none all move copy; do
        n=$((n + 1))
        drop_into "$user" "$n" "$case"
    done
    sed "s/@USER@/$user/" "$dir/config/$variant.lua.in" >"$dir/config/config.lua"
    rm -rf "$dir/state"
}

# run_once AT MODE: AT 0 = undisturbed. Exit status of the daemon.
run_once() {
    rm -f "$dir/killed"
    timeout 60 env KILLER_AT="$1" KILLER_MODE="$2" KILLER_OUT="$dir/killed" LD_PRELOAD="$TOOLS/killer.so" \
        STATE_DIRECTORY="$dir/state" "$MAILRULED" run --once -c "$dir/config/config.lua" 2>"$dir/log.$3"
}

hooks_of() { grep " $1 [0-9]*\$" "$dir/hooks"; }

# compare WHAT: mailbox and webhooks against those of the undisturbed run.
compare() {
    mailbox "$user" >"$dir/got"
    hooks_of "$user" | awk '{print $4, $6}' | sort -u >"$dir/got.hooks"
    hooks_of "$user" | awk '{print $2}' | sort -u | grep -c . >"$dir/got.ids"
    cmp -s "$dir/want" "$dir/got" && cmp -s "$dir/want.hooks" "$dir/got.hooks" && cmp -s "$dir/want.ids" "$dir/got.ids" &&
        return 0
    fail "fault_53 $variant: $1"
    diff "$dir/want" "$dir/got"
    diff "$dir/want.hooks" "$dir/got.hooks"
    hooks_of "$user"
    for log in "$dir"/log.*; do echo "--- $log"; cat "$log"; done
    return 1
}

undisturbed() {
    fresh_user
    rm -f "$dir"/log.*
    run_once 0 before 1 || { fail "fault_53 $variant: undisturbed run (exit $?)"; cat "$dir/log.1"; exit 1; }
    total=$(cat "$dir/killed")
    mailbox "$user" >"$dir/want"
    hooks_of "$user" | awk '{print $4, $6}' | sort -u >"$dir/want.hooks"
    hooks_of "$user" | awk '{print $2}' | sort -u | grep -c . >"$dir/want.ids"
    # What the rules say, once and for all: eight messages, three of them in two folders.
    if [ "$(grep -c . "$dir/want")" -ne 11 ] || [ "$(cat "$dir/want.ids")" -ne 2 ] || [ "$total" -lt 50 ]; then
        fail "fault_53 $variant: the undisturbed run did something else"
        cat "$dir/want" "$dir/want.hooks" "$dir/want.ids" "$dir/log.1"
        exit 1
    fi
}

# once AT MODE: one user, killed there, then run to the end. With the variant "two" the recovery is killed too.
once() {
    fresh_user
    rm -f "$dir"/log.*
    run_once "$1" "$2" 1
    [ $? -eq 137 ] || { missed=$((missed + 1)); }
    what="killed $2 call $(cat "$dir/killed")"
    if [ "$variant" = two ]; then
        second=$((1 + ($1 * 37 + 11) % total))
        run_once "$second" "$2" 2
        [ $? -ne 137 ] || what="$what, then $2 call $(cat "$dir/killed")"
    fi
    run_once 0 before 3
    status=$?
    points=$((points + 1))
    [ "$status" -eq 0 ] || { fail "fault_53 $variant: $what: the last run ended with $status"; cat "$dir/log.3"; return 1; }
    compare "$what"
}

variants=3 began=$(date +%s) done_variants=0
for variant in move copy two; do
    write_config "$variant"
    undisturbed
    points=0 missed=0 bad=0
    # A stride that has no divisor in common with the total reaches every call in the end.
    stride=1
    [ -n "$FULL" ] || stride=37
    [ $((total % 37)) -ne 0 ] || stride=1
    done_variants=$((done_variants + 1))
    until=$((began + SECONDS_MAX * done_variants / variants))
    at=$START tried=0
    while [ "$tried" -lt "$total" ]; do
        tried=$((tried + 1))
        at=$((1 + (at + stride - 1) % total))
        if [ -n "$FULL" ]; then modes='before after'; elif [ $((tried % 2)) -eq 0 ]; then modes=before; else modes=after; fi
        for mode in $modes; do once "$at" "$mode" || bad=$((bad + 1)); done
        [ "$bad" -lt 3 ] || break
        [ -n "$FULL" ] || [ "$(date +%s)" -lt "$until" ] || break
    done
    [ "$bad" -ne 0 ] ||
        ok "fault_53 $variant: $points kills at $tried of $total calls ($missed after the end), mailbox and webhooks as undisturbed"
done
exit "$failed"
