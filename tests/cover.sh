#!/bin/sh
# cover.sh BUILD LAYER... - after the unit tests of a build with --coverage: how much of each layer they ran.
set -eu
build=$1
shift
for layer; do
    find "$build/obj/$layer" -name '*.gcda' 2>/dev/null | sort | while read -r data; do
        gcov -n -o "${data%.gcda}.o" "src/$layer/$(basename "$data" .gcda).c" 2>/dev/null
    done | awk -v layer="$layer" '
        /^File / { file = $2; gsub("\047", "", file) }
        /^Lines executed:/ && index(file, "src/" layer "/") == 1 {
            split($2, part, /[:%]/); lines = $4; all += lines; run += lines * part[2] / 100
            if (part[2] < 70) low = low sprintf("  %3d%%  %s\n", part[2], file)
        }
        END { printf "%-10s %5.1f%% of %d lines\n%s", layer, all ? 100 * run / all : 0, all, low }'
done
