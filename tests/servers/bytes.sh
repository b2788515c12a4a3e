#!/bin/sh
# What comes down the wire, counted by a proxy between the daemon and a real Dovecot: header rules fetch no bodies, body
# rules the text and no attachment, rules about attachments the structure only. FULL=1: as many messages as the promise
# names (1,000 of 1 MB); else fewer.
. "$(dirname "$0")/_lib.sh"
many=100 few=4
[ -z "${FULL:-}" ] || many=1000 few=20
start_server

filler() { # OCTETS, as lines of base64 have them
    head -c "$1" /dev/zero | tr '\0' A | fold -w 76
}
text_of_20k() {
    i=0
    while [ $i -lt 400 ]; do
        echo 'Every line of this text has fifty octets or so.'
        i=$((i + 1))
    done
    echo 'There is a needle in it.'
}
headers() {
    message "$1@N@" | sed '/^$/,$d'
    echo 'MIME-Version: 1.0'
}

# Nothing but headers and 1 MB of text.
large_message() {
    headers large
    echo
    filler 1000000
}
# 20 KB of text and an attachment of 10 MB.
attached_message() {
    headers attached
    cat <<'END'
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; charset=us-ascii

END
    text_of_20k
    cat <<'END'

--b
Content-Type: application/octet-stream; name="film.bin"
Content-Disposition: attachment; filename="film.bin"
Content-Transfer-Encoding: base64

END
    filler 13981016
    echo '--b--'
}

put() { # HOW_MANY FUNCTION
    "$2" >"$box/many.eml"
    "$TOOLS/lmtp" -n "$1" "$LMTP_PORT" "$user" "$box/many.eml"
}
bytes_down() { awk '$3 == "S" { n += $4 } END { print n + 0 }' "$box/wire"; }

# per_message COUNT MOST FOLDER: runs until they are there; no more than MOST octets came for each.
per_message() {
    start_proxy || return 1
    config 'backlog = "all",' || return 1
    daemon
    wait_for 300 has_count "$3" "$1" || return 1
    wait_for 10 counts_the_same || return 1
    stop_daemon || return 1
    each=$(($(bytes_down) / $1))
    echo "$each octets a message, at most $2: $what, $1 messages" >>"$dir/figures"
    expect "at most $2 octets a message, found $each" test "$each" -le "$2"
}
# What `status` says is what the proxy saw, but for the greeting and what the login is preceded by.
counts_the_same() {
    told=$("$MAILRULED" status --json | sed -n 's/.*"bytes_in":\([0-9]*\),.*/\1/p')
    seen=$(bytes_down)
    [ -n "$told" ] && [ "$told" -le "$seen" ] && [ $((seen - told)) -le 1000 ]
}

header_rule() {
    what="a header rule, 1 MB each"
    put "$many" large_message && per_message "$many" 2048 Done <<'EOT'
rule "subject" { when = subject:contains "large", actions = { move "Done" } }
EOT
}
text_size=$(text_of_20k | sed 's/$/\r/' | wc -c)
body_rule() {
    what="a body rule, 10 MB attached"
    put "$few" attached_message && per_message "$few" $((text_size + 8192)) Done <<'EOT'
rule "needle" { when = body:contains "needle in it", actions = { move "Done" } }
EOT
}
body_rule_that_does_not_match() {
    what="a body rule that does not match, 10 MB attached"
    put "$few" attached_message && per_message "$few" $((text_size + 8192)) Other <<'EOT'
rule "needle" { when = body:contains "not there", actions = { move "Done" } }
rule "rest" { when = subject:contains "attached", actions = { move "Other" } }
EOT
}
attachment_rule() {
    what="a rule about attachments, 10 MB attached"
    put "$few" attached_message && per_message "$few" 4096 Done <<'EOT'
rule "films" {
  when = attachment.name:glob "*.bin" & attachment.type:is "application/octet-stream", actions = { move "Done" },
}
EOT
}
function_rule() {
    what="a function that reads the text, 10 MB attached"
    put "$few" attached_message && per_message "$few" $((text_size + 8192)) Done <<'EOT'
rule "function" {
  run = function(msg)
    if msg.text:find("needle", 1, true) then
      msg:move "Done"
    end
  end,
}
EOT
}

test_case header_rule_over_messages_of_a_megabyte header_rule
test_case body_rule_over_messages_with_10_mb_attached body_rule
test_case body_rule_that_does_not_match_such_messages body_rule_that_does_not_match
test_case attachment_rule_over_such_messages attachment_rule
test_case function_that_reads_the_text_of_such_messages function_rule
[ ! -f "$dir/figures" ] || sed 's/^/# /' "$dir/figures"
finish
