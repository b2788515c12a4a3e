#!/bin/sh
# docs/faults.md and the tests agree: what it calls tested has a test of that number.
set -u
cd "$TESTS/.."
bad=0
while IFS='|' read -r _ number situation state _; do
    n=$(echo "$number" | tr -d ' ')
    case "$n" in '' | *[!0-9]*) continue ;; esac
    two=$(printf '%02d' "$n")
    found=$(grep -rlE "fault_0*${n}(_|[^0-9])" tests --include='*.c' --include='*.sh' | grep -v 'tests/cli/faults.sh' |
        head -n 1)
    [ -n "$found" ] || found=$(find tests/dialog -name "fault_${two}_*" | head -n 1)
    if [ "$(echo "$state" | tr -d ' ')" = tested ] && [ -z "$found" ]; then
        echo "FAIL fault $n ($situation) is called tested, but no test bears its number"
        bad=1
    fi
done <docs/faults.md
[ "$bad" -ne 0 ] || echo "ok every_fault_that_is_called_tested_has_a_test"
exit "$bad"
