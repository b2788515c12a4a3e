#!/bin/sh
# What `make install` puts below DESTDIR is complete and works from there; `make uninstall` leaves nothing.
. "$(dirname "$0")/_lib.sh"
BUILD=${BUILD:-$(dirname "$MAILRULED")}
to=$dir/usr
unset MAILRULED_LIBDIR

# A build of its own that shares the objects: the place of the rule library is compiled in.
mkdir "$dir/build"
cp -a "$BUILD/obj" "$BUILD/lib" "$dir/build"
make -s install BUILD="$dir/build" PREFIX="$to" >"$dir/out" 2>&1 || fail "make install: $(tail -n 5 "$dir/out")"
for file in bin/mailruled share/man/man1/mailruled.1 share/man/man5/mailruled-config.5 \
    share/man/man7/mailruled-rules.7 \
    lib/systemd/system/mailruled.service share/mailruled/rules/spam.lua share/mailruled/rules/meta/mailruled.lua \
    share/bash-completion/completions/mailruled share/zsh/site-functions/_mailruled \
    share/fish/vendor_completions.d/mailruled.fish; do
    if [ -s "$to/$file" ]; then ok "$file is installed"; else fail "$file is missing"; fi
done
has "the unit starts what was installed" "$to/lib/systemd/system/mailruled.service" "^ExecStart=$to/bin/mailruled run"
has "the page names the place" "$to/share/man/man1/mailruled.1" "^\.It Pa $to/share/mailruled/rules/"

cat >"$dir/config.lua" <<'LUA'
account "a" { host = "imap.example.com", user = "me", password = secret.env "X" }
require "mailruled.spam" { score = 5 }
LUA
built=$MAILRULED
MAILRULED=$to/bin/mailruled
run --version
is "the installed program runs" "$rc" 0
is "it is the version that was built" "$(cat "$dir/out")" "$("$built" --version)"
run check --offline -c "$dir/config.lua"
is "it finds the rule sets where they were installed" "$rc$(cat "$dir/err")" 0

make -s uninstall BUILD="$dir/build" PREFIX="$to" >"$dir/out" 2>&1
is "make uninstall leaves no file" "$(find "$to" -type f)" ''

make -s install BUILD="$dir/build" PREFIX="$to" DESTDIR="$dir/stage" >"$dir/out" 2>&1
if [ -x "$dir/stage$to/bin/mailruled" ]; then
    ok "DESTDIR goes before PREFIX"
else
    fail "DESTDIR goes before PREFIX"
fi
finish
