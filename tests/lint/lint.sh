#!/bin/sh
# What the compilers do not say: clang-tidy, cppcheck, luacheck, shellcheck where installed, manual pages, and the sizes
# of functions (hard stop 80 lines) and files (900). Installs what it needs.
set -u
cd "$(dirname "$0")/../.."
tests/deps.sh clang-tidy cppcheck lua-check mandoc
bad=0

echo "sizes"
for f in $(git ls-files 'src/*.[ch]' 'include/*.h'); do
    awk -v f="$f" '
        FNR == 1 { start = 0 }
        /^[a-zA-Z].*\) \{$/ { start = FNR; name = $0 }
        /^\}/ && start { n = FNR - start + 1; if (n > 80) { print f ":" start ": " n " lines: " name; bad = 1 } start = 0 }
        END { if (FNR > 900) { print f ": " FNR " lines"; bad = 1 } exit bad }' "$f" || bad=1
done

echo "cppcheck"
cppcheck --quiet --std=c11 --enable=warning,portability --inline-suppr --error-exitcode=1 \
    --suppress=missingIncludeSystem \
    --suppress=unknownMacro --suppress=nullPointerRedundantCheck --suppress=internalAstError \
    -j2 -Iinclude -I. -D__GNUC__ src || bad=1

echo "clang-tidy"
packages="glib-2.0 gmime-3.0 lua5.4 libpcre2-8 jansson msgpack libuv libcurl openssl sqlite3 libseccomp"
# shellcheck disable=SC2086
flags="-std=c17 -D_GNU_SOURCE -DMAILRULED_VERSION=\\\"x\\\" -Iinclude -I. $(pkg-config --cflags $packages)"
# shellcheck disable=SC2086
git ls-files 'src/*.c' |
    xargs -n 8 -P 2 sh -c 'clang-tidy --quiet --warnings-as-errors="*" "$@" -- '"$flags"' 2>/dev/null' sh || bad=1

echo "luacheck"
luacheck --quiet $(git ls-files '*.lua' | grep -v '^examples/demo.lua$') || bad=1

echo "shellcheck"
if command -v shellcheck >/dev/null; then
    git ls-files '*.sh' | xargs shellcheck -s sh -S error -f gcc || bad=1
fi

echo "manual pages"
for page in man/*.[0-9]; do
    [ -f "$page" ] || continue
    mandoc -T lint -W warning "$page" || bad=1
done
exit "$bad"
