#!/bin/sh
# run.sh BUILD - every measurement here; a table on standard output: what, what it should be, what it is. Other work on
# the machine shows: look at ratios, which are of runs side by side, before seconds. BENCH_ONLY="reaction idle" picks
# some.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=$(cd "$1" && pwd)
export MAILRULED="$build/mailruled" TOOLS="$build/tools" TESTS="$PWD/tests" BUILD="$build"
failed=0
printf '%-64s | %-12s | %s\n' "what ($(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg))" "should be" "is"
for name in ${BENCH_ONLY:-reaction idle backlog rules}; do
    case "$name" in
    rules) "$build/bench/rules/rules" || failed=1 ;;
    *) "tests/bench/$name.sh" || failed=1 ;;
    esac
done
exit "$failed"
