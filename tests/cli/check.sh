#!/bin/sh
. "$(dirname "$0")/_lib.sh"

cat >"$dir/good.lua" <<'END'
account "work" { host = "imap.example.com", user = "me", password = secret.env "X", watch = { "INBOX" } }
account "home" { host = "imap.example.org", user = "me", password = secret.env "Y", watch = { "INBOX" } }
webhook "desk" { url = "https://desk.example.com/" }
rule "one" { when = subject:is "x", actions = { move "Y" } }
END
run check -c "$dir/good.lua" --offline
is "a good config exits with 0" "$rc" 0
is "a good config is summed up" "$(cat "$dir/out")" "ok: 2 accounts, 1 webhook, 1 rule"
is "a good config gets no complaint" "$(cat "$dir/err")" ""

cat >"$dir/bad.lua" <<'END'
account "work" {
  hots = "imap.example.com",
  host = "imap.example.com",
  user = 7,
  password = secret.env "X",
  tls = "none",
  connections = 0,
}
webhook "desk" { url = "ftp://desk.example.com/" }
rule "one" {
  when = subject:regex "(",
  actions = { move "Y" },
}
rule "two" {
  when = from:domian "example.com",
  actions = { post "nobody" },
}
rule "one" {
  on = "sometimes",
  actions = { move "Z" },
}
rule "three" { }
END
run check -c "$dir/bad.lua"
is "a bad config exits with 78" "$rc" 78
is "a bad config is not called ok" "$(cat "$dir/out")" ""
is "every complaint names file and line" "$(grep -vc "^$dir/bad.lua:[0-9][0-9]*: ." "$dir/err")" 0
for line in 2 4 6 7 9 11 15 16 18 19 22; do
    has "line $line has its complaint" "$dir/err" "^$dir/bad.lua:$line: "
done
has "the nearest key is suggested" "$dir/err" ":2: .*host"
lines=$(sed "s|^$dir/bad.lua:\([0-9]*\):.*|\1|" "$dir/err")
is "complaints are in the file's order" "$lines" "$(printf '%s\n' "$lines" | sort -n)"

printf 'rule "x" {\n  when = = 1\n}\n' >"$dir/syntax.lua"
run check -c "$dir/syntax.lua"
is "a syntax error exits with 78" "$rc" 78
has "a syntax error names its line" "$dir/err" "^$dir/syntax.lua:2: "

run check -c "$dir/none.lua"
is "a missing config exits with 78" "$rc" 78
has "a missing config is named" "$dir/err" "none.lua"

printf 'while true do end\n' >"$dir/endless.lua"
run check -c "$dir/endless.lua"
is "a config that never ends is refused" "$rc" 78

mkdir -p "$dir/xdg/mailruled"
cp "$dir/good.lua" "$dir/xdg/mailruled/config.lua"
XDG_CONFIG_HOME=$dir/xdg run check --offline
is "the user's own config is found" "$rc" 0
MAILRULED_CONFIG=$dir/bad.lua XDG_CONFIG_HOME=$dir/xdg run check --offline
is "MAILRULED_CONFIG goes before it" "$rc" 78
MAILRULED_CONFIG=$dir/bad.lua run check --offline -c "$dir/good.lua"
is "-c goes before MAILRULED_CONFIG" "$rc" 0

run check --ofline
is "an unknown option is a usage error" "$rc" 2
run check extra
is "an operand is a usage error" "$rc" 2
run nonsense
is "an unknown command is a usage error" "$rc" 2
run check --help
is "--help exits with 0" "$rc" 0
has "--help shows the usage" "$dir/out" "^Usage: mailruled check"
run --version
has "--version tells" "$dir/out" "^mailruled [0-9]"
finish
