#!/bin/sh
# The daemon's life in simulated time (docs/soak.md): servers of six kinds, cuts, outages, expiries, suspends, kill -9; every
# message handled once, no leak, no growth. Here some hours of it on a few accounts, the sanitizers on where they are built.
# SOAK_HOURS=168 (`make soak`): a week on twenty accounts, once without and once with kill -9. SOAK_SEED: another course of events.
# SOAK_DIR: keep everything below that directory.
set -u
: "${TOOLS:?}" "${BUILD:?}" "${TESTS:?}"
hours=${SOAK_HOURS:-}
seed=${SOAK_SEED:-1}
base=${SOAK_DIR:-}
[ -n "$base" ] || { [ -w /dev/shm ] && base=$(mktemp -d /dev/shm/soak.XXXXXX) || base=$(mktemp -d); }
mkdir -p "$base" && base=$(cd "$base" && pwd) || exit 1
runner='' failures=0
clean_up() {
    status=$?
    trap - EXIT
    [ -z "$runner" ] || kill "$runner" 2>/dev/null
    [ -n "${SOAK_DIR:-}" ] || rm -rf "$base"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1200 -subj /CN=localhost \
    -addext subjectAltName=IP:127.0.0.1 -keyout "$base/key.pem" -out "$base/cert.pem" 2>/dev/null || exit 1
sanitized="$BUILD/san/mailruled"
[ -x "$sanitized" ] || sanitized="$BUILD/mailruled"
ASAN_OPTIONS="verify_asan_link_order=0:detect_leaks=1:quarantine_size_mb=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
MAILRULED_LIBDIR="$TESTS/../rules"
export ASAN_OPTIONS MAILRULED_LIBDIR

# What the daemon may complain about when all this happens to it. Anything else at these levels is a finding.
expected='connection lost: |NO \[UNAVAILABLE\] not now|not accepted: |UIDVALIDITY changed from|Connection reset by peer'
expected="$expected|account parked after 5 refused logins|cannot be reached: |no answer to |the server closed the connection|is throttled|Session expired"
unexpected() { grep -E 'level=(warn|error|alert)' "$1/log" | grep -vE "$expected"; }
sanitizer_said() { grep -nE 'ERROR: |runtime error: |SUMMARY: ' "$1/log"; }

# That an account is parked is told once, where logins are refused.
parked() { [ "$(grep -c 'level=error .*account parked after 5 refused logins' "$1/log")" -eq "$(case "$2" in *' -R '*) echo 1 ;; *) echo 0 ;; esac)" ]; }

# Behind the days for which it was stopped (-A) there is no message left that was done before.
old_messages() {
    case "$2" in *' -A '*) [ "$(sqlite3 "$1/state/journal.db" 'SELECT count(*) FROM message')" -ne 0 ] ;; *) false ;; esac
}

soak() { # NAME PROGRAM OPTIONS...
    dir="$base/$1"
    name=$1 program=$2
    shift 2
    mkdir -m 700 "$dir" || return 1
    "$TOOLS/soak" -d "$dir" -m "$program" -p "$TOOLS/clock.so" -c "$base/cert.pem" -k "$base/key.pem" -s "$seed" "$@" \
        >"$dir/out" 2>&1 &
    runner=$!
    wait "$runner"
    status=$?
    runner=''
    sed 's/^/  /' "$dir/out"
    if [ "$status" -eq 0 ] && ! sanitizer_said "$dir" && ! unexpected "$dir" && ! old_messages "$dir" " $* " && parked "$dir" " $* "; then
        echo "ok $name"
    else
        echo "FAIL $name (seed $seed; SOAK_DIR=... keeps its events and its log)"
        failures=$((failures + 1))
    fi
}

if [ -n "$hours" ]; then
    soak every_message_once_for_"$hours"_hours "$sanitized" -t "$hours" -q 12 -a 20 -x 30 -S 6 -A 31
    soak every_message_once_though_it_is_killed_for_"$hours"_hours "$sanitized" -t "$hours" -q 12 -a 20 -x 30 -S 6 -K 20
else
    soak every_message_once "$sanitized" -t 8 -q 3 -a 6 -x 20 -A 31
    soak every_message_once_though_it_is_killed "$BUILD/mailruled" -t 8 -q 6 -a 6 -x 20 -K 3
    soak fault_15_after_a_suspend_every_connection_is_asked "$BUILD/mailruled" -t 12 -q 1 -a 6 -x 5000 -S 6
    soak fault_09_refused_logins_park_the_account "$BUILD/mailruled" -t 6 -q 1 -a 6 -R
fi
[ "$failures" -eq 0 ]
