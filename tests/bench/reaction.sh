#!/bin/sh
# Round trips from the server's push of a new message to the command that moves it, at 40 ms a round trip: between the
# time the server sent EXISTS (or, of a folder that is not selected, STATUS) and the time MOVE or COPY reaches it.
# Median of N messages, one by one.
. "$(dirname "$0")/_lib.sh"
n=${BENCH_REACTIONS:-10}
round=40

# The proxy sees the server's push when it leaves and the client's command half a round trip before it arrives.
reactions() { # of the log $box/wire, in round trips
    awk -v round="$round" -v news="${detail:+STATUS W7 .*MESSAGES 1 }" '
        BEGIN { news = news ? news : " EXISTS" }
        $3 == "S" && /\+ idling/ { idles = 1 }
        $3 == "S" && $0 ~ news && idles && !pushed { pushed = $1 }
        $3 == "C" && / (MOVE|COPY) / && pushed { print ($1 - pushed) * 1000 / round + 0.5; pushed = 0 }' "$box/wire"
}

moved() { [ "$(reactions | wc -l)" -ge "$1" ]; }

one_by_one() {
    i=0
    while [ "$i" -lt "$n" ]; do
        message "reaction-$i" | "$TOOLS/lmtp" "$LMTP_PORT" "$user$detail" - || return 1
        i=$((i + 1))
        wait_for 15 moved "$i" || return 1
        wait_for 15 "$calm" || return 1
    done
    reactions >"$box/reactions"
}
# The client listens again: the last thing the server said is that it idles (or it is too long to be logged whole).
idles() { tail -n 1 "$box/wire" | awk '{ idles = $3 == "S" && ($4 > 300 || /\+ idling/) } END { exit !idles }'; }
settled() { idles && sleep 0.2 && idles; }

report() { # NAME TARGET
    row "$1: push to move, in round trips of $round ms" "$2" \
        "$(median <"$box/reactions") (best $(sort -n "$box/reactions" | head -n 1), worst $(sort -n "$box/reactions" | tail -n 1))"
}

ours() { # NAME TARGET WATCH MORE
    start_proxy -d $((round / 2)) || return 1
    config "watch = { $3 }, $4" <<'CONFIG'
rule "move" { when = subject:starts "reaction", actions = { move "Target" } }
CONFIG
    set -- "$1" "$2" 'CREATE Target'
    i=1
    while [ "$i" -le 49 ]; do
        set -- "$@" "CREATE W$i"
        i=$((i + 1))
    done
    name=$1 target=$2
    shift 2
    imap "$@" >/dev/null
    start_daemon || return 1
    wait_for 60 settled_for_good || return 1
    one_by_one || return 1
    report "$name" "$target"
    expect "one connection" test "$(awk '$3 == "+"' "$box/wire" | wc -l)" -eq 1 || return 1
    stop_daemon
    end "$proxy"
}
# Dovecot tells of folders it has learned of, and is asked once more after SELECT and after each NOTIFY: for a second or two
# what comes may be found by that instead of the push.
settled_for_good() { settled && sleep 3 && settled; }

ours_idle() { ours "mailruled, IDLE" "<= 2.2" '"INBOX"' 'disable_extensions = { "NOTIFY" },'; }
ours_notify() { ours "mailruled, NOTIFY, 50 folders, the first" "<= 1.2" '"INBOX", "W*"' ''; }
ours_notify_elsewhere() {
    detail=+W7 calm=settled_for_good
    ours "mailruled, NOTIFY, 50 folders, another" "" '"INBOX", "W*"' ''
    detail='' calm=settled
}

theirs() {
    start_proxy -d $((round / 2)) || return 1
    imap 'CREATE Target' >/dev/null
    cat >"$box/peer.lua" <<CONFIG
options.info = false
options.starttls = false
account = IMAP { server = '127.0.0.1', port = $port, username = '$user', password = 'secret' }
while true do
    account.INBOX:enter_idle()
    local new = account.INBOX:match_subject('^reaction', account.INBOX:is_unseen())
    new:move_messages(account.Target)
end
CONFIG
    peer &
    client=$!
    wait_for 20 settled || return 1
    one_by_one || return 1
    report "imapfilter" "(4.2)"
    end "$client" "$proxy"
}

MAIL_FORMAT=${MAIL_FORMAT:-sdbox}
EXTRA="${EXTRA:-}
protocol lmtp {
  lmtp_save_to_detail_mailbox = yes
}"
export MAIL_FORMAT EXTRA
detail='' calm=settled
start_server 4
for what in ${BENCH_WHAT:-ours_notify ours_notify_elsewhere ours_idle theirs}; do
    fresh
    "$what" >"$box/said" || { row "$what" "" "FAILED"; tail -n 5 "$box/wire" | cut -c 1-200; failures=1; }
    cat "$box/said"
    [ -z "${KEEP:-}" ] || cp "$box/wire" "/tmp/wire.$what"
    end_processes
done
finish
