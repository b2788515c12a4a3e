#!/bin/sh
. "$(dirname "$0")/_lib.sh"

cat >"$dir/c.lua" <<'END'
account "work" { host = "imap.example.com", user = "me", password = secret.env "X", watch = { "INBOX" } }
account "home" { host = "imap.example.org", user = "me", password = secret.env "Y", watch = { "INBOX" } }
webhook "desk" { url = "https://desk.example.com/" }
rule "home only" { account = "home", actions = { flag "Home" } }
rule "seen" { when = has_flag "\\Seen", actions = { flag "WasSeen" } }
rule "invoices" {
  when = subject:regex [[(?i)invoice #(?<number>\d+)]],
  actions = { flag "Invoice", post "desk", move "Invoices/${number}" },
}
rule "error" { when = subject:is "error", run = function(msg) error("by my own will") end }
rule "spin" { when = subject:is "spin", run = function(msg) local s = ("a"):rep(400):find(".-.-.-.-.-.-b") end }
rule "starred" { on = "flags", when = flag_added "\\Flagged", actions = { flag "Starred" } }
rule "gone" {
  on = "gone", when = has_flag "Ticket",
  run = function(msg) if msg.message_id and msg.subject == "" then msg:post "desk" end end,
}
END

mail() { # FILE SUBJECT
    printf 'From: a@example.com\nTo: me@example.com\nSubject: %s\nMessage-ID: <%s@example.com>\nDate: Sat, 1 Jan 2022 12:00:00 +0000\n\nHello\n' "$2" "$(basename "$1")" >"$1"
}
mail "$dir/1.eml" "Invoice #42"
mail "$dir/2.eml" "nothing"
mail "$dir/3.eml" "error"
mail "$dir/4.eml" "spin"

run explain -c "$dir/c.lua" --json "$dir/1.eml"
is "explain exits with 0" "$rc" 0
has "the source is named" "$dir/out" "^\[{\"source\": \"$dir/1.eml\""
has "message id and subject are there" "$dir/out" '"message_id": "1.eml@example.com", "subject": "Invoice #42"'
has "a rule that matched says so" "$dir/out" '{"name": "invoices", "matched": true, "why": \["'
has "the plan has each step" "$dir/out" \
    '"plan": \[{"step": "flag", "rule": "invoices", "flags": \["Invoice"\]}, {"step": "post", "rule": "invoices", "webhook": "desk"}, {"step": "move", "rule": "invoices", "folder": "Invoices/42"}\]'
has "error is null" "$dir/out" '"error": null}\]$'

run explain -c "$dir/c.lua" --account home "$dir/2.eml"
has "--account chooses rules" "$dir/out" "1. flag Home"
run explain -c "$dir/c.lua" --flags '\Seen,Other' "$dir/2.eml"
has "--flags are seen by rules" "$dir/out" "1. flag WasSeen"
run explain -c "$dir/c.lua" --added '\Flagged' "$dir/2.eml"
has "--added is a change of flags" "$dir/out" "1. flag Starred"
run explain -c "$dir/c.lua" --event gone --flags Ticket "$dir/2.eml"
has "--event gone leaves flags and the Message-ID" "$dir/out" "1. post desk"
run explain -c "$dir/c.lua" --event moved "$dir/2.eml"
is "an unknown event is a usage error" "$rc" 2
run explain -c "$dir/c.lua" --account nobody "$dir/2.eml"
is "an unknown account is a usage error" "$rc" 2
run explain -c "$dir/c.lua" "$dir/2.eml"
has "nothing to do is said" "$dir/out" "nothing to do"
if grep -q "$(printf '\033')" "$dir/out"; then fail "no colour off a terminal"; else ok "no colour off a terminal"; fi

run explain -c "$dir/c.lua" --json "$dir/1.eml" "$dir/3.eml" "$dir/4.eml" "$dir/none.eml" imap:nobody/INBOX/1 \
    "$dir/2.eml"
is "a message that fails makes it exit with 1" "$rc" 1
is "each message has one object" "$(grep -c '"source"' "$dir/out")" 6
has "a rule's error is named with file and line" "$dir/out" '3.eml".*"error": ".*c.lua:10: .*by my own will'
has "fault_61: a rule that spins inside one string pattern is named" "$dir/out" \
    '4.eml".*"error": ".*c.lua:11: .*rule spin: '
has "a missing file is named" "$dir/out" 'none.eml".*"error": "No such file'
has "an account that is not in the config is named" "$dir/out" \
    '"imap:nobody/INBOX/1".*"error": "the config has no account'
has "the rest goes on" "$dir/out" '2.eml".*"error": null'

mkdir -p "$dir/md/cur" "$dir/md/new" "$dir/md/tmp"
cp "$dir/1.eml" "$dir/md/cur/1:2,S"
cp "$dir/2.eml" "$dir/md/new/2"
cp "$dir/2.eml" "$dir/md/tmp/3"
run explain -c "$dir/c.lua" --json "$dir/md"
is "a Maildir's cur and new are read" "$(grep -c '"source"' "$dir/out")" 2
has "flags come from a Maildir's file names" "$dir/out" '"flags": \["WasSeen"\]'

{
    echo "From a@example.com Sat Jan  1 12:00:00 2022"
    sed 's/^Hello$/From here on\n>From me\n>>From you/' "$dir/1.eml"
    echo
    echo "From a@example.com Sat Jan  1 12:00:00 2022"
    cat "$dir/2.eml"
} >"$dir/box"
run explain -c "$dir/c.lua" --json "$dir/box"
has "an mbox's messages are numbered" "$dir/out" "$dir/box#1"
is "an mbox is split at its From lines only" "$(grep -c '"source"' "$dir/out")" 2

rc=0
"$MAILRULED" explain -c "$dir/c.lua" --json - <"$dir/1.eml" >"$dir/out" || rc=$?
has "standard input is read" "$dir/out" '"source": "-".*Invoices/42'

printf 'rule "x" { nonsense = 1 }\n' >"$dir/bad.lua"
run explain -c "$dir/bad.lua" "$dir/1.eml"
is "a bad config exits with 78" "$rc" 78
run explain -c "$dir/c.lua"
is "no message is a usage error" "$rc" 2
finish
