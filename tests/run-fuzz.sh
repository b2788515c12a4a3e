#!/bin/sh
# run-fuzz.sh BUILD SECONDS NAME... - each fuzzer on its seeds and what it has found before. A finding fails.
set -u
build=$1 seconds=$2
shift 2
passed=0 failed=0
for name in "$@"; do
    found="$build/corpus/$name"
    mkdir -p "$found" "$build/crashes"
    seeds=tests/fuzz/seeds/$name
    [ -d "$seeds" ] || seeds=
    dict=
    case "$name" in imap_*) [ ! -f tests/fuzz/imap.dict ] || dict=-dict=tests/fuzz/imap.dict ;; esac
    # shellcheck disable=SC2086
    if "$build/bin/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -artifact_prefix="$build/crashes/$name-" \
        $dict "$found" $seeds >"$build/$name.log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL fuzzer $name:"
        tail -n 30 "$build/$name.log"
    fi
done
echo "fuzz: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
