#!/bin/sh
# kill.sh - fault 53: SIGKILL before and after calls that write, send or sync, then runs to the end: the mailbox and the
# webhooks are those of a run that nobody disturbed; every event under one id, however often it was sent.
#
# Without FULL=1 only some of the calls are tried, spread over the run from the START-th on; the output says how many of
# how many. SECONDS_MAX bounds the sample.
set -u
. "$(dirname "$0")/_lib.sh"
FULL=${FULL:-} SECONDS_MAX=${SECONDS_MAX:-50} START=${START:-0}

start_server 4000
start_sink hooks
. "$(dirname "$0")/_scenario.sh"

# run_once AT MODE: AT 0 = undisturbed. Exit status of the daemon.
run_once() {
    rm -f "$dir/killed"
    timeout 60 env KILLER_AT="$1" KILLER_MODE="$2" KILLER_OUT="$dir/killed" LD_PRELOAD="$TOOLS/killer.so" \
        STATE_DIRECTORY="$dir/state" "$MAILRULED" run --once -c "$dir/config/config.lua" 2>"$dir/log.$3"
}

# The run that takes it up: ten times as fast, as it looks for lost copies and waits in between.
run_to_the_end() {
    STATE_DIRECTORY="$dir/state" timeout 60 "$TOOLS/hasten" 10 "$TOOLS/clock.so" "$MAILRULED" run --once \
        -c "$dir/config/config.lua" 2>"$dir/log.$1"
}

undisturbed() {
    fresh_user
    rm -f "$dir"/log.*
    run_once 0 before 1 || { fail "fault_53 $variant: undisturbed run (exit $?)"; cat "$dir/log.1"; exit 1; }
    total=$(cat "$dir/killed")
    snapshot want
    want_is_right || exit 1
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
    run_to_the_end 3
    status=$?
    points=$((points + 1))
    [ "$status" -eq 0 ] || { fail "fault_53 $variant: $what: the last run ended with $status"; cat "$dir/log.3"; return 1; }
    as_wanted "fault_53 $variant: $what"
}

variants=3 began=$(date +%s) done_variants=0
for variant in ${VARIANTS:-move copy two}; do
    write_config "$variant"
    undisturbed
    points=0 missed=0 bad=0
    # A stride that has no divisor in common with the total reaches every call in the end.
    stride=1
    [ -n "$FULL" ] || stride=${STRIDE:-37}
    [ $((total % stride)) -ne 0 ] || stride=1
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
