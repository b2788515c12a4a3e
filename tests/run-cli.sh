#!/bin/sh
# Runs each script of tests/cli against the binary in MAILRULED (default build/mailruled). A script prints a line that
# begins with "ok" or "FAIL" for each thing it tries; a failing one's whole output is shown. "skip" lines are shown too.
set -u
cd "$(dirname "$0")/.."
MAILRULED=${MAILRULED:-build/mailruled}
case $MAILRULED in /*) ;; *) MAILRULED=$PWD/$MAILRULED ;; esac
CORPUS_DIR=${CORPUS_DIR:-$PWD/../shared/corpus}
export MAILRULED CORPUS_DIR
passed=0 failed=0
[ $# -gt 0 ] || set -- tests/cli/*.sh
for t in "$@"; do
    case $t in */lib.sh) continue ;; esac
    out=$(timeout 300 sh "$t" 2>&1) && rc=0 || rc=$?
    printf '%s\n' "$out" | grep '^skip' || :
    if [ "$rc" -eq 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAIL %s (exit %s)\n%s\n' "$t" "$rc" "$out"
    fi
done
echo "cli: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
