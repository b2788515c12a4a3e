#!/bin/sh
# Runs each unit test binary given; a failing one's whole output is shown. One that did not end in time is tried a
# second time, and named, because a machine may be too busy: what hangs for certain fails. Closes with "N passed, N
# failed".
set -u
passed=0 failed=0
for t in "$@"; do
    out=$(timeout 120 "$t" 2>&1)
    status=$?
    if [ "$status" -eq 124 ]; then
        printf 'REPEATED %s: it did not end within 120 s\n%s\n' "$t" "$(printf '%s\n' "$out" | tail -n 3)"
        out=$(timeout 240 "$t" 2>&1)
        status=$?
    fi
    if [ "$status" -eq 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAIL %s (exit %s)\n%s\n' "$t" "$status" "$out"
    fi
done
echo "unit: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
