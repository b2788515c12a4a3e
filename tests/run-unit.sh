#!/bin/sh
# Runs each unit test binary given; a failing one's whole output is shown. Closes with "N passed, N failed".
set -u
passed=0 failed=0
for t in "$@"; do
    if out=$(timeout 120 "$t" 2>&1); then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAIL %s (exit %s)\n%s\n' "$t" "$?" "$out"
    fi
done
echo "unit: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
