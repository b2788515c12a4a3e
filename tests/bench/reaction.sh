#!/bin/sh
# Round trips from the server's push of a new message to the command that moves it, at 40 ms a round trip: between the time
# the server sent EXISTS and the time MOVE or COPY reaches it. Median of N messages, one by one.
. "$(dirname "$0")/_lib.sh"
n=${BENCH_REACTIONS:-10}
round=40

# The proxy sees the server's push when it leaves and the client's command half a round trip before it arrives.
reactions() { # of the log $box/wire, in round trips
    awk -v round="$round" '
        $3 == "S" && /\+ idling/ { idles = 1 }
        $3 == "S" && / EXISTS/ && idles && !pushed { pushed = $1 }
        $3 == "C" && / (MOVE|COPY) / && pushed { print ($1 - pushed) * 1000 / round + 0.5; pushed = 0 }' "$box/wire"
}

moved() { [ "$(reactions | wc -l)" -ge "$1" ]; }

one_by_one() {
    i=0
    while [ "$i" -lt "$n" ]; do
        deliver "reaction-$i" || return 1
        i=$((i + 1))
        wait_for 15 moved "$i" || return 1
        wait_for 15 settled || return 1
    done
    reactions >"$box/reactions"
}
# The client listens again: the last thing the server said is that it idles.
settled() { tail -n 1 "$box/wire" | grep -q ' S .*+ idling' && sleep 0.2 && tail -n 1 "$box/wire" | grep -q ' S .*+ idling'; }

report() { # NAME TARGET
    row "$1: push to move, in round trips of $round ms" "$2" \
        "$(median <"$box/reactions") (best $(sort -n "$box/reactions" | head -n 1), worst $(sort -n "$box/reactions" | tail -n 1))"
}

ours() {
    start_proxy -d $((round / 2)) || return 1
    config 'watch = { "INBOX" }' <<'CONFIG'
rule "move" { when = subject:starts "reaction", actions = { move "Target" } }
CONFIG
    imap 'CREATE Target' >/dev/null
    start_daemon || return 1
    wait_for 10 settled || return 1
    one_by_one || return 1
    report "mailruled" "<= 2.2"
    stop_daemon
    end "$proxy"
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
export MAIL_FORMAT
start_server 4
for what in ours theirs; do
    fresh
    "$what" >"$box/said" || { row "$what" "" "FAILED"; tail -n 5 "$box/wire" | cut -c 1-200; failures=1; }
    cat "$box/said"
    [ -z "${KEEP:-}" ] || cp "$box/wire" "/tmp/wire.$what"
    end_processes
done
finish
