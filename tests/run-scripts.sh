#!/bin/sh
# run-scripts.sh BUILD DIR... - runs each tests/.../*.sh there with MAILRULED, TOOLS and TESTS set. A script prints "ok
# NAME" or "FAIL NAME" lines, "skip NAME: why" where it may not run, and exits non-zero if anything failed. Closes with
# a count.
set -u
build=$(cd "$1" && pwd)
shift
export MAILRULED="$build/mailruled" TOOLS="$build/tools" TESTS="$PWD/tests" BUILD="$build"
passed=0 failed=0 skipped=0
out=$(mktemp)
for dir in "$@"; do
    for script in "$dir"/*.sh; do
        [ -f "$script" ] || continue
        case "$(basename "$script")" in _*) continue ;; esac
        timeout 900 "$script" >"$out" 2>&1
        status=$?
        p=$(grep -c '^ok ' "$out")
        f=$(grep -c '^FAIL ' "$out")
        s=$(grep -c '^skip ' "$out")
        if [ "$status" -ne 0 ] || [ "$f" -gt 0 ]; then
            [ "$f" -gt 0 ] || f=1
            echo "FAIL $script (exit $status)"
            tail -n 60 "$out"
        elif [ "$p" -eq 0 ] && [ "$s" -eq 0 ]; then
            f=1
            echo "FAIL $script checked nothing"
        else
            echo "$script: $p passed$( [ "$s" -eq 0 ] || echo ", $s skipped" )"
            grep '^skip ' "$out"
        fi
        passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    done
done
rm -f "$out"
echo "scripts: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
