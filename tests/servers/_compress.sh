#!/bin/sh
# _compress.sh SERVER - COMPRESS=DEFLATE on dovecot or cyrus: watch, move, webhook, connections that are cut at any
# octet, switched off, refused; and how much less goes over the wire, counted by a proxy. With CORPUS_DIR the mail for
# that is what people have sent, else made up.
server=$1
server_tool="$server.sh"
. "$(dirname "$0")/_lib.sh"
[ "$server" != dovecot ] || EXTRA='mail_plugins = zlib
protocol imap {
  mail_plugins = zlib imap_zlib
}'
[ "$server" != cyrus ] || EXTRA=''
export EXTRA

put_one() { "$TESTS/tools/$server_tool" deliver "$dir/server" "$user"; }
deliver() { # NAME...
    for one in "$@"; do message "$one" | put_one || return 1; done
}
# Seen by another client, that does not compress.
contents() {
    imap "EXAMINE \"$1\"" 'UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])' 2>/dev/null | tr -d '\r' |
        sed -n 's/^Message-I[Dd]: <\(.*\)@test>.*/\1/p'
}
imap() { "$TOOLS/imap_do" "$IMAP_PORT" "$user" secret "$@"; }

compressed_config() { # MORE, then rules
    config "compress = true, $1"
}
move_all() {
    cat <<'EOT'
rule "all" { when = from:contains "@", actions = { post "hook", move "Done" } }
EOT
}
is_compressed() { logged 'msg="connected to .*compressed)"'; }
moved() { has_count Done "$1"; }

# Nothing of what is said can be read on the wire.
works() {
    start_sink && start_proxy && move_all | compressed_config '' || return 1
    expect "check finds nothing to complain about" "$MAILRULED" check || return 1
    start_daemon && expect "compressed" is_compressed || return 1
    deliver a1 && wait_for 30 moved 1 && deliver a2 a3 a4 && wait_for 30 moved 4 || return 1
    expect "nothing can be read" test "$(grep -c 'UID MOVE\|COPYUID\|Message-I' "$box/wire")" -eq 0 || return 1
    wait_for 20 posts 4 && each_once 4 Done && stop_daemon
}

under_tls() {
    start_sink && port=$IMAPS_PORT && {
        move_all | compressed_config ''
        sed -i 's|tls = "none"|tls = "implicit", tls_ca = "'"$CA"'"|' "$box/config.lua"
    } || return 1
    start_daemon && expect "under TLS, compressed" logged 'connected to .*TLSv1\.[23].*, compressed)' || return 1
    deliver a1 a2 && wait_for 30 moved 2 && wait_for 20 posts 2 && each_once 2 Done && stop_daemon
}

# At any chunk: the pattern is empty.
connection_is_cut() {
    start_sink && start_proxy -c "S::$box/server" -c "C::$box/client" && move_all | compressed_config '' || return 1
    start_daemon || return 1
    for n in 1 2 3 4 5 6; do
        side=server
        [ $((n % 2)) -eq 0 ] || side=client
        touch "$box/$side.arm"
        deliver "cut$n" || return 1
        wait_for 40 test -s "$box/$side.cuts" || return 1
        rm -f "$box/$side.arm" "$box/$side.cuts"
        wait_for 60 moved "$n" || return 1
    done
    expect "compressed each time" test "$(log_count 'connected to .*compressed)')" -ge 6 || return 1
    wait_for 40 posts 6 && each_once 6 Done && stop_daemon
}

server_is_killed() {
    start_sink && move_all | compressed_config '' && start_daemon && deliver a1 && wait_for 30 moved 1 || return 1
    "$TESTS/tools/$server_tool" kill "$dir/server" && wait_for 20 logged 'connection lost' || return 1
    "$TESTS/tools/$server_tool" restart "$dir/server" || return 1
    deliver a2 && wait_for 60 moved 2 && wait_for 20 posts 2 && each_once 2 Done && stop_daemon
}

is_off() { # MORE
    start_sink && start_proxy && move_all | config "$1" && start_daemon && deliver a1 && wait_for 30 moved 1 || return 1
    expect "it was not asked for" test "$(log_count '> [^ ]* COMPRESS')" -eq 0 || return 1
    expect "it can be read" grep -q 'UID MOVE' "$box/wire" && stop_daemon
}
off_by_default() { is_off ''; }
off_if_disabled() { is_off 'compress = true, disable_extensions = { "COMPRESS=DEFLATE" },'; }

# What the login says after it was compressed already, and what is longer than any window.
long_command_and_literal() {
    start_sink && start_proxy && move_all | compressed_config 'backlog = "all",' || return 1
    i=0
    while [ $i -lt 150 ]; do
        echo "m$i"
        i=$((i + 1))
    done >"$box/names"
    # shellcheck disable=SC2046
    deliver $(cat "$box/names") && start_daemon && wait_for 60 moved 150 && wait_for 60 posts 150 &&
        each_once 150 Done && stop_daemon
}

# --- how much less ----------------------------------------------------------------------------------------------------

# Mail as people send it, or as near as can be.
real_mail() {
    found=''
    [ ! -d "${CORPUS_DIR:-}/mail" ] ||
        found=$(find "$CORPUS_DIR/mail" -name '*.eml' -size -60k | LC_ALL=C sort | head -n 150)
    if [ -z "$found" ]; then
        i=0
        while [ $i -lt 150 ]; do
            message "made-up-$i" "List-Id: List $((i % 7)) <list$((i % 7)).example.com>" \
                "References: <$i.$((i * 7919 % 10007))@example.net> <$((i * 104729 % 1000003))@example.org>" |
                put_one || return 1
            i=$((i + 1))
        done
        return 0
    fi
    for file in $found; do
        tr -d '\000' <"$file" | sed '1{/^From /d;}' | put_one >/dev/null 2>&1 || :
    done
}
bytes_down() { awk '$3 == "S" { n += $4 } END { print n + 0 }' "$box/wire"; }
bytes_up() { awk '$3 == "C" { n += $4 } END { print n + 0 }' "$box/wire"; }

run_over_it() { # MORE; sets $down, $up
    rm -rf "$box/state" "$box/wire"
    start_proxy && config "backlog = \"all\", $1" <<'EOT' || return 1
rule "flag" {
  when = subject:contains "zzz" | from:contains "zzz" | to:contains "zzz" | list_id:contains "zzz" | header "References":contains "zzz" |
         header "Received":contains "zzz" | header "Message-ID":contains "zzz",
  actions = { flag "\\Flagged" },
}
EOT
    start_daemon || return 1
    wait_for 60 sh -c "'$MAILRULED' status --json | grep -q '\"last_uid\":$last,'" || return 1
    wait_for 20 queue_is_empty || return 1
    down=$(bytes_down) up=$(bytes_up)
    "$MAILRULED" status --json >"$box/status"
    stop_daemon
}
told() { sed -n "s/.*\"$1\":\([0-9]*\),.*/\1/p" "$box/status"; }

reduction() {
    real_mail || return 1
    last=$(imap 'EXAMINE INBOX' | tr -d '\r' | sed -n 's/.*\[UIDNEXT \([0-9]*\)\].*/\1/p')
    last=$((last - 1))
    expect "mail is there" test "$last" -ge 100 || return 1
    run_over_it '' || return 1
    plain=$down plain_up=$up
    run_over_it 'compress = true,' || return 1
    echo "$server: header fields of $last messages: $plain octets down, compressed $down ($((down * 100 / plain)) %); up $plain_up, $up" \
        >>"$dir/figures"
    expect "less than half of it, found $down of $plain" test $((down * 2)) -lt "$plain" || return 1
    # What `status` says is what the proxy saw, but for the greeting and what the login is preceded by; and it tells how
    # much that was before.
    expect "the wire is counted" test "$(told bytes_in)" -le "$down" -a $((down - $(told bytes_in))) -le 1000 ||
        return 1
    expect "and what it held" test "$(told uncompressed_in)" -gt $((plain * 9 / 10)) || return 1
}

start_server 12
test_case "compress_watch_move_and_webhook_on_$server" works
test_case "compress_under_tls_on_$server" under_tls
test_case "compress_connection_cut_again_and_again_on_$server" connection_is_cut
test_case "compress_server_killed_and_back_on_$server" server_is_killed
test_case "compress_is_off_by_default_on_$server" off_by_default
test_case "compress_is_off_if_disabled_on_$server" off_if_disabled
test_case "compress_many_messages_at_once_on_$server" long_command_and_literal
test_case "compress_reduction_on_$server" reduction
[ ! -f "$dir/figures" ] || sed 's/^/# /' "$dir/figures"
finish
